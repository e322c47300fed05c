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
		return Category{}, apperr.ValidationFailed(v...)
	}
	return c, nil
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
