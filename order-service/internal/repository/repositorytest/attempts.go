package repositorytest

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

func oneKeyOneOrder(t *testing.T, s Store) {
	const racers = 20
	user := uuid.New()
	orders, errs := make([]*domain.Order, racers), make([]error, racers)
	for i := range orders {
		orders[i] = newOrder(t, user, noon)
	}
	together(racers, func(i int) {
		attempt := attemptFor(orders[i])
		attempt.Key = "one key"
		_, errs[i] = s.Begin(t.Context(), orders[i], attempt, longLease, later())
	})
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("both %d and %d have won", winner, i)
		case !errors.Is(err, usecase.ErrKeyTaken):
			t.Errorf("racer %d: %v, want %v", i, err, usecase.ErrKeyTaken)
		}
	}
	if winner < 0 {
		t.Fatal("nobody has won")
	}
	attempt, err := s.FindAttempt(t.Context(), user, "one key")
	if err != nil {
		t.Fatal(err)
	}
	if attempt.OrderID != orders[winner].ID() {
		t.Errorf("the attempt made %s, want %s", attempt.OrderID, orders[winner].ID())
	}
	for i, o := range orders {
		if i == winner {
			continue
		}
		if _, err := s.Order(t.Context(), o.ID()); !errors.Is(err, domain.ErrOrderMissing) {
			t.Errorf("the order of loser %d: %v", i, err)
		}
		if _, planned, err := s.Planned(t.Context(), o.ID()); planned || err != nil {
			t.Errorf("the order of loser %d is planned: %v, %v", i, planned, err)
		}
	}
}

// A refusal takes the key as an order does, and one of many wins.
func refusals(t *testing.T, s Store) {
	const racers = 20
	user, errs := uuid.New(), make([]error, racers)
	orders, refused := make([]*domain.Order, racers), make([]usecase.Attempt, racers)
	for i := range orders {
		orders[i] = newOrder(t, user, noon)
		refused[i] = attemptFor(orders[i])
		refused[i].Key = "one key"
	}
	together(racers, func(i int) {
		if i%2 == 0 {
			_, errs[i] = s.Begin(t.Context(), orders[i], refused[i], longLease, later())
			return
		}
		refused[i].Outcome = &usecase.Outcome{Error: domain.ErrOutOfStock.With(apperr.Violation{
			Location: "items[0]", Message: "only 1 left", Attributes: map[string]any{"available": int64(i)},
		})}
		errs[i] = s.Refuse(t.Context(), refused[i])
	})
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("both %d and %d have won", winner, i)
		case !errors.Is(err, usecase.ErrKeyTaken):
			t.Errorf("racer %d: %v, want %v", i, err, usecase.ErrKeyTaken)
		}
	}
	if winner < 0 {
		t.Fatal("nobody has won")
	}
	attempt, err := s.FindAttempt(t.Context(), user, "one key")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "the attempt", attempt, refused[winner])

	// Nobody else's key, and found like any other use of one.
	alone := attemptFor(newOrder(t, uuid.New(), noon))
	alone.Outcome = &usecase.Outcome{Error: domain.ErrOutOfStock}
	if err := s.Refuse(t.Context(), alone); err != nil {
		t.Fatal(err)
	}
	expect(t, "claimed", claim(t, s, alone), alone)
	alone.Fingerprint = "beef"
	if _, err := s.Claim(t.Context(), alone, longLease); !errors.Is(err, domain.ErrKeyReused) {
		t.Errorf("for another request: %v", err)
	}
}

// Only who made an order ever holds the first lease: that is what allows it to discard the order.
func firstLeaseIsOnce(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	lease, err := s.Begin(t.Context(), o, attemptFor(o), longLease, later())
	if err != nil {
		t.Fatal(err)
	}
	if lease != usecase.FirstLease {
		t.Errorf("who made the order holds %v, want %v", lease, usecase.FirstLease)
	}
	keep := func(*domain.Order) (usecase.Change, error) { return usecase.Change{Keep: longLease}, nil }
	giveBack := func(*domain.Order) (usecase.Change, error) { return usecase.Change{}, nil }
	for range 3 {
		if _, _, err := s.Decide(t.Context(), o.ID(), lease, giveBack); err != nil {
			t.Fatal(err)
		}
		if _, lease, err = s.Decide(t.Context(), o.ID(), usecase.Lease{}, keep); err != nil {
			t.Fatal(err)
		}
		if lease == usecase.FirstLease {
			t.Error("another driver holds the first lease")
		}
	}
}

func keyIsTheUsers(t *testing.T, s Store) {
	for range 2 {
		o := newOrder(t, uuid.New(), noon)
		attempt := attemptFor(o)
		attempt.Key = "1"
		if _, err := s.Begin(t.Context(), o, attempt, longLease, later()); err != nil {
			t.Fatal(err)
		}
		got, err := s.FindAttempt(t.Context(), attempt.UserID, "1")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "attempt", got, attempt)
	}
}

