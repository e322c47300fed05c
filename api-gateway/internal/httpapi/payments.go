package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	orderv1 "shop.example/proto/order/v1"
)

const paymentEvents = base + "/payments/events/"

// isPaymentEvent says whether a request is what a payment provider tells. The signature says who is asking: an access token is
// neither looked at nor passed on.
func isPaymentEvent(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, paymentEvents) }

type paymentEventInput struct {
	Provider         string `path:"provider" pattern:"^[a-z0-9_-]{1,50}$" example:"test" doc:"As orders name it."`
	WebhookID        string `header:"Webhook-Id" example:"evt_4711" doc:"Standard Webhooks."`
	WebhookTimestamp string `header:"Webhook-Timestamp" example:"1772366400" doc:"Standard Webhooks."`
	WebhookSignature string `header:"Webhook-Signature" example:"v1,c2lnbmF0dXJl" doc:"Standard Webhooks."`
	StripeSignature  string `header:"Stripe-Signature" doc:"Stripe's."`
	// RawBody is passed on byte for byte: that is what is signed.
	RawBody []byte `contentType:"application/json"`
}

// headers are the fields that were sent, by the names that services know them by.
func (in *paymentEventInput) headers() map[string]string {
	fields := map[string]string{
		"webhook-id": in.WebhookID, "webhook-timestamp": in.WebhookTimestamp, "webhook-signature": in.WebhookSignature,
		"stripe-signature": in.StripeSignature,
	}
	for name, value := range fields {
		if value == "" {
			delete(fields, name)
		}
	}
	return fields
}

func (s *Server) registerPayments() {
	body := new(huma.RequestBody)
	register(s, huma.Operation{
		OperationID: "receive-payment-event", Method: http.MethodPost, Path: paymentEvents + "{provider}", DefaultStatus: http.StatusNoContent,
		Summary: "What a payment provider tells by itself", Tags: []string{"orders"},
		Description: "For the provider only, which signs it. The body is taken as it is, whatever it says of its type. An event is a reason to " +
			"look at the payment: one that comes twice, late or out of order does no harm.",
		RequestBody: body, SkipValidateBody: true,
	}, s.receivePaymentEvent, "unauthenticated")
	// huma describes a raw body as a string.
	content := body.Content["application/json"]
	content.Schema = &huma.Schema{Type: huma.TypeObject, Description: "As the provider writes it.", AdditionalProperties: true}
	content.Example = map[string]any{"type": "payment.authorized", "data": map[string]any{}}
}

func (s *Server) receivePaymentEvent(ctx context.Context, in *paymentEventInput) (*noOutput, error) {
	_, err := s.services.Orders.HandlePaymentEvent(ctx, &orderv1.HandlePaymentEventRequest{
		Provider: in.Provider, Headers: in.headers(), Body: in.RawBody,
	})
	return &noOutput{}, err
}
