package rpc

import (
	"context"

	orderv1 "shop.example/proto/order/v1"
)

func (s *Server) HandlePaymentEvent(ctx context.Context, req *orderv1.HandlePaymentEventRequest) (*orderv1.HandlePaymentEventResponse, error) {
	if err := s.events.Handle(ctx, req.GetProvider(), req.GetHeaders(), req.GetBody()); err != nil {
		return nil, err
	}
	return &orderv1.HandlePaymentEventResponse{}, nil
}
