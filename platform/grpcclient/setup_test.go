package grpcclient_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/logging"
	"shop.example/platform/mtls"
	cartv1 "shop.example/proto/cart/v1"
)

// spans records what all tests of this package trace; a test looks for its own trace.
var spans = tracetest.NewSpanRecorder()

func TestMain(m *testing.M) {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample()))))
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must happen: far more than it takes on a busy machine.
const patience = 20 * time.Second

const product = "0190c5a4-0000-7000-8000-000000000001"

// carts answers the methods that the tests call with what handle says.
type carts struct {
	cartv1.UnimplementedCartServiceServer
	handle handler
}

type handler func(context.Context, proto.Message) error

func (c carts) GetCart(ctx context.Context, req *cartv1.GetCartRequest) (*cartv1.GetCartResponse, error) {
	return &cartv1.GetCartResponse{Cart: &cartv1.Cart{Currency: "EUR"}}, c.handle(ctx, req)
}

func (c carts) AddItem(ctx context.Context, req *cartv1.AddItemRequest) (*cartv1.AddItemResponse, error) {
	return &cartv1.AddItemResponse{}, c.handle(ctx, req)
}

func (c carts) SetItem(ctx context.Context, req *cartv1.SetItemRequest) (*cartv1.SetItemResponse, error) {
	return &cartv1.SetItemResponse{}, c.handle(ctx, req)
}

func fine(context.Context, proto.Message) error { return nil }

func policy() grpcserver.Policy {
	p := grpcserver.Policy{}
	for _, m := range cartv1.CartService_ServiceDesc.Methods {
		p["/"+cartv1.CartService_ServiceDesc.ServiceName+"/"+m.MethodName] = grpcserver.Rule{
			Callers: []string{grpcserver.Gateway, grpcserver.OrderService},
		}
	}
	return p
}

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) has(parts ...string) bool {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return true
		}
	}
	return false
}

func certificates(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := devca.Create(dir, []string{grpcserver.Gateway, grpcserver.CartService, grpcserver.OrderService}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func identity(t testing.TB, dir, service string) *mtls.Source {
	t.Helper()
	source, err := mtls.Load(devca.Files(dir, service))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// replica is a running cart-service.
type replica struct {
	addr   string
	logs   *lines
	served atomic.Int64 // calls that its handlers saw
	stop   func(context.Context) error
}

// kill cuts off all calls.
func (r *replica) kill(t testing.TB) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = r.stop(ctx) // its error says that calls were cut off
}

// serve starts a replica at addr, with the certificates in dir.
func serve(t testing.TB, dir, addr string, handle handler, checks ...health.Check) *replica {
	t.Helper()
	r := &replica{logs: new(lines)}
	log := logging.New(r.logs, grpcserver.CartService, slog.LevelInfo)
	monitor := health.NewMonitor(log, checks...)
	counted := func(ctx context.Context, req proto.Message) error {
		r.served.Add(1)
		return handle(ctx, req)
	}
	server, err := grpcserver.New(grpcserver.Options{
		Service: grpcserver.CartService, Addr: addr, TLS: identity(t, dir, grpcserver.CartService), Log: log, Health: monitor,
		Tokens: func(_ context.Context, raw string) (auth.Principal, error) {
			return auth.Principal{UserID: "user-1", Role: auth.Customer, Token: raw}, nil
		},
		Policy: policy(),
	}, func(s grpc.ServiceRegistrar) { cartv1.RegisterCartServiceServer(s, carts{handle: counted}) })
	if err != nil {
		t.Fatal(err)
	}
	probes, component := monitor.Component(), server.Component()
	if err := errors.Join(probes.Start(t.Context()), component.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- component.Serve() }()
	r.addr, r.stop = server.Addr(), component.Stop
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = r.stop(ctx) // again, for tests that have stopped it themselves
		if err := errors.Join(probes.Stop(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return r
}

type client struct {
	cartv1.CartServiceClient
	conn *grpcclient.Conn
	logs *lines
}

func dial(t testing.TB, dir string, timeout time.Duration, replicas ...string) client {
	t.Helper()
	logs := new(lines)
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: grpcserver.CartService, Target: strings.Join(replicas, ", "), TLS: identity(t, dir, grpcserver.Gateway),
		Log: logging.New(logs, grpcserver.Gateway, slog.LevelInfo), Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{cartv1.NewCartServiceClient(conn), conn, logs}
}

// get calls a method that is safe to repeat, add one that is not.
func (c client) get(ctx context.Context) error {
	_, err := c.GetCart(ctx, &cartv1.GetCartRequest{})
	return err
}

func (c client) add(ctx context.Context) error {
	_, err := c.AddItem(ctx, &cartv1.AddItemRequest{ProductId: product, Quantity: 1})
	return err
}

// nowhere returns an address at which nobody listens.
func nowhere(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func wantKind(t testing.TB, err error, want apperr.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", want)
	}
	if got := apperr.KindOf(err); got != want {
		t.Fatalf("kind = %v, want %v: %v", got, want, err)
	}
}
