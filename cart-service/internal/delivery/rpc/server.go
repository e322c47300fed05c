// Package rpc serves the use cases over gRPC.
package rpc

import (
	"context"

	"google.golang.org/grpc"

	"shop.example/cart-service/internal/usecase"
	cartv1 "shop.example/proto/cart/v1"
)

type server struct {
	cartv1.UnimplementedCartServiceServer

	carts     *usecase.Carts
	purchases *usecase.Purchases
}

// Register adds the services of cart-service to a server.
func Register(r grpc.ServiceRegistrar, carts *usecase.Carts, purchases *usecase.Purchases) {
	cartv1.RegisterCartServiceServer(r, &server{carts: carts, purchases: purchases})
}

func (s *server) GetCart(ctx context.Context, req *cartv1.GetCartRequest) (*cartv1.GetCartResponse, error) {
	get := s.carts.Get
	if req.GetAsKnown() {
		get = s.carts.AsKnown
	}
	view, err := get(ctx, req.GetCartToken())
	if err != nil {
		return nil, err
	}
	return &cartv1.GetCartResponse{Cart: fromCart(view)}, nil
}

func (s *server) AddItem(ctx context.Context, req *cartv1.AddItemRequest) (*cartv1.AddItemResponse, error) {
	cmd, err := toPutItem(req.GetProductId(), req.GetQuantity(), req.IfVersion, req.GetCartToken())
	if err != nil {
		return nil, err
	}
	view, cartToken, err := s.carts.AddItem(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &cartv1.AddItemResponse{Cart: fromCart(view), CartToken: cartToken}, nil
}

func (s *server) SetItem(ctx context.Context, req *cartv1.SetItemRequest) (*cartv1.SetItemResponse, error) {
	cmd, err := toPutItem(req.GetProductId(), req.GetQuantity(), req.IfVersion, req.GetCartToken())
	if err != nil {
		return nil, err
	}
	view, cartToken, err := s.carts.SetItem(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &cartv1.SetItemResponse{Cart: fromCart(view), CartToken: cartToken}, nil
}

func (s *server) RemoveItem(ctx context.Context, req *cartv1.RemoveItemRequest) (*cartv1.RemoveItemResponse, error) {
	productID, err := toID("product_id", req.GetProductId())
	if err != nil {
		return nil, err
	}
	view, err := s.carts.RemoveItem(ctx, usecase.RemoveItem{ProductID: productID, IfVersion: req.IfVersion, CartToken: req.GetCartToken()})
	if err != nil {
		return nil, err
	}
	return &cartv1.RemoveItemResponse{Cart: fromCart(view)}, nil
}

func (s *server) ClearCart(ctx context.Context, req *cartv1.ClearCartRequest) (*cartv1.ClearCartResponse, error) {
	if err := s.carts.Clear(ctx, req.GetCartToken(), req.IfVersion); err != nil {
		return nil, err
	}
	return &cartv1.ClearCartResponse{}, nil
}

func (s *server) MergeCart(ctx context.Context, req *cartv1.MergeCartRequest) (*cartv1.MergeCartResponse, error) {
	view, err := s.carts.Merge(ctx, req.GetCartToken())
	if err != nil {
		return nil, err
	}
	return &cartv1.MergeCartResponse{Cart: fromCart(view)}, nil
}

func (s *server) RemovePurchased(ctx context.Context, req *cartv1.RemovePurchasedRequest) (*cartv1.RemovePurchasedResponse, error) {
	purchase, err := toPurchase(req)
	if err != nil {
		return nil, err
	}
	if err := s.purchases.Remove(ctx, purchase); err != nil {
		return nil, err
	}
	return &cartv1.RemovePurchasedResponse{}, nil
}
