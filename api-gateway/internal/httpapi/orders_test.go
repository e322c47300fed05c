package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	cartv1 "shop.example/proto/cart/v1"
	moneyv1 "shop.example/proto/money/v1"
	orderv1 "shop.example/proto/order/v1"
)

const itemID = "01890a5d-ac96-774b-bcce-b302099a8060"

// TestWhatIsDoneWithAnOrder passes on what was asked for, with its key and version, and marks replays.
func TestWhatIsDoneWithAnOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	order := &orderv1.Order{Id: orderID, Currency: "EUR", Version: 4}
	s.on("PayOrder", &orderv1.PayOrderResponse{Order: order, Replayed: true})
	s.on("CancelOrder", &orderv1.CancelOrderResponse{Order: order, Replayed: true})
	s.on("AddOrderItem", &orderv1.AddOrderItemResponse{Order: order, Replayed: true})
	s.on("RefundOrder", &orderv1.RefundOrderResponse{Order: order, Replayed: true})
	s.on("RemoveOrderItem", &orderv1.RemoveOrderItemResponse{Order: order})
	s.on("SetOrderStatus", &orderv1.SetOrderStatusResponse{Order: order})
	path := "/api/v1/orders/" + orderID
	for _, c := range []struct {
		method, path, body, rpc string
		status                  int
		keyed                   bool
		want                    func() any
	}{
		{"POST", "/pay", `{"method":"cash_on_delivery"}`, "PayOrder", 200, true, func() any {
			return &orderv1.PayOrderRequest{OrderId: orderID, PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CASH_ON_DELIVERY, IfVersion: new(int64(3)), IdempotencyKey: "k 1"}
		}},
		{"POST", "/cancel", `{"reason":"why not"}`, "CancelOrder", 200, true, func() any {
			return &orderv1.CancelOrderRequest{OrderId: orderID, Reason: "why not", IfVersion: new(int64(3)), IdempotencyKey: "k 1"}
		}},
		{"POST", "/items", `{"product_id":"` + productID + `","quantity":2}`, "AddOrderItem", 200, true, func() any {
			return &orderv1.AddOrderItemRequest{OrderId: orderID, ProductId: productID, Quantity: 2, IfVersion: new(int64(3)), IdempotencyKey: "k 1"}
		}},
		{"POST", "/refunds", `{"amount":5,"reason":"late"}`, "RefundOrder", 201, true, func() any {
			return &orderv1.RefundOrderRequest{OrderId: orderID, Amount: new(int64(5)), Reason: "late", IfVersion: new(int64(3)), IdempotencyKey: "k 1"}
		}},
		{"POST", "/refunds", `{"amount":{"amount":5,"currency":"EUR"},"reason":"late"}`, "RefundOrder", 201, true, func() any {
			return &orderv1.RefundOrderRequest{OrderId: orderID, Amount: new(int64(5)), Currency: "EUR", Reason: "late", IfVersion: new(int64(3)), IdempotencyKey: "k 1"}
		}},
		{"POST", "/refunds", `{"items":[{"item_id":"` + itemID + `","quantity":1}],"reason":"broken","restock":true}`, "RefundOrder", 201, true, func() any {
			return &orderv1.RefundOrderRequest{
				OrderId: orderID, Items: []*orderv1.RefundedItem{{ItemId: itemID, Quantity: 1}}, Reason: "broken", Restock: true,
				IfVersion: new(int64(3)), IdempotencyKey: "k 1",
			}
		}},
		{"DELETE", "/items/" + itemID, "", "RemoveOrderItem", 200, false, func() any {
			return &orderv1.RemoveOrderItemRequest{OrderId: orderID, ItemId: itemID, IfVersion: new(int64(3))}
		}},
		{"PATCH", "/status", `{"status":"shipped","note":"n","tracking":"t"}`, "SetOrderStatus", 200, false, func() any {
			return &orderv1.SetOrderStatusRequest{
				OrderId: orderID, Status: orderv1.OrderStatus_ORDER_STATUS_SHIPPED, Note: "n", Tracking: "t", IfVersion: new(int64(3)),
			}
		}},
	} {
		a := s.as(t, auth.Staff, c.method, path+c.path, c.body, "Idempotency-Key: k 1", `If-Match: "3"`)
		if a.status != c.status || a.header.Get("ETag") != `"4"` || (a.header.Get("Idempotency-Replayed") == "true") != c.keyed {
			t.Errorf("%s: %d %v %s", c.path, a.status, a.header, a.body)
		}
		s.mu.Lock()
		got := s.requests[c.rpc]
		s.mu.Unlock()
		if diff := cmp.Diff(c.want(), got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
		if !c.keyed {
			continue
		}
		s.as(t, auth.Staff, c.method, path+c.path, c.body, "Idempotency-Key: é").mustBeProblem(t, 400, "malformed_request")
	}
	for _, c := range []struct{ path, body string }{{"/status", `{"status":"shipped"}`}, {"/refunds", `{"reason":"r"}`}} {
		method := map[string]string{"/status": "PATCH", "/refunds": "POST"}[c.path]
		s.as(t, auth.Customer, method, path+c.path, c.body).mustBeProblem(t, 403, "permission_denied")
	}
	for _, amount := range []string{"0", "-1", "1.5", `"5"`, "null", "[]", `{}`, `{"amount":5}`, `{"amount":5.5,"currency":"EUR"}`, `{"amount":5,"currency":"EUR","x":1}`} {
		a := s.as(t, auth.Staff, "POST", path+"/refunds", `{"reason":"r","amount":`+amount+`}`)
		a.mustBeProblem(t, 422, "validation_failed")
		if diff := cmp.Diff([]string{"body.amount"}, a.locations()); diff != "" {
			t.Errorf("%s: %s", amount, diff)
		}
	}
	s.on("PayOrder", apperr.InvalidField("payment.token", "is required to pay by card"))
	a := s.as(t, auth.Customer, "POST", path+"/pay", `{"method":"card"}`)
	a.mustBeProblem(t, 422, "validation_failed")
	if diff := cmp.Diff([]string{"body.token"}, a.locations()); diff != "" {
		t.Error(diff)
	}
}

