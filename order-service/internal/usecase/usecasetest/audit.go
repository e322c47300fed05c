package usecasetest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// ListPayments implements usecase.PaymentLister. This provider has no clock, so everything is of every span.
func (p *FakeProvider) ListPayments(_ context.Context, _, _ time.Time, cursor string) (page []domain.PaymentRecord, next string, err error) {
	const limit = 2 // so that few payments make many pages
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, c := range p.payments {
		if c.ID != "" && key > cursor {
			page = append(page, c.record(key))
		}
	}
	slices.SortFunc(page, func(a, b domain.PaymentRecord) int { return strings.Compare(a.Key, b.Key) })
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Key
	}
	return page, next, nil
}

// LookUp implements usecase.PaymentLister.
func (p *FakeProvider) LookUp(_ context.Context, id string) (domain.PaymentRecord, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, c := range p.payments {
		if c.ID == id {
			return c.record(key), true, nil
		}
	}
	return domain.PaymentRecord{}, false, nil
}

func (c *charge) record(key string) domain.PaymentRecord {
	r := domain.PaymentRecord{
		Provider: "fake", ID: c.ID, Key: key, OrderID: c.orderID, Currency: c.amount.Currency(), Captured: c.captured, Refunded: c.refunded,
	}
	if c.Status == usecase.ProviderAuthorized || c.Status == usecase.ProviderPending {
		r.Promised = c.amount.Amount()
	}
	return r
}

// Lose forgets a payment, as a provider that was restored from an old copy.
func (p *FakeProvider) Lose(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, c := range p.payments {
		if c.ID == id {
			delete(p.payments, key)
		}
	}
}

// ListReservations implements usecase.Reservations. These shelves have no clock, so everything is of every span.
func (s *FakeStock) ListReservations(_ context.Context, _, _ time.Time, cursor string, _ int) (page []domain.Reservation, next string, err error) {
	const limit = 2 // so that few reservations make many pages
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.reservations {
		if id.String() > cursor {
			page = append(page, r.record(id))
		}
	}
	slices.SortFunc(page, func(a, b domain.Reservation) int { return bytes.Compare(a.OrderID[:], b.OrderID[:]) })
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].OrderID.String()
	}
	return page, next, nil
}

// Reservations implements usecase.Reservations.
func (s *FakeStock) Reservations(_ context.Context, orders []uuid.UUID) (map[uuid.UUID]domain.Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[uuid.UUID]domain.Reservation)
	for _, id := range orders {
		if r, ok := s.reservations[id]; ok {
			found[id] = r.record(id)
		}
	}
	return found, nil
}

func (r *reservation) record(id uuid.UUID) domain.Reservation {
	out := domain.Reservation{OrderID: id, Status: domain.ReservationStatus(r.state), Pieces: make(map[uuid.UUID]int64)}
	for _, l := range r.lines {
		out.Pieces[l.ProductID] += l.Quantity
	}
	return out
}

// Lose forgets the reservation of an order, as shelves that were restored from an old copy.
func (s *FakeStock) Lose(orderID uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reservations, orderID)
}

// ListedProvider is a provider that is held to the contract of usecase.PaymentLister, and makes the payments for that.
type ListedProvider struct {
	usecase.Payments
	usecase.PaymentLister
}

// Name is that of both.
func (p ListedProvider) Name() string { return p.PaymentLister.Name() }

// RunPaymentLister holds a kind of provider to the contract. The tests use orders of their own, so they may share one provider.
func RunPaymentLister(t *testing.T, newProvider func(t *testing.T) ListedProvider) {
	for name, test := range map[string]func(*testing.T, ListedProvider){
		"list: what became of each payment": listsStates,
		"list: all pages":                   listsPages,
		"look up: what there is not":        looksUpNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newProvider(t))
		})
	}
}

// listed returns the payments of some orders in the order of their keys, each once, as the list has it. What the list has twice,
// because more than one thing happened to it, is the same both times.
func listed(t *testing.T, p ListedProvider, orders ...uuid.UUID) []domain.PaymentRecord {
	t.Helper()
	found := make(map[string]domain.PaymentRecord)
	for cursor := ""; ; {
		page, next, err := p.ListPayments(t.Context(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour), cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			if slices.Contains(orders, r.OrderID) {
				found[r.ID] = r
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	records := make([]domain.PaymentRecord, 0, len(found))
	for _, r := range found {
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b domain.PaymentRecord) int { return strings.Compare(a.Key, b.Key) })
	return records
}

func listsStates(t *testing.T, p ListedProvider) {
	var (
		orders []uuid.UUID
		want   []domain.PaymentRecord
	)
	total := price.Amount()
	for _, tc := range []struct {
		token string
		do    func(a attempt, id string)
		want  domain.PaymentRecord
	}{
		{TokOK, func(attempt, string) {}, domain.PaymentRecord{Promised: total}},
		{TokDeclined, func(attempt, string) {}, domain.PaymentRecord{}},
		{TokOK, func(a attempt, id string) { a.capture(t, id) }, domain.PaymentRecord{Captured: total}},
		{TokOK, func(a attempt, _ string) { a.reverse(t) }, domain.PaymentRecord{}},
		{TokOK, func(a attempt, id string) { a.capture(t, id); a.refund(t, "1", 990) }, domain.PaymentRecord{Captured: total, Refunded: 990}},
		{TokOK, func(a attempt, id string) { a.capture(t, id); a.reverse(t) }, domain.PaymentRecord{Captured: total, Refunded: total}},
	} {
		a := newAttempt(PaymentProvider{Payments: p.Payments})
		id := a.authorize(t, tc.token).ID
		tc.do(a, id)
		tc.want.Provider, tc.want.ID, tc.want.Key, tc.want.OrderID, tc.want.Currency = p.Name(), id, a.key, a.order, price.Currency()
		orders, want = append(orders, a.order), append(want, tc.want)
	}
	got := listed(t, p, orders...)
	slices.SortFunc(want, func(a, b domain.PaymentRecord) int { return strings.Compare(a.Key, b.Key) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	for _, w := range want {
		got, known, err := p.LookUp(t.Context(), w.ID)
		if err != nil || !known || got != w {
			t.Errorf("looked up: %+v, %v, %v; want %+v", got, known, err, w)
		}
	}
}

func listsPages(t *testing.T, p ListedProvider) {
	const payments = 230 // three pages of any provider
	orders := make([]uuid.UUID, payments)
	for i := range orders {
		a := newAttempt(PaymentProvider{Payments: p.Payments})
		a.authorize(t, TokOK)
		orders[i] = a.order
	}
	if got := listed(t, p, orders...); len(got) != payments {
		t.Errorf("%d payments are listed, want %d", len(got), payments)
	}
}

func looksUpNothing(t *testing.T, p ListedProvider) {
	if got, known, err := p.LookUp(t.Context(), "pay_nothing"); err != nil || known {
		t.Errorf("%+v, %v, %v; want that it is not known", got, known, err)
	}
}
