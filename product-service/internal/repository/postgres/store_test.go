package postgres_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/pgtest"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/postgres"
	"shop.example/product-service/internal/repository/repositorytest"
)

// audited is the store, with the ledger for the tests to look at.
type audited struct {
	*postgres.Store
	pool *pgxpool.Pool
}

func (a audited) Ledger(ctx context.Context, productID uuid.UUID) ([]domain.LedgerEntry, error) {
	rows, err := a.pool.Query(ctx, `SELECT id, product_id, delta, reason, reference, actor, coalesce(idempotency_key, ''), on_hand_after, reserved_after, at
		FROM stock_ledger WHERE product_id = $1 ORDER BY at, id`, productID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e domain.LedgerEntry, err error) {
		err = row.Scan(&e.ID, &e.ProductID, &e.Delta, &e.Reason, &e.Reference, &e.Actor, &e.Key, &e.After.OnHand, &e.After.Reserved, &e.At)
		e.At = e.At.UTC()
		return e, err
	})
}

func open(t testing.TB) repositorytest.Store {
	pool := pgtest.New(t, postgres.Migrate)
	return audited{postgres.New(pool), pool}
}

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, open)
}
