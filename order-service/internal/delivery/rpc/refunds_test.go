package rpc_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

const (
	processing = orderv1.OrderStatus_ORDER_STATUS_PROCESSING
	shipped    = orderv1.OrderStatus_ORDER_STATUS_SHIPPED
	delivered  = orderv1.OrderStatus_ORDER_STATUS_DELIVERED
	refunded   = orderv1.OrderStatus_ORDER_STATUS_REFUNDED
)

func TestSetOrderStatus(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, customer := s.user(t, auth.Customer)
	clerk, staff := s.user(t, auth.Staff)
	o := s.place(customer, t, s.wish(usecasetest.TokOK)).GetOrder()
	for _, status := range []orderv1.OrderStatus{processing, shipped} {
		answer, err := s.gateway.SetOrderStatus(staff, &orderv1.SetOrderStatusRequest{
			OrderId: o.GetId(), Status: status, Note: "box 7", Tracking: "https://parcel.example/1", IfVersion: new(o.GetVersion()),
		})
		if err != nil {
			t.Fatal(err)
		}
		o = answer.GetOrder()
		last := o.GetHistory()[len(o.GetHistory())-1]
		if o.GetStatus() != status || last.GetStatus() != status || last.GetBy() != clerk || last.GetNote() != "box 7" {
			t.Errorf("the order is %s, its history ends with %v", o.GetStatus(), last)
		}
	}
	if o.GetTracking() != "https://parcel.example/1" || len(o.GetHistory()) != 4 {
		t.Errorf("tracking %q, history %v", o.GetTracking(), o.GetHistory())
	}
	_, err := s.gateway.SetOrderStatus(staff, &orderv1.SetOrderStatusRequest{OrderId: o.GetId(), Status: delivered, IfVersion: new(o.GetVersion() - 1)})
	wantError(t, "an old version", err, apperr.VersionMismatch, "version_mismatch")
	_, err = s.gateway.SetOrderStatus(staff, &orderv1.SetOrderStatusRequest{OrderId: o.GetId(), Status: processing})
	got := wantError(t, "a step back", err, apperr.Conflict, "invalid_transition")
	if got.Attributes["order_status"] != "shipped" {
		t.Errorf("attributes %v", got.Attributes)
	}
	_, err = s.gateway.SetOrderStatus(staff, &orderv1.SetOrderStatusRequest{OrderId: o.GetId()})
	wantError(t, "no status", err, apperr.Invalid, "validation_failed")
}

