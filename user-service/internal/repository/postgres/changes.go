package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/user-service/internal/domain"
)

// SessionsEndedSince returns the sessions that ended at a time or after it.
func (s *Store) SessionsEndedSince(ctx context.Context, since time.Time) ([]uuid.UUID, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM sessions WHERE ended_at >= $1`, since)
	if err != nil {
		return nil, fmt.Errorf("select ended sessions: %w", err)
	}
	ended, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("select ended sessions: %w", err)
	}
	return ended, nil
}

// UsersChangedSince returns the users whose role changed at a time or after it, with the role that they have now, and those
// who were deleted, with none.
func (s *Store) UsersChangedSince(ctx context.Context, since time.Time) (map[uuid.UUID]domain.Role, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id, role FROM users WHERE role_changed_at >= $1
		UNION ALL SELECT id, '' FROM deleted_users WHERE deleted_at >= $1`, since)
	if err != nil {
		return nil, fmt.Errorf("select changed users: %w", err)
	}
	changed := make(map[uuid.UUID]domain.Role)
	var (
		id   uuid.UUID
		role string
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &role}, func() error {
		changed[id] = domain.Role(role)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("select changed users: %w", err)
	}
	return changed, nil
}
