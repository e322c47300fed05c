package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	orderv1 "shop.example/proto/order/v1"
)

type setOrderStatusInput struct {
	ByID
	IfMatch
	Body struct {
		Status   string `json:"status" enum:"pending,confirmed,processing,shipped,delivered,cancelled,refunded" example:"shipped"`
		Note     string `json:"note,omitempty" maxLength:"500" doc:"Goes into the history." example:"Handed over to the carrier."`
		Tracking string `json:"tracking,omitempty" maxLength:"500" doc:"Where the parcel can be followed; stays as it is unless given." example:"https://carrier.example/track/4711"`
	} `nameHint:"OrderStatusChange"`
}

type refundOrderInput struct {
	ByID
	IfMatch
	Key
	Body struct {
		Amount  Sum            `json:"amount,omitempty" doc:"Minor units of the order's currency, or money in it. It or items, or neither: then all that is left."`
		Items   []RefundedItem `json:"items,omitempty" minItems:"1" maxItems:"100" doc:"What was paid for these pieces is given back."`
		Reason  string         `json:"reason" minLength:"1" maxLength:"500" example:"One bell was broken."`
		Restock bool           `json:"restock,omitempty" doc:"Whether the pieces go back on the shelf; an amount that is not all that is left does not say which." example:"false"`
	} `nameHint:"NewRefund"`
}

func (s *Server) registerOrderKeeping() {
	tags := []string{"orders"}
	register(s, huma.Operation{
		OperationID: "set-order-status", Method: http.MethodPatch, Path: base + "/orders/{id}/status",
		Summary: "Move an order on", Tags: tags,
		Description: "Along `pending`, `confirmed`, `processing`, `shipped`, `delivered`; anything else is 409 `invalid_transition`, and so is " +
			"`confirmed`, which a payment does. `cancelled` does what `/cancel` does; `refunded`, of a delivered order, gives back all the " +
			"money that is left. The status that the order has is no step either.",
		Metadata: map[string]any{metaExample: exampleShippedOrder, metaTimeout: checkoutTimeout},
	}, s.setOrderStatus, "invalid_transition", "order_busy", "refund_exceeds_payment", "refund_failed")
	register(s, huma.Operation{
		OperationID: "refund-order", Method: http.MethodPost, Path: base + "/orders/{id}/refunds", DefaultStatus: http.StatusCreated,
		Summary: "Give money back", Tags: tags,
		Description: "An amount, or what was paid for some pieces (their price less their share of the discount), or all that is left, with the " +
			"delivery. Never more than was paid: 409 `refund_exceeds_payment`, with what is `refundable`. Answers the order, which is " +
			"`refunded` when all of it is back. 503: the payment provider can't be reached, and is asked again; the same request answers how far it is.",
		Metadata: map[string]any{metaExample: exampleRefundedOrder, metaTimeout: checkoutTimeout, metaIdempotency: keyOptional},
	}, s.refundOrder, "refund_exceeds_payment", "refund_failed", "order_busy", "idempotency_in_progress", "idempotency_key_reused")
}

func (s *Server) setOrderStatus(ctx context.Context, in *setOrderStatusInput) (*changed[Order], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	answer, err := s.services.Orders.SetOrderStatus(ctx, &orderv1.SetOrderStatusRequest{
		OrderId: in.ID, Status: enumValue[orderv1.OrderStatus](orderv1.OrderStatus_value, "ORDER_STATUS_", in.Body.Status),
		Note: in.Body.Note, Tracking: in.Body.Tracking, IfVersion: version,
	})
	if err != nil {
		return nil, err
	}
	order := orderOf(answer.GetOrder())
	return &changed[Order]{ETag: etag(order.Version), Body: order}, nil
}

func (s *Server) refundOrder(ctx context.Context, in *refundOrderInput) (*placeOrderOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	answer, err := s.services.Orders.RefundOrder(ctx, &orderv1.RefundOrderRequest{
		OrderId: in.ID, Amount: in.Body.Amount.Minor, Currency: in.Body.Amount.Currency, Reason: in.Body.Reason, Restock: in.Body.Restock,
		IdempotencyKey: in.IdempotencyKey, IfVersion: version,
		Items: convertAll(in.Body.Items, func(i RefundedItem) *orderv1.RefundedItem {
			return &orderv1.RefundedItem{ItemId: i.ItemID, Quantity: i.Quantity}
		}),
	})
	if err != nil {
		return nil, err
	}
	order := orderOf(answer.GetOrder())
	return &placeOrderOutput{ // the refund stands in the order
		Status: http.StatusCreated, Location: locationOf("orders", order.ID), ETag: etag(order.Version),
		Replayed: replayed(answer.GetReplayed()), Body: order,
	}, nil
}
