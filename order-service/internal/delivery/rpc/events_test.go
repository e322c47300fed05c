package rpc_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

// greenInk is the signature of the provider "test": its events are the order's id, written in green.
type greenInk struct{}

func (greenInk) OrderOf(headers map[string]string, body []byte) (uuid.UUID, error) {
	if headers["ink"] != "green" {
		return uuid.Nil, apperr.New(apperr.Unauthenticated, "unauthenticated", "This is not our ink.").Wrap(errors.New(headers["ink"]))
	}
	var id uuid.UUID
	if uuid.Validate(string(body)) == nil {
		id = uuid.MustParse(string(body))
	}
	return id, nil
}

func TestPaymentEvents(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)
	order := s.place(ctx, t, s.wish(usecasetest.TokOK)).GetOrder().GetId()
	tell := func(provider, ink, body string) error {
		// Nobody is signed in: a provider tells it.
		_, err := s.gateway.HandlePaymentEvent(context.WithoutCancel(t.Context()), &orderv1.HandlePaymentEventRequest{
			Provider: provider, Headers: map[string]string{"ink": ink}, Body: []byte(body),
		})
		return err
	}
	planned := func() int {
		n, err := s.store.Checks(t.Context(), uuid.MustParse(order))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	wantError(t, "another ink", tell("test", "red", order), apperr.Unauthenticated, "unauthenticated")
	wantError(t, "another provider", tell("shells", "green", order), apperr.NotFound, "not_found")
	for what, body := range map[string]string{"an order that is not ours": uuid.NewString(), "nothing": "", "something else": "{}"} {
		if err := tell("test", "green", body); err != nil {
			t.Errorf("an event about %s: %v", what, err)
		}
	}
	if n := planned(); n != 0 {
		t.Errorf("%d looks are planned before there is an event", n)
	}
	for range 2 { // told twice, it is looked at twice
		if err := tell("test", "green", order); err != nil {
			t.Error(err)
		}
	}
	if n := planned(); n != 2 {
		t.Errorf("%d looks are planned, want 2", n)
	}
}
