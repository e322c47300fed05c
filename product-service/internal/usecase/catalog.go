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

// ProductStore adds and changes products.
type ProductStore interface {
	// CreateProduct adds a product with no stock, atomically. Errors: ErrSKUTaken, ErrSlugTaken, invalid for categories
	// that are not there. A product whose SKU and slug are both taken is ErrSKUTaken.
	CreateProduct(ctx context.Context, p *domain.Product) error
	// UpdateProduct locks a product, lets change decide, keeps it if it has changed, and returns it with its stock. Errors:
	// ErrProductMissing, those of CreateProduct, and those of change.
	UpdateProduct(ctx context.Context, id uuid.UUID, change func(*domain.Product) error) (ProductView, error)
	// ImportProducts locks the whole catalogue against other changes of products, lets change decide about the part of it that
	// was asked for, and keeps what it returns, atomically. The products that change returns must not clash with each other
	// nor with what change was told: only so there is no error but those of change.
	ImportProducts(ctx context.Context, scope ImportScope, change func(ImportState) ([]*domain.Product, error)) error
}

// CategoryStore adds, changes and removes categories.
type CategoryStore interface {
	// CreateCategory adds a category. Errors: ErrSlugTaken, ErrParentMissing.
	CreateCategory(ctx context.Context, c domain.Category) error
	// UpdateCategory locks the whole tree, lets change decide with the parents of all categories, and keeps what it returns.
	// So no two changes can close a circle between them. Errors: ErrCategoryMissing, ErrSlugTaken, and those of change.
	UpdateCategory(ctx context.Context, id uuid.UUID, change func(c domain.Category, parents map[uuid.UUID]uuid.UUID) (domain.Category, error)) error
	// DeleteCategory removes a category unless check fails. Errors: ErrCategoryMissing, ErrCategoryInUse for one that has
	// products, in whatever state, or children, and those of check.
	DeleteCategory(ctx context.Context, id uuid.UUID, check func(domain.Category) error) error
	CategoryReader
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
// is told apart by the SKU, or else by the id; only a slug that was asked for is ErrSlugTaken.
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
	for range 2 {
		if d.Slug == "" && errors.Is(err, domain.ErrSlugTaken) {
			p.DistinguishSlug()
			err = c.products.CreateProduct(ctx, p)
		}
	}
	if err != nil {
		return ProductView{}, fmt.Errorf("create product %s: %w", d.SKU, err)
	}
	return ProductView{ProductSnapshot: p.Snapshot()}.priced(c.now())
}

// UpdateProduct changes what is set of a product. ifVersion is the version that the caller saw, nil for any. A change to what
// is there already makes no new version. Errors: ErrProductMissing, ErrProductChanged, ErrSKUTaken, ErrSlugTaken, invalid.
func (c *Catalog) UpdateProduct(ctx context.Context, id uuid.UUID, change domain.ProductChange, ifVersion *int64) (ProductView, error) {
	now := c.now()
	view, err := c.products.UpdateProduct(ctx, id, func(p *domain.Product) error {
		if err := p.Expect(ifVersion); err != nil {
			return err
		}
		return p.Change(change, c.currency, now)
	})
	if err != nil {
		return ProductView{}, fmt.Errorf("update product %s: %w", id, err)
	}
	return view.priced(now)
}

// ArchiveProduct takes a product off the list and off sale. Again, it changes nothing. Errors: ErrProductMissing,
// ErrProductChanged.
func (c *Catalog) ArchiveProduct(ctx context.Context, id uuid.UUID, ifVersion *int64) (ProductView, error) {
	return c.UpdateProduct(ctx, id, domain.ProductChange{Status: new(domain.Archived)}, ifVersion)
}

// CreateCategory is the command to add a category.
type CreateCategory struct {
	Name        string
	Slug        string // derived from the name when empty
	Description string
	ParentID    uuid.UUID // uuid.Nil for a root
}

// CreateCategory adds a category. A slug that it derives gives way to one that is taken.
func (c *Catalog) CreateCategory(ctx context.Context, cmd CreateCategory) (domain.Category, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return domain.Category{}, fmt.Errorf("make category id: %w", err)
	}
	category, err := domain.NewCategory(id, cmd.Name, cmd.Slug, cmd.Description, cmd.ParentID)
	if err != nil {
		return domain.Category{}, err
	}
	err = c.categories.CreateCategory(ctx, category)
	if cmd.Slug == "" && errors.Is(err, domain.ErrSlugTaken) {
		category.DistinguishSlug()
		err = c.categories.CreateCategory(ctx, category)
	}
	if err != nil {
		return domain.Category{}, fmt.Errorf("create category %s: %w", category.Slug, err)
	}
	return category, nil
}

// UpdateCategory changes what is set of a category, and returns it with what is below it. ifVersion is the version that the
// caller saw, nil for any. Errors: ErrCategoryMissing, ErrCategoryChanged, ErrSlugTaken, ErrCategoryCycle, invalid.
func (c *Catalog) UpdateCategory(ctx context.Context, id uuid.UUID, change domain.CategoryChange, ifVersion *int64) (*domain.CategoryNode, error) {
	err := c.categories.UpdateCategory(ctx, id, func(category domain.Category, parents map[uuid.UUID]uuid.UUID) (domain.Category, error) {
		if err := category.Expect(ifVersion); err != nil {
			return domain.Category{}, err
		}
		return category.Change(change, parents)
	})
	if err != nil {
		return nil, fmt.Errorf("update category %s: %w", id, err)
	}
	all, err := c.categories.Categories(ctx)
	if err != nil {
		return nil, fmt.Errorf("update category %s: list: %w", id, err)
	}
	if node := domain.FindNode(domain.BuildTree(all), domain.Ref{ID: id}); node != nil {
		return node, nil
	}
	return nil, domain.ErrCategoryMissing // somebody was quicker to delete it
}

// DeleteCategory removes a category that has neither products nor children. ifVersion is the version that the caller saw,
// nil for any. Errors: ErrCategoryMissing, ErrCategoryChanged, ErrCategoryInUse.
func (c *Catalog) DeleteCategory(ctx context.Context, id uuid.UUID, ifVersion *int64) error {
	err := c.categories.DeleteCategory(ctx, id, func(category domain.Category) error { return category.Expect(ifVersion) })
	if err != nil {
		return fmt.Errorf("delete category %s: %w", id, err)
	}
	return nil
}

// clock makes a clock tell what the database can keep: UTC, to the microsecond.
func clock(now func() time.Time) func() time.Time {
	return func() time.Time { return now().UTC().Truncate(time.Microsecond) }
}

// invalid returns a validation failure of one field.
func invalid(location, message string) error { return apperr.InvalidField(location, message) }
