package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/apperr"
	moneyv1 "shop.example/proto/money/v1"
	orderv1 "shop.example/proto/order/v1"
)

// ShippingMethod is a way of delivery.
type ShippingMethod struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Price   Money  `json:"price"`
	MinDays int32  `json:"min_days"`
	MaxDays int32  `json:"max_days"`
}

// ShippingAddress is where an order goes. What it does not have is empty.
type ShippingAddress struct {
	Recipient  string `json:"recipient"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2"`
	City       string `json:"city"`
	Region     string `json:"region"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country" doc:"ISO 3166-1 alpha-2."`
	Phone      string `json:"phone"`
}

// RequestedAddress is where a client wants an order to go.
type RequestedAddress struct {
	Recipient  string `json:"recipient" minLength:"1" maxLength:"200" example:"Ada Lovelace"`
	Line1      string `json:"line1" minLength:"1" maxLength:"200" example:"12 St James's Square"`
	Line2      string `json:"line2,omitempty" maxLength:"200"`
	City       string `json:"city" minLength:"1" maxLength:"100" example:"London"`
	Region     string `json:"region,omitempty" maxLength:"100"`
	PostalCode string `json:"postal_code,omitempty" maxLength:"20" example:"SW1Y 4JH"`
	Country    string `json:"country" pattern:"^[A-Z]{2}$" doc:"ISO 3166-1 alpha-2." example:"GB"`
	Phone      string `json:"phone,omitempty" maxLength:"40"`
}

func (a *RequestedAddress) proto() *orderv1.Address {
	if a == nil {
		return nil
	}
	return &orderv1.Address{
		Recipient: a.Recipient, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region,
		PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone,
	}
}

// OrderItem is a line of an order, as it was at purchase.
type OrderItem struct {
	ID        string `json:"id" format:"uuid"`
	ProductID string `json:"product_id" format:"uuid"`
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice Money  `json:"unit_price"`
	LineTotal Money  `json:"line_total"`
}

// OrderPayment is how an order is paid.
type OrderPayment struct {
	Status    string `json:"status" enum:"none,pending,authorized,captured,voided,partially_refunded,refunded,failed"`
	Method    string `json:"method" enum:"card,cash_on_delivery"`
	Provider  string `json:"provider"`
	Reference string `json:"reference" doc:"The provider's name for the payment, empty before there is one."`
	Refunded  *Money `json:"refunded,omitempty" doc:"What has been given back so far, if anything has."`
}

// Refund is money that was given back.
type Refund struct {
	ID      string         `json:"id" format:"uuid"`
	Amount  Money          `json:"amount"`
	Items   []RefundedItem `json:"items" doc:"What it was given back for; empty if it was for an amount."`
	Reason  string         `json:"reason"`
	Restock bool           `json:"restock" doc:"Whether the pieces went back on the shelf."`
	By      string         `json:"by" doc:"A user's id, or system."`
	At      time.Time      `json:"at"`
}

// RefundedItem is how many pieces of a line money is given back for.
type RefundedItem struct {
	ItemID   string `json:"item_id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e41"`
	Quantity int64  `json:"quantity" minimum:"1" maximum:"999" example:"1"`
}

// HistoryEntry is a state that an order came into.
type HistoryEntry struct {
	Status string    `json:"status" enum:"pending,confirmed,processing,shipped,delivered,cancelled,refunded"`
	At     time.Time `json:"at"`
	By     string    `json:"by" doc:"A user's id, or system."`
	Note   string    `json:"note"`
}

