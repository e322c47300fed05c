package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shop.example/user-service/internal/domain"
)

// querier is a pool or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

type userRow struct {
	ID           uuid.UUID
	Email        string
	Name         string
	Role         string
	Status       string
	PasswordHash string
	CreatedAt    time.Time
	UpdatedAt    time.Time

	RoleChangedAt *time.Time
}

func (r userRow) user() *domain.User {
	return domain.RestoreUser(domain.UserSnapshot{
		ID: r.ID, Email: r.Email, Name: r.Name, Role: domain.Role(r.Role), Status: domain.Status(r.Status),
		PasswordHash: r.PasswordHash, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, RoleChangedAt: orZero(r.RoleChangedAt),
	})
}

// fromUsers is the front of all queries for users.
const fromUsers = `SELECT id, email, name, role, status, password_hash, created_at, updated_at, role_changed_at FROM users `

// selectUser reads the one user that the query finds.
func selectUser(ctx context.Context, q querier, query string, arg any) (*domain.User, error) {
	rows, err := q.Query(ctx, query, arg)
	if err != nil {
		return nil, absent("read user", domain.ErrNoUser, err)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[userRow])
	if err != nil {
		return nil, absent("read user", domain.ErrNoUser, err)
	}
	return row.user(), nil
}

// insertUser asks the database to keep quiet when the address is taken: in the error that it would answer, and write into its own log,
// stands the address.
func insertUser(ctx context.Context, q querier, u *domain.User) error {
	s := u.Snapshot()
	tag, err := q.Exec(ctx, `
		INSERT INTO users (id, email, name, role, status, password_hash, created_at, updated_at, role_changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT ON CONSTRAINT `+emailUnique+` DO NOTHING`,
		s.ID, s.Email, s.Name, string(s.Role), string(s.Status), s.PasswordHash, s.CreatedAt, s.UpdatedAt, orNull(s.RoleChangedAt))
	if err != nil {
		return fmt.Errorf("insert user: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return domain.ErrEmailTaken
	}
	return nil
}

// updateUser keeps a user who was locked as before. It looks for another address first, for the same reason; the constraint is
// for those who want it at the same moment.
func updateUser(ctx context.Context, q querier, before domain.UserSnapshot, u *domain.User) error {
	s := u.Snapshot()
	if s.Email != before.Email {
		if err := mustBeFree(ctx, q, s.Email); err != nil {
			return err
		}
	}
	tag, err := q.Exec(ctx, `
		UPDATE users SET email = $2, name = $3, role = $4, status = $5, password_hash = $6, updated_at = $7, role_changed_at = $8
		WHERE id = $1`,
		s.ID, s.Email, s.Name, string(s.Role), string(s.Status), s.PasswordHash, s.UpdatedAt, orNull(s.RoleChangedAt))
	if err != nil {
		return toDomain("update user", err)
	}
	return affectedOne("update user", tag.RowsAffected())
}

// mustBeFree returns domain.ErrEmailTaken for an address that somebody has.
func mustBeFree(ctx context.Context, q querier, email string) error {
	rows, err := q.Query(ctx, `SELECT EXISTS (SELECT 1 FROM users WHERE email = $1)`, email)
	if err != nil {
		return fmt.Errorf("look for address: %w", err)
	}
	taken, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	if err != nil {
		return fmt.Errorf("look for address: %w", err)
	}
	if taken {
		return domain.ErrEmailTaken
	}
	return nil
}
