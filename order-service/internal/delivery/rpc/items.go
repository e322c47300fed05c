package rpc

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/usecase"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

func (s *Server) QuoteOrder(ctx context.Context, req *orderv1.QuoteOrderRequest) (*orderv1.QuoteOrderResponse, error) {
	wish, err := toQuoteOrder(caller(ctx), req)
	if err != nil {
		return nil, err
	}
	quote, err := s.checkout.Quote(ctx, wish)
	if err != nil {
		return nil, err
	}
	return fromQuote(quote), nil
}

func (s *Server) AddOrderItem(ctx context.Context, req *orderv1.AddOrderItemRequest) (*orderv1.AddOrderItemResponse, error) {
	orderID, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	productID, err := toID("product_id", req.GetProductId())
	if err != nil {
		return nil, err
	}
	placed, err := s.checkout.AddItem(ctx, caller(ctx), usecase.AddItem{
		Key: req.GetIdempotencyKey(), OrderID: orderID, ProductID: productID, Quantity: req.GetQuantity(), IfVersion: req.IfVersion,
	})
	if err != nil {
		return nil, err
	}
	return &orderv1.AddOrderItemResponse{Order: fromOrder(placed.Order), Replayed: placed.Replayed}, nil
}

func (s *Server) RemoveOrderItem(ctx context.Context, req *orderv1.RemoveOrderItemRequest) (*orderv1.RemoveOrderItemResponse, error) {
	orderID, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	itemID, err := toID("item_id", req.GetItemId())
	if err != nil {
		return nil, err
	}
	order, err := s.checkout.RemoveItem(ctx, caller(ctx), usecase.RemoveItem{OrderID: orderID, ItemID: itemID, IfVersion: req.IfVersion})
	if err != nil {
		return nil, err
	}
	return &orderv1.RemoveOrderItemResponse{Order: fromOrder(order)}, nil
}

func toQuoteOrder(caller auth.Principal, req *orderv1.QuoteOrderRequest) (usecase.QuoteOrder, error) {
	userID, err := uuid.Parse(caller.UserID)
	if err != nil {
		return usecase.QuoteOrder{}, fmt.Errorf("read the caller's id: %w", err)
	}
	wish := usecase.QuoteOrder{UserID: userID, ShippingMethod: req.GetShippingMethod(), CouponCode: req.GetCouponCode()}
	if raw := req.GetAddressId(); raw != "" {
		if wish.AddressID, err = toID("address_id", raw); err != nil {
			return usecase.QuoteOrder{}, err
		}
	}
	wish.Items, err = toLines(req.GetItems())
	return wish, err
}

func toLines(items []*orderv1.RequestedItem) ([]usecase.Line, error) {
	var lines []usecase.Line
	for i, item := range items {
		id, err := toID(fmt.Sprintf("items[%d].product_id", i), item.GetProductId())
		if err != nil {
			return nil, err
		}
		lines = append(lines, usecase.Line{ProductID: id, Quantity: item.GetQuantity()})
	}
	return lines, nil
}

func fromQuote(q usecase.Quote) *orderv1.QuoteOrderResponse {
	answer := &orderv1.QuoteOrderResponse{
		Items:    fromItems(q.Items),
		Subtotal: fromMoney(q.Subtotal), Discount: fromMoney(q.Discount), Shipping: fromMoney(q.Shipping), Total: fromMoney(q.Total),
	}
	for _, o := range q.Obstacles {
		answer.Obstacles = append(answer.Obstacles, &orderv1.Obstacle{
			Code: o.Code, Message: o.Message, Location: o.Location, ProductId: o.ProductID, Available: o.Available,
		})
	}
	return answer
}