// Order is a purchase.
type Order struct {
	ID              string          `json:"id" format:"uuid"`
	Number          string          `json:"number"`
	UserID          string          `json:"user_id" format:"uuid"`
	Status          string          `json:"status" enum:"pending,confirmed,processing,shipped,delivered,cancelled,refunded"`
	Items           []OrderItem     `json:"items"`
	Subtotal        Money           `json:"subtotal"`
	Discount        Money           `json:"discount"`
	Shipping        Money           `json:"shipping"`
	Total           Money           `json:"total"`
	Currency        string          `json:"currency"`
	ShippingAddress ShippingAddress `json:"shipping_address"`
	ShippingMethod  string          `json:"shipping_method"`
	CouponCode      string          `json:"coupon_code" doc:"Empty without a coupon."`
	Tracking        string          `json:"tracking,omitempty" doc:"Where the parcel can be followed; absent before it ships."`
	Payment         OrderPayment    `json:"payment"`
	Refunds         []Refund        `json:"refunds,omitempty" doc:"What was given back; absent if nothing was."`
	History         []HistoryEntry  `json:"history"`
	Version         int64           `json:"version"`
	CreatedAt       time.Time       `json:"created_at"`
	UpdatedAt       time.Time       `json:"updated_at"`
}

// RequestedItem is what a client wants to buy.
type RequestedItem struct {
	ProductID string `json:"product_id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e11"`
	Quantity  int64  `json:"quantity" minimum:"1" maximum:"999" example:"2"`
}

// PaymentChoice is how a client wants to pay.
type PaymentChoice struct {
	Method string `json:"method" enum:"card,cash_on_delivery" example:"card"`
	Token  string `json:"token,omitempty" maxLength:"255" doc:"Stands for the means of payment at the provider; without one the order stays pending." example:"tok_ok"`
}

type placeOrderInput struct {
	IdempotencyKey string `header:"Idempotency-Key" required:"true" maxLength:"255" example:"9f1c2b7e-order-1" doc:"1 to 255 printable characters. The same key and body answer the first result again, for 24 hours."`
	Body           struct {
		Items           []RequestedItem   `json:"items,omitempty" minItems:"1" maxItems:"100" doc:"The cart unless given."`
		AddressID       string            `json:"address_id,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"Of my address book. It or shipping_address is needed, not both."`
		ShippingAddress *RequestedAddress `json:"shipping_address,omitempty"`
		ShippingMethod  string            `json:"shipping_method" minLength:"1" maxLength:"50" example:"standard"`
		Payment         PaymentChoice     `json:"payment"`
		CouponCode      string            `json:"coupon_code,omitempty" maxLength:"50"`
		ExpectedTotal   *Money            `json:"expected_total,omitempty" example:"{\"amount\":4488,\"currency\":\"EUR\"}" doc:"The order is refused if its total is another one."`
	} `nameHint:"NewOrder"`
}

type placeOrderOutput struct {
	Status   int
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Replayed string `header:"Idempotency-Replayed" doc:"true if this is the answer to an earlier request with the same key."`
	Body     Order
}

type orderOutput struct {
	Status   int
	ETag     string `header:"ETag"`
	Replayed string `header:"Idempotency-Replayed" doc:"true if this is the answer to an earlier request with the same key."`
	Body     Order
}

// Key protects what is done with an order against being done twice.
type Key struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" example:"9f1c2b7e-again-1" doc:"1 to 255 printable characters. The same key and body answer the first result again, for 24 hours."`
}

type listOrdersInput struct {
	Status string `query:"status" enum:"pending,confirmed,processing,shipped,delivered,cancelled,refunded"`
	UserID string `query:"user_id" format:"uuid" minLength:"36" maxLength:"36" doc:"For staff."`
	Paging
}

type listOrdersOutput struct{ Body Page[Order] }

