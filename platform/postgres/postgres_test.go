package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/pgtest"
	"shop.example/platform/postgres"
)

func file(up string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + up + "\n-- +goose Down\nSELECT 1;\n")}
}

func nothing(context.Context, string) error { return nil }

func schema(ctx context.Context, url string) error {
	return postgres.Migrate(ctx, url, fstest.MapFS{"00001_things.sql": file(`
		CREATE TABLE things (
			name text CONSTRAINT things_pkey PRIMARY KEY,
			stock int NOT NULL DEFAULT 0 CONSTRAINT things_stock_not_negative CHECK (stock >= 0));`)})
}

func names(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT name FROM things ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOpenSettings(t *testing.T) {
	t.Parallel()
	type settings struct {
		MaxConns, MinIdle int32
		Lifetime          time.Duration
		Session           map[string]string
	}
	url := pgtest.URL(t, nothing)
	tests := []struct {
		name, params string
		want         settings
	}{
		{"defaults", "", settings{10, 2, 30 * time.Minute, map[string]string{"statement_timeout": "10s", "lock_timeout": "3s",
			"idle_in_transaction_session_timeout": "10s", "work_mem": "16MB", "application_name": "postgres.test"}}},
		{"by the URL", "&pool_max_conns=1&pool_max_conn_lifetime=1m&statement_timeout=1234&lock_timeout=0&application_name=me",
			settings{1, 1, time.Minute, map[string]string{"statement_timeout": "1234ms", "lock_timeout": "0",
				"idle_in_transaction_session_timeout": "10s", "application_name": "me"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sep := ""
			if !strings.Contains(url, "?") {
				sep = "?"
			}
			pool, err := postgres.Open(t.Context(), url+sep+tt.params)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			c := pool.Config()
			got := settings{c.MaxConns, c.MinIdleConns, c.MaxConnLifetime, map[string]string{}}
			for name := range tt.want.Session {
				var value string
				if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value); err != nil {
					t.Fatal(err)
				}
				got.Session[name] = value
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	t.Run("no URL", func(t *testing.T) {
		t.Parallel()
		if _, err := postgres.Open(t.Context(), "postgres://shop:hunter2@host:notaport/db"); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error = %v, want one without the password", err)
		}
	})
	t.Run("a database that does not exist, at once", func(t *testing.T) {
		t.Parallel()
		url := strings.Replace(pgtest.URL(t, nothing), "/shoptest_", "/none_", 1)
		begin := time.Now()
		_, err := postgres.Open(t.Context(), url)
		if err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("error = %v, want that the database does not exist", err)
		}
		if took := time.Since(begin); took > 5*time.Second { // far below the wait for a server that is away
			t.Errorf("it took %v, want an answer at once", took)
		}
	})
	t.Run("no server, as long as the context lasts", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := postgres.Open(ctx, "postgres://shop:hunter2@127.0.0.1:1/orders?sslmode=disable")
		if err == nil || !strings.Contains(err.Error(), "postgres 127.0.0.1:1/orders as shop") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error = %v, want one that names the server and no password", err)
		}
	})
}

func TestInTx(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, schema)
	insert := func(tx pgx.Tx, name string) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO things (name) VALUES ($1)", name)
		return err
	}
	errMine := errors.New("mine")

	got, err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) (int, error) { return 42, insert(tx, "committed") })
	if got != 42 || err != nil {
		t.Errorf("InTx = %d, %v, want 42", got, err)
	}

	got, err = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) (int, error) { return 42, errors.Join(insert(tx, "failed"), errMine) })
	if got != 0 || !errors.Is(err, errMine) {
		t.Errorf("InTx = %d, %v, want nothing and the error of the function", got, err)
	}

	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("recovered %v, want the panic of the function", p)
			}
		}()
		_ = postgres.InTxDo(t.Context(), pool, func(tx pgx.Tx) error { _ = insert(tx, "panicked"); panic("mine") })
	}()

	// A savepoint: the inner one rolls back, the outer one does not.
	err = postgres.InTxDo(t.Context(), pool, func(tx pgx.Tx) error {
		inner := postgres.InTxDo(t.Context(), tx, func(tx pgx.Tx) error { return errors.Join(insert(tx, "inner"), errMine) })
		if !errors.Is(inner, errMine) {
			t.Errorf("inner transaction: %v", inner)
		}
		return insert(tx, "outer")
	})
	if err != nil {
		t.Error(err)
	}

	// A statement failed, the function did not tell: the commit is a rollback, and that is an error.
	err = postgres.InTxDo(t.Context(), pool, func(tx pgx.Tx) error { _ = insert(tx, "committed"); return nil })
	if !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Errorf("error = %v, want that the commit has rolled back", err)
	}

	if diff := cmp.Diff([]string{"committed", "outer"}, names(t, pool)); diff != "" {
		t.Errorf("things (-want +got):\n%s", diff)
	}
	if n := pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections were not given back", n)
	}
}

