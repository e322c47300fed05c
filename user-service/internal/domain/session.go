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
	EndedByLogout         EndReason = "logout"
	EndedByReuse          EndReason = "refresh_token_reused"
	EndedByDisable        EndReason = "user_disabled"
	EndedFromElsewhere    EndReason = "signed_out"
	EndedByPasswordChange EndReason = "password_changed"
	EndedByLimit          EndReason = "limit_reached"
)

const (
	// MaxSessions is how many sessions of a user live at once. It is far more than a person has devices, and few enough that
	// all of them end in some milliseconds. One more ends the one that was used least recently.
	MaxSessions = 100
	// MaxSpentTokens is how many spent refresh tokens of a session are kept: none is dropped to make room, because then its
	// second use would not be noticed. A client renews when the access token ends, after 15 minutes; one in 9 minutes is less
	// than this in the 30 days after which they are forgotten. Who renews for each call signs in again one day.
	MaxSpentTokens = 5000
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

// Device is where the session was used last.
func (s *Session) Device() Device { return s.device }

// OpenedAt is when the user signed in.
func (s *Session) OpenedAt() time.Time { return s.openedAt }

// LastUsedAt is when the session was opened or renewed last.
func (s *Session) LastUsedAt() time.Time { return s.lastUsedAt }

// ExpiresAt is when the session is over if it is not used before.
func (s *Session) ExpiresAt() time.Time { return s.lastUsedAt.Add(SessionIdleLifetime) }

// Alive says whether the session is good at a time.
func (s *Session) Alive(now time.Time) bool { return s.endedAt.IsZero() && now.Before(s.ExpiresAt()) }

// SignOut ends one of a user's sessions, from the current one, which may be the same. Somebody else's session and one that
// is over do not exist for the user.
func (s *Session) SignOut(userID, current uuid.UUID, now time.Time) error {
	if s.userID != userID || !s.Alive(now) {
		return ErrNoSession
	}
	if s.id == current {
		s.End(EndedByLogout, now)
	} else {
		s.End(EndedFromElsewhere, now)
	}
	return nil
}

// SessionsEnd is the end of the living sessions of a user, all at once.
type SessionsEnd struct {
	// Except is the one that goes on; none for the zero id.
	Except uuid.UUID
	Reason EndReason
	At     time.Time
}

// End ends the session. Ending an ended one keeps the first reason.
func (s *Session) End(reason EndReason, now time.Time) {
	if s.endedAt.IsZero() {
		s.endedAt, s.endReason = now, reason
	}
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
