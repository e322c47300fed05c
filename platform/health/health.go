// Package health watches what a process depends on and says whether the process should be given work.
//
// Being ready is about the dependencies that everything needs; being alive is not asked here at all: a process that
// answers is alive, and starting it again does not bring its database back.
package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"shop.example/platform/lifecycle"
)

const (
	// interval is how often each dependency is probed: often enough that load balancers hear of an outage within seconds,
	// rare enough that thirty replicas cost a database only fifteen pings a second.
	interval = 2 * time.Second
	// probeTimeout bounds one probe. A dependency that needs a second for a ping cannot serve a request in its 5 seconds.
	probeTimeout = time.Second
	// failuresUntilDown is how many probes in a row must fail before a dependency that was up counts as down. With one, a
	// single lost packet would take all replicas out at the same moment; with two, an outage is still seen within 5 s.
	failuresUntilDown = 2
)

// Check is one dependency.
type Check struct {
	// Name is what logs, metrics and reports call it: "postgres", "redis", "user-service".
	Name string
	// Probe returns nil when the dependency answers. It is called from one goroutine at a time and should end with its
	// context, which is done after a second; one that doesn't end counts as failed and is not called again until it has.
	Probe func(context.Context) error
	// Optional dependencies are reported, but do not make the process unready: it has something to fall back on.
	Optional bool
}

// Status is what is known of one dependency. It holds nothing secret: Error is a class, not the message.
type Status struct {
	Name     string    `json:"name"`
	Up       bool      `json:"up"`
	Optional bool      `json:"optional,omitempty"`
	Error    string    `json:"error,omitempty"`
	Since    time.Time `json:"since"` // when Up changed last
}

// Monitor probes dependencies and tells who asks, or wants to be told, whether the process is ready. All its methods may
// be called from any goroutine.
type Monitor struct {
	log          *slog.Logger
	dependencies []*dependency

	mu       sync.Mutex // guards what is below and the state of the dependencies
	probed   bool       // the first round is over
	draining bool
	cancel   context.CancelFunc // ends the loop; nil before Start
	stopped  chan struct{}

	notify      sync.Mutex // held while calling listeners, so that they see changes in order; never taken under mu
	listeners   []func(ready bool)
	announced   bool
	unsubscribe func() error // ends the metric
}

type dependency struct {
	Check
	status   Status
	failures int  // in a row
	running  bool // a probe that has outlived its round is still running
}

// NewMonitor returns a monitor that is not ready yet; the probing begins when its component starts.
func NewMonitor(log *slog.Logger, checks ...Check) *Monitor {
	m := &Monitor{log: log, stopped: make(chan struct{}), unsubscribe: func() error { return nil }}
	for _, c := range checks {
		m.dependencies = append(m.dependencies, &dependency{Check: c, status: Status{Name: c.Name, Optional: c.Optional}})
	}
	return m
}

// Component probes from start to stop. Start returns after the first round, ready or not: a process that starts before
// its database waits unready instead of crashing again and again. Stop drains first.
func (m *Monitor) Component() lifecycle.Component {
	return lifecycle.Component{Name: "health", Start: m.start, Stop: m.stop}
}

// Ready reports whether the process should be given work: the first round of probes is over, every dependency that is not
// optional is up, and Drain was not called.
func (m *Monitor) Ready() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.probed || m.draining {
		return false
	}
	for _, d := range m.dependencies {
		if !d.status.Up && !d.Optional {
			return false
		}
	}
	return true
}

// Draining reports whether Drain was called.
func (m *Monitor) Draining() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.draining
}

// Report returns what is known of each dependency, in the order of the checks.
func (m *Monitor) Report() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	report := make([]Status, 0, len(m.dependencies))
	for _, d := range m.dependencies {
		report = append(report, d.status)
	}
	return report
}

// Drain makes the process unready for good; it is about to stop.
func (m *Monitor) Drain() {
	m.mu.Lock()
	m.draining = true
	m.mu.Unlock()
	m.announce()
}

// OnChange calls f with the present state, and again on each change, in order and never twice at a time. f must not block
// and must not call OnChange or Drain.
func (m *Monitor) OnChange(f func(ready bool)) {
	m.notify.Lock()
	defer m.notify.Unlock()
	m.listeners = append(m.listeners, f)
	f(m.announced)
}

