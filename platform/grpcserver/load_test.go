package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/grpcserver"
	cartv1 "shop.example/proto/cart/v1"
)

func TestLimitOfCallsInFlight(t *testing.T) {
	t.Parallel()
	const most = 512
	var working atomic.Int64
	release := make(chan struct{})
	s := setup(t, func(_ context.Context, m proto.Message) error {
		if _, vital := m.(*cartv1.ClearCartRequest); vital {
			return nil
		}
		working.Add(1)
		<-release
		return nil
	})
	first, second := s.client(t, grpcserver.Gateway), s.dial(t, grpcserver.Gateway)
	var calls sync.WaitGroup
	for range most {
		calls.Go(func() {
			if _, err := first.GetCart(t.Context(), &cartv1.GetCartRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all slots taken", func() bool { return working.Load() == most })

	_, err := cartv1.NewCartServiceClient(second).GetCart(t.Context(), &cartv1.GetCartRequest{})
	refused := wantKind(t, err, apperr.Unavailable)
	// The method is safe, so it was tried three times; none of gRPC's words about that may reach the public.
	if want := "The shop is busy just now. Try again in a moment."; refused.Reason != "overloaded" || refused.Message != want {
		t.Errorf("refused as %q: %q", refused.Reason, refused.Message)
	}
	if n := len(s.logs.find(t, "call failed")); n != 3 {
		t.Errorf("tried %d times, want 3", n)
	}
	if err := second.Ping(t.Context()); err != nil {
		t.Errorf("a busy server is alive: %v", err)
	}
	if _, err := cartv1.NewCartServiceClient(second).ClearCart(t.Context(), &cartv1.ClearCartRequest{}); err != nil {
		t.Errorf("what is vital is answered however busy the server is: %v", err)
	}
	close(release)
	calls.Wait()
	if _, err := cartv1.NewCartServiceClient(second).GetCart(t.Context(), &cartv1.GetCartRequest{}); err != nil {
		t.Errorf("the slots did not come back: %v", err)
	}
	if n := working.Load(); n != most+1 {
		t.Errorf("handled %d calls, want %d", n, most+1)
	}
}

// An "overloaded" of a service behind this one is no reason to try this one again.
func TestOverloadElsewhereIsNotRetried(t *testing.T) {
	t.Parallel()
	var handled atomic.Int64
	s := setup(t, func(context.Context, proto.Message) error {
		handled.Add(1)
		return apperr.New(apperr.Unavailable, "overloaded", "Busy.")
	})
	_, err := s.client(t, grpcserver.Gateway).GetCart(t.Context(), &cartv1.GetCartRequest{})
	wantKind(t, err, apperr.Unavailable)
	if n := handled.Load(); n != 1 {
		t.Errorf("handled %d times, want 1", n)
	}
}

func TestGracefulStop(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := setup(t, func(context.Context, proto.Message) error {
		close(entered)
		<-release
		return nil
	})
	client := s.client(t, grpcserver.Gateway)
	// Somebody who watches the health for as long as it takes, as a load balancer may, must not hold up the stop.
	watch, err := healthv1.NewHealthClient(raw(t, s.addr, identity(t, s.dir, grpcserver.Gateway).ClientTLS(grpcserver.CartService))).
		Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := watch.Recv(); err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("watch: %v, %v", answer, err)
	}

	answered, stopped := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := client.AddItem(t.Context(), &cartv1.AddItemRequest{ProductId: "0190c5a4-0000-7000-8000-000000000001", Quantity: 1})
		answered <- err
	}()
	<-entered
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		stopped <- s.stop(ctx)
	}()
	for err == nil {
		_, err = watch.Recv()
	}
	if errors.Is(err, io.EOF) {
		t.Error("the watch ended as if it were over")
	}
	if s.monitor.Ready() {
		t.Error("a stopping server says that it is ready")
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped during a call: %v", err)
	case err := <-answered:
		t.Fatalf("the call was cut off: %v", err)
	default:
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the call that was running: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestHardStop(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	cancelled := make(chan struct{})
	s := setup(t, func(ctx context.Context, _ proto.Message) error {
		close(entered)
		<-ctx.Done()
		close(cancelled)
		<-release // it does not care
		return nil
	})
	client := s.client(t, grpcserver.Gateway)
	answered := make(chan error, 1)
	go func() {
		_, err := client.AddItem(t.Context(), &cartv1.AddItemRequest{ProductId: "0190c5a4-0000-7000-8000-000000000001", Quantity: 1})
		answered <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v, want the deadline", err)
	}
	wantKind(t, <-answered, apperr.Unavailable)
	<-cancelled
	close(release)
}
