package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// hanging is a database that does not count, and knows how far audits have come.
type hanging struct{ until time.Time }

func (hanging) OpenFindings(ctx context.Context) (map[domain.FindingKind]int64, error) {
	if _, ok := ctx.Deadline(); !ok {
		return nil, errors.New("it may hang for ever")
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (h hanging) Progress(ctx context.Context) (usecase.AuditProgress, error) {
	if err := ctx.Err(); err != nil {
		return usecase.AuditProgress{}, err
	}
	return usecase.AuditProgress{Until: h.until, Behind: map[string]time.Time{"test": h.until.Add(-time.Minute)}}, nil
}

// A database that hangs does not hold up who collects metrics, and what it does answer is told. The age is that of the provider
// that is behind.
func TestMeasureFindings(t *testing.T) {
	reader := metric.NewManualReader()
	provider, before := metric.NewMeterProvider(metric.WithReader(reader)), otel.GetMeterProvider()
	otel.SetMeterProvider(provider)
	t.Cleanup(func() { otel.SetMeterProvider(before) })
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if err := measureFindings(hanging{noon}, func() time.Time { return noon.Add(time.Minute) }); err != nil {
		t.Fatal(err)
	}
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
	}
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			if age, ok := m.Data.(metricdata.Gauge[float64]); ok && m.Name == "audit_age" && age.DataPoints[0].Value == 120 {
				return
			}
		}
	}
	t.Errorf("collected %+v, want an age of two minutes", got)
}
