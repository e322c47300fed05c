package usecase

import (
	"context"

	"github.com/google/uuid"

	"shop.example/platform/auth"

	"shop.example/user-service/internal/domain"
)

// UserReader is the store as reading people needs it.
type UserReader interface {
	// User returns a user. Error: domain.ErrNoUser.
	User(context.Context, uuid.UUID) (*domain.User, error)
}

// Users answers questions about people.
type Users struct{ store UserReader }

// NewUsers returns the queries.
func NewUsers(store UserReader) *Users { return &Users{store} }

// User returns a user to itself or to an admin. For everybody else there is none: nobody can probe for accounts.
func (u *Users) User(ctx context.Context, id uuid.UUID) (*domain.User, error) {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return nil, errNotSignedIn
	}
	if caller.UserID != id.String() && !caller.Role.AtLeast(auth.Admin) {
		return nil, domain.ErrNoUser
	}
	return u.store.User(ctx, id)
}

// Status tells another service whether a user exists and may act. Error: domain.ErrNoUser.
func (u *Users) Status(ctx context.Context, id uuid.UUID) (domain.Status, error) {
	user, err := u.store.User(ctx, id)
	if err != nil {
		return "", err
	}
	return user.Status(), nil
}