func begins(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	plan := later()
	lease, err := s.Begin(t.Context(), o, attemptFor(o), longLease, plan)
	if err != nil {
		t.Fatal(err)
	}
	if (lease == usecase.Lease{}) {
		t.Error("the lease is none")
	}
	expectPlan(t, s, o.ID(), plan)
	if _, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, changeTo(usecase.Change{})); !errors.Is(err, domain.ErrBusy) {
		t.Errorf("without the lease: %v, want %v", err, domain.ErrBusy)
	}
	decide(t, s, o.ID(), lease, usecase.Change{})
}

func unknownAttempt(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	attempt := begin(t, s, o)
	for _, tc := range []struct {
		name string
		user uuid.UUID
		key  string
	}{
		{"another key", attempt.UserID, "another"},
		{"another user", uuid.New(), attempt.Key},
		{"no key", attempt.UserID, ""},
	} {
		if _, err := s.FindAttempt(t.Context(), tc.user, tc.key); !errors.Is(err, usecase.ErrNoAttempt) {
			t.Errorf("%s: %v, want %v", tc.name, err, usecase.ErrNoAttempt)
		}
	}
}

func outcomeOfOrder(t *testing.T, s Store) {
	o := domain.RestoreOrder(full(t))
	attempt := begin(t, s, o)
	then := read(t, s, o.ID())
	decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Outcome: &usecase.Outcome{Order: &then}})
	// A later outcome is not what the client was answered.
	cancelled, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		if err := o.Cancel("x", "y", noon); err != nil {
			return usecase.Change{}, err
		}
		now := o.Snapshot()
		return usecase.Change{Outcome: &usecase.Outcome{Order: &now}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Outcome: &usecase.Outcome{Error: domain.ErrInterrupted}})

	got, err := s.FindAttempt(t.Context(), attempt.UserID, attempt.Key)
	if err != nil {
		t.Fatal(err)
	}
	attempt.Outcome = &usecase.Outcome{Order: &then}
	expect(t, "attempt", got, attempt)
	expect(t, "the order goes on", read(t, s, o.ID()), cancelled.Snapshot())
}

// detailed has all that an error may tell a client.
var detailed = domain.ErrOutOfStock.
	With(
		apperr.Violation{Location: "items[0]", Message: "only 3 left", Attributes: map[string]any{
			"product_id": "0198c0de-0000-7000-8000-000000000000", "available": int64(3), "backorder": false,
		}},
		apperr.Violation{Location: "items[1]", Message: "nichts übrig"},
	).
	WithAttribute("order_id", "42").
	WithAttribute("total", int64(1<<60+1)). // does not survive a float
	WithAttribute("final", true)

func outcomeOfError(t *testing.T, s Store) {
	for _, want := range []*apperr.Error{detailed, domain.ErrInterrupted, domain.ErrPaymentDeclined.Wrap(errors.New("for the log"))} {
		o := newOrder(t, uuid.New(), noon)
		attempt := begin(t, s, o)
		decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Outcome: &usecase.Outcome{Error: want}})
		got, err := s.FindAttempt(t.Context(), attempt.UserID, attempt.Key)
		if err != nil {
			t.Fatal(err)
		}
		attempt.Outcome = &usecase.Outcome{Error: want}
		expect(t, want.Reason, got, attempt)
	}
}

func discard(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	attempt := attemptFor(o)
	lease, err := s.Begin(t.Context(), o, attempt, longLease, later())
	if err != nil {
		t.Fatal(err)
	}
	last, _, err := s.Decide(t.Context(), o.ID(), lease, changeTo(usecase.Change{
		Outcome: &usecase.Outcome{Error: detailed}, Settle: usecase.Plan{Never: true}, Discard: true,
	}))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "the discarded order", last.Snapshot(), o.Snapshot())
	if _, err := s.Order(t.Context(), o.ID()); !errors.Is(err, domain.ErrOrderMissing) {
		t.Errorf("order: %v, want %v", err, domain.ErrOrderMissing)
	}
	if n, err := s.CountOrders(t.Context(), usecase.Filter{}); n != 0 || err != nil {
		t.Errorf("%d orders are left, %v", n, err)
	}
	expectPlan(t, s, o.ID(), zero)

	got, err := s.FindAttempt(t.Context(), attempt.UserID, attempt.Key)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "outcome", got.Outcome, &usecase.Outcome{Error: detailed})
	expect(t, "fingerprint", got.Fingerprint, attempt.Fingerprint)
	again := newOrder(t, attempt.UserID, noon)
	attempt.OrderID = again.ID()
	if _, err := s.Begin(t.Context(), again, attempt, longLease, later()); !errors.Is(err, usecase.ErrKeyTaken) {
		t.Errorf("the key once more: %v, want %v", err, usecase.ErrKeyTaken)
	}
}
