package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

func TestSpanExporter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		env     map[string]string
		want    string // how the exporter's client is called; "" for no exporter
		wantErr string
	}{
		{name: "nothing set"},
		{name: "endpoint", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, want: "http"},
		{name: "traces endpoint", env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, want: "http"},
		{name: "exporter", env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, want: "http"},
		{name: "grpc", env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, want: "grpc"},
		{name: "the protocol of traces wins", env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp",
			"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, want: "grpc"},
		{name: "none wins over the endpoint", env: map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}},
		{name: "disabled", env: map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}},
		{name: "unknown exporter", env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, wantErr: `"zipkin" is not supported`},
		{name: "unknown protocol", env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, wantErr: `"http/json" is not supported`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			exporter, err := spanExporter(t.Context(), func(name string) string { return tt.env[name] })
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error = %v, want one that says %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if exporter == nil {
				if tt.want != "" {
					t.Errorf("no exporter, want %s", tt.want)
				}
				return
			}
			defer func() { _ = exporter.Shutdown(context.Background()) }()
			client := reflect.ValueOf(exporter).Elem().FieldByName("client").Elem().Type().String()
			if tt.want == "" || !strings.Contains(client, tt.want) {
				t.Errorf("exporter with %s, want %q", client, tt.want)
			}
		})
	}
}

// One test for all that is global, and therefore not parallel.
func TestSetup(t *testing.T) {
	received := make(chan string, 16)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		received <- r.URL.Path + " " + string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "")

	tel, err := Setup(t.Context(), "order-service")
	if err != nil {
		t.Fatal(err)
	}

	// A span is recorded, and its context and the baggage travel.
	member, err := baggage.NewMember("request_id", "req-1")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := otel.Tracer("test").Start(baggage.ContextWithBaggage(t.Context(), bag), "span-of-the-test")
	if !span.SpanContext().IsSampled() || !span.IsRecording() {
		t.Error("the span is not recorded")
	}
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	far := otel.GetTextMapPropagator().Extract(context.Background(), carrier)
	if got := trace.SpanContextFromContext(far).TraceID(); got != span.SpanContext().TraceID() {
		t.Errorf("trace id on the other side = %s, want %s", got, span.SpanContext().TraceID())
	}
	if got := baggage.FromContext(far).Member("request_id").Value(); got != "req-1" {
		t.Errorf("request_id on the other side = %q, want req-1", got)
	}
	span.End()

	counter, err := otel.Meter("test").Int64Counter("shop.orders.placed", metric.WithDescription("Orders placed."))
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 3, metric.WithAttributes(attribute.String("result", "ok")))
	rec := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{`shop_orders_placed_total{result="ok"} 3`, "go_goroutines ", "process_resident_memory_bytes ", `service_name="order-service"`, "service_instance_id="} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}

	if err := tel.Component().Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-received:
		if !strings.HasPrefix(got, "/v1/traces ") || !strings.Contains(got, "span-of-the-test") || !strings.Contains(got, "order-service") {
			t.Errorf("the collector received %q, want the span", got)
		}
	default:
		t.Error("Stop returned before the span was flushed")
	}
}

// Without any OTEL_* the ids are there all the same, and a stop has nothing to wait for.
func TestSetupWithoutExporter(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"} {
		t.Setenv(name, "")
	}
	tel, err := Setup(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "x")
	if !span.SpanContext().IsValid() || !span.IsRecording() {
		t.Error("the span has no valid context")
	}
	span.End()
	if err := tel.Component().Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// A collector that swallows everything must not hold the process beyond flushTimeout.
func TestStopWithDeafCollector(t *testing.T) {
	release := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer collector.Close()
	defer close(release)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tel, err := Setup(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "x")
	span.End()
	begin := time.Now()
	if err := tel.Component().Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > flushTimeout+2*time.Second {
		t.Errorf("stop took %v, want at most about %v", took, flushTimeout)
	}
}
