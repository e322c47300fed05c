package memory

import (
	"context"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
)

// PlanCheck implements usecase.CheckPlanner.
func (s *Store) PlanCheck(ctx context.Context, orderID uuid.UUID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.orders[orderID]; !ok {
		return domain.ErrOrderMissing
	}
	s.checks[orderID]++
	return nil
}

// Checks returns how many looks at the payments of an order are planned.
func (s *Store) Checks(_ context.Context, orderID uuid.UUID) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checks[orderID], nil
}

// DueChecks takes out the orders whose payments are to be looked at.
func (s *Store) DueChecks() []uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []uuid.UUID
	for id, n := range s.checks {
		for range n {
			due = append(due, id)
		}
	}
	clear(s.checks)
	return due
}
