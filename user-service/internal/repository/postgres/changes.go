package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"shop.example/user-service/internal/usecase"
)

// SessionsEndedSince returns the first limit sessions that ended at a time or after it, in the order of their ends, and all that
// ended together with the last of them.
func (s *Store) SessionsEndedSince(ctx context.Context, since time.Time, limit int) ([]usecase.EndedSession, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id, ended_at FROM sessions WHERE ended_at >= $1
		ORDER BY ended_at FETCH FIRST $2 ROWS WITH TIES`, since, limit)
	if err != nil {
		return nil, fmt.Errorf("select ended sessions: %w", err)
	}
	ended, err := pgx.CollectRows(rows, pgx.RowToStructByPos[usecase.EndedSession])
	if err != nil {
		return nil, fmt.Errorf("select ended sessions: %w", err)
	}
	return ended, nil
}

// UsersChangedSince returns likewise the users whose role changed, with the role that they have now, and those who were deleted,
// with none.
func (s *Store) UsersChangedSince(ctx context.Context, since time.Time, limit int) ([]usecase.ChangedUser, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id, role, role_changed_at AS at FROM users WHERE role_changed_at >= $1
		UNION ALL SELECT id, '', deleted_at FROM deleted_users WHERE deleted_at >= $1
		ORDER BY at FETCH FIRST $2 ROWS WITH TIES`, since, limit)
	if err != nil {
		return nil, fmt.Errorf("select changed users: %w", err)
	}
	changed, err := pgx.CollectRows(rows, pgx.RowToStructByPos[usecase.ChangedUser])
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
