package postgres

import (
	"context"
	"fmt"
	"time"
)

// DeleteSessionsUnusedSince deletes up to limit sessions with their tokens, the oldest first, and returns how many it were.
// What somebody is working on is passed over.
func (s *Store) DeleteSessionsUnusedSince(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM sessions WHERE id IN (
			SELECT id FROM sessions WHERE last_used_at < $1 ORDER BY last_used_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete old sessions: %w", err)
	}
	return tag.RowsAffected(), nil
}

// DeleteTokensSpentBefore deletes up to limit spent refresh tokens, the oldest first, and returns how many it were.
func (s *Store) DeleteTokensSpentBefore(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM refresh_tokens WHERE hash IN (
			SELECT hash FROM refresh_tokens WHERE spent_at < $1 ORDER BY spent_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete old refresh tokens: %w", err)
	}
	return tag.RowsAffected(), nil
}

// ForgetSuccessors erases up to limit successors of tokens that were spent before, and returns how many it were.
func (s *Store) ForgetSuccessors(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `
		UPDATE refresh_tokens SET successor = NULL WHERE hash IN (
			SELECT hash FROM refresh_tokens WHERE successor IS NOT NULL AND spent_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		before, limit)
	if err != nil {
		return 0, fmt.Errorf("forget successors: %w", err)
	}
	return tag.RowsAffected(), nil
}

// DeleteMetersEndedBefore deletes up to limit meters that had nothing to remember any more, and returns how many it were.
func (s *Store) DeleteMetersEndedBefore(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM login_throttle WHERE (account, network) IN (
			SELECT account, network FROM login_throttle WHERE greatest(free_at, known_until) < $1
			ORDER BY greatest(free_at, known_until) LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete old meters: %w", err)
	}
	return tag.RowsAffected(), nil
}

// DeleteTombstonesOlderThan forgets up to limit users who were deleted before, and returns how many it were.
func (s *Store) DeleteTombstonesOlderThan(ctx context.Context, before time.Time, limit int) (int64, error) {
	tag, err := s.pool.Exec(ctx, `
		DELETE FROM deleted_users WHERE id IN (
			SELECT id FROM deleted_users WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		before, limit)
	if err != nil {
		return 0, fmt.Errorf("delete old tombstones: %w", err)
	}
	return tag.RowsAffected(), nil
}
