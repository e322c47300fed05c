package usecase

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
)

// ReservationReader reads reservations, for whoever compares them with orders.
type ReservationReader interface {
	// ChangedReservations returns up to limit reservations that last changed in the span of a query, in the order of their
	// changes, after the place of one unless that is nil.
	ChangedReservations(ctx context.Context, q ReservationQuery, limit int) ([]domain.ReservationSnapshot, error)
	// ReservationsOf returns the reservations of some orders, in any order.
	ReservationsOf(ctx context.Context, orders []uuid.UUID) ([]domain.ReservationSnapshot, error)
}

// ReservationQuery is a span of time, and where in it to begin.
type ReservationQuery struct {
	From, To time.Time // To is not included
	After    *ReservationPlace
}

// ReservationPlace is where a reservation stands among those that have changed.
type ReservationPlace struct {
	At      time.Time
	OrderID uuid.UUID
}

// ChangedReservations returns a page, and the place to go on after, nil at the end.
func (s *Stock) ChangedReservations(ctx context.Context, q ReservationQuery, pageSize int) ([]domain.ReservationSnapshot, *ReservationPlace, error) {
	found, err := s.reservations.ChangedReservations(ctx, q, pageSize+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list reservations: %w", err)
	}
	if len(found) <= pageSize {
		return found, nil, nil
	}
	last := found[pageSize-1]
	return found[:pageSize], &ReservationPlace{last.UpdatedAt, last.OrderID}, nil
}

// ReservationsOf returns the reservations of some orders; those that have none are left out.
func (s *Stock) ReservationsOf(ctx context.Context, orders []uuid.UUID) ([]domain.ReservationSnapshot, error) {
	found, err := s.reservations.ReservationsOf(ctx, orders)
	if err != nil {
		return nil, fmt.Errorf("get reservations: %w", err)
	}
	return found, nil
}
