package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
)

// firstRetry is how soon a delivery is tried again, as the contract promises.
const firstRetry = 30 * time.Second

// delivered waits until an order's events are all delivered, so many, and returns the log.
func delivered(t *testing.T, s *shop.Shop, endpointID, orderID string, events int, within time.Duration) []shop.Delivery {
	t.Helper()
	var log []shop.Delivery
	shop.Await(t, within, func() error {
		log = s.DeliveriesOf(t, endpointID, orderID)
		if len(log) != events {
			return fmt.Errorf("%d deliveries, want %d: %+v", len(log), events, log)
		}
		for _, d := range log {
			if d.Status != "delivered" {
				return fmt.Errorf("not delivered: %+v", d)
			}
		}
		return nil
	})
	return log
}

// pendingOrder is an order that waits to be paid.
func pendingOrder(t *testing.T, s *shop.Shop, customer *shop.Customer) shop.Order {
	t.Helper()
	wish := shop.ByCard("", shop.Item{ProductID: s.NewProduct(t, 9, 1000).ID, Quantity: 2})
	return shop.Want[shop.Order](t, http.StatusCreated, customer.Place(wish))
}

// A receiver that fails for a while gets every event once its turn comes, each under one id and with one body, and the order in
// it is the one that the API shows.
func TestEventsReachAReceiverThatFailedForAWhile(t *testing.T) {
	t.Parallel()
	customer := shared.NewCustomer(t)
	receiver := shared.NewReceiver(t)
	receiver.Answers(func(shop.Event) int { return http.StatusServiceUnavailable })

	order := pendingOrder(t, shared, customer)
	shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+order.ID+"/pay", shop.Payment{Method: "card", Token: "tok_ok"}))
	staff := shared.Admin(t)
	shop.Want[shop.Order](t, http.StatusOK, staff.Do(http.MethodPatch, "/orders/"+order.ID+"/status", map[string]string{"status": "processing", "note": "packed"}))
	shown := map[string]json.RawMessage{"order.processing": customer.Get("/orders/" + order.ID).Body}
	shop.Want[shop.Order](t, http.StatusCreated, staff.Post("/orders/"+order.ID+"/refunds", shop.Refund{
		Items: []shop.Returned{{ItemID: order.Items[0].ID, Quantity: 1}}, Reason: "broken", Restock: true,
	}))
	shown["payment.refunded"] = customer.Get("/orders/" + order.ID).Body
	want := []string{"order.created", "payment.captured", "order.confirmed", "order.processing", "payment.refunded"}
	// What was answered is in the log a moment later.
	shop.Await(t, 10*time.Second, func() error {
		failed := shared.DeliveriesOf(t, receiver.Endpoint.ID, order.ID)
		if len(failed) < len(want) {
			return fmt.Errorf("%d deliveries", len(failed))
		}
		for _, d := range failed {
			if d.Status != "pending" || d.Attempts < 1 || d.LastStatus != http.StatusServiceUnavailable || d.LastError == "" || d.NextAttemptAt == nil {
				return fmt.Errorf("after the first attempt: %+v", d)
			}
		}
		return nil
	})

	receiver.Answers(func(shop.Event) int { return http.StatusOK })
	log := delivered(t, shared, receiver.Endpoint.ID, order.ID, len(want), firstRetry)
	var types []string
	for i := len(log) - 1; i >= 0; i-- { // the newest come first
		types = append(types, log[i].EventType)
		if d := log[i]; d.LastStatus != 200 || d.LastError != "" || d.NextAttemptAt != nil {
			t.Errorf("in the end: %+v", d)
		}
	}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	accepted := map[string]int{}
	bodies := map[string][]byte{}
	for _, event := range receiver.Events(order.ID) {
		if event.Answer == http.StatusOK {
			accepted[event.Type]++
		}
		if event.WebhookID != event.ID || event.CreatedAt.IsZero() || uuid.Validate(event.ID) != nil {
			t.Errorf("event %s has the webhook-id %q, is of %s", event.ID, event.WebhookID, event.CreatedAt)
		}
		if before, again := bodies[event.ID]; again && !bytes.Equal(before, event.Body) {
			t.Errorf("event %s was sent with two bodies:\n%s\n%s", event.ID, before, event.Body)
		}
		bodies[event.ID] = event.Body
		if want := shown[event.Type]; want != nil {
			sameJSON(t, event.Type, event.Data.Order, want)
		}
	}
	for _, event := range want {
		if accepted[event] != 1 {
			t.Errorf("%s was accepted %d times", event, accepted[event])
		}
	}
}

// sameJSON compares member by member, whatever their order.
func sameJSON(t *testing.T, what string, got, want []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("the order of %s (-as the API shows it, +in the event):\n%s", what, diff)
	}
}

