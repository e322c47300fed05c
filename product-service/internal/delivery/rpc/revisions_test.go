package rpc_test

import (
	"testing"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	productv1 "shop.example/proto/product/v1"
)

// An order that changes takes its reservation with it, and what was overtaken changes nothing.
func TestReserveOtherLines(t *testing.T) {
	t.Parallel()
	s := setup(t)
	staff, gateway := s.user(t, auth.Staff), s.as(t, grpcserver.Gateway)
	catalog := productv1.NewCatalogServiceClient(gateway)
	created, err := catalog.CreateProduct(staff, tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE))
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetProduct().GetId()
	if _, err := productv1.NewStockServiceClient(gateway).AdjustStock(staff, &productv1.AdjustStockRequest{ProductId: id, Delta: 5, Reason: "delivery"}); err != nil {
		t.Fatal(err)
	}
	stock, order := productv1.NewStockServiceClient(s.as(t, grpcserver.OrderService)), uuid.NewString()
	for _, step := range []struct {
		revision, quantity int64
		reason             string
		reserved           int64
	}{
		{1, 2, "", 2}, {2, 4, "", 4}, {1, 2, "reservation_differs", 4}, {2, 3, "reservation_differs", 4},
		{3, 6, "out_of_stock", 4}, {3, 1, "", 1}, {-1, 1, "validation_failed", 1},
	} {
		_, err := stock.ReserveStock(t.Context(), &productv1.ReserveStockRequest{
			OrderId: order, Lines: []*productv1.StockLine{{ProductId: id, Quantity: step.quantity}}, TtlSeconds: 60, Revision: step.revision,
		})
		if reason := apperr.ReasonOf(err); reason != step.reason {
			t.Errorf("%d of revision %d: %v, want %q", step.quantity, step.revision, err, step.reason)
		}
		got, err := catalog.GetProduct(staff, &productv1.GetProductRequest{IdOrSlug: id})
		if err != nil || got.GetProduct().GetStock().GetReserved() != step.reserved {
			t.Errorf("after %d of revision %d: %v, %v; want %d reserved", step.quantity, step.revision, got.GetProduct().GetStock(), err, step.reserved)
		}
	}
}
