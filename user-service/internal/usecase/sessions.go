// Package usecase is where user-service decides: who gets an account, who gets a session, and who may see whom.
package usecase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

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
	// Of more than domain.MaxSessions it ends those that were used least recently. If open returns an error, nothing is kept.
	// Error: domain.ErrNoUser.
	OpenSession(ctx context.Context, userID uuid.UUID, open func(*domain.User) (*domain.Session, domain.RefreshToken, error)) error
	UserUpdater
}

// UserUpdater changes one user.
type UserUpdater interface {
	// UpdateUser locks a user, lets update change it, and keeps the user and the end of its sessions, if update returns one.
	// If update returns an error, nothing is kept. Errors: domain.ErrNoUser, domain.ErrEmailTaken.
	UpdateUser(ctx context.Context, id uuid.UUID, update func(*domain.User) (*domain.SessionsEnd, error)) error
}

// SessionStore is the store as living sessions need it.
type SessionStore interface {
	// RenewSession locks the session that the token belongs to, lets renew decide, and keeps the session, the presented token
	// and the next one as renew left them, unless it returns an error. With a next one, the presented one is no longer kept as
	// a successor. Error: domain.ErrSessionOver for an unknown token.
	RenewSession(ctx context.Context, presented domain.TokenHash, renew func(*domain.Renewal) error) error
	// UpdateSession locks a session, lets update change it and keeps the result. Error: domain.ErrSessionOver.
	UpdateSession(ctx context.Context, sessionID uuid.UUID, update func(*domain.Session) error) error
	// Sessions returns up to limit sessions, the newest first, from behind the cursor on unless that is zero.
	Sessions(ctx context.Context, l LivingSessions, after SessionCursor, limit int) ([]*domain.Session, error)
	// CountSessions returns how many there are.
	CountSessions(context.Context, LivingSessions) (int64, error)
	// SessionsEndedSince returns the first limit sessions that ended at a time or after it, in the order of their ends, and all
	// that ended together with the last of them.
	SessionsEndedSince(ctx context.Context, since time.Time, limit int) ([]EndedSession, error)
	// UsersChangedSince returns likewise the users whose role changed, with the role that they have now, and those who were
	// deleted, with none.
	UsersChangedSince(ctx context.Context, since time.Time, limit int) ([]ChangedUser, error)
}

// Sessions opens, renews and ends sessions.
type Sessions struct {
	accounts  Accounts
	sessions  SessionStore
	passwords Passwords
	throttle  *Throttle
	tokens    AccessTokens
	log       *slog.Logger
	now       func() time.Time
}

// NewSessions returns the use cases. now is the clock.
func NewSessions(accounts Accounts, sessions SessionStore, passwords Passwords, throttle *Throttle, tokens AccessTokens, log *slog.Logger, now func() time.Time) *Sessions {
	return &Sessions{accounts: accounts, sessions: sessions, passwords: passwords, throttle: throttle, tokens: tokens, log: log, now: now}
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

// Refresh is the wish for a new pair of tokens.
type Refresh struct {
	RefreshToken string
	// IdempotencyKey is chosen by the client for this refresh, so that it may repeat it when the answer is lost. Empty for
	// none.
	IdempotencyKey string
	Device         domain.Device
}

// LogValue keeps the token out of the logs.
func (Refresh) LogValue() slog.Value { return slog.StringValue("refresh") }

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
	if err := s.throttle.known(ctx, user.ID(), c.Device); err != nil { // the account is there; the next sign-in notes it too
		s.log.WarnContext(ctx, "network of a new account not noted", "error", err)
	}
	s.log.InfoContext(ctx, "user registered", "user_id", user.ID(), "session_id", session.ID())
	return s.grant(user, session, secret)
}

// Login opens a session. Errors: domain.ErrInvalidCredentials, alike and after the same work for an unknown address, a wrong
// password and a disabled account; too many, with retry_after in seconds, after too many wrong ones, or right ones.
func (s *Sessions) Login(ctx context.Context, c Login) (Grant, error) {
	user, err := s.userByEmail(ctx, c.Email)
	if err != nil && !errors.Is(err, domain.ErrNoUser) {
		return Grant{}, fmt.Errorf("log in: %w", err)
	}
	phc, account := s.passwords.Absent(), domain.AddressKey(c.Email)
	if user != nil {
		phc, account = user.PasswordHash(), domain.UserKey(user.ID())
	}
	err = s.throttle.guess(ctx, domain.LoginMeters(account, c.Device), func() (bool, error) {
		right, err := s.passwords.Verify(ctx, phc, c.Password)
		return right && user != nil && user.MaySignIn(), err
	})
	if errors.Is(err, domain.ErrInvalidCredentials) {
		return Grant{}, domain.ErrInvalidCredentials
	}
	if err != nil {
		return Grant{}, fmt.Errorf("log in: %w", err)
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
			u.SetPassword(stronger)
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

// Refresh spends a refresh token and returns a new pair, with the role that the user has now. The same token with the same
// key again, within domain.RepeatLifetime and before the successor was used, returns the same successor. Errors:
// domain.ErrRefreshTokenReused, after which the session is over; domain.ErrSessionOver.
func (s *Sessions) Refresh(ctx context.Context, c Refresh) (Grant, error) {
	secret := domain.NewRefreshSecret()
	var (
		user    *domain.User
		session *domain.Session
		refused error
	)
	err := s.sessions.RenewSession(ctx, domain.HashRefreshToken(c.RefreshToken), func(r *domain.Renewal) error {
		user, session = r.User, r.Session
		now := s.clock()
		if successor, ok := r.Repeat(c.RefreshToken, c.IdempotencyKey, now); ok {
			secret = successor
			return nil
		}
		// Not returned to the store: a refusal may end the session, and that must be kept.
		var err error
		if refused = r.Renew(domain.HashRefreshToken(secret), c.Device, now); refused == nil && c.IdempotencyKey != "" {
			r.Presented.Successor, err = domain.SealSuccessor(secret, c.RefreshToken, c.IdempotencyKey)
		}
		return err
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
func (s *Sessions) clock() time.Time { return storable(s.now()) }

func storable(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
