package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/eventjson"
	"shop.example/order-service/internal/job"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/postgres"
)

// tell writes down the events of a change of an order, and plans to send them, in the transaction of the change. Where nobody
// listens that is one cheap look.
func (s *Store) tell(ctx context.Context, tx pgx.Tx, before, after domain.Snapshot) error {
	types := domain.EventsOf(before, after)
	if len(types) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoints
		WHERE status = 'active' AND deleted_at IS NULL AND (events = '{}' OR events && $1)`, types)
	if err != nil {
		return fmt.Errorf("select endpoints: %w", err)
	}
	endpoints, err := pgx.CollectRows(rows, scanEndpoint)
	if err != nil {
		return fmt.Errorf("read endpoints: %w", err)
	}
	if len(endpoints) == 0 {
		return nil
	}
	var (
		batch pgx.Batch
		jobs  []river.InsertManyParams
	)
	for _, eventType := range types {
		planned, err := queueEvent(&batch, eventType, after, endpoints)
		if err != nil {
			return err
		}
		jobs = append(jobs, planned...)
	}
	if len(jobs) == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	if _, err := s.jobs.InsertManyTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("plan deliveries: %w", err)
	}
	return nil
}

// queueEvent inserts an event with a delivery for each endpoint that wants it, if one does.
func queueEvent(batch *pgx.Batch, eventType domain.EventType, order domain.Snapshot, endpoints []domain.Endpoint) ([]river.InsertManyParams, error) {
	event, err := domain.NewEvent(eventType, order)
	if err != nil {
		return nil, err
	}
	var jobs []river.InsertManyParams
	for _, endpoint := range endpoints {
		if !endpoint.Wants(eventType) {
			continue
		}
		if jobs == nil {
			if event.Body, err = eventjson.Body(event, order); err != nil {
				return nil, err
			}
			batch.Queue(`INSERT INTO webhook_events (id, type, order_id, created_at, body) VALUES ($1, $2, $3, $4, $5)`,
				event.ID, event.Type, event.OrderID, event.CreatedAt, event.Body)
		}
		d, err := domain.NewDelivery(event, endpoint.ID)
		if err != nil {
			return nil, err
		}
		batch.Queue(`
			INSERT INTO webhook_deliveries (id, endpoint_id, event_id, status, attempts, tries, round, last_status, last_error,
				last_attempt_at, next_attempt_at, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			d.ID, d.EndpointID, d.EventID, d.Status, d.Attempts, d.Tries, d.Round, d.LastStatus, d.LastError,
			known(d.LastAttemptAt), known(d.NextAttemptAt), d.CreatedAt)
		jobs = append(jobs, river.InsertManyParams{Args: deliveryJob(d)})
	}
	return jobs, nil
}

func deliveryJob(d domain.Delivery) job.DeliverWebhook {
	return job.DeliverWebhook{DeliveryID: d.ID, EndpointID: d.EndpointID, Round: d.Round}
}

// deliveryColumns are those of webhook_deliveries d and webhook_events e.
const deliveryColumns = `d.id, d.endpoint_id, d.event_id, e.type, e.order_id, d.status, d.attempts, d.tries, d.round, d.last_status,
	d.last_error, d.last_attempt_at, d.next_attempt_at, d.created_at`

// scanDelivery reads deliveryColumns, and what follows them into more.
func scanDelivery(row pgx.CollectableRow, more ...any) (domain.Delivery, error) {
	var (
		d          domain.Delivery
		last, next *time.Time
	)
	err := row.Scan(append([]any{
		&d.ID, &d.EndpointID, &d.EventID, &d.EventType, &d.OrderID, &d.Status, &d.Attempts, &d.Tries, &d.Round, &d.LastStatus,
		&d.LastError, &last, &next, &d.CreatedAt,
	}, more...)...)
	d.LastAttemptAt, d.NextAttemptAt, d.CreatedAt = moment(last), moment(next), d.CreatedAt.UTC()
	return d, err
}

// selectDeliveries returns the deliveries of a query over webhook_deliveries d and webhook_events e.
func selectDeliveries(ctx context.Context, db selector, clause string, args ...any) ([]domain.Delivery, error) {
	rows, err := db.Query(ctx, `SELECT `+deliveryColumns+` FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("select deliveries: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (domain.Delivery, error) { return scanDelivery(row) })
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return all, nil
}

// UpdateDelivery implements usecase.DeliveryStore.
func (s *Store) UpdateDelivery(ctx context.Context, id uuid.UUID, change func(*domain.Delivery) error) (domain.Delivery, error) {
	return postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (domain.Delivery, error) {
		found, err := selectDeliveries(ctx, tx, `WHERE d.id = $1 FOR UPDATE OF d`, id)
		switch {
		case err != nil:
			return domain.Delivery{}, err
		case len(found) == 0:
			return domain.Delivery{}, domain.ErrDeliveryMissing
		}
		d := found[0]
		if err := change(&d); err != nil || d == found[0] {
			return d, err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE webhook_deliveries SET status = $2, attempts = $3, tries = $4, round = $5, last_status = $6, last_error = $7,
				last_attempt_at = $8, next_attempt_at = $9
			WHERE id = $1`, d.ID, d.Status, d.Attempts, d.Tries, d.Round, d.LastStatus, d.LastError,
			known(d.LastAttemptAt), known(d.NextAttemptAt)); err != nil {
			return domain.Delivery{}, fmt.Errorf("update delivery: %w", err)
		}
		if d.Round == found[0].Round {
			return d, nil
		}
		if _, err := s.jobs.InsertTx(ctx, tx, deliveryJob(d), nil); err != nil {
			return domain.Delivery{}, fmt.Errorf("plan the delivery: %w", err)
		}
		return d, nil
	})
}

