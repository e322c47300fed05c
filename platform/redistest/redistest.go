// Package redistest gives each test a logical Redis database of its own.
//
// A server has sixteen of them (0–15). A test takes one of 1–15 that is empty, for as long as it lasts, and empties it at
// the end with FLUSHDB; in database 0 it only keeps who has taken which, under keys that begin with "redistest:". A database
// that holds anything which no test has put there is never taken, and FLUSHALL is never used, so that a server which somebody
// works with can be used too. Tests of several programs share a server; when all databases are taken, they wait.
//
// A Redis Cluster has no logical databases: tests of one use Cluster.
package redistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	shopredis "shop.example/platform/redis"
)

// Env is the variable with the URL of a server.
const Env = "TEST_REDIS_URL"

const (
	databases = 15
	// lease is how long a database stays taken by a test program that was killed: go test ends a run after ten minutes by
	// default, so that nobody who is alive loses its database.
	lease = 10 * time.Minute
	// wait is how long a test waits for a free database.
	wait = time.Minute
	// cleanupTimeout bounds the emptying at the end.
	cleanupTimeout = 10 * time.Second
)

// New returns a client on an empty database, which is the test's until it ends.
func New(t testing.TB) redis.UniversalClient {
	t.Helper()
	client, err := shopredis.Open(t.Context(), URL(t))
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// URL is New for tests that open the client themselves, or hand it to a process.
func URL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(Env)
	if server == "" {
		t.Fatalf("redistest: %s is not set. `make test` starts a server and sets it; else give the URL of one.", Env)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("redistest: %s is not a URL", Env) // without its text: it may hold a password
	}
	options, err := redis.ParseURL(server)
	if err != nil {
		t.Fatalf("redistest: %s: %v", Env, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	c := &claimer{options: options, owner: rand.Text()}
	db, err := c.take(ctx)
	if err != nil {
		t.Fatalf("redistest: take a database: %v", err)
	}
	t.Cleanup(func() {
		// The context of the test is done by now.
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := c.giveBack(ctx, db); err != nil {
			t.Errorf("redistest: give the database back: %v", err)
		}
	})
	u.Path = fmt.Sprintf("/%d", db)
	return u.String()
}

type claimer struct {
	options *redis.Options
	owner   string
}

func takenKey(db int) string { return fmt.Sprintf("redistest:taken:%d", db) }

// usedKey says that what is in the database was put there by a test, should its program have been killed.
func usedKey(db int) string { return fmt.Sprintf("redistest:used:%d", db) }

// on runs f with a client of the database db.
func (c *claimer) on(db int, f func(*redis.Client) error) error {
	o := *c.options
	o.DB, o.PoolSize = db, 1
	client := redis.NewClient(&o)
	return errors.Join(f(client), client.Close())
}

func (c *claimer) take(ctx context.Context) (int, error) {
	ticker := time.NewTicker(50 * time.Millisecond) // a test that waits for others need not be faster
	defer ticker.Stop()
	for {
		for db := 1; db <= databases; db++ {
			ok, err := c.tryTake(ctx, db)
			if err != nil || ok {
				return db, err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("none of the databases 1 to %d is free: %w", databases, ctx.Err())
		}
	}
}

func (c *claimer) tryTake(ctx context.Context, db int) (taken bool, err error) {
	err = c.on(0, func(zero *redis.Client) error {
		ok, err := zero.SetNX(ctx, takenKey(db), c.owner, lease).Result()
		if err != nil || !ok {
			return err
		}
		return c.on(db, func(own *redis.Client) error {
			keys, err := own.DBSize(ctx).Result()
			if err != nil {
				return err
			}
			used, err := zero.Exists(ctx, usedKey(db)).Result()
			if err != nil {
				return err
			}
			if keys > 0 && used == 0 { // somebody's data
				return zero.Del(ctx, takenKey(db)).Err()
			}
			if err := zero.Set(ctx, usedKey(db), c.owner, 0).Err(); err != nil {
				return err
			}
			taken = true
			return own.FlushDB(ctx).Err()
		})
	})
	return taken && err == nil, err
}

// release gives the database back if it is still ours: after the lease it may be another test's.
var release = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1], KEYS[2])`)

func (c *claimer) giveBack(ctx context.Context, db int) error {
	return c.on(0, func(zero *redis.Client) error {
		owner, err := zero.Get(ctx, takenKey(db)).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if owner != c.owner {
			return fmt.Errorf("the test took longer than %s and lost its database", lease)
		}
		if err := c.on(db, func(own *redis.Client) error { return own.FlushDB(ctx).Err() }); err != nil {
			return err
		}
		return release.Run(ctx, zero, []string{takenKey(db), usedKey(db)}, c.owner).Err()
	})
}
