// Package shop runs the whole shop for the end-to-end tests, and is a client of its REST door. What must be true afterwards is
// checked from outside as well: in the payment provider's ledger, in the databases and in the logs.
package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/deploy/local/invariants"
	"shop.example/deploy/local/runner"
	"shop.example/platform/devca"
)

// stopTimeout is more than the slowest drain (20 s) of one stage after another takes in a test, where hardly any request is under way.
const stopTimeout = 60 * time.Second

// binaries is where Build has put the programs.
var binaries string

// Build builds the programs once for all shops of this test process, and returns how to remove them.
func Build(ctx context.Context, output io.Writer) (remove func() error, err error) {
	dir, err := os.MkdirTemp("", "shop-e2e-bin-")
	if err != nil {
		return nil, err
	}
	remove = func() error { return os.RemoveAll(dir) }
	if err := runner.Build(ctx, runner.BuildOptions{BinDir: dir, Race: race, Tags: []string{"failpoints"}, Output: output}); err != nil {
		return nil, errors.Join(err, remove())
	}
	binaries = dir
	return remove, nil
}

// Shop is a running shop of its own: stores, provider and services.
type Shop struct {
	*runner.Stack
	data                    string
	limited                 bool          // requests and sign-ins are limited, as in production
	users, orders, products *pgxpool.Pool // to look, never to touch

	ledgerURL, ledgerKey string
	contract             *contract

	adminOnce  sync.Once
	adminToken string
	adminErr   error
}

// WithLimits is the environment of a shop that limits requests and sign-ins, and believes what this machine says of where its clients
// are (X-Forwarded-For).
func WithLimits() map[string]string {
	return map[string]string{"RATE_LIMIT": "on", "TRUSTED_PROXIES": "127.0.0.1/32"}
}

// Start starts a shop on free ports with a data folder of its own. env is added to every process. Unless it says otherwise, nothing is
// limited.
func Start(ctx context.Context, env map[string]string, output io.Writer) (*Shop, error) {
	return start(ctx, env, nil, output)
}

func start(ctx context.Context, env map[string]string, replicas map[string]int, output io.Writer) (_ *Shop, err error) {
	data, err := os.MkdirTemp("", "shop-e2e-")
	if err != nil {
		return nil, err
	}
	// PostgreSQL runs as another user when we are root, and has to get through.
	if err := os.Chmod(data, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	stack, err := runner.Start(ctx, runner.Options{
		Data: data, BinDir: binaries, Throwaway: true, NoRateLimit: true, Output: output, Env: map[string]map[string]string{"*": env}, Replicas: replicas,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	s := &Shop{Stack: stack, data: data, limited: env["RATE_LIMIT"] == "on"}
	if err := s.look(ctx); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// StartFor starts a shop for one test, which is stopped at its end. A test that fails shows the end of every log.
func StartFor(t *testing.T, env map[string]string) *Shop {
	t.Helper()
	return StartReplicasFor(t, env, nil)
}

// StartReplicasFor is StartFor with several processes of some services.
func StartReplicasFor(t *testing.T, env map[string]string, replicas map[string]int) *Shop {
	t.Helper()
	s, err := start(t.Context(), env, replicas, io.Discard)
	if err != nil {
		t.Fatalf("start a shop: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.LastWords())
		}
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("end of the shop: %v", err)
		}
	})
	return s
}

// look opens what the shop is looked at through, from outside.
func (s *Shop) look(ctx context.Context) (err error) {
	d := s.Describe()
	for _, p := range d.Processes {
		if p.Ledger != "" {
			s.ledgerURL = p.Ledger
		}
	}
	key, err := os.ReadFile(filepath.Join(s.data, "keys", devca.TestpayKeyFile))
	if err != nil {
		return err
	}
	s.ledgerKey = strings.TrimSpace(string(key))
	for name, pool := range map[string]**pgxpool.Pool{"users": &s.users, "orders": &s.orders, "products": &s.products} {
		if *pool, err = pgxpool.New(ctx, d.Databases[name]); err != nil {
			return err
		}
	}
	s.contract, err = readContract(ctx, s.Gateway())
	return err
}

// Close stops the shop, looks through its logs for what must never be in one, and removes its data.
func (s *Shop) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, pool := range []*pgxpool.Pool{s.users, s.orders, s.products} {
		if pool != nil {
			pool.Close()
		}
	}
	return errors.Join(s.Stop(ctx), s.checkLogs(), os.RemoveAll(s.data))
}

// SigningKey is the PEM of the key that signs access tokens.
func (s *Shop) SigningKey(t testing.TB) []byte {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(s.data, "keys", devca.SigningKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Logs are the log files of a shop's processes by the name of the process, with the number of any other than the first replica.
func (s *Shop) Logs() map[string]string {
	logs := map[string]string{}
	for _, p := range s.Describe().Processes {
		name := p.Name
		if p.Replica > 1 {
			name = fmt.Sprintf("%s-%d", p.Name, p.Replica)
		}
		logs[name] = p.Log
	}
	return logs
}

// Invariants is where the shop's state can be read, for the checks of every order.
func (s *Shop) Invariants() invariants.Source { return invariants.Of(s.Describe(), s.ledgerKey) }

// OrderOfKey is the order that a user's key has made, or is used for: an id, whether or not there is such an order; "" if the
// key was never used, or is forgotten.
func (s *Shop) OrderOfKey(ctx context.Context, userID, key string) (string, error) {
	var id string
	err := s.orders.QueryRow(ctx, `SELECT order_id::text FROM attempts WHERE user_id = $1 AND key = $2`, userID, key).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// CutConnections ends all connections of a service to its database, as a failure of the network would, and returns how many.
func (s *Shop) CutConnections(ctx context.Context, service, database string) (int, error) {
	conn, err := pgx.Connect(ctx, s.Describe().Databases[database])
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	var n int
	err = conn.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = $1`, service).Scan(&n)
	return n, err
}

// Signal sends a signal to a process.
func (s *Shop) Signal(name string, replica int, signal syscall.Signal) error {
	for _, p := range s.Describe().Processes {
		if p.Name == name && p.Replica == replica && p.PID > 0 {
			return syscall.Kill(p.PID, signal)
		}
	}
	return fmt.Errorf("%s, replica %d, does not run", name, replica)
}

// LastWords is the end of every log.
func (s *Shop) LastWords() string {
	const (
		lines = 8   // as many as tell what led to the last of them
		width = 600 // characters, which hold all but the tail of a stack
	)
	var b strings.Builder
	for name, file := range s.Logs() {
		content, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintf(&b, "== %s: %v\n", name, err)
			continue
		}
		all := strings.Split(strings.TrimSpace(string(content)), "\n")
		fmt.Fprintf(&b, "== %s\n", name)
		for _, line := range all[max(0, len(all)-lines):] {
			fmt.Fprintln(&b, line[:min(len(line), width)])
		}
	}
	return b.String()
}

// neverLogged are what no log may hold: what the race detector and a panic write, and secrets, of which the tests' own bear marks.
var neverLogged = []string{"WARNING: DATA RACE", "panic: ", "goroutine 1 [", passwordMark, streetMark, emailMark, "Bearer ", "eyJhbGciOi"}

func (s *Shop) checkLogs() error {
	var errs []error
	for name, file := range s.Logs() {
		content, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for line := range strings.Lines(string(content)) {
			for _, never := range neverLogged {
				if strings.Contains(line, never) {
					errs = append(errs, fmt.Errorf("the log of %s holds %q: %s", name, never, line))
				}
			}
		}
	}
	return errors.Join(errs...)
}
