// Package usecase is where user-service decides: who gets an account, who gets a session, and who may see whom.
package usecase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"

	"shop.example/user-service/internal/domain"
)

// Passwords hashes and checks passwords.
type Passwords interface {
	Hash(ctx context.Context, password string) (phc string, err error)
	Verify(ctx context.Context, phc, password string) (bool, error)
	// Absent is a hash that no password fits; verifying against it takes as long as against a real one.
	Absent() string
	NeedsRehash(phc string) bool
}

// AccessTokens makes access tokens. A ring of several keys may stand behind it.
type AccessTokens interface {
	Sign(auth.Principal) (string, error)
}

// Accounts is the store as signing up and signing in need it.
type Accounts interface {
	// Register keeps a new user with a first session, all or nothing. Error: domain.ErrEmailTaken.
	Register(context.Context, *domain.User, *domain.Session, domain.RefreshToken) error
	// UserByEmail returns a user. Error: domain.ErrNoUser.
	UserByEmail(context.Context, domain.Email) (*domain.User, error)
	// OpenSession locks the user, lets open decide, and keeps the user as open left it and the session that open returned.
	// If open returns an error, nothing is kept. Error: domain.ErrNoUser.
	OpenSession(ctx context.Context, userID uuid.UUID, open func(*domain.User) (*domain.Session, domain.RefreshToken, error)) error
}

// SessionStore is the store as living sessions need it.
type SessionStore interface {
	// RenewSession locks the session that the token belongs to, lets renew decide, and keeps the session, the presented token
	// and the next one as renew left them, unless it returns an error. Error: domain.ErrSessionOver for an unknown token.
	RenewSession(ctx context.Context, presented domain.TokenHash, renew func(*domain.Renewal) error) error
	// UpdateSession locks a session, lets update change it and keeps the result. Error: domain.ErrSessionOver.
	UpdateSession(ctx context.Context, sessionID uuid.UUID, update func(*domain.Session) error) error
	// SessionsEndedSince returns the sessions that ended at a time or after it.
	SessionsEndedSince(ctx context.Context, since time.Time) ([]uuid.UUID, error)
}

// Sessions opens, renews and ends sessions.
type Sessions struct {
	accounts  Accounts
	sessions  SessionStore
	passwords Passwords
	tokens    AccessTokens
	log       *slog.Logger
	now       func() time.Time
}

// NewSessions returns the use cases. now is the clock.
func NewSessions(accounts Accounts, sessions SessionStore, passwords Passwords, tokens AccessTokens, log *slog.Logger, now func() time.Time) *Sessions {
	return &Sessions{accounts: accounts, sessions: sessions, passwords: passwords, tokens: tokens, log: log, now: now}
}

// Grant is what a client is given to act as a user. Both tokens are secrets.
type Grant struct {
	User         *domain.User
	AccessToken  string
	RefreshToken string
}

// LogValue keeps the tokens out of the logs, whoever logs a grant.
func (g Grant) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user_id", g.User.ID().String()))
}

// Register is the wish for an account.
type Register struct {
	Email, Password, Name string
	Device                domain.Device
}

// LogValue keeps the password and the person out of the logs.
func (Register) LogValue() slog.Value { return slog.StringValue("register") }

// Login is the wish for a session.
type Login struct {
	Email, Password string
	Device          domain.Device
}

// LogValue keeps the password and the person out of the logs.
func (Login) LogValue() slog.Value { return slog.StringValue("login") }

// Register makes a customer and opens a first session. Errors: invalid, naming every field that is wrong;
// domain.ErrEmailTaken; too many.
func (s *Sessions) Register(ctx context.Context, c Register) (Grant, error) {
	user, err := newUser(ctx, s.passwords, c.Email, c.Password, c.Name, domain.Customer, s.clock())
	if err != nil {
		return Grant{}, err
	}
	secret := domain.NewRefreshSecret()
	session, token, err := domain.OpenSession(user, c.Device, domain.HashRefreshToken(secret), user.CreatedAt())
	if err != nil {
		return Grant{}, err
	}
	if err := s.accounts.Register(ctx, user, session, token); err != nil {
		return Grant{}, fmt.Errorf("register: %w", err)
	}
	s.log.InfoContext(ctx, "user registered", "user_id", user.ID(), "session_id", session.ID())
	return s.grant(user, session, secret)
}

