package repositorytest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// zero is the time of what is not planned.
var zero time.Time

func nothingLost(t *testing.T, s Store) {
	const racers = 50
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	together(racers, func(int) {
		_, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
			// A declined try to pay: two changes, of which none may be seen without the other.
			if err := o.BeginPayment(domain.Card, "test", false, noon); err != nil {
				return usecase.Change{}, err
			}
			return usecase.Change{}, o.Decline("ref", noon)
		})
		if err != nil {
			t.Error(err)
		}
	})
	got := read(t, s, o.ID())
	if got.Version != 1+2*racers || got.Payment.Attempt != racers {
		t.Errorf("version %d, attempt %d; want %d, %d", got.Version, got.Payment.Attempt, 1+2*racers, racers)
	}
}

func busyWhileLeased(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	lease := decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Keep: longLease})
	if (lease == usecase.Lease{}) {
		t.Fatal("the lease is none")
	}
	mustNotDecide := func(*domain.Order) (usecase.Change, error) {
		t.Error("somebody decides who may not")
		return usecase.Change{}, nil
	}
	if _, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, mustNotDecide); !errors.Is(err, domain.ErrBusy) {
		t.Errorf("without a lease: %v, want %v", err, domain.ErrBusy)
	}
	if _, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{Epoch: lease.Epoch + 1}, mustNotDecide); !errors.Is(err, usecase.ErrLeaseLost) {
		t.Errorf("with a lease that is not: %v, want %v", err, usecase.ErrLeaseLost)
	}
	// The holder goes on as long as it likes.
	lease = decide(t, s, o.ID(), lease, usecase.Change{Keep: longLease})
	lease = decide(t, s, o.ID(), lease, usecase.Change{Keep: longLease})
	if got := decide(t, s, o.ID(), lease, usecase.Change{}); got != (usecase.Lease{}) {
		t.Errorf("a lease that was given back is still %v", got)
	}
	decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{})
}

func leaseRunsOut(t *testing.T, s Store) {
	const short = 50 * time.Millisecond // long enough to be seen, short enough to wait for
	o := newOrder(t, uuid.New(), noon)
	began := time.Now()
	old, err := s.Begin(t.Context(), o, attemptFor(o), short, later())
	if err != nil {
		t.Fatal(err)
	}
	next := takeWhenFree(t, s, o.ID())
	if waited := time.Since(began); waited < short-time.Millisecond { // a clock may be read to the millisecond
		t.Errorf("the lease ended after %v, want %v", waited, short)
	}
	if next == old {
		t.Error("both leases are the same")
	}
	if _, _, err := s.Decide(t.Context(), o.ID(), old, changeTo(usecase.Change{})); !errors.Is(err, usecase.ErrLeaseLost) {
		t.Errorf("with the old lease: %v, want %v", err, usecase.ErrLeaseLost)
	}
	decide(t, s, o.ID(), next, usecase.Change{})
}

// takeWhenFree waits until an order is not leased any more, and takes a lease of its own.
func takeWhenFree(t *testing.T, s Store, id uuid.UUID) usecase.Lease {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		_, lease, err := s.Decide(t.Context(), id, usecase.Lease{}, changeTo(usecase.Change{Keep: longLease}))
		if err == nil {
			return lease
		}
		if !errors.Is(err, domain.ErrBusy) {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the lease does not end")
		}
	}
}

func leaseGivenBack(t *testing.T, s Store) {
	t.Run("by its holder", func(t *testing.T) {
		o := newOrder(t, uuid.New(), noon)
		lease, err := s.Begin(t.Context(), o, attemptFor(o), longLease, later())
		if err != nil {
			t.Fatal(err)
		}
		decide(t, s, o.ID(), lease, usecase.Change{})
		if _, _, err := s.Decide(t.Context(), o.ID(), lease, changeTo(usecase.Change{})); !errors.Is(err, usecase.ErrLeaseLost) {
			t.Errorf("the lease again: %v, want %v", err, usecase.ErrLeaseLost)
		}
		if next := decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Keep: longLease}); next == lease {
			t.Error("the next lease is the same as the old one")
		}
		if _, _, err := s.Decide(t.Context(), o.ID(), lease, changeTo(usecase.Change{})); !errors.Is(err, usecase.ErrLeaseLost) {
			t.Errorf("the old lease while another is out: %v, want %v", err, usecase.ErrLeaseLost)
		}
	})
	t.Run("by who came after it ran out, and took none", func(t *testing.T) {
		o := newOrder(t, uuid.New(), noon)
		lease, err := s.Begin(t.Context(), o, attemptFor(o), time.Millisecond, later())
		if err != nil {
			t.Fatal(err)
		}
		decide(t, s, o.ID(), takeWhenFree(t, s, o.ID()), usecase.Change{})
		if _, _, err := s.Decide(t.Context(), o.ID(), lease, changeTo(usecase.Change{})); !errors.Is(err, usecase.ErrLeaseLost) {
			t.Errorf("the lease again: %v, want %v", err, usecase.ErrLeaseLost)
		}
	})
}

