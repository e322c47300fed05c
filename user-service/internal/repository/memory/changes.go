package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

// SessionsEndedSince returns the sessions that ended at a time or after it.
func (s *Store) SessionsEndedSince(_ context.Context, since time.Time) ([]uuid.UUID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ended []uuid.UUID
	for id, session := range s.sessions {
		if !session.EndedAt.IsZero() && !session.EndedAt.Before(since) {
			ended = append(ended, id)
		}
	}
	return ended, nil
}

// UsersChangedSince returns the users whose role changed at a time or after it, with the role that they have now, and those
// who were deleted, with none.
func (s *Store) UsersChangedSince(_ context.Context, since time.Time) (map[uuid.UUID]domain.Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := make(map[uuid.UUID]domain.Role)
	for id, u := range s.users {
		if !u.RoleChangedAt.IsZero() && !u.RoleChangedAt.Before(since) {
			changed[id] = u.Role
		}
	}
	for id, at := range s.deleted {
		if !at.Before(since) {
			changed[id] = ""
		}
	}
	return changed, nil
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
