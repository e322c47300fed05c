package rpc_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

func TestQuoteOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)
	quote, err := s.gateway.QuoteOrder(ctx, &orderv1.QuoteOrderRequest{
		Items: []*orderv1.RequestedItem{{ProductId: s.cup.String(), Quantity: 2}}, ShippingMethod: "express",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &orderv1.QuoteOrderResponse{
		Items: []*orderv1.OrderItem{{
			ProductId: s.cup.String(), Sku: "CUP-1", Name: "A cup", Quantity: 2, UnitPrice: eur(1250), LineTotal: eur(2500),
		}},
		Subtotal: eur(2500), Discount: eur(0), Shipping: eur(1290), Total: eur(3790),
	}
	if diff := cmp.Diff(want, quote, protocmp.Transform()); diff != "" {
		t.Errorf("quote (-want +got):\n%s", diff)
	}

	unknown := uuid.NewString()
	quote, err = s.gateway.QuoteOrder(ctx, &orderv1.QuoteOrderRequest{
		Items: []*orderv1.RequestedItem{{ProductId: s.cup.String(), Quantity: pieces + 1}, {ProductId: unknown, Quantity: 1}}, CouponCode: "NONE",
	})
	if err != nil {
		t.Fatal(err)
	}
	obstacles := []*orderv1.Obstacle{
		{Code: "product_unavailable", Message: "is not on sale", Location: "items[1].product_id", ProductId: unknown},
		{Code: "out_of_stock", Message: "only 10 left", Location: "items[0]", ProductId: s.cup.String(), Available: new(int64(pieces))},
		{Code: "coupon_invalid", Message: "is not a coupon of this shop", Location: "coupon_code"},
		{Code: "validation_failed", Message: "is required; the total is without delivery", Location: "shipping_method"},
	}
	if diff := cmp.Diff(obstacles, quote.GetObstacles(), protocmp.Transform()); diff != "" {
		t.Errorf("obstacles (-want +got):\n%s", diff)
	}
	if quote.GetTotal().GetAmount() != (pieces+1)*1250 || s.stock.Available(s.cup) != pieces {
		t.Errorf("total %v, %d pieces are left", quote.GetTotal(), s.stock.Available(s.cup))
	}

	// The cart of who asks, of whom nothing is in it.
	quote, err = s.gateway.QuoteOrder(ctx, &orderv1.QuoteOrderRequest{ShippingMethod: "standard"})
	if err != nil || len(quote.GetObstacles()) != 1 || quote.GetObstacles()[0].GetCode() != "cart_empty" || quote.GetTotal().GetAmount() != 0 {
		t.Errorf("an empty cart: %v, %v", quote, err)
	}
}

func TestEditOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)
	_, others := s.user(t, auth.Customer)
	_, staff := s.user(t, auth.Staff)
	o := s.place(ctx, t, s.wish("")).GetOrder()
	add := &orderv1.AddOrderItemRequest{OrderId: o.GetId(), ProductId: s.pot.String(), Quantity: 1, IdempotencyKey: "add a pot", IfVersion: new(o.GetVersion())}
	added, err := s.gateway.AddOrderItem(ctx, add)
	if err != nil {
		t.Fatal(err)
	}
	after := added.GetOrder()
	if len(after.GetItems()) != 2 || after.GetTotal().GetAmount() != 2500+3999+490 || added.GetReplayed() || after.GetVersion() == o.GetVersion() {
		t.Errorf("added: %v", added)
	}
	again, err := s.gateway.AddOrderItem(ctx, add)
	if err != nil || !again.GetReplayed() {
		t.Fatalf("again: replayed %v, %v", again.GetReplayed(), err)
	}
	if diff := cmp.Diff(after, again.GetOrder(), protocmp.Transform()); diff != "" {
		t.Errorf("again (-first +again):\n%s", diff)
	}
	if left := s.stock.Available(s.pot); left != pieces-1 {
		t.Errorf("%d pots are left", left)
	}
	add.Quantity = 2
	_, err = s.gateway.AddOrderItem(ctx, add)
	wantError(t, "the key for more", err, apperr.Invalid, "idempotency_key_reused")
	add.IdempotencyKey = ""
	_, err = s.gateway.AddOrderItem(ctx, add)
	wantError(t, "an old version", err, apperr.VersionMismatch, "version_mismatch")
	add.IfVersion, add.Quantity = nil, pieces
	_, err = s.gateway.AddOrderItem(ctx, add)
	short := wantError(t, "too many", err, apperr.Conflict, "out_of_stock")
	want := []apperr.Violation{{
		Location: "quantity", Message: "only 9 left", Attributes: map[string]any{"product_id": s.pot.String(), "available": int64(pieces - 1)},
	}}
	if diff := cmp.Diff(want, short.Violations); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	add.ProductId = uuid.NewString()
	_, err = s.gateway.AddOrderItem(ctx, add)
	wantError(t, "an unknown product", err, apperr.Invalid, "product_unavailable")

	remove := &orderv1.RemoveOrderItemRequest{OrderId: o.GetId(), ItemId: after.GetItems()[0].GetId()}
	add.ProductId, add.Quantity = s.cup.String(), 1
	for name, caller := range map[string]int{"another": 0, "staff": 1} {
		ctx := others
		if caller == 1 {
			ctx = staff
		}
		_, err := s.gateway.AddOrderItem(ctx, add)
		wantError(t, name+" adds", err, apperr.NotFound, "not_found")
		_, err = s.gateway.RemoveOrderItem(ctx, remove)
		wantError(t, name+" removes", err, apperr.NotFound, "not_found")
	}
	removed, err := s.gateway.RemoveOrderItem(ctx, remove)
	if err != nil || len(removed.GetOrder().GetItems()) != 1 || removed.GetOrder().GetTotal().GetAmount() != 3999+490 {
		t.Fatalf("removed: %v, %v", removed, err)
	}
	if left := s.stock.Available(s.cup); left != pieces {
		t.Errorf("%d cups are left", left)
	}
	_, err = s.gateway.RemoveOrderItem(ctx, remove)
	wantError(t, "removed again", err, apperr.NotFound, "not_found")
	remove.ItemId = removed.GetOrder().GetItems()[0].GetId()
	_, err = s.gateway.RemoveOrderItem(ctx, remove)
	wantError(t, "the last line", err, apperr.Conflict, "order_not_editable")

	if _, err := s.gateway.PayOrder(ctx, &orderv1.PayOrderRequest{
		OrderId: o.GetId(), PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: usecasetest.TokOK,
	}); err != nil {
		t.Fatal(err)
	}
	_, err = s.gateway.AddOrderItem(ctx, add)
	wantError(t, "paid", err, apperr.Conflict, "order_not_editable")
}

func TestEditViolations(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)
	for name, do := range map[string]func() error{
		"nothing added": func() error { _, err := s.gateway.AddOrderItem(ctx, &orderv1.AddOrderItemRequest{}); return err },
		"too many added": func() error {
			_, err := s.gateway.AddOrderItem(ctx, &orderv1.AddOrderItemRequest{OrderId: uuid.NewString(), ProductId: uuid.NewString(), Quantity: 1000})
			return err
		},
		"nothing removed": func() error { _, err := s.gateway.RemoveOrderItem(ctx, &orderv1.RemoveOrderItemRequest{}); return err },
		"a question of nothing": func() error {
			_, err := s.gateway.QuoteOrder(ctx, &orderv1.QuoteOrderRequest{Items: []*orderv1.RequestedItem{{}}})
			return err
		},
		"an address's id that is none": func() error {
			_, err := s.gateway.QuoteOrder(ctx, &orderv1.QuoteOrderRequest{AddressId: "home"})
			return err
		},
	} {
		if err := do(); apperr.KindOf(err) != apperr.Invalid || len(apperr.From(err).Violations) == 0 {
			t.Errorf("%s: %v, want an invalid request", name, err)
		}
	}
}
