package pgtest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"shop.example/platform/pgtest"
)

var migrations atomic.Int32

func migrate(ctx context.Context, url string) error {
	migrations.Add(1)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE TABLE things (name text PRIMARY KEY)")
	return errors.Join(err, conn.Close(ctx))
}

// Each test has its own database, all made from one run of the migrations.
func TestIsolation(t *testing.T) {
	t.Parallel()
	t.Run("group", func(t *testing.T) {
		for i := range 6 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				pool := pgtest.New(t, migrate)
				if _, err := pool.Exec(t.Context(), "INSERT INTO things VALUES ('mine')"); err != nil {
					t.Fatal(err)
				}
				var n int
				if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM things").Scan(&n); err != nil || n != 1 {
					t.Errorf("%d things (%v), want mine only", n, err)
				}
			})
		}
	})
	// Not once if the template of this very build was there already (go test -count).
	if n := migrations.Load(); n > 1 {
		t.Errorf("migrated %d times, want once at most", n)
	}
}

func TestDroppedAtTheEnd(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("user", func(t *testing.T) {
		name = pgtest.New(t, migrate).Config().ConnConfig.Database
	})
	conn, err := pgx.Connect(t.Context(), os.Getenv(pgtest.Env))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var exists bool
	if err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		t.Fatal(err)
	}
	if name == "" || exists {
		t.Errorf("the database %q exists after its test", name)
	}
}

// A migration that fails leaves no template that later tests would take for good.
func TestFailedMigration(t *testing.T) {
	t.Parallel()
	calls := 0
	broken := func(context.Context, string) error { calls++; return errors.New("broken on purpose") }
	for range 2 {
		if got := fatal(t, func(t testing.TB) { pgtest.URL(t, broken) }); !strings.Contains(got, "broken on purpose") {
			t.Errorf("the test fails with %q, want the error of the migration", got)
		}
	}
	if calls != 2 {
		t.Errorf("migrate was called %d times for 2 tests, want 2", calls)
	}
}

func TestHintWithoutServer(t *testing.T) {
	if os.Getenv("PGTEST_WITHOUT_SERVER") != "" {
		pgtest.New(t, migrate)
		return
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHintWithoutServer$")
	cmd.Env = append(os.Environ(), pgtest.Env+"=", "PGTEST_WITHOUT_SERVER=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "make test") {
		t.Errorf("without a server: %v, %s; want a failure with a hint", err, out)
	}
}

// recorder is a test that keeps what it failed with.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	panic(r)
}

// fatal returns the message that f ends its test with.
func fatal(t *testing.T, f func(testing.TB)) (message string) {
	t.Helper()
	r := &recorder{TB: t}
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
		message = r.message
	}()
	f(r)
	return ""
}
