package grpcclient_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/grpcclient"
	"shop.example/platform/health"
	cartv1 "shop.example/proto/cart/v1"
)

// keyed is a request that has room for an Idempotency-Key.
type keyed struct {
	*cartv1.SetItemRequest
	key string
}

func (k keyed) GetIdempotencyKey() string { return k.key }

// setUnder calls a method that is safe to repeat under a key only.
func (c client) setUnder(ctx context.Context, key string) error {
	return c.conn.Invoke(ctx, cartv1.CartService_SetItem_FullMethodName, keyed{&cartv1.SetItemRequest{ProductId: product}, key}, new(cartv1.SetItemResponse))
}

// A call during which its replica dies may have been done or not.
func TestOnlySafeMethodsAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		call func(client, context.Context) error
		safe bool
	}{
		{"without side effects", client.get, true},
		{"idempotent", func(c client, ctx context.Context) error {
			_, err := c.SetItem(ctx, &cartv1.SetItemRequest{ProductId: product})
			return err
		}, true},
		{"idempotent under a key, with one", func(c client, ctx context.Context) error { return c.setUnder(ctx, "a key") }, true},
		{"idempotent under a key, without one", func(c client, ctx context.Context) error { return c.setUnder(ctx, "") }, false},
		{"unmarked", client.add, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := certificates(t)
			var replicas [2]*replica
			var first sync.Once
			handle := func(i int) handler {
				return func(ctx context.Context, _ proto.Message) error {
					first.Do(func() {
						replicas[i].kill(t)
						<-ctx.Done()
					})
					return ctx.Err()
				}
			}
			for i := range replicas {
				replicas[i] = serve(t, dir, "127.0.0.1:0", handle(i))
			}
			c := dial(t, dir, patience, replicas[0].addr, replicas[1].addr)
			err := tt.call(c, t.Context())
			served := replicas[0].served.Load() + replicas[1].served.Load()
			switch {
			case tt.safe && (err != nil || served != 2):
				t.Errorf("after %d tries: %v", served, err)
			case !tt.safe && (apperr.KindOf(err) != apperr.Unavailable || served != 1):
				t.Errorf("after %d tries: %v, want one try and unavailable", served, err)
			}
		})
	}
}

func TestAnswersAreNotTriedAgain(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	r := serve(t, dir, "127.0.0.1:0", func(context.Context, proto.Message) error {
		return apperr.DependencyUnavailable(errors.New("no database"))
	})
	wantKind(t, dial(t, dir, patience, r.addr).get(t.Context()), apperr.Unavailable)
	if n := r.served.Load(); n != 1 {
		t.Errorf("tried %d times, want 1: the load on what is away would multiply", n)
	}
}

func TestCallsHaveADeadline(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	r := serve(t, dir, "127.0.0.1:0", func(ctx context.Context, _ proto.Message) error {
		<-ctx.Done()
		return ctx.Err()
	})
	wantKind(t, dial(t, dir, 200*time.Millisecond, r.addr).add(t.Context()), apperr.DeadlineExceeded)
}

const (
	opened = `"to":"open"`
	closed = `"to":"closed"`
)

func TestBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	addr := nowhere(t)
	c := dial(t, dir, patience, addr)
	for range 20 {
		wantKind(t, c.add(t.Context()), apperr.Unavailable)
	}
	if !c.logs.has("breaker changed", "cart-service", opened) {
		t.Fatalf("it did not open: %s", c.logs)
	}
	if err := c.conn.Ping(t.Context()); err == nil {
		t.Error("nobody is there to answer a ping")
	}
	r := serve(t, dir, addr, fine)
	eventually(t, "calls go through and the breaker closes", func() bool { return c.add(t.Context()) == nil && c.logs.has(closed) })
	if r.served.Load() == 0 {
		t.Error("who answered?")
	}
}

func TestBreakerOpensWhenTheServiceHangs(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	r := serve(t, dir, "127.0.0.1:0", func(ctx context.Context, _ proto.Message) error {
		<-ctx.Done()
		return ctx.Err()
	})
	c := dial(t, dir, 400*time.Millisecond, r.addr)
	eventually(t, "it opens", func() bool {
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() { _ = c.add(t.Context()) })
		}
		calls.Wait()
		return c.logs.has(opened)
	})
}

