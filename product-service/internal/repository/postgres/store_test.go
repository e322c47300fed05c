package postgres_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/money"
	"shop.example/platform/pgtest"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/postgres"
	"shop.example/product-service/internal/repository/repositorytest"
	"shop.example/product-service/internal/usecase"
)

// audited is the store, with the promises for the tests to look at.
type audited struct {
	*postgres.Store
	pool *pgxpool.Pool
}

func (a audited) Promised(ctx context.Context, productID uuid.UUID) (promised int64, err error) {
	err = a.pool.QueryRow(ctx, `SELECT coalesce(sum(l.quantity), 0)::bigint FROM reservation_lines l JOIN reservations r ON r.order_id = l.order_id
		WHERE l.product_id = $1 AND r.status = 'active'`, productID).Scan(&promised)
	return promised, err
}

func open(t testing.TB) repositorytest.Store {
	pool := pgtest.New(t, postgres.Migrate)
	return audited{postgres.New(pool), pool}
}

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, open)
}

// TestRecount: after a load that has gone past the store, the counts and the words are made right again.
func TestRecount(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	catalog := usecase.NewCatalog(postgres.New(pool), postgres.New(pool), "EUR", time.Now)
	category, err := catalog.CreateCategory(t.Context(), usecase.CreateCategory{Name: "Tea"})
	if err != nil {
		t.Fatal(err)
	}
	for sku, status := range map[string]domain.ProductStatus{"A": domain.Active, "B": domain.Active, "C": domain.Draft} {
		if _, err := catalog.CreateProduct(t.Context(), domain.ProductDetails{
			SKU: sku, Name: "Tea", Description: "Leaves of the Darjeeling", Price: money.MustNew(1, "EUR"), CategoryIDs: []uuid.UUID{category.ID}, Status: status,
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		sql  string
		want int64
	}{{"SELECT", 2}, {"UPDATE category_sets SET products = 9", 9}, {"SELECT recount_category_sets()", 2}} {
		if _, err := pool.Exec(t.Context(), step.sql); err != nil {
			t.Fatal(err)
		}
		all, err := postgres.New(pool).Categories(t.Context())
		if err != nil || all[0].ProductCount != step.want {
			t.Errorf("%s: %+v, %v, want %d", step.sql, all, err, step.want)
		}
	}
	for _, step := range []struct {
		sql  string
		want []string
	}{{"SELECT", []string{"darjeeling", "leaves"}}, {"DELETE FROM words", nil}, {"SELECT relearn_words()", []string{"darjeeling", "leaves"}}} {
		if _, err := pool.Exec(t.Context(), step.sql); err != nil {
			t.Fatal(err)
		}
		rows, err := pool.Query(t.Context(), "SELECT word FROM words ORDER BY word")
		if err != nil {
			t.Fatal(err)
		}
		if words, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || !slices.Equal(words, step.want) {
			t.Errorf("%s: %v, %v, want %v", step.sql, words, err, step.want)
		}
	}
}
