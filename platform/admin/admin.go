// Package admin serves what operators and their tools need from a process, on a port of its own that is not for clients:
// /healthz, /readyz, /metrics and, when asked for, /debug/pprof/.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"shop.example/platform/health"
	"shop.example/platform/lifecycle"
)

// Server is the admin server of a process.
type Server struct {
	addr    string
	monitor *health.Monitor
	http    *http.Server

	mu       sync.Mutex
	listener net.Listener
}

// New returns a server for addr (host:port; port 0 takes a free one). metrics may be nil.
//
// It speaks plain HTTP without authentication: bind it where only operators reach it. pprof tells a lot and costs CPU, so it
// is there only when asked for.
func New(addr string, monitor *health.Monitor, metrics http.Handler, withPprof bool, log *slog.Logger) *Server {
	s := &Server{addr: addr, monitor: monitor}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.alive)
	mux.HandleFunc("GET /readyz", s.ready)
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	if withPprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	s.http = &http.Server{
		Handler: mux,
		// Callers are close and ask for little: who needs longer than this is stuck or hostile.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		// Long enough to gather metrics on a busy machine; pprof extends its own deadline by the seconds that it was asked for.
		WriteTimeout: 10 * time.Second,
		// Longer than the usual scrape interval of 15 s, so that a scraper keeps its connection.
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s
}

// Component binds the address at start, so that Addr tells it from then on, and serves until stop.
func (s *Server) Component() lifecycle.Component {
	return lifecycle.Component{Name: "admin server", Start: s.start, Serve: s.serve, Stop: s.stop}
}

// Addr is the address that the server listens on; empty before it was started.
func (s *Server) Addr() string {
	if l := s.bound(); l != nil {
		return l.Addr().String()
	}
	return ""
}

func (s *Server) bound() net.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener
}

func (s *Server) start(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen on the admin address %s: %w", s.addr, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = l
	return nil
}

func (s *Server) serve() error {
	err := s.http.Serve(s.bound())
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *Server) stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		// A profile or a scrape may still run; nobody's request is lost with it.
		err = s.http.Close()
	}
	if l := s.bound(); l != nil {
		_ = l.Close() // closed already, unless the server was stopped before it served
	}
	return err
}

func (s *Server) alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readiness is the body of /readyz.
type readiness struct {
	Ready        bool            `json:"ready"`
	Draining     bool            `json:"draining"`
	Dependencies []health.Status `json:"dependencies"`
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	body := readiness{Ready: s.monitor.Ready(), Draining: s.monitor.Draining(), Dependencies: s.monitor.Report()}
	status := http.StatusOK
	if !body.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone: there is nobody left to tell
}
