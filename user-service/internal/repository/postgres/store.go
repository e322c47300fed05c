// Package postgres keeps users and their sessions in PostgreSQL. Every exported method is one unit of work.
//
// Locks are taken in one order everywhere, so that no two units of work can wait for each other: the user, then the session,
// then its refresh tokens.
package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/postgres"

	"shop.example/user-service/internal/domain"
)

// Store is the database.
type Store struct{ pool *pgxpool.Pool }

// New returns a store on a pool whose database is migrated. The caller closes the pool.
func New(pool *pgxpool.Pool) *Store { return &Store{pool} }

// CreateUser keeps a new user. Error: domain.ErrEmailTaken.
func (s *Store) CreateUser(ctx context.Context, u *domain.User) error {
	return insertUser(ctx, s.pool, u)
}

// Register keeps a new user with a first session, all or nothing. Error: domain.ErrEmailTaken.
func (s *Store) Register(ctx context.Context, u *domain.User, session *domain.Session, token domain.RefreshToken) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		if err := insertUser(ctx, tx, u); err != nil {
			return err
		}
		return insertSession(ctx, tx, session, token)
	})
}

// User returns a user. Error: domain.ErrNoUser.
func (s *Store) User(ctx context.Context, id uuid.UUID) (*domain.User, error) {
	return selectUser(ctx, s.pool, fromUsers+"WHERE id = $1", id)
}

// UserByEmail returns a user. Error: domain.ErrNoUser.
func (s *Store) UserByEmail(ctx context.Context, email domain.Email) (*domain.User, error) {
	return selectUser(ctx, s.pool, fromUsers+"WHERE email = $1", email.String())
}

// OpenSession locks the user, lets open decide, and keeps the user as open left it and the session that open returned.
// Of more than domain.MaxSessions it ends those that were used least recently. If open returns an error, nothing is kept. Error:
// domain.ErrNoUser.
func (s *Store) OpenSession(ctx context.Context, userID uuid.UUID, open func(*domain.User) (*domain.Session, domain.RefreshToken, error)) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		// NO KEY: references to the user, as from the other sessions, need not wait.
		u, err := selectUser(ctx, tx, fromUsers+"WHERE id = $1 FOR NO KEY UPDATE", userID)
		if err != nil {
			return err
		}
		before := u.Snapshot()
		session, token, err := open(u)
		if err != nil {
			return err
		}
		if u.Snapshot() != before {
			if err := updateUser(ctx, tx, before, u); err != nil {
				return err
			}
		}
		if err := insertSession(ctx, tx, session, token); err != nil {
			return err
		}
		return endLeastRecentlyUsed(ctx, tx, session)
	})
}

// RenewSession locks the session that the token belongs to, lets renew decide, and keeps the session, the presented token
// and the next one as renew left them, unless it returns an error. With a next one, the presented one is no longer kept as
// a successor. Error: domain.ErrSessionOver for an unknown token.
func (s *Store) RenewSession(ctx context.Context, presented domain.TokenHash, renew func(*domain.Renewal) error) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		// Neither the session of a token nor the user of a session ever changes, so both may be looked up before the locks.
		sessionID, userID, err := ownerOfToken(ctx, tx, presented)
		if err != nil {
			return err
		}
		var r domain.Renewal
		// The user is only read, and must not be changed (disabled, say) until the renewal is done.
		if r.User, err = selectUser(ctx, tx, fromUsers+"WHERE id = $1 FOR SHARE", userID); err != nil {
			return noSession(err)
		}
		if r.Session, err = selectSession(ctx, tx, sessionID); err != nil {
			return err
		}
		// Read after the lock on the session: whoever spent it a moment ago has held that.
		if r.Presented, err = selectToken(ctx, tx, presented); err != nil {
			return err
		}
		if r.Spent, err = countSpent(ctx, tx, sessionID); err != nil {
			return err
		}
		if err := renew(&r); err != nil {
			return err
		}
		if err := updateSession(ctx, tx, r.Session); err != nil {
			return err
		}
		if r.Next != nil {
			if err := forgetSuccessor(ctx, tx, sessionID); err != nil {
				return err
			}
		}
		if err := updateToken(ctx, tx, r.Presented); err != nil {
			return err
		}
		if r.Next == nil {
			return nil
		}
		return insertToken(ctx, tx, *r.Next)
	})
}

// UpdateSession locks a session, lets update change it and keeps the result. Error: domain.ErrSessionOver.
func (s *Store) UpdateSession(ctx context.Context, sessionID uuid.UUID, update func(*domain.Session) error) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		session, err := selectSession(ctx, tx, sessionID)
		if err != nil {
			return err
		}
		if err := update(session); err != nil {
			return err
		}
		return updateSession(ctx, tx, session)
	})
}

// affectedOne turns a write that found no row, though it was locked before, into an error.
func affectedOne(what string, rows int64) error {
	if rows != 1 {
		return fmt.Errorf("%s: %d rows affected", what, rows)
	}
	return nil
}
