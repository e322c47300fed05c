// Package ratelimit says how often a client may ask. Across replicas the count is kept in Redis (GCRA); while Redis is away,
// each replica counts by itself, and no request fails for it.
package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

const (
	// redisTimeout bounds what a request waits for the count. Redis answers within a millisecond; an approximate count at
	// once is worth more than an exact one late.
	redisTimeout = 50 * time.Millisecond
	// redisPause is for how long Redis is left alone after it failed, so that an outage costs one request a second its 50 ms
	// and not all of them.
	redisPause = time.Second
)

// Policy is one limit: a bucket of Quota requests that refills evenly over Window.
type Policy struct {
	// Name is what clients see and part of the key; a token as in RFC 9651.
	Name   string
	Quota  int
	Window time.Duration
}

// String is the policy as an item of the RateLimit-Policy field (draft-ietf-httpapi-ratelimit-headers).
func (p Policy) String() string {
	return fmt.Sprintf("%q;q=%d;w=%d", p.Name, p.Quota, seconds(p.Window))
}

// Decision is the answer to one request.
type Decision struct {
	Allowed bool
	// Remaining is how many more requests are good right now.
	Remaining int
	// Reset is when the whole quota will be there again, if nothing more is asked.
	Reset time.Duration
	// RetryAfter is when the next request is good; 0 if this one was.
	RetryAfter time.Duration
}

// Field is the decision as an item of the RateLimit field.
func (d Decision) Field(p Policy) string {
	return fmt.Sprintf("%q;r=%d;t=%d", p.Name, d.Remaining, seconds(d.Reset))
}

// RetryAfterSeconds is the value of Retry-After: at least 1, since 0 invites a loop.
func (d Decision) RetryAfterSeconds() int { return max(1, seconds(d.RetryAfter)) }

// seconds rounds up: a client that waits as told must not be early.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// Limiter counts requests by policy and client.
type Limiter struct {
	shared  *redis_rate.Limiter // nil without Redis
	timeout time.Duration       // for Redis
	local   *local
	log     *slog.Logger
	now     func() time.Time
	// pausedUntil is the Unix time in nanoseconds before which Redis is not asked; 0 while it is well.
	pausedUntil atomic.Int64
}

// New returns a limiter. client may be nil: then each replica counts by itself. now is the clock.
func New(client redis.UniversalClient, log *slog.Logger, now func() time.Time) *Limiter {
	l := &Limiter{timeout: redisTimeout, local: newLocal(), log: log, now: now}
	if client != nil {
		l.shared = redis_rate.NewLimiter(client)
	}
	return l
}

// Take counts one request of a client.
func (l *Limiter) Take(ctx context.Context, p Policy, client string) Decision {
	now := l.now()
	if d, ok := l.takeShared(ctx, p, client, now); ok {
		return d
	}
	return l.local.take(p, client, now)
}

func (l *Limiter) takeShared(ctx context.Context, p Policy, client string, now time.Time) (Decision, bool) {
	if l.shared == nil {
		return Decision{}, false
	}
	paused := l.pausedUntil.Load()
	if now.UnixNano() < paused {
		return Decision{}, false
	}
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	limit := redis_rate.Limit{Rate: p.Quota, Burst: p.Quota, Period: p.Window}
	// One key a script: it is in one slot of a cluster by itself.
	result, err := l.shared.Allow(bounded, "gateway:"+p.Name+":"+client, limit)
	if err != nil {
		if ctx.Err() != nil {
			return Decision{}, false // the client went away, which says nothing of Redis
		}
		// Many may find out at once; one says so.
		if l.pausedUntil.CompareAndSwap(paused, now.Add(redisPause).UnixNano()) && paused == 0 {
			l.log.WarnContext(ctx, "rate limits are counted per replica: redis is away", "error", err)
		}
		return Decision{}, false
	}
	if paused != 0 && l.pausedUntil.CompareAndSwap(paused, 0) {
		l.log.InfoContext(ctx, "rate limits are shared again: redis is back")
	}
	return Decision{
		Allowed:    result.Allowed > 0,
		Remaining:  result.Remaining,
		Reset:      result.ResetAfter,
		RetryAfter: max(0, result.RetryAfter), // -1 when it was allowed
	}, true
}