// Every field of a refund, there and back, and the errors of the contract.
func TestRefundOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, customer := s.user(t, auth.Customer)
	clerk, staff := s.user(t, auth.Staff)
	o := s.place(customer, t, s.wish(usecasetest.TokOK)).GetOrder() // two cups at 1250, 490 for the delivery
	refund := func(req *orderv1.RefundOrderRequest) (*orderv1.RefundOrderResponse, error) {
		req.OrderId, req.Reason = o.GetId(), "broken"
		return s.gateway.RefundOrder(staff, req)
	}
	cup := &orderv1.RefundedItem{ItemId: o.GetItems()[0].GetId(), Quantity: 1}
	first := &orderv1.RefundOrderRequest{Items: []*orderv1.RefundedItem{cup}, Restock: true, IdempotencyKey: "k"}
	var kept *orderv1.Order
	for _, replayed := range []bool{false, true} {
		answer, err := refund(first)
		if err != nil || answer.GetReplayed() != replayed {
			t.Fatalf("%v, replayed %v", err, answer.GetReplayed())
		}
		if replayed {
			if diff := cmp.Diff(kept, answer.GetOrder(), protocmp.Transform()); diff != "" {
				t.Errorf("replayed (-want +got):\n%s", diff)
			}
		}
		kept = answer.GetOrder()
	}
	want := []*orderv1.Refund{{
		Id: kept.GetRefunds()[0].GetId(), Amount: eur(1250), Items: []*orderv1.RefundedItem{cup}, Reason: "broken", Restock: true,
		By: clerk, At: kept.GetRefunds()[0].GetAt(),
	}}
	if diff := cmp.Diff(want, kept.GetRefunds(), protocmp.Transform()); diff != "" || kept.GetRefunds()[0].GetAt() == nil {
		t.Errorf("refunds (-want +got):\n%s", diff)
	}
	if p := kept.GetPayment(); p.GetStatus() != orderv1.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED || p.GetRefunded().GetAmount() != 1250 {
		t.Errorf("payment %v", p)
	}
	if left := s.stock.Available(s.cup); left != pieces-1 {
		t.Errorf("%d cups are left, want %d", left, pieces-1)
	}

	_, err := refund(&orderv1.RefundOrderRequest{Amount: new(int64(1)), IdempotencyKey: "k"})
	wantError(t, "the key for another refund", err, apperr.Invalid, "idempotency_key_reused")
	_, err = refund(&orderv1.RefundOrderRequest{Amount: new(int64(2500 + 490 - 1250 + 1))})
	got := wantError(t, "a cent too much", err, apperr.Conflict, "refund_exceeds_payment")
	if got.Attributes["refundable"] != int64(2500+490-1250) {
		t.Errorf("attributes %v", got.Attributes)
	}
	_, err = refund(&orderv1.RefundOrderRequest{Amount: new(int64(1)), Items: first.GetItems()})
	wantError(t, "an amount and items", err, apperr.Invalid, "validation_failed")
	_, err = refund(&orderv1.RefundOrderRequest{Amount: new(int64(0))})
	wantError(t, "nothing", err, apperr.Invalid, "validation_failed")
	answer, err := refund(&orderv1.RefundOrderRequest{})
	if err != nil || answer.GetOrder().GetStatus() != refunded || answer.GetOrder().GetPayment().GetRefunded().GetAmount() != 2990 {
		t.Errorf("the rest: %v, %v", err, answer)
	}
	read, err := s.gateway.GetOrder(customer, &orderv1.GetOrderRequest{OrderId: o.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer.GetOrder(), read.GetOrder(), protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	unpaid := s.place(customer, t, s.wish("")).GetOrder()
	_, err = s.gateway.RefundOrder(staff, &orderv1.RefundOrderRequest{OrderId: unpaid.GetId(), Reason: "no reason"})
	if e := wantError(t, "an unpaid order", err, apperr.Conflict, "refund_exceeds_payment"); e.Attributes["refundable"] != int64(0) {
		t.Errorf("attributes %v", e.Attributes)
	}
}

// A key is honoured by whatever moves money or stock, and a refusal says that it is told once more.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)
	o := s.place(ctx, t, s.wish("")).GetOrder()
	pay := func(ctx context.Context, key, token string) (*orderv1.PayOrderResponse, error) {
		return s.gateway.PayOrder(ctx, &orderv1.PayOrderRequest{
			OrderId: o.GetId(), PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: token, IdempotencyKey: key,
		})
	}
	_, err := pay(ctx, "", "")
	if got := wantError(t, "no token", err, apperr.Invalid, "validation_failed"); got.Violations[0].Location != "payment.token" {
		t.Errorf("violations %v", got.Violations)
	}
	for _, replayed := range []bool{false, true} {
		_, err := pay(ctx, "declined", usecasetest.TokDeclined)
		got := wantError(t, "declined", err, apperr.PaymentFailed, "payment_declined")
		if (got.Attributes["idempotency_replayed"] == true) != replayed {
			t.Errorf("attributes %v", got.Attributes)
		}
	}
	for _, replayed := range []bool{false, true} {
		paid, err := pay(ctx, "paid", usecasetest.TokOK)
		if err != nil || paid.GetReplayed() != replayed || paid.GetOrder().GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CONFIRMED {
			t.Errorf("paid: %v, %v", paid, err)
		}
	}
	_, err = s.gateway.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetId(), IdempotencyKey: "paid"})
	wantError(t, "the key of a payment", err, apperr.Invalid, "idempotency_key_reused")
	for _, replayed := range []bool{false, true} {
		cancelled, err := s.gateway.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetId(), IdempotencyKey: "cancelled"})
		if err != nil || cancelled.GetReplayed() != replayed || cancelled.GetOrder().GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CANCELLED {
			t.Errorf("cancelled: %v, %v", cancelled, err)
		}
	}
	open := s.place(ctx, t, s.wish("")).GetOrder()
	add := &orderv1.AddOrderItemRequest{OrderId: open.GetId(), ProductId: s.pot.String(), Quantity: 2, IdempotencyKey: "added"}
	for _, replayed := range []bool{false, true} {
		added, err := s.gateway.AddOrderItem(ctx, add)
		if err != nil || added.GetReplayed() != replayed || added.GetOrder().GetItems()[1].GetQuantity() != 2 {
			t.Errorf("added: %v, %v", added, err)
		}
	}
	add.Quantity = 3
	_, err = s.gateway.AddOrderItem(ctx, add)
	wantError(t, "another quantity", err, apperr.Invalid, "idempotency_key_reused")
	_, other := s.user(t, auth.Customer)
	_, err = pay(other, "paid", usecasetest.TokOK)
	wantError(t, "another user", err, apperr.NotFound, "not_found")
}
