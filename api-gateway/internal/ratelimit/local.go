package ratelimit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// generationSize bounds the memory: two generations of this many clients are remembered, some 20 MB at worst. Who floods us
// from more addresses than that within moments is nothing that a limit per address can stop.
const generationSize = 50_000

// local counts in this process. It forgets by generations: when the current one is full it becomes the previous one, and
// what that held is dropped, except for clients that came back in between. So an active client is never forgotten, and
// nothing has to be swept.
type local struct {
	mu                sync.Mutex
	current, previous map[string]*rate.Limiter
	size              int
}

func newLocal() *local {
	return &local{current: make(map[string]*rate.Limiter), size: generationSize}
}

func (l *local) take(p Policy, client string, now time.Time) Decision {
	bucket := l.bucket(p, p.Name+":"+client)
	allowed := bucket.AllowN(now, 1)
	tokens := max(0, bucket.TokensAt(now))
	perSecond := float64(bucket.Limit())
	d := Decision{
		Allowed:   allowed,
		Remaining: int(tokens),
		Reset:     time.Duration((float64(p.Quota) - tokens) / perSecond * float64(time.Second)),
	}
	if !allowed {
		d.RetryAfter = time.Duration((1 - tokens) / perSecond * float64(time.Second))
	}
	return d
}

func (l *local) bucket(p Policy, key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.current[key]; ok {
		return b
	}
	b, ok := l.previous[key]
	if !ok {
		b = rate.NewLimiter(rate.Limit(float64(p.Quota)/p.Window.Seconds()), p.Quota)
	}
	if len(l.current) >= l.size {
		l.previous, l.current = l.current, make(map[string]*rate.Limiter)
	}
	l.current[key] = b
	return b
}