// Outgoing implements usecase.OutgoingStore.
func (s *Store) Outgoing(ctx context.Context, deliveryID uuid.UUID) (usecase.Outgoing, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT `+deliveryColumns+`, e.body, p.*
		FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event_id
			JOIN (SELECT `+endpointColumns+` FROM webhook_endpoints) p ON p.id = d.endpoint_id
		WHERE d.id = $1`, deliveryID)
	if err != nil {
		return usecase.Outgoing{}, fmt.Errorf("select what is sent: %w", err)
	}
	out, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (out usecase.Outgoing, err error) {
		var endpoint endpointRow
		out.Delivery, err = scanDelivery(row, append([]any{&out.Body}, endpoint.columns()...)...)
		out.Endpoint = endpoint.endpoint()
		return out, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return usecase.Outgoing{}, domain.ErrDeliveryMissing
	}
	if err != nil {
		return usecase.Outgoing{}, fmt.Errorf("read what is sent: %w", err)
	}
	return out, nil
}

// ListDeliveries implements usecase.DeliveryReader. Ids are UUIDv7, so the newest come first by id alone.
func (s *Store) ListDeliveries(ctx context.Context, f usecase.DeliveryFilter, after uuid.UUID, limit int) ([]domain.Delivery, error) {
	where, args := deliveryConditions(f)
	if after != uuid.Nil {
		args = append(args, after)
		where += fmt.Sprintf(" AND d.id < $%d", len(args))
	}
	args = append(args, limit)
	return selectDeliveries(ctx, s.pool, fmt.Sprintf("%s ORDER BY d.id DESC LIMIT $%d", where, len(args)), args...)
}

// CountDeliveries implements usecase.DeliveryReader.
func (s *Store) CountDeliveries(ctx context.Context, f usecase.DeliveryFilter) (int64, error) {
	where, args := deliveryConditions(f)
	var n int64
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM webhook_deliveries d `+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count deliveries: %w", err)
	}
	return n, nil
}

// deliveryConditions makes a WHERE clause of a filter. It holds parameters only, but for the states of which there are few,
// which the database is to know when it chooses an index.
func deliveryConditions(f usecase.DeliveryFilter) (where string, args []any) {
	where, args = "WHERE d.endpoint_id = $1", []any{f.EndpointID}
	if f.Status != "" {
		where, args = where+" AND d.status = $2", append(args, f.Status)
	}
	if f.Status == domain.DeliveryPending || f.Status == domain.DeliveryFailed {
		where += " AND d.status <> 'delivered'"
	}
	return where, args
}

// PlannedDeliveries returns what is planned to be sent, the oldest first: for tests and operators.
func (s *Store) PlannedDeliveries(ctx context.Context) ([]usecase.PlannedDelivery, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT (args->>'delivery_id')::uuid, (args->>'endpoint_id')::uuid, (args->>'round')::int FROM river_job
		WHERE kind = $1 AND state NOT IN ('completed', 'cancelled', 'discarded') ORDER BY id`, job.DeliverWebhook{}.Kind())
	if err != nil {
		return nil, fmt.Errorf("select jobs: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[usecase.PlannedDelivery])
}

// PlanLost plans up to limit deliveries anew that have been due since before a time and have no job any more, the oldest first,
// and returns how many they were.
func (s *Store) PlanLost(ctx context.Context, before time.Time, limit int) (int64, error) {
	return postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (int64, error) {
		// Who is locked is being written to, so it is not lost.
		lost, err := selectDeliveries(ctx, tx, `
			WHERE d.status = 'pending' AND d.next_attempt_at < $1 AND NOT EXISTS (
				SELECT FROM river_job j
				WHERE j.kind = $2 AND j.state NOT IN ('completed', 'cancelled', 'discarded')
					AND (j.args->>'delivery_id')::uuid = d.id AND (j.args->>'round')::int = d.round)
			ORDER BY d.id LIMIT $3 FOR UPDATE OF d SKIP LOCKED`, before, job.DeliverWebhook{}.Kind(), limit)
		if err != nil || len(lost) == 0 {
			return 0, err
		}
		jobs := make([]river.InsertManyParams, len(lost))
		for i, d := range lost {
			jobs[i].Args = deliveryJob(d)
		}
		if _, err := s.jobs.InsertManyTx(ctx, tx, jobs); err != nil {
			return 0, fmt.Errorf("plan deliveries: %w", err)
		}
		return int64(len(lost)), nil
	})
}

// SweepEvents forgets up to limit events from before a time, the oldest first, with their deliveries, and returns how many they
// were. With the last of them it forgets the endpoints that were deleted before that time.
func (s *Store) SweepEvents(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM webhook_events WHERE id IN (
			SELECT id FROM webhook_events WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)`, before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete events: %w", err)
	}
	n := tag.RowsAffected()
	if n == int64(limit) {
		return n, nil
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM webhook_endpoints e WHERE deleted_at < $1
		AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id)`, before); err != nil {
		return n, fmt.Errorf("delete endpoints: %w", err)
	}
	return n, nil
}
