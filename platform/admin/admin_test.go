package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shop.example/platform/admin"
	"shop.example/platform/health"
)

var discard = slog.New(slog.DiscardHandler)

// setup starts an admin server on a free port and returns its URL.
func setup(t *testing.T, pprof bool, checks ...health.Check) (string, *health.Monitor) {
	t.Helper()
	monitor := health.NewMonitor(discard, checks...)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") })
	server := admin.New("127.0.0.1:0", monitor, metrics, pprof, discard)
	if server.Addr() != "" {
		t.Errorf("Addr() = %q before the start, want none", server.Addr())
	}
	mc, sc := monitor.Component(), server.Component()
	for _, start := range []func(context.Context) error{mc.Start, sc.Start} {
		if err := start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	served := make(chan error, 1)
	go func() { served <- sc.Serve() }()
	t.Cleanup(func() {
		if err := errors.Join(sc.Stop(context.Background()), mc.Stop(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return "http://" + server.Addr(), monitor
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestPaths(t *testing.T) {
	t.Parallel()
	plain, _ := setup(t, false)
	profiled, _ := setup(t, true)
	tests := []struct {
		url  string
		want int
	}{
		{plain + "/healthz", 200},
		{plain + "/readyz", 200},
		{plain + "/metrics", 200},
		{plain + "/debug/pprof/", 404},
		{plain + "/debug/pprof/heap", 404},
		{profiled + "/debug/pprof/", 200},
		{profiled + "/debug/pprof/heap?debug=1", 200},
		// Longer than nothing, shorter than a test's patience: a CPU profile is written after its seconds.
		{profiled + "/debug/pprof/profile?seconds=1", 200},
		{plain + "/", 404},
	}
	for _, tt := range tests {
		if got, _ := get(t, tt.url); got != tt.want {
			t.Errorf("GET %s = %d, want %d", tt.url, got, tt.want)
		}
	}
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	down := func(context.Context) error { return errors.New("dial postgres://shop:hunter2@10.0.0.1/orders") }
	up := func(context.Context) error { return nil }
	url, _ := setup(t, false, health.Check{Name: "postgres", Probe: down}, health.Check{Name: "redis", Probe: up, Optional: true})

	status, body := get(t, url+"/readyz")
	if status != http.StatusServiceUnavailable {
		t.Errorf("status = %d, want 503", status)
	}
	if strings.Contains(body, "hunter2") || strings.Contains(body, "10.0.0.1") {
		t.Errorf("the report tells what it must not: %s", body)
	}
	var got struct {
		Ready        bool
		Draining     bool
		Dependencies []struct {
			Name     string
			Up       bool
			Optional bool
			Error    string
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := got
	want.Ready, want.Draining = false, false
	want.Dependencies = []struct {
		Name     string
		Up       bool
		Optional bool
		Error    string
	}{{Name: "postgres", Error: "failed"}, {Name: "redis", Up: true, Optional: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if status, _ := get(t, url+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz = %d while a dependency is down, want 200: a restart would not help", status)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	url, monitor := setup(t, false)
	if status, _ := get(t, url+"/readyz"); status != http.StatusOK {
		t.Fatalf("status = %d before Drain, want 200", status)
	}
	monitor.Drain()
	if status, body := get(t, url+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"draining":true`) {
		t.Errorf("after Drain: %d %s, want 503 and draining", status, body)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	url, monitor := setup(t, false)
	second := admin.New(strings.TrimPrefix(url, "http://"), monitor, nil, false, discard).Component()
	if err := second.Start(t.Context()); err == nil {
		t.Error("a second server started on the same address")
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Errorf("stop of a server that never served: %v", err)
	}
}
