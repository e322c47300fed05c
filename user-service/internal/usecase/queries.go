package usecase

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"

	"shop.example/user-service/internal/domain"
)

// UserReader is the store as reading people needs it.
type UserReader interface {
	// User returns a user. Error: domain.ErrNoUser.
	User(context.Context, uuid.UUID) (*domain.User, error)
}

// UserSearch is the store as searching for people needs it.
type UserSearch interface {
	UserReader
	// Users returns up to limit users who match, the newest first, from behind the one with the id after unless that is zero.
	Users(ctx context.Context, f UserFilter, after uuid.UUID, limit int) ([]*domain.User, error)
	// CountUsers returns how many match.
	CountUsers(context.Context, UserFilter) (int64, error)
}

// UserFilter selects users. What is empty selects all.
type UserFilter struct {
	// Text is a part of an address or of a name, in capitals or not.
	Text   string
	Role   domain.Role
	Status domain.Status
}

// Users answers questions about people.
type Users struct{ store UserSearch }

// NewUsers returns the queries.
func NewUsers(store UserSearch) *Users { return &Users{store} }

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

// List returns the users who match, the newest first. That its caller is an admin is checked at the door.
func (u *Users) List(ctx context.Context, f UserFilter, p Page) (PageOf[*domain.User], error) {
	f.Text = strings.TrimSpace(f.Text)
	if !utf8.ValidString(f.Text) || strings.ContainsRune(f.Text, 0) {
		return PageOf[*domain.User]{}, apperr.InvalidField("query", "must be text")
	}
	page, err := list[*domain.User, uuid.UUID]{
		query: f,
		read: func(ctx context.Context, after uuid.UUID, limit int) ([]*domain.User, error) {
			return u.store.Users(ctx, f, after, limit)
		},
		count: func(ctx context.Context) (int64, error) { return u.store.CountUsers(ctx, f) },
		place: (*domain.User).ID,
	}.page(ctx, p)
	if err != nil {
		return PageOf[*domain.User]{}, fmt.Errorf("list users: %w", err)
	}
	return page, nil
}
