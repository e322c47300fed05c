package redis

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func TestNewClient(t *testing.T) {
	t.Parallel()
	type settings struct {
		Where       string
		Cluster     bool
		TLS         bool
		DB          int
		PoolSize    int
		ReadTimeout time.Duration
		MaxRetries  int
	}
	tests := []struct {
		url  string
		want settings
	}{
		{"redis://localhost:6379/3", settings{Where: "localhost:6379/3", DB: 3, PoolSize: 20, ReadTimeout: time.Second, MaxRetries: 0}},
		{"rediss://u:p@localhost:6379", settings{Where: "localhost:6379/0", TLS: true, PoolSize: 20, ReadTimeout: time.Second, MaxRetries: 0}},
		{"redis://localhost:6379?pool_size=5&read_timeout=3s&max_retries=2", settings{Where: "localhost:6379/0", PoolSize: 5, ReadTimeout: 3 * time.Second, MaxRetries: 2}},
		{"redis://localhost:6379?cluster=false", settings{Where: "localhost:6379/0", PoolSize: 20, ReadTimeout: time.Second, MaxRetries: 0}},
		{"redis://a:6379?cluster=true", settings{Where: "cluster a:6379", Cluster: true, PoolSize: 20, ReadTimeout: time.Second}},
		{"rediss://u:p@a:6379?addr=b:6379&pool_size=7", settings{Where: "cluster a:6379,b:6379", Cluster: true, TLS: true, PoolSize: 7, ReadTimeout: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			client, where, err := newClient(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			got := settings{Where: where}
			switch c := client.(type) {
			case *redis.Client:
				o := c.Options()
				got.TLS, got.DB, got.PoolSize, got.ReadTimeout, got.MaxRetries = o.TLSConfig != nil, o.DB, o.PoolSize, o.ReadTimeout, o.MaxRetries
			case *redis.ClusterClient:
				o := c.Options()
				got.Cluster, got.TLS, got.PoolSize, got.ReadTimeout = true, o.TLSConfig != nil, o.PoolSize, o.ReadTimeout
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("client (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, want string }{
		{"redis://u:hunter2@host:not a port", "redis url"},
		{"http://u:hunter2@host", "redis url"},
		{"redis://host?nonsense=1", "nonsense"},
		{"redis://host?cluster=perhaps", "neither true nor false"},
		{"redis://u:hunter2@127.0.0.1:1/2", "connect to redis 127.0.0.1:1/2: no answer in time"},
	} {
		t.Run(tt.url, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := Open(ctx, tt.url)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error = %v, want one that says %q and no password", err, tt.want)
			}
		})
	}
}
