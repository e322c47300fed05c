package postgres_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/pgtest"
)

// Old events are forgotten a few at a time, with their deliveries; and with the last of them the endpoints that were deleted.
func TestSweepEvents(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	store, err := postgres.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := domain.NewEndpoint(domain.EndpointTerms{URL: "https://receiver.example", Status: domain.EndpointActive}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.AddEndpoint(t.Context(), endpoint, 1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		order := newOrder(t)
		lease, err := store.Begin(t.Context(), order, attemptFor(order), time.Hour, noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) { return usecase.Change{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.UpdateEndpoint(t.Context(), endpoint.ID, func(e *domain.Endpoint) error {
		e.Delete(noon)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	plans, err := store.PlannedDeliveries(t.Context())
	if err != nil || len(plans) != 3 {
		t.Fatalf("planned: %v, %v", plans, err)
	}
	later := noon.Add(time.Second)
	for _, sweep := range []struct {
		before    time.Time
		want      int64
		endpoints int
	}{{noon, 0, 1}, {later, 2, 1}, {later, 1, 0}, {later, 0, 0}} {
		if n, err := store.SweepEvents(t.Context(), sweep.before, 2); n != sweep.want || err != nil {
			t.Errorf("%d forgotten, %v; want %d", n, err, sweep.want)
		}
		var endpoints int
		if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_endpoints`).Scan(&endpoints); err != nil || endpoints != sweep.endpoints {
			t.Errorf("%d endpoints, %v; want %d", endpoints, err, sweep.endpoints)
		}
	}
	for _, plan := range plans {
		if _, err := store.Outgoing(t.Context(), plan.ID); !errors.Is(err, domain.ErrDeliveryMissing) {
			t.Errorf("delivery %s: %v", plan.ID, err)
		}
	}
	if n, err := store.CountDeliveries(t.Context(), usecase.DeliveryFilter{EndpointID: endpoint.ID}); n != 0 || err != nil {
		t.Errorf("%d deliveries are left, %v", n, err)
	}
}

// Looks counts queries.
type Looks struct{ n atomic.Int32 }

func (l *Looks) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	l.n.Add(1)
	return ctx
}

func (l *Looks) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// All that it takes to send an event is read at once: each attempt needs it, and each look waits for a connection.
func TestOutgoingIsOneLook(t *testing.T) {
	t.Parallel()
	looks := new(Looks)
	config := pgtest.New(t, postgres.Migrate).Config()
	config.ConnConfig.Tracer = looks
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	store, err := postgres.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := domain.NewEndpoint(domain.EndpointTerms{URL: "https://receiver.example", Status: domain.EndpointActive}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.AddEndpoint(t.Context(), endpoint, 1); err != nil {
		t.Fatal(err)
	}
	order := newOrder(t)
	lease, err := store.Begin(t.Context(), order, attemptFor(order), time.Hour, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) { return usecase.Change{}, nil }); err != nil {
		t.Fatal(err)
	}
	plans, err := store.PlannedDeliveries(t.Context())
	if err != nil || len(plans) != 1 {
		t.Fatalf("planned: %v, %v", plans, err)
	}
	before := looks.n.Load()
	if _, err := store.Outgoing(t.Context(), plans[0].ID); err != nil {
		t.Fatal(err)
	}
	if n := looks.n.Load() - before; n != 1 {
		t.Errorf("%d looks, want one", n)
	}
}

// What is overdue and has no job any more is planned anew, once, in its round.
func TestPlanLost(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, postgres.Migrate)
	store, err := postgres.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := domain.NewEndpoint(domain.EndpointTerms{URL: "https://receiver.example", Status: domain.EndpointActive}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.AddEndpoint(t.Context(), endpoint, 1); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		order := newOrder(t)
		lease, err := store.Begin(t.Context(), order, attemptFor(order), time.Hour, noon)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) { return usecase.Change{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	plans, err := store.PlannedDeliveries(t.Context())
	if err != nil || len(plans) != 5 {
		t.Fatalf("planned: %v, %v", plans, err)
	}
	// The first is being sent, the second was delivered, the third comes later, the fourth is in its second round.
	for i, change := range []func(*domain.Delivery){
		func(*domain.Delivery) {}, func(d *domain.Delivery) { d.Succeed(200, noon) },
		func(d *domain.Delivery) { d.Fail(500, "no", 0, noon.Add(time.Hour)) }, func(d *domain.Delivery) { d.Again(noon) },
	} {
		if _, err := store.UpdateDelivery(t.Context(), plans[i].ID, func(d *domain.Delivery) error { change(d); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	// Of the fourth it is the job of the first round that is left.
	if _, err := pool.Exec(t.Context(), `UPDATE river_job SET state = 'discarded', finalized_at = now()
		WHERE kind = 'deliver_webhook' AND args->>'delivery_id' <> $1 AND (args->>'delivery_id' <> $2 OR args->>'round' = '2')`,
		plans[0].ID.String(), plans[3].ID.String()); err != nil {
		t.Fatal(err)
	}
	want := []usecase.PlannedDelivery{plans[0], plans[3], {ID: plans[3].ID, EndpointID: endpoint.ID, Round: 2}, plans[4]}
	for _, step := range []struct {
		before time.Time
		want   int64
	}{{noon, 0}, {noon.Add(time.Second), 1}, {noon.Add(time.Second), 1}, {noon.Add(time.Second), 0}} {
		if n, err := store.PlanLost(t.Context(), step.before, 1); n != step.want || err != nil {
			t.Errorf("%d planned, %v; want %d", n, err, step.want)
		}
	}
	got, err := store.PlannedDeliveries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("planned (-want +got):\n%s", diff)
	}
}
