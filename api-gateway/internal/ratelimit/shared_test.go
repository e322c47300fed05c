package ratelimit

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shop.example/platform/redistest"
)

// TestReplicasShareARealRedis: two replicas, many requests at once, and the script as Redis itself runs it.
func TestReplicasShareARealRedis(t *testing.T) {
	t.Parallel()
	url := redistest.URL(t)
	// No refill while it lasts, so that the quota is all that there is.
	p := Policy{Name: "shared", Quota: 50, Window: time.Hour}
	var (
		allowed atomic.Int64
		all     sync.WaitGroup
	)
	for range 2 {
		l := patient(t, url, slog.New(slog.DiscardHandler), time.Now)
		for range 4 {
			all.Go(func() {
				for range 25 {
					if l.Take(t.Context(), p, "a").Allowed {
						allowed.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	if n := allowed.Load(); n != 50 {
		t.Errorf("%d of 200 requests to two replicas were allowed, want the quota of 50", n)
	}
}

// TestTheClientOfProduction is the one with the short timeouts: it reaches a Redis that is there, and gives up in time on one
// that does not answer.
func TestTheClientOfProduction(t *testing.T) {
	t.Parallel()
	client, err := OpenRedis(redistest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	l := New(client, slog.New(slog.DiscardHandler), time.Now)
	deadline := time.Now().Add(10 * time.Second)
	for shared := false; !shared; { // a busy machine may need more than one try of 50 ms
		if time.Now().After(deadline) {
			t.Fatal("Redis is never reached")
		}
		_, shared = l.takeShared(t.Context(), policy, "a", time.Now())
	}
	if _, err := OpenRedis("redis://:secret@host:port"); err == nil || err.Error() != "REDIS_URL is not a redis:// URL" {
		t.Errorf("got %v", err)
	}
}
