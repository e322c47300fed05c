// Package jobs works the jobs that were planned in the transactions of the store.
package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"shop.example/order-service/internal/job"
	"shop.example/platform/lifecycle"
)

const (
	// workers is how many jobs run at once. Most wait for other services, and each holds a database connection now and then.
	workers = 10
	// jobTimeout bounds a job: a settlement is a handful of calls that take milliseconds, or 5 s when something hangs.
	jobTimeout = 15 * time.Second
	// rescueAfter is when a job counts as left behind by a worker that died. River looks for such jobs every 30 s, also when
	// the replica that did so has died (another one begins with it within 22 s), and moves what is due to the workers every
	// 5 s. So they run again within 17 + 30 + 5 s: no order stays in between for a minute. See nextRetry.
	rescueAfter = 17 * time.Second
	// retryStep and retryAtMost are the pause between the beginnings of two tries, which grows by the step each time. It is at
	// most half a minute, because what fails is a dependency that is away, and when it is back, customers wait for their
	// orders: 30 + 5 s at the worst.
	retryStep   = 2 * time.Second
	retryAtMost = 30 * time.Second
	// failsAtMost is how often a job fails, for as long as that makes the pauses grow. After that it is put off instead, which has
	// no end: a job that fails is discarded after its last try, and keeps every error until then.
	failsAtMost = int(retryAtMost / retryStep)
	// keysLive is how long an Idempotency-Key is kept, as the API promises.
	keysLive = 24 * time.Hour
	// sweepEvery keeps the table small without being noticed, and sweepBatch keeps each deletion at some milliseconds.
	sweepEvery = 10 * time.Minute
	sweepBatch = 1000
)

// Settler settles orders; see usecase.Checkout.
type Settler interface {
	Settle(ctx context.Context, orderID uuid.UUID) (again time.Duration, err error)
	CheckPayments(ctx context.Context, orderID uuid.UUID) error
}

// Sweeper forgets old attempts, at most limit, and returns how many they were.
type Sweeper interface {
	SweepAttempts(ctx context.Context, before time.Time, limit int) (int64, error)
}

// More adds further jobs: who works them, and what comes by itself.
type More func(*river.Config)

// Component works jobs from start to stop: those of orders, and more.
func Component(pool *pgxpool.Pool, settler Settler, sweeper Sweeper, log *slog.Logger, more ...More) (lifecycle.Component, error) {
	registered := river.NewWorkers()
	river.AddWorker(registered, &settleWorker{settler: settler, log: log})
	river.AddWorker(registered, &checkWorker{settler: settler, log: log})
	river.AddWorker(registered, &sweepWorker{sweeper: sweeper, now: time.Now, log: log})
	config := &river.Config{
		Queues:       map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
		Workers:      registered,
		Logger:       slog.New(quiet{log.Handler()}),
		ErrorHandler: failures{log},
		// What follows from an order is done at once: the default cooldown of 100 ms made it wait for most of a second.
		FetchCooldown:        5 * time.Millisecond,
		FetchPollInterval:    time.Second,
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		Middleware:           job.Tracing(),
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(sweepEvery),
			func() (river.JobArgs, *river.InsertOpts) { return job.SweepAttempts{}, nil }, &river.PeriodicJobOpts{RunOnStart: true})},
		// Done jobs are of no use but to the curious.
		CompletedJobRetentionPeriod: time.Hour,
	}
	for _, add := range more {
		add(config)
	}
	client, err := river.NewClient(riverpgxv5.New(pool), config)
	if err != nil {
		return lifecycle.Component{}, fmt.Errorf("make job workers: %w", err)
	}
	return lifecycle.Component{
		Name: "job workers",
		// The context of the start is done at the stop, which would cut off running jobs; Stop waits for them.
		Start: func(ctx context.Context) error { return client.Start(context.WithoutCancel(ctx)) },
		Stop:  func(ctx context.Context) error { return stop(ctx, client) },
	}, nil
}

