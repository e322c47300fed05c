package rpc_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	productv1 "shop.example/proto/product/v1"
)

// Who audits the orders meets every reservation, by the span of its last change and by its order.
func TestListReservations(t *testing.T) {
	t.Parallel()
	s := setup(t)
	staff, gateway := s.user(t, auth.Staff), s.as(t, grpcserver.Gateway)
	created, err := productv1.NewCatalogServiceClient(gateway).CreateProduct(staff, tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE))
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetProduct().GetId()
	if _, err := productv1.NewStockServiceClient(gateway).AdjustStock(staff, &productv1.AdjustStockRequest{ProductId: id, Delta: 5, Reason: "delivery"}); err != nil {
		t.Fatal(err)
	}
	stock, orders := productv1.NewStockServiceClient(s.as(t, grpcserver.OrderService)), []string{uuid.NewString(), uuid.NewString(), uuid.NewString()}
	line := []*productv1.StockLine{{ProductId: id, Quantity: 2}}
	for _, order := range orders[:2] {
		if _, err := stock.ReserveStock(t.Context(), &productv1.ReserveStockRequest{OrderId: order, Lines: line, TtlSeconds: 60}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stock.ConfirmReservation(t.Context(), &productv1.ConfirmReservationRequest{OrderId: orders[0]}); err != nil {
		t.Fatal(err)
	}
	if _, err := stock.ReleaseReservation(t.Context(), &productv1.ReleaseReservationRequest{OrderId: orders[2]}); err != nil {
		t.Fatal(err)
	}
	want := map[string]*productv1.Reservation{
		orders[0]: {OrderId: orders[0], Status: productv1.ReservationStatus_RESERVATION_STATUS_CONFIRMED, Lines: line},
		orders[1]: {OrderId: orders[1], Status: productv1.ReservationStatus_RESERVATION_STATUS_ACTIVE, Lines: line},
		orders[2]: {OrderId: orders[2], Status: productv1.ReservationStatus_RESERVATION_STATUS_RELEASED},
	}
	same := func(what string, got []*productv1.Reservation) {
		t.Helper()
		found := make(map[string]*productv1.Reservation)
		for _, r := range got {
			found[r.GetOrderId()] = r
		}
		if diff := cmp.Diff(want, found, protocmp.Transform(), protocmp.IgnoreFields(&productv1.Reservation{}, "updated_at")); diff != "" || len(got) != len(want) {
			t.Errorf("%s: %d (-want +got):\n%s", what, len(got), diff)
		}
	}

	span := &productv1.ListReservationsRequest{
		From: timestamppb.New(time.Now().Add(-time.Hour)), To: timestamppb.New(time.Now().Add(time.Hour)), PageSize: 2,
	}
	first, err := stock.ListReservations(t.Context(), span)
	if err != nil || len(first.GetReservations()) != 2 {
		t.Fatalf("%v, %v", first, err)
	}
	span.PageToken = first.GetNextPageToken()
	second, err := stock.ListReservations(t.Context(), span)
	if err != nil || second.GetNextPageToken() != "" {
		t.Fatalf("%v, %v", second, err)
	}
	all := slices.Concat(first.GetReservations(), second.GetReservations())
	same("listed", all)
	if !slices.IsSortedFunc(all, func(a, b *productv1.Reservation) int {
		return a.GetUpdatedAt().AsTime().Compare(b.GetUpdatedAt().AsTime())
	}) {
		t.Errorf("not in the order of their changes: %v", all)
	}
	span.To = timestamppb.New(time.Now().Add(2 * time.Hour))
	if _, err := stock.ListReservations(t.Context(), span); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("the token of another span: %v", err)
	}

	got, err := stock.BatchGetReservations(t.Context(), &productv1.BatchGetReservationsRequest{OrderIds: append(orders, uuid.NewString())})
	if err != nil {
		t.Fatal(err)
	}
	same("by their orders", got.GetReservations())
	for name, bad := range map[string]*productv1.ListReservationsRequest{
		"no span": {PageSize: 1}, "no size": {From: span.GetFrom(), To: span.GetTo()},
	} {
		if _, err := stock.ListReservations(t.Context(), bad); apperr.KindOf(err) != apperr.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
