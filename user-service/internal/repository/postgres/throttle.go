package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shop.example/user-service/internal/domain"
)

const selectMeter = `SELECT free_at, known_until FROM login_throttle WHERE account = $1 AND network = $2`

// ReadMeters returns what is kept of the meters, in their order.
func (s *Store) ReadMeters(ctx context.Context, meters []domain.Meter) ([]domain.MeterReading, error) {
	readings := make([]domain.MeterReading, len(meters))
	var batch pgx.Batch
	for i, m := range meters {
		batch.Queue(selectMeter, m.Key.Account, m.Key.Network).Query(readMeter(&readings[i]))
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("read meters: %w", err)
	}
	return readings, nil
}

// ChargeMeters counts a guess on each of the meters that takes one more, and returns what is kept of them then, in their
// order. It is one unit of work and one round trip. Meters are always locked in the same order, that of PasswordMeters.All.
func (s *Store) ChargeMeters(ctx context.Context, meters []domain.Meter, now time.Time) ([]domain.MeterReading, error) {
	readings := make([]domain.MeterReading, len(meters))
	var batch pgx.Batch
	for i, m := range meters {
		batch.Queue(`
			INSERT INTO login_throttle AS t (account, network, free_at) VALUES ($1, $2, $3::timestamptz + $4::interval)
			ON CONFLICT (account, network) DO UPDATE SET free_at = greatest(t.free_at, $3) + $4 WHERE t.free_at <= $5`,
			m.Key.Account, m.Key.Network, now, m.Every, m.Latest(now)).Exec(func(tag pgconn.CommandTag) error {
			readings[i].Charged = tag.RowsAffected() == 1
			return nil
		})
		batch.Queue(selectMeter, m.Key.Account, m.Key.Network).Query(readMeter(&readings[i]))
	}
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("charge meters: %w", err)
	}
	return readings, nil
}

// ReturnGuesses takes one guess off each of the meters.
func (s *Store) ReturnGuesses(ctx context.Context, meters []domain.Meter) error {
	var batch pgx.Batch
	queueReturns(&batch, meters)
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("return guesses: %w", err)
	}
	return nil
}

// RecordSignIn empties the meter of an account in a network, which the account is known in until a time, and takes one guess
// off each of the others.
func (s *Store) RecordSignIn(ctx context.Context, pair domain.Meter, others []domain.Meter, now, knownUntil time.Time) error {
	var batch pgx.Batch
	batch.Queue(`
		INSERT INTO login_throttle (account, network, free_at, known_until) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account, network) DO UPDATE SET free_at = excluded.free_at, known_until = excluded.known_until`,
		pair.Key.Account, pair.Key.Network, now, knownUntil)
	queueReturns(&batch, others)
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("record sign-in: %w", err)
	}
	return nil
}

func queueReturns(batch *pgx.Batch, meters []domain.Meter) {
	for _, m := range meters {
		batch.Queue(`UPDATE login_throttle SET free_at = free_at - $3::interval WHERE account = $1 AND network = $2`,
			m.Key.Account, m.Key.Network, m.Every)
	}
}

// readMeter sets a reading from the one row of a meter, if there is one.
func readMeter(to *domain.MeterReading) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var knownUntil *time.Time
		for rows.Next() {
			if err := rows.Scan(&to.FreeAt, &knownUntil); err != nil {
				return err
			}
		}
		to.FreeAt, to.KnownUntil = to.FreeAt.UTC(), orZero(knownUntil)
		return rows.Err()
	}
}
