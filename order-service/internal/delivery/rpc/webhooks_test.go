package rpc_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	orderv1 "shop.example/proto/order/v1"
)

// webhooks are those of production: private targets are refused.
func (s *service) webhooks(t *testing.T, now func() time.Time) *usecase.Webhooks {
	t.Helper()
	sender, err := client.NewWebhooks("a master secret of the tests, long enough", false, net.DefaultResolver)
	if err != nil {
		t.Fatal(err)
	}
	return usecase.NewWebhooks(usecase.WebhookParts{
		Endpoints: s.store, Reader: s.store, Deliveries: s.store, Log: s.store, Targets: sender, Secrets: sender, Now: now,
	})
}

const target = "https://93.184.216.34/events"

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Admin)
	c := orderv1.NewWebhookServiceClient(s.dial(t, grpcserver.Gateway))
	for url, reason := range map[string]string{
		"https://127.0.0.1": "public", "https://169.254.169.254/latest": "public", "https://localhost": "public", "http://93.184.216.34": "https",
	} {
		_, err := c.CreateWebhookEndpoint(ctx, &orderv1.CreateWebhookEndpointRequest{Url: url})
		e := wantError(t, url, err, apperr.Invalid, "validation_failed")
		if len(e.Violations) != 1 || e.Violations[0].Location != "url" || !strings.Contains(e.Violations[0].Message, reason) {
			t.Errorf("%s: %+v", url, e.Violations)
		}
	}
	created, err := c.CreateWebhookEndpoint(ctx, &orderv1.CreateWebhookEndpointRequest{Url: target, Events: []string{"order.confirmed"}})
	if err != nil || !strings.HasPrefix(created.GetSecret(), "whsec_") {
		t.Fatalf("%v, %v", created, err)
	}
	want := created.GetEndpoint()
	if want.GetStatus() != orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_ACTIVE || want.GetVersion() != 1 || want.GetUrl() != target {
		t.Errorf("created %v", want)
	}
	id := want.GetId()
	_, err = c.CreateWebhookEndpoint(ctx, &orderv1.CreateWebhookEndpointRequest{Url: target, Events: []string{"order.lost"}})
	if e := wantError(t, "an unknown event", err, apperr.Invalid, "validation_failed"); e.Violations[0].Location != "events[0]" {
		t.Errorf("an unknown event: %+v", e.Violations)
	}

	disabled := orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_DISABLED
	changed, err := c.UpdateWebhookEndpoint(ctx, &orderv1.UpdateWebhookEndpointRequest{
		EndpointId: id, Events: &orderv1.EventTypes{}, Status: &disabled, IfVersion: new(int64(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	want.Events, want.Status, want.Version, want.UpdatedAt = nil, disabled, 2, changed.GetEndpoint().GetUpdatedAt()
	read, err := c.GetWebhookEndpoint(ctx, &orderv1.GetWebhookEndpointRequest{EndpointId: id})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.ListWebhookEndpoints(ctx, &orderv1.ListWebhookEndpointsRequest{IncludeTotal: true})
	if err != nil || len(list.GetEndpoints()) != 1 || list.GetTotalSize() != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	for what, got := range map[string]*orderv1.WebhookEndpoint{"changed": changed.GetEndpoint(), "read": read.GetEndpoint(), "listed": list.GetEndpoints()[0]} {
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	_, err = c.UpdateWebhookEndpoint(ctx, &orderv1.UpdateWebhookEndpointRequest{EndpointId: id, IfVersion: new(int64(1))})
	wantError(t, "a stale change", err, apperr.VersionMismatch, "version_mismatch")
	_, err = c.DeleteWebhookEndpoint(ctx, &orderv1.DeleteWebhookEndpointRequest{EndpointId: id, IfVersion: new(int64(1))})
	wantError(t, "a stale deletion", err, apperr.VersionMismatch, "version_mismatch")
	if _, err := c.DeleteWebhookEndpoint(ctx, &orderv1.DeleteWebhookEndpointRequest{EndpointId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetWebhookEndpoint(ctx, &orderv1.GetWebhookEndpointRequest{EndpointId: id})
	wantError(t, "a deleted one", err, apperr.NotFound, "not_found")
	_, err = c.ListWebhookDeliveries(ctx, &orderv1.ListWebhookDeliveriesRequest{EndpointId: id})
	wantError(t, "the log of a deleted one", err, apperr.NotFound, "not_found")
	_, staff := s.user(t, auth.Staff)
	_, err = c.ListWebhookEndpoints(staff, &orderv1.ListWebhookEndpointsRequest{})
	wantError(t, "by staff", err, apperr.PermissionDenied, "permission_denied")
}

func TestWebhookDeliveries(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Admin)
	c := orderv1.NewWebhookServiceClient(s.dial(t, grpcserver.Gateway))
	created, err := c.CreateWebhookEndpoint(ctx, &orderv1.CreateWebhookEndpointRequest{Url: target, Events: []string{"order.confirmed"}})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := created.GetEndpoint().GetId()
	_, customer := s.user(t, auth.Customer)
	order := s.place(customer, t, s.wish(usecasetest.TokOK)).GetOrder()
	list := func(status orderv1.WebhookDeliveryStatus) []*orderv1.WebhookDelivery {
		t.Helper()
		answer, err := c.ListWebhookDeliveries(ctx, &orderv1.ListWebhookDeliveriesRequest{EndpointId: endpoint, Status: status, IncludeTotal: true})
		if err != nil || answer.GetTotalSize() != int64(len(answer.GetDeliveries())) {
			t.Fatalf("%v, %v", answer, err)
		}
		return answer.GetDeliveries()
	}
	all := list(orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_UNSPECIFIED)
	if len(all) != 1 || all[0].GetOrderId() != order.GetId() || all[0].GetEventType() != "order.confirmed" || all[0].LastStatus != nil ||
		all[0].GetStatus() != orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_PENDING || all[0].GetNextAttemptAt() == nil || all[0].GetLastAttemptAt() != nil {
		t.Fatalf("deliveries: %v", all)
	}
	id := uuid.MustParse(all[0].GetId())
	if _, err := s.store.UpdateDelivery(ctx, id, func(d *domain.Delivery) error {
		d.Fail(503, "no", 0, time.Now().UTC())
		d.GiveUp("no")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	failed := list(orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_FAILED)
	if len(failed) != 1 || failed[0].GetAttempts() != 1 || failed[0].GetLastStatus() != 503 || failed[0].GetLastError() != "no" || failed[0].GetNextAttemptAt() != nil {
		t.Errorf("dead ends: %v", failed)
	}
	again, err := c.RedeliverWebhook(ctx, &orderv1.RedeliverWebhookRequest{EndpointId: endpoint, DeliveryId: id.String()})
	if err != nil || again.GetDelivery().GetStatus() != orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_PENDING {
		t.Errorf("%v, %v", again, err)
	}
	if failed := list(orderv1.WebhookDeliveryStatus_WEBHOOK_DELIVERY_STATUS_FAILED); len(failed) != 0 {
		t.Errorf("dead ends after all: %v", failed)
	}
	_, err = c.RedeliverWebhook(ctx, &orderv1.RedeliverWebhookRequest{EndpointId: endpoint, DeliveryId: uuid.NewString()})
	wantError(t, "an unknown delivery", err, apperr.NotFound, "not_found")
	disabled := orderv1.WebhookEndpointStatus_WEBHOOK_ENDPOINT_STATUS_DISABLED
	if _, err := c.UpdateWebhookEndpoint(ctx, &orderv1.UpdateWebhookEndpointRequest{EndpointId: endpoint, Status: &disabled}); err != nil {
		t.Fatal(err)
	}
	_, err = c.RedeliverWebhook(ctx, &orderv1.RedeliverWebhookRequest{EndpointId: endpoint, DeliveryId: id.String()})
	wantError(t, "to a disabled endpoint", err, apperr.Conflict, "webhook_endpoint_disabled")
}
