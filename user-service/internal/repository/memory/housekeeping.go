package memory

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// DeleteSessionsUnusedSince deletes up to limit sessions with their tokens, and returns how many it were.
func (s *Store) DeleteSessionsUnusedSince(_ context.Context, before time.Time, limit int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for id, session := range s.sessions {
		if n < int64(limit) && session.LastUsedAt.Before(before) {
			s.deleteSession(id)
			n++
		}
	}
	return n, nil
}

// DeleteTokensSpentBefore deletes up to limit spent refresh tokens, and returns how many it were.
func (s *Store) DeleteTokensSpentBefore(_ context.Context, before time.Time, limit int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for hash, token := range s.tokens {
		if n < int64(limit) && !token.SpentAt.IsZero() && token.SpentAt.Before(before) {
			delete(s.tokens, hash)
			n++
		}
	}
	return n, nil
}

// ForgetSuccessors erases up to limit successors of tokens that were spent before, and returns how many it were.
func (s *Store) ForgetSuccessors(_ context.Context, before time.Time, limit int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for hash, token := range s.tokens {
		if n < int64(limit) && token.Successor != nil && token.SpentAt.Before(before) {
			token.Successor = nil
			s.tokens[hash] = token
			n++
		}
	}
	return n, nil
}

// DeleteMetersEndedBefore deletes up to limit meters that had nothing to remember any more, and returns how many it were.
func (s *Store) DeleteMetersEndedBefore(_ context.Context, before time.Time, limit int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for key, state := range s.meters {
		if n < int64(limit) && state.FreeAt.Before(before) && state.KnownUntil.Before(before) {
			delete(s.meters, key)
			n++
		}
	}
	return n, nil
}

// DeleteTombstonesOlderThan forgets up to limit users who were deleted before, and returns how many it were.
func (s *Store) DeleteTombstonesOlderThan(_ context.Context, before time.Time, limit int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for id, at := range s.deleted {
		if n < int64(limit) && at.Before(before) {
			delete(s.deleted, id)
			n++
		}
	}
	return n, nil
}

func (s *Store) deleteSession(id uuid.UUID) {
	delete(s.sessions, id)
	for hash, token := range s.tokens {
		if token.SessionID == id {
			delete(s.tokens, hash)
		}
	}
}
