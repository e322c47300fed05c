package rpc

import (
	"context"

	productv1 "shop.example/proto/product/v1"
)

func (s *stockServer) RestockItems(ctx context.Context, req *productv1.RestockItemsRequest) (*productv1.RestockItemsResponse, error) {
	orderID, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	refundID, err := toID("refund_id", req.GetRefundId())
	if err != nil {
		return nil, err
	}
	lines, err := toLines(req.GetLines())
	if err != nil {
		return nil, err
	}
	if err := s.stock.Restock(ctx, orderID, refundID, lines); err != nil {
		return nil, err
	}
	return &productv1.RestockItemsResponse{}, nil
}
