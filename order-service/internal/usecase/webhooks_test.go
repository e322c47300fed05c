package usecase_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// Receiver answers as it is told, and keeps what it was sent.
type Receiver struct {
	status int
	err    error
	sent   []usecase.Outgoing
	during func() // runs while it is sent
}

func (r *Receiver) Send(_ context.Context, o usecase.Outgoing, _ time.Time) (int, error) {
	r.sent = append(r.sent, o)
	if r.during != nil {
		r.during()
	}
	return r.status, r.err
}

func (r *Receiver) ReasonOf(error) string { return "no answer" }

// Everywhere may be sent to, but where it says "private"; the secret of an endpoint is its id.
type Everywhere struct{}

func (Everywhere) Check(_ context.Context, url string) error {
	if url == "https://private" {
		return apperr.InvalidField("url", "is private")
	}
	return nil
}

func (Everywhere) SecretOf(id uuid.UUID) (string, error) { return "secret of " + id.String(), nil }

// outbox is what sends events of a shop.
type outbox struct {
	*shop
	webhooks  *usecase.Webhooks
	deliverer *usecase.Deliverer
	receiver  *Receiver
	results   map[string]int
}

func newOutbox(t *testing.T) *outbox {
	t.Helper()
	s := newShop(t)
	o := &outbox{shop: s, receiver: &Receiver{status: 200}, results: make(map[string]int)}
	o.webhooks = usecase.NewWebhooks(usecase.WebhookParts{
		Endpoints: s.store, Reader: s.store, Deliveries: s.store, Log: s.store, Targets: Everywhere{}, Secrets: Everywhere{}, Now: s.clock.Now,
	})
	o.deliverer = usecase.NewDeliverer(usecase.DelivererParts{
		Store: s.store, Endpoints: s.store, Receivers: o.receiver, Jitter: func() float64 { return 0 },
		Count: func(_ context.Context, result string) { o.results[result]++ }, Now: s.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	return o
}

func (o *outbox) endpoint(t *testing.T, events ...domain.EventType) domain.Endpoint {
	t.Helper()
	e, secret, err := o.webhooks.Create(t.Context(), domain.EndpointTerms{URL: "https://receiver", Events: events, Status: domain.EndpointActive})
	if err != nil || secret != "secret of "+e.ID.String() {
		t.Fatalf("%q, %v", secret, err)
	}
	return e
}

// deliver runs the job of a delivery.
func (o *outbox) deliver(t *testing.T, plan usecase.PlannedDelivery) time.Duration {
	t.Helper()
	again, err := o.deliverer.Deliver(t.Context(), plan.ID, plan.Round)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func (o *outbox) planned(t *testing.T) []usecase.PlannedDelivery {
	t.Helper()
	all, err := o.store.PlannedDeliveries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (o *outbox) log(t *testing.T, endpoint uuid.UUID) []domain.Delivery {
	t.Helper()
	page, err := o.webhooks.ListDeliveries(t.Context(), usecase.ListDeliveries{DeliveryFilter: usecase.DeliveryFilter{EndpointID: endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	return page.Deliveries
}

// oneDelivery is of the confirmation of an order.
func oneDelivery(t *testing.T) (*outbox, domain.Endpoint, usecase.PlannedDelivery) {
	t.Helper()
	o := newOutbox(t)
	e := o.endpoint(t, domain.OrderConfirmed)
	o.place(t, o.wish(tokOK))
	plans := o.planned(t)
	if len(plans) != 1 {
		t.Fatalf("%d deliveries are planned", len(plans))
	}
	return o, e, plans[0]
}

// What a checkout tells the world, whatever its end.
func TestEventsOfACheckout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		token string
		want  []domain.EventType
	}{
		"paid":           {tokOK, []domain.EventType{domain.OrderCreated, domain.PaymentWasCaptured, domain.OrderConfirmed}},
		"declined":       {tokDeclined, []domain.EventType{domain.OrderCreated, domain.PaymentHasFailed, domain.OrderCancelled}},
		"to be paid":     {"", []domain.EventType{domain.OrderCreated}},
		"late":           {tokLate, []domain.EventType{domain.OrderCreated}},
		"not in stock":   {"out of stock", nil},
		"lost, then not": {tokTimeout, []domain.EventType{domain.OrderCreated, domain.PaymentWasCaptured, domain.OrderConfirmed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			e := o.endpoint(t)
			wish := o.wish(tt.token)
			if name == "not in stock" {
				wish.Token = tokOK
				o.stock.Set(o.cup, 0)
			}
			_, _ = o.healthy().Place(o.ctx(t), wish) // its answer is tested elsewhere
			if name == "lost, then not" {
				o.work(t, o.healthy(), time.Minute)
			}
			var got []domain.EventType
			for _, d := range o.log(t, e.ID) {
				got = append([]domain.EventType{d.EventType}, got...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status    int
		err       error
		want      domain.DeliveryStatus
		lastError string
		again     time.Duration
		result    string
	}{
		"200":       {200, nil, domain.DeliveryDelivered, "", 0, usecase.Delivered},
		"299":       {299, nil, domain.DeliveryDelivered, "", 0, usecase.Delivered},
		"302":       {302, nil, domain.DeliveryPending, "redirects are not followed", 4 * time.Second, usecase.ToBeAgain},
		"400":       {400, nil, domain.DeliveryPending, "the receiver did not accept it", 4 * time.Second, usecase.ToBeAgain},
		"500":       {500, nil, domain.DeliveryPending, "the receiver did not accept it", 4 * time.Second, usecase.ToBeAgain},
		"no answer": {0, errors.New("secret address"), domain.DeliveryPending, "no answer", 4 * time.Second, usecase.ToBeAgain},
		"410":       {410, nil, domain.DeliveryFailed, "the receiver is gone for good, so the endpoint was disabled", 0, usecase.DeliverEnd},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, e, plan := oneDelivery(t)
			o.receiver.status, o.receiver.err = tt.status, tt.err
			o.clock.Advance(time.Second)
			now := o.clock.Now()
			if again := o.deliver(t, plan); again != tt.again {
				t.Errorf("again in %v, want %v", again, tt.again)
			}
			before := o.receiver.sent[0].Delivery
			want := before
			want.Status, want.Attempts, want.Tries, want.LastStatus, want.LastError, want.LastAttemptAt = tt.want, 1, 1, tt.status, tt.lastError, now
			want.NextAttemptAt = time.Time{}
			if tt.want == domain.DeliveryPending {
				want.NextAttemptAt = now.Add(tt.again)
			}
			if diff := cmp.Diff([]domain.Delivery{want}, o.log(t, e.ID)); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]int{tt.result: 1}, o.results); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			after, err := o.webhooks.Get(t.Context(), e.ID)
			if err != nil || after.Receives() != (tt.status != 410) {
				t.Errorf("the endpoint is %+v, %v", after, err)
			}
			// The job runs again all the same: nothing is sent before its time, nor when it is over.
			if again := o.deliver(t, plan); again != tt.again || len(o.receiver.sent) != 1 {
				t.Errorf("at once: again in %v, sent %d times", again, len(o.receiver.sent))
			}
			o.clock.Advance(tt.again)
			o.receiver.status, o.receiver.err = 200, nil
			o.deliver(t, plan)
			if tt.want != domain.DeliveryPending {
				if len(o.receiver.sent) != 1 {
					t.Errorf("sent %d times after its end", len(o.receiver.sent))
				}
				return
			}
			if len(o.receiver.sent) != 2 || o.log(t, e.ID)[0].Status != domain.DeliveryDelivered {
				t.Errorf("sent %d times, in the end it is %+v", len(o.receiver.sent), o.log(t, e.ID)[0])
			}
		})
	}
}

// What waits for an endpoint that wants nothing more is not sent, and can be seen.
func TestDeliverToNobody(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*outbox, domain.Endpoint) error{
		"disabled": func(o *outbox, e domain.Endpoint) error {
			status := domain.EndpointDisabled
			_, err := o.webhooks.Update(context.Background(), e.ID, usecase.EndpointChange{Status: &status})
			return err
		},
		"deleted": func(o *outbox, e domain.Endpoint) error { return o.webhooks.Delete(context.Background(), e.ID, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, e, plan := oneDelivery(t)
			if err := end(o, e); err != nil {
				t.Fatal(err)
			}
			if again := o.deliver(t, plan); again != 0 || len(o.receiver.sent) != 0 {
				t.Errorf("again in %v, sent %d times", again, len(o.receiver.sent))
			}
			out, err := o.store.Outgoing(t.Context(), plan.ID)
			if d := out.Delivery; err != nil || d.Status != domain.DeliveryFailed || d.Attempts != 0 || d.LastError == "" {
				t.Errorf("it is %+v, %v", d, err)
			}
			_, err = o.webhooks.Redeliver(t.Context(), e.ID, plan.ID)
			if want := map[string]error{"disabled": domain.ErrEndpointDisabled, "deleted": domain.ErrEndpointMissing}[name]; !errors.Is(err, want) {
				t.Errorf("redelivered: %v, want %v", err, want)
			}
		})
	}
}

// A round that was begun by hand is the only one from then on, also if it begins while the one before is being sent.
func TestRedeliver(t *testing.T) {
	t.Parallel()
	o, e, first := oneDelivery(t)
	o.receiver.status = 500
	o.receiver.during = func() {
		o.receiver.during = nil
		if d, err := o.webhooks.Redeliver(t.Context(), e.ID, first.ID); err != nil || d.Status != domain.DeliveryPending || d.Round != 2 {
			t.Errorf("redelivered: %+v, %v", d, err)
		}
	}
	if again := o.deliver(t, first); again != 0 {
		t.Errorf("the first round goes on in %v", again)
	}
	plans := o.planned(t)
	if len(plans) != 2 || plans[1].ID != first.ID || plans[1].Round != 2 {
		t.Fatalf("planned: %+v", plans)
	}
	o.receiver.status = 200
	o.deliver(t, first)
	if len(o.receiver.sent) != 1 {
		t.Error("the first round is sent again")
	}
	o.deliver(t, plans[1])
	if d := o.log(t, e.ID)[0]; d.Status != domain.DeliveryDelivered || len(o.receiver.sent) != 2 {
		t.Errorf("it is %+v, sent %d times", d, len(o.receiver.sent))
	}
	if string(o.receiver.sent[0].Body) != string(o.receiver.sent[1].Body) || len(o.receiver.sent[0].Body) == 0 {
		t.Error("it was sent with two bodies")
	}
	// What was delivered can be sent again; another endpoint's can't.
	if _, err := o.webhooks.Redeliver(t.Context(), e.ID, first.ID); err != nil {
		t.Error(err)
	}
	if _, err := o.webhooks.Redeliver(t.Context(), o.endpoint(t).ID, first.ID); !errors.Is(err, domain.ErrDeliveryMissing) {
		t.Errorf("by another endpoint: %v", err)
	}
}

// A process that ends while it sends writes nothing down: the attempt was not the receiver's failure, and is made again.
func TestDeliverCutOff(t *testing.T) {
	t.Parallel()
	o, e, plan := oneDelivery(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.receiver.err, o.receiver.status, o.receiver.during = context.Canceled, 0, cancel
	if _, err := o.deliverer.Deliver(ctx, plan.ID, plan.Round); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
	if d := o.log(t, e.ID)[0]; d.Attempts != 0 || d.Status != domain.DeliveryPending {
		t.Errorf("it is %+v", d)
	}
	// What the receiver had taken before is written down.
	ctx, cancel = context.WithCancel(t.Context())
	o.receiver.err, o.receiver.status, o.receiver.during = nil, 200, cancel
	if _, err := o.deliverer.Deliver(ctx, plan.ID, plan.Round); err != nil {
		t.Errorf("cut off after it was sent: %v", err)
	}
	if d := o.log(t, e.ID)[0]; d.Attempts != 1 || d.Status != domain.DeliveryDelivered {
		t.Errorf("it is %+v", d)
	}
	if again, err := o.deliverer.Deliver(t.Context(), uuid.New(), 1); again != 0 || err != nil {
		t.Errorf("a delivery that is forgotten: %v, %v", again, err)
	}
}

// An attempt that takes all the time of its job is the receiver's failure, whoever gives up first.
func TestDeliverOutOfTime(t *testing.T) {
	t.Parallel()
	o, e, plan := oneDelivery(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	o.receiver.err, o.receiver.status = context.DeadlineExceeded, 0
	o.deliverer.Store = ReadsInTime{o.store}
	if again, err := o.deliverer.Deliver(ctx, plan.ID, plan.Round); again != 4*time.Second || err != nil {
		t.Errorf("again in %v, %v", again, err)
	}
	if d := o.log(t, e.ID)[0]; d.Attempts != 1 || d.Status != domain.DeliveryPending || d.LastError != "no answer" {
		t.Errorf("it is %+v", d)
	}
}

// ReadsInTime reads what is to be sent however late it is.
type ReadsInTime struct{ usecase.OutgoingStore }

func (r ReadsInTime) Outgoing(ctx context.Context, id uuid.UUID) (usecase.Outgoing, error) {
	return r.OutgoingStore.Outgoing(context.WithoutCancel(ctx), id)
}

// A 410 of where an event was sent to says nothing of where the endpoint was moved to meanwhile.
func TestGoneFromWhereItWas(t *testing.T) {
	t.Parallel()
	url, active := "https://moved", domain.EndpointActive
	for name, wish := range map[string]usecase.EndpointChange{"moved": {URL: &url}, "confirmed": {Status: &active}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, e, plan := oneDelivery(t)
			o.receiver.status = 410
			o.receiver.during = func() {
				o.receiver.during = nil
				if _, err := o.webhooks.Update(t.Context(), e.ID, wish); err != nil {
					t.Error(err)
				}
			}
			if again := o.deliver(t, plan); again != 4*time.Second {
				t.Errorf("again in %v", again)
			}
			if after, err := o.webhooks.Get(t.Context(), e.ID); err != nil || !after.Receives() || after.Version != 2 {
				t.Errorf("the endpoint is %+v, %v", after, err)
			}
			if d := o.log(t, e.ID)[0]; d.Attempts != 1 || d.Status != domain.DeliveryPending || d.LastStatus != 410 {
				t.Errorf("it is %+v", d)
			}
			o.clock.Advance(4 * time.Second)
			o.deliver(t, plan)
			if after, err := o.webhooks.Get(t.Context(), e.ID); err != nil || after.Receives() {
				t.Errorf("gone from there too, the endpoint is %+v, %v", after, err)
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	private := "https://private"
	if _, _, err := o.webhooks.Create(t.Context(), domain.EndpointTerms{URL: private, Status: domain.EndpointActive}); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("a private target: %v", err)
	}
	e := o.endpoint(t, domain.OrderShipped)
	if _, err := o.webhooks.Update(t.Context(), e.ID, usecase.EndpointChange{URL: &private}); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("moved to a private target: %v", err)
	}
	stale := usecase.EndpointChange{IfVersion: new(int64(7))}
	if _, err := o.webhooks.Update(t.Context(), e.ID, stale); !errors.Is(err, domain.ErrEndpointVersion) {
		t.Errorf("stale: %v", err)
	}
	if err := o.webhooks.Delete(t.Context(), e.ID, new(int64(7))); !errors.Is(err, domain.ErrEndpointVersion) {
		t.Errorf("stale: %v", err)
	}
	url, events := "https://other", []domain.EventType{}
	o.clock.Advance(time.Minute)
	want := e
	want.URL, want.Events, want.Version, want.UpdatedAt = url, nil, 2, o.clock.Now()
	got, err := o.webhooks.Update(t.Context(), e.ID, usecase.EndpointChange{URL: &url, Events: &events, IfVersion: new(int64(1))})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Events) == 0 {
		got.Events = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	for range 2 {
		o.endpoint(t)
	}
	first, err := o.webhooks.List(t.Context(), usecase.ListEndpoints{PageSize: 2, IncludeTotal: true})
	if err != nil || len(first.Endpoints) != 2 || *first.Total != 3 || first.NextPageToken == "" {
		t.Fatalf("the first page: %+v, %v", first, err)
	}
	second, err := o.webhooks.List(t.Context(), usecase.ListEndpoints{PageSize: 2, PageToken: first.NextPageToken})
	if err != nil || len(second.Endpoints) != 1 || second.Endpoints[0].ID != e.ID || second.NextPageToken != "" || second.Total != nil {
		t.Errorf("the second page: %+v, %v", second, err)
	}
	other := usecase.ListDeliveries{DeliveryFilter: usecase.DeliveryFilter{EndpointID: e.ID}, PageToken: first.NextPageToken}
	if _, err := o.webhooks.ListDeliveries(t.Context(), other); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("a token of another list: %v", err)
	}
	if _, err := o.webhooks.ListDeliveries(t.Context(), usecase.ListDeliveries{DeliveryFilter: usecase.DeliveryFilter{EndpointID: uuid.New()}}); !errors.Is(err, domain.ErrEndpointMissing) {
		t.Errorf("the log of no endpoint: %v", err)
	}
	for range domain.MaxEndpoints - 3 {
		o.endpoint(t)
	}
	if _, _, err := o.webhooks.Create(t.Context(), domain.EndpointTerms{URL: url, Status: domain.EndpointActive}); !errors.Is(err, domain.ErrEndpointLimit) {
		t.Errorf("one too many: %v", err)
	}
}
