package memory

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
)

// CreateCategory implements usecase.CategoryStore.
func (s *Store) CreateCategory(_ context.Context, c domain.Category) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.categories[c.ParentID]; !ok && c.ParentID != uuid.Nil {
		return domain.ErrParentMissing
	}
	return s.putCategory(c)
}

// UpdateCategory implements usecase.CategoryStore.
func (s *Store) UpdateCategory(_ context.Context, id uuid.UUID, change func(domain.Category, map[uuid.UUID]uuid.UUID) (domain.Category, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, ok := s.categories[id]
	if !ok {
		return domain.ErrCategoryMissing
	}
	parents := make(map[uuid.UUID]uuid.UUID, len(s.categories))
	for _, c := range s.categories {
		parents[c.ID] = c.ParentID
	}
	after, err := change(before, parents)
	if err != nil {
		return err
	}
	return s.putCategory(after)
}

// DeleteCategory implements usecase.CategoryStore.
func (s *Store) DeleteCategory(_ context.Context, id uuid.UUID, check func(domain.Category) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.categories[id]
	if !ok {
		return domain.ErrCategoryMissing
	}
	if err := check(c); err != nil {
		return err
	}
	for _, child := range s.categories {
		if child.ParentID == id {
			return domain.ErrCategoryInUse
		}
	}
	for _, p := range s.products {
		if slices.Contains(p.CategoryIDs, id) {
			return domain.ErrCategoryInUse
		}
	}
	delete(s.categories, id)
	return nil
}

func (s *Store) putCategory(c domain.Category) error {
	for _, other := range s.categories {
		if other.Slug == c.Slug && other.ID != c.ID {
			return domain.ErrSlugTaken
		}
	}
	s.categories[c.ID] = c
	return nil
}

// Categories implements usecase.CategoryReader.
func (s *Store) Categories(_ context.Context) ([]domain.Category, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []domain.Category
	for _, c := range s.categories {
		for _, p := range s.products {
			if p.Status == domain.Active && s.below(p.CategoryIDs, domain.Ref{ID: c.ID}) {
				c.ProductCount++
			}
		}
		all = append(all, c)
	}
	return all, nil
}
