package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/postgres"
)

// Claim implements usecase.KeyStore, for a new key in one statement. Claims are measured by the clock of the database, which
// all replicas share.
func (s *Store) Claim(ctx context.Context, a usecase.Attempt, keep time.Duration) (usecase.Attempt, error) {
	for {
		tag, err := s.pool.Exec(ctx, `
			INSERT INTO attempts (id, user_id, key, fingerprint, order_id, created_at, held_until)
			VALUES ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp() + $6)
			ON CONFLICT ON CONSTRAINT attempts_pkey DO NOTHING`, a.ID, a.UserID, a.Key, a.Fingerprint, a.OrderID, keep)
		if err != nil {
			return usecase.Attempt{}, fmt.Errorf("insert attempt: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return a, nil
		}
		known, err := s.claimAgain(ctx, a, keep)
		if !errors.Is(err, usecase.ErrNoAttempt) { // else it was forgotten in between
			return known, err
		}
	}
}

// claimAgain answers the use of a key that was used before.
func (s *Store) claimAgain(ctx context.Context, a usecase.Attempt, keep time.Duration) (usecase.Attempt, error) {
	return postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (usecase.Attempt, error) {
		known, outcome, held := usecase.Attempt{UserID: a.UserID, Key: a.Key}, []byte(nil), false
		err := tx.QueryRow(ctx, `
			SELECT id, fingerprint, order_id, outcome, coalesce(held_until > clock_timestamp(), false)
			FROM attempts WHERE user_id = $1 AND key = $2 FOR UPDATE`, a.UserID, a.Key).
			Scan(&known.ID, &known.Fingerprint, &known.OrderID, &outcome, &held)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return usecase.Attempt{}, usecase.ErrNoAttempt
		case err != nil:
			return usecase.Attempt{}, fmt.Errorf("lock attempt: %w", err)
		case known.Fingerprint != a.Fingerprint:
			return usecase.Attempt{}, domain.ErrKeyReused
		case outcome != nil:
			known.Outcome, err = decodeOutcome(outcome)
			return known, err
		case held:
			return usecase.Attempt{}, domain.ErrKeyInProgress
		}
		if _, err := tx.Exec(ctx, `UPDATE attempts SET held_until = clock_timestamp() + $2 WHERE id = $1`, known.ID, keep); err != nil {
			return usecase.Attempt{}, fmt.Errorf("hold attempt: %w", err)
		}
		return known, nil
	})
}

// EndClaim implements usecase.KeyStore.
func (s *Store) EndClaim(ctx context.Context, id uuid.UUID, outcome *usecase.Outcome, forget bool) error {
	if forget {
		if _, err := s.pool.Exec(ctx, `DELETE FROM attempts WHERE id = $1 AND outcome IS NULL`, id); err != nil {
			return fmt.Errorf("forget attempt: %w", err)
		}
		return nil
	}
	var raw []byte
	if outcome != nil {
		var err error
		if raw, err = encodeOutcome(outcome); err != nil {
			return err
		}
	}
	if _, err := s.pool.Exec(ctx, `UPDATE attempts SET outcome = $2, held_until = NULL WHERE id = $1 AND outcome IS NULL`, id, raw); err != nil {
		return fmt.Errorf("keep the outcome: %w", err)
	}
	return nil
}
