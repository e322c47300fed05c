package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	orderv1 "shop.example/proto/order/v1"
)

// WebhookEndpoint is where the shop's events are sent to.
type WebhookEndpoint struct {
	ID        string    `json:"id" format:"uuid"`
	URL       string    `json:"url"`
	Events    []string  `json:"events" doc:"The types of events that it is sent; empty for all."`
	Status    string    `json:"status" enum:"active,disabled" doc:"An endpoint that answers 410 is disabled by the shop."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Version   int64     `json:"version"`
}

// NewWebhookEndpoint is an endpoint with its secret, which is shown this once.
type NewWebhookEndpoint struct {
	WebhookEndpoint
	Secret string `json:"secret" doc:"Verifies what is sent, as Standard Webhooks has it. It is not shown again."`
}

// WebhookDelivery is an event on its way to an endpoint.
type WebhookDelivery struct {
	ID            string     `json:"id" format:"uuid"`
	EventID       string     `json:"event_id" format:"uuid" doc:"The id in the event, and its webhook-id."`
	EventType     string     `json:"event_type"`
	OrderID       string     `json:"order_id" format:"uuid"`
	Status        string     `json:"status" enum:"pending,delivered,failed" doc:"failed is not tried any more, until it is redelivered."`
	Attempts      int32      `json:"attempts" doc:"How often it was sent."`
	LastStatus    *int32     `json:"last_status,omitempty" doc:"The HTTP status of the last answer; absent if there was none."`
	LastError     string     `json:"last_error,omitempty" doc:"Why the last attempt did not succeed."`
	LastAttemptAt *time.Time `json:"last_attempt_at,omitempty"`
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty" doc:"Absent unless it is pending."`
	CreatedAt     time.Time  `json:"created_at"`
}

type listWebhookEndpointsOutput struct{ Body Page[WebhookEndpoint] }

type createWebhookEndpointInput struct {
	Body struct {
		URL    string   `json:"url" minLength:"1" maxLength:"2048" doc:"https, and a public address." example:"https://erp.example/shop-events"`
		Events []string `json:"events,omitempty" maxItems:"50" enum:"order.created,order.updated,order.confirmed,order.processing,order.shipped,order.delivered,order.cancelled,order.refunded,payment.captured,payment.failed,payment.voided,payment.refunded" doc:"All unless given." example:"[\"order.confirmed\"]"`
		Status string   `json:"status,omitempty" enum:"active,disabled" doc:"active unless given."`
	} `nameHint:"WebhookEndpointWish"`
}

type createWebhookEndpointOutput struct {
	Location     string `header:"Location"`
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         NewWebhookEndpoint
}

type updateWebhookEndpointInput struct {
	ByID
	IfMatch
	Body struct {
		URL    string   `json:"url,omitempty" minLength:"1" maxLength:"2048"`
		Events []string `json:"events,omitempty" maxItems:"50" enum:"order.created,order.updated,order.confirmed,order.processing,order.shipped,order.delivered,order.cancelled,order.refunded,payment.captured,payment.failed,payment.voided,payment.refunded" doc:"An empty list is all." example:"[\"order.confirmed\"]"`
		Status string   `json:"status,omitempty" enum:"active,disabled" example:"disabled"`
	} `nameHint:"WebhookEndpointChange"`
}

type deleteWebhookEndpointInput struct {
	ByID
	IfMatch
}

type listWebhookDeliveriesInput struct {
	ByID
	Status string `query:"status" enum:"pending,delivered,failed"`
	Paging
}

type listWebhookDeliveriesOutput struct{ Body Page[WebhookDelivery] }

type redeliverWebhookInput struct {
	ByID
	DeliveryID string `path:"delivery_id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e61"`
}

type redeliverWebhookOutput struct{ Body WebhookDelivery }

