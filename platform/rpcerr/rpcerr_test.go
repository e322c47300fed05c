package rpcerr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"shop.example/platform/apperr"
	"shop.example/platform/rpcerr"
)

func TestErrorsSurviveAHop(t *testing.T) {
	t.Parallel()
	for k := apperr.Internal; k <= apperr.DeadlineExceeded; k++ {
		sent := apperr.New(k, "some_reason", "For people.").
			With(apperr.Violation{Location: "items[0]", Message: "too many", Attributes: map[string]any{"product_id": "p", "available": int64(3)}}).
			WithAttribute("order_id", "o").WithAttribute("final", true)
		got := rpcerr.FromStatus(rpcerr.ToStatus(fmt.Errorf("place order: %w", sent)).Err())
		if diff := cmp.Diff(sent, got, cmpopts.IgnoreUnexported(apperr.Error{})); diff != "" {
			t.Errorf("%v: %s", k, diff)
		}
	}
}

func TestCausesStayHome(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errors.New("SELECT secret"),
		apperr.Missing("order").Wrap(errors.New("SELECT secret")),
	} {
		if s := rpcerr.ToStatus(err).Proto().String(); strings.Contains(s, "secret") {
			t.Error(s)
		}
	}
}

func TestErrorsOfTheTransport(t *testing.T) {
	t.Parallel()
	for c, want := range map[codes.Code]apperr.Kind{
		codes.Unavailable:      apperr.Unavailable,
		codes.DeadlineExceeded: apperr.DeadlineExceeded,
		codes.Unimplemented:    apperr.Internal,
		codes.PermissionDenied: apperr.Internal,
		codes.Unauthenticated:  apperr.Internal,
	} {
		if got := apperr.KindOf(rpcerr.FromStatus(status.Error(c, "transport"))); got != want {
			t.Errorf("%v: got %v, want %v", c, got, want)
		}
	}
	if rpcerr.FromStatus(nil) != nil {
		t.Error("no error became one")
	}
}
