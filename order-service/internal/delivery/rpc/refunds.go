package rpc

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	orderv1 "shop.example/proto/order/v1"
)

func (s *Server) SetOrderStatus(ctx context.Context, req *orderv1.SetOrderStatusRequest) (*orderv1.SetOrderStatusResponse, error) {
	id, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	order, err := s.checkout.SetStatus(ctx, caller(ctx), usecase.SetStatus{
		OrderID: id, Status: named(statuses, req.GetStatus()), Note: req.GetNote(), Tracking: req.GetTracking(), IfVersion: req.IfVersion,
	})
	if err != nil {
		return nil, err
	}
	return &orderv1.SetOrderStatusResponse{Order: fromOrder(order)}, nil
}

func (s *Server) RefundOrder(ctx context.Context, req *orderv1.RefundOrderRequest) (*orderv1.RefundOrderResponse, error) {
	wish, err := toRefundOrder(req)
	if err != nil {
		return nil, err
	}
	placed, err := s.checkout.Refund(ctx, caller(ctx), wish)
	if err != nil {
		return nil, err
	}
	return &orderv1.RefundOrderResponse{Order: fromOrder(placed.Order), Replayed: placed.Replayed}, nil
}

func toRefundOrder(req *orderv1.RefundOrderRequest) (usecase.RefundOrder, error) {
	id, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return usecase.RefundOrder{}, err
	}
	wish := usecase.RefundOrder{
		Key: req.GetIdempotencyKey(), OrderID: id, Amount: req.GetAmount(), Currency: req.GetCurrency(), Reason: req.GetReason(), Restock: req.GetRestock(), IfVersion: req.IfVersion,
	}
	for i, item := range req.GetItems() {
		itemID, err := toID(fmt.Sprintf("items[%d].item_id", i), item.GetItemId())
		if err != nil {
			return usecase.RefundOrder{}, err
		}
		wish.Items = append(wish.Items, domain.RefundedItem{ItemID: itemID, Quantity: item.GetQuantity()})
	}
	return wish, nil
}

// fromRefunds shows the refunds whose money is back. One that is under way counts when it is.
func fromRefunds(all []domain.Refund) []*orderv1.Refund {
	var done []*orderv1.Refund
	for _, r := range all {
		if r.Status != domain.RefundDone {
			continue
		}
		refund := &orderv1.Refund{
			Id: r.ID.String(), Amount: fromMoney(r.Amount), Reason: r.Reason, Restock: r.Restock, By: r.By, At: timestamppb.New(r.At),
		}
		for _, item := range r.Items {
			refund.Items = append(refund.Items, &orderv1.RefundedItem{ItemId: item.ItemID.String(), Quantity: item.Quantity})
		}
		done = append(done, refund)
	}
	return done
}
