package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
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

// DeletionsAfter returns up to limit deletions behind one, in the order of time and, in one moment, of ids.
func (s *Store) DeletionsAfter(ctx context.Context, after usecase.Deletion, limit int) ([]usecase.Deletion, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id, deleted_at FROM deleted_users WHERE (deleted_at, id) > ($1, $2) ORDER BY deleted_at, id LIMIT $3`,
		after.At, after.UserID, limit)
	if err != nil {
		return nil, fmt.Errorf("select deleted users: %w", err)
	}
	deletions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d usecase.Deletion, err error) {
		err = row.Scan(&d.UserID, &d.At)
		d.At = d.At.UTC()
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("select deleted users: %w", err)
	}
	return deletions, nil
}
