package repositorytest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// claimFor is the use of a key by something that is done with an order.
func claimFor(o *domain.Order) usecase.Attempt {
	a := attemptFor(o)
	a.ID, a.Key = uuid.New(), "a key of its own"
	return a
}

func claim(t *testing.T, s Store, a usecase.Attempt) usecase.Attempt {
	t.Helper()
	got, err := s.Claim(t.Context(), a, longLease)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func claims(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	a := claimFor(o)
	expect(t, "a new key", claim(t, s, a), a)
	again := a
	again.ID = uuid.New()
	if _, err := s.Claim(t.Context(), again, longLease); !errors.Is(err, domain.ErrKeyInProgress) {
		t.Errorf("while it is held: %v", err)
	}
	other := again
	other.Fingerprint = "beef"
	if _, err := s.Claim(t.Context(), other, longLease); !errors.Is(err, domain.ErrKeyReused) {
		t.Errorf("for another request, while it is held: %v", err)
	}
	another := again
	another.UserID = uuid.New()
	expect(t, "another user's", claim(t, s, another), another)

	// Left half way: the next one goes on with the first use.
	if err := s.EndClaim(t.Context(), a.ID, nil, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), other, longLease); !errors.Is(err, domain.ErrKeyReused) {
		t.Errorf("for another request, when it was left: %v", err)
	}
	expect(t, "the one that was left", claim(t, s, again), a)
	if _, err := s.Claim(t.Context(), again, longLease); !errors.Is(err, domain.ErrKeyInProgress) {
		t.Errorf("while it is held again: %v", err)
	}

	snapshot := o.Snapshot()
	ended := &usecase.Outcome{Order: &snapshot}
	for _, outcome := range []*usecase.Outcome{ended, {Error: domain.ErrNotPayable}, nil} { // the first one is kept
		if err := s.EndClaim(t.Context(), a.ID, outcome, false); err != nil {
			t.Fatal(err)
		}
		got := claim(t, s, again)
		expect(t, "its outcome", got, usecase.Attempt{
			ID: a.ID, UserID: a.UserID, Key: a.Key, Fingerprint: a.Fingerprint, OrderID: a.OrderID, Outcome: ended,
		})
	}
	if err := s.EndClaim(t.Context(), a.ID, nil, true); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, s, again); got.Outcome == nil {
		t.Error("what has an outcome was forgotten")
	}
	if _, err := s.Claim(t.Context(), other, longLease); !errors.Is(err, domain.ErrKeyReused) {
		t.Errorf("for another request, when it is over: %v", err)
	}
}

func claimForgotten(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	a := claim(t, s, claimFor(o))
	if err := s.EndClaim(t.Context(), a.ID, nil, true); err != nil {
		t.Fatal(err)
	}
	other := a
	other.ID, other.Fingerprint = uuid.New(), "beef"
	expect(t, "another request under the key", claim(t, s, other), other)
	if err := s.EndClaim(t.Context(), a.ID, &usecase.Outcome{Error: domain.ErrNotPayable}, false); err != nil {
		t.Errorf("the end of what is forgotten: %v", err)
	}
}

func claimRunsOut(t *testing.T, s Store) {
	const short = 50 * time.Millisecond // long enough to be seen, short enough to wait for
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	a, began := claimFor(o), time.Now()
	if _, err := s.Claim(t.Context(), a, short); err != nil {
		t.Fatal(err)
	}
	next := a
	next.ID = uuid.New()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		got, err := s.Claim(t.Context(), next, longLease)
		if err == nil {
			expect(t, "what was left", got, a)
			break
		}
		if !errors.Is(err, domain.ErrKeyInProgress) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the claim does not end")
		}
	}
	if waited := time.Since(began); waited < short-time.Millisecond { // a clock may be read to the millisecond
		t.Errorf("the claim ended after %v, want %v", waited, short)
	}
}

// One key, whatever it is used for.
func keysAreOneNamespace(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	placed := begin(t, s, o)
	pay := claimFor(o)
	pay.Key, pay.Fingerprint = placed.Key, "beef"
	if _, err := s.Claim(t.Context(), pay, longLease); !errors.Is(err, domain.ErrKeyReused) {
		t.Errorf("the key that made the order: %v", err)
	}
	pay.Key = "key of a payment"
	claim(t, s, pay)
	second := newOrder(t, pay.UserID, noon)
	attempt := attemptFor(second)
	attempt.Key = pay.Key
	if _, err := s.Begin(t.Context(), second, attempt, longLease, later()); !errors.Is(err, usecase.ErrKeyTaken) {
		t.Errorf("the key of a payment makes an order: %v", err)
	}
	found, err := s.FindAttempt(t.Context(), pay.UserID, pay.Key)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "found", found, pay)
}

// A change of an order keeps the outcome of those attempts that it names, and of no other.
func outcomesByName(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	placed := begin(t, s, o)
	named, other := claimFor(o), claimFor(o)
	other.Key = "another"
	claim(t, s, named)
	claim(t, s, other)
	decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{
		Outcome: &usecase.Outcome{Error: domain.ErrPaymentDeclined}, For: []uuid.UUID{named.ID, uuid.Nil},
	})
	decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Outcome: &usecase.Outcome{Error: domain.ErrInterrupted}})
	for _, tc := range []struct {
		name string
		a    usecase.Attempt
		want error
	}{{"the one that is named", named, domain.ErrPaymentDeclined}, {"the one that made the order", placed, domain.ErrInterrupted}, {"another", other, nil}} {
		got, err := s.FindAttempt(t.Context(), tc.a.UserID, tc.a.Key)
		if err != nil {
			t.Fatal(err)
		}
		if (got.Outcome == nil) != (tc.want == nil) || got.Outcome != nil && !errors.Is(got.Outcome.Error, tc.want) {
			t.Errorf("%s: %+v, want %v", tc.name, got.Outcome, tc.want)
		}
	}
}

func claimTogether(t *testing.T, s Store) {
	const racers = 20
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	errs := make([]error, racers)
	together(racers, func(i int) {
		a := claimFor(o)
		_, errs[i] = s.Claim(t.Context(), a, longLease)
	})
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, domain.ErrKeyInProgress):
			t.Errorf("racer %d: %v, want %v", i, err, domain.ErrKeyInProgress)
		}
	}
	if won != 1 {
		t.Errorf("%d hold the key, want 1", won)
	}
}
