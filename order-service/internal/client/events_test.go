package client_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85/webhook"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
)

// webhookSecret is 24 times the letter A, which is all the protocol asks for.
const webhookSecret = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"

// signed is an event with its fields, by their names in lower case.
type signed struct {
	headers map[string]string
	body    []byte
}

func testPayEvent(t *testing.T, secret, body string, at time.Time) signed {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := hook.Sign("evt_1", at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return signed{map[string]string{
		"webhook-id": "evt_1", "webhook-timestamp": strconv.FormatInt(at.Unix(), 10), "webhook-signature": signature,
	}, []byte(body)}
}

func stripeEvent(_ *testing.T, secret, body string, at time.Time) signed {
	payload := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret, Timestamp: at})
	return signed{map[string]string{"stripe-signature": payload.Header}, []byte(body)}
}

// Only what the provider has signed a moment ago is believed, and what it tells of no order is of no interest.
func TestEvents(t *testing.T) {
	t.Parallel()
	testPay, err := client.NewTestPayEvents(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	order := uuid.New()
	another := strings.Replace(webhookSecret, "QUFB", "QkJC", 1)
	for _, provider := range []struct {
		name   string
		reader usecase.EventReader
		sign   func(t *testing.T, secret, body string, at time.Time) signed
		about  string // an event about something
	}{
		{"test", testPay, testPayEvent, `{"id": "evt_1", "type": "payment.authorized", "data": {"payment": {"id": "pay_1", "reference": %q}}}`},
		{
			"stripe", client.NewStripeEvents(webhookSecret), stripeEvent,
			`{"object": "event", "api_version": "2019-01-01", "type": "payment_intent.succeeded", "data": {"object": {"id": "pi_1", "metadata": {"order_id": %q}}}}`,
		},
	} {
		body, now := fmt.Sprintf(provider.about, order), time.Now()
		for what, tc := range map[string]struct {
			event signed
			order uuid.UUID
			kind  apperr.Kind
		}{
			"signed":              {provider.sign(t, webhookSecret, body, now), order, 0},
			"a minute on its way": {provider.sign(t, webhookSecret, body, now.Add(-time.Minute)), order, 0},
			"an hour old":         {provider.sign(t, webhookSecret, body, now.Add(-time.Hour)), uuid.Nil, apperr.Unauthenticated},
			"another's signature": {provider.sign(t, another, body, now), uuid.Nil, apperr.Unauthenticated},
			"no signature":        {signed{nil, []byte(body)}, uuid.Nil, apperr.Unauthenticated},
			"changed": {signed{provider.sign(t, webhookSecret, body, now).headers, fmt.Appendf(nil, provider.about, uuid.New())},
				uuid.Nil, apperr.Unauthenticated},
			"about no order":        {provider.sign(t, webhookSecret, fmt.Sprintf(provider.about, "42"), now), uuid.Nil, 0},
			"about something else":  {provider.sign(t, webhookSecret, `{"type": "balance.available", "data": {"object": {"metadata": null}}}`, now), uuid.Nil, 0},
			"of an unknown form":    {provider.sign(t, webhookSecret, `{"data": []}`, now), uuid.Nil, 0},
			"of no form whatsoever": {provider.sign(t, webhookSecret, `<event>`, now), uuid.Nil, 0},
		} {
			got, err := provider.reader.OrderOf(tc.event.headers, tc.event.body)
			if got != tc.order || (err != nil) != (tc.kind != 0) || apperr.KindOf(err) != tc.kind {
				t.Errorf("%s, %s: order %v, error %v; want %v, %v", provider.name, what, got, err, tc.order, tc.kind)
			}
			if err != nil && strings.Contains(err.Error(), webhookSecret) {
				t.Errorf("%s, %s: the error repeats the secret: %v", provider.name, what, err)
			}
		}
	}
}

func TestWebhookSecrets(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB", "whsec_", "whsec_QUFBQUFBQUFB", "whsec_hunter2!"} {
		if _, err := client.NewTestPayEvents(secret); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("secret %q: error %v, want one that does not repeat it", secret, err)
		}
	}
}

// What the provider itself sends is understood.
func TestEventOfTheProvider(t *testing.T) {
	t.Parallel()
	type request struct {
		header http.Header
		body   []byte
	}
	requests := make(chan request, 1)
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case requests <- request{r.Header, body}:
		default: // it was told before
		}
	}))
	defer shop.Close()
	provider, err := startProvider(filepath.Join(t.TempDir(), "ledger"), "WEBHOOK_URL="+shop.URL, "WEBHOOK_SECRET="+webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := provider.stop(); err != nil {
			t.Error(err)
		}
	}()
	order := uuid.New()
	if _, err := provider.client().Authorize(t.Context(), order.String()+":1", order, price, usecasetest.TokLate); err != nil {
		t.Fatal(err)
	}
	reader, err := client.NewTestPayEvents(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case told := <-requests:
		headers := make(map[string]string)
		for name := range told.header {
			headers[strings.ToLower(name)] = told.header.Get(name)
		}
		if got, err := reader.OrderOf(headers, bytes.Clone(told.body)); err != nil || got != order {
			t.Errorf("order %v, error %v; want %v", got, err, order)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the provider tells nothing")
	}
}
