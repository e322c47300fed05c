package redis_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	shopredis "shop.example/platform/redis"
	"shop.example/platform/redistest"
)

// A command whose answer doesn't come in time has taken place, and must not again.
func TestClusterSendsOnce(t *testing.T) {
	t.Parallel()
	address, err := url.Parse(redistest.ClusterURL(t))
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("read_timeout", "100ms")
	address.RawQuery = query.Encode()
	impatient, err := shopredis.Open(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = impatient.Close() }()

	// Three times as long as the client waits.
	const slow = `redis.call('INCR', KEYS[1])
		local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end
		local begin = now()
		while now() - begin < 300000 do end`
	key := t.Name()
	if err := impatient.Eval(t.Context(), slow, []string{key}).Err(); err == nil {
		t.Fatal("the answer came in time")
	} else if !strings.Contains(err.Error(), "the answer is lost") {
		t.Errorf("error = %v", err)
	}
	// The node answers this after everything that it was sent before.
	patient := redistest.Cluster(t)
	if n, err := patient.Get(t.Context(), key).Int(); err != nil || n != 1 {
		t.Errorf("it took place %d times, %v; want once", n, err)
	}
}

// Keys are found wherever they are, and those with one hash tag are together.
func TestCluster(t *testing.T) {
	t.Parallel()
	client := redistest.Cluster(t)
	masters := map[string]bool{}
	for _, tag := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		keys := []string{t.Name() + "{" + tag + "}:1", t.Name() + "{" + tag + "}:2"}
		if err := client.Eval(t.Context(), `redis.call('SET', KEYS[1], 1, 'EX', 60) redis.call('SET', KEYS[2], 1, 'EX', 60)`, keys).Err(); err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		node, err := client.(*redis.ClusterClient).MasterForKey(t.Context(), keys[0])
		if err != nil {
			t.Fatal(err)
		}
		masters[node.Options().Addr] = true
		if ttl, err := node.TTL(t.Context(), keys[1]).Result(); err != nil || ttl < time.Second {
			t.Errorf("%s: %v, %v, want both keys on one node", keys[1], ttl, err)
		}
	}
	if len(masters) != 3 {
		t.Errorf("the keys are on %d nodes, want 3", len(masters))
	}
}
