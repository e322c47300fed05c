// Package redis opens clients with the limits of the shop. Import it as shopredis, beside go-redis itself.
package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// How a client is limited. All of it can be said otherwise in the URL: dial_timeout, read_timeout, pool_size …
const (
	// Redis answers within a millisecond. Who waits a thousand times longer waits for something that is not there, and a
	// request has 5 s for everything.
	dialTimeout = 2 * time.Second
	ioTimeout   = time.Second
	poolTimeout = time.Second
	// poolSize: at a millisecond a command twenty connections do 20,000 commands a second, more than a replica asks for.
	poolSize = 20
	// minIdleConns are kept open, so that the first requests after a quiet time need not wait for a connection.
	minIdleConns    = 2
	connMaxIdleTime = 5 * time.Minute
	// openTimeout bounds the wait for a server that is starting too, as in `docker compose up`.
	openTimeout = 15 * time.Second
)

// Open returns a client for the server at rawURL after it has answered once; it waits up to 15 s for one that is not there
// yet, but not for one that refuses the password. The error does not contain the password.
//
// The URL is redis://user:password@host:port/db, or rediss:// for TLS; with ?cluster=true, or more addresses as in
// ?addr=host2:port&addr=host3:port, it is one of a Redis Cluster.
//
// Commands that were sent are not retried (max_retries in the URL says otherwise, for a server that is not a cluster): the
// client cannot know whether a script took place whose answer was lost. Deadlines of contexts hold. Commands are traced by
// name, without keys and arguments; they and the pool are measured.
func Open(ctx context.Context, rawURL string) (redis.UniversalClient, error) {
	LogToSlog()
	client, where, err := newClient(rawURL)
	if err != nil {
		return nil, err
	}
	fail := func(doing string, err error) (redis.UniversalClient, error) {
		_ = client.Close() // says nothing that matters more
		return nil, fmt.Errorf("%s redis %s: %w", doing, where, err)
	}
	if err := redisotel.InstrumentTracing(client, redisotel.WithDBStatement(false), redisotel.WithCallerEnabled(false)); err != nil {
		return fail("trace", err)
	}
	if err := redisotel.InstrumentMetrics(client, redisotel.WithSemConvCompliantMetrics(true)); err != nil {
		return fail("measure", err)
	}
	if err := await(ctx, func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		return fail("connect to", err)
	}
	return client, nil
}

func newClient(rawURL string) (client redis.UniversalClient, where string, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, "", errors.New("redis url: not a URL") // the parser's error repeats it, password and all
	}
	query := u.Query()
	cluster := query.Has("addr")
	if value := query.Get("cluster"); value != "" {
		is, err := strconv.ParseBool(value)
		if err != nil {
			return nil, "", fmt.Errorf("redis url: cluster=%q is neither true nor false", value)
		}
		cluster = cluster || is
	}
	query.Del("cluster") // ours; go-redis refuses what it does not know
	u.RawQuery = query.Encode()
	given := query.Has

	if cluster {
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, "", fmt.Errorf("redis url: %w", err)
		}
		o.DialTimeout = unless(given("dial_timeout"), o.DialTimeout, dialTimeout)
		o.ReadTimeout = unless(given("read_timeout"), o.ReadTimeout, ioTimeout)
		o.WriteTimeout = unless(given("write_timeout"), o.WriteTimeout, ioTimeout)
		o.PoolTimeout = unless(given("pool_timeout"), o.PoolTimeout, poolTimeout)
		o.PoolSize = unless(given("pool_size"), o.PoolSize, poolSize) // of each node
		o.MinIdleConns = unless(given("min_idle_conns"), o.MinIdleConns, minIdleConns)
		o.ConnMaxIdleTime = unless(given("conn_max_idle_time"), o.ConnMaxIdleTime, connMaxIdleTime)
		o.ContextTimeoutEnabled = true
		o.DisableIdentity = true // servers before 7.2 do not know the command, and each connection would count an error
		o.MaintNotificationsConfig = noMaintNotifications()
		client := redis.NewClusterClient(o)
		client.OnNewNode(func(node *redis.Client) { node.AddHook(onceOnly{}) })
		return client, "cluster " + strings.Join(o.Addrs, ","), nil
	}
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, "", fmt.Errorf("redis url: %w", err)
	}
	o.DialTimeout = unless(given("dial_timeout"), o.DialTimeout, dialTimeout)
	o.ReadTimeout = unless(given("read_timeout"), o.ReadTimeout, ioTimeout)
	o.WriteTimeout = unless(given("write_timeout"), o.WriteTimeout, ioTimeout)
	o.PoolTimeout = unless(given("pool_timeout"), o.PoolTimeout, poolTimeout)
	o.PoolSize = unless(given("pool_size"), o.PoolSize, poolSize)
	o.MinIdleConns = unless(given("min_idle_conns"), o.MinIdleConns, minIdleConns)
	o.ConnMaxIdleTime = unless(given("conn_max_idle_time"), o.ConnMaxIdleTime, connMaxIdleTime)
	o.MaxRetries = unless(given("max_retries"), o.MaxRetries, -1)
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true // servers before 7.2 do not know the command, and each connection would count an error
	o.MaintNotificationsConfig = noMaintNotifications()
	return redis.NewClient(o), fmt.Sprintf("%s/%d", o.Addr, o.DB), nil
}

func unless[T any](given bool, value, otherwise T) T {
	if given {
		return value
	}
	return otherwise
}

// noMaintNotifications turns off announcements that only Redis Enterprise makes, which cost a command per connection.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// await calls ping until it succeeds, the server refuses, or openTimeout is over.
func await(ctx context.Context, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	// Not noticed in a start, and no burden for a starting server.
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

// refused reports whether the server has answered and won't change its mind.
func refused(err error) bool {
	for _, prefix := range []string{"WRONGPASS", "NOAUTH", "NOPERM", "ERR invalid password", "ERR AUTH", "ERR DB index"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// LogToSlog makes the driver log like everything else. Open does it; it is for those who make their own clients.
func LogToSlog() { redis.SetLogger(driverLog{}) }

// driverLog sends what go-redis has to say, which is about broken connections, to slog.
type driverLog struct{}

func (driverLog) Printf(ctx context.Context, format string, v ...any) {
	slog.WarnContext(ctx, "redis client", "detail", fmt.Sprintf(format, v...))
}