func (s *Server) registerWebhooks() {
	tags, path := []string{"webhooks"}, base+"/webhook-endpoints"
	register(s, huma.Operation{
		OperationID: "list-webhook-endpoints", Method: http.MethodGet, Path: path, Summary: "The endpoints, newest first", Tags: tags,
	}, s.listWebhookEndpoints)
	register(s, huma.Operation{
		OperationID: "create-webhook-endpoint", Method: http.MethodPost, Path: path, DefaultStatus: http.StatusCreated,
		Summary: "Have events sent to a URL", Tags: tags,
		Description: "Events are `{id, type, created_at, data: {order}}`, the order as it was then, signed by the header fields of Standard " +
			"Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`) with the `secret`, which is shown this once. A URL that does not " +
			"lead to a public address by https is 422. There may be 100 endpoints: one more is 422 `webhook_endpoint_limit`.\n\n" +
			"Any 2xx is an acceptance. All else, and no answer within 10 seconds, is tried again: after 4 seconds, 30 seconds, 5 minutes, and so on, " +
			"for 3 days. An event comes at least once and in no particular order: go by its id and by the `version` of its order.",
	}, s.createWebhookEndpoint, "webhook_endpoint_limit")
	register(s, huma.Operation{
		OperationID: "get-webhook-endpoint", Method: http.MethodGet, Path: path + "/{id}", Summary: "An endpoint", Tags: tags,
	}, s.getWebhookEndpoint)
	register(s, huma.Operation{
		OperationID: "update-webhook-endpoint", Method: http.MethodPatch, Path: path + "/{id}", Summary: "Change an endpoint", Tags: tags,
		Description: "What is left out stays as it is, and so does the secret. What waits to be sent goes to the new URL; a disabled endpoint is sent nothing.",
		Metadata:    map[string]any{metaExample: exampleDisabledEndpoint},
	}, s.updateWebhookEndpoint)
	register(s, huma.Operation{
		OperationID: "delete-webhook-endpoint", Method: http.MethodDelete, Path: path + "/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Delete an endpoint", Tags: tags, Description: "What waits to be sent to it is not sent.",
	}, s.deleteWebhookEndpoint)
	register(s, huma.Operation{
		OperationID: "list-webhook-deliveries", Method: http.MethodGet, Path: path + "/{id}/deliveries",
		Summary: "What was sent to an endpoint, and what is to be, newest first", Tags: tags, Description: "It goes back for 30 days.",
	}, s.listWebhookDeliveries)
	register(s, huma.Operation{
		OperationID: "redeliver-webhook", Method: http.MethodPost, Path: path + "/{id}/deliveries/{delivery_id}/redeliver",
		DefaultStatus: http.StatusAccepted, Summary: "Send an event once more", Tags: tags,
		Description: "At once, whatever came of it before, under the same `webhook-id` and with the same body; if that fails, with all retries " +
			"from the beginning. The delivery tells what became of it.",
		Metadata: map[string]any{metaExample: exampleRedelivery},
	}, s.redeliverWebhook, "webhook_endpoint_disabled")
}

