package client

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/domain"
	productv1 "shop.example/proto/product/v1"
)

var reservationStatuses = map[productv1.ReservationStatus]domain.ReservationStatus{
	productv1.ReservationStatus_RESERVATION_STATUS_ACTIVE:    domain.ReservationActive,
	productv1.ReservationStatus_RESERVATION_STATUS_CONFIRMED: domain.ReservationConfirmed,
	productv1.ReservationStatus_RESERVATION_STATUS_RELEASED:  domain.ReservationReleased,
	productv1.ReservationStatus_RESERVATION_STATUS_EXPIRED:   domain.ReservationExpired,
}

// ListReservations implements usecase.Reservations.
func (p *Products) ListReservations(ctx context.Context, from, to time.Time, cursor string, limit int) ([]domain.Reservation, string, error) {
	answer, err := p.stock.ListReservations(ctx, &productv1.ListReservationsRequest{
		From: timestamppb.New(from), To: timestamppb.New(to), PageSize: int32(limit), PageToken: cursor, //nolint:gosec // at most 100
	})
	if err != nil {
		return nil, "", err
	}
	page := make([]domain.Reservation, 0, len(answer.GetReservations()))
	for _, r := range answer.GetReservations() {
		reservation, err := toReservation(r)
		if err != nil {
			return nil, "", err
		}
		page = append(page, reservation)
	}
	return page, answer.GetNextPageToken(), nil
}

// Reservations implements usecase.Reservations.
func (p *Products) Reservations(ctx context.Context, orders []uuid.UUID) (map[uuid.UUID]domain.Reservation, error) {
	req := &productv1.BatchGetReservationsRequest{OrderIds: make([]string, len(orders))}
	for i, id := range orders {
		req.OrderIds[i] = id.String()
	}
	answer, err := p.stock.BatchGetReservations(ctx, req)
	if err != nil {
		return nil, err
	}
	found := make(map[uuid.UUID]domain.Reservation, len(answer.GetReservations()))
	for _, r := range answer.GetReservations() {
		reservation, err := toReservation(r)
		if err != nil {
			return nil, err
		}
		found[reservation.OrderID] = reservation
	}
	return found, nil
}

func toReservation(r *productv1.Reservation) (domain.Reservation, error) {
	id, err := uuid.Parse(r.GetOrderId())
	if err != nil {
		return domain.Reservation{}, fmt.Errorf("read a reservation: %w", err)
	}
	status, ok := reservationStatuses[r.GetStatus()]
	if !ok {
		return domain.Reservation{}, fmt.Errorf("read the reservation of order %s: it is %v", id, r.GetStatus())
	}
	reservation := domain.Reservation{OrderID: id, Status: status, Pieces: make(map[uuid.UUID]int64, len(r.GetLines()))}
	for _, l := range r.GetLines() {
		product, err := uuid.Parse(l.GetProductId())
		if err != nil {
			return domain.Reservation{}, fmt.Errorf("read the reservation of order %s: %w", id, err)
		}
		reservation.Pieces[product] += l.GetQuantity()
	}
	return reservation, nil
}
