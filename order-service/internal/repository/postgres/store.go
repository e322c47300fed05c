// Package postgres keeps orders and attempts in PostgreSQL, and plans their jobs in the same transactions.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/job"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/postgres"
)

// Store keeps orders. Each exported method is one unit of work.
type Store struct {
	pool *pgxpool.Pool
	jobs *river.Client[pgx.Tx]
}

// New returns a store on a migrated database.
func New(pool *pgxpool.Pool) (*Store, error) {
	// It only inserts: the client that works the jobs is another one, which may use this store.
	jobs, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Middleware: job.Tracing()})
	if err != nil {
		return nil, fmt.Errorf("make job client: %w", err)
	}
	return &Store{pool: pool, jobs: jobs}, nil
}

// FindAttempt implements usecase.AttemptStore.
func (s *Store) FindAttempt(ctx context.Context, userID uuid.UUID, key string) (usecase.Attempt, error) {
	a := usecase.Attempt{UserID: userID, Key: key}
	var outcome []byte
	err := s.pool.QueryRow(ctx, `
		SELECT id, fingerprint, order_id, outcome FROM attempts WHERE user_id = $1 AND key = $2`,
		userID, key).Scan(&a.ID, &a.Fingerprint, &a.OrderID, &outcome)
	if errors.Is(err, pgx.ErrNoRows) {
		return usecase.Attempt{}, usecase.ErrNoAttempt
	}
	if err != nil {
		return usecase.Attempt{}, fmt.Errorf("select attempt: %w", err)
	}
	if outcome != nil {
		if a.Outcome, err = decodeOutcome(outcome); err != nil {
			return usecase.Attempt{}, err
		}
	}
	return a, nil
}

