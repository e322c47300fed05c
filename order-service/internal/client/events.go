package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stripe/stripe-go/v85/webhook"

	"shop.example/platform/apperr"
)

const (
	webhookSecretPrefix = "whsec_"
	// minWebhookSecret is what Standard Webhooks demands, in bytes.
	minWebhookSecret = 24
)

// errNotSigned is for events that the provider has not signed, or has signed more than 5 minutes ago.
var errNotSigned = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "The event is not signed by the payment provider.")

// TestPayEvents reads the events of the test provider, which are Standard Webhooks.
type TestPayEvents struct{ secret *standardwebhooks.Webhook }

// NewTestPayEvents returns a reader for events that are signed with a secret, "whsec_" and base64. An error does not repeat it.
func NewTestPayEvents(secret string) (*TestPayEvents, error) {
	encoded, ok := strings.CutPrefix(secret, webhookSecretPrefix)
	if !ok {
		return nil, errors.New("it must begin with " + webhookSecretPrefix)
	}
	// 4 characters are 3 bytes.
	hook, err := standardwebhooks.NewWebhook(encoded)
	if err != nil || len(encoded)/4*3 < minWebhookSecret {
		return nil, errors.New("it must be base64 of at least 24 bytes after " + webhookSecretPrefix)
	}
	return &TestPayEvents{hook}, nil
}

// OrderOf implements usecase.EventReader.
func (e *TestPayEvents) OrderOf(headers map[string]string, body []byte) (uuid.UUID, error) {
	signed := make(http.Header, len(headers))
	for name, value := range headers {
		signed.Set(name, value)
	}
	if err := e.secret.Verify(body, signed); err != nil {
		return uuid.Nil, errNotSigned.Wrap(err)
	}
	var event struct {
		Data struct {
			Payment struct {
				Reference string `json:"reference"`
			} `json:"payment"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &event) // the provider has signed it, so one of another form is as it should be, and about no order
	return orderOf(event.Data.Payment.Reference), nil
}

// StripeEvents reads the events of Stripe.
type StripeEvents struct{ secret string }

// NewStripeEvents returns a reader for events that are signed with the secret of the endpoint at Stripe.
func NewStripeEvents(secret string) *StripeEvents { return &StripeEvents{secret} }

// OrderOf implements usecase.EventReader. The version of the API that an event is written in does not matter: what all of them
// tell of an order is its mark.
func (e *StripeEvents) OrderOf(headers map[string]string, body []byte) (uuid.UUID, error) {
	if err := webhook.ValidatePayload(body, headers["stripe-signature"], e.secret); err != nil {
		return uuid.Nil, errNotSigned.Wrap(err)
	}
	var event struct {
		Data struct {
			Object struct {
				Metadata map[string]string `json:"metadata"`
			} `json:"object"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &event) // as above
	return orderOf(event.Data.Object.Metadata[orderMark]), nil
}

// orderOf returns the order that is meant; none if it is something else.
func orderOf(reference string) uuid.UUID {
	id, err := uuid.Parse(reference)
	if err != nil {
		return uuid.Nil
	}
	return id
}
