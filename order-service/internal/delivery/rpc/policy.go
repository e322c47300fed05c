package rpc

import (
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	orderv1 "shop.example/proto/order/v1"
)

// Policy is who may call what: the gateway only, for a signed-in user but where prices are shown, and for admins where
// coupons are made, webhook endpoints kept and audits looked at.
var Policy = grpcserver.Policy{
	orderv1.OrderService_ListShippingMethods_FullMethodName: {Callers: []string{grpcserver.Gateway}},
	orderv1.OrderService_QuoteOrder_FullMethodName:          {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_AddOrderItem_FullMethodName:        {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_RemoveOrderItem_FullMethodName:     {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_PlaceOrder_FullMethodName:          {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_PayOrder_FullMethodName:            {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_GetOrder_FullMethodName:            {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_ListOrders_FullMethodName:          {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_CancelOrder_FullMethodName:         {Callers: []string{grpcserver.Gateway}, User: true},
	orderv1.OrderService_SetOrderStatus_FullMethodName:      {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	orderv1.OrderService_RefundOrder_FullMethodName:         {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	orderv1.OrderService_HandlePaymentEvent_FullMethodName:  {Callers: []string{grpcserver.Gateway}},

	orderv1.CouponService_ListCoupons_FullMethodName:  {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.CouponService_GetCoupon_FullMethodName:    {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.CouponService_CreateCoupon_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.CouponService_UpdateCoupon_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.CouponService_DeleteCoupon_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},

	orderv1.WebhookService_ListWebhookEndpoints_FullMethodName:  {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.WebhookService_GetWebhookEndpoint_FullMethodName:    {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.WebhookService_CreateWebhookEndpoint_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.WebhookService_UpdateWebhookEndpoint_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.WebhookService_DeleteWebhookEndpoint_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.WebhookService_ListWebhookDeliveries_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.WebhookService_RedeliverWebhook_FullMethodName:      {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},

	orderv1.AuditService_ListFindings_FullMethodName:  {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	orderv1.AuditService_RepairFinding_FullMethodName: {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
}