// Begin implements usecase.AttemptStore.
func (s *Store) Begin(ctx context.Context, o *domain.Order, a usecase.Attempt, keep time.Duration, settleAt time.Time) (usecase.Lease, error) {
	lease, err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (usecase.Lease, error) {
		snapshot := o.Snapshot()
		// First, so that of two with one key the second waits here until the first has committed, and then fails.
		if _, err := tx.Exec(ctx, `
			INSERT INTO attempts (id, user_id, key, fingerprint, order_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			a.ID, a.UserID, a.Key, a.Fingerprint, a.OrderID, snapshot.CreatedAt); err != nil {
			return usecase.Lease{}, fmt.Errorf("insert attempt: %w", err)
		}
		planned, err := s.insertJob(ctx, tx, snapshot.ID, settleAt)
		if err != nil {
			return usecase.Lease{}, err
		}
		// Last, so that a coupon that many want is held as shortly as can be.
		if err := insertOrder(ctx, tx, snapshot, keep, planned); err != nil {
			return usecase.Lease{}, err
		}
		return usecase.FirstLease, takeCoupon(ctx, tx, snapshot)
	})
	return lease, translate(err)
}

// Refuse implements usecase.AttemptStore.
func (s *Store) Refuse(ctx context.Context, a usecase.Attempt) error {
	raw, err := encodeOutcome(a.Outcome)
	if err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, `
		INSERT INTO attempts (id, user_id, key, fingerprint, order_id, outcome, created_at) VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())`,
		a.ID, a.UserID, a.Key, a.Fingerprint, a.OrderID, raw); err != nil {
		return translate(fmt.Errorf("insert refused attempt: %w", err))
	}
	return nil
}

// Decide implements usecase.OrderStore. Leases are measured by the clock of the database, which all replicas share.
func (s *Store) Decide(ctx context.Context, id uuid.UUID, held usecase.Lease, decide func(*domain.Order) (usecase.Change, error)) (*domain.Order, usecase.Lease, error) {
	var lease usecase.Lease
	order, err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (*domain.Order, error) {
		row, err := lockOrder(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		switch {
		case held == usecase.Lease{} && row.leased:
			return nil, domain.ErrBusy
		case held != usecase.Lease{} && held.Epoch != row.epoch:
			return nil, usecase.ErrLeaseLost
		}
		order := domain.RestoreOrder(row.snapshot)
		change, err := decide(order)
		if err != nil {
			return nil, err
		}
		if change.Outcome != nil {
			if err := keepOutcome(ctx, tx, change.AttemptsOf(id), change.Outcome); err != nil {
				return nil, err
			}
		}
		if row.job, err = s.plan(ctx, tx, id, row.job, change.Settle); err != nil {
			return nil, err
		}
		if change.Discard || order.Status() == domain.Cancelled {
			if err := giveCouponBack(ctx, tx, row.snapshot); err != nil {
				return nil, err
			}
		}
		if change.Discard {
			return order, deleteOrder(ctx, tx, id)
		}
		told := row.snapshot
		if row.epoch == usecase.FirstLease.Epoch {
			told = domain.Snapshot{} // until now it might have been discarded, so nobody was told of it
		}
		if err := s.tell(ctx, tx, told, order.Snapshot()); err != nil {
			return nil, err
		}
		epoch := row.epoch + 1
		if change.Keep > 0 {
			lease = usecase.Lease{Epoch: epoch}
		}
		return order, updateOrder(ctx, tx, row.snapshot, order.Snapshot(), epoch, change.Keep, row.job)
	})
	if err != nil {
		return nil, usecase.Lease{}, err
	}
	return order, lease, nil
}

// plan replaces the job that looks at an order next, and returns the new one's id.
func (s *Store) plan(ctx context.Context, tx pgx.Tx, orderID uuid.UUID, old *int64, plan usecase.Plan) (*int64, error) {
	if plan == (usecase.Plan{}) {
		return old, nil
	}
	if old != nil {
		// One that is running ends by itself, and finds nothing to do.
		if _, err := s.jobs.JobDeleteTx(ctx, tx, *old); err != nil && !errors.Is(err, rivertype.ErrNotFound) && !errors.Is(err, rivertype.ErrJobRunning) {
			return nil, fmt.Errorf("delete the planned settlement: %w", err)
		}
	}
	if plan.Never {
		return nil, nil
	}
	planned, err := s.insertJob(ctx, tx, orderID, plan.At)
	if err != nil {
		return nil, err
	}
	return &planned, nil
}

// insertJob plans a look at an order and returns the job's id.
func (s *Store) insertJob(ctx context.Context, tx pgx.Tx, orderID uuid.UUID, at time.Time) (int64, error) {
	var opts river.InsertOpts
	// A job with a time, be it over, waits for the queue's scheduler, which looks every 5 s. One without is taken at once.
	if at.After(time.Now()) {
		opts.ScheduledAt = at
	}
	planned, err := s.jobs.InsertTx(ctx, tx, job.Settle{OrderID: orderID}, &opts)
	if err != nil {
		return 0, fmt.Errorf("plan the settlement: %w", err)
	}
	return planned.Job.ID, nil
}

// Unplan implements usecase.OrderStore, in one statement that nobody waits for to be on the disk: there is no harm in losing it.
// A job that is running meanwhile ends by itself. The order goes on naming the job, and whoever replaces it finds none.
func (s *Store) Unplan(ctx context.Context, id uuid.UUID, version int64) error {
	_, err := s.pool.Exec(ctx, `
		DELETE FROM river_job
		WHERE id = (SELECT settle_job FROM orders WHERE id = $1 AND version = $2) AND state IN ('available', 'scheduled', 'retryable')
			AND set_config('synchronous_commit', 'off', true) IS NOT NULL`, id, version)
	if err != nil {
		return fmt.Errorf("delete the planned settlement: %w", err)
	}
	return nil
}

// Planned returns when the order is looked at next, and whether it is: for tests and operators.
func (s *Store) Planned(ctx context.Context, id uuid.UUID) (time.Time, bool, error) {
	var at time.Time
	err := s.pool.QueryRow(ctx, `
		SELECT j.scheduled_at FROM orders o JOIN river_job j ON j.id = o.settle_job
		WHERE o.id = $1 AND j.state NOT IN ('completed', 'cancelled', 'discarded')`, id).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return at, err == nil, err
}

// SweepAttempts forgets up to limit attempts that began before a time, the oldest first, and returns how many they were. One
// that makes an order and is still open stays; what somebody is working on is passed over.
func (s *Store) SweepAttempts(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM attempts WHERE id IN (
			SELECT id FROM attempts WHERE created_at < $1 AND (outcome IS NOT NULL OR id <> order_id)
			ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete attempts: %w", err)
	}
	return tag.RowsAffected(), nil
}

// Order implements usecase.OrderStore.
func (s *Store) Order(ctx context.Context, id uuid.UUID) (*domain.Order, error) {
	orders, err := s.selectOrders(ctx, `WHERE id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(orders) == 0 {
		return nil, domain.ErrOrderMissing
	}
	return domain.RestoreOrder(orders[0]), nil
}

// ListOrders implements usecase.OrderReader. Ids are UUIDv7, so the newest come first by id alone.
func (s *Store) ListOrders(ctx context.Context, f usecase.Filter, after uuid.UUID, limit int) ([]domain.Snapshot, error) {
	where, args := conditions(f)
	if after != uuid.Nil {
		args = append(args, after)
		where += fmt.Sprintf(" AND id < $%d", len(args))
	}
	args = append(args, limit)
	return s.selectOrders(ctx, fmt.Sprintf("%s ORDER BY id DESC LIMIT $%d", where, len(args)), args...)
}

// CountOrders implements usecase.OrderReader.
func (s *Store) CountOrders(ctx context.Context, f usecase.Filter) (int64, error) {
	where, args := conditions(f)
	var n int64
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM orders `+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count orders: %w", err)
	}
	return n, nil
}

// conditions makes a WHERE clause of a filter. It holds parameters only, no values.
func conditions(f usecase.Filter) (where string, args []any) {
	where = "WHERE true"
	if f.UserID != uuid.Nil {
		args = append(args, f.UserID)
		where += fmt.Sprintf(" AND user_id = $%d", len(args))
	}
	if f.Status != "" {
		args = append(args, f.Status)
		where += fmt.Sprintf(" AND status = $%d", len(args))
	}
	return where, args
}
