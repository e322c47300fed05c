package memory

import (
	"context"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// Claim implements usecase.KeyStore.
func (s *Store) Claim(ctx context.Context, a usecase.Attempt, keep time.Duration) (usecase.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return usecase.Attempt{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := attemptKey{a.UserID, a.Key}
	known, taken := s.attempts[key]
	switch {
	case !taken:
		known = a
		s.attempts[key] = copyAttempt(a)
	case known.Fingerprint != a.Fingerprint:
		return usecase.Attempt{}, domain.ErrKeyReused
	case known.Outcome != nil:
		return copyAttempt(known), nil
	case s.now().Before(s.claims[known.ID]):
		return usecase.Attempt{}, domain.ErrKeyInProgress
	}
	s.claims[known.ID] = s.now().Add(keep)
	return copyAttempt(known), nil
}

// EndClaim implements usecase.KeyStore.
func (s *Store) EndClaim(ctx context.Context, id uuid.UUID, outcome *usecase.Outcome, forget bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, attempt := range s.attempts {
		if attempt.ID == id && attempt.Outcome == nil && forget {
			delete(s.attempts, key)
		}
	}
	s.keepOutcome([]uuid.UUID{id}, outcome)
	delete(s.claims, id)
	return nil
}
