package client_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	productv1 "shop.example/proto/product/v1"
)

func (w *warehouse) RestockItems(_ context.Context, req *productv1.RestockItemsRequest) (*productv1.RestockItemsResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.back = req
	return &productv1.RestockItemsResponse{}, w.refuses
}

func (w *warehouse) ReleaseReservation(_ context.Context, req *productv1.ReleaseReservationRequest) (*productv1.ReleaseReservationResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released = req
	return &productv1.ReleaseReservationResponse{}, nil
}

func TestRelease(t *testing.T) {
	t.Parallel()
	w := &warehouse{}
	order, cup := uuid.New(), uuid.New()
	if err := w.serve(t).Release(t.Context(), order, usecase.Line{ProductID: cup, Quantity: 3}); err != nil {
		t.Fatal(err)
	}
	want := &productv1.ReleaseReservationRequest{OrderId: order.String(), Kept: []*productv1.StockLine{{ProductId: cup.String(), Quantity: 3}}}
	if diff := cmp.Diff(want, w.released, protocmp.Transform()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestRestock(t *testing.T) {
	t.Parallel()
	w := &warehouse{}
	products := w.serve(t)
	order, refund, cup := uuid.New(), uuid.New(), uuid.New()
	restock := func() error {
		return products.Restock(t.Context(), order, refund, []usecase.Line{{ProductID: cup, Quantity: 3}})
	}
	if err := restock(); err != nil {
		t.Fatal(err)
	}
	want := &productv1.RestockItemsRequest{
		OrderId: order.String(), RefundId: refund.String(), Lines: []*productv1.StockLine{{ProductId: cup.String(), Quantity: 3}},
	}
	if diff := cmp.Diff(want, w.back, protocmp.Transform()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	refusal := apperr.New(apperr.Conflict, "reservation_not_confirmed", "No.")
	w.refuses = refusal
	if err := restock(); !errors.Is(err, refusal) {
		t.Errorf("%v, want %v", err, refusal)
	}
}