// A request that is given up in the middle leaves neither its locks nor a broken connection behind.
func TestInTxCancelled(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, schema)
	ctx, cancel := context.WithCancel(t.Context())
	var pid uint32
	err := postgres.InTxDo(ctx, pool, func(tx pgx.Tx) error {
		pid = tx.Conn().PgConn().PID()
		if _, err := tx.Exec(ctx, "INSERT INTO things (name) VALUES ('x')"); err != nil {
			return err
		}
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if got := names(t, pool); len(got) != 0 {
		t.Errorf("things = %v, want none", got)
	}
	var alive bool
	err = pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND state IN ('idle', 'active'))", pid).Scan(&alive)
	if err != nil || !alive {
		t.Errorf("the connection was not kept after the rollback (%v)", err)
	}
}

func TestViolatedConstraint(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, schema)
	if _, err := pool.Exec(t.Context(), "INSERT INTO things (name) VALUES ('a')"); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		sql  string
		want string
		ok   bool
	}{
		{"INSERT INTO things (name) VALUES ('a')", "things_pkey", true},
		{"INSERT INTO things (name, stock) VALUES ('b', -1)", "things_stock_not_negative", true},
		{"INSERT INTO things (name, stock) VALUES ('b', NULL)", "stock", true},
		{"INSERT INTO nowhere VALUES (1)", "", false},
		{"SELECT 1", "", false},
	}
	for _, tt := range tests {
		_, err := pool.Exec(t.Context(), tt.sql)
		if got, ok := postgres.ViolatedConstraint(fmt.Errorf("save: %w", err)); got != tt.want || ok != tt.ok {
			t.Errorf("%s: ViolatedConstraint(%v) = %q, %v, want %q, %v", tt.sql, err, got, ok, tt.want, tt.ok)
		}
	}
}

// Replicas that start at once migrate once, extras under the same lock.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t, nothing)
	migrations := fstest.MapFS{
		"migrations/00001_a.sql": file("CREATE TABLE a (n int);"),
		"migrations/00002_b.sql": file("CREATE TABLE b (n int);"),
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		inside int
	)
	extra := func(ctx context.Context, pool *pgxpool.Pool) error {
		mu.Lock()
		inside++
		if inside > 1 {
			t.Error("two replicas are under the lock at once")
		}
		mu.Unlock()
		_, err := pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS c (n int)")
		mu.Lock()
		inside--
		mu.Unlock()
		return err
	}
	for range 3 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), url, migrations, extra); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var n int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM a, b, c").Scan(&n); err != nil {
		t.Errorf("the tables are not there: %v", err)
	}
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d advisory locks are left (%v)", n, err)
	}
}

func TestMigrateFails(t *testing.T) {
	t.Parallel()
	good := file("CREATE TABLE a (n int);")
	tests := []struct {
		name  string
		files fstest.MapFS
		extra []func(context.Context, *pgxpool.Pool) error
		want  string
	}{
		{"a broken statement", fstest.MapFS{"00001_a.sql": good, "00002_broken.sql": file("CREATE TABEL b ();")}, nil, "00002_broken.sql"},
		{"two of one number", fstest.MapFS{"00001_a.sql": good, "00001_b.sql": good}, nil, "duplicate"},
		{"no files", fstest.MapFS{}, nil, "no migration"},
		{"an extra", fstest.MapFS{"00001_a.sql": good}, []func(context.Context, *pgxpool.Pool) error{
			func(context.Context, *pgxpool.Pool) error { return errors.New("river: no") }}, "river: no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := postgres.Migrate(t.Context(), pgtest.URL(t, nothing), tt.files, tt.extra...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one that says %q", err, tt.want)
			}
		})
	}
	t.Run("keeps the cause", func(t *testing.T) {
		t.Parallel()
		err := postgres.Migrate(t.Context(), pgtest.URL(t, nothing), fstest.MapFS{"00001_a.sql": file("SELECT 1/0;")})
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "22012" {
			t.Errorf("error = %v, want the division by zero", err)
		}
	})
}
