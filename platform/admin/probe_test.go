package admin_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"shop.example/platform/admin"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	url, monitor := setup(t, false)
	addr := strings.TrimPrefix(url, "http://")
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	// ADMIN_ADDR is where the server listens, which need not be where one can call.
	for _, addr := range []string{addr, ":" + port, "0.0.0.0:" + port, "[::]:" + port, "localhost:" + port} {
		if err := admin.Probe(t.Context(), addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	monitor.Drain()
	if err := admin.Probe(t.Context(), addr); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("of a process that is not ready: %v", err)
	}
	for _, addr := range []string{"", "127.0.0.1", "127.0.0.1:1"} {
		if err := admin.Probe(t.Context(), addr); err == nil {
			t.Errorf("%q: no error", addr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := admin.Probe(ctx, addr); err == nil {
		t.Error("it does not heed its context")
	}
}