// Login opens a session. Errors: domain.ErrInvalidCredentials, alike and after the same work for an unknown address, a wrong
// password and a disabled account; too many.
func (s *Sessions) Login(ctx context.Context, c Login) (Grant, error) {
	user, err := s.userByEmail(ctx, c.Email)
	if err != nil && !errors.Is(err, domain.ErrNoUser) {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	phc := s.passwords.Absent()
	if user != nil {
		phc = user.PasswordHash()
	}
	right, err := s.passwords.Verify(ctx, phc, c.Password)
	if err != nil {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	if user == nil || !right || !user.MaySignIn() {
		return Grant{}, domain.ErrInvalidCredentials
	}
	stronger := s.rehash(ctx, phc, c.Password)

	now, secret := s.clock(), domain.NewRefreshSecret()
	var session *domain.Session
	err = s.accounts.OpenSession(ctx, user.ID(), func(u *domain.User) (*domain.Session, domain.RefreshToken, error) {
		// The password was changed while this one was being checked: it is not good anymore.
		if u.PasswordHash() != phc {
			return nil, domain.RefreshToken{}, domain.ErrInvalidCredentials
		}
		if stronger != "" {
			u.Rehash(stronger)
		}
		opened, token, err := domain.OpenSession(u, c.Device, domain.HashRefreshToken(secret), now)
		user, session = u, opened
		return opened, token, err
	})
	if errors.Is(err, domain.ErrNoUser) { // deleted just now
		return Grant{}, domain.ErrInvalidCredentials
	}
	if err != nil {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	s.log.InfoContext(ctx, "session opened", "user_id", user.ID(), "session_id", session.ID(), "rehashed", stronger != "")
	return s.grant(user, session, secret)
}

// userByEmail returns the user with the address. Error: domain.ErrNoUser, also for what can't be an address.
func (s *Sessions) userByEmail(ctx context.Context, raw string) (*domain.User, error) {
	email, err := domain.ParseEmail(raw)
	if err != nil {
		return nil, domain.ErrNoUser
	}
	return s.accounts.UserByEmail(ctx, email)
}

// rehash returns a hash of today's cost for one of an older cost, else nothing. Only a login knows the password. It can wait
// for the next one, so a failure is no reason to refuse this one.
func (s *Sessions) rehash(ctx context.Context, phc, password string) string {
	if !s.passwords.NeedsRehash(phc) {
		return ""
	}
	stronger, err := s.passwords.Hash(ctx, password)
	if err != nil {
		s.log.WarnContext(ctx, "password not rehashed", "error", err)
		return ""
	}
	return stronger
}

// Refresh spends a refresh token and returns a new pair, with the role that the user has now. Errors:
// domain.ErrRefreshTokenReused, after which the session is over; domain.ErrSessionOver.
func (s *Sessions) Refresh(ctx context.Context, refreshToken string, device domain.Device) (Grant, error) {
	now, secret := s.clock(), domain.NewRefreshSecret()
	var (
		user    *domain.User
		session *domain.Session
		refused error
	)
	err := s.sessions.RenewSession(ctx, domain.HashRefreshToken(refreshToken), func(r *domain.Renewal) error {
		user, session = r.User, r.Session
		// Not returned to the store: a refusal may end the session, and that must be kept.
		refused = r.Renew(domain.HashRefreshToken(secret), device, now)
		return nil
	})
	if err != nil {
		return Grant{}, fmt.Errorf("refresh: %w", err)
	}
	if refused != nil {
		if errors.Is(refused, domain.ErrRefreshTokenReused) {
			s.log.WarnContext(ctx, "spent refresh token presented, session ended", "user_id", user.ID(), "session_id", session.ID())
		}
		return Grant{}, refused
	}
	return s.grant(user, session, secret)
}

// Logout ends the caller's session. Ending one that is over is no error.
func (s *Sessions) Logout(ctx context.Context) error {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return errNotSignedIn
	}
	id, err := uuid.Parse(caller.SessionID)
	if err != nil {
		return errNotSignedIn.Wrap(err)
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

var errNotSignedIn = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "Sign in first.")

func (s *Sessions) grant(user *domain.User, session *domain.Session, secret string) (Grant, error) {
	access, err := s.tokens.Sign(auth.Principal{
		UserID: user.ID().String(), Role: auth.Role(user.Role()), SessionID: session.ID().String(),
	})
	if err != nil {
		return Grant{}, err
	}
	return Grant{User: user, AccessToken: access, RefreshToken: secret}, nil
}

// clock returns the time with the precision that the store keeps.
func (s *Sessions) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

const (
	// endedMatters is for how long the end of a session matters to those who verify its access tokens: they live 15
	// minutes, and somebody's clock may be behind.
	endedMatters = 20 * time.Minute
	// endedOverlap is how far each answer reaches back behind the last one: an ending becomes visible when its transaction
	// commits, a little after its time, and the clocks of two replicas differ a little.
	endedOverlap = 10 * time.Second
)

// Ended returns the sessions that ended since a time, and the time to ask from next. The zero time stands for all that
// still matter.
func (s *Sessions) Ended(ctx context.Context, since time.Time) (ids []string, next time.Time, err error) {
	now := s.now()
	if oldest := now.Add(-endedMatters); since.Before(oldest) {
		since = oldest
	}
	ended, err := s.sessions.SessionsEndedSince(ctx, since)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("list ended sessions: %w", err)
	}
	ids = make([]string, len(ended))
	for i, id := range ended {
		ids[i] = id.String()
	}
	return ids, now.Add(-endedOverlap), nil
}
