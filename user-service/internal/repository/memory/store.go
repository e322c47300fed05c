// Package memory keeps users and their sessions in memory, for tests. It is held to the same suite as the database.
package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

// Store is a working store. One lock stands for all locks of rows: each method is one unit of work.
type Store struct {
	mu       sync.Mutex
	users    map[uuid.UUID]domain.UserSnapshot
	sessions map[uuid.UUID]domain.SessionSnapshot
	tokens   map[domain.TokenHash]domain.RefreshToken
	// addresses are the books of users, by the user.
	addresses map[uuid.UUID][]domain.AddressSnapshot
	// deleted says when users were.
	deleted map[uuid.UUID]time.Time
	meters  map[domain.MeterKey]domain.MeterState
}

// New returns an empty store.
func New() *Store {
	return &Store{
		users:    make(map[uuid.UUID]domain.UserSnapshot),
		sessions: make(map[uuid.UUID]domain.SessionSnapshot),
		tokens:   make(map[domain.TokenHash]domain.RefreshToken),

		addresses: make(map[uuid.UUID][]domain.AddressSnapshot),
		deleted:   make(map[uuid.UUID]time.Time),
		meters:    make(map[domain.MeterKey]domain.MeterState),
	}
}

// CreateUser keeps a new user. Error: domain.ErrEmailTaken.
func (s *Store) CreateUser(ctx context.Context, u *domain.User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return s.insertUser(u)
}

// Register keeps a new user with a first session, all or nothing. Error: domain.ErrEmailTaken.
func (s *Store) Register(ctx context.Context, u *domain.User, session *domain.Session, token domain.RefreshToken) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := s.insertUser(u); err != nil {
		return err
	}
	s.sessions[session.ID()] = session.Snapshot()
	s.tokens[token.Hash] = token
	return nil
}

func (s *Store) insertUser(u *domain.User) error {
	if _, taken := s.byEmail(u.Email()); taken {
		return domain.ErrEmailTaken
	}
	s.users[u.ID()] = u.Snapshot()
	return nil
}

func (s *Store) byEmail(email domain.Email) (domain.UserSnapshot, bool) {
	for _, u := range s.users {
		if u.Email == email.String() {
			return u, true
		}
	}
	return domain.UserSnapshot{}, false
}

// User returns a user. Error: domain.ErrNoUser.
func (s *Store) User(_ context.Context, id uuid.UUID) (*domain.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[id]
	if !ok {
		return nil, domain.ErrNoUser
	}
	return domain.RestoreUser(u), nil
}

// UserByEmail returns a user. Error: domain.ErrNoUser.
func (s *Store) UserByEmail(_ context.Context, email domain.Email) (*domain.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.byEmail(email)
	if !ok {
		return nil, domain.ErrNoUser
	}
	return domain.RestoreUser(u), nil
}

// OpenSession lets open decide on the user, and keeps the user as open left it and the session that open returned.
// Of more than domain.MaxSessions it ends those that were used least recently. If open returns an error, nothing is kept. Error:
// domain.ErrNoUser.
func (s *Store) OpenSession(_ context.Context, userID uuid.UUID, open func(*domain.User) (*domain.Session, domain.RefreshToken, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.users[userID]
	if !ok {
		return domain.ErrNoUser
	}
	u := domain.RestoreUser(kept)
	session, token, err := open(u)
	if err != nil {
		return err
	}
	s.users[userID] = u.Snapshot()
	s.sessions[session.ID()] = session.Snapshot()
	s.tokens[token.Hash] = token
	s.endLeastRecentlyUsed(session)
	return nil
}

// RenewSession lets renew decide on the session that the token belongs to, and keeps the session, the presented token and
// the next one as renew left them, unless it returns an error. With a next one, the presented one is no longer kept as a
// successor. Error: domain.ErrSessionOver for an unknown token.
func (s *Store) RenewSession(_ context.Context, presented domain.TokenHash, renew func(*domain.Renewal) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.tokens[presented]
	if !ok {
		return domain.ErrSessionOver
	}
	session := s.sessions[token.SessionID]
	r := domain.Renewal{
		User:      domain.RestoreUser(s.users[session.UserID]),
		Session:   domain.RestoreSession(session),
		Presented: token,
	}
	for _, t := range s.tokens {
		if t.SessionID == token.SessionID && !t.SpentAt.IsZero() {
			r.Spent++
		}
	}
	if err := renew(&r); err != nil {
		return err
	}
	s.sessions[token.SessionID] = r.Session.Snapshot()
	if r.Next != nil {
		for hash, t := range s.tokens {
			if t.SessionID == token.SessionID {
				t.Successor = nil
				s.tokens[hash] = t
			}
		}
		s.tokens[r.Next.Hash] = *r.Next
	}
	s.tokens[presented] = r.Presented
	return nil
}

// UpdateSession lets update change a session and keeps the result. Error: domain.ErrSessionOver.
func (s *Store) UpdateSession(_ context.Context, sessionID uuid.UUID, update func(*domain.Session) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.sessions[sessionID]
	if !ok {
		return domain.ErrSessionOver
	}
	session := domain.RestoreSession(kept)
	if err := update(session); err != nil {
		return err
	}
	s.sessions[sessionID] = session.Snapshot()
	return nil
}