type cancelOrderInput struct {
	ByID
	IfMatch
	Key
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"500" example:"Ordered twice by mistake."`
	} `nameHint:"Cancellation"`
}

type payOrderInput struct {
	ByID
	IfMatch
	Key
	Body struct {
		Method string `json:"method" enum:"card,cash_on_delivery" example:"card"`
		Token  string `json:"token,omitempty" maxLength:"255" doc:"Stands for the means of payment at the provider; card needs one." example:"tok_ok"`
	} `nameHint:"OrderPaymentAttempt"`
}

func (s *Server) registerOrders() {
	tags := []string{"orders"}
	register(s, huma.Operation{
		OperationID: "list-shipping-methods", Method: http.MethodGet, Path: base + "/shipping-methods", Responses: notModified(),
		Summary: "The ways of delivery", Tags: tags,
	}, s.listShippingMethods)

	unsettled := func() map[string]*huma.Response {
		schema := s.api.OpenAPI().Components.Schemas.Schema(orderType, true, "Order")
		return map[string]*huma.Response{"202": {
			Description: "The order is pending: its payment could not be settled in time and is being settled.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema, Example: exampleUnsettledOrder}},
		}}
	}
	register(s, huma.Operation{
		OperationID: "place-order", Method: http.MethodPost, Path: base + "/orders", DefaultStatus: http.StatusCreated, Responses: unsettled(),
		Summary: "Buy the cart, or the given items", Tags: tags,
		Description: "The order goes to `shipping_address`, or to the entry `address_id` of my address book: one of both. 409 `out_of_stock` " +
			"names the lines in `errors`, with `product_id` and `available`; 402 `payment_declined` has the `order_id` of the order, which " +
			"is cancelled. Without `payment.token` the order is left pending, to be paid by `/orders/{id}/pay`.",
		Metadata: map[string]any{metaTimeout: checkoutTimeout, metaIdempotency: keyRequired},
	}, s.placeOrder, "idempotency_key_missing", "payment_declined", "payment_failed", "out_of_stock", "total_changed", "checkout_interrupted",
		"idempotency_in_progress", "idempotency_key_reused", "cart_empty", "product_unavailable", "coupon_invalid", "coupon_exhausted")
	register(s, huma.Operation{
		OperationID: "list-orders", Method: http.MethodGet, Path: base + "/orders",
		Summary: "My orders, newest first; everybody's for staff", Tags: tags,
		Description: "A customer who names another `user_id` is answered 403.",
	}, s.listOrders, "permission_denied")
	register(s, huma.Operation{
		OperationID: "get-order", Method: http.MethodGet, Path: base + "/orders/{id}", Summary: "An order", Tags: tags,
	}, s.getOrder)
	register(s, huma.Operation{
		OperationID: "cancel-order", Method: http.MethodPost, Path: base + "/orders/{id}/cancel", DefaultStatus: http.StatusOK,
		Summary: "Cancel an order that has not shipped", Tags: tags,
		Description: "Its stock and the use of its coupon go back, its payment is voided or refunded. Cancelling a cancelled order changes nothing.",
		Metadata:    map[string]any{metaExample: exampleCancelledOrder, metaIdempotency: keyOptional},
	}, s.cancelOrder, "invalid_transition", "order_busy", "idempotency_in_progress", "idempotency_key_reused")
	register(s, huma.Operation{
		OperationID: "pay-order", Method: http.MethodPost, Path: base + "/orders/{id}/pay", DefaultStatus: http.StatusOK, Responses: unsettled(),
		Summary: "Pay a pending order", Tags: tags,
		Description: "An order whose payment is declined stays pending and can be paid again. An order is paid once, however often it is tried.",
		Metadata:    map[string]any{metaTimeout: checkoutTimeout, metaIdempotency: keyOptional},
	}, s.payOrder, "payment_declined", "payment_failed", "order_not_payable", "order_busy", "out_of_stock", "payment_interrupted",
		"idempotency_in_progress", "idempotency_key_reused")
	s.registerQuote()
	s.registerOrderItems()
	s.registerOrderKeeping()
}

func (s *Server) listShippingMethods(ctx context.Context, in *IfNoneMatch) (*Cacheable[List[ShippingMethod]], error) {
	answer, err := s.services.Orders.ListShippingMethods(ctx, &orderv1.ListShippingMethodsRequest{})
	if err != nil {
		return nil, err
	}
	return publicAnswer(*in, List[ShippingMethod]{Items: convertAll(answer.GetMethods(), func(m *orderv1.ShippingMethod) ShippingMethod {
		return ShippingMethod{ID: m.GetId(), Name: m.GetName(), Price: money(m.GetPrice(), ""), MinDays: m.GetMinDays(), MaxDays: m.GetMaxDays()}
	})})
}

func (s *Server) placeOrder(ctx context.Context, in *placeOrderInput) (*placeOrderOutput, error) {
	switch {
	case in.Body.AddressID != "" && in.Body.ShippingAddress != nil:
		return nil, apperr.InvalidField("body.address_id", "expected either address_id or shipping_address")
	case in.Body.AddressID == "" && in.Body.ShippingAddress == nil:
		return nil, apperr.InvalidField("body.shipping_address", "expected shipping_address or address_id to be present")
	}
	answer, err := s.services.Orders.PlaceOrder(ctx, &orderv1.PlaceOrderRequest{
		IdempotencyKey:  in.IdempotencyKey,
		Items:           requestedItems(in.Body.Items),
		AddressId:       in.Body.AddressID,
		ShippingAddress: in.Body.ShippingAddress.proto(),
		ShippingMethod:  in.Body.ShippingMethod,
		PaymentMethod:   paymentMethod(in.Body.Payment.Method),
		PaymentToken:    in.Body.Payment.Token,
		CouponCode:      in.Body.CouponCode,
		ExpectedTotal:   in.Body.ExpectedTotal.proto(),
	})
	if err != nil {
		return nil, withTotal(err)
	}
	order := orderOf(answer.GetOrder())
	out := &placeOrderOutput{
		Status: http.StatusCreated, Location: locationOf("orders", order.ID), ETag: etag(order.Version),
		Replayed: replayed(answer.GetReplayed()), Body: order,
	}
	if answer.GetSettling() {
		out.Status = http.StatusAccepted
	}
	return out, nil
}

// withTotal shows the total that a refused order has now as money, which errors between services can't carry.
func withTotal(err error) error {
	e := apperr.From(err)
	amount, hasAmount := e.Attributes["total"].(int64)
	currency, hasCurrency := e.Attributes["currency"].(string)
	if !hasAmount || !hasCurrency {
		return err
	}
	return e.WithAttribute("total", Money{Amount: amount, Currency: currency})
}

func (s *Server) listOrders(ctx context.Context, in *listOrdersInput) (*listOrdersOutput, error) {
	answer, err := s.services.Orders.ListOrders(ctx, &orderv1.ListOrdersRequest{
		Status: enumValue[orderv1.OrderStatus](orderv1.OrderStatus_value, "ORDER_STATUS_", in.Status), UserId: in.UserID,
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listOrdersOutput{Body: Page[Order]{
		Items: convertAll(answer.GetOrders(), orderOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) getOrder(ctx context.Context, in *ByID) (*orderOutput, error) {
	answer, err := s.services.Orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: in.ID})
	if err != nil {
		return nil, err
	}
	return orderAnswer(answer.GetOrder(), false, false), nil
}

func (s *Server) cancelOrder(ctx context.Context, in *cancelOrderInput) (*orderOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	request := &orderv1.CancelOrderRequest{OrderId: in.ID, IfVersion: version, IdempotencyKey: in.IdempotencyKey}
	if in.Body != nil {
		request.Reason = in.Body.Reason
	}
	answer, err := s.services.Orders.CancelOrder(ctx, request)
	if err != nil {
		return nil, err
	}
	return orderAnswer(answer.GetOrder(), false, answer.GetReplayed()), nil
}

func (s *Server) payOrder(ctx context.Context, in *payOrderInput) (*orderOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	answer, err := s.services.Orders.PayOrder(ctx, &orderv1.PayOrderRequest{
		OrderId: in.ID, PaymentMethod: paymentMethod(in.Body.Method), PaymentToken: in.Body.Token,
		IdempotencyKey: in.IdempotencyKey, IfVersion: version,
	})
	if err != nil {
		return nil, err
	}
	return orderAnswer(answer.GetOrder(), answer.GetSettling(), answer.GetReplayed()), nil
}

func orderAnswer(o *orderv1.Order, settling, again bool) *orderOutput {
	order := orderOf(o)
	out := &orderOutput{Status: http.StatusOK, ETag: etag(order.Version), Replayed: replayed(again), Body: order}
	if settling {
		out.Status = http.StatusAccepted
	}
	return out
}

func paymentMethod(name string) orderv1.PaymentMethod {
	return enumValue[orderv1.PaymentMethod](orderv1.PaymentMethod_value, "PAYMENT_METHOD_", name)
}

func orderOf(o *orderv1.Order) Order {
	currency := o.GetCurrency()
	a := o.GetShippingAddress()
	return Order{
		ID: o.GetId(), Number: o.GetNumber(), UserID: o.GetUserId(), Status: enumName(o.GetStatus(), "ORDER_STATUS_"),
		Items: convertAll(o.GetItems(), func(i *orderv1.OrderItem) OrderItem {
			return OrderItem{
				ID: i.GetId(), ProductID: i.GetProductId(), SKU: i.GetSku(), Name: i.GetName(), Quantity: i.GetQuantity(),
				UnitPrice: money(i.GetUnitPrice(), currency), LineTotal: money(i.GetLineTotal(), currency),
			}
		}),
		Subtotal: money(o.GetSubtotal(), currency), Discount: money(o.GetDiscount(), currency),
		Shipping: money(o.GetShipping(), currency), Total: money(o.GetTotal(), currency), Currency: currency,
		ShippingAddress: ShippingAddress{
			Recipient: a.GetRecipient(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), Region: a.GetRegion(),
			PostalCode: a.GetPostalCode(), Country: a.GetCountry(), Phone: a.GetPhone(),
		},
		ShippingMethod: o.GetShippingMethod(), CouponCode: o.GetCouponCode(), Tracking: o.GetTracking(), Refunds: convertAll(o.GetRefunds(), refundOf),
		Payment: OrderPayment{
			Status: enumName(o.GetPayment().GetStatus(), "PAYMENT_STATUS_"), Method: enumName(o.GetPayment().GetMethod(), "PAYMENT_METHOD_"),
			Provider: o.GetPayment().GetProvider(), Reference: o.GetPayment().GetReference(),
			Refunded: givenBack(o.GetPayment().GetRefunded()),
		},
		History: convertAll(o.GetHistory(), func(h *orderv1.HistoryEntry) HistoryEntry {
			return HistoryEntry{Status: enumName(h.GetStatus(), "ORDER_STATUS_"), At: instant(h.GetAt()), By: h.GetBy(), Note: h.GetNote()}
		}),
		Version: o.GetVersion(), CreatedAt: instant(o.GetCreatedAt()), UpdatedAt: instant(o.GetUpdatedAt()),
	}
}

func refundOf(r *orderv1.Refund) Refund {
	return Refund{
		ID: r.GetId(), Amount: money(r.GetAmount(), ""), Reason: r.GetReason(), Restock: r.GetRestock(), By: r.GetBy(), At: instant(r.GetAt()),
		Items: convertAll(r.GetItems(), func(i *orderv1.RefundedItem) RefundedItem {
			return RefundedItem{ItemID: i.GetItemId(), Quantity: i.GetQuantity()}
		}),
	}
}

// givenBack is absent where nothing was.
func givenBack(m *moneyv1.Money) *Money {
	if m.GetAmount() == 0 {
		return nil
	}
	return optionalMoney(m)
}

func requestedItems(items []RequestedItem) []*orderv1.RequestedItem {
	return convertAll(items, func(i RequestedItem) *orderv1.RequestedItem {
		return &orderv1.RequestedItem{ProductId: i.ProductID, Quantity: i.Quantity}
	})
}
