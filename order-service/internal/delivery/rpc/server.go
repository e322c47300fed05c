// Package rpc serves the use cases over gRPC: convert, call, convert.
package rpc

import (
	"context"

	"google.golang.org/grpc"

	"shop.example/order-service/internal/usecase"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

// Server serves order.v1.OrderService.
type Server struct {
	orderv1.UnimplementedOrderServiceServer

	checkout *usecase.Checkout
	queries  *usecase.Queries
	events   *usecase.Events
}

// Register adds the services to a server.
func Register(r grpc.ServiceRegistrar, checkout *usecase.Checkout, queries *usecase.Queries, coupons *usecase.Coupons, events *usecase.Events) {
	orderv1.RegisterOrderServiceServer(r, &Server{checkout: checkout, queries: queries, events: events})
	orderv1.RegisterCouponServiceServer(r, &CouponServer{coupons: coupons})
}

// caller is the signed-in user, whom the policy demands.
func caller(ctx context.Context) auth.Principal {
	p, _ := auth.FromContext(ctx)
	return p
}

func (s *Server) ListShippingMethods(context.Context, *orderv1.ListShippingMethodsRequest) (*orderv1.ListShippingMethodsResponse, error) {
	return fromShippingMethods(s.queries.ShippingMethods()), nil
}

func (s *Server) PlaceOrder(ctx context.Context, req *orderv1.PlaceOrderRequest) (*orderv1.PlaceOrderResponse, error) {
	wish, err := toPlaceOrder(caller(ctx), req)
	if err != nil {
		return nil, err
	}
	placed, err := s.checkout.Place(ctx, wish)
	if err != nil {
		return nil, err
	}
	return &orderv1.PlaceOrderResponse{Order: fromOrder(placed.Order), Replayed: placed.Replayed, Settling: placed.Settling}, nil
}

func (s *Server) PayOrder(ctx context.Context, req *orderv1.PayOrderRequest) (*orderv1.PayOrderResponse, error) {
	wish, err := toPayOrder(req)
	if err != nil {
		return nil, err
	}
	placed, err := s.checkout.Pay(ctx, caller(ctx), wish)
	if err != nil {
		return nil, err
	}
	return &orderv1.PayOrderResponse{Order: fromOrder(placed.Order), Settling: placed.Settling, Replayed: placed.Replayed}, nil
}

func (s *Server) GetOrder(ctx context.Context, req *orderv1.GetOrderRequest) (*orderv1.GetOrderResponse, error) {
	id, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	order, err := s.queries.Order(ctx, caller(ctx), id)
	if err != nil {
		return nil, err
	}
	return &orderv1.GetOrderResponse{Order: fromOrder(order)}, nil
}

func (s *Server) ListOrders(ctx context.Context, req *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	list, err := toListOrders(req)
	if err != nil {
		return nil, err
	}
	page, err := s.queries.List(ctx, caller(ctx), list)
	if err != nil {
		return nil, err
	}
	return fromOrderPage(page), nil
}

func (s *Server) CancelOrder(ctx context.Context, req *orderv1.CancelOrderRequest) (*orderv1.CancelOrderResponse, error) {
	id, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	placed, err := s.checkout.Cancel(ctx, caller(ctx), usecase.Cancellation{
		Key: req.GetIdempotencyKey(), OrderID: id, Reason: req.GetReason(), IfVersion: req.IfVersion,
	})
	if err != nil {
		return nil, err
	}
	return &orderv1.CancelOrderResponse{Order: fromOrder(placed.Order), Replayed: placed.Replayed}, nil
}
