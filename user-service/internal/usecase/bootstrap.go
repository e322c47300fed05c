package usecase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/domain"
)

// AdminStore is the store as making the first admin needs it.
type AdminStore interface {
	// UserByEmail returns a user. Error: domain.ErrNoUser.
	UserByEmail(context.Context, domain.Email) (*domain.User, error)
	// CreateUser keeps a new user. Error: domain.ErrEmailTaken.
	CreateUser(context.Context, *domain.User) error
}

// errNoAdmin says that the address belongs to somebody who is no admin. To make an admin of an account that anybody may have
// registered would hand the shop to whoever was first.
var errNoAdmin = apperr.New(apperr.Conflict, "email_taken", "The address belongs to an account that is not an admin. Use another one.")

// BootstrapAdmin makes an admin with the address unless there is one, who then stays as it is, password and all: so it can
// run at every start. It reports whether it made one.
func BootstrapAdmin(ctx context.Context, store AdminStore, passwords Passwords, email, password string, now func() time.Time) (bool, error) {
	address, err := domain.ParseEmail(email)
	if err != nil {
		return false, err
	}
	if exists, err := adminExists(ctx, store, address); exists || err != nil {
		return false, err
	}
	admin, err := newUser(ctx, passwords, email, password, "Administrator", domain.Admin, now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return false, err
	}
	err = store.CreateUser(ctx, admin)
	if errors.Is(err, domain.ErrEmailTaken) { // another replica was first, or a customer
		_, err = adminExists(ctx, store, address)
		return false, err
	}
	if err != nil {
		return false, fmt.Errorf("bootstrap admin: %w", err)
	}
	return true, nil
}

func adminExists(ctx context.Context, store AdminStore, email domain.Email) (bool, error) {
	user, err := store.UserByEmail(ctx, email)
	switch {
	case errors.Is(err, domain.ErrNoUser):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("bootstrap admin: %w", err)
	case user.Role() != domain.Admin:
		return false, errNoAdmin
	}
	return true, nil
}
