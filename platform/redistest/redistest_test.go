package redistest_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"shop.example/platform/redistest"
)

// More tests at once than there are databases: each has its own, and the last ones wait.
func TestIsolation(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			client := redistest.New(t)
			if n, err := client.Incr(t.Context(), "n").Result(); err != nil || n != 1 {
				t.Errorf("n = %d (%v), want 1: the database is not empty", n, err)
			}
		})
	}
}

func TestGivenBackEmpty(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("user", func(t *testing.T) {
		url = redistest.URL(t)
		client := open(t, url)
		if err := client.Set(t.Context(), "left-by-TestGivenBackEmpty", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
	})
	if n, err := open(t, url).Exists(t.Context(), "left-by-TestGivenBackEmpty").Result(); err != nil || n != 0 {
		t.Errorf("the key of an ended test is there (%v)", err)
	}
}

func TestHintWithoutServer(t *testing.T) {
	if os.Getenv("REDISTEST_WITHOUT_SERVER") != "" {
		redistest.New(t)
		return
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHintWithoutServer$")
	cmd.Env = append(os.Environ(), redistest.Env+"=", "REDISTEST_WITHOUT_SERVER=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "make test") {
		t.Errorf("without a server: %v, %s; want a failure with a hint", err, out)
	}
}

func open(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
