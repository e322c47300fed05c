package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/pagetoken"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
	productv1 "shop.example/proto/product/v1"
)

func (s *stockServer) ListReservations(ctx context.Context, req *productv1.ListReservationsRequest) (*productv1.ListReservationsResponse, error) {
	query := usecase.ReservationQuery{From: req.GetFrom().AsTime(), To: req.GetTo().AsTime()}
	span := [2]time.Time{query.From, query.To} // a token is good for this span only
	if token := req.GetPageToken(); token != "" {
		if err := pagetoken.Decode(token, span, &query.After); err != nil {
			return nil, err
		}
	}
	found, next, err := s.stock.ChangedReservations(ctx, query, int(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	answer := &productv1.ListReservationsResponse{Reservations: fromReservations(found)}
	if next != nil {
		if answer.NextPageToken, err = pagetoken.Encode(span, next); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (s *stockServer) BatchGetReservations(ctx context.Context, req *productv1.BatchGetReservationsRequest) (*productv1.BatchGetReservationsResponse, error) {
	orders, err := toIDs("order_ids", req.GetOrderIds())
	if err != nil {
		return nil, err
	}
	found, err := s.stock.ReservationsOf(ctx, orders)
	if err != nil {
		return nil, err
	}
	return &productv1.BatchGetReservationsResponse{Reservations: fromReservations(found)}, nil
}

var fromReservationStatus = map[domain.ReservationStatus]productv1.ReservationStatus{
	domain.ReservationActive:    productv1.ReservationStatus_RESERVATION_STATUS_ACTIVE,
	domain.ReservationConfirmed: productv1.ReservationStatus_RESERVATION_STATUS_CONFIRMED,
	domain.ReservationReleased:  productv1.ReservationStatus_RESERVATION_STATUS_RELEASED,
	domain.ReservationExpired:   productv1.ReservationStatus_RESERVATION_STATUS_EXPIRED,
}

func fromReservations(found []domain.ReservationSnapshot) []*productv1.Reservation {
	answer := make([]*productv1.Reservation, len(found))
	for i, r := range found {
		answer[i] = &productv1.Reservation{
			OrderId: r.OrderID.String(), Status: fromReservationStatus[r.Status], UpdatedAt: timestamppb.New(r.UpdatedAt),
		}
		for _, l := range r.Lines {
			answer[i].Lines = append(answer[i].Lines, &productv1.StockLine{ProductId: l.ProductID.String(), Quantity: l.Quantity})
		}
	}
	return answer
}
