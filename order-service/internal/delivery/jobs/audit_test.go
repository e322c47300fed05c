package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"shop.example/order-service/internal/delivery/jobs"
)

// Auditor tells of every run, and notices when two run at once.
type Auditor struct {
	runs     chan time.Time
	answer   func(n int64) (time.Duration, error)
	n        atomic.Int64
	running  atomic.Int64
	together atomic.Bool
}

func (a *Auditor) Run(ctx context.Context) (time.Duration, error) {
	if a.running.Add(1) > 1 {
		a.together.Store(true)
	}
	defer a.running.Add(-1)
	if _, ok := ctx.Deadline(); !ok {
		return 0, errors.New("it may run for ever")
	}
	n := a.n.Add(1)
	select {
	case a.runs <- time.Now():
	default: // the test has seen enough
	}
	return a.answer(n)
}

func (a *Auditor) await(t *testing.T) {
	t.Helper()
	select {
	case <-a.runs:
	case <-time.After(patience):
		t.Fatal("no audit runs")
	}
}

// Audits run at once and then every so often, one at a time on all replicas, and one that failed does not end that.
func TestAudits(t *testing.T) {
	t.Parallel()
	a := &Auditor{runs: make(chan time.Time, 100), answer: func(n int64) (time.Duration, error) {
		if n == 2 {
			return 0, errors.New("a service is away")
		}
		return 0, nil
	}}
	r := setup(t)
	for range 2 {
		workers, err := jobs.Component(r.pool, NewSettler(), r.store, slog.New(slog.DiscardHandler), jobs.Audit(a, time.Second))
		if err != nil {
			t.Fatal(err)
		}
		start(t, workers)
	}
	for range 5 {
		a.await(t)
	}
	if a.together.Load() {
		t.Error("two audits run at once")
	}
}

// An audit that is not at its end goes on soon, long before the next one is due.
func TestAuditGoesOn(t *testing.T) {
	t.Parallel()
	a := &Auditor{runs: make(chan time.Time, 100), answer: func(n int64) (time.Duration, error) {
		if n < 3 {
			return time.Millisecond, nil
		}
		return 0, nil
	}}
	r := setup(t)
	workers, err := jobs.Component(r.pool, NewSettler(), r.store, slog.New(slog.DiscardHandler), jobs.Audit(a, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	start(t, workers)
	for range 3 {
		a.await(t)
	}
}
