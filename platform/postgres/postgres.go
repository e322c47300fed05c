// Package postgres opens pools with the limits of the shop, migrates databases, and runs transactions.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// How a pool is limited. All of it can be said otherwise in the URL, with the names that PostgreSQL and pgxpool give it.
const (
	// maxConns: with 2 ms a statement ten connections do 5,000 statements a second, more than a replica has CPU for; and
	// three services with three replicas each stay below the 100 connections that a server takes by default.
	maxConns = 10
	// minIdleConns are kept open, so that the first requests after a quiet time need not wait for a connection.
	minIdleConns = 2
	// Connections are renewed, so that replicas behind a new address get used and backends' memory is given back; the jitter
	// keeps all replicas from doing so together.
	maxConnLifetime       = 30 * time.Minute
	maxConnLifetimeJitter = 5 * time.Minute
	maxConnIdleTime       = 5 * time.Minute
	// connectTimeout bounds one attempt: a request has 5 s, it should not spend them all on a server that is not there.
	connectTimeout = 3 * time.Second
	// statementTimeout: the longest deadline of a request is 10 s (checkout), nobody waits for what comes later. It is
	// the net below the contexts, for the case that a cancellation does not reach the server.
	statementTimeout = 10 * time.Second
	// lockTimeout: a row lock is held for milliseconds. Who waits for one this long should make room for others, and still
	// has time to answer.
	lockTimeout = 3 * time.Second
	// idleInTransactionTimeout frees locks that a process holds which hangs in the middle of a transaction.
	idleInTransactionTimeout = 10 * time.Second
	// workMem is of a sort or a bitmap. A bitmap of a hundred thousand rows in a large table doesn't fit into PostgreSQL's 4 MB:
	// it then keeps pages instead, all of which are read.
	workMem = "16MB"
	// openTimeout bounds the wait for a server that is starting too, as in `docker compose up`. Whoever runs the process
	// starts it again when that was not enough.
	openTimeout = 15 * time.Second
)

// Open returns a pool for the database at url, after it has answered once. It waits up to 15 s for a server that is not
// there yet, but not for one that refuses: a wrong password or database is an error at once. The error does not contain the
// password.
//
// Statements are traced and measured, without their parameters, and so is the pool. Timeouts are set per session
// (statement_timeout 10 s, lock_timeout 3 s, idle_in_transaction_session_timeout 10 s), and work_mem (16 MB), unless the URL sets
// them. A PgBouncer in between must be told to let them pass (ignore_startup_parameters).
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := poolConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.Tracer = otelpgx.NewTracer(
		otelpgx.WithDisableAcquireTracer(), // a span per statement is enough; waiting for the pool is in its metrics
	)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the pool for %s: %w", describe(config.ConnConfig), err)
	}
	if err := await(ctx, pool.Ping); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to %s: %w", describe(config.ConnConfig), err)
	}
	if err := otelpgx.RecordStats(pool); err != nil {
		pool.Close()
		return nil, fmt.Errorf("measure the pool for %s: %w", describe(config.ConnConfig), err)
	}
	return pool, nil
}

func poolConfig(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err) // pgx leaves the password out
	}
	// pgxpool takes its own settings out of what the URL says: this is all of it.
	given, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	unlessGiven := func(name string, set func()) {
		if _, ok := given.RuntimeParams[name]; !ok {
			set()
		}
	}
	unlessGiven("pool_max_conns", func() { config.MaxConns = maxConns })
	unlessGiven("pool_min_idle_conns", func() { config.MinIdleConns = min(minIdleConns, config.MaxConns) })
	unlessGiven("pool_max_conn_lifetime", func() { config.MaxConnLifetime = maxConnLifetime })
	unlessGiven("pool_max_conn_lifetime_jitter", func() { config.MaxConnLifetimeJitter = maxConnLifetimeJitter })
	unlessGiven("pool_max_conn_idle_time", func() { config.MaxConnIdleTime = maxConnIdleTime })
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	setDefaults(config.ConnConfig, map[string]string{
		"application_name":                    filepath.Base(os.Args[0]), // whose connection it is, in pg_stat_activity
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleInTransactionTimeout),
		"work_mem":                            workMem,
	})
	return config, nil
}

// setDefaults sets session parameters that the URL does not set.
func setDefaults(config *pgx.ConnConfig, params map[string]string) {
	for name, value := range params {
		if _, ok := config.RuntimeParams[name]; !ok {
			config.RuntimeParams[name] = value
		}
	}
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// describe names a database without its secrets.
func describe(config *pgx.ConnConfig) string {
	return fmt.Sprintf("postgres %s:%d/%s as %s", config.Host, config.Port, config.Database, config.User)
}

// await calls ping until it succeeds, the server refuses, or openTimeout is over.
func await(ctx context.Context, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	// A quarter of a second is not noticed in a start, and four attempts a second no burden for a starting server.
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ping(ctx)
		if err == nil || refused(err) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("no answer in time: %w", err)
		}
	}
}

// refused reports whether the server has answered and won't change its mind: class 28 is a failed authentication, 3D a
// database that does not exist, 42501 a missing privilege.
func refused(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) &&
		(strings.HasPrefix(pgErr.Code, "28") || strings.HasPrefix(pgErr.Code, "3D") || pgErr.Code == "42501")
}

// ViolatedConstraint returns the name of the constraint that err says was violated (SQLSTATE class 23), so that a store can
// tell its domain what is wrong. For a column that must not be null, which has no name of its own, it is the column's.
func ViolatedConstraint(err error) (name string, ok bool) {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || !strings.HasPrefix(pgErr.Code, "23") {
		return "", false
	}
	if pgErr.ConstraintName == "" {
		return pgErr.ColumnName, true
	}
	return pgErr.ConstraintName, true
}
