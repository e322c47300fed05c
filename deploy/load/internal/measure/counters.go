package measure

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"shop.example/deploy/local/runner"
)

// Counters are what a shop has done so far.
type Counters struct {
	// CPU is the time of each process, with its children, by name; replicas are added up. Self is this process.
	CPU map[string]time.Duration
	// RPCs are the calls that services have answered, by service and method.
	RPCs map[string]map[string]int64
	// Transactions are those that were committed, by database; one that only reads counts, too.
	Transactions map[string]int64
	// WAL is what the PostgreSQL server has written to its log.
	WAL WAL
}

// WAL is what a PostgreSQL server has written to its log: how often it was forced to the disk, which serves many transactions
// at once, and how much there was.
type WAL struct{ Syncs, Bytes int64 }

// Self is the name of this process.
const Self = "load (this)"

// Read asks all parts of a shop what they have done.
func Read(ctx context.Context, shop runner.Description) (Counters, error) {
	c := Counters{RPCs: map[string]map[string]int64{}, Transactions: map[string]int64{}}
	var err error
	if c.CPU, err = cpu(shop.Processes); err != nil {
		return c, err
	}
	group, ctx := errgroup.WithContext(ctx)
	answered := make([]map[string]int64, len(shop.Processes))
	for i, p := range shop.Processes {
		if p.Admin == "" {
			continue
		}
		group.Go(func() (err error) {
			answered[i], err = rpcs(ctx, p.Admin)
			return err
		})
	}
	group.Go(func() error { return c.readDatabases(ctx, shop.Databases) })
	if err := group.Wait(); err != nil {
		return c, err
	}
	for i, p := range shop.Processes {
		if c.RPCs[p.Name] == nil {
			c.RPCs[p.Name] = map[string]int64{}
		}
		for method, n := range answered[i] {
			c.RPCs[p.Name][method] += n
		}
	}
	return c, nil
}

// readDatabases asks the server of each database. Local runs have one for all.
func (c *Counters) readDatabases(ctx context.Context, urls map[string]string) error {
	servers := map[string]WAL{}
	for name, url := range urls {
		server, wal, commits, err := readDatabase(ctx, url)
		if err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
		c.Transactions[name], servers[server] = commits, wal
	}
	for wal := range maps.Values(servers) {
		c.WAL.Syncs += wal.Syncs
		c.WAL.Bytes += wal.Bytes
	}
	return nil
}

func readDatabase(ctx context.Context, url string) (server string, wal WAL, commits int64, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", wal, 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version int
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, inet_server_addr()::text || ':' || inet_server_port(),
		(SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())`).Scan(&version, &server, &commits)
	if err != nil {
		return "", wal, 0, err
	}
	query := `SELECT wal_sync, wal_bytes::bigint FROM pg_stat_wal`
	if version >= 180000 { // the counts of all kinds of files have moved to one view
		query = `SELECT (SELECT coalesce(sum(fsyncs), 0)::bigint FROM pg_stat_io WHERE object = 'wal'), wal_bytes::bigint FROM pg_stat_wal`
	}
	err = conn.QueryRow(ctx, query).Scan(&wal.Syncs, &wal.Bytes)
	return server, wal, commits, err
}

// Since is what was done after an earlier reading. A process that was started again meanwhile counts from its start.
func (c Counters) Since(before Counters) Counters {
	done := Counters{
		CPU: difference(c.CPU, before.CPU), RPCs: map[string]map[string]int64{}, Transactions: difference(c.Transactions, before.Transactions),
		WAL: WAL{c.WAL.Syncs - before.WAL.Syncs, c.WAL.Bytes - before.WAL.Bytes},
	}
	for service, methods := range c.RPCs {
		done.RPCs[service] = difference(methods, before.RPCs[service])
	}
	return done
}

func difference[N int64 | time.Duration](now, before map[string]N) map[string]N {
	d := make(map[string]N, len(now))
	for name, n := range now {
		if was := before[name]; was <= n {
			n -= was
		}
		d[name] = n
	}
	return d
}
