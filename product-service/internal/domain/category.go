package domain

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// maxCategoryDescription bounds a category's description, in characters; it is that of the RPC contract.
const maxCategoryDescription = 2000

// Category is a place in the catalogue's tree.
type Category struct {
	ID          uuid.UUID
	Slug        string
	Name        string
	Description string
	ParentID    uuid.UUID // uuid.Nil for a root
	Version     int64
	// ProductCount is how many active products are in it and its descendants. Only reads fill it.
	ProductCount int64
}

// NewCategory returns a category below a parent, or a root for uuid.Nil. The slug is derived from the name when it is
// empty. The error names every field that is wrong.
func NewCategory(id uuid.UUID, name, slug, description string, parentID uuid.UUID) (Category, error) {
	c := Category{ID: id, Slug: slug, Name: strings.TrimSpace(name), Description: strings.TrimSpace(description), ParentID: parentID, Version: 1}
	if c.Slug == "" {
		c.Slug = Slugify(c.Name)
		if slugProblem(c.Slug) != "" {
			c.Slug = "category-" + id.String()
		}
	}
	if err := c.check(); err != nil {
		return Category{}, err
	}
	return c, nil
}

// DistinguishSlug makes the slug from the name and the end of the id, for a category whose name alone is taken: there are accessories
// in more than one department. The end of an id is its random part.
func (c *Category) DistinguishSlug() {
	id := c.ID.String()
	suffix := id[strings.LastIndex(id, "-")+1:]
	base := Slugify(c.Name)
	c.Slug = Slugify(base[:min(len(base), maxSlug-len(suffix)-1)] + " " + suffix)
}

// CategoryChange is what staff say anew about a category. What is nil stays as it is.
type CategoryChange struct {
	Name        *string
	Slug        *string
	Description *string
	ParentID    *uuid.UUID // uuid.Nil makes it a root
}

// Change returns the category changed, one version newer unless it is the same. parents has the parent of every category,
// uuid.Nil for a root's. Errors: one that names every field that is wrong, ErrParentMissing, ErrCategoryCycle.
func (c Category) Change(change CategoryChange, parents map[uuid.UUID]uuid.UUID) (Category, error) {
	next := c
	setLine(&next.Name, change.Name)
	set(&next.Slug, change.Slug)
	setLine(&next.Description, change.Description)
	set(&next.ParentID, change.ParentID)
	if err := next.check(); err != nil {
		return Category{}, err
	}
	if _, known := parents[next.ParentID]; !known && next.ParentID != uuid.Nil {
		return Category{}, ErrParentMissing
	}
	above := next.ParentID
	for range parents { // no chain is longer; and above a root there is uuid.Nil for ever
		if above == c.ID {
			return Category{}, ErrCategoryCycle
		}
		above = parents[above]
	}
	if next != c {
		next.Version++
	}
	return next, nil
}

// Expect returns ErrCategoryChanged unless the category has the version that a caller saw; nil stands for any.
func (c Category) Expect(version *int64) error {
	if version != nil && *version != c.Version {
		return ErrCategoryChanged
	}
	return nil
}

func (c Category) check() error {
	var v []apperr.Violation
	if problem := lineProblem(c.Name, maxName); problem != "" {
		v = append(v, violation("name", problem))
	}
	if problem := slugProblem(c.Slug); problem != "" {
		v = append(v, violation("slug", problem))
	}
	if problem := textProblem(c.Description, maxCategoryDescription); problem != "" {
		v = append(v, violation("description", problem))
	}
	if len(v) > 0 {
		return apperr.ValidationFailed(v...)
	}
	return nil
}

// CategorySet says how many active products are in some categories, and in no others.
type CategorySet struct {
	CategoryIDs []uuid.UUID
	Products    int64
}

// CountProducts sets the product count of each category: a product counts once in every category that it is in or below.
func CountProducts(categories []Category, sets []CategorySet) {
	parents := make(map[uuid.UUID]uuid.UUID, len(categories))
	for _, c := range categories {
		parents[c.ID] = c.ParentID
	}
	var (
		counts = make(map[uuid.UUID]int64, len(categories))
		above  []uuid.UUID // and the categories of a set themselves, each once
	)
	for _, set := range sets {
		above = above[:0]
		for _, id := range set.CategoryIDs {
			for ; id != uuid.Nil && !slices.Contains(above, id); id = parents[id] {
				above = append(above, id)
			}
		}
		for _, id := range above {
			counts[id] += set.Products
		}
	}
	for i, c := range categories {
		categories[i].ProductCount = counts[c.ID]
	}
}

// CategoryNode is a category with what is below it.
type CategoryNode struct {
	Category
	Children []*CategoryNode
}

// BuildTree arranges categories as roots with their descendants, children by name. A category whose parent is not among
// them counts as a root.
func BuildTree(categories []Category) []*CategoryNode {
	nodes := make(map[uuid.UUID]*CategoryNode, len(categories))
	for _, c := range categories {
		nodes[c.ID] = &CategoryNode{Category: c}
	}
	var roots []*CategoryNode
	for _, n := range nodes {
		if parent := nodes[n.ParentID]; parent != nil {
			parent.Children = append(parent.Children, n)
		} else {
			roots = append(roots, n)
		}
	}
	byName := func(a, b *CategoryNode) int {
		return cmp.Or(cmp.Compare(Fold(a.Name), Fold(b.Name)), slices.Compare(a.ID[:], b.ID[:]))
	}
	for _, n := range nodes {
		slices.SortFunc(n.Children, byName)
	}
	slices.SortFunc(roots, byName)
	return roots
}

// FindNode returns the node that ref names, or nil.
func FindNode(nodes []*CategoryNode, ref Ref) *CategoryNode {
	for _, n := range nodes {
		if n.ID == ref.ID || (ref.ID == uuid.Nil && n.Slug == ref.Slug) {
			return n
		}
		if found := FindNode(n.Children, ref); found != nil {
			return found
		}
	}
	return nil
}
