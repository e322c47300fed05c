package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"shop.example/order-service/internal/delivery/jobs"
	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/lifecycle"
	"shop.example/platform/logging"
	"shop.example/platform/money"
	"shop.example/platform/pgtest"
)

// patience bounds the wait for what must happen soon. The queue looks every 5 s for jobs whose time has come.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	// As platform/telemetry sets them.
	otel.SetTracerProvider(sdktrace.NewTracerProvider())
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	os.Exit(m.Run())
}

// run is one run of a job, as its settler saw it.
type run struct {
	order     uuid.UUID
	at        time.Time
	trace     trace.SpanContext
	requestID string
}

// Settler tells of every run, and does as it is told, which is nothing at first.
type Settler struct {
	runs chan run

	mu   sync.Mutex
	next []func(context.Context) (time.Duration, error)
}

// NewSettler returns a settler that does one thing after the other.
func NewSettler(does ...func(context.Context) (time.Duration, error)) *Settler {
	return &Settler{runs: make(chan run, 100), next: does} // more runs than a test has
}

func (s *Settler) Settle(ctx context.Context, orderID uuid.UUID) (time.Duration, error) {
	s.mu.Lock()
	does := func(context.Context) (time.Duration, error) { return 0, nil }
	if len(s.next) > 0 {
		does, s.next = s.next[0], s.next[1:]
	}
	s.mu.Unlock()
	s.runs <- run{orderID, time.Now(), trace.SpanContextFromContext(ctx), baggage.FromContext(ctx).Member("request_id").Value()}
	return does(ctx)
}

// CheckPayments is a run as any other.
func (s *Settler) CheckPayments(ctx context.Context, orderID uuid.UUID) error {
	_, err := s.Settle(ctx, orderID)
	return err
}

// await returns the next run.
func (s *Settler) await(t *testing.T) run {
	t.Helper()
	select {
	case r := <-s.runs:
		return r
	case <-time.After(patience):
		t.Fatal("no job runs")
		return run{}
	}
}

// replica is a process that works jobs.
type replica struct {
	pool  *pgxpool.Pool
	store *postgres.Store
}

func setup(t *testing.T) replica {
	t.Helper()
	pool := pgtest.New(t, postgres.Migrate)
	store, err := postgres.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	return replica{pool, store}
}

// work starts to work jobs, until the test ends or stop is called.
func (r replica) work(t *testing.T, settler jobs.Settler) (stop func(context.Context) error) {
	t.Helper()
	return r.workAndLog(t, settler, slog.New(slog.DiscardHandler))
}

func (r replica) workAndLog(t *testing.T, settler jobs.Settler, log *slog.Logger) (stop func(context.Context) error) {
	t.Helper()
	workers, err := jobs.Component(r.pool, settler, r.store, log)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, workers)
}