// What was sent can be sent again by hand, and a receiver that is gone is left alone until an admin says otherwise.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	customer, admin := shared.NewCustomer(t), shared.Admin(t)
	receiver := shared.NewReceiver(t, "order.cancelled")
	endpoint := "/webhook-endpoints/" + receiver.Endpoint.ID
	order := pendingOrder(t, shared, customer)
	shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+order.ID+"/cancel", nil))
	first := delivered(t, shared, receiver.Endpoint.ID, order.ID, 1, 10*time.Second)[0]
	again := endpoint + "/deliveries/" + first.ID + "/redeliver"

	if d := shop.Want[shop.Delivery](t, http.StatusAccepted, admin.Post(again, nil)); d.ID != first.ID || d.Status != "pending" || d.NextAttemptAt == nil {
		t.Errorf("redelivered: %+v", d)
	}
	awaitDelivery(t, receiver, order.ID, shop.Delivery{Status: "delivered", Attempts: 2, LastStatus: 204})
	events := receiver.Events(order.ID)
	if len(events) != 2 || events[0].WebhookID != events[1].WebhookID || !bytes.Equal(events[0].Body, events[1].Body) {
		t.Errorf("the same event was sent %d times: %+v", len(events), events)
	}

	receiver.Answers(func(shop.Event) int { return http.StatusGone })
	shop.Want[shop.Delivery](t, http.StatusAccepted, admin.Post(again, nil))
	awaitDelivery(t, receiver, order.ID, shop.Delivery{Status: "failed", Attempts: 3, LastStatus: 410})
	if e := shop.Want[shop.Endpoint](t, http.StatusOK, admin.Get(endpoint)); e.Status != "disabled" || e.Secret != "" {
		t.Errorf("gone, and the endpoint is %+v", e)
	}
	shop.WantProblem(t, http.StatusConflict, "webhook_endpoint_disabled", admin.Post(again, nil))
	failed := shop.Want[shop.Page[shop.Delivery]](t, http.StatusOK, admin.Get(endpoint+"/deliveries?status=failed&page_size=100"))
	found := false
	for _, d := range failed.Items {
		found = found || d.ID == first.ID
	}
	if !found {
		t.Errorf("the dead ends are %+v", failed.Items)
	}

	receiver.Answers(func(shop.Event) int { return http.StatusAccepted })
	shop.Want[shop.Endpoint](t, http.StatusOK, admin.Do(http.MethodPatch, endpoint, map[string]string{"status": "active"}))
	shop.Want[shop.Delivery](t, http.StatusAccepted, admin.Post(again, nil))
	awaitDelivery(t, receiver, order.ID, shop.Delivery{Status: "delivered", Attempts: 4, LastStatus: 202})

	shop.WantProblem(t, http.StatusNotFound, "not_found", admin.Post(endpoint+"/deliveries/"+uuid.NewString()+"/redeliver", nil))
	other := shared.NewReceiver(t, "order.refunded")
	shop.WantProblem(t, http.StatusNotFound, "not_found", admin.Post("/webhook-endpoints/"+other.Endpoint.ID+"/deliveries/"+first.ID+"/redeliver", nil))
	shop.WantNothing(t, admin.Do(http.MethodDelete, endpoint, nil))
	shop.WantProblem(t, http.StatusNotFound, "not_found", admin.Get(endpoint+"/deliveries"))
	shop.WantProblem(t, http.StatusNotFound, "not_found", admin.Post(again, nil))
}

// awaitDelivery waits until the one delivery of an order has come so far.
func awaitDelivery(t *testing.T, receiver *shop.Receiver, orderID string, want shop.Delivery) {
	t.Helper()
	shop.Await(t, 10*time.Second, func() error {
		log := shared.DeliveriesOf(t, receiver.Endpoint.ID, orderID)
		if len(log) != 1 || log[0].Status != want.Status || log[0].Attempts != want.Attempts || log[0].LastStatus != want.LastStatus {
			return fmt.Errorf("deliveries %+v, want %+v", log, want)
		}
		return nil
	})
}

func TestBadEndpoints(t *testing.T) {
	t.Parallel()
	admin := shared.Admin(t)
	for name, tt := range map[string]struct {
		body     any
		location string
	}{
		"no URL":                {map[string]any{}, "body.url"},
		"not a URL":             {map[string]any{"url": "receiver"}, "body.url"},
		"no host":               {map[string]any{"url": "https:///events"}, "body.url"},
		"another scheme":        {map[string]any{"url": "ftp://receiver.example"}, "body.url"},
		"a password in it":      {map[string]any{"url": "https://me:secret@receiver.example"}, "body.url"},
		"an unknown event":      {map[string]any{"url": "https://receiver.example", "events": []string{"order.created", "order.lost"}}, "body.events[1]"},
		"an event twice":        {map[string]any{"url": "https://receiver.example", "events": []string{"order.created", "order.created"}}, "body.events[1]"},
		"a secret of their own": {map[string]any{"url": "https://receiver.example", "secret": "whsec_mine"}, "body.secret"},
	} {
		t.Run(name, func(t *testing.T) {
			a := admin.For(t).Post("/webhook-endpoints", tt.body)
			p := shop.WantProblem(t, http.StatusUnprocessableEntity, "validation_failed", a)
			if len(p.Errors) == 0 || p.Errors[0].Location != tt.location {
				t.Errorf("errors %+v, want one at %s", p.Errors, tt.location)
			}
		})
	}
}

// A process that dies while it sends, or before it does, loses nothing: what was committed is sent by whoever comes next.
func killedWhileSending(t *testing.T, s *shop.Shop) {
	receiver := s.NewReceiver(t, "order.confirmed")
	customer, sending, goOn := s.NewCustomer(t), make(chan struct{}, 10), make(chan struct{})
	receiver.Answers(func(shop.Event) int {
		sending <- struct{}{}
		<-goOn
		return http.StatusNoContent
	})
	wish := shop.ByCard("tok_ok", shop.Item{ProductID: s.NewProduct(t, 5, 2500).ID, Quantity: 1})
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(wish))
	select {
	case <-sending:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is sent")
	}
	if err := s.Kill("order-service", 1); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	wantOrdering(t, s)
	begin := time.Now()
	// As long as a settlement that was left behind, and for the same reasons.
	delivered(t, s, receiver.Endpoint.ID, order.ID, 1, time.Minute)
	t.Logf("delivered %s after order-service was back", time.Since(begin).Round(time.Second))
	ids := map[string]bool{}
	for _, event := range receiver.Events(order.ID) {
		ids[event.WebhookID] = true
	}
	if len(ids) != 1 {
		t.Errorf("the event has the ids %v", ids)
	}
}
