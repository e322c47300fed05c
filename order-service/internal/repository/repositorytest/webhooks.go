package repositorytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// webhookTests are what a store of events is held to.
var webhookTests = map[string]func(*testing.T, Store){
	"endpoint: every field comes back":             everyEndpointField,
	"endpoint: no more than the limit":             endpointLimit,
	"endpoint: deleted":                            deletedEndpoint,
	"endpoint: an error changes nothing":           endpointErrorChangesNothing,
	"endpoint: pages":                              endpointPages,
	"event: told with the change":                  eventsAreTold,
	"event: only to who wants it":                  eventsAreWanted,
	"event: not of what never was":                 discardTellsNothing,
	"event: not of what was not stored":            errorTellsNothing,
	"event: an order is told of once":              createdOnce,
	"event: none is lost or doubled, many at once": eventsTogether,
	"delivery: every field comes back":             everyDeliveryField,
	"delivery: an error changes nothing":           deliveryErrorChangesNothing,
	"delivery: a new round is planned":             newRoundIsPlanned,
	"delivery: pages":                              deliveryPages,
}

func newEndpoint(t *testing.T, s Store, events ...domain.EventType) domain.Endpoint {
	t.Helper()
	endpoint, err := domain.NewEndpoint(domain.EndpointTerms{URL: "https://receiver.example/" + uuid.NewString(), Events: events, Status: domain.EndpointActive}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddEndpoint(t.Context(), endpoint, domain.MaxEndpoints); err != nil {
		t.Fatal(err)
	}
	return endpoint
}

// told returns the deliveries to an endpoint, in the order in which their events came about.
func told(t *testing.T, s Store, endpoint uuid.UUID) []domain.Delivery {
	t.Helper()
	all, err := s.ListDeliveries(t.Context(), usecase.DeliveryFilter{EndpointID: endpoint}, uuid.Nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

func typesOf(deliveries []domain.Delivery) []domain.EventType {
	var types []domain.EventType
	for _, d := range deliveries {
		types = append(types, d.EventType)
	}
	return types
}

func planned(t *testing.T, s Store) []usecase.PlannedDelivery {
	t.Helper()
	all, err := s.PlannedDeliveries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func everyEndpointField(t *testing.T, s Store) {
	one := newEndpoint(t, s, domain.OrderConfirmed, domain.PaymentWasRefunded)
	all := newEndpoint(t, s)
	for _, want := range []domain.Endpoint{one, all} {
		got, err := s.Endpoint(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "endpoint", got, want)
	}
	want := one
	want.EndpointTerms = domain.EndpointTerms{URL: "https://other.example", Events: []domain.EventType{domain.OrderShipped}, Status: domain.EndpointDisabled}
	want.Version, want.UpdatedAt = 2, noon.Add(time.Minute)
	changed, err := s.UpdateEndpoint(t.Context(), one.ID, func(e *domain.Endpoint) error { return e.Change(want.EndpointTerms, want.UpdatedAt) })
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "what the change returns", changed, want)
	got, err := s.Endpoint(t.Context(), one.ID)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "what is read", got, want)
}

func endpointLimit(t *testing.T, s Store) {
	const limit, racers = 5, 20
	errs := make([]error, racers)
	together(racers, func(i int) {
		endpoint, err := domain.NewEndpoint(domain.EndpointTerms{URL: fmt.Sprint("https://receiver.example/", i), Status: domain.EndpointActive}, noon)
		if err == nil {
			err = s.AddEndpoint(t.Context(), endpoint, limit)
		}
		errs[i] = err
	})
	added := 0
	for _, err := range errs {
		switch {
		case err == nil:
			added++
		case !errors.Is(err, domain.ErrEndpointLimit):
			t.Errorf("%v, want %v", err, domain.ErrEndpointLimit)
		}
	}
	if n, err := s.CountEndpoints(t.Context()); added != limit || n != limit || err != nil {
		t.Errorf("%d were added, %d are there, %v; want %d", added, n, err, limit)
	}
	// A deleted one makes room.
	list, err := s.ListEndpoints(t.Context(), uuid.Nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	deleteEndpoint(t, s, list[0].ID)
	newEndpoint(t, s)
}

func deleteEndpoint(t *testing.T, s Store, id uuid.UUID) {
	t.Helper()
	if _, err := s.UpdateEndpoint(t.Context(), id, func(e *domain.Endpoint) error {
		e.Delete(noon)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func deletedEndpoint(t *testing.T, s Store) {
	gone, stays := newEndpoint(t, s), newEndpoint(t, s)
	order := newOrder(t, uuid.New(), noon)
	begin(t, s, order)
	before := told(t, s, gone.ID)
	deleteEndpoint(t, s, gone.ID)
	if _, err := s.Endpoint(t.Context(), gone.ID); !errors.Is(err, domain.ErrEndpointMissing) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.UpdateEndpoint(t.Context(), gone.ID, func(*domain.Endpoint) error { return nil }); !errors.Is(err, domain.ErrEndpointMissing) {
		t.Errorf("changed: %v", err)
	}
	list, err := s.ListEndpoints(t.Context(), uuid.Nil, 10)
	if err != nil || len(list) != 1 || list[0].ID != stays.ID {
		t.Errorf("listed: %v, %v", list, err)
	}
	cancel(t, s, order.ID())
	expect(t, "what is told afterwards", told(t, s, gone.ID), before)
	// Who sends what waits is told that it need not.
	out, err := s.Outgoing(t.Context(), before[0].ID)
	if err != nil || out.Endpoint.Receives() {
		t.Errorf("what waits for it: %+v, %v", out.Endpoint, err)
	}
}

func endpointErrorChangesNothing(t *testing.T, s Store) {
	want, refusal := newEndpoint(t, s, domain.OrderShipped), errors.New("no")
	_, err := s.UpdateEndpoint(t.Context(), want.ID, func(e *domain.Endpoint) error {
		e.Events[0] = domain.OrderCreated
		e.Disable(noon)
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("%v, want %v", err, refusal)
	}
	got, err := s.Endpoint(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "endpoint", got, want)
	if _, err := s.UpdateEndpoint(t.Context(), uuid.New(), func(*domain.Endpoint) error { return nil }); !errors.Is(err, domain.ErrEndpointMissing) {
		t.Errorf("unknown: %v", err)
	}
}

func endpointPages(t *testing.T, s Store) {
	var want []uuid.UUID
	for range 5 {
		want = append([]uuid.UUID{newEndpoint(t, s).ID}, want...)
	}
	var got []uuid.UUID
	for after := uuid.Nil; ; after = got[len(got)-1] {
		page, err := s.ListEndpoints(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			got = append(got, e.ID)
		}
	}
	expect(t, "endpoints", got, want)
}

// change decides over an order.
func change(t *testing.T, s Store, id uuid.UUID, decide func(*domain.Order) error) {
	t.Helper()
	_, _, err := s.Decide(t.Context(), id, usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		return usecase.Change{}, decide(o)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eventsAreTold(t *testing.T, s Store) {
	endpoint := newEndpoint(t, s)
	order := newOrder(t, uuid.New(), noon)
	lease, err := s.Begin(t.Context(), order, attemptFor(order), longLease, later())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "told of what may be discarded", told(t, s, endpoint.ID), []domain.Delivery(nil))
	decide(t, s, order.ID(), lease, usecase.Change{})
	change(t, s, order.ID(), func(o *domain.Order) error {
		if err := o.BeginPayment(domain.Card, "test", false, noon.Add(time.Minute)); err != nil {
			return err
		}
		return o.Confirm("pay_1", noon.Add(2*time.Minute))
	})
	deliveries := told(t, s, endpoint.ID)
	expect(t, "events", typesOf(deliveries), []domain.EventType{domain.OrderCreated, domain.PaymentWasCaptured, domain.OrderConfirmed})
	var plans []usecase.PlannedDelivery
	for i, d := range deliveries {
		at := noon
		if i > 0 {
			at = noon.Add(2 * time.Minute)
		}
		expect(t, "delivery", d, domain.Delivery{
			ID: d.ID, EndpointID: endpoint.ID, EventID: d.EventID, EventType: d.EventType, OrderID: order.ID(), Status: domain.DeliveryPending,
			Round: 1, NextAttemptAt: at, CreatedAt: at,
		})
		out, err := s.Outgoing(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "what is sent: delivery", out.Delivery, d)
		expect(t, "what is sent: endpoint", out.Endpoint, endpoint)
		var body struct {
			ID   uuid.UUID
			Type domain.EventType
			Data struct {
				Order struct{ Status domain.Status }
			}
		}
		if err := json.Unmarshal(out.Body, &body); err != nil {
			t.Fatalf("%s: %v", out.Body, err)
		}
		wantStatus := domain.Confirmed
		if i == 0 {
			wantStatus = domain.Pending
		}
		if body.ID != d.EventID || body.Type != d.EventType || body.Data.Order.Status != wantStatus {
			t.Errorf("event %d is %s", i, out.Body)
		}
		plans = append(plans, usecase.PlannedDelivery{ID: d.ID, EndpointID: endpoint.ID, Round: 1})
	}
	expect(t, "planned", planned(t, s), plans)
	// A lease is no news.
	decide(t, s, order.ID(), usecase.Lease{}, usecase.Change{Keep: time.Nanosecond})
	expect(t, "told after a change that is none", told(t, s, endpoint.ID), deliveries)
}

func eventsAreWanted(t *testing.T, s Store) {
	all, cancelled, shipped := newEndpoint(t, s), newEndpoint(t, s, domain.OrderCancelled), newEndpoint(t, s, domain.OrderShipped)
	disabled := newEndpoint(t, s)
	if _, err := s.UpdateEndpoint(t.Context(), disabled.ID, func(e *domain.Endpoint) error {
		e.Disable(noon)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	order := newOrder(t, uuid.New(), noon)
	begin(t, s, order)
	cancel(t, s, order.ID())
	for _, want := range []struct {
		endpoint domain.Endpoint
		events   []domain.EventType
	}{
		{all, []domain.EventType{domain.OrderCreated, domain.OrderCancelled}},
		{cancelled, []domain.EventType{domain.OrderCancelled}}, {shipped, nil}, {disabled, nil},
	} {
		expect(t, fmt.Sprint("who wants ", want.endpoint.Events), typesOf(told(t, s, want.endpoint.ID)), want.events)
	}
	// One event has one id and one body, whoever is told.
	one, other := told(t, s, all.ID)[1], told(t, s, cancelled.ID)[0]
	first, err := s.Outgoing(t.Context(), one.ID)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Outgoing(t.Context(), other.ID)
	if err != nil {
		t.Fatal(err)
	}
	if one.EventID != other.EventID || !bytes.Equal(first.Body, second.Body) || one.ID == other.ID {
		t.Errorf("%+v and %+v are not of one event", one, other)
	}
}

func discardTellsNothing(t *testing.T, s Store) {
	endpoint := newEndpoint(t, s)
	order := newOrder(t, uuid.New(), noon)
	lease, err := s.Begin(t.Context(), order, attemptFor(order), longLease, later())
	if err != nil {
		t.Fatal(err)
	}
	decide(t, s, order.ID(), lease, usecase.Change{Discard: true, Settle: usecase.Plan{Never: true}})
	expect(t, "told", told(t, s, endpoint.ID), []domain.Delivery(nil))
	expect(t, "planned", planned(t, s), []usecase.PlannedDelivery(nil))
}

func errorTellsNothing(t *testing.T, s Store) {
	endpoint := newEndpoint(t, s)
	order := newOrder(t, uuid.New(), noon)
	begin(t, s, order)
	before, refusal := told(t, s, endpoint.ID), errors.New("no")
	_, _, err := s.Decide(t.Context(), order.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		return usecase.Change{}, errors.Join(o.Cancel("x", "y", noon), refusal)
	})
	if !errors.Is(err, refusal) {
		t.Errorf("%v, want %v", err, refusal)
	}
	expect(t, "told", told(t, s, endpoint.ID), before)
}

// The lease that an order was made with may run out: whoever takes it over tells of it, and the next one does not.
func createdOnce(t *testing.T, s Store) {
	endpoint := newEndpoint(t, s)
	order := newOrder(t, uuid.New(), noon)
	if _, err := s.Begin(t.Context(), order, attemptFor(order), time.Millisecond, later()); err != nil {
		t.Fatal(err)
	}
	lease := takeWhenFree(t, s, order.ID())
	expect(t, "told at the takeover", typesOf(told(t, s, endpoint.ID)), []domain.EventType{domain.OrderCreated})
	decide(t, s, order.ID(), lease, usecase.Change{})
	decide(t, s, order.ID(), usecase.Lease{}, usecase.Change{})
	expect(t, "told at the end", typesOf(told(t, s, endpoint.ID)), []domain.EventType{domain.OrderCreated})
}

func eventsTogether(t *testing.T, s Store) {
	const orders, rounds = 10, 5
	endpoint := newEndpoint(t, s)
	ids := make([]uuid.UUID, orders)
	for i := range ids {
		order := newOrder(t, uuid.New(), noon)
		begin(t, s, order)
		ids[i] = order.ID()
	}
	together(orders*rounds, func(i int) {
		_, _, err := s.Decide(t.Context(), ids[i%orders], usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
			if err := o.BeginPayment(domain.Card, "test", false, noon); err != nil {
				return usecase.Change{}, err
			}
			return usecase.Change{}, o.Decline("ref", noon)
		})
		if err != nil {
			t.Error(err)
		}
	})
	count := make(map[uuid.UUID]map[domain.EventType]int)
	for _, d := range told(t, s, endpoint.ID) {
		if count[d.OrderID] == nil {
			count[d.OrderID] = make(map[domain.EventType]int)
		}
		count[d.OrderID][d.EventType]++
	}
	for _, id := range ids {
		expect(t, "events of an order", count[id], map[domain.EventType]int{domain.OrderCreated: 1, domain.PaymentHasFailed: rounds})
	}
	if n := len(planned(t, s)); n != orders*(rounds+1) {
		t.Errorf("%d deliveries are planned, want %d", n, orders*(rounds+1))
	}
}

// oneDelivery is that of a new order.
func oneDelivery(t *testing.T, s Store) domain.Delivery {
	t.Helper()
	endpoint := newEndpoint(t, s)
	begin(t, s, newOrder(t, uuid.New(), noon))
	return told(t, s, endpoint.ID)[0]
}

func everyDeliveryField(t *testing.T, s Store) {
	want := oneDelivery(t, s)
	for _, step := range []func(*domain.Delivery){
		func(d *domain.Delivery) {
			d.Fail(503, "the receiver did not accept it", 0.5, noon.Add(time.Microsecond))
		},
		func(d *domain.Delivery) { d.Fail(0, "no answer", 0, noon.Add(time.Minute)) },
		func(d *domain.Delivery) { d.Succeed(204, noon.Add(time.Hour)) },
		func(d *domain.Delivery) { d.GiveUp("nobody wants it") },
		func(d *domain.Delivery) { d.Again(noon.Add(2 * time.Hour)) },
	} {
		step(&want)
		changed, err := s.UpdateDelivery(t.Context(), want.ID, func(d *domain.Delivery) error {
			step(d)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "what the change returns", changed, want)
		out, err := s.Outgoing(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "what is read", out.Delivery, want)
	}
}

func deliveryErrorChangesNothing(t *testing.T, s Store) {
	want, refusal := oneDelivery(t, s), errors.New("no")
	plans := planned(t, s)
	_, err := s.UpdateDelivery(t.Context(), want.ID, func(d *domain.Delivery) error {
		d.Again(noon)
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("%v, want %v", err, refusal)
	}
	expect(t, "deliveries", told(t, s, want.EndpointID), []domain.Delivery{want})
	expect(t, "planned", planned(t, s), plans)
	if _, err := s.UpdateDelivery(t.Context(), uuid.New(), func(*domain.Delivery) error { return nil }); !errors.Is(err, domain.ErrDeliveryMissing) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := s.Outgoing(t.Context(), uuid.New()); !errors.Is(err, domain.ErrDeliveryMissing) {
		t.Errorf("unknown: %v", err)
	}
}

func newRoundIsPlanned(t *testing.T, s Store) {
	d := oneDelivery(t, s)
	want := planned(t, s)
	if len(want) != 1 {
		t.Fatalf("planned: %v", want)
	}
	for _, step := range []func(*domain.Delivery){
		func(d *domain.Delivery) { d.Fail(500, "no", 0, noon) },
		func(d *domain.Delivery) { d.Again(noon) },
		func(d *domain.Delivery) { d.Succeed(200, noon) },
		func(d *domain.Delivery) { d.Again(noon) },
	} {
		round := d.Round
		var err error
		if d, err = s.UpdateDelivery(t.Context(), d.ID, func(d *domain.Delivery) error {
			step(d)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if d.Round != round {
			want = append(want, usecase.PlannedDelivery{ID: d.ID, EndpointID: d.EndpointID, Round: d.Round})
		}
		expect(t, "planned", planned(t, s), want)
	}
	if len(want) != 3 {
		t.Errorf("planned: %v, want 3 rounds", want)
	}
}

func deliveryPages(t *testing.T, s Store) {
	endpoint := newEndpoint(t, s)
	newEndpoint(t, s) // whose deliveries are its own
	for range 3 {
		order := newOrder(t, uuid.New(), noon)
		begin(t, s, order)
		cancel(t, s, order.ID())
	}
	all := told(t, s, endpoint.ID)
	statuses := []domain.DeliveryStatus{domain.DeliveryPending, domain.DeliveryDelivered, domain.DeliveryFailed}
	want := make(map[domain.DeliveryStatus][]uuid.UUID)
	for i, d := range all {
		d, err := s.UpdateDelivery(t.Context(), d.ID, func(d *domain.Delivery) error {
			switch statuses[i%3] {
			case domain.DeliveryDelivered:
				d.Succeed(200, noon)
			case domain.DeliveryFailed:
				d.GiveUp("no")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want[d.Status] = append([]uuid.UUID{d.ID}, want[d.Status]...)
		want[""] = append([]uuid.UUID{d.ID}, want[""]...)
	}
	for _, status := range append(statuses, "") {
		filter := usecase.DeliveryFilter{EndpointID: endpoint.ID, Status: status}
		var got []uuid.UUID
		for after := uuid.Nil; ; after = got[len(got)-1] {
			page, err := s.ListDeliveries(t.Context(), filter, after, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page[0].ID)
		}
		expect(t, fmt.Sprintf("deliveries %q", status), got, want[status])
		if n, err := s.CountDeliveries(t.Context(), filter); n != int64(len(want[status])) || err != nil {
			t.Errorf("%d are %q, %v; want %d", n, status, err, len(want[status]))
		}
	}
}
