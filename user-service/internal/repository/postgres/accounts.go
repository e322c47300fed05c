package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/platform/postgres"

	"shop.example/user-service/internal/domain"
)

// UpdateUser locks a user, lets update change it, and keeps the user and the end of its sessions, if update returns one.
// Errors: domain.ErrNoUser, domain.ErrEmailTaken.
func (s *Store) UpdateUser(ctx context.Context, id uuid.UUID, update func(*domain.User) (*domain.SessionsEnd, error)) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		u, err := selectUser(ctx, tx, fromUsers+"WHERE id = $1 FOR NO KEY UPDATE", id)
		if err != nil {
			return err
		}
		return changeUser(ctx, tx, u, update)
	})
}

// UpdateAccess is UpdateUser for a decision that depends on who the active admins are. They are locked too: it stays true until
// it is done.
func (s *Store) UpdateAccess(ctx context.Context, id uuid.UUID, update func(u *domain.User, admins domain.Admins) (*domain.SessionsEnd, error)) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		u, admins, err := selectWithAdmins(ctx, tx, id)
		if err != nil {
			return err
		}
		return changeUser(ctx, tx, u, func(u *domain.User) (*domain.SessionsEnd, error) { return update(u, admins) })
	})
}

// DeleteUser locks a user and all active admins, lets decide say when, if at all, and erases the user with all that is kept
// of it but the fact. Error: domain.ErrNoUser.
func (s *Store) DeleteUser(ctx context.Context, id uuid.UUID, decide func(u *domain.User, admins domain.Admins) (at time.Time, err error)) error {
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		u, admins, err := selectWithAdmins(ctx, tx, id)
		if err != nil {
			return err
		}
		at, err := decide(u, admins)
		if err != nil {
			return err
		}
		// Meters that somebody is using are passed over: they end by themselves.
		_, err = tx.Exec(ctx, `
			DELETE FROM login_throttle WHERE (account, network) IN (
				SELECT account, network FROM login_throttle WHERE account = $1 FOR UPDATE SKIP LOCKED)`, domain.UserKey(id))
		if err != nil {
			return fmt.Errorf("delete meters of user: %w", err)
		}
		if _, err = tx.Exec(ctx, `INSERT INTO deleted_users (id, deleted_at) VALUES ($1, $2)`, id, at); err != nil {
			return fmt.Errorf("insert tombstone: %w", err)
		}
		tag, err := tx.Exec(ctx, `DELETE FROM users WHERE id = $1`, id)
		if err != nil {
			return fmt.Errorf("delete user: %w", err)
		}
		return affectedOne("delete user", tag.RowsAffected())
	})
}

func changeUser(ctx context.Context, tx pgx.Tx, u *domain.User, update func(*domain.User) (*domain.SessionsEnd, error)) error {
	before := u.Snapshot()
	end, err := update(u)
	if err != nil {
		return err
	}
	if u.Snapshot() != before {
		if err := updateUser(ctx, tx, before, u); err != nil {
			return err
		}
	}
	return endSessions(ctx, tx, u.ID(), end)
}

// selectWithAdmins reads and locks a user and all active admins, and returns the user and who the admins are. Who waits here for another such decision sees what that has left: a row that no longer fits is read again and dropped.
// All lock in the order of ids, so that two never wait for each other.
func selectWithAdmins(ctx context.Context, tx pgx.Tx, id uuid.UUID) (user *domain.User, admins domain.Admins, err error) {
	rows, err := tx.Query(ctx, fromUsers+`
		WHERE id = $1 OR (role = 'admin' AND status = 'active') ORDER BY id FOR UPDATE`, id)
	if err != nil {
		return nil, nil, fmt.Errorf("lock admins: %w", err)
	}
	locked, err := pgx.CollectRows(rows, pgx.RowToStructByName[userRow])
	if err != nil {
		return nil, nil, fmt.Errorf("lock admins: %w", err)
	}
	for _, row := range locked {
		if row.ID == id {
			user = row.user()
		}
		if row.Role == string(domain.Admin) && row.Status == string(domain.Active) {
			admins = append(admins, row.ID)
		}
	}
	if user == nil {
		return nil, nil, domain.ErrNoUser
	}
	return user, admins, nil
}
