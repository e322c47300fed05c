package rpc_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	orderv1 "shop.example/proto/order/v1"
)

// Whatever takes a version takes only the one that there is. 0 is a version that nothing has, and not the lack of one.
func TestStaleVersions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, customer := s.user(t, auth.Customer)
	_, staff := s.user(t, auth.Staff)
	coupons, admin := s.coupons(t)
	webhooks := orderv1.NewWebhookServiceClient(s.dial(t, grpcserver.Gateway))
	coupon, err := coupons.CreateCoupon(admin, percent("stale"))
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := webhooks.CreateWebhookEndpoint(admin, &orderv1.CreateWebhookEndpointRequest{Url: target})
	if err != nil {
		t.Fatal(err)
	}
	open, paid := s.place(customer, t, s.wish("")).GetOrder(), s.place(customer, t, s.wish(usecasetest.TokOK)).GetOrder()
	cancelled := s.place(customer, t, s.wish("")).GetOrder()
	if _, err := s.gateway.CancelOrder(customer, &orderv1.CancelOrderRequest{OrderId: cancelled.GetId()}); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(version *int64) error{
		"add an item": func(version *int64) error {
			_, err := s.gateway.AddOrderItem(customer, &orderv1.AddOrderItemRequest{OrderId: open.GetId(), ProductId: s.pot.String(), Quantity: 1, IfVersion: version})
			return err
		},
		"remove an item": func(version *int64) error {
			_, err := s.gateway.RemoveOrderItem(customer, &orderv1.RemoveOrderItemRequest{OrderId: open.GetId(), ItemId: open.GetItems()[0].GetId(), IfVersion: version})
			return err
		},
		"pay": func(version *int64) error {
			_, err := s.gateway.PayOrder(customer, &orderv1.PayOrderRequest{
				OrderId: open.GetId(), PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: usecasetest.TokOK, IfVersion: version,
			})
			return err
		},
		"pay under a key": func(version *int64) error {
			_, err := s.gateway.PayOrder(customer, &orderv1.PayOrderRequest{
				OrderId: open.GetId(), PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: usecasetest.TokOK, IfVersion: version,
				IdempotencyKey: uuid.NewString(),
			})
			return err
		},
		"cancel": func(version *int64) error {
			_, err := s.gateway.CancelOrder(customer, &orderv1.CancelOrderRequest{OrderId: open.GetId(), IfVersion: version})
			return err
		},
		"refund": func(version *int64) error {
			_, err := s.gateway.RefundOrder(staff, &orderv1.RefundOrderRequest{OrderId: paid.GetId(), Amount: new(int64(100)), Reason: "scratched", IfVersion: version})
			return err
		},
		"move on": func(version *int64) error {
			_, err := s.gateway.SetOrderStatus(staff, &orderv1.SetOrderStatusRequest{OrderId: paid.GetId(), Status: processing, IfVersion: version})
			return err
		},
		"move to where it is": func(version *int64) error {
			_, err := s.gateway.SetOrderStatus(staff, &orderv1.SetOrderStatusRequest{OrderId: paid.GetId(), Status: paid.GetStatus(), IfVersion: version})
			return err
		},
		"cancel by status what is cancelled": func(version *int64) error {
			_, err := s.gateway.SetOrderStatus(staff, &orderv1.SetOrderStatusRequest{
				OrderId: cancelled.GetId(), Status: orderv1.OrderStatus_ORDER_STATUS_CANCELLED, IfVersion: version,
			})
			return err
		},
		"change a coupon": func(version *int64) error {
			_, err := coupons.UpdateCoupon(admin, &orderv1.UpdateCouponRequest{CouponId: coupon.GetCoupon().GetId(), Value: new(int64(5)), IfVersion: version})
			return err
		},
		"delete a coupon": func(version *int64) error {
			_, err := coupons.DeleteCoupon(admin, &orderv1.DeleteCouponRequest{CouponId: coupon.GetCoupon().GetId(), IfVersion: version})
			return err
		},
		"change an endpoint": func(version *int64) error {
			_, err := webhooks.UpdateWebhookEndpoint(admin, &orderv1.UpdateWebhookEndpointRequest{EndpointId: endpoint.GetEndpoint().GetId(), IfVersion: version})
			return err
		},
		"delete an endpoint": func(version *int64) error {
			_, err := webhooks.DeleteWebhookEndpoint(admin, &orderv1.DeleteWebhookEndpointRequest{EndpointId: endpoint.GetEndpoint().GetId(), IfVersion: version})
			return err
		},
	} {
		for _, version := range []int64{0, 99} {
			wantError(t, fmt.Sprintf("%s, version %d", name, version), ask(&version), apperr.VersionMismatch, "version_mismatch")
		}
	}
}
