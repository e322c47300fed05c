package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// SessionIdleLifetime is how long a session lives without being used. A refresh token lives no longer than its session.
const SessionIdleLifetime = 30 * 24 * time.Hour

// EndReason is why a session ended before its time.
type EndReason string

// The reasons, as they stand in the store.
const (
	EndedByLogout  EndReason = "logout"
	EndedByReuse   EndReason = "refresh_token_reused"
	EndedByDisable EndReason = "user_disabled"
)

// Session is a user being signed in on one device.
type Session struct {
	id         uuid.UUID
	userID     uuid.UUID
	device     Device
	openedAt   time.Time
	lastUsedAt time.Time
	endedAt    time.Time // zero while it lives
	endReason  EndReason
}

// OpenSession signs a user in and returns the session with its first refresh token, which is kept as the hash given.
func OpenSession(u *User, device Device, first TokenHash, now time.Time) (*Session, RefreshToken, error) {
	if !u.MaySignIn() {
		return nil, RefreshToken{}, ErrInvalidCredentials
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, RefreshToken{}, fmt.Errorf("make a session id: %w", err)
	}
	s := &Session{id: id, userID: u.ID(), device: device, openedAt: now, lastUsedAt: now}
	return s, RefreshToken{Hash: first, SessionID: id, IssuedAt: now}, nil
}

// ID is the session's id, which access tokens bear as `sid`.
func (s *Session) ID() uuid.UUID { return s.id }

// UserID is whose session it is.
func (s *Session) UserID() uuid.UUID { return s.userID }

// ExpiresAt is when the session is over if it is not used before.
func (s *Session) ExpiresAt() time.Time { return s.lastUsedAt.Add(SessionIdleLifetime) }

// Alive says whether the session is good at a time.
func (s *Session) Alive(now time.Time) bool { return s.endedAt.IsZero() && now.Before(s.ExpiresAt()) }

// End ends the session. Ending an ended one keeps the first reason.
func (s *Session) End(reason EndReason, now time.Time) {
	if s.endedAt.IsZero() {
		s.endedAt, s.endReason = now, reason
	}
}

// Renewal is the moment in which a refresh token is presented: the token, its session and the session's user, as they are
// while nobody else can change them.
type Renewal struct {
	User      *User
	Session   *Session
	Presented RefreshToken
	// Next is the successor, nil when the renewal was refused.
	Next *RefreshToken
}

// Renew spends the presented token and puts next in its place. A token that was spent before ends the session: whoever
// presents it second may be the thief or the victim, and only signing in again tells. A refusal changes the session too,
// so it must be stored whatever Renew returns.
func (r *Renewal) Renew(next TokenHash, device Device, now time.Time) error {
	if !r.Presented.SpentAt.IsZero() {
		r.Session.End(EndedByReuse, now)
		return ErrRefreshTokenReused
	}
	if !r.Session.Alive(now) {
		return ErrSessionOver
	}
	if !r.User.MaySignIn() {
		r.Session.End(EndedByDisable, now)
		return ErrSessionOver
	}
	r.Presented.SpentAt = now
	r.Next = &RefreshToken{Hash: next, SessionID: r.Session.id, IssuedAt: now}
	r.Session.device = device
	if now.After(r.Session.lastUsedAt) { // another replica's clock may be a little ahead of this one
		r.Session.lastUsedAt = now
	}
	return nil
}

// SessionSnapshot is a session as a store keeps it.
type SessionSnapshot struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	Device     Device
	OpenedAt   time.Time
	LastUsedAt time.Time
	// EndedAt and EndReason are zero while the session lives.
	EndedAt   time.Time
	EndReason EndReason
}

// Snapshot returns what a store must keep of the session.
func (s *Session) Snapshot() SessionSnapshot {
	return SessionSnapshot{
		ID: s.id, UserID: s.userID, Device: s.device, OpenedAt: s.openedAt, LastUsedAt: s.lastUsedAt,
		EndedAt: s.endedAt, EndReason: s.endReason,
	}
}

// RestoreSession returns the session that a store kept.
func RestoreSession(s SessionSnapshot) *Session {
	return &Session{
		id: s.ID, userID: s.UserID, device: s.Device, openedAt: s.OpenedAt.UTC(), lastUsedAt: s.LastUsedAt.UTC(),
		endedAt: s.EndedAt.UTC(), endReason: s.EndReason,
	}
}
