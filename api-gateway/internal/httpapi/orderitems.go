package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	orderv1 "shop.example/proto/order/v1"
)

type addOrderItemInput struct {
	ByID
	IfMatch
	Key
	Body RequestedItem
}

type removeOrderItemInput struct {
	ByID
	ItemID string `path:"item_id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e41"`
	IfMatch
}

func (s *Server) registerOrderItems() {
	tags := []string{"orders"}
	register(s, huma.Operation{
		OperationID: "add-order-item", Method: http.MethodPost, Path: base + "/orders/{id}/items", DefaultStatus: http.StatusOK,
		Summary: "Add to a pending order", Tags: tags,
		Description: "Only while it is pending and nobody has begun to pay it. The pieces are reserved; the line has today's price for all of its " +
			"pieces. Answers the order. 409 `out_of_stock` says how many more there are.",
		Metadata: map[string]any{metaExample: exampleEditedOrder, metaIdempotency: keyOptional},
	}, s.addOrderItem, "order_not_editable", "order_busy", "out_of_stock", "product_unavailable", "coupon_invalid",
		"idempotency_in_progress", "idempotency_key_reused")
	register(s, huma.Operation{
		OperationID: "remove-order-item", Method: http.MethodDelete, Path: base + "/orders/{id}/items/{item_id}", DefaultStatus: http.StatusOK,
		Summary: "Remove a line of a pending order", Tags: tags,
		Description: "Its pieces go back. Answers the order. The last line stays: 409 `order_not_editable`; cancel the order instead. An order " +
			"that would fall below its coupon's minimum is 422 `coupon_invalid`.",
		Metadata: map[string]any{metaExample: exampleEditedOrder},
	}, s.removeOrderItem, "order_not_editable", "order_busy", "coupon_invalid")
}

func (s *Server) addOrderItem(ctx context.Context, in *addOrderItemInput) (*orderOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	answer, err := s.services.Orders.AddOrderItem(ctx, &orderv1.AddOrderItemRequest{
		OrderId: in.ID, ProductId: in.Body.ProductID, Quantity: in.Body.Quantity, IfVersion: version, IdempotencyKey: in.IdempotencyKey,
	})
	if err != nil {
		return nil, err
	}
	return orderAnswer(answer.GetOrder(), false, answer.GetReplayed()), nil
}

func (s *Server) removeOrderItem(ctx context.Context, in *removeOrderItemInput) (*changed[Order], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	answer, err := s.services.Orders.RemoveOrderItem(ctx, &orderv1.RemoveOrderItemRequest{OrderId: in.ID, ItemId: in.ItemID, IfVersion: version})
	if err != nil {
		return nil, err
	}
	order := orderOf(answer.GetOrder())
	return &changed[Order]{ETag: etag(order.Version), Body: order}, nil
}
