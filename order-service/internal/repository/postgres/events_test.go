package postgres_test

import (
	"errors"
	"testing"
	"time"

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
