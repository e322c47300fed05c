package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"shop.example/user-service/internal/usecase"
)

// SessionsEndedSince returns the first limit sessions that ended at a time or after it, in the order of their ends, and all that
// ended together with the last of them.
func (s *Store) SessionsEndedSince(_ context.Context, since time.Time, limit int) ([]usecase.EndedSession, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ended []usecase.EndedSession
	for id, session := range s.sessions {
		if !session.EndedAt.IsZero() && !session.EndedAt.Before(since) {
			ended = append(ended, usecase.EndedSession{ID: id, At: session.EndedAt})
		}
	}
	return first(ended, limit, func(e usecase.EndedSession) time.Time { return e.At }), nil
}

// UsersChangedSince returns likewise the users whose role changed, with the role that they have now, and those who were deleted,
// with none.
func (s *Store) UsersChangedSince(_ context.Context, since time.Time, limit int) ([]usecase.ChangedUser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var changed []usecase.ChangedUser
	for id, u := range s.users {
		if !u.RoleChangedAt.IsZero() && !u.RoleChangedAt.Before(since) {
			changed = append(changed, usecase.ChangedUser{ID: id, Role: u.Role, At: u.RoleChangedAt})
		}
	}
	for id, at := range s.deleted {
		if !at.Before(since) {
			changed = append(changed, usecase.ChangedUser{ID: id, At: at})
		}
	}
	return first(changed, limit, func(c usecase.ChangedUser) time.Time { return c.At }), nil
}

// first returns the first limit by their times, and all of the same time as the last of them.
func first[T any](all []T, limit int, at func(T) time.Time) []T {
	slices.SortFunc(all, func(a, b T) int { return at(a).Compare(at(b)) })
	n := min(limit, len(all))
	for n > 0 && n < len(all) && at(all[n]).Equal(at(all[n-1])) {
		n++
	}
	return all[:n]
}

// DeletionsAfter returns up to limit deletions behind one, in the order of time and, in one moment, of ids.
func (s *Store) DeletionsAfter(_ context.Context, after usecase.Deletion, limit int) ([]usecase.Deletion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inOrder := func(a, b usecase.Deletion) int {
		return cmp.Or(a.At.Compare(b.At), bytes.Compare(a.UserID[:], b.UserID[:]))
	}
	var deletions []usecase.Deletion
	for id, at := range s.deleted {
		if d := (usecase.Deletion{UserID: id, At: at}); inOrder(d, after) > 0 {
			deletions = append(deletions, d)
		}
	}
	slices.SortFunc(deletions, inOrder)
	return deletions[:min(limit, len(deletions))], nil
}