func (s *Server) listWebhookEndpoints(ctx context.Context, in *Paging) (*listWebhookEndpointsOutput, error) {
	answer, err := s.services.Webhooks.ListWebhookEndpoints(ctx, &orderv1.ListWebhookEndpointsRequest{
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listWebhookEndpointsOutput{Body: Page[WebhookEndpoint]{
		Items: convertAll(answer.GetEndpoints(), webhookEndpointOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) createWebhookEndpoint(ctx context.Context, in *createWebhookEndpointInput) (*createWebhookEndpointOutput, error) {
	answer, err := s.services.Webhooks.CreateWebhookEndpoint(ctx, &orderv1.CreateWebhookEndpointRequest{
		Url: in.Body.URL, Events: in.Body.Events, Status: webhookEndpointStatus(in.Body.Status),
	})
	if err != nil {
		return nil, err
	}
	e := webhookEndpointOf(answer.GetEndpoint())
	return &createWebhookEndpointOutput{
		Location: locationOf("webhook-endpoints", e.ID), ETag: etag(e.Version), CacheControl: "no-store",
		Body: NewWebhookEndpoint{WebhookEndpoint: e, Secret: answer.GetSecret()},
	}, nil
}

func (s *Server) getWebhookEndpoint(ctx context.Context, in *ByID) (*changed[WebhookEndpoint], error) {
	answer, err := s.services.Webhooks.GetWebhookEndpoint(ctx, &orderv1.GetWebhookEndpointRequest{EndpointId: in.ID})
	if err != nil {
		return nil, err
	}
	e := webhookEndpointOf(answer.GetEndpoint())
	return &changed[WebhookEndpoint]{ETag: etag(e.Version), Body: e}, nil
}

func (s *Server) updateWebhookEndpoint(ctx context.Context, in *updateWebhookEndpointInput) (*changed[WebhookEndpoint], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	request := &orderv1.UpdateWebhookEndpointRequest{EndpointId: in.ID, IfVersion: version}
	if in.Body.URL != "" {
		request.Url = &in.Body.URL
	}
	if in.Body.Events != nil { // an empty list is there, too
		request.Events = &orderv1.EventTypes{Types: in.Body.Events}
	}
	if in.Body.Status != "" {
		request.Status = webhookEndpointStatus(in.Body.Status).Enum()
	}
	answer, err := s.services.Webhooks.UpdateWebhookEndpoint(ctx, request)
	if err != nil {
		return nil, err
	}
	e := webhookEndpointOf(answer.GetEndpoint())
	return &changed[WebhookEndpoint]{ETag: etag(e.Version), Body: e}, nil
}

func (s *Server) deleteWebhookEndpoint(ctx context.Context, in *deleteWebhookEndpointInput) (*noOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	_, err = s.services.Webhooks.DeleteWebhookEndpoint(ctx, &orderv1.DeleteWebhookEndpointRequest{EndpointId: in.ID, IfVersion: version})
	return &noOutput{}, err
}

func (s *Server) listWebhookDeliveries(ctx context.Context, in *listWebhookDeliveriesInput) (*listWebhookDeliveriesOutput, error) {
	answer, err := s.services.Webhooks.ListWebhookDeliveries(ctx, &orderv1.ListWebhookDeliveriesRequest{
		EndpointId: in.ID, Status: enumValue[orderv1.WebhookDeliveryStatus](orderv1.WebhookDeliveryStatus_value, "WEBHOOK_DELIVERY_STATUS_", in.Status),
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listWebhookDeliveriesOutput{Body: Page[WebhookDelivery]{
		Items: convertAll(answer.GetDeliveries(), webhookDeliveryOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) redeliverWebhook(ctx context.Context, in *redeliverWebhookInput) (*redeliverWebhookOutput, error) {
	answer, err := s.services.Webhooks.RedeliverWebhook(ctx, &orderv1.RedeliverWebhookRequest{EndpointId: in.ID, DeliveryId: in.DeliveryID})
	if err != nil {
		return nil, err
	}
	return &redeliverWebhookOutput{Body: webhookDeliveryOf(answer.GetDelivery())}, nil
}

func webhookEndpointStatus(name string) orderv1.WebhookEndpointStatus {
	return enumValue[orderv1.WebhookEndpointStatus](orderv1.WebhookEndpointStatus_value, "WEBHOOK_ENDPOINT_STATUS_", name)
}

func webhookEndpointOf(e *orderv1.WebhookEndpoint) WebhookEndpoint {
	return WebhookEndpoint{
		ID: e.GetId(), URL: e.GetUrl(), Events: convertAll(e.GetEvents(), func(event string) string { return event }),
		Status: enumName(e.GetStatus(), "WEBHOOK_ENDPOINT_STATUS_"), CreatedAt: instant(e.GetCreatedAt()), UpdatedAt: instant(e.GetUpdatedAt()),
		Version: e.GetVersion(),
	}
}

func webhookDeliveryOf(d *orderv1.WebhookDelivery) WebhookDelivery {
	return WebhookDelivery{
		ID: d.GetId(), EventID: d.GetEventId(), EventType: d.GetEventType(), OrderID: d.GetOrderId(),
		Status: enumName(d.GetStatus(), "WEBHOOK_DELIVERY_STATUS_"), Attempts: d.GetAttempts(), LastStatus: d.LastStatus, LastError: d.GetLastError(),
		LastAttemptAt: optionalInstant(d.GetLastAttemptAt()), NextAttemptAt: optionalInstant(d.GetNextAttemptAt()), CreatedAt: instant(d.GetCreatedAt()),
	}
}
