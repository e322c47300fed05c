package memory

import (
	"context"

	"shop.example/product-service/internal/domain"
)

// Restock implements usecase.RestockStore.
func (s *Store) Restock(_ context.Context, request domain.Restock) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.reservations[request.OrderID]
	if !ok {
		return domain.ErrReservationMissing
	}
	effect, err := domain.RestoreReservation(kept).Restock(request, s.restocks[request.OrderID])
	if err != nil || effect.IsNone() {
		return err
	}
	s.restocks[request.OrderID] = append(s.restocks[request.OrderID], request)
	return s.move(request.OrderID, request.Lines, effect, request.Actor, request.At)
}
