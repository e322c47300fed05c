package usecase

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

// AccessStore is the store as admins need it.
type AccessStore interface {
	UserEraser
	// UpdateAccess locks a user and all active admins, lets update change the user, and keeps it and the end of its sessions,
	// if update returns one. Who the admins are stays true until it is done. If update returns an error, nothing is kept.
	// Error: domain.ErrNoUser.
	UpdateAccess(ctx context.Context, id uuid.UUID, update func(u *domain.User, admins domain.Admins) (*domain.SessionsEnd, error)) error
}

// Administration decides what others may do. The door lets in whose token says admin; whether that is still so is seen under the
// locks, because a token is believed for some seconds after its admin was demoted: enough to undo it.
type Administration struct {
	store AccessStore
	log   *slog.Logger
	now   func() time.Time
}

// NewAdministration returns the use cases. now is the clock.
func NewAdministration(store AccessStore, log *slog.Logger, now func() time.Time) *Administration {
	return &Administration{store: store, log: log, now: now}
}

// SetAccess says what to change of a user; what is empty stays.
type SetAccess struct {
	UserID uuid.UUID
	Role   domain.Role
	Status domain.Status
}

// SetAccess changes what a user may do, and returns the user. Disabling one ends all its sessions, and enabling it again
// revives none. Errors: domain.ErrNoUser, domain.ErrNoAdmin, domain.ErrLastAdmin.
func (a *Administration) SetAccess(ctx context.Context, c SetAccess) (*domain.User, error) {
	caller, _, err := signedIn(ctx)
	if err != nil {
		return nil, err
	}
	var user *domain.User
	err = a.store.UpdateAccess(ctx, c.UserID, func(u *domain.User, admins domain.Admins) (*domain.SessionsEnd, error) {
		if !admins.Include(caller) {
			return nil, domain.ErrNoAdmin
		}
		user = u
		now, role, status := storable(a.now()), u.Role(), u.Status()
		if c.Role != "" {
			role = c.Role
		}
		if c.Status != "" {
			status = c.Status
		}
		if err := u.SetAccess(role, status, admins.Beside(u.ID()), now); err != nil {
			return nil, err
		}
		if u.MaySignIn() {
			return nil, nil
		}
		return &domain.SessionsEnd{Reason: domain.EndedByDisable, At: now}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("set access: %w", err)
	}
	a.log.InfoContext(ctx, "access set", "subject", user.ID(), "role", string(user.Role()), "status", string(user.Status()))
	return user, nil
}

// Delete erases a user. Errors: domain.ErrNoUser, domain.ErrNoAdmin, domain.ErrLastAdmin.
func (a *Administration) Delete(ctx context.Context, userID uuid.UUID) error {
	caller, _, err := signedIn(ctx)
	if err != nil {
		return err
	}
	err = a.store.DeleteUser(ctx, userID, func(u *domain.User, admins domain.Admins) (time.Time, error) {
		if !admins.Include(caller) {
			return time.Time{}, domain.ErrNoAdmin
		}
		return storable(a.now()), u.MayLeave(admins.Beside(userID))
	})
	if err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	a.log.InfoContext(ctx, "user deleted", "subject", userID)
	return nil
}
