package usecase

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/product-service/internal/domain"
)

// ImportScope is the part of the catalogue that an import needs to know.
type ImportScope struct {
	SKUs       []string
	Slugs      []string
	Categories []uuid.UUID
}

// ImportState is what the catalogue has of an import's scope.
type ImportState struct {
	// Products are those with the SKUs.
	Products []*domain.Product
	// SlugOwners are the products with the slugs.
	SlugOwners map[string]uuid.UUID
	// Categories are those that exist.
	Categories map[uuid.UUID]bool
}

// ImportLine is a line of an import: what it says about the product with its SKU.
type ImportLine struct {
	Change domain.ProductChange // its SKU is set
	// Unreadable is why the line can't be read, nil if it can.
	Unreadable error
}

// ImportResult is what became of a line: a product, which is new or not, or a failure.
type ImportResult struct {
	ProductID uuid.UUID
	Created   bool
	// Err is a failure that the sender can do something about, nil for none.
	Err *apperr.Error
}

// Import creates the products whose SKU is new and changes the others, line by line: one that is refused does not keep the
// others from being kept, and of two with one SKU the later has the last word. All is kept at once. Again, it has the same
// outcome and changes nothing. The results are in the order of the lines.
func (c *Catalog) Import(ctx context.Context, lines []ImportLine) ([]ImportResult, error) {
	var (
		now     = c.now()
		news    = make([]newcomer, len(lines))
		results = make([]ImportResult, len(lines))
		scope   ImportScope
	)
	for i, line := range lines {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make product id: %w", err)
		}
		news[i].product, news[i].problem = domain.NewProduct(id, line.Change.Details(), c.currency, now)
		scope.include(line.Change, news[i])
	}
	err := c.products.ImportProducts(ctx, scope, func(state ImportState) ([]*domain.Product, error) {
		catalogue := newCatalogue(state)
		for i, line := range lines {
			results[i] = ImportResult{}
			p, err := catalogue.put(line, news[i], c.currency, now)
			if err != nil {
				results[i].Err = apperr.From(err)
				continue
			}
			results[i].ProductID, results[i].Created = p.Snapshot().ID, p == news[i].product
		}
		return catalogue.changed(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("import %d products: %w", len(lines), err)
	}
	return results, nil
}

// newcomer is the product that a line makes if its SKU is new, or why it can't.
type newcomer struct {
	product *domain.Product
	problem error
}

// slugs are those that it may have and another product may have too, the better one first.
func (n newcomer) slugs() []string {
	if n.product == nil {
		return nil
	}
	distinct := n.product.Clone()
	distinct.DistinguishSlug()
	return []string{n.product.Snapshot().Slug, distinct.Snapshot().Slug}
}

// include adds what a line names. NUL is in nothing that a store has, and in no question that one could answer.
func (s *ImportScope) include(change domain.ProductChange, n newcomer) {
	add := func(names *[]string, name string) {
		if !strings.ContainsRune(name, 0) {
			*names = append(*names, name)
		}
	}
	add(&s.SKUs, skuOf(change))
	if change.Slug != nil {
		add(&s.Slugs, *change.Slug)
	} else {
		s.Slugs = append(s.Slugs, n.slugs()...)
	}
	if change.CategoryIDs != nil {
		s.Categories = append(s.Categories, *change.CategoryIDs...)
	}
}

func skuOf(change domain.ProductChange) string { return strings.TrimSpace(*change.SKU) }

// catalogue is the scope of an import while its lines are put in one after the other.
type catalogue struct {
	bySKU      map[string]*domain.Product
	slugOwners map[string]uuid.UUID
	categories map[uuid.UUID]bool
	touched    []string // SKUs, in the order of the lines
}

func newCatalogue(state ImportState) *catalogue {
	c := &catalogue{make(map[string]*domain.Product, len(state.Products)), maps.Clone(state.SlugOwners), state.Categories, nil}
	if c.slugOwners == nil {
		c.slugOwners = make(map[string]uuid.UUID)
	}
	for _, p := range state.Products {
		c.bySKU[p.Snapshot().SKU] = p
		c.slugOwners[p.Snapshot().Slug] = p.Snapshot().ID
	}
	return c
}

// put does what a line says, in whole or, with an error, not at all, and returns its product.
func (c *catalogue) put(line ImportLine, n newcomer, currency string, now time.Time) (*domain.Product, error) {
	if line.Unreadable != nil {
		return nil, line.Unreadable
	}
	sku := skuOf(line.Change)
	p, slugBefore := n.product, ""
	if known := c.bySKU[sku]; known != nil {
		p, slugBefore = known.Clone(), known.Snapshot().Slug
		if err := p.Change(line.Change, currency, now); err != nil {
			return nil, err
		}
	} else if n.problem != nil {
		return nil, n.problem
	}
	for range 2 {
		if slugBefore == "" && line.Change.Slug == nil && c.slugTaken(p) {
			p.DistinguishSlug()
		}
	}
	if c.slugTaken(p) {
		return nil, domain.ErrSlugTaken
	}
	if ids := p.Snapshot().CategoryIDs; line.Change.CategoryIDs != nil && slices.ContainsFunc(ids, func(id uuid.UUID) bool { return !c.categories[id] }) {
		return nil, domain.UnknownCategories(ids, c.categories)
	}
	delete(c.slugOwners, slugBefore)
	c.slugOwners[p.Snapshot().Slug] = p.Snapshot().ID
	c.bySKU[sku] = p
	c.touched = append(c.touched, sku)
	return p, nil
}

func (c *catalogue) slugTaken(p *domain.Product) bool {
	owner, ok := c.slugOwners[p.Snapshot().Slug]
	return ok && owner != p.Snapshot().ID
}

// changed returns the products that are new or other than before, each once.
func (c *catalogue) changed() []*domain.Product {
	var all []*domain.Product
	for _, sku := range c.touched {
		if p := c.bySKU[sku]; p != nil && p.Changed() {
			all = append(all, p)
		}
		delete(c.bySKU, sku)
	}
	return all
}
