package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Endpoint is where events are sent to.
type Endpoint struct {
	ID      string   `json:"id"`
	URL     string   `json:"url"`
	Events  []string `json:"events"`
	Status  string   `json:"status"`
	Secret  string   `json:"secret"`
	Version int64    `json:"version"`
}

// Delivery is an event on its way to an endpoint.
type Delivery struct {
	ID            string     `json:"id"`
	EventID       string     `json:"event_id"`
	EventType     string     `json:"event_type"`
	OrderID       string     `json:"order_id"`
	Status        string     `json:"status"`
	Attempts      int        `json:"attempts"`
	LastStatus    int        `json:"last_status"`
	LastError     string     `json:"last_error"`
	LastAttemptAt *time.Time `json:"last_attempt_at"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
}

// NewEndpoint has events sent to a URL: all, or those of some types.
func (s *Shop) NewEndpoint(t testing.TB, url string, events ...string) Endpoint {
	t.Helper()
	return Want[Endpoint](t, http.StatusCreated, s.Admin(t).Post("/webhook-endpoints", map[string]any{"url": url, "events": append([]string{}, events...)}))
}

// Deliveries are the newest to an endpoint.
func (s *Shop) Deliveries(t testing.TB, endpointID string) []Delivery {
	t.Helper()
	return Want[Page[Delivery]](t, http.StatusOK, s.Admin(t).Get("/webhook-endpoints/"+endpointID+"/deliveries?page_size=100")).Items
}

// DeliveriesOf are those of an order.
func (s *Shop) DeliveriesOf(t testing.TB, endpointID, orderID string) []Delivery {
	t.Helper()
	return slices.DeleteFunc(s.Deliveries(t, endpointID), func(d Delivery) bool { return d.OrderID != orderID })
}

// Event is what a receiver was sent.
type Event struct {
	WebhookID string // by its header field
	Body      []byte

	ID        string    `json:"id"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	Data      struct {
		Order json.RawMessage `json:"order"`
	} `json:"data"`

	OrderID string `json:"-"`
	Answer  int    `json:"-"`
}

// Receiver takes events, and keeps all that are signed as they must be. Whatever else it is sent fails the test.
type Receiver struct {
	Endpoint Endpoint

	server *httptest.Server
	mu     sync.Mutex
	answer func(Event) int
	events []Event
}

// NewReceiver starts a receiver that accepts everything, and has events sent to it until the end of the test.
func (s *Shop) NewReceiver(t *testing.T, events ...string) *Receiver {
	t.Helper()
	r := &Receiver{answer: func(Event) int { return http.StatusNoContent }}
	ready := make(chan struct{})
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		<-ready // until the secret is known
		event, err := r.read(request)
		if err != nil {
			t.Errorf("a receiver was sent %v: %v", request.Header, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(r.take(event))
	}))
	t.Cleanup(r.server.Close)
	r.Endpoint = s.NewEndpoint(t, r.server.URL+"/events", events...)
	close(ready)
	t.Cleanup(func() {
		if err := s.deleteEndpoint(context.WithoutCancel(t.Context()), r.Endpoint.ID); err != nil {
			t.Errorf("delete the endpoint: %v", err)
		}
	})
	return r
}

// deleteEndpoint is for the end of a test, when its context is done.
func (s *Shop) deleteEndpoint(ctx context.Context, id string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodDelete, s.Gateway()+API+"/webhook-endpoints/"+id, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.adminToken)
	response, err := connections.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent && response.StatusCode != http.StatusNotFound {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}

func (r *Receiver) read(request *http.Request) (Event, error) {
	var event Event
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return event, err
	}
	hook, err := standardwebhooks.NewWebhook(r.Endpoint.Secret)
	if err != nil {
		return event, err
	}
	if err := hook.Verify(body, request.Header); err != nil {
		return event, err
	}
	event.Body, event.WebhookID = body, request.Header.Get("webhook-id")
	if err := json.Unmarshal(body, &event); err != nil {
		return event, err
	}
	var order Order
	err = json.Unmarshal(event.Data.Order, &order)
	event.OrderID = order.ID
	return event, err
}

func (r *Receiver) take(event Event) int {
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	event.Answer = answer(event) // which may take its time
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
	return event.Answer
}

// Answers has the receiver answer otherwise from now on.
func (r *Receiver) Answers(answer func(Event) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// Events are what it was sent about an order, in the order in which it came.
func (r *Receiver) Events(orderID string) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var of []Event
	for _, event := range r.events {
		if event.OrderID == orderID {
			of = append(of, event)
		}
	}
	return of
}