// TestBareOrder shows all that the contract gives an order, also where there is nothing.
func TestBareOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetOrder", &orderv1.GetOrderResponse{Order: &orderv1.Order{Id: orderID, Currency: "EUR", ShippingAddress: &orderv1.Address{Recipient: "Ada"}}})
	a := s.as(t, auth.Customer, "GET", "/api/v1/orders/"+orderID, "")
	address := map[string]any{
		"recipient": "Ada", "line1": "", "line2": "", "city": "", "region": "", "postal_code": "", "country": "", "phone": "",
	}
	if diff := cmp.Diff(address, a.json["shipping_address"]); diff != "" || a.json["coupon_code"] != "" {
		t.Errorf("coupon_code %v, shipping_address (-want +got):\n%s", a.json["coupon_code"], diff)
	}
}

// TestTagsOfWhatChangesByItself gives what reads otherwise another strong tag, though its version is the same. If-Match looks at
// the version only.
func TestTagsOfWhatChangesByItself(t *testing.T) {
	t.Parallel()
	s := setup(t)
	coupon := &orderv1.Coupon{Id: itemID, Version: 2}
	cart := &cartv1.Cart{Currency: "EUR", Version: 2, Subtotal: &moneyv1.Money{Currency: "EUR"}}
	s.on("GetCoupon", &orderv1.GetCouponResponse{Coupon: coupon})
	s.on("GetCart", &cartv1.GetCartResponse{Cart: cart})
	s.on("DeleteCoupon", &orderv1.DeleteCouponResponse{})
	for path, change := range map[string]func(){
		"/api/v1/coupons/" + itemID: func() { coupon.Uses++ },
		"/api/v1/cart":              func() { cart.Subtotal.Amount++ },
	} {
		tag := func() string {
			cart.PricesAsOf = timestamppb.New(cart.GetPricesAsOf().AsTime().Add(time.Second)) // by itself no other cart
			return s.as(t, auth.Admin, "GET", path, "").header.Get("ETag")
		}
		before := tag()
		if again := tag(); again != before {
			t.Errorf("%s: nothing has changed, but %s is now %s", path, before, again)
		}
		change()
		if after := tag(); after == before || !strings.HasPrefix(after, `"2-`) {
			t.Errorf("%s: ETag %s before and %s after", path, before, after)
		}
		if a := s.as(t, auth.Admin, "DELETE", "/api/v1/coupons/"+itemID, "", "If-Match: "+before); a.status != 204 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if in := asked[*orderv1.DeleteCouponRequest](t, s, "DeleteCoupon"); in.GetIfVersion() != 2 {
			t.Errorf("%s: the service is asked for %v", path, in)
		}
	}
}

