package httpapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

func TestWebhookEndpointsOfAdmins(t *testing.T) {
	t.Parallel()
	s := setup(t)
	noon := &timestamppb.Timestamp{Seconds: 1772366400}
	endpoint := &orderv1.WebhookEndpoint{
		Id: itemID, Url: "https://erp.example", Status: orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_ACTIVE, CreatedAt: noon, UpdatedAt: noon, Version: 2,
	}
	shown := func() map[string]any {
		return map[string]any{
			"id": itemID, "url": "https://erp.example", "events": []any{}, "status": "active", "created_at": "2026-03-01T12:00:00Z",
			"updated_at": "2026-03-01T12:00:00Z", "version": 2.0,
		}
	}
	s.on("CreateWebhookEndpoint", &orderv1.CreateWebhookEndpointResponse{Endpoint: endpoint, Secret: "whsec_x"})
	s.on("UpdateWebhookEndpoint", &orderv1.UpdateWebhookEndpointResponse{Endpoint: endpoint})
	s.on("DeleteWebhookEndpoint", &orderv1.DeleteWebhookEndpointResponse{})
	s.on("GetWebhookEndpoint", &orderv1.GetWebhookEndpointResponse{Endpoint: endpoint})
	const all = "/api/v1/webhook-endpoints"
	one := all + "/" + itemID

	a := s.as(t, auth.Admin, "POST", all, `{"url":"https://erp.example","events":["order.shipped","payment.refunded"],"status":"disabled"}`)
	want := shown()
	want["secret"] = "whsec_x"
	if diff := cmp.Diff(want, a.json); diff != "" || a.status != 201 || a.header.Get("ETag") != `"2"` || a.header.Get("Location") != one ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", a.status, a.header, diff)
	}
	wish := &orderv1.CreateWebhookEndpointRequest{
		Url: "https://erp.example", Events: []string{"order.shipped", "payment.refunded"}, Status: orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_DISABLED,
	}
	if diff := cmp.Diff(wish, asked[*orderv1.CreateWebhookEndpointRequest](t, s, "CreateWebhookEndpoint"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if a := s.as(t, auth.Admin, "GET", one, ""); a.status != 200 || !cmp.Equal(a.json, any(shown())) {
		t.Errorf("%d %s", a.status, a.body)
	}

	for body, want := range map[string]*orderv1.UpdateWebhookEndpointRequest{
		`{"events":[]}`:                   {Events: &orderv1.EventTypes{}},
		`{"url":"https://other.example"}`: {Url: new("https://other.example")},
		`{"events":["order.created"],"status":"disabled"}`: {
			Events: &orderv1.EventTypes{Types: []string{"order.created"}}, Status: orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_DISABLED.Enum(),
		},
	} {
		if a := s.as(t, auth.Admin, "PATCH", one, body, `If-Match: "7"`); a.status != 200 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
		want.EndpointId, want.IfVersion = itemID, new(int64(7))
		if diff := cmp.Diff(want, asked[*orderv1.UpdateWebhookEndpointRequest](t, s, "UpdateWebhookEndpoint"), protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	for body, location := range map[string]string{
		`{"events":["order.lost"]}`: "body.events[0]", `{"status":"gone"}`: "body.status", `{"secret":"whsec_mine"}`: "body.secret", `{"url":""}`: "body.url",
	} {
		a := s.as(t, auth.Admin, "PATCH", one, body)
		a.mustBeProblem(t, 422, "validation_failed")
		if diff := cmp.Diff([]string{location}, a.locations()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	s.on("CreateWebhookEndpoint", apperr.InvalidField("url", "must lead to a public address that exists"))
	a = s.as(t, auth.Admin, "POST", all, `{"url":"https://127.0.0.1"}`)
	a.mustBeProblem(t, 422, "validation_failed")
	if diff := cmp.Diff([]string{"body.url"}, a.locations()); diff != "" {
		t.Error(diff)
	}
	if a := s.as(t, auth.Admin, "DELETE", one, "", `If-Match: "2"`); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.as(t, auth.Staff, "GET", all, "").mustBeProblem(t, 403, "permission_denied")
}

func TestWebhookDeliveries(t *testing.T) {
	t.Parallel()
	s := setup(t)
	noon := &timestamppb.Timestamp{Seconds: 1772366400}
	failing := &orderv1.WebhookDelivery{
		Id: productID, EventId: addressID, EventType: "order.shipped", OrderId: itemID, Status: orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_PENDING,
		Attempts: 1, LastStatus: new(int32(503)), LastError: "the receiver did not accept it", LastAttemptAt: noon, NextAttemptAt: noon, CreatedAt: noon,
	}
	fresh := &orderv1.WebhookDelivery{
		Id: productID, EventId: addressID, EventType: "order.shipped", OrderId: itemID, Status: orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_DELIVERED, CreatedAt: noon,
	}
	s.on("ListWebhookDeliveries", &orderv1.ListWebhookDeliveriesResponse{Deliveries: []*orderv1.WebhookDelivery{failing, fresh}, NextPageToken: "more"})
	s.on("RedeliverWebhook", &orderv1.RedeliverWebhookResponse{Delivery: failing})
	path := "/api/v1/webhook-endpoints/" + itemID + "/deliveries"
	a := s.as(t, auth.Admin, "GET", path+"?status=failed&page_size=2", "")
	first := map[string]any{
		"id": productID, "event_id": addressID, "event_type": "order.shipped", "order_id": itemID, "status": "pending", "attempts": 1.0, "last_status": 503.0,
		"last_error": "the receiver did not accept it", "last_attempt_at": "2026-03-01T12:00:00Z", "next_attempt_at": "2026-03-01T12:00:00Z",
		"created_at": "2026-03-01T12:00:00Z",
	}
	want := map[string]any{"next_page_token": "more", "items": []any{first, map[string]any{
		"id": productID, "event_id": addressID, "event_type": "order.shipped", "order_id": itemID, "status": "delivered", "attempts": 0.0,
		"created_at": "2026-03-01T12:00:00Z",
	}}}
	if diff := cmp.Diff(want, a.json); diff != "" || a.status != 200 {
		t.Errorf("%d %s", a.status, diff)
	}
	list := &orderv1.ListWebhookDeliveriesRequest{EndpointId: itemID, Status: orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_FAILED, PageSize: 2}
	if diff := cmp.Diff(list, asked[*orderv1.ListWebhookDeliveriesRequest](t, s, "ListWebhookDeliveries"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	again := path + "/" + productID + "/redeliver"
	if a := s.as(t, auth.Admin, "POST", again, ""); a.status != 202 || !cmp.Equal(a.json, any(first)) {
		t.Errorf("%d %s", a.status, a.body)
	}
	ask := &orderv1.RedeliverWebhookRequest{EndpointId: itemID, DeliveryId: productID}
	if diff := cmp.Diff(ask, asked[*orderv1.RedeliverWebhookRequest](t, s, "RedeliverWebhook"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	s.on("RedeliverWebhook", apperr.New(apperr.Conflict, "webhook_endpoint_disabled", "No."))
	s.as(t, auth.Admin, "POST", again, "").mustBeProblem(t, 409, "webhook_endpoint_disabled")
	s.as(t, auth.Staff, "POST", again, "").mustBeProblem(t, 403, "permission_denied")
}