// start starts workers, until the test ends or stop is called.
func start(t *testing.T, workers lifecycle.Component) (stop func(context.Context) error) {
	t.Helper()
	// The context of a start is done when the process is told to end, and jobs go on after that.
	starting, started := context.WithCancel(t.Context())
	if err := workers.Start(starting); err != nil {
		t.Fatal(err)
	}
	started()
	var (
		once   sync.Once
		result error
	)
	stop = func(ctx context.Context) error {
		once.Do(func() { result = workers.Stop(ctx) })
		return result
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return stop
}

func newOrder(t *testing.T, at time.Time) *domain.Order {
	t.Helper()
	order, err := domain.NewOrder(domain.Draft{
		UserID:   uuid.New(),
		Items:    []domain.Item{{ProductID: uuid.New(), SKU: "CUP-1", Name: "A cup", Quantity: 1, UnitPrice: money.MustNew(1250, "EUR")}},
		Shipping: domain.ShippingMethod{ID: "standard", Price: money.MustNew(490, "EUR")},
		Method:   domain.Card,
	}, at.UTC().Truncate(time.Microsecond))
	if err != nil {
		t.Fatal(err)
	}
	return order
}

// plan stores an order, and with it the plan to look at it.
func (r replica) plan(ctx context.Context, t *testing.T, order *domain.Order, at time.Time) usecase.Lease {
	t.Helper()
	lease, err := r.store.Begin(ctx, order, attemptFor(order), time.Hour, at)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func attemptFor(o *domain.Order) usecase.Attempt {
	return usecase.Attempt{ID: o.ID(), UserID: o.Snapshot().UserID, Key: "key", Fingerprint: "f00d", OrderID: o.ID()}
}

// unplanned waits until nothing is planned for an order any more: its job has ended well.
func (r replica) unplanned(t *testing.T, id uuid.UUID) {
	t.Helper()
	eventually(t, "the job is done", func() (bool, error) {
		_, planned, err := r.store.Planned(t.Context(), id)
		return !planned, err
	})
}

func eventually(t *testing.T, what string, is func() (bool, error)) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		ok, err := is()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// A look at the payments of an order runs at once, again when it has failed, and leaves the other plan alone.
func TestCheckRuns(t *testing.T) {
	t.Parallel()
	r := setup(t)
	settler := NewSettler(func(context.Context) (time.Duration, error) { return 0, errors.New("the provider is away") })
	r.work(t, settler)
	order, at := newOrder(t, time.Now()), time.Now().UTC().Truncate(time.Second).Add(time.Hour)
	r.plan(t.Context(), t, order, at)
	if err := r.store.PlanCheck(t.Context(), order.ID()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := settler.await(t); got.order != order.ID() {
			t.Errorf("it is order %s that is looked at, want %s", got.order, order.ID())
		}
	}
	eventually(t, "the check is done", func() (bool, error) {
		n, err := r.store.Checks(t.Context(), order.ID())
		return n == 0, err
	})
	if got, planned, err := r.store.Planned(t.Context(), order.ID()); err != nil || !planned || !got.Equal(at) {
		t.Errorf("the order is looked at %v (%v), error %v; want %v", got, planned, err, at)
	}
}

func TestJobRunsWhenItIsDue(t *testing.T) {
	t.Parallel()
	r, settler := setup(t), NewSettler()
	r.work(t, settler)
	soon := time.Now().Add(time.Second)
	later, now := newOrder(t, time.Now()), newOrder(t, time.Now())
	r.plan(t.Context(), t, later, soon)
	r.plan(t.Context(), t, now, time.Now())
	ran := make(map[uuid.UUID]time.Time)
	for range 2 {
		got := settler.await(t)
		ran[got.order] = got.at
	}
	if at, ok := ran[later.ID()]; !ok || at.Before(soon) {
		t.Errorf("the job that was due at %v ran at %v", soon, at)
	}
	r.unplanned(t, later.ID())
}

// What is due is not left to the queue's scheduler, which comes by every 5 s: a worker may take it at once.
func TestDueJobIsAvailableAtOnce(t *testing.T) {
	t.Parallel()
	r := setup(t)
	order := newOrder(t, time.Now())
	lease := r.plan(t.Context(), t, order, time.Now())
	state := func() (state string) {
		t.Helper()
		if err := r.pool.QueryRow(t.Context(), `SELECT state::text FROM river_job`).Scan(&state); err != nil {
			t.Fatal(err)
		}
		return state
	}
	if got := state(); got != "available" {
		t.Errorf("begun with a plan for now: the job is %s", got)
	}
	for _, tc := range []struct {
		at   time.Time
		want string
	}{{time.Now().Add(time.Hour), "scheduled"}, {time.Now(), "available"}} {
		var err error
		_, lease, err = r.store.Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) {
			return usecase.Change{Keep: time.Hour, Settle: usecase.Plan{At: tc.at}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := state(); got != tc.want {
			t.Errorf("planned for %v: the job is %s, want %s", tc.at, got, tc.want)
		}
	}
}

func TestFailureAndSnooze(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		does func(context.Context) (time.Duration, error)
	}{
		{"after an error", func(context.Context) (time.Duration, error) { return 0, errors.New("the provider is away") }},
		{"when it is not settled yet", func(context.Context) (time.Duration, error) { return time.Second, nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, settler := setup(t), NewSettler(tc.does)
			r.work(t, settler)
			order := newOrder(t, time.Now())
			r.plan(t.Context(), t, order, time.Now())
			first := settler.await(t)
			second := settler.await(t)
			// 900 ms: the second that was asked for, by two clocks.
			if pause := second.at.Sub(first.at); pause < 900*time.Millisecond {
				t.Errorf("it runs again after %v", pause)
			}
			if second.order != order.ID() {
				t.Error("another order is looked at")
			}
			r.unplanned(t, order.ID())
		})
	}
}

// What has failed for long is put off, not failed once more: it is never given up, and does not remember every error.
func TestJobsOutlastAnyOutage(t *testing.T) {
	t.Parallel()
	away := func(context.Context) (time.Duration, error) { return 0, errors.New("the provider is away") }
	for kind, plan := range map[string]func(r replica, t *testing.T, order *domain.Order){
		"settle_order": func(replica, *testing.T, *domain.Order) {},
		"check_payments": func(r replica, t *testing.T, order *domain.Order) {
			if err := r.store.PlanCheck(t.Context(), order.ID()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			order := newOrder(t, time.Now())
			r.plan(t.Context(), t, order, time.Now().Add(time.Hour))
			plan(r, t, order)
			if _, err := r.pool.Exec(t.Context(), `
				UPDATE river_job SET state = 'available', scheduled_at = now(), attempt = max_attempts - 1 WHERE kind = $1`, kind); err != nil {
				t.Fatal(err)
			}
			settler := NewSettler(away)
			log := make(lines, 100)
			r.workAndLog(t, settler, logging.New(log, "order-service", slog.LevelInfo))
			settler.await(t)
			eventually(t, "the job waits for its next time", func() (waits bool, err error) {
				var state string
				var errs int
				err = r.pool.QueryRow(t.Context(), `SELECT state, coalesce(cardinality(errors), 0) FROM river_job WHERE kind = $1`, kind).Scan(&state, &errs)
				if state == "discarded" || errs > 0 {
					t.Fatalf("it is %s, with %d errors", state, errs)
				}
				return state == "scheduled", err
			})
			for line := range log { // the failure is told all the same
				if strings.Contains(line, "a job failed") && strings.Contains(line, "the provider is away") {
					return
				}
			}
		})
	}
}

// The worker of a job that has failed many times died: it runs again when it is rescued, without another pause. The rescue
// itself, after 17 s and within 30 s more, is not waited for: the job is as old as if it were due.
func TestWhatADeadWorkerLeftRunsSoon(t *testing.T) {
	t.Parallel()
	r := setup(t)
	order := newOrder(t, time.Now())
	r.plan(t.Context(), t, order, time.Now())
	if _, err := r.pool.Exec(t.Context(), `
		UPDATE river_job SET state = 'running', attempt = 1000, attempted_by = '{dead}', attempted_at = now() - interval '47 seconds'`); err != nil {
		t.Fatal(err)
	}
	began, settler := time.Now(), NewSettler()
	r.work(t, settler)
	if got := settler.await(t); got.order != order.ID() {
		t.Errorf("a job of order %s ran, want one of %s", got.order, order.ID())
	}
	// 5 s of the queue's scheduler, and as much for a busy machine: 47 s and this are less than a minute.
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it ran after %v", took)
	}
	r.unplanned(t, order.ID())
}

// What was not committed never runs; what replaces a plan runs in its stead.
func TestOnlyWhatWasCommittedRuns(t *testing.T) {
	t.Parallel()
	r, settler := setup(t), NewSettler()
	first := newOrder(t, time.Now())
	lease := r.plan(t.Context(), t, first, time.Now().Add(time.Hour))

	// The number is taken, which the database says after the job was inserted.
	twin := newOrder(t, time.Now()).Snapshot()
	twin.Number = first.Snapshot().Number
	refused := domain.RestoreOrder(twin)
	if _, err := r.store.Begin(t.Context(), refused, attemptFor(refused), time.Hour, time.Now()); err == nil {
		t.Fatal("two orders have one number")
	}
	// A change that can't be stored, with a plan.
	_, _, err := r.store.Decide(t.Context(), first.ID(), lease, func(o *domain.Order) (usecase.Change, error) {
		if err := o.BeginPayment("in shells", "test", true, time.Now()); err != nil {
			return usecase.Change{}, err
		}
		return usecase.Change{Settle: usecase.Plan{At: time.Now()}}, nil
	})
	if err == nil {
		t.Fatal("an order is paid in shells")
	}

	r.work(t, settler)
	second := newOrder(t, time.Now())
	r.plan(t.Context(), t, second, time.Now())
	// The queue takes the oldest first, so those that must not run would have by now.
	if got := settler.await(t); got.order != second.ID() {
		t.Errorf("a job of order %s ran, want one of %s only", got.order, second.ID())
	}
	r.unplanned(t, second.ID())
	// Neither has taken the plan away that stood.
	if _, _, err := r.store.Decide(t.Context(), first.ID(), lease, func(*domain.Order) (usecase.Change, error) {
		return usecase.Change{Settle: usecase.Plan{At: time.Now()}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := settler.await(t); got.order != first.ID() {
		t.Errorf("a job of order %s ran, want one of %s", got.order, first.ID())
	}
	r.unplanned(t, first.ID())
	var left int
	if err := r.pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'settle_order'`).Scan(&left); err != nil || left != 2 {
		t.Errorf("%d jobs, error %v; want the 2 that ran", left, err)
	}
}

func TestJobBelongsToItsTrace(t *testing.T) {
	t.Parallel()
	r, settler := setup(t), NewSettler(func(context.Context) (time.Duration, error) { return time.Second, nil })
	r.work(t, settler)
	member, err := baggage.NewMember("request_id", "req-7f3a")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := otel.Tracer("test").Start(baggage.ContextWithBaggage(t.Context(), bag), "PlaceOrder")
	order := newOrder(t, time.Now())
	r.plan(ctx, t, order, time.Now())
	span.End()
	for _, what := range []string{"first run", "second run"} {
		got := settler.await(t)
		if got.trace.TraceID() != span.SpanContext().TraceID() || got.trace.SpanID() == span.SpanContext().SpanID() || !got.trace.IsValid() {
			t.Errorf("%s: span %v, want one of its own in trace %v", what, got.trace, span.SpanContext().TraceID())
		}
		if got.requestID != "req-7f3a" {
			t.Errorf("%s: request id %q", what, got.requestID)
		}
	}
	// One that nobody asked for has a trace of its own.
	r.plan(t.Context(), t, newOrder(t, time.Now()), time.Now())
	if got := settler.await(t); !got.trace.IsValid() || got.trace.TraceID() == span.SpanContext().TraceID() || got.requestID != "" {
		t.Errorf("span %v, request id %q; want another trace, and none", got.trace, got.requestID)
	}
}

// lines is a log.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// Nobody waits for a job's answer, so what goes wrong with it stands in the log, once, where the request can be found.
func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	r, log := setup(t), make(lines, 100)
	settler := NewSettler(
		func(context.Context) (time.Duration, error) { return 0, errors.New("the provider is away") },
		func(context.Context) (time.Duration, error) { panic("a bug") },
	)
	r.workAndLog(t, settler, logging.New(log, "order-service", slog.LevelInfo))
	ctx, span := otel.Tracer("test").Start(t.Context(), "PlaceOrder")
	order := newOrder(t, time.Now())
	r.plan(ctx, t, order, time.Now())
	span.End()
	for range 3 {
		settler.await(t)
	}
	r.unplanned(t, order.ID())
	var got []string
	for len(log) > 0 {
		if line := <-log; strings.Contains(line, `"msg":"a job `) { // the queue has a word of its own on panics
			got = append(got, line)
		}
	}
	if len(got) != 2 {
		t.Fatalf("log %q, want two lines", got)
	}
	for i, want := range []string{"the provider is away", "a bug"} {
		for _, part := range []string{want, order.ID().String(), span.SpanContext().TraceID().String()} {
			if !strings.Contains(got[i], part) {
				t.Errorf("log %s, want %s in it", got[i], part)
			}
		}
	}
}

// waited is a context that tells when somebody waits for its end.
type waited struct {
	context.Context
	by func()
}

func (w waited) Done() <-chan struct{} {
	w.by()
	return w.Context.Done()
}

func TestStopWaitsForRunningJobs(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	finished := make(chan error, 1)
	r, settler := setup(t), NewSettler(func(ctx context.Context) (time.Duration, error) {
		select {
		case <-finish:
		case <-ctx.Done():
		}
		finished <- ctx.Err()
		return 0, ctx.Err()
	})
	stop := r.work(t, settler)
	order := newOrder(t, time.Now())
	r.plan(t.Context(), t, order, time.Now())
	settler.await(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The job ends when the stop waits, and not before.
	if err := stop(waited{ctx, sync.OnceFunc(func() { close(finish) })}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-finished:
		if err != nil {
			t.Errorf("the job was cut off: %v", err)
		}
	default:
		t.Fatal("the stop has not waited for the job")
	}
	r.unplanned(t, order.ID())
}

func TestWhatTheStopCutsOffRunsElsewhere(t *testing.T) {
	t.Parallel()
	r, settler := setup(t), NewSettler(func(ctx context.Context) (time.Duration, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	stop := r.work(t, settler)
	order := newOrder(t, time.Now())
	r.plan(t.Context(), t, order, time.Now())
	settler.await(t)
	overdue, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stop(overdue); err != nil {
		t.Fatal(err)
	}
	next := NewSettler()
	r.work(t, next)
	if got := next.await(t); got.order != order.ID() {
		t.Errorf("order %s is looked at, want %s", got.order, order.ID())
	}
	r.unplanned(t, order.ID())
}

func TestOldKeysAreForgotten(t *testing.T) {
	t.Parallel()
	r := setup(t)
	done := &usecase.Outcome{Error: domain.ErrInterrupted}
	begin := func(age time.Duration, outcome *usecase.Outcome) usecase.Attempt {
		t.Helper()
		order := newOrder(t, time.Now().Add(-age))
		lease := r.plan(t.Context(), t, order, time.Now().Add(time.Hour))
		if _, _, err := r.store.Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) {
			return usecase.Change{Outcome: outcome}, nil
		}); err != nil {
			t.Fatal(err)
		}
		return attemptFor(order)
	}
	old, open, young := begin(25*time.Hour, done), begin(25*time.Hour, nil), begin(23*time.Hour, done)
	r.work(t, NewSettler()) // the first sweep comes with the start
	eventually(t, "the old key is forgotten", func() (bool, error) {
		_, err := r.store.FindAttempt(t.Context(), old.UserID, old.Key)
		if errors.Is(err, usecase.ErrNoAttempt) {
			return true, nil
		}
		return false, err
	})
	for what, a := range map[string]usecase.Attempt{"open": open, "young": young} {
		if _, err := r.store.FindAttempt(t.Context(), a.UserID, a.Key); err != nil {
			t.Errorf("the %s one: %v", what, err)
		}
	}
}
