package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shop.example/platform/devca"
	"shop.example/platform/grpcserver"
	"shop.example/platform/pgtest"
)

func empty(context.Context, string) error { return nil }

// watched is a log that says when the process has started.
type watched struct {
	mu      sync.Mutex
	text    bytes.Buffer
	started func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Contains(p, []byte(`"msg":"started"`)) {
		w.started()
	}
	return w.text.Write(p)
}

// environment is that of a process beside no other: user-service is not needed to start.
func environment(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := devca.Create(dir, []string{grpcserver.ProductService}); err != nil {
		t.Fatal(err)
	}
	files := devca.Files(dir, grpcserver.ProductService)
	for name, value := range map[string]string{
		"TLS_CERT_FILE": files.CertFile, "TLS_KEY_FILE": files.KeyFile, "TLS_CA_FILE": files.CAFile,
		"GRPC_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "USER_SERVICE_ADDR": "127.0.0.1:1",
		"DATABASE_URL": pgtest.URL(t, empty), "CURRENCY": "EUR",
	} {
		t.Setenv(name, value)
	}
}

func TestStartsOnAnEmptyDatabaseAndStops(t *testing.T) {
	environment(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &watched{started: cancel} // the signal to stop, as soon as it serves
	if err := run(ctx, nil, out); err != nil {
		t.Errorf("got %v\n%s", err, out.text.String())
	}
	if log := out.text.String(); !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("log:\n%s", log)
	}
}

func TestSeedDemoTwice(t *testing.T) {
	t.Setenv("CURRENCY", "EUR")
	url := pgtest.URL(t, empty)
	for _, want := range []string{`"created":74`, `"created":0`} {
		t.Setenv("DATABASE_URL", url) // it is taken out of the environment when it is read
		out := &watched{started: func() {}}
		if err := run(t.Context(), []string{"seed-demo"}, out); err != nil || !strings.Contains(out.text.String(), want) {
			t.Errorf("got %v\n%s", err, out.text.String())
		}
	}
}

func TestRefusesToStart(t *testing.T) {
	environment(t)
	t.Setenv("CURRENCY", "EURO")
	t.Setenv("TLS_KEY_FILE", filepath.Join(t.TempDir(), "nothing.pem"))
	if err := run(t.Context(), nil, &watched{started: func() {}}); err == nil || !strings.Contains(err.Error(), "CURRENCY") {
		t.Errorf("a currency that there is not: %v", err)
	}
	t.Setenv("CURRENCY", "EUR")
	t.Setenv("USER_SERVICE_ADDR", "")
	if err := run(t.Context(), nil, &watched{started: func() {}}); err == nil || !strings.Contains(err.Error(), "USER_SERVICE_ADDR") {
		t.Errorf("no address: %v", err)
	}
	if err := run(t.Context(), []string{"unknown"}, &watched{started: func() {}}); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("an unknown command: %v", err)
	}
}
