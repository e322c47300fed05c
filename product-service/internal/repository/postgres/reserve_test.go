package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/money"
	"shop.example/platform/pgtest"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/postgres"
)

// counter counts what is sent to the database: statements, and round trips, in which a batch counts once.
type counter struct{ statements, trips atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.statements.Add(1)
	c.trips.Add(1)
	return ctx
}
func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.trips.Add(1)
	return ctx
}

func (c *counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {
	c.statements.Add(1)
}
func (c *counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TestReserveIsShort holds the statements of a reservation down, however many lines it has: the locks on its stock last for
// as long as they take.
func TestReserveIsShort(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(pgtest.URL(t, postgres.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	var c counter
	config.ConnConfig.Tracer = &c
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store := postgres.New(pool)

	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var lines []domain.Line
	for range 50 {
		id := uuid.New()
		p, err := domain.NewProduct(id, domain.ProductDetails{SKU: id.String(), Name: "Tea " + id.String(), Price: money.MustNew(1, "EUR"), Status: domain.Active}, "EUR", now)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.CreateProduct(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.AdjustStock(t.Context(), domain.Adjustment{EntryID: uuid.New(), ProductID: id, Delta: 9, Reason: "count", Actor: "staff", At: now}); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, domain.Line{ProductID: id, Quantity: 2})
	}
	r, err := domain.NewReservation(uuid.New(), lines, now, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	order := r.Snapshot().OrderID
	const beginAndCommit = 2
	for _, step := range []struct {
		name              string
		statements, trips int64
		do                func() error
	}{
		{"reserve", 3, 2, func() error { _, err := store.Reserve(t.Context(), r, now); return err }},
		{"confirm", 5, 3, func() error {
			return store.UpdateReservation(t.Context(), order, "shop", now, func(r *domain.Reservation) (domain.Effect, error) { return r.Confirm(now) })
		}},
		{"confirm again", 2, 1, func() error {
			return store.UpdateReservation(t.Context(), order, "shop", now, func(r *domain.Reservation) (domain.Effect, error) { return r.Confirm(now) })
		}},
	} {
		statements, trips := c.statements.Load(), c.trips.Load()
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		statements, trips = c.statements.Load()-statements-beginAndCommit, c.trips.Load()-trips-beginAndCommit
		if statements != step.statements || trips != step.trips {
			t.Errorf("%s took %d statements in %d round trips, want %d in %d", step.name, statements, trips, step.statements, step.trips)
		}
	}
}
