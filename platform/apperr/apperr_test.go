package apperr_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"shop.example/platform/apperr"
)

// sqlError is an error as database drivers make them.
type sqlError string

func (e sqlError) Error() string    { return "SQLSTATE " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

func TestFrom(t *testing.T) {
	t.Parallel()
	gone := apperr.Missing("order")
	for _, tc := range []struct {
		name string
		err  error
		kind apperr.Kind
	}{
		{"typed", gone, apperr.NotFound},
		{"wrapped", fmt.Errorf("load order: %w", gone), apperr.NotFound},
		{"deadline", fmt.Errorf("query: %w", context.DeadlineExceeded), apperr.DeadlineExceeded},
		{"typed beats its cause", gone.Wrap(context.DeadlineExceeded), apperr.NotFound},
		{"connection refused", fmt.Errorf("query: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), apperr.Unavailable},
		{"database going down", fmt.Errorf("query: %w", sqlError("57P01")), apperr.Unavailable},
		{"database says no", fmt.Errorf("query: %w", sqlError("42601")), apperr.Internal},
		{"unknown", errors.New("SELECT secret"), apperr.Internal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := apperr.From(tc.err)
			if got.Kind != tc.kind {
				t.Errorf("kind = %v, want %v", got.Kind, tc.kind)
			}
			if !errors.Is(got, tc.err) && !errors.Is(tc.err, got) {
				t.Error("the cause is lost")
			}
		})
	}
	if apperr.From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
}

func TestInternalSaysNothing(t *testing.T) {
	t.Parallel()
	if got := apperr.From(errors.New("SELECT secret")).Message; got != "Something went wrong on our side." {
		t.Errorf("message = %q", got)
	}
}

func TestCopiesAreIndependent(t *testing.T) {
	t.Parallel()
	base := apperr.New(apperr.Conflict, "out_of_stock", "Not enough.")
	a := base.With(apperr.Violation{Location: "a"}).WithAttribute("order_id", "1")
	b := base.With(apperr.Violation{Location: "b"})
	if len(base.Violations) != 0 || len(base.Attributes) != 0 || b.Attributes != nil || a.Violations[0].Location != "a" {
		t.Errorf("base %+v, a %+v, b %+v", base, a, b)
	}
	if !errors.Is(a, base) || errors.Is(a, apperr.New(apperr.Conflict, "other", "")) {
		t.Error("Is must compare kind and reason")
	}
}

func TestKindsRoundTrip(t *testing.T) {
	t.Parallel()
	for k := apperr.Internal; k <= apperr.DeadlineExceeded; k++ {
		if got, ok := apperr.ParseKind(k.String()); !ok || got != k {
			t.Errorf("%v parses to %v, %v", k, got, ok)
		}
		if k.DefaultReason() == "" {
			t.Errorf("%v has no default reason", k)
		}
	}
	if _, ok := apperr.ParseKind("nonsense"); ok {
		t.Error("nonsense is a kind")
	}
}
