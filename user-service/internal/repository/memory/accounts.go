package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

// UpdateUser lets update change a user, and keeps the user and the end of its sessions, if update returns one. Errors:
// domain.ErrNoUser, domain.ErrEmailTaken.
func (s *Store) UpdateUser(_ context.Context, id uuid.UUID, update func(*domain.User) (*domain.SessionsEnd, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updateUser(id, update)
}

// UpdateAccess is UpdateUser for a decision that depends on who the active admins are.
func (s *Store) UpdateAccess(_ context.Context, id uuid.UUID, update func(u *domain.User, admins domain.Admins) (*domain.SessionsEnd, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.updateUser(id, func(u *domain.User) (*domain.SessionsEnd, error) { return update(u, s.admins()) })
}

// DeleteUser lets decide say when, if at all, and erases the user with all that is kept of it but the fact. Error:
// domain.ErrNoUser.
func (s *Store) DeleteUser(_ context.Context, id uuid.UUID, decide func(u *domain.User, admins domain.Admins) (time.Time, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.users[id]
	if !ok {
		return domain.ErrNoUser
	}
	u := domain.RestoreUser(kept)
	at, err := decide(u, s.admins())
	if err != nil {
		return err
	}
	for sessionID, session := range s.sessions {
		if session.UserID == id {
			s.deleteSession(sessionID)
		}
	}
	for key := range s.meters {
		if key.Account == domain.UserKey(id) {
			delete(s.meters, key)
		}
	}
	delete(s.addresses, id)
	delete(s.users, id)
	s.deleted[id] = at
	return nil
}

func (s *Store) updateUser(id uuid.UUID, update func(*domain.User) (*domain.SessionsEnd, error)) error {
	kept, ok := s.users[id]
	if !ok {
		return domain.ErrNoUser
	}
	u := domain.RestoreUser(kept)
	end, err := update(u)
	if err != nil {
		return err
	}
	if other, taken := s.byEmail(u.Email()); taken && other.ID != id {
		return domain.ErrEmailTaken
	}
	s.users[id] = u.Snapshot()
	if end == nil {
		return nil
	}
	for sessionID, snapshot := range s.sessions {
		if snapshot.UserID == id && sessionID != end.Except {
			session := domain.RestoreSession(snapshot)
			session.End(end.Reason, end.At)
			s.sessions[sessionID] = session.Snapshot()
		}
	}
	return nil
}

func (s *Store) admins() (all domain.Admins) {
	for id, u := range s.users {
		if u.Role == domain.Admin && u.Status == domain.Active {
			all = append(all, id)
		}
	}
	return all
}

// Users returns up to limit users who match, the newest first, from behind the one with the id after unless that is zero.
func (s *Store) Users(_ context.Context, f usecase.UserFilter, after uuid.UUID, limit int) ([]*domain.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*domain.User
	for _, u := range s.users {
		if matches(f, u) && (after == uuid.Nil || bytes.Compare(u.ID[:], after[:]) < 0) {
			found = append(found, domain.RestoreUser(u))
		}
	}
	slices.SortFunc(found, func(a, b *domain.User) int { return cmp.Compare(b.ID().String(), a.ID().String()) })
	return found[:min(limit, len(found))], nil
}

// CountUsers returns how many match.
func (s *Store) CountUsers(_ context.Context, f usecase.UserFilter) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, u := range s.users {
		if matches(f, u) {
			n++
		}
	}
	return n, nil
}

func matches(f usecase.UserFilter, u domain.UserSnapshot) bool {
	text := strings.ToLower(f.Text)
	return (strings.Contains(u.Email, text) || strings.Contains(strings.ToLower(u.Name), text)) &&
		(f.Role == "" || f.Role == u.Role) && (f.Status == "" || f.Status == u.Status)
}

// Sessions returns up to limit sessions, the newest first, from behind the cursor on unless that is zero.
func (s *Store) Sessions(_ context.Context, l usecase.LivingSessions, after usecase.SessionCursor, limit int) ([]*domain.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := slices.DeleteFunc(s.living(l), func(session *domain.Session) bool {
		return after.ID != uuid.Nil && newestFirst(session, after.OpenedAt, after.ID) <= 0
	})
	slices.SortFunc(found, func(a, b *domain.Session) int { return newestFirst(a, b.OpenedAt(), b.ID()) })
	return found[:min(limit, len(found))], nil
}

// CountSessions returns how many there are.
func (s *Store) CountSessions(_ context.Context, l usecase.LivingSessions) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.living(l))), nil
}

func (s *Store) living(l usecase.LivingSessions) []*domain.Session {
	var found []*domain.Session
	for _, snapshot := range s.sessions {
		if session := domain.RestoreSession(snapshot); session.UserID() == l.UserID && session.Alive(l.At) {
			found = append(found, session)
		}
	}
	return found
}

func newestFirst(s *domain.Session, openedAt time.Time, id uuid.UUID) int {
	return cmp.Or(openedAt.Compare(s.OpenedAt()), cmp.Compare(id.String(), s.ID().String()))
}

// endLeastRecentlyUsed leaves room for a session that was opened just now.
func (s *Store) endLeastRecentlyUsed(opened *domain.Session) {
	var others []domain.SessionSnapshot
	for id, session := range s.sessions {
		if session.UserID == opened.UserID() && id != opened.ID() && session.EndedAt.IsZero() {
			others = append(others, session)
		}
	}
	slices.SortFunc(others, func(a, b domain.SessionSnapshot) int {
		return cmp.Or(b.LastUsedAt.Compare(a.LastUsedAt), cmp.Compare(b.ID.String(), a.ID.String()))
	})
	for _, snapshot := range others[min(domain.MaxSessions-1, len(others)):] {
		session := domain.RestoreSession(snapshot)
		session.End(domain.EndedByLimit, opened.OpenedAt())
		s.sessions[session.ID()] = session.Snapshot()
	}
}