func oneTakesTheLease(t *testing.T, s Store) {
	const racers = 20
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	errs := make([]error, racers)
	together(racers, func(i int) {
		_, _, errs[i] = s.Decide(t.Context(), o.ID(), usecase.Lease{}, changeTo(usecase.Change{Keep: longLease}))
	})
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, domain.ErrBusy):
			t.Errorf("racer %d: %v, want %v", i, err, domain.ErrBusy)
		}
	}
	if won != 1 {
		t.Errorf("%d have taken the lease, want 1", won)
	}
}

func errorChangesNothing(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	attempt := begin(t, s, o)
	lease := decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Keep: longLease, Settle: usecase.Plan{At: later()}})
	before := read(t, s, o.ID())
	plan, _, err := s.Planned(t.Context(), o.ID())
	if err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("it is not to be")
	for _, tc := range []struct {
		name   string
		change usecase.Change
	}{
		{"the lease given back", usecase.Change{Outcome: &usecase.Outcome{Error: domain.ErrInterrupted}, Settle: usecase.Plan{Never: true}}},
		{"discarded", usecase.Change{Discard: true}},
	} {
		_, _, err := s.Decide(t.Context(), o.ID(), lease, func(o *domain.Order) (usecase.Change, error) {
			if err := o.Cancel("x", "y", noon); err != nil {
				return usecase.Change{}, err
			}
			return tc.change, refusal
		})
		if !errors.Is(err, refusal) {
			t.Errorf("%s: %v, want %v", tc.name, err, refusal)
		}
	}
	expect(t, "order", read(t, s, o.ID()), before)
	expectPlan(t, s, o.ID(), plan)
	got, err := s.FindAttempt(t.Context(), attempt.UserID, attempt.Key)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "attempt", got, attempt)
	if _, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, changeTo(usecase.Change{})); !errors.Is(err, domain.ErrBusy) {
		t.Errorf("without the lease: %v, want %v", err, domain.ErrBusy)
	}
	decide(t, s, o.ID(), lease, usecase.Change{})
}

func plans(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	first, second := later().Add(time.Hour), later().Add(time.Minute)
	for _, step := range []struct {
		name string
		plan usecase.Plan
		want time.Time
	}{
		{"at a time", usecase.Plan{At: first}, first},
		{"unchanged", usecase.Plan{}, first},
		{"sooner", usecase.Plan{At: second}, second},
		{"later again", usecase.Plan{At: first}, first},
		{"never", usecase.Plan{Never: true}, zero},
		{"still never", usecase.Plan{}, zero},
		{"never twice", usecase.Plan{Never: true}, zero},
		{"after all", usecase.Plan{At: second}, second},
	} {
		decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Settle: step.plan})
		t.Log(step.name)
		expectPlan(t, s, o.ID(), step.want)
	}
}

func unplan(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	at := later().Add(time.Hour)
	decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Settle: usecase.Plan{At: at}})
	before := read(t, s, o.ID())
	for _, version := range []int64{before.Version - 1, before.Version + 1} {
		if err := s.Unplan(t.Context(), o.ID(), version); err != nil {
			t.Fatal(err)
		}
		expectPlan(t, s, o.ID(), at) // somebody has changed the order, and planned for that
	}
	if err := s.Unplan(t.Context(), uuid.New(), before.Version); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Unplan(t.Context(), o.ID(), before.Version); err != nil {
			t.Fatal(err)
		}
		expectPlan(t, s, o.ID(), zero)
	}
	expect(t, "order", read(t, s, o.ID()), before)
	decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Settle: usecase.Plan{At: at}})
	expectPlan(t, s, o.ID(), at)
}
