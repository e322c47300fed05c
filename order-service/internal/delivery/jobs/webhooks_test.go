package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/delivery/jobs"
	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// Deliverer tells of every delivery, and does as it is told.
type Deliverer struct {
	begun chan usecase.PlannedDelivery
	does  func(context.Context, uuid.UUID) (time.Duration, error)
}

func (d *Deliverer) Deliver(ctx context.Context, id uuid.UUID, round int) (time.Duration, error) {
	d.begun <- usecase.PlannedDelivery{ID: id, Round: round}
	return d.does(ctx, id)
}

func (d *Deliverer) await(t *testing.T) usecase.PlannedDelivery {
	t.Helper()
	select {
	case begun := <-d.begun:
		return begun
	case <-time.After(patience):
		t.Fatal("nothing is delivered")
		return usecase.PlannedDelivery{}
	}
}

func (r replica) deliver(t *testing.T, settler jobs.Settler, deliverer jobs.Deliverer) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	workers, err := jobs.Component(r.pool, settler, r.store, log, jobs.Webhooks(deliverer, r.store, log))
	if err != nil {
		t.Fatal(err)
	}
	if err := workers.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := workers.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
}

func (r replica) endpoint(t *testing.T) domain.Endpoint {
	t.Helper()
	e, err := domain.NewEndpoint(domain.EndpointTerms{URL: "https://receiver.example", Status: domain.EndpointActive}, time.Now().UTC())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.store.AddEndpoint(t.Context(), e, domain.MaxEndpoints); err != nil {
		t.Fatal(err)
	}
	return e
}

// tell makes an order and tells of it.
func (r replica) tell(t *testing.T) {
	t.Helper()
	r.tellOf(t, newOrder(t, time.Now()))
}

func (r replica) tellOf(t *testing.T, order *domain.Order) {
	t.Helper()
	lease := r.plan(t.Context(), t, order, time.Now().Add(time.Hour))
	if _, _, err := r.store.Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) { return usecase.Change{}, nil }); err != nil {
		t.Fatal(err)
	}
}

// A delivery is begun at once, again when it failed or is to be, and again at once in a round that was begun by hand.
func TestDeliveriesRun(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.endpoint(t)
	answers := make(chan func() (time.Duration, error), 4)
	for _, answer := range []func() (time.Duration, error){
		func() (time.Duration, error) { return 0, errors.New("the database is away") },
		func() (time.Duration, error) { return time.Second, nil },
		func() (time.Duration, error) { return time.Hour, nil },
		func() (time.Duration, error) { return 0, nil },
	} {
		answers <- answer
	}
	d := &Deliverer{begun: make(chan usecase.PlannedDelivery, 10), does: func(context.Context, uuid.UUID) (time.Duration, error) { return (<-answers)() }}
	r.deliver(t, NewSettler(), d)
	r.tell(t)
	first := d.await(t)
	for range 2 {
		if again := d.await(t); again != first {
			t.Errorf("%+v is delivered, want %+v", again, first)
		}
	}
	if _, err := r.store.UpdateDelivery(t.Context(), first.ID, func(d *domain.Delivery) error {
		d.Again(time.Now())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if next := d.await(t); next != (usecase.PlannedDelivery{ID: first.ID, Round: 2}) {
		t.Errorf("%+v is delivered, want round 2", next)
	}
}

// A replica of an older release discards what it does not know when it finds that its worker died. Then the next sweep plans
// it anew, and nothing else.
func TestALostDeliveryIsPlannedAnew(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.endpoint(t)
	r.tellOf(t, newOrder(t, time.Now().Add(-time.Hour)))
	lost, err := r.store.PlannedDeliveries(t.Context())
	if err != nil || len(lost) != 1 {
		t.Fatalf("planned: %+v, %v", lost, err)
	}
	if _, err := r.pool.Exec(t.Context(), `UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE kind = 'deliver_webhook'`); err != nil {
		t.Fatal(err)
	}
	d := &Deliverer{begun: make(chan usecase.PlannedDelivery, 10), does: func(context.Context, uuid.UUID) (time.Duration, error) { return 0, nil }}
	r.deliver(t, NewSettler(), d)
	if got := d.await(t); got.ID != lost[0].ID || got.Round != lost[0].Round {
		t.Errorf("%+v is delivered, want %+v", got, lost[0])
	}
}

// Of a receiver that hangs, however much there is for it, no other is kept waiting, and no order.
func TestAReceiverThatHangsIsAlone(t *testing.T) {
	t.Parallel()
	const events = 100 // more than there are workers
	r := setup(t)
	hanging := r.endpoint(t)
	for range events {
		r.tell(t)
	}
	var (
		mu     sync.Mutex
		of     = make(map[uuid.UUID]uuid.UUID) // endpoints by their deliveries
		active int
		most   int
	)
	know := func(endpoint uuid.UUID) {
		all, err := r.store.ListDeliveries(t.Context(), usecase.DeliveryFilter{EndpointID: endpoint}, uuid.Nil, 1000)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, d := range all {
			of[d.ID] = endpoint
		}
	}
	know(hanging.ID)
	release, others := make(chan struct{}), make(chan struct{}, 10)
	full := make(chan struct{}, events)
	d := &Deliverer{begun: make(chan usecase.PlannedDelivery, 10*events), does: func(ctx context.Context, id uuid.UUID) (time.Duration, error) {
		mu.Lock()
		hangs := of[id] == hanging.ID
		if hangs {
			active++
			most = max(most, active)
		}
		mu.Unlock()
		if !hangs {
			others <- struct{}{}
			return 0, nil
		}
		full <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		mu.Lock()
		defer mu.Unlock()
		active--
		return 0, nil
	}}
	settler := NewSettler()
	r.deliver(t, settler, d)
	for range 8 { // as many as may be under way
		select {
		case <-full:
		case <-time.After(patience):
			t.Fatal("nothing is sent to who hangs")
		}
	}
	// Now it hangs. Another endpoint, and an order that is to be looked at, have their turn.
	if _, err := r.store.UpdateEndpoint(t.Context(), hanging.ID, func(e *domain.Endpoint) error {
		e.Disable(time.Now().UTC())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	healthy := r.endpoint(t)
	r.tell(t)
	know(healthy.ID)
	began := time.Now()
	select {
	case <-others:
	case <-time.After(patience):
		t.Fatal("another endpoint waits for the one that hangs")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("another endpoint waited for %v", took)
	}
	order := newOrder(t, time.Now())
	r.plan(t.Context(), t, order, time.Now())
	if got := settler.await(t); got.order != order.ID() {
		t.Errorf("order %s is looked at, want %s", got.order, order.ID())
	}
	close(release)
	mu.Lock()
	defer mu.Unlock()
	if most != 8 {
		t.Errorf("%d deliveries to one endpoint were under way, want 8", most)
	}
}
