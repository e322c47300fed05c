package usecase

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/pagetoken"

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

// UserPage is a part of a list of users.
type UserPage struct {
	Users         []*domain.User
	NextPageToken string
	// Total is how many there are in all, nil unless it was asked for.
	Total *int64
}

// List returns the users who match, the newest first. That its caller is an admin is checked at the door.
func (u *Users) List(ctx context.Context, f UserFilter, p Page) (UserPage, error) {
	f.Text = strings.TrimSpace(f.Text)
	if !utf8.ValidString(f.Text) || strings.ContainsRune(f.Text, 0) {
		return UserPage{}, apperr.InvalidField("query", "must be text")
	}
	var after uuid.UUID
	if p.Token != "" {
		if err := pagetoken.Decode(p.Token, f, &after); err != nil {
			return UserPage{}, err
		}
	}
	// One more than the page holds tells whether there is another one.
	users, err := u.store.Users(ctx, f, after, p.size()+1)
	if err != nil {
		return UserPage{}, fmt.Errorf("list users: %w", err)
	}
	page := UserPage{Users: users}
	if len(users) > p.size() {
		page.Users = users[:p.size()]
		if page.NextPageToken, err = pagetoken.Encode(f, page.Users[p.size()-1].ID()); err != nil {
			return UserPage{}, err
		}
	}
	if p.IncludeTotal {
		total, err := u.store.CountUsers(ctx, f)
		if err != nil {
			return UserPage{}, fmt.Errorf("list users: %w", err)
		}
		page.Total = &total
	}
	return page, nil
}
