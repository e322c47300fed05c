// Package domain is what user-service knows about people, their sessions and their passwords: the rules, and nothing that
// stores or sends them.
package domain

import (
	"fmt"
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

// Rehash replaces the hash of the same password by one with stronger parameters. Nothing that anybody sees changes, so
// UpdatedAt stays.
func (u *User) Rehash(passwordHash string) { u.passwordHash = passwordHash }

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
}

// Snapshot returns what a store must keep of the user.
func (u *User) Snapshot() UserSnapshot {
	return UserSnapshot{
		ID: u.id, Email: u.email.address, Name: u.name, Role: u.role, Status: u.status, PasswordHash: u.passwordHash,
		CreatedAt: u.createdAt, UpdatedAt: u.updatedAt,
	}
}

// RestoreUser returns the user that a store kept. What was accepted once is not judged again: rules may have grown since.
func RestoreUser(s UserSnapshot) *User {
	return &User{
		id: s.ID, email: Email{s.Email}, name: s.Name, role: s.Role, status: s.Status, passwordHash: s.PasswordHash,
		createdAt: s.CreatedAt.UTC(), updatedAt: s.UpdatedAt.UTC(),
	}
}