// stop lets running jobs end until the context is done. Those that are cut off run again elsewhere.
func stop(ctx context.Context, client *river.Client[pgx.Tx]) error {
	if err := client.Stop(ctx); err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return client.StopAndCancel(hard)
}

type settleWorker struct {
	river.WorkerDefaults[job.Settle]
	settler Settler
	log     *slog.Logger
}

func (w *settleWorker) Work(ctx context.Context, j *river.Job[job.Settle]) error {
	again, err := w.settler.Settle(ctx, j.Args.OrderID)
	if err != nil {
		return failed(ctx, w.log, j.JobRow, fmt.Errorf("settle order %s: %w", j.Args.OrderID, err))
	}
	return unlessAgain(again)
}

func (w *settleWorker) NextRetry(j *river.Job[job.Settle]) time.Time { return nextRetry(j.JobRow) }

type checkWorker struct {
	river.WorkerDefaults[job.CheckPayments]
	settler Settler
	log     *slog.Logger
}

func (w *checkWorker) Work(ctx context.Context, j *river.Job[job.CheckPayments]) error {
	if err := w.settler.CheckPayments(ctx, j.Args.OrderID); err != nil {
		return failed(ctx, w.log, j.JobRow, fmt.Errorf("check the payments of order %s: %w", j.Args.OrderID, err))
	}
	return nil
}

func (w *checkWorker) NextRetry(j *river.Job[job.CheckPayments]) time.Time {
	return nextRetry(j.JobRow)
}

// unlessAgain ends a job, unless it is to run again.
func unlessAgain(again time.Duration) error {
	if again > 0 {
		return river.JobSnooze(again)
	}
	return nil
}

// failed has a job run again after an error, however often that was so.
func failed(ctx context.Context, log *slog.Logger, j *rivertype.JobRow, err error) error {
	if j.Attempt < failsAtMost {
		return err
	}
	failures{log}.HandleError(ctx, j, err)
	return river.JobSnooze(retryAtMost)
}

// nextRetry counts from the beginning of the last try: a job whose worker died has waited for its rescue already.
func nextRetry(j *rivertype.JobRow) time.Time {
	pause := min(time.Duration(j.Attempt)*retryStep, retryAtMost)
	if j.AttemptedAt == nil {
		return time.Now().Add(pause)
	}
	return j.AttemptedAt.Add(pause)
}

type sweepWorker struct {
	river.WorkerDefaults[job.SweepAttempts]
	sweeper Sweeper
	now     func() time.Time
	log     *slog.Logger
}

func (w *sweepWorker) Work(ctx context.Context, _ *river.Job[job.SweepAttempts]) error {
	before, total := w.now().Add(-keysLive), int64(0)
	for {
		n, err := w.sweeper.SweepAttempts(ctx, before, sweepBatch)
		total += n
		if err == nil && n == sweepBatch {
			continue
		}
		if total > 0 {
			w.log.InfoContext(ctx, "old idempotency keys forgotten", "count", total)
		}
		return err
	}
}

// failures logs the jobs that failed, as part of the trace that they belong to. They run again.
type failures struct{ log *slog.Logger }

// HandleError implements river.ErrorHandler.
func (f failures) HandleError(ctx context.Context, j *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	f.log.WarnContext(job.Context(ctx, j), "a job failed", "job", j.Kind, "attempt", j.Attempt, "error", err)
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (f failures) HandlePanic(ctx context.Context, j *rivertype.JobRow, value any, stack string) *river.ErrorHandlerResult {
	f.log.ErrorContext(job.Context(ctx, j), "a job panicked",
		"job", j.Kind, "args", string(j.EncodedArgs), "attempt", j.Attempt, "panic", fmt.Sprint(value), "stack", stack)
	return nil
}

// quiet passes on warnings and errors: what the queue says of itself when all is well is of no use.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
