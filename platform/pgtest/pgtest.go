// Package pgtest gives each test a PostgreSQL database of its own, migrated, within a tenth of a second.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/platform/postgres"
)

// Env is the variable with the URL of a server and a role that may create databases there. The databases are made beside
// the one that it names, which is only used to connect to.
const Env = "TEST_POSTGRES_URL"

const (
	// setupTimeout bounds a clone, and the migrations of the first one.
	setupTimeout = 2 * time.Minute
	// abandoned is the age at which the database of another test run is not in use anymore, but left behind by one that was
	// killed: go test ends a run after ten minutes by default.
	abandoned = time.Hour
	// prefix of the names of all databases made here; nothing else is ever dropped.
	prefix = "shoptest_"
)

// New returns a pool on an empty database that migrate was run on. The database lives as long as the test.
//
// migrate is a named function or a function literal, the same for the tests that want the same schema:
//
//	func migrate(ctx context.Context, url string) error { return postgres.Migrate(ctx, url, repository.Migrations) }
//
// It is run once for a build of the test program, on a template of which each test gets a copy; a change of anything that
// the program is built from, migrations included, makes a new template and drops the old one.
func New(t testing.TB, migrate func(ctx context.Context, url string) error) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), URL(t, migrate))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close) // before the database is dropped
	return pool
}

// URL is New for tests that open the database themselves, or hand it to a process.
func URL(t testing.TB, migrate func(ctx context.Context, url string) error) string {
	t.Helper()
	server := os.Getenv(Env)
	if server == "" {
		t.Fatalf("pgtest: %s is not set. `make test` starts a server and sets it; else give the URL of one whose role may create databases.", Env)
	}
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	s := &setup{server: server}
	name, err := s.clone(ctx, migrate)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		// The context of the test is done by now.
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	u, err := s.url(name)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return u
}

// setup works on the server through short connections: tests that run for long should not hold any.
type setup struct{ server string }

// clone makes a database for a test and returns its name.
//
// Test programs of several packages do this at the same time. They share an advisory lock while cloning, and take it alone
// while a template is made: a database can't be cloned while somebody is connected to it.
func (s *setup) clone(ctx context.Context, migrate func(context.Context, string) error) (string, error) {
	template, group, err := templateName(migrate)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s%s_t_%x_%s", prefix, group, time.Now().Unix(), rand.Text()[:10])
	name = strings.ToLower(name)
	conn, err := pgx.Connect(ctx, s.server)
	if err != nil {
		return "", fmt.Errorf("connect to the server in %s: %w", Env, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	create := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	// Three attempts: the template may be missing, and may be dropped again by a newer build of the same tests.
	for range 3 {
		err = underLock(ctx, conn, group, "_shared", func() error {
			_, err := conn.Exec(ctx, create)
			return err
		})
		if !isMissing(err) {
			break
		}
		err = underLock(ctx, conn, group, "", func() error { return s.makeTemplate(ctx, conn, template, group, migrate) })
		if err != nil {
			return "", fmt.Errorf("make the template database: %w", err)
		}
	}
	if err != nil {
		return "", fmt.Errorf("clone the template database: %w", err)
	}
	return name, nil
}

// makeTemplate migrates under another name and renames when that has worked: a template is either complete or not there.
func (s *setup) makeTemplate(ctx context.Context, conn *pgx.Conn, template, group string, migrate func(context.Context, string) error) (err error) {
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", template).Scan(&exists); err != nil || exists {
		return err
	}
	if err := dropOld(ctx, conn, group); err != nil {
		return err
	}
	unfinished := prefix + group + "_unfinished"
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+unfinished+" TEMPLATE template0"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.drop(context.WithoutCancel(ctx), unfinished))
		}
	}()
	u, err := s.url(unfinished)
	if err != nil {
		return err
	}
	if err := migrate(ctx, u); err != nil {
		return err
	}
	// Whoever is still connected has forgotten to close what migrate opened.
	if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", unfinished); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+template)
	return err
}

// dropOld drops the templates of older builds of these tests, and what runs of them have left behind that were killed.
func dropOld(ctx context.Context, conn *pgx.Conn, group string) error {
	rows, err := conn.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", prefix+group+"_")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if since, ok := madeAt(name, group); ok && time.Since(since) < abandoned {
			continue // the database of a test that runs now
		}
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

// madeAt reads the time from the name of the database of a test; false for a template.
func madeAt(name, group string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(name, prefix+group+"_t_")
	if !ok {
		return time.Time{}, false
	}
	stamp, _, _ := strings.Cut(rest, "_")
	seconds, err := strconv.ParseInt(stamp, 16, 64)
	return time.Unix(seconds, 0), err == nil
}

func (s *setup) drop(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.server)
	if err != nil {
		return fmt.Errorf("drop the database %s: %w", name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop the database %s: %w", name, err)
	}
	return nil
}

// url is the server's URL with another database.
func (s *setup) url(database string) (string, error) {
	u, err := url.Parse(s.server)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("%s is not a URL (postgres://…)", Env) // without its text: it may hold a password
	}
	u.Path = "/" + database
	return u.String(), nil
}

// underLock runs f while this session holds the lock of the group: alone, or together with others that share it.
func underLock(ctx context.Context, conn *pgx.Conn, group, shared string, f func() error) error {
	h := fnv.New64a()
	_, _ = io.WriteString(h, prefix+group) // never fails
	key := int64(h.Sum64())                //nolint:gosec // any 64 bits will do
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock"+shared+"($1)", key); err != nil {
		return err
	}
	err := f()
	_, unlockErr := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock"+shared+"($1)", key)
	return errors.Join(err, unlockErr)
}

// isMissing reports whether the template was not there (SQLSTATE 3D000).
func isMissing(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "3D000"
}

// workingFolder is that of the package under test; taken before any test can change it.
var workingFolder, errWorkingFolder = os.Getwd()

// build identifies this build of the test program by its content.
var build = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

// templateName returns the name of the template for a build and a migrate function, and the group of all templates that
// replace each other: those of this function in this package of this checkout.
func templateName(migrate func(context.Context, string) error) (template, group string, err error) {
	hash, err := build()
	if err = errors.Join(err, errWorkingFolder); err != nil {
		return "", "", fmt.Errorf("identify the test program: %w", err)
	}
	function := runtime.FuncForPC(reflect.ValueOf(migrate).Pointer()).Name()
	sum := sha256.Sum256([]byte(workingFolder + "\x00" + function))
	group = hex.EncodeToString(sum[:4])
	return prefix + group + "_" + hash[:12], group, nil
}
