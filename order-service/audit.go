package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/domain"
	postgresrepo "shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/usecase"
)

// AuditSettings are those of the auditor.
type AuditSettings struct {
	// AuditEvery is how often it looks, and AuditSettle how long what is under way may look as if it did not agree. It is a finding
	// after twice that, which is more than the minute within which everything settles once its dependencies are back.
	AuditEvery  time.Duration `env:"AUDIT_EVERY" envDefault:"15s"`
	AuditSettle time.Duration `env:"AUDIT_SETTLE" envDefault:"1m"`
}

// Validate checks the times.
func (s *AuditSettings) Validate() error {
	if s.AuditEvery <= 0 || s.AuditSettle <= 0 {
		return errors.New("AUDIT_EVERY and AUDIT_SETTLE must be more than nothing")
	}
	return nil
}

// auditor returns the auditor, and has its findings measured.
func (s *settings) auditor(store *postgresrepo.Store, stock *client.Products, log *slog.Logger) (*usecase.Audit, error) {
	if err := measureFindings(store, time.Now); err != nil {
		return nil, err
	}
	return usecase.NewAudit(usecase.AuditParts{
		Orders: store, Reservations: stock, Payments: s.listers(log), Findings: store,
		Settle: s.AuditSettle, Now: now, Log: log,
	}), nil
}

// listers returns the providers as an auditor asks them: through doors of its own, so that a hundred questions of an audit that
// fail do not close those that customers pay through.
func (s *PaymentSettings) listers(log *slog.Logger) []usecase.PaymentLister {
	var all []usecase.PaymentLister
	if s.stripe() {
		all = append(all, client.NewStripe(s.StripeURL, s.StripeKey, client.ProviderTimeout, log))
	}
	if s.testPay() {
		all = append(all, client.NewTestPay(s.TestPayURL, s.TestPayKey, client.ProviderTimeout, log))
	}
	return all
}

// findingCounts are what measureFindings asks for.
type findingCounts interface {
	OpenFindings(ctx context.Context) (map[domain.FindingKind]int64, error)
	Progress(ctx context.Context) (usecase.AuditProgress, error)
}

// measureTimeout bounds the questions of a measurement: who collects the metrics of a service waits for all of them, and a database
// that hangs is seen by others.
const measureTimeout = time.Second

// measureFindings tells how many findings are open, of each kind, and how old the last comparison is. All replicas tell the
// same.
func measureFindings(store findingCounts, now func() time.Time) error {
	meter := otel.Meter("shop.example/order-service")
	open, err := meter.Int64ObservableGauge("audit_findings_open", metric.WithDescription("What does not agree between orders, stock and payments, by kind."))
	if err != nil {
		return fmt.Errorf("make gauge: %w", err)
	}
	age, err := meter.Float64ObservableGauge("audit_age", metric.WithUnit("s"), metric.WithDescription("How long ago is the time up to which everything was compared."))
	if err != nil {
		return fmt.Errorf("make gauge: %w", err)
	}
	_, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, measureTimeout)
		defer cancel()
		progress, unknown := store.Progress(ctx)
		if unknown == nil && !progress.Until.IsZero() {
			o.ObserveFloat64(age, progress.Age(now()).Seconds())
		}
		counts, uncounted := store.OpenFindings(ctx)
		if uncounted == nil {
			for _, kind := range domain.FindingKinds {
				o.ObserveInt64(open, counts[kind], metric.WithAttributes(attribute.String("kind", string(kind))))
			}
		}
		return errors.Join(unknown, uncounted)
	}, open, age)
	if err != nil {
		return fmt.Errorf("measure the findings: %w", err)
	}
	return nil
}