// TestRefundedOrder shows what was given back, and nothing of it where nothing was.
func TestRefundedOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	order := &orderv1.Order{Id: orderID, Currency: "EUR", Payment: &orderv1.Payment{Refunded: &moneyv1.Money{Currency: "EUR"}}}
	s.on("GetOrder", &orderv1.GetOrderResponse{Order: order})
	if a := s.as(t, auth.Customer, "GET", "/api/v1/orders/"+orderID, ""); strings.Contains(a.body, "refund") || strings.Contains(a.body, "tracking") {
		t.Errorf("nothing was given back or sent: %s", a.body)
	}
	order.Tracking, order.Payment.Refunded.Amount = "parcel 1", 500
	order.Refunds = []*orderv1.Refund{{
		Id: itemID, Amount: &moneyv1.Money{Amount: 500, Currency: "EUR"}, Items: []*orderv1.RefundedItem{{ItemId: itemID, Quantity: 2}},
		Reason: "broken", Restock: true, By: customerID, At: &timestamppb.Timestamp{Seconds: 1772366400},
	}}
	a := s.as(t, auth.Customer, "GET", "/api/v1/orders/"+orderID, "")
	euros := map[string]any{"amount": 500.0, "currency": "EUR"}
	want := []any{map[string]any{
		"id": itemID, "amount": euros, "items": []any{map[string]any{"item_id": itemID, "quantity": 2.0}},
		"reason": "broken", "restock": true, "by": customerID, "at": "2026-03-01T12:00:00Z",
	}}
	payment, _ := a.json["payment"].(map[string]any)
	if diff := cmp.Diff(want, a.json["refunds"]); diff != "" || a.json["tracking"] != "parcel 1" || !cmp.Equal(payment["refunded"], any(euros)) {
		t.Errorf("%s\n%s", diff, a.body)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	s := setup(t)
	euro := func(cents int64) *moneyv1.Money { return &moneyv1.Money{Amount: cents, Currency: "EUR"} }
	s.on("QuoteOrder", &orderv1.QuoteOrderResponse{
		Subtotal: euro(5), Discount: euro(1), Shipping: euro(2), Total: euro(6),
		Obstacles: []*orderv1.Obstacle{
			{Code: "out_of_stock", Message: "none left", Location: "items[0]", ProductId: productID, Available: new(int64(0))},
			{Code: "cart_empty", Message: "nothing"},
		},
	})
	a := s.as(t, auth.Customer, "POST", "/api/v1/orders/quote", `{"items":[{"product_id":"`+productID+`","quantity":2}],"coupon_code":"c","shipping_method":"m","address_id":"`+addressID+`"}`)
	money := func(cents float64) any { return map[string]any{"amount": cents, "currency": "EUR"} }
	want := map[string]any{
		"items": []any{}, "subtotal": money(5), "discount": money(1), "shipping": money(2), "total": money(6), "currency": "EUR",
		"obstacles": []any{
			map[string]any{"code": "out_of_stock", "message": "none left", "location": "body.items[0]", "product_id": productID, "available": 0.0},
			map[string]any{"code": "cart_empty", "message": "nothing"},
		},
	}
	if diff := cmp.Diff(want, a.json); diff != "" || a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, diff)
	}
	wish := &orderv1.QuoteOrderRequest{
		Items: []*orderv1.RequestedItem{{ProductId: productID, Quantity: 2}}, CouponCode: "c", ShippingMethod: "m", AddressId: addressID,
	}
	if diff := cmp.Diff(wish, asked[*orderv1.QuoteOrderRequest](t, s, "QuoteOrder"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if a := s.as(t, auth.Customer, "POST", "/api/v1/orders/quote", ""); a.status != http.StatusOK {
		t.Errorf("of the cart: %d %s", a.status, a.body)
	}
}

func TestCouponsOfAdmins(t *testing.T) {
	t.Parallel()
	s := setup(t)
	coupon := &orderv1.Coupon{
		Id: itemID, Code: "SPRING", Type: orderv1.CouponType_COUPON_TYPE_FREE_SHIPPING, Status: orderv1.CouponStatus_COUPON_STATUS_ACTIVE,
		MaxUses: new(int64(3)), Uses: 1, Version: 2,
	}
	s.on("CreateCoupon", &orderv1.CreateCouponResponse{Coupon: coupon})
	s.on("UpdateCoupon", &orderv1.UpdateCouponResponse{Coupon: coupon})
	s.on("DeleteCoupon", &orderv1.DeleteCouponResponse{})
	a := s.as(t, auth.Admin, "POST", "/api/v1/coupons", `{"code":"spring","type":"free_shipping","max_uses":3,"ends_at":null}`)
	want := map[string]any{"id": itemID, "code": "SPRING", "type": "free_shipping", "value": 0.0, "max_uses": 3.0, "uses": 1.0, "status": "active", "version": 2.0}
	if diff := cmp.Diff(want, a.json); diff != "" || a.status != 201 || !strings.HasPrefix(a.header.Get("ETag"), `"2-`) || a.header.Get("Location") != "/api/v1/coupons/"+itemID {
		t.Errorf("%d %v %s", a.status, a.header, diff)
	}
	one := "/api/v1/coupons/" + itemID
	a = s.as(t, auth.Admin, "PATCH", one, `{"value":5,"min_subtotal":null,"starts_at":null,"ends_at":"2026-03-01T12:00:00Z","max_uses":null,"max_uses_per_customer":2}`, `If-Match: "1"`)
	if a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	change := &orderv1.UpdateCouponRequest{
		CouponId: itemID, Value: new(int64(5)), EndsAt: &timestamppb.Timestamp{Seconds: 1772366400}, MaxUsesPerCustomer: new(int64(2)),
		Clear: []string{"min_subtotal", "starts_at", "max_uses"}, IfVersion: new(int64(1)),
	}
	if diff := cmp.Diff(change, asked[*orderv1.UpdateCouponRequest](t, s, "UpdateCoupon"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for body, location := range map[string]string{
		`{"max_uses":0}`: "body.max_uses", `{"code":null}`: "body.code", `{"type":"fixed"}`: "body.type", `{"ends_at":"soon"}`: "body.ends_at",
	} {
		a := s.as(t, auth.Admin, "PATCH", one, body)
		a.mustBeProblem(t, 422, "validation_failed")
		if diff := cmp.Diff([]string{location}, a.locations()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	if a := s.as(t, auth.Admin, "DELETE", one, "", `If-Match: "2"`); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.as(t, auth.Staff, "DELETE", one, "").mustBeProblem(t, 403, "permission_denied")
}

// TestPaymentEvents passes the body on as it is, with the fields that are signed, and with nobody's token.
func TestPaymentEvents(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const path = "/api/v1/payments/events/test"
	s.on("HandlePaymentEvent", func(ctx context.Context) (proto.Message, error) {
		if p, ok := auth.FromContext(ctx); ok {
			t.Errorf("the event is passed on in the name of %s", p.UserID)
		}
		return &orderv1.HandlePaymentEventResponse{}, nil
	})
	const body = "{ \"a\" : 1, \"a\":\x00\xff not JSON "
	for _, token := range []string{"Bearer garbage", "Bearer " + s.token(t, auth.Admin), "Basic x"} {
		a := s.call(t, "POST", path, body, "Content-Type: text/plain", "Authorization: "+token,
			"Webhook-Id: i", "webhook-timestamp: 1", "Webhook-Signature: s", "Stripe-Signature: t=1,v1=2", "X-Other: o")
		if a.status != http.StatusNoContent || a.body != "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if limit := a.header.Get("RateLimit-Policy"); !strings.HasPrefix(limit, `"payment-events"`) {
			t.Errorf("the limit is %s", limit)
		}
	}
	want := &orderv1.HandlePaymentEventRequest{Provider: "test", Body: []byte(body), Headers: map[string]string{
		"webhook-id": "i", "webhook-timestamp": "1", "webhook-signature": "s", "stripe-signature": "t=1,v1=2",
	}}
	if diff := cmp.Diff(want, asked[*orderv1.HandlePaymentEventRequest](t, s, "HandlePaymentEvent"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	s.call(t, "POST", path, strings.Repeat("x", maxBody+1)).mustBeProblem(t, 413, "body_too_large")
	s.call(t, "POST", "/api/v1/payments/events/No", body).mustBeProblem(t, 404, "not_found")
	s.on("HandlePaymentEvent", apperr.New(apperr.Unauthenticated, "unauthenticated", "The event is not signed by the payment provider."))
	s.call(t, "POST", path, body).mustBeProblem(t, 401, "unauthenticated")
}
