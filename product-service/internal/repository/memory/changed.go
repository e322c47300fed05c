package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// ChangedReservations implements usecase.ReservationReader.
func (s *Store) ChangedReservations(_ context.Context, q usecase.ReservationQuery, limit int) ([]domain.ReservationSnapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []domain.ReservationSnapshot
	for _, r := range s.reservations {
		if r.UpdatedAt.Before(q.From) || !r.UpdatedAt.Before(q.To) || q.After != nil && inOrder(r, q.After.At, q.After.OrderID) <= 0 {
			continue
		}
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b domain.ReservationSnapshot) int { return inOrder(a, b.UpdatedAt, b.OrderID) })
	return found[:min(limit, len(found))], nil
}

func inOrder(r domain.ReservationSnapshot, at time.Time, orderID uuid.UUID) int {
	return cmp.Or(r.UpdatedAt.Compare(at), bytes.Compare(r.OrderID[:], orderID[:]))
}

// ReservationsOf implements usecase.ReservationReader.
func (s *Store) ReservationsOf(_ context.Context, orders []uuid.UUID) ([]domain.ReservationSnapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []domain.ReservationSnapshot
	for _, id := range orders {
		if r, ok := s.reservations[id]; ok {
			found = append(found, r)
		}
	}
	return found, nil
}
