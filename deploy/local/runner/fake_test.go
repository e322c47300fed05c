package runner

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// The test binary plays all services: started under the name of one, it is that one.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	if slices.ContainsFunc(services, func(s service) bool { return s.name == name }) {
		os.Exit(playService(name))
	}
	os.Exit(m.Run())
}

// playService has the doors of a service, and nothing behind them. FAKE says what goes wrong.
func playService(name string) int {
	if len(os.Args) > 1 {
		fmt.Printf("%s for %s\n", os.Args[1], os.Getenv("DATABASE_URL"))
		return 0
	}
	if os.Getenv("FAKE") == "dies" {
		fmt.Println("first words")
		fmt.Println("last words of " + name)
		return 3
	}
	doors := http.NewServeMux()
	doors.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("FAKE") == "never ready" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	doors.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	doors.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(4) })
	doors.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, os.Getenv(r.URL.Query().Get("name"))) })
	doors.HandleFunc("POST /api/v1/auth/register", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })

	failed := make(chan error, 2)
	for _, variable := range []string{"ADMIN_ADDR", "HTTP_ADDR"} {
		if addr := os.Getenv(variable); addr != "" {
			go func() { failed <- http.ListenAndServe(addr, doors) }()
		}
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	if os.Getenv("FAKE") == "stubborn" {
		stop = context.Background()
	}
	select {
	case <-stop.Done():
		fmt.Println("stopped")
		return 0
	case err := <-failed:
		fmt.Println(err)
		return 1
	}
}

// fakePrograms makes a BinDir in which every program is the test binary.
func fakePrograms(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, s := range services {
		if err := os.Symlink(self, filepath.Join(dir, s.name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// eventually waits for a condition, far longer than it takes when all is well.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !condition() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
