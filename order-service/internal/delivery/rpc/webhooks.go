package rpc

import (
	"context"

	"google.golang.org/grpc"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	orderv1 "shop.example/proto/order/v1"
)

// WebhookServer serves order.v1.WebhookService.
type WebhookServer struct {
	orderv1.UnimplementedWebhookServiceServer

	webhooks *usecase.Webhooks
}

// RegisterWebhooks serves the endpoints that events are sent to.
func RegisterWebhooks(r grpc.ServiceRegistrar, webhooks *usecase.Webhooks) {
	orderv1.RegisterWebhookServiceServer(r, &WebhookServer{webhooks: webhooks})
}

func (s *WebhookServer) ListWebhookEndpoints(ctx context.Context, req *orderv1.ListWebhookEndpointsRequest) (*orderv1.ListWebhookEndpointsResponse, error) {
	page, err := s.webhooks.List(ctx, usecase.ListEndpoints{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), IncludeTotal: req.GetIncludeTotal(),
	})
	if err != nil {
		return nil, err
	}
	answer := &orderv1.ListWebhookEndpointsResponse{NextPageToken: page.NextPageToken, TotalSize: page.Total}
	for _, e := range page.Endpoints {
		answer.Endpoints = append(answer.Endpoints, fromEndpoint(e))
	}
	return answer, nil
}

func (s *WebhookServer) GetWebhookEndpoint(ctx context.Context, req *orderv1.GetWebhookEndpointRequest) (*orderv1.GetWebhookEndpointResponse, error) {
	id, err := toID("endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	endpoint, err := s.webhooks.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &orderv1.GetWebhookEndpointResponse{Endpoint: fromEndpoint(endpoint)}, nil
}

func (s *WebhookServer) CreateWebhookEndpoint(ctx context.Context, req *orderv1.CreateWebhookEndpointRequest) (*orderv1.CreateWebhookEndpointResponse, error) {
	terms := domain.EndpointTerms{URL: req.GetUrl(), Events: toEventTypes(req.GetEvents()), Status: domain.EndpointActive}
	if status := req.GetStatus(); status != orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_UNSPECIFIED {
		terms.Status = named(endpointStatuses, status)
	}
	endpoint, secret, err := s.webhooks.Create(ctx, terms)
	if err != nil {
		return nil, err
	}
	return &orderv1.CreateWebhookEndpointResponse{Endpoint: fromEndpoint(endpoint), Secret: secret}, nil
}

func (s *WebhookServer) UpdateWebhookEndpoint(ctx context.Context, req *orderv1.UpdateWebhookEndpointRequest) (*orderv1.UpdateWebhookEndpointResponse, error) {
	id, err := toID("endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	wish := usecase.EndpointChange{URL: req.Url, IfVersion: req.IfVersion}
	if req.GetEvents() != nil {
		types := toEventTypes(req.GetEvents().GetTypes())
		wish.Events = &types
	}
	if req.Status != nil {
		status := named(endpointStatuses, req.GetStatus())
		wish.Status = &status
	}
	endpoint, err := s.webhooks.Update(ctx, id, wish)
	if err != nil {
		return nil, err
	}
	return &orderv1.UpdateWebhookEndpointResponse{Endpoint: fromEndpoint(endpoint)}, nil
}

func (s *WebhookServer) DeleteWebhookEndpoint(ctx context.Context, req *orderv1.DeleteWebhookEndpointRequest) (*orderv1.DeleteWebhookEndpointResponse, error) {
	id, err := toID("endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	if err := s.webhooks.Delete(ctx, id, req.IfVersion); err != nil {
		return nil, err
	}
	return &orderv1.DeleteWebhookEndpointResponse{}, nil
}

func (s *WebhookServer) ListWebhookDeliveries(ctx context.Context, req *orderv1.ListWebhookDeliveriesRequest) (*orderv1.ListWebhookDeliveriesResponse, error) {
	id, err := toID("endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	list := usecase.ListDeliveries{
		DeliveryFilter: usecase.DeliveryFilter{EndpointID: id},
		PageSize:       int(req.GetPageSize()), PageToken: req.GetPageToken(), IncludeTotal: req.GetIncludeTotal(),
	}
	if status := req.GetStatus(); status != orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_UNSPECIFIED {
		list.Status = named(deliveryStatuses, status)
	}
	page, err := s.webhooks.ListDeliveries(ctx, list)
	if err != nil {
		return nil, err
	}
	answer := &orderv1.ListWebhookDeliveriesResponse{NextPageToken: page.NextPageToken, TotalSize: page.Total}
	for _, d := range page.Deliveries {
		answer.Deliveries = append(answer.Deliveries, fromDelivery(d))
	}
	return answer, nil
}

func (s *WebhookServer) RedeliverWebhook(ctx context.Context, req *orderv1.RedeliverWebhookRequest) (*orderv1.RedeliverWebhookResponse, error) {
	endpointID, err := toID("endpoint_id", req.GetEndpointId())
	if err != nil {
		return nil, err
	}
	id, err := toID("delivery_id", req.GetDeliveryId())
	if err != nil {
		return nil, err
	}
	delivery, err := s.webhooks.Redeliver(ctx, endpointID, id)
	if err != nil {
		return nil, err
	}
	return &orderv1.RedeliverWebhookResponse{Delivery: fromDelivery(delivery)}, nil
}

var endpointStatuses = map[domain.EndpointStatus]orderv1.WebhookEndpointStatus{
	domain.EndpointActive:   orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_ACTIVE,
	domain.EndpointDisabled: orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_DISABLED,
}

var deliveryStatuses = map[domain.DeliveryStatus]orderv1.WebhookDeliveryStatus{
	domain.DeliveryPending:   orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_PENDING,
	domain.DeliveryDelivered: orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_DELIVERED,
	domain.DeliveryFailed:    orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_FAILED,
}

func toEventTypes(names []string) []domain.EventType {
	types := make([]domain.EventType, len(names))
	for i, name := range names {
		types[i] = domain.EventType(name)
	}
	return types
}

func fromEndpoint(e domain.Endpoint) *orderv1.WebhookEndpoint {
	endpoint := &orderv1.WebhookEndpoint{
		Id: e.ID.String(), Url: e.URL, Status: endpointStatuses[e.Status], CreatedAt: moment(e.CreatedAt), UpdatedAt: moment(e.UpdatedAt),
		Version: e.Version,
	}
	for _, event := range e.Events {
		endpoint.Events = append(endpoint.Events, string(event))
	}
	return endpoint
}

func fromDelivery(d domain.Delivery) *orderv1.WebhookDelivery {
	delivery := &orderv1.WebhookDelivery{
		Id: d.ID.String(), EventId: d.EventID.String(), EventType: string(d.EventType), OrderId: d.OrderID.String(),
		Status: deliveryStatuses[d.Status], Attempts: int32(d.Attempts), //nolint:gosec // a round has 11, and people begin them
		LastError: d.LastError, LastAttemptAt: moment(d.LastAttemptAt), NextAttemptAt: moment(d.NextAttemptAt), CreatedAt: moment(d.CreatedAt),
	}
	if d.LastStatus != 0 {
		status := int32(d.LastStatus) //nolint:gosec // three digits
		delivery.LastStatus = &status
	}
	return delivery
}
