package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	// migrateTimeout bounds all of Migrate, the wait for the lock included. Migrations run before a replica is ready, and
	// those of the old release serve meanwhile, so there is time; but a start that hangs for ever is seen by nobody.
	migrateTimeout = 5 * time.Minute
	// migrateLockTimeout: a migration that waits for a table lock makes everybody after it wait too. Better that it fails
	// and the start is tried again.
	migrateLockTimeout = 5 * time.Second
	// unlockTimeout bounds giving the lock back, which also happens by itself when the connection is closed.
	unlockTimeout = 5 * time.Second
)

// Migrate brings the database at url to the newest version: first the *.sql files of migrations (goose's format; in the
// root or in a folder "migrations" of it), then each extra, for what libraries bring along (River's tables). Several
// replicas may call it at once: one works under a session lock, the others wait and find nothing to do.
//
// Each migration is a transaction of its own. One that fails stops all, and the error names its file; those before it stay.
// Extras must be idempotent, as they are called each time, and get a pool that is closed afterwards. Statements of
// migrations have no time limit but the 5 minutes of the whole; a lock is waited for 5 s.
func Migrate(ctx context.Context, url string, migrations fs.FS, extra ...func(context.Context, *pgxpool.Pool) error) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, migrateTimeout, fmt.Errorf("migrations did not end within %s", migrateTimeout))
	defer cancel()

	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("database url: %w", err)
	}
	setDefaults(config.ConnConfig, map[string]string{"lock_timeout": milliseconds(migrateLockTimeout)})
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.MaxConns = 2 // of the extras; the pool opens what is used
	where := describe(config.ConnConfig)

	db := stdlib.OpenDB(*config.ConnConfig)
	defer func() { _ = db.Close() }() // all was committed or failed by now
	if err := await(ctx, db.PingContext); err != nil {
		return fmt.Errorf("migrate %s: %w", where, err)
	}
	unlock, err := lockSession(ctx, db)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", where, err)
	}
	defer unlock()

	if err := migrateFiles(ctx, db, migrations); err != nil {
		return fmt.Errorf("migrate %s: %w", where, err)
	}
	if len(extra) == 0 {
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("migrate %s: %w", where, err)
	}
	defer pool.Close()
	for _, f := range extra {
		if err := f(ctx, pool); err != nil {
			return fmt.Errorf("migrate %s: %w", where, err)
		}
	}
	return nil
}

func migrateFiles(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	// What `//go:embed migrations/*.sql` gives has the folder in it.
	if info, err := fs.Stat(migrations, "migrations"); err == nil && info.IsDir() {
		if migrations, err = fs.Sub(migrations, "migrations"); err != nil {
			return err
		}
	}
	// Only what is handed over: not what some package may have put in goose's global registry.
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	applied, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		logApplied(ctx, partial.Applied)
		return fmt.Errorf("migration %s: %w", partial.Failed.Source.Path, partial.Err)
	}
	if err != nil {
		return err
	}
	logApplied(ctx, applied)
	return nil
}

func logApplied(ctx context.Context, results []*goose.MigrationResult) {
	for _, r := range results {
		slog.InfoContext(ctx, "migration applied", "migration", r.Source.Path, "took", r.Duration.Round(time.Millisecond))
	}
}

// lockSession takes goose's advisory lock on a connection of its own, asking once a second: a session that waits inside the
// server would keep CREATE INDEX CONCURRENTLY waiting for it, and that for ever. The lock is taken here and not by the
// provider because the extras need it too.
func lockSession(ctx context.Context, db *sql.DB) (unlock func(), err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migrateTimeout.Seconds())))
	if err == nil {
		err = locker.SessionLock(ctx, conn)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("wait for the migrations of another replica: %w", errors.Join(err, context.Cause(ctx)))
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		// A failure matters not: the connection is closed next, and the lock ends with it.
		_ = locker.SessionUnlock(ctx, conn)
		_ = conn.Close()
	}, nil
}
