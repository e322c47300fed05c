package client

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/apperr"
	userv1 "shop.example/proto/user/v1"
)

const (
	// trustFor is for how long a user who was found active isn't asked about again. A disabled user must be out everywhere
	// within 5 s, and a second of that belongs to the call itself; it still makes one question of a customer's clicks.
	trustFor = 4 * time.Second
	// maxTrusted bounds the memory, at some 100 bytes a user, under a megabyte. It is 2,500 new customers a second.
	maxTrusted = 10_000
)

// Users asks user-service, and remembers for moments who may act. Who may not is asked about each time: it is rare, and
// somebody who was just let in again should not wait.
type Users struct {
	users userv1.UserServiceClient
	now   func() time.Time

	mu      sync.Mutex
	trusted map[uuid.UUID]time.Time // until when
}

// NewUsers returns a client on a stub. now is the clock.
func NewUsers(users userv1.UserServiceClient, now func() time.Time) *Users {
	return &Users{users: users, now: now, trusted: make(map[uuid.UUID]time.Time)}
}

// Check returns nil for a user who may act, else domain.ErrUserUnknown or domain.ErrUserDisabled.
func (u *Users) Check(ctx context.Context, userID uuid.UUID) error {
	// The clock of before the call: the answer is at least as young as that.
	asked := u.now()
	if u.isTrusted(userID, asked) {
		return nil
	}
	answer, err := u.users.GetUserStatus(ctx, &userv1.GetUserStatusRequest{UserId: userID.String()})
	switch {
	case apperr.KindOf(err) == apperr.NotFound:
		return domain.ErrUserUnknown.Wrap(err)
	case err != nil:
		return fmt.Errorf("ask for the status of user %s: %w", userID, err)
	case answer.GetStatus() != userv1.UserStatus_USER_STATUS_ACTIVE:
		return domain.ErrUserDisabled
	}
	u.trust(userID, asked)
	return nil
}

func (u *Users) isTrusted(userID uuid.UUID, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	until, ok := u.trusted[userID]
	return ok && now.Before(until)
}

func (u *Users) trust(userID uuid.UUID, asked time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.trusted) >= maxTrusted {
		maps.DeleteFunc(u.trusted, func(_ uuid.UUID, until time.Time) bool { return !asked.Before(until) })
	}
	if len(u.trusted) >= maxTrusted {
		return // full of users of this moment; the next ones are asked about each time
	}
	u.trusted[userID] = asked.Add(trustFor)
}
