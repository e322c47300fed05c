// Package usecase is what product-service does: it keeps the catalogue and guards the stock.
package usecase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/product-service/internal/domain"
)

// ProductStore adds products.
type ProductStore interface {
	// CreateProduct adds a product with no stock, atomically. Errors: ErrSKUTaken, ErrSlugTaken, invalid for categories
	// that are not there. A product whose SKU and slug are both taken is ErrSKUTaken.
	CreateProduct(ctx context.Context, p *domain.Product) error
}

// CategoryStore adds categories.
type CategoryStore interface {
	// CreateCategory adds a category. Errors: ErrSlugTaken, invalid at parent_id for a parent that is not there.
	CreateCategory(ctx context.Context, c domain.Category) error
}

// Catalog changes what the shop offers.
type Catalog struct {
	products   ProductStore
	categories CategoryStore
	currency   string
	now        func() time.Time
}

// NewCatalog returns the use cases of a shop that sells in one currency.
func NewCatalog(products ProductStore, categories CategoryStore, currency string, now func() time.Time) *Catalog {
	return &Catalog{products: products, categories: categories, currency: currency, now: clock(now)}
}

// CreateProduct adds a product with no stock. Two products may have one name: a slug that was derived from it and is taken
// is told apart by the SKU; only a slug that was asked for is ErrSlugTaken.
func (c *Catalog) CreateProduct(ctx context.Context, d domain.ProductDetails) (ProductView, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return ProductView{}, fmt.Errorf("make product id: %w", err)
	}
	p, err := domain.NewProduct(id, d, c.currency, c.now())
	if err != nil {
		return ProductView{}, err
	}
	err = c.products.CreateProduct(ctx, p)
	if errors.Is(err, domain.ErrSlugTaken) && d.Slug == "" {
		p.DistinguishSlug()
		err = c.products.CreateProduct(ctx, p)
	}
	if err != nil {
		return ProductView{}, fmt.Errorf("create product %s: %w", d.SKU, err)
	}
	return ProductView{ProductSnapshot: p.Snapshot()}, nil
}

// CreateCategory is the command to add a category.
type CreateCategory struct {
	Name        string
	Slug        string // derived from the name when empty
	Description string
	ParentID    uuid.UUID // uuid.Nil for a root
}

// CreateCategory adds a category.
func (c *Catalog) CreateCategory(ctx context.Context, cmd CreateCategory) (domain.Category, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return domain.Category{}, fmt.Errorf("make category id: %w", err)
	}
	category, err := domain.NewCategory(id, cmd.Name, cmd.Slug, cmd.Description, cmd.ParentID)
	if err != nil {
		return domain.Category{}, err
	}
	if err := c.categories.CreateCategory(ctx, category); err != nil {
		return domain.Category{}, fmt.Errorf("create category %s: %w", category.Slug, err)
	}
	return category, nil
}

// clock makes a clock tell what the database can keep: UTC, to the microsecond.
func clock(now func() time.Time) func() time.Time {
	return func() time.Time { return now().UTC().Truncate(time.Microsecond) }
}

// invalid returns a validation failure of one field.
func invalid(location, message string) error { return apperr.InvalidField(location, message) }
