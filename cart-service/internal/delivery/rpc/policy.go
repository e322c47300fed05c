package rpc

import (
	"shop.example/platform/grpcserver"
	cartv1 "shop.example/proto/cart/v1"
)

// Policy says who may call what. A cart is that of the user on whose behalf the call is made, or without one the guest's whose
// token comes with it; only RemovePurchased names a user, because order-service may call it when the user is long gone, and
// so only order-service may.
var Policy = grpcserver.Policy{
	cartv1.CartService_GetCart_FullMethodName:         {Callers: []string{grpcserver.Gateway, grpcserver.OrderService}},
	cartv1.CartService_AddItem_FullMethodName:         {Callers: []string{grpcserver.Gateway}},
	cartv1.CartService_SetItem_FullMethodName:         {Callers: []string{grpcserver.Gateway}},
	cartv1.CartService_RemoveItem_FullMethodName:      {Callers: []string{grpcserver.Gateway}},
	cartv1.CartService_ClearCart_FullMethodName:       {Callers: []string{grpcserver.Gateway}},
	cartv1.CartService_MergeCart_FullMethodName:       {Callers: []string{grpcserver.Gateway}, User: true},
	cartv1.CartService_RemovePurchased_FullMethodName: {Callers: []string{grpcserver.OrderService}},
}