// What says nothing of the service, or comes from it, leaves the breaker closed.
func TestBreakerStaysClosed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		handle handler
		limit  func(context.Context) (context.Context, context.CancelFunc) // what the caller does
	}{
		{
			"callers go away",
			func(ctx context.Context, _ proto.Message) error { <-ctx.Done(); return ctx.Err() },
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				stop := time.AfterFunc(20*time.Millisecond, cancel)
				return ctx, func() { stop.Stop(); cancel() }
			},
		},
		{
			"callers have little time left",
			func(ctx context.Context, _ proto.Message) error { <-ctx.Done(); return ctx.Err() },
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 50*time.Millisecond)
			},
		},
		{
			"what the service depends on is away",
			func(context.Context, proto.Message) error {
				return apperr.DependencyUnavailable(errors.New("no provider"))
			},
			context.WithCancel,
		},
		{
			"internal errors",
			func(context.Context, proto.Message) error { return errors.New("a mistake") },
			context.WithCancel,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := certificates(t)
			r := serve(t, dir, "127.0.0.1:0", tt.handle)
			c := dial(t, dir, patience, r.addr)
			if err := c.conn.Ping(t.Context()); err != nil { // connected
				t.Fatal(err)
			}
			for range 30 {
				ctx, cancel := tt.limit(t.Context())
				if err := c.add(ctx); err == nil {
					t.Error("a call went well")
				}
				cancel()
			}
			if c.logs.has("breaker changed") {
				t.Errorf("%s", c.logs)
			}
		})
	}
}

func TestBulkhead(t *testing.T) {
	t.Parallel()
	const most = 512
	dir := certificates(t)
	release := make(chan struct{})
	hang := func(context.Context, proto.Message) error { <-release; return nil }
	// Two, so that neither is at the limit of a server.
	a, b := serve(t, dir, "127.0.0.1:0", hang), serve(t, dir, "127.0.0.1:0", hang)
	c := dial(t, dir, patience, a.addr, b.addr)
	var calls sync.WaitGroup
	for range most {
		calls.Go(func() {
			if err := c.get(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all calls are there", func() bool { return a.served.Load()+b.served.Load() == most })
	for range 30 {
		wantKind(t, c.add(t.Context()), apperr.Unavailable)
	}
	if n := a.served.Load() + b.served.Load(); n != most {
		t.Errorf("%d calls got through", n-most)
	}
	if err := c.conn.Ping(t.Context()); err != nil {
		t.Errorf("a busy service is not away: %v", err)
	}
	// This server does not know the method; what matters is that it was asked.
	if _, err := grpcclient.SigningKeys(c.conn)(t.Context()); err == nil || apperr.KindOf(err) == apperr.Unavailable {
		t.Errorf("the keys can't be asked for beside other calls: %v", err)
	}
	close(release)
	calls.Wait()
	if c.logs.has("breaker changed") {
		t.Error("a full bulkhead opened the breaker")
	}
	if err := c.get(t.Context()); err != nil {
		t.Errorf("the slots did not come back: %v", err)
	}
}

func TestReplicasShareTheLoadAndReplaceEachOther(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	a, b := serve(t, dir, "127.0.0.1:0", fine), serve(t, dir, "127.0.0.1:0", fine)
	c := dial(t, dir, patience, a.addr, b.addr)
	eventually(t, "both work", func() bool {
		if err := c.add(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a.served.Load() > 0 && b.served.Load() > 0
	})
	before := a.served.Load()
	const calls = 40
	for range calls {
		if err := c.add(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.served.Load() - before; n != calls/2 {
		t.Errorf("one of two has had %d of %d calls", n, calls)
	}

	a.kill(t)
	for range calls {
		if err := c.get(t.Context()); err != nil {
			t.Fatalf("after one of two was killed: %v", err)
		}
	}
	serve(t, dir, a.addr, fine)
	eventually(t, "the restarted one works again", func() bool {
		before := b.served.Load()
		for range 4 {
			if err := c.get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return b.served.Load()-before == 2
	})
}

// A rolling restart loses no call, not even one that must not be repeated.
func TestGracefulStopLosesNoCall(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	a, b := serve(t, dir, "127.0.0.1:0", fine), serve(t, dir, "127.0.0.1:0", fine)
	c := dial(t, dir, patience, a.addr, b.addr)
	eventually(t, "both work", func() bool {
		if err := c.add(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a.served.Load() > 0 && b.served.Load() > 0
	})
	var (
		over  atomic.Bool
		calls sync.WaitGroup
	)
	for range 4 {
		calls.Go(func() {
			for !over.Load() {
				if err := c.add(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	over.Store(true)
	calls.Wait()
}

func TestReplicaThatIsNotReadyGetsNoCalls(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	var well atomic.Bool
	ready := serve(t, dir, "127.0.0.1:0", fine)
	ill := serve(t, dir, "127.0.0.1:0", fine, health.Check{Name: "postgres", Probe: func(context.Context) error {
		if well.Load() {
			return nil
		}
		return errors.New("no database")
	}})
	c := dial(t, dir, patience, ready.addr, ill.addr)
	for range 40 {
		if err := c.add(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := ill.served.Load(); n != 0 {
		t.Errorf("it got %d calls", n)
	}
	if err := dial(t, dir, patience, ill.addr).conn.Ping(t.Context()); err == nil {
		t.Error("a ping finds it well")
	}
	well.Store(true)
	eventually(t, "it gets calls when it is ready", func() bool {
		if err := c.add(t.Context()); err != nil {
			t.Fatal(err)
		}
		return ill.served.Load() > 0
	})
}
