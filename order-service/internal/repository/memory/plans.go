package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Plans returns when Settle is to look at which order.
func (s *Store) Plans() map[uuid.UUID]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.plans)
}

// Planned returns when Settle is to look at an order, and whether it is to at all.
func (s *Store) Planned(_ context.Context, orderID uuid.UUID) (time.Time, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.plans[orderID]
	return at, ok, nil
}

// Due takes out the plans whose time has come, the oldest first, as a queue hands out jobs: who takes one runs Settle, and
// plans again what Settle could not end.
func (s *Store) Due(now time.Time) []uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []uuid.UUID
	for id, at := range s.plans {
		if !at.After(now) {
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(a, b uuid.UUID) int {
		if c := s.plans[a].Compare(s.plans[b]); c != 0 {
			return c
		}
		return bytes.Compare(a[:], b[:])
	})
	for _, id := range due {
		delete(s.plans, id)
	}
	return due
}

// Unplan implements usecase.OrderStore.
func (s *Store) Unplan(ctx context.Context, orderID uuid.UUID, version int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.orders[orderID]; ok && r.order.Version == version {
		delete(s.plans, orderID)
	}
	return nil
}

// PlanAgain plans a look at an order, unless a sooner one is planned.
func (s *Store) PlanAgain(orderID uuid.UUID, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if planned, ok := s.plans[orderID]; !ok || at.Before(planned) {
		s.plans[orderID] = at
	}
}
