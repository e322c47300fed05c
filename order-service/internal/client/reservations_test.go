package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/domain"
	productv1 "shop.example/proto/product/v1"
)

// ledger is a warehouse that tells of its reservations.
type ledger struct {
	warehouse
	list  *productv1.ListReservationsRequest
	batch *productv1.BatchGetReservationsRequest
	tells []*productv1.Reservation
}

func (l *ledger) ListReservations(_ context.Context, req *productv1.ListReservationsRequest) (*productv1.ListReservationsResponse, error) {
	l.list = req
	return &productv1.ListReservationsResponse{Reservations: l.tells, NextPageToken: "next"}, nil
}

func (l *ledger) BatchGetReservations(_ context.Context, req *productv1.BatchGetReservationsRequest) (*productv1.BatchGetReservationsResponse, error) {
	l.batch = req
	return &productv1.BatchGetReservationsResponse{Reservations: l.tells}, nil
}

func TestReservations(t *testing.T) {
	t.Parallel()
	order, cup, pot := uuid.New(), uuid.New(), uuid.New()
	l := &ledger{tells: []*productv1.Reservation{{
		OrderId: order.String(), Status: productv1.ReservationStatus_RESERVATION_STATUS_CONFIRMED,
		Lines: []*productv1.StockLine{{ProductId: cup.String(), Quantity: 2}, {ProductId: pot.String(), Quantity: 1}},
	}}}
	products := serve(t, l)
	want := domain.Reservation{OrderID: order, Status: domain.ReservationConfirmed, Pieces: map[uuid.UUID]int64{cup: 2, pot: 1}}
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

	page, next, err := products.ListReservations(t.Context(), from, from.Add(time.Hour), "here", 100)
	if err != nil || next != "next" {
		t.Fatalf("next %q, error %v", next, err)
	}
	if diff := cmp.Diff([]domain.Reservation{want}, page); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	asked := &productv1.ListReservationsRequest{
		From: timestamppb.New(from), To: timestamppb.New(from.Add(time.Hour)), PageSize: 100, PageToken: "here",
	}
	if diff := cmp.Diff(asked, l.list, protocmp.Transform()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}

	of, err := products.Reservations(t.Context(), []uuid.UUID{order, cup})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uuid.UUID]domain.Reservation{order: want}, of); diff != "" {
		t.Errorf("of orders (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{order.String(), cup.String()}, l.batch.GetOrderIds()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}

	l.tells[0].Status = 99 // of a newer service
	if got, err := products.Reservations(t.Context(), []uuid.UUID{order}); err == nil {
		t.Errorf("a state that nobody knows is read as %+v", got)
	}
}
