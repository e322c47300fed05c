// Package postgres keeps the catalogue and the stock in PostgreSQL. Each exported method is one unit of work.
package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Store is the database of product-service. Locks are taken in one order by all: first the row of a reservation, then rows
// of stock by product id. So no two of its transactions can wait for each other.
type Store struct{ pool *pgxpool.Pool }

// New returns a store on a pool, whose database has the newest schema.
func New(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// productColumns are what scanProduct reads, of products p and their stock s.
const productColumns = `p.id, p.sku, p.slug, p.name, p.short_description, p.description, p.price_amount, p.price_currency,
	ARRAY(SELECT pc.category_id FROM product_categories pc WHERE pc.product_id = p.id ORDER BY pc.position),
	p.images, p.attributes, p.status, p.version, p.created_at, p.updated_at, s.on_hand, s.reserved`

func scanProduct(row pgx.CollectableRow) (usecase.ProductView, error) {
	p, _, err := scanRankedProduct(row, false)
	return p, err
}

// scanRankedProduct reads productColumns and, if ranked, the relevance behind them.
func scanRankedProduct(row pgx.CollectableRow, ranked bool) (p usecase.ProductView, relevance int64, err error) {
	var (
		amount   int64
		currency string
		status   string
	)
	columns := []any{
		&p.ID, &p.SKU, &p.Slug, &p.Name, &p.ShortDescription, &p.Description, &amount, &currency,
		&p.CategoryIDs, &p.Images, &p.Attributes, &status, &p.Version, &p.CreatedAt, &p.UpdatedAt, &p.Stock.OnHand, &p.Stock.Reserved,
	}
	if ranked {
		columns = append(columns, &relevance)
	}
	if err := row.Scan(columns...); err != nil {
		return p, 0, err
	}
	if p.Price, err = money.New(amount, currency); err != nil {
		return p, 0, fmt.Errorf("price of product %s: %w", p.ID, err)
	}
	p.Status = domain.ProductStatus(status)
	p.CreatedAt, p.UpdatedAt = p.CreatedAt.UTC(), p.UpdatedAt.UTC()
	return p, relevance, nil
}
