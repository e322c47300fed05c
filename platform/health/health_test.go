package health

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// dep is a dependency whose state the test decides.
type dep struct {
	mu    sync.Mutex
	err   error
	calls int
}

func (d *dep) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *dep) probe(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	return d.err
}

// rounds lets n rounds of probes pass on the fake clock of the bubble.
func rounds(n int) {
	<-time.After(time.Duration(n)*interval + interval/2)
	synctest.Wait()
}

func start(t *testing.T, m *Monitor) {
	t.Helper()
	c := m.Component()
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

var errDown = errors.New("postgres://user:hunter2@db: no")

func TestReadiness(t *testing.T) {
	t.Parallel()
	up := func(context.Context) error { return nil }
	down := func(context.Context) error { return errDown }
	tests := []struct {
		name   string
		checks []Check
		ready  bool
		report []Status
	}{
		{"nothing to depend on", nil, true, nil},
		{"all up", []Check{{Name: "a", Probe: up}, {Name: "b", Probe: up}}, true,
			[]Status{{Name: "a", Up: true}, {Name: "b", Up: true}}},
		{"one down", []Check{{Name: "a", Probe: up}, {Name: "b", Probe: down}}, false,
			[]Status{{Name: "a", Up: true}, {Name: "b", Error: "failed"}}},
		{"an optional one down", []Check{{Name: "a", Probe: up}, {Name: "b", Probe: down, Optional: true}}, true,
			[]Status{{Name: "a", Up: true}, {Name: "b", Error: "failed", Optional: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := NewMonitor(slog.New(slog.DiscardHandler), tt.checks...)
			if m.Ready() {
				t.Error("ready before the first round")
			}
			start(t, m)
			if got := m.Ready(); got != tt.ready {
				t.Errorf("Ready() = %v, want %v", got, tt.ready)
			}
			if diff := cmp.Diff(tt.report, m.Report(), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Status{}, "Since")); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutageAndRecovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			logged  bytes.Buffer
			changes []bool
			db      dep
		)
		m := NewMonitor(slog.New(slog.NewTextHandler(&logged, nil)), Check{Name: "db", Probe: db.probe})
		m.OnChange(func(ready bool) { changes = append(changes, ready) })
		start(t, m)
		if !m.Ready() {
			t.Fatal("not ready after the first round")
		}

		db.set(errDown)
		rounds(1)
		if !m.Ready() {
			t.Error("one failed probe made it unready")
		}
		rounds(5)
		if m.Ready() {
			t.Error("still ready while the dependency is down")
		}
		db.set(nil)
		rounds(1)
		if !m.Ready() {
			t.Error("not ready again")
		}
		m.Drain()
		rounds(3)
		if m.Ready() {
			t.Error("ready after Drain")
		}
		if diff := cmp.Diff([]bool{false, true, false, true, false}, changes); diff != "" {
			t.Errorf("calls of OnChange (-want +got):\n%s", diff)
		}
		if n := strings.Count(logged.String(), "dependency is down"); n != 1 {
			t.Errorf("the outage was logged %d times, want once:\n%s", n, &logged)
		}
		if n := strings.Count(logged.String(), "dependency is up again"); n != 1 {
			t.Errorf("the recovery was logged %d times, want once:\n%s", n, &logged)
		}
	})
}

func TestProbeThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		calls := 0
		m := NewMonitor(slog.New(slog.DiscardHandler), Check{Name: "deaf", Probe: func(context.Context) error {
			calls++ // only one call at a time: no lock needed, and the race detector sees it if not so
			<-release
			return nil
		}})
		begin := time.Now()
		start(t, m)
		if took := time.Since(begin); took != probeTimeout {
			t.Errorf("the start took %v, want the bound of one probe, %v", took, probeTimeout)
		}
		rounds(10)
		if got := m.Report()[0].Error; got != "timeout" {
			t.Errorf("error class = %q, want timeout", got)
		}
		if calls != 1 {
			t.Errorf("a probe that hangs was called %d times, want once", calls)
		}
		close(release)
		rounds(1)
		if !m.Ready() {
			t.Error("not ready after the probe came back")
		}
	})
}

// Probes run side by side: the slowest, not the sum, bounds the start.
func TestProbesInParallel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(context.Context) error { <-time.After(900 * time.Millisecond); return nil }
		m := NewMonitor(slog.New(slog.DiscardHandler), Check{Name: "a", Probe: slow}, Check{Name: "b", Probe: slow}, Check{Name: "c", Probe: slow})
		begin := time.Now()
		start(t, m)
		if took := time.Since(begin); took != 900*time.Millisecond {
			t.Errorf("the first round took %v, want 900ms", took)
		}
		if !m.Ready() {
			t.Error("not ready")
		}
	})
}

func TestClassify(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want string
	}{
		{errDown, "failed"},
		{fmt.Errorf("ping: %w", context.DeadlineExceeded), "timeout"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "connection refused"},
		{&net.DNSError{Name: "db.internal", IsNotFound: true}, "name not resolved"},
		{x509.UnknownAuthorityError{}, "certificate not accepted"},
	}
	for _, tt := range tests {
		if got := classify(tt.err); got != tt.want {
			t.Errorf("classify(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}
