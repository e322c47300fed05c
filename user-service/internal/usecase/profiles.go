package usecase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

// ProfileStore is the store as people need it who change their own account.
type ProfileStore interface {
	UserReader
	UserUpdater
	UserEraser
}

// UserEraser erases users.
type UserEraser interface {
	// DeleteUser locks a user and all active admins, lets decide say when, if at all, and erases the user with all that is
	// kept of it but the fact. Error: domain.ErrNoUser.
	DeleteUser(ctx context.Context, id uuid.UUID, decide func(u *domain.User, admins domain.Admins) (at time.Time, err error)) error
}

// Profiles lets people change their own account.
type Profiles struct {
	store     ProfileStore
	passwords Passwords
	throttle  *Throttle
	log       *slog.Logger
	now       func() time.Time
}

// NewProfiles returns the use cases. now is the clock.
func NewProfiles(store ProfileStore, passwords Passwords, throttle *Throttle, log *slog.Logger, now func() time.Time) *Profiles {
	return &Profiles{store: store, passwords: passwords, throttle: throttle, log: log, now: now}
}

// UpdateProfile says what to change; nil leaves it.
type UpdateProfile struct{ Name, Email *string }

// LogValue keeps the person out of the logs.
func (UpdateProfile) LogValue() slog.Value { return slog.StringValue("update profile") }

// Update changes the caller's name or address and returns the user. Errors: invalid, naming every field that is wrong;
// domain.ErrEmailTaken.
func (p *Profiles) Update(ctx context.Context, c UpdateProfile) (*domain.User, error) {
	userID, _, err := signedIn(ctx)
	if err != nil {
		return nil, err
	}
	var (
		name             string
		email            domain.Email
		badName, badMail error
	)
	if c.Name != nil {
		name, badName = domain.ParseName(*c.Name)
	}
	if c.Email != nil {
		email, badMail = domain.ParseEmail(*c.Email)
	}
	if err := together(badMail, badName); err != nil {
		return nil, err
	}
	var user *domain.User
	err = p.store.UpdateUser(ctx, userID, func(u *domain.User) (*domain.SessionsEnd, error) {
		user = u
		if c.Name == nil {
			name = u.Name()
		}
		if c.Email == nil {
			email = u.Email()
		}
		u.UpdateProfile(name, email, storable(p.now()))
		return nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("update profile: %w", gone(err))
	}
	return user, nil
}

// ChangePassword is the wish for another password.
type ChangePassword struct {
	Current, New string
	Device       domain.Device
}

// LogValue keeps the passwords out of the logs.
func (ChangePassword) LogValue() slog.Value { return slog.StringValue("change password") }

// ChangePassword replaces the caller's password and ends its other sessions. Errors: invalid at "new_password";
// domain.ErrWrongPassword for a wrong current password; too many.
func (p *Profiles) ChangePassword(ctx context.Context, c ChangePassword) error {
	userID, current, err := signedIn(ctx)
	if err != nil {
		return err
	}
	user, err := p.store.User(ctx, userID)
	if err != nil {
		return fmt.Errorf("change password: %w", gone(err))
	}
	if err := domain.CheckPassword("new_password", c.New, user.Email(), user.Name()); err != nil {
		return err
	}
	if err := p.prove(ctx, user, c.Current, c.Device); err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	phc, err := p.passwords.Hash(ctx, c.New)
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	err = p.store.UpdateUser(ctx, userID, func(u *domain.User) (*domain.SessionsEnd, error) {
		if err := unchanged(u, user); err != nil {
			return nil, err
		}
		u.SetPassword(phc)
		return &domain.SessionsEnd{Except: current, Reason: domain.EndedByPasswordChange, At: storable(p.now())}, nil
	})
	if err != nil {
		return fmt.Errorf("change password: %w", gone(err))
	}
	p.log.InfoContext(ctx, "password changed, other sessions ended", "user_id", userID)
	return nil
}

// DeleteAccount is the wish to be forgotten.
type DeleteAccount struct {
	Password string
	Device   domain.Device
}

// LogValue keeps the password out of the logs.
func (DeleteAccount) LogValue() slog.Value { return slog.StringValue("delete account") }

// Delete erases the caller. Errors: domain.ErrWrongPassword for a wrong password; domain.ErrLastAdmin; too many.
func (p *Profiles) Delete(ctx context.Context, c DeleteAccount) error {
	userID, _, err := signedIn(ctx)
	if err != nil {
		return err
	}
	user, err := p.store.User(ctx, userID)
	if err != nil {
		return fmt.Errorf("delete account: %w", gone(err))
	}
	if err := p.prove(ctx, user, c.Password, c.Device); err != nil {
		return fmt.Errorf("delete account: %w", err)
	}
	err = p.store.DeleteUser(ctx, userID, func(u *domain.User, admins domain.Admins) (time.Time, error) {
		if err := unchanged(u, user); err != nil {
			return time.Time{}, err
		}
		return storable(p.now()), u.MayLeave(admins.Beside(userID))
	})
	if err != nil {
		return fmt.Errorf("delete account: %w", gone(err))
	}
	p.log.InfoContext(ctx, "user deleted", "user_id", userID)
	return nil
}

// prove checks that the caller knows the password: whoever found a phone unlocked does not.
func (p *Profiles) prove(ctx context.Context, user *domain.User, password string, from domain.Device) error {
	err := p.throttle.guess(ctx, domain.ProofMeters(user.ID(), from), func() (bool, error) {
		return p.passwords.Verify(ctx, user.PasswordHash(), password)
	})
	if errors.Is(err, domain.ErrInvalidCredentials) {
		return domain.ErrWrongPassword
	}
	return err
}

// unchanged says whether the password that was proved is still the user's.
func unchanged(now, proved *domain.User) error {
	if now.PasswordHash() != proved.PasswordHash() {
		return domain.ErrWrongPassword
	}
	return nil
}
