// Package telemetry sets up OpenTelemetry for a process: traces that leave by OTLP when the environment says where to,
// metrics that wait for Prometheus, and the propagation of both the trace and the baggage.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"

	"shop.example/platform/lifecycle"
)

// flushTimeout bounds the flush at the end. Spans are worth a moment, not the drain of a process whose collector is away.
const flushTimeout = 3 * time.Second

// Telemetry is what a process measures of itself.
type Telemetry struct {
	registry *prometheus.Registry
	traces   *sdktrace.TracerProvider
	metrics  *sdkmetric.MeterProvider
}

// Setup makes the global tracer and meter providers and the propagators (trace context and baggage). It stands first in a
// process: what is built later finds its tracers and meters by way of the globals.
//
// Spans are exported when OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_TRACES_EXPORTER is set,
// as the other OTEL_* variables say; else they are not exported, but logs still carry their ids. The sampler follows
// OTEL_TRACES_SAMPLER and is by default parentbased_always_on. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what
// is given here. A collector that cannot be reached is no error: spans are dropped until it can.
//
// What OpenTelemetry itself has to complain about goes to slog's default logger.
func Setup(ctx context.Context, service string) (*Telemetry, error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		slog.Default().Warn("telemetry", "error", err)
	}))
	otel.SetLogger(logr.FromSlogHandler(slog.Default().Handler()))
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))

	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceInstanceID(uuid.NewString())),
		resource.WithFromEnv(), // the last one wins
	)
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describe the process for telemetry: %w", err)
	}

	t := &Telemetry{registry: prometheus.NewRegistry()}
	t.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	reader, err := otelprometheus.New(
		otelprometheus.WithRegisterer(t.registry),
		// Names that every version of Prometheus takes: http_server_request_duration_seconds.
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		otelprometheus.WithoutScopeInfo(), // three labels on every series that nobody queries by
	)
	if err != nil {
		return nil, fmt.Errorf("make the metrics exporter: %w", err)
	}
	t.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(res))

	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)} // no sampler: the SDK reads OTEL_TRACES_SAMPLER
	exporter, err := spanExporter(ctx, os.Getenv)
	if err != nil {
		return nil, err
	}
	if exporter != nil {
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	t.traces = sdktrace.NewTracerProvider(options...)

	otel.SetMeterProvider(t.metrics)
	otel.SetTracerProvider(t.traces)
	return t, nil
}

// MetricsHandler answers in the formats of Prometheus, OpenMetrics with exemplars (trace ids) when asked for it.
func (t *Telemetry) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		// One collector that fails must not hide what the others know.
		ErrorHandling: promhttp.ContinueOnError,
		// A scraper and a curious human beside it; more at once is a mistake that should not cost the service its CPU.
		MaxRequestsInFlight: 4,
	})
}

// Component flushes at stop. It stands first, so that it stops last. What can't be flushed is logged and lost: it is no
// reason to call the end of the process a failure.
func (t *Telemetry) Component() lifecycle.Component {
	return lifecycle.Component{Name: "telemetry", Stop: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, flushTimeout)
		defer cancel()
		if err := errors.Join(t.traces.Shutdown(ctx), t.metrics.Shutdown(ctx)); err != nil {
			slog.WarnContext(ctx, "telemetry was not flushed", "error", err)
		}
		return nil
	}}
}

// spanExporter returns the exporter that the environment asks for; nil for none.
//
// It is contrib's autoexport in small: that one brings in a second metrics pipeline, exporters for logs and a Prometheus
// server of its own, none of which we use.
func spanExporter(ctx context.Context, getenv func(string) string) (sdktrace.SpanExporter, error) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	switch kind := getenv("OTEL_TRACES_EXPORTER"); kind {
	case "none":
		return nil, nil
	case "otlp":
	case "":
		if getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return nil, nil
		}
	default:
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is not supported: want otlp or none", kind)
	}

	protocol := getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	var (
		exporter sdktrace.SpanExporter
		err      error
	)
	switch protocol {
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	case "http/protobuf", "": // the default of the specification
		exporter, err = otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is not supported: want grpc or http/protobuf", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("make the OTLP exporter of spans: %w", err)
	}
	return exporter, nil
}
