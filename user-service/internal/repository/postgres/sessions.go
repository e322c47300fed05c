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

func (r sessionRow) session() *domain.Session {
	s := domain.SessionSnapshot{
		ID: r.ID, UserID: r.UserID, Device: domain.Device{UserAgent: r.UserAgent, IP: r.IP},
		OpenedAt: r.OpenedAt, LastUsedAt: r.LastUsedAt, EndedAt: orZero(r.EndedAt),
	}
	if r.EndReason != nil {
		s.EndReason = domain.EndReason(*r.EndReason)
	}
	return domain.RestoreSession(s)
}

// fromSessions is the front of all queries for sessions.
const fromSessions = `SELECT id, user_id, user_agent, ip, opened_at, last_used_at, ended_at, end_reason FROM sessions `

// selectSession reads and locks a session.
func selectSession(ctx context.Context, q querier, id uuid.UUID) (*domain.Session, error) {
	rows, err := q.Query(ctx, fromSessions+"WHERE id = $1 FOR UPDATE", id)
	if err != nil {
		return nil, absent("read session", domain.ErrSessionOver, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[sessionRow])
	if err != nil {
		return nil, absent("read session", domain.ErrSessionOver, err)
	}
	return row.session(), nil
}

// Sessions returns up to limit sessions, the newest first, from behind the cursor on unless that is zero.
func (s *Store) Sessions(ctx context.Context, l usecase.LivingSessions, after usecase.SessionCursor, limit int) ([]*domain.Session, error) {
	rows, err := s.pool.Query(ctx, fromSessions+livingSessions+`
		AND ($3::uuid = '00000000-0000-0000-0000-000000000000' OR (opened_at, id) < ($4, $3))
		ORDER BY opened_at DESC, id DESC LIMIT $5`,
		l.UserID, l.At.Add(-domain.SessionIdleLifetime), after.ID, after.OpenedAt, limit)
	if err != nil {
		return nil, fmt.Errorf("select sessions: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[sessionRow])
	if err != nil {
		return nil, fmt.Errorf("select sessions: %w", err)
	}
	sessions := make([]*domain.Session, len(found))
	for i, row := range found {
		sessions[i] = row.session()
	}
	return sessions, nil
}

// livingSessions selects the sessions of a user that were used after a time.
const livingSessions = `WHERE user_id = $1 AND ended_at IS NULL AND last_used_at > $2 `

// CountSessions returns how many there are.
func (s *Store) CountSessions(ctx context.Context, l usecase.LivingSessions) (int64, error) {
	var n int64
	err := s.pool.QueryRow(ctx, `SELECT count(*) FROM sessions `+livingSessions, l.UserID, l.At.Add(-domain.SessionIdleLifetime)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count sessions: %w", err)
	}
	return n, nil
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

// endSessions ends all sessions of a user who is locked, if there is an end.
func endSessions(ctx context.Context, q querier, userID uuid.UUID, end *domain.SessionsEnd) error {
	if end == nil {
		return nil
	}
	_, err := q.Exec(ctx, `UPDATE sessions SET ended_at = $3, end_reason = $4 WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL`,
		userID, end.Except, end.At, string(end.Reason))
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// endLeastRecentlyUsed leaves room for a session that was opened just now, whose user is locked.
func endLeastRecentlyUsed(ctx context.Context, q querier, opened *domain.Session) error {
	_, err := q.Exec(ctx, `
		UPDATE sessions SET ended_at = $4, end_reason = $5 WHERE ended_at IS NULL AND id IN (
			SELECT id FROM sessions WHERE user_id = $1 AND id <> $2 AND ended_at IS NULL
			ORDER BY last_used_at DESC, id DESC OFFSET $3)`,
		opened.UserID(), opened.ID(), domain.MaxSessions-1, opened.OpenedAt(), string(domain.EndedByLimit))
	if err != nil {
		return fmt.Errorf("end the least recently used session: %w", err)
	}
	return nil
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
	rows, err := q.Query(ctx, `SELECT session_id, issued_at, spent_at, successor FROM refresh_tokens WHERE hash = $1`, hash[:])
	if err != nil {
		return domain.RefreshToken{}, absent("read refresh token", domain.ErrSessionOver, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct {
		SessionID uuid.UUID
		IssuedAt  time.Time
		SpentAt   *time.Time
		Successor []byte
	}])
	if err != nil {
		return domain.RefreshToken{}, absent("read refresh token", domain.ErrSessionOver, err)
	}
	return domain.RefreshToken{
		Hash: hash, SessionID: row.SessionID, IssuedAt: row.IssuedAt.UTC(), SpentAt: orZero(row.SpentAt), Successor: row.Successor,
	}, nil
}

// countSpent returns how many tokens of a session were spent.
func countSpent(ctx context.Context, q querier, sessionID uuid.UUID) (int, error) {
	rows, err := q.Query(ctx, `SELECT count(*) FROM refresh_tokens WHERE session_id = $1 AND spent_at IS NOT NULL`, sessionID)
	if err != nil {
		return 0, fmt.Errorf("count spent refresh tokens: %w", err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	if err != nil {
		return 0, fmt.Errorf("count spent refresh tokens: %w", err)
	}
	return n, nil
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

// forgetSuccessor erases what the tokens of a session were spent for: the successor is being spent in its turn.
func forgetSuccessor(ctx context.Context, q querier, sessionID uuid.UUID) error {
	if _, err := q.Exec(ctx, `UPDATE refresh_tokens SET successor = NULL WHERE session_id = $1 AND successor IS NOT NULL`, sessionID); err != nil {
		return fmt.Errorf("forget successor: %w", err)
	}
	return nil
}

func updateToken(ctx context.Context, q querier, t domain.RefreshToken) error {
	tag, err := q.Exec(ctx, `UPDATE refresh_tokens SET spent_at = $2, successor = $3 WHERE hash = $1`, t.Hash[:], orNull(t.SpentAt), t.Successor)
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
