// Package postgres keeps the catalogue and the stock in PostgreSQL. Each exported method is one unit of work.
package postgres

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Store is the database of product-service. Locks are taken in one order by all, so no two of its transactions can wait for
// each other. For the stock: first the row of a reservation, then rows of stock by product id. For the catalogue: first the
// catalogue itself, which one import has alone and single changes share; then the row of a product; then those of its
// categories by id. Whoever changes the tree takes the table of categories first, which lets those pass who put products in
// it.
type Store struct{ pool *pgxpool.Pool }

// New returns a store on a pool, whose database has the newest schema.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// productColumns are what scanProduct reads, of products p and their stock s.
const productColumns = `p.id, p.sku, p.slug, p.name, p.short_description, p.description, p.price_amount, p.price_currency,
	ARRAY(SELECT pc.category_id FROM product_categories pc WHERE pc.product_id = p.id ORDER BY pc.position),
	p.images, p.attributes, p.status, p.discount_type, p.discount_value, p.discount_starts_at, p.discount_ends_at,
	p.version, p.created_at, p.updated_at, s.on_hand, s.reserved`

func scanProduct(row pgx.CollectableRow) (usecase.ProductView, error) { return scanHit(row) }

// scanHit reads productColumns, and what is behind them into more.
func scanHit(row pgx.CollectableRow, more ...any) (p usecase.ProductView, err error) {
	var (
		amount   int64
		currency string
		status   string
		discount struct {
			kind     *string
			value    *int64
			from, to *time.Time
		}
	)
	columns := []any{
		&p.ID, &p.SKU, &p.Slug, &p.Name, &p.ShortDescription, &p.Description, &amount, &currency,
		&p.CategoryIDs, &p.Images, &p.Attributes, &status,
		&discount.kind, &discount.value, &discount.from, &discount.to, &p.Version, &p.CreatedAt, &p.UpdatedAt, &p.Stock.OnHand, &p.Stock.Reserved,
	}
	if err := row.Scan(append(columns, more...)...); err != nil {
		return p, err
	}
	if p.Price, err = money.New(amount, currency); err != nil {
		return p, fmt.Errorf("price of product %s: %w", p.ID, err)
	}
	p.Status = domain.ProductStatus(status)
	if discount.kind != nil && discount.value != nil {
		p.Discount = &domain.Discount{Type: domain.DiscountType(*discount.kind), Value: *discount.value}
		if discount.from != nil {
			p.Discount.StartsAt = discount.from.UTC()
		}
		if discount.to != nil {
			p.Discount.EndsAt = discount.to.UTC()
		}
	}
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, nil
}
