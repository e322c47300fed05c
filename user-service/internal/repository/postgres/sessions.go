package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/user-service/internal/domain"
)

type sessionRow struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	UserAgent  string
	IP         string
	OpenedAt   time.Time
	LastUsedAt time.Time
	EndedAt    *time.Time
	EndReason  *string
}

// selectSession reads and locks a session.
func selectSession(ctx context.Context, q querier, id uuid.UUID) (*domain.Session, error) {
	rows, err := q.Query(ctx, `
		SELECT id, user_id, user_agent, ip, opened_at, last_used_at, ended_at, end_reason
		FROM sessions WHERE id = $1 FOR UPDATE`, id)
	if err != nil {
		return nil, absent("read session", domain.ErrSessionOver, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[sessionRow])
	if err != nil {
		return nil, absent("read session", domain.ErrSessionOver, err)
	}
	snapshot := domain.SessionSnapshot{
		ID: row.ID, UserID: row.UserID, Device: domain.Device{UserAgent: row.UserAgent, IP: row.IP},
		OpenedAt: row.OpenedAt, LastUsedAt: row.LastUsedAt, EndedAt: orZero(row.EndedAt),
	}
	if row.EndReason != nil {
		snapshot.EndReason = domain.EndReason(*row.EndReason)
	}
	return domain.RestoreSession(snapshot), nil
}

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

func insertSession(ctx context.Context, q querier, session *domain.Session, token domain.RefreshToken) error {
	s := session.Snapshot()
	_, err := q.Exec(ctx, `
		INSERT INTO sessions (id, user_id, user_agent, ip, opened_at, last_used_at)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		s.ID, s.UserID, s.Device.UserAgent, s.Device.IP, s.OpenedAt, s.LastUsedAt)
	if err != nil {
		return fmt.Errorf("insert session: %w", err)
	}
	return insertToken(ctx, q, token)
}

func updateSession(ctx context.Context, q querier, session *domain.Session) error {
	s := session.Snapshot()
	var reason *string
	if s.EndReason != "" {
		reason = (*string)(&s.EndReason)
	}
	tag, err := q.Exec(ctx, `
		UPDATE sessions SET user_agent = $2, ip = $3, last_used_at = $4, ended_at = $5, end_reason = $6
		WHERE id = $1`,
		s.ID, s.Device.UserAgent, s.Device.IP, s.LastUsedAt, orNull(s.EndedAt), reason)
	if err != nil {
		return fmt.Errorf("update session: %w", err)
	}
	return affectedOne("update session", tag.RowsAffected())
}

// ownerOfToken returns the session of a refresh token and the user of that.
func ownerOfToken(ctx context.Context, q querier, hash domain.TokenHash) (sessionID, userID uuid.UUID, err error) {
	rows, err := q.Query(ctx, `
		SELECT s.id AS session_id, s.user_id
		FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
		WHERE t.hash = $1`, hash[:])
	if err != nil {
		return uuid.Nil, uuid.Nil, absent("look up refresh token", domain.ErrSessionOver, err)
	}
	owner, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct{ SessionID, UserID uuid.UUID }])
	if err != nil {
		return uuid.Nil, uuid.Nil, absent("look up refresh token", domain.ErrSessionOver, err)
	}
	return owner.SessionID, owner.UserID, nil
}

func selectToken(ctx context.Context, q querier, hash domain.TokenHash) (domain.RefreshToken, error) {
	rows, err := q.Query(ctx, `SELECT session_id, issued_at, spent_at FROM refresh_tokens WHERE hash = $1`, hash[:])
	if err != nil {
		return domain.RefreshToken{}, absent("read refresh token", domain.ErrSessionOver, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct {
		SessionID uuid.UUID
		IssuedAt  time.Time
		SpentAt   *time.Time
	}])
	if err != nil {
		return domain.RefreshToken{}, absent("read refresh token", domain.ErrSessionOver, err)
	}
	return domain.RefreshToken{Hash: hash, SessionID: row.SessionID, IssuedAt: row.IssuedAt.UTC(), SpentAt: orZero(row.SpentAt)}, nil
}

func insertToken(ctx context.Context, q querier, t domain.RefreshToken) error {
	_, err := q.Exec(ctx, `
		INSERT INTO refresh_tokens (hash, session_id, issued_at, spent_at) VALUES ($1, $2, $3, $4)`,
		t.Hash[:], t.SessionID, t.IssuedAt, orNull(t.SpentAt))
	if err != nil {
		return fmt.Errorf("insert refresh token: %w", err)
	}
	return nil
}

func updateToken(ctx context.Context, q querier, t domain.RefreshToken) error {
	tag, err := q.Exec(ctx, `UPDATE refresh_tokens SET spent_at = $2 WHERE hash = $1`, t.Hash[:], orNull(t.SpentAt))
	if err != nil {
		return fmt.Errorf("update refresh token: %w", err)
	}
	return affectedOne("update refresh token", tag.RowsAffected())
}

// orNull is NULL for the zero time, with which the domain says "not yet".
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
