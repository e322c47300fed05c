package rpc

import (
	"shop.example/platform/grpcserver"
	orderv1 "shop.example/proto/order/v1"
)

// Policy is who may call what: the gateway only, for a signed-in user but where prices are shown.
var Policy = grpcserver.Policy{
	orderv1.OrderService_ListShippingMethods_FullMethodName: {Callers: []string{grpcserver.Gateway}},
	orderv1.OrderService_PlaceOrder_FullMethodName:          {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_PayOrder_FullMethodName:            {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_GetOrder_FullMethodName:            {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_ListOrders_FullMethodName:          {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_CancelOrder_FullMethodName:         {Callers: []string{grpcserver.Gateway}, User: true},
}
