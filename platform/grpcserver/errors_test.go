package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/grpcserver"
	cartv1 "shop.example/proto/cart/v1"
)

func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	s := setup(t, never(t))
	_, err := s.client(t, grpcserver.OrderService).RemovePurchased(t.Context(), &cartv1.RemovePurchasedRequest{
		UserId:  "nobody",
		OrderId: "0190c5a4-0000-7000-8000-000000000001",
		Lines:   []*cartv1.PurchasedLine{{ProductId: "0190c5a4-0000-7000-8000-000000000001", Quantity: 1}, {ProductId: "x"}},
	})
	invalid := wantKind(t, err, apperr.Invalid)
	if invalid.Reason != "validation_failed" {
		t.Errorf("reason = %q", invalid.Reason)
	}
	var locations []string
	for _, v := range invalid.Violations {
		locations = append(locations, v.Location)
		if v.Message == "" {
			t.Errorf("%s has no message", v.Location)
		}
	}
	if diff := cmp.Diff([]string{"user_id", "lines[1].product_id", "lines[1].quantity"}, locations); diff != "" {
		t.Errorf("locations (-want +got):\n%s", diff)
	}
}

func TestErrorsOfHandlers(t *testing.T) {
	t.Parallel()
	conflict := apperr.New(apperr.Conflict, "out_of_stock", "Not enough.").
		With(apperr.Violation{Location: "items[0]", Message: "3 left", Attributes: map[string]any{"product_id": "p", "available": int64(3)}}).
		WithAttribute("order_id", "o")
	for _, tt := range []struct {
		name  string
		err   error
		want  *apperr.Error
		level string
	}{
		{"with all its details", fmt.Errorf("add item: %w", conflict), conflict, "INFO"},
		{"with a secret cause", apperr.Missing("cart").Wrap(errors.New("GET secret")), apperr.Missing("cart"), "INFO"},
		{"unexpected", errors.New("dial redis://:secret@10.0.0.1"), apperr.New(apperr.Internal, "internal", "Something went wrong on our side."), "ERROR"},
		{"a dependency is away", apperr.DependencyUnavailable(errors.New("dial secret")), apperr.DependencyUnavailable(nil), "WARN"},
		{"time is up", fmt.Errorf("secret: %w", context.DeadlineExceeded), apperr.From(context.DeadlineExceeded), "WARN"},
		{"the caller has gone", fmt.Errorf("secret: %w", context.Canceled), apperr.From(context.Canceled), "INFO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, func(context.Context, proto.Message) error { return tt.err })
			_, err := s.client(t, grpcserver.Gateway).GetCart(t.Context(), &cartv1.GetCartRequest{})
			got := wantKind(t, err, tt.want.Kind)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the cause crossed the hop: %v", err)
			}
			public := func(e *apperr.Error) []any { return []any{e.Reason, e.Message, e.Violations, e.Attributes} }
			if diff := cmp.Diff(public(tt.want), public(got)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			logged := s.logs.find(t, "call failed")
			if len(logged) != 1 {
				t.Fatalf("want one line: %s", s.logs)
			}
			line := logged[0]
			if line["level"] != tt.level || line["error"] != tt.err.Error() || line["kind"] != tt.want.Kind.String() || line["reason"] != tt.want.Reason {
				t.Errorf("log line: %v", line)
			}
		})
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	calls := 0
	s := setup(t, func(context.Context, proto.Message) error {
		if calls++; calls == 1 {
			panic("the secret of the vault")
		}
		return nil
	})
	client := s.client(t, grpcserver.Gateway)
	_, err := client.GetCart(t.Context(), &cartv1.GetCartRequest{})
	wantKind(t, err, apperr.Internal)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the client sees it: %v", err)
	}
	logged := s.logs.find(t, "call failed")
	if len(logged) != 1 || logged[0]["level"] != "ERROR" {
		t.Fatalf("log: %s", s.logs)
	}
	for _, part := range []string{"the secret of the vault", "errors_test.go"} {
		if text, _ := logged[0]["error"].(string); !strings.Contains(text, part) {
			t.Errorf("the log lacks %q: %s", part, text)
		}
	}
	if _, err := client.GetCart(t.Context(), &cartv1.GetCartRequest{}); err != nil {
		t.Errorf("the server did not live on: %v", err)
	}
}
