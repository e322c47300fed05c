package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// CreateProduct implements usecase.ProductStore.
func (s *Store) CreateProduct(_ context.Context, product *domain.Product) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(product)
}

// UpdateProduct implements usecase.ProductStore.
func (s *Store) UpdateProduct(_ context.Context, id uuid.UUID, change func(*domain.Product) error) (usecase.ProductView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	view, ok := s.products[id]
	if !ok {
		return usecase.ProductView{}, domain.ErrProductMissing
	}
	product := domain.RestoreProduct(view.ProductSnapshot)
	if err := change(product); err != nil {
		return usecase.ProductView{}, err
	}
	if err := s.put(product); err != nil {
		return usecase.ProductView{}, err
	}
	return s.products[id], nil
}

// ImportProducts implements usecase.ProductStore.
func (s *Store) ImportProducts(_ context.Context, scope usecase.ImportScope, change func(usecase.ImportState) ([]*domain.Product, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := usecase.ImportState{SlugOwners: make(map[string]uuid.UUID), Categories: s.known(scope.Categories)}
	for _, p := range s.products {
		if slices.Contains(scope.SKUs, p.SKU) {
			state.Products = append(state.Products, domain.RestoreProduct(p.ProductSnapshot))
		}
		if slices.Contains(scope.Slugs, p.Slug) {
			state.SlugOwners[p.Slug] = p.ID
		}
	}
	products, err := change(state)
	if err != nil {
		return err
	}
	// Out of the way first: slugs may go from one of them to another.
	before := maps.Clone(s.products)
	for _, p := range products {
		delete(s.products, p.Snapshot().ID)
	}
	for _, p := range products {
		if err := s.put(p); err != nil {
			s.products = before
			return err
		}
		kept := s.products[p.Snapshot().ID]
		kept.Stock = before[kept.ID].Stock
		s.products[kept.ID] = kept
	}
	return nil
}

// put keeps a product, and its stock if it was there.
func (s *Store) put(product *domain.Product) error {
	p := product.Snapshot()
	slugTaken := false
	for _, other := range s.products {
		if other.SKU == p.SKU && other.ID != p.ID {
			return domain.ErrSKUTaken
		}
		slugTaken = slugTaken || (other.Slug == p.Slug && other.ID != p.ID)
	}
	if slugTaken {
		return domain.ErrSlugTaken
	}
	if known := s.known(p.CategoryIDs); len(known) < len(p.CategoryIDs) {
		return domain.UnknownCategories(p.CategoryIDs, known)
	}
	s.products[p.ID] = usecase.ProductView{ProductSnapshot: p, Stock: s.products[p.ID].Stock}
	for _, word := range p.Vocabulary() {
		s.words[word] = true
	}
	return nil
}

// known returns those of the categories that there are.
func (s *Store) known(ids []uuid.UUID) map[uuid.UUID]bool {
	known := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		if _, ok := s.categories[id]; ok {
			known[id] = true
		}
	}
	return known
}

// Product implements usecase.ProductReader.
func (s *Store) Product(_ context.Context, ref domain.Ref) (usecase.ProductView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.products {
		if p.ID == ref.ID || (ref.ID == uuid.Nil && p.Slug == ref.Slug) {
			return p, nil
		}
	}
	return usecase.ProductView{}, domain.ErrProductMissing
}

// Products implements usecase.ProductReader.
func (s *Store) Products(_ context.Context, ids []uuid.UUID) ([]usecase.ProductView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []usecase.ProductView
	for _, id := range ids {
		if p, ok := s.products[id]; ok {
			found = append(found, p)
		}
	}
	return found, nil
}

// listed is a product of a list with what the list is sorted by.
type listed struct {
	usecase.ProductView
	at usecase.Cursor
}

// FindProducts implements usecase.ProductReader.
func (s *Store) FindProducts(_ context.Context, q usecase.ProductQuery) (usecase.ProductPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	words := q.Corrections.Alternatives(domain.SearchWords(q.Text))
	var hits []listed
	for _, p := range s.products {
		if p.Status != domain.Active ||
			(q.Category != "" && !s.below(p.CategoryIDs, domain.ParseRef(q.Category))) ||
			(q.MinPrice != nil && p.Price.Amount() < *q.MinPrice) ||
			(q.MaxPrice != nil && p.Price.Amount() > *q.MaxPrice) ||
			(q.InStock != nil && (p.Stock.Available() > 0) != *q.InStock) {
			continue
		}
		fit := domain.FitsNot
		if q.Text != "" {
			if fit = p.Fit(words); fit == domain.FitsNot {
				continue
			}
		}
		hits = append(hits, listed{p, q.Sort.Place(p, fit)})
	}
	order := compare
	if q.Sort == usecase.SortNewest || q.Sort == usecase.SortPriceDesc || q.Sort == usecase.SortRelevance {
		order = func(a, b usecase.Cursor) int { return compare(b, a) }
	}
	slices.SortFunc(hits, func(a, b listed) int { return order(a.at, b.at) })

	var page usecase.ProductPage
	if q.IncludeTotal {
		total := int64(len(hits))
		page.Total = &total
	}
	for _, h := range hits {
		if q.After != nil && order(h.at, *q.After) <= 0 {
			continue
		}
		if len(page.Products) == q.PageSize {
			last := page.Products[len(page.Products)-1]
			i := slices.IndexFunc(hits, func(h listed) bool { return h.ID == last.ID })
			page.Next = &hits[i].at
			break
		}
		page.Products = append(page.Products, h.ProductView)
	}
	return page, nil
}

func compare(a, b usecase.Cursor) int {
	return cmp.Or(cmp.Compare(a.Fit, b.Fit), cmp.Compare(a.Number, b.Number), strings.Compare(a.Text, b.Text), slices.Compare(a.ID[:], b.ID[:]))
}

// Corrections implements usecase.ProductReader.
func (s *Store) Corrections(_ context.Context, words []string) (domain.Corrections, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	unknown := slices.DeleteFunc(slices.Clone(words), func(word string) bool {
		for known := range s.words {
			if strings.HasPrefix(known, word) {
				return true
			}
		}
		return false
	})
	return domain.Correct(unknown, func(word string, limit int) ([]string, error) {
		return domain.Resembling(word, maps.Keys(s.words), limit), nil
	})
}

// below reports whether one of the categories is the one that ref names, or a descendant of it.
func (s *Store) below(categories []uuid.UUID, ref domain.Ref) bool {
	for _, id := range categories {
		for c, ok := s.categories[id]; ok; c, ok = s.categories[c.ParentID] {
			if c.ID == ref.ID || (ref.ID == uuid.Nil && c.Slug == ref.Slug) {
				return true
			}
		}
	}
	return false
}
