package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"shop.example/platform/pgtest"
)

// Spans tell the statement, and not its parameters. Not parallel: it sets the global tracer provider.
func TestSpansHoldNoParameters(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() { otel.SetTracerProvider(before) })

	pool := pgtest.New(t, schema)
	ctx, parent := provider.Tracer("test").Start(t.Context(), "parent")
	if _, err := pool.Exec(ctx, "INSERT INTO things (name) VALUES ($1)", "secret-name"); err != nil {
		t.Fatal(err)
	}
	parent.End()
	found := false
	for _, s := range spans.Ended() {
		text := fmt.Sprint(s.Name(), s.Attributes(), s.Events())
		found = found || strings.Contains(text, "INSERT INTO things")
		if strings.Contains(text, "secret-name") {
			t.Errorf("a span tells too much: %s", text)
		}
	}
	if !found {
		t.Error("the statement was not traced")
	}
}
