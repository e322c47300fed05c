package redistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"shop.example/platform/localstores"
	"shop.example/platform/localstores/ports"
	shopredis "shop.example/platform/redis"
)

const (
	clusterNodes = 3
	clusterSlots = 16384
	// clusterTimeout bounds the start. Nodes need some three seconds: they wait for two after their start before they serve.
	clusterTimeout = time.Minute
)

// Cluster returns a client on a Redis Cluster of three nodes, which tests of one program share and which is gone when none of
// them runs any more. It can't be emptied between them: each test has keys of its own. A machine without a Redis server
// skips the test.
func Cluster(t testing.TB) redis.UniversalClient {
	t.Helper()
	client, err := shopredis.Open(t.Context(), ClusterURL(t))
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// ClusterURL is Cluster for tests that open the client themselves, or hand it to a process.
func ClusterURL(t testing.TB) string {
	t.Helper()
	programs, err := localstores.FindRedis()
	if missing := (*localstores.MissingError)(nil); errors.As(err, &missing) {
		t.Skipf("redistest: no cluster: %v", err)
	}
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	address, err := shared.join(t.Context(), programs)
	if err != nil {
		t.Fatalf("redistest: start a cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := shared.leave(); err != nil {
			t.Errorf("redistest: end the cluster: %v", err)
		}
	})
	return address
}

// shared is the cluster of this program: the first test that needs it starts it, the last one ends it. Should the program be
// killed, the system ends the nodes.
var shared sharedCluster

type sharedCluster struct {
	mu    sync.Mutex
	users int
	nodes *nodes
}

func (s *sharedCluster) join(ctx context.Context, programs *localstores.Programs) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		// Other tests go on with it when the one that started it is done.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clusterTimeout)
		defer cancel()
		started, err := startNodes(ctx, programs)
		if err != nil {
			return "", errors.Join(err, started.end())
		}
		s.nodes = started
	}
	s.users++
	return s.nodes.url(), nil
}

func (s *sharedCluster) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	return s.nodes.end()
}

// nodes are the servers of a cluster.
type nodes struct {
	dir      string
	password string
	servers  []*localstores.Server
	ports    []int // two a server: for clients, for other nodes
}

// startNodes starts a cluster. What it returns has to be ended, also with an error.
func startNodes(ctx context.Context, programs *localstores.Programs) (*nodes, error) {
	n := &nodes{password: rand.Text()}
	var err error
	if n.dir, err = os.MkdirTemp("", "shop-cluster-"); err != nil {
		return n, err
	}
	for i := range clusterNodes {
		for range 2 {
			port, err := ports.Reserve()
			if err != nil {
				return n, err
			}
			n.ports = append(n.ports, port)
		}
		server, err := programs.StartRedis(ctx, localstores.RedisOptions{
			Dir: filepath.Join(n.dir, strconv.Itoa(i)), Port: n.ports[2*i], BusPort: n.ports[2*i+1],
			Password: n.password, LogFile: filepath.Join(n.dir, fmt.Sprintf("%d.log", i)), Throwaway: true,
		})
		if err != nil {
			return n, err
		}
		n.servers = append(n.servers, server)
	}
	for i := range n.servers {
		if err := n.on(i, func(node *redis.Client) error { return n.settle(ctx, node, i) }); err != nil {
			return n, err
		}
	}
	for i := range n.servers {
		if err := n.on(i, func(node *redis.Client) error { return awaitCluster(ctx, node) }); err != nil {
			return n, fmt.Errorf("node %d: %w", i, err)
		}
	}
	return n, nil
}

// settle gives a node its part of the slots and makes it known to the first one, which tells the others.
func (n *nodes) settle(ctx context.Context, node *redis.Client, i int) error {
	from, to := i*clusterSlots/clusterNodes, (i+1)*clusterSlots/clusterNodes-1
	if err := node.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
		return fmt.Errorf("give node %d its slots: %w", i, err)
	}
	// Nodes that begin with the same epoch would have to settle that first.
	if err := node.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
		return fmt.Errorf("give node %d its epoch: %w", i, err)
	}
	if i == 0 {
		return nil
	}
	if err := node.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", n.ports[0], n.ports[1]).Err(); err != nil {
		return fmt.Errorf("introduce node %d: %w", i, err)
	}
	return nil
}

// awaitCluster waits until a node sees all the others and serves.
func awaitCluster(ctx context.Context, node *redis.Client) error {
	ticker := time.NewTicker(50 * time.Millisecond) // not noticed among the seconds that it takes
	defer ticker.Stop()
	for {
		info, err := node.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_size:%d", clusterNodes)) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("it does not come together: %w\n%s", ctx.Err(), info)
		}
	}
}

// on runs f with a client of one node.
func (n *nodes) on(i int, f func(*redis.Client) error) error {
	client := redis.NewClient(&redis.Options{Addr: n.servers[i].Addr, Password: n.password, DisableIdentity: true})
	return errors.Join(f(client), client.Close())
}

// url is as shopredis.Open wants it.
func (n *nodes) url() string {
	var others []string
	for _, s := range n.servers[1:] {
		others = append(others, s.Addr)
	}
	u := url.URL{
		Scheme: "redis", User: url.UserPassword("default", n.password), Host: n.servers[0].Addr,
		RawQuery: url.Values{"addr": others}.Encode(),
	}
	return u.String()
}

// end kills the nodes, in whose data nobody is interested, and removes what they leave.
func (n *nodes) end() error {
	for _, s := range n.servers {
		s.Kill()
		<-s.Done()
	}
	ports.Release(n.ports...)
	return os.RemoveAll(n.dir)
}
