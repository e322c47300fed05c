// Package domain is what user-service knows about people, their sessions and their passwords: the rules, and nothing that
// stores or sends them.
package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// User is a person with an account.
type User struct {
	id           uuid.UUID
	email        Email
	name         string
	role         Role
	status       Status
	passwordHash string
	createdAt    time.Time
	updatedAt    time.Time
	// roleChangedAt is zero while the role is the first one.
	roleChangedAt time.Time
}

// NewUser returns an active user. passwordHash is a PHC string, never a password.
func NewUser(email Email, name string, role Role, passwordHash string, now time.Time) (*User, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make a user id: %w", err)
	}
	return &User{
		id: id, email: email, name: name, role: role, status: Active, passwordHash: passwordHash,
		createdAt: now, updatedAt: now,
	}, nil
}

// ID is the user's id, a UUIDv7.
func (u *User) ID() uuid.UUID { return u.id }

// Email is the normalised address.
func (u *User) Email() Email { return u.email }

// Name is what the user is called.
func (u *User) Name() string { return u.name }

// Role is what the user may do.
func (u *User) Role() Role { return u.role }

// Status says whether the user may act.
func (u *User) Status() Status { return u.status }

// PasswordHash is the PHC string of the password. It leaves the service nowhere.
func (u *User) PasswordHash() string { return u.passwordHash }

// CreatedAt is when the account was made.
func (u *User) CreatedAt() time.Time { return u.createdAt }

// UpdatedAt is when what others see of the user changed last.
func (u *User) UpdatedAt() time.Time { return u.updatedAt }

// MaySignIn says whether the user may open and keep sessions.
func (u *User) MaySignIn() bool { return u.status == Active }

// SetPassword replaces the hash, be it of another password or of the same one with stronger parameters. Nothing that others
// see changes, so UpdatedAt stays.
func (u *User) SetPassword(passwordHash string) { u.passwordHash = passwordHash }

// UpdateProfile changes the name and the address. What is the same already is no update.
func (u *User) UpdateProfile(name string, email Email, now time.Time) {
	if name == u.name && email == u.email {
		return
	}
	u.name, u.email, u.updatedAt = name, email, now
}

// SetAccess changes what the user may do, and whether at all. others is how many active admins there are beside the user.
// Error: ErrLastAdmin.
func (u *User) SetAccess(role Role, status Status, others int, now time.Time) error {
	if role == u.role && status == u.status {
		return nil
	}
	if role != Admin || status != Active {
		if err := u.MayLeave(others); err != nil {
			return err
		}
	}
	if role != u.role {
		u.roleChangedAt = now
	}
	u.role, u.status, u.updatedAt = role, status, now
	return nil
}

// MayLeave says whether the shop can do without the user. others is how many active admins there are beside the user.
// Error: ErrLastAdmin.
func (u *User) MayLeave(others int) error {
	if u.role == Admin && u.status == Active && others == 0 {
		return ErrLastAdmin
	}
	return nil
}

// Admins are the ids of all active admins, while nobody else can change who they are.
type Admins []uuid.UUID

// Include says whether somebody is one of them.
func (a Admins) Include(id uuid.UUID) bool { return slices.Contains(a, id) }

// Beside is how many there are beside somebody, who may be none.
func (a Admins) Beside(id uuid.UUID) int {
	if a.Include(id) {
		return len(a) - 1
	}
	return len(a)
}

// UserSnapshot is a user as a store keeps it.
type UserSnapshot struct {
	ID           uuid.UUID
	Email        string
	Name         string
	Role         Role
	Status       Status
	PasswordHash string
	CreatedAt    time.Time
	UpdatedAt    time.Time
	// RoleChangedAt is zero while the role is the first one.
	RoleChangedAt time.Time
}

// Snapshot returns what a store must keep of the user.
func (u *User) Snapshot() UserSnapshot {
	return UserSnapshot{
		ID: u.id, Email: u.email.address, Name: u.name, Role: u.role, Status: u.status, PasswordHash: u.passwordHash,
		CreatedAt: u.createdAt, UpdatedAt: u.updatedAt, RoleChangedAt: u.roleChangedAt,
	}
}

// RestoreUser returns the user that a store kept. What was accepted once is not judged again: rules may have grown since.
func RestoreUser(s UserSnapshot) *User {
	return &User{
		id: s.ID, email: Email{s.Email}, name: s.Name, role: s.Role, status: s.Status, passwordHash: s.PasswordHash,
		createdAt: s.CreatedAt.UTC(), updatedAt: s.UpdatedAt.UTC(), roleChangedAt: s.RoleChangedAt.UTC(),
	}
}
