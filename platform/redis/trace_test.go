package redis_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	shopredis "shop.example/platform/redis"
	"shop.example/platform/redistest"
)

// Spans tell the command, and nothing of what it was about. Not parallel: it sets the global tracer provider.
func TestSpansHoldNoArguments(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(before) })

	client := redistest.New(t)
	if err := client.Set(t.Context(), "secret-key", "secret-value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range spans.Ended() {
		found = found || s.Name() == "set"
		if text := fmt.Sprint(s.Name(), s.Attributes(), s.Events()); strings.Contains(text, "secret-") {
			t.Errorf("a span tells too much: %s", text)
		}
	}
	if !found {
		t.Error("the command was not traced")
	}
}

func TestDeadlineHolds(t *testing.T) {
	t.Parallel()
	client := redistest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := client.Do(ctx, "BLPOP", "nothing-comes", 10).Err()
	if err == nil || time.Since(begin) > 900*time.Millisecond { // less than the read timeout of 1 s
		t.Errorf("error = %v after %v, want one when the context is done", err, time.Since(begin))
	}
}

// A server that refuses is not asked again.
func TestWrongPasswordAtOnce(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(redistest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("nobody", "hunter2")
	begin := time.Now()
	_, err = shopredis.Open(t.Context(), u.String())
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v, want a refusal without the password", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v, want an answer at once", took)
	}
}