func (m *Monitor) announce() {
	m.notify.Lock()
	defer m.notify.Unlock()
	ready := m.Ready()
	if ready == m.announced {
		return
	}
	m.announced = ready
	m.log.Info("readiness changed", "ready", ready, "draining", m.Draining())
	for _, f := range m.listeners {
		f(ready)
	}
}

func (m *Monitor) start(ctx context.Context) error {
	if err := m.observe(); err != nil {
		return err
	}
	// The context of the start ends when the process is told to stop, but the drain still wants to know the dependencies.
	loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.mu.Lock()
	m.cancel = cancel
	m.mu.Unlock()
	m.round(ctx)
	go func() {
		defer close(m.stopped)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				m.round(loop)
			case <-loop.Done():
				return
			}
		}
	}()
	return nil
}

func (m *Monitor) stop(ctx context.Context) error {
	m.Drain()
	m.mu.Lock()
	cancel := m.cancel
	m.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	select {
	case <-m.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	return m.unsubscribe()
}

// observe publishes the gauge dependency_up{dependency="…"}: 1 or 0.
func (m *Monitor) observe() error {
	meter := otel.Meter("shop.example/platform/health")
	gauge, err := meter.Int64ObservableGauge("dependency_up",
		metric.WithDescription("Whether a dependency answers its probe (1) or not (0)."))
	if err != nil {
		return err
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, s := range m.Report() {
			var up int64
			if s.Up {
				up = 1
			}
			o.ObserveInt64(gauge, up, metric.WithAttributes(attribute.String("dependency", s.Name)))
		}
		return nil
	}, gauge)
	if err != nil {
		return err
	}
	m.unsubscribe = registration.Unregister
	return nil
}

// round probes all dependencies at once and returns when each has answered or had its second.
func (m *Monitor) round(ctx context.Context) {
	var wg sync.WaitGroup
	for _, d := range m.dependencies {
		wg.Go(func() {
			err := m.probe(ctx, d)
			if ctx.Err() != nil { // stopping: the failure is ours
				return
			}
			m.record(d, err)
		})
	}
	wg.Wait()
	m.mu.Lock()
	m.probed = m.probed || ctx.Err() == nil
	m.mu.Unlock()
	m.announce()
}

var errStillRunning = errors.New("the previous probe has not returned yet")

func (m *Monitor) probe(ctx context.Context, d *dependency) error {
	m.mu.Lock()
	running := d.running
	d.running = true
	m.mu.Unlock()
	if running {
		return errors.Join(errStillRunning, context.DeadlineExceeded)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	result := make(chan error, 1) // room for the answer that nobody waits for anymore
	go func() {
		defer cancel()
		err := d.Probe(ctx)
		m.mu.Lock()
		d.running = false
		m.mu.Unlock()
		result <- err
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		select { // both may be ready; the probe's own answer says more
		case err := <-result:
			return err
		default:
			return ctx.Err()
		}
	}
}

// record keeps the result and logs it when the dependency went up or down.
func (m *Monitor) record(d *dependency, err error) {
	m.mu.Lock()
	first := d.status.Since.IsZero()
	was, since := d.status.Up, d.status.Since
	if err == nil {
		d.failures = 0
		d.status.Up, d.status.Error = true, ""
	} else {
		d.failures++
		d.status.Error = classify(err)
		if first || d.failures >= failuresUntilDown {
			d.status.Up = false
		}
	}
	up := d.status.Up
	if first || up != was {
		d.status.Since = time.Now().UTC()
	}
	m.mu.Unlock()

	switch {
	case up && !first && !was:
		m.log.Info("dependency is up again", "dependency", d.Name, "after", time.Since(since).Round(time.Millisecond))
	case !up && (first || was):
		m.log.Warn("dependency is down", "dependency", d.Name, "optional", d.Optional, "error", err)
	}
}

// classify names the kind of a failure for those who may see the report but not the logs: messages of drivers hold
// addresses and user names.
func classify(err error) string {
	var (
		dns      *net.DNSError
		unknown  x509.UnknownAuthorityError
		verify   *tls.CertificateVerificationError
		deadline net.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &deadline) && deadline.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &dns):
		return "name not resolved"
	case errors.As(err, &verify), errors.As(err, &unknown):
		return "certificate not accepted"
	default:
		return "failed"
	}
}
