package usecase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"

	"shop.example/user-service/internal/domain"
)

// LivingSessions are the sessions of a user that are good at a time.
type LivingSessions struct {
	UserID uuid.UUID
	At     time.Time
}

// SessionCursor is the place of a session in the list. The zero value is the place before the first.
type SessionCursor struct {
	OpenedAt time.Time
	ID       uuid.UUID
}

// SessionPage is a part of the list of the caller's sessions.
type SessionPage struct {
	PageOf[*domain.Session]
	// Current is the one that the call is made with.
	Current uuid.UUID
}

// List returns where the caller is signed in, the newest first.
func (s *Sessions) List(ctx context.Context, p Page) (SessionPage, error) {
	userID, current, err := signedIn(ctx)
	if err != nil {
		return SessionPage{}, err
	}
	living := LivingSessions{userID, s.clock()}
	page, err := list[*domain.Session, SessionCursor]{
		query: []string{"sessions", userID.String()},
		read: func(ctx context.Context, after SessionCursor, limit int) ([]*domain.Session, error) {
			return s.sessions.Sessions(ctx, living, after, limit)
		},
		count: func(ctx context.Context) (int64, error) { return s.sessions.CountSessions(ctx, living) },
		place: func(session *domain.Session) SessionCursor { return SessionCursor{session.OpenedAt(), session.ID()} },
	}.page(ctx, p)
	if err != nil {
		return SessionPage{}, fmt.Errorf("list sessions: %w", err)
	}
	return SessionPage{page, current}, nil
}

// Logout ends the caller's session. Ending one that is over is no error.
func (s *Sessions) Logout(ctx context.Context) error {
	_, id, err := signedIn(ctx)
	if err != nil {
		return err
	}
	err = s.sessions.UpdateSession(ctx, id, func(session *domain.Session) error {
		session.End(domain.EndedByLogout, s.clock())
		return nil
	})
	if err != nil && !errors.Is(err, domain.ErrSessionOver) {
		return fmt.Errorf("log out: %w", err)
	}
	s.log.InfoContext(ctx, "session ended", "session_id", id)
	return nil
}

// End ends one of the caller's sessions. Error: domain.ErrNoSession, also for somebody else's and for one that is over.
func (s *Sessions) End(ctx context.Context, id uuid.UUID) error {
	userID, current, err := signedIn(ctx)
	if err != nil {
		return err
	}
	err = s.sessions.UpdateSession(ctx, id, func(session *domain.Session) error {
		return session.SignOut(userID, current, s.clock())
	})
	if errors.Is(err, domain.ErrSessionOver) {
		return domain.ErrNoSession
	}
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	s.log.InfoContext(ctx, "session ended", "session_id", id)
	return nil
}

// EndOthers ends all sessions of the caller but the one that the call is made with.
func (s *Sessions) EndOthers(ctx context.Context) error {
	userID, current, err := signedIn(ctx)
	if err != nil {
		return err
	}
	err = s.accounts.UpdateUser(ctx, userID, func(*domain.User) (*domain.SessionsEnd, error) {
		return &domain.SessionsEnd{Except: current, Reason: domain.EndedFromElsewhere, At: s.clock()}, nil
	})
	if err != nil {
		return fmt.Errorf("end other sessions: %w", gone(err))
	}
	s.log.InfoContext(ctx, "other sessions ended", "session_id", current)
	return nil
}

var errNotSignedIn = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "Sign in first.")

// signedIn returns the caller and the session that the call is made with.
func signedIn(ctx context.Context) (userID, sessionID uuid.UUID, err error) {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return uuid.Nil, uuid.Nil, errNotSignedIn
	}
	if userID, err = uuid.Parse(caller.UserID); err != nil {
		return uuid.Nil, uuid.Nil, errNotSignedIn.Wrap(err)
	}
	if sessionID, err = uuid.Parse(caller.SessionID); err != nil {
		return uuid.Nil, uuid.Nil, errNotSignedIn.Wrap(err)
	}
	return userID, sessionID, nil
}

// gone says of a caller who was deleted just now that it is not signed in.
func gone(err error) error {
	if errors.Is(err, domain.ErrNoUser) {
		return errNotSignedIn.Wrap(err)
	}
	return err
}
