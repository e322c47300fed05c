package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

var policy = Policy{Name: "test", Quota: 5, Window: 10 * time.Second}

const patience = 10 * time.Second

// clock is a time that tests set.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.now.Load()) }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

func limiter(t *testing.T, server *miniredis.Miniredis, c *clock, log *slog.Logger) *Limiter {
	t.Helper()
	if server == nil {
		return New(nil, log, c.Now)
	}
	return patient(t, "redis://"+server.Addr(), log, c.Now)
}

// patient is a limiter that waits for Redis as long as a busy machine needs: what is tested is the count, and a count that
// fell back to this process for haste would be another one.
func patient(t *testing.T, url string, log *slog.Logger, now func() time.Time) *Limiter {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = patience, patience, patience, patience
	o.MaxRetries = -1 // as in production
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	l := New(client, log, now)
	l.timeout = patience
	return l
}

func take(t *testing.T, l *Limiter, client string, n int) (allowed int, last Decision) {
	t.Helper()
	for range n {
		if last = l.Take(t.Context(), policy, client); last.Allowed {
			allowed++
		}
	}
	return allowed, last
}

func TestBothCountAlike(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{true, false} {
		t.Run(fmt.Sprintf("shared=%v", shared), func(t *testing.T) {
			t.Parallel()
			c := newClock()
			var server *miniredis.Miniredis
			if shared {
				server = miniredis.RunT(t)
				server.SetTime(c.Now())
			}
			advance := func(d time.Duration) {
				c.advance(d)
				if server != nil {
					server.SetTime(c.Now())
				}
			}
			l := limiter(t, server, c, slog.New(slog.DiscardHandler))
			first := l.Take(t.Context(), policy, "a")
			if !first.Allowed || first.Remaining != 4 || first.Field(policy) != `"test";r=4;t=2` {
				t.Errorf("the first is %+v, %s", first, first.Field(policy))
			}
			allowed, last := take(t, l, "a", 10)
			if allowed != 4 || last.Allowed || last.Remaining != 0 || last.RetryAfterSeconds() != 2 {
				t.Errorf("%d more, then %+v", allowed, last)
			}
			if allowed, _ := take(t, l, "b", 1); allowed != 1 {
				t.Error("clients are not counted apart")
			}
			advance(2 * time.Second)
			if allowed, _ := take(t, l, "a", 3); allowed != 1 {
				t.Errorf("%d after the time of one", allowed)
			}
			advance(time.Minute)
			if allowed, _ := take(t, l, "a", 10); allowed != 5 {
				t.Errorf("%d after a minute", allowed)
			}
		})
	}
}

func TestReplicasShareTheCount(t *testing.T) {
	t.Parallel()
	server, c := miniredis.RunT(t), newClock()
	server.SetTime(c.Now())
	discard := slog.New(slog.DiscardHandler)
	one, two := limiter(t, server, c, discard), limiter(t, server, c, discard)
	a, _ := take(t, one, "a", 3)
	b, _ := take(t, two, "a", 10)
	if a+b != 5 {
		t.Errorf("%d and %d were allowed, want 5 in all", a, b)
	}
}

func TestRedisDiesAndComesBack(t *testing.T) {
	t.Parallel()
	server, c := miniredis.RunT(t), newClock()
	server.SetTime(c.Now())
	var log strings.Builder
	l := limiter(t, server, c, slog.New(slog.NewTextHandler(&log, nil)))
	take(t, l, "a", 5)
	server.Close()
	allowed, last := take(t, l, "a", 10)
	if allowed != 5 || last.Allowed {
		t.Errorf("without redis %d were allowed: want the quota, counted here", allowed)
	}
	c.advance(redisPause + time.Millisecond)
	if d := l.Take(context.Background(), policy, "b"); !d.Allowed {
		t.Error("a request failed for redis")
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	server.SetTime(c.Now())
	c.advance(redisPause + time.Millisecond)
	if d := l.Take(t.Context(), policy, "c"); !d.Allowed {
		t.Errorf("after the return: %+v", d)
	}
	if got := strings.Count(log.String(), "redis is away"); got != 1 {
		t.Errorf("the outage is in the log %d times", got)
	}
	if !strings.Contains(log.String(), "redis is back") {
		t.Errorf("the return is not in the log: %s", log.String())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l, c := newLocal(), newClock()
	l.size = 100
	for range 5 {
		l.take(policy, "regular", c.Now())
	}
	for i := range 10_000 {
		l.take(policy, fmt.Sprint("stranger", i), c.Now())
		if i%50 == 0 && l.take(policy, "regular", c.Now()).Allowed {
			t.Fatal("a flood of strangers gave the regular a new quota")
		}
	}
	if n := len(l.current) + len(l.previous); n > 200 {
		t.Errorf("%d clients are remembered", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	server, c := miniredis.RunT(t), newClock()
	server.SetTime(c.Now())
	for _, s := range []*miniredis.Miniredis{nil, server} {
		l := limiter(t, s, c, slog.New(slog.DiscardHandler))
		var allowed atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if l.Take(t.Context(), policy, "a").Allowed {
					allowed.Add(1)
				}
			})
		}
		all.Wait()
		if n := allowed.Load(); n != 5 {
			t.Errorf("%d at once were allowed", n)
		}
	}
}
