package grpcserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

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

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen: far more than it takes on a busy machine.
const patience = 20 * time.Second

// carts answers every method with what handle says.
type carts struct {
	cartv1.UnimplementedCartServiceServer
	handle func(context.Context, proto.Message) error
}

func (c carts) GetCart(ctx context.Context, req *cartv1.GetCartRequest) (*cartv1.GetCartResponse, error) {
	return &cartv1.GetCartResponse{}, c.handle(ctx, req)
}

func (c carts) AddItem(ctx context.Context, req *cartv1.AddItemRequest) (*cartv1.AddItemResponse, error) {
	return &cartv1.AddItemResponse{}, c.handle(ctx, req)
}

func (c carts) SetItem(ctx context.Context, req *cartv1.SetItemRequest) (*cartv1.SetItemResponse, error) {
	return &cartv1.SetItemResponse{}, c.handle(ctx, req)
}

func (c carts) RemoveItem(ctx context.Context, req *cartv1.RemoveItemRequest) (*cartv1.RemoveItemResponse, error) {
	return &cartv1.RemoveItemResponse{}, c.handle(ctx, req)
}

func (c carts) ClearCart(ctx context.Context, req *cartv1.ClearCartRequest) (*cartv1.ClearCartResponse, error) {
	return &cartv1.ClearCartResponse{}, c.handle(ctx, req)
}

func (c carts) RemovePurchased(ctx context.Context, req *cartv1.RemovePurchasedRequest) (*cartv1.RemovePurchasedResponse, error) {
	return &cartv1.RemovePurchasedResponse{}, c.handle(ctx, req)
}

var policy = grpcserver.Policy{
	cartv1.CartService_GetCart_FullMethodName:         {Callers: []string{grpcserver.Gateway}},
	cartv1.CartService_AddItem_FullMethodName:         {Callers: []string{grpcserver.Gateway}},
	cartv1.CartService_SetItem_FullMethodName:         {Callers: []string{grpcserver.Gateway}, User: true},
	cartv1.CartService_RemoveItem_FullMethodName:      {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	cartv1.CartService_ClearCart_FullMethodName:       {Callers: []string{grpcserver.Gateway}, Vital: true},
	cartv1.CartService_MergeCart_FullMethodName:       {Callers: []string{grpcserver.Gateway}, User: true},
	cartv1.CartService_RemovePurchased_FullMethodName: {Callers: []string{grpcserver.OrderService}},
}

func policyWith(method string, rule grpcserver.Rule) grpcserver.Policy {
	p := maps.Clone(policy)
	p[method] = rule
	return p
}

func policyWithout(method string) grpcserver.Policy {
	p := maps.Clone(policy)
	delete(p, method)
	return p
}

// verify knows the tokens "customer" and "staff".
func verify(_ context.Context, raw string) (auth.Principal, error) {
	if raw != "customer" && raw != "staff" {
		return auth.Principal{}, apperr.New(apperr.Unauthenticated, "unauthenticated", "The token is not good.")
	}
	return auth.Principal{UserID: "user-1", Role: auth.Role(raw), SessionID: "s", Token: raw}, nil
}

// as returns a context of a user with a token.
func as(ctx context.Context, raw string) context.Context {
	return auth.NewContext(ctx, auth.Principal{UserID: "user-1", Token: raw})
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

// find returns the lines with this message.
func (l *lines) find(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

type shop struct {
	dir     string // its keys and certificates
	addr    string
	logs    *lines
	monitor *health.Monitor
	// stop ends the server as its component would.
	stop func(context.Context) error
}

// setup starts cart-service on a free port with real certificates.
func setup(t *testing.T, handle func(context.Context, proto.Message) error) *shop {
	t.Helper()
	s := &shop{dir: certificates(t), logs: new(lines)}
	log := logging.New(s.logs, grpcserver.CartService, slog.LevelInfo)
	s.monitor = health.NewMonitor(log)
	server, err := grpcserver.New(grpcserver.Options{
		Service: grpcserver.CartService, Addr: "127.0.0.1:0", TLS: identity(t, s.dir, grpcserver.CartService), Log: log,
		Health: s.monitor, Tokens: verify, Policy: policy,
	}, func(r grpc.ServiceRegistrar) { cartv1.RegisterCartServiceServer(r, carts{handle: handle}) })
	if err != nil {
		t.Fatal(err)
	}
	probes, component := s.monitor.Component(), server.Component()
	if err := errors.Join(probes.Start(t.Context()), component.Start(t.Context())); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- component.Serve() }()
	s.addr = server.Addr()
	s.stop = component.Stop
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = s.stop(ctx) // tests that care have stopped it themselves
		if err := errors.Join(probes.Stop(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return s
}

func certificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := devca.Create(dir, []string{grpcserver.Gateway, grpcserver.UserService, grpcserver.CartService, grpcserver.OrderService}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func identity(t *testing.T, dir, service string) *mtls.Source {
	t.Helper()
	source, err := mtls.Load(devca.Files(dir, service))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// dial returns a client of s that has the certificate of a service.
func (s *shop) dial(t *testing.T, caller string) *grpcclient.Conn {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: grpcserver.CartService, Target: s.addr, TLS: identity(t, s.dir, caller), Log: slog.New(slog.DiscardHandler),
		Timeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *shop) client(t *testing.T, caller string) cartv1.CartServiceClient {
	t.Helper()
	return cartv1.NewCartServiceClient(s.dial(t, caller))
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
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

func wantKind(t *testing.T, err error, want apperr.Kind) *apperr.Error {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", want)
	}
	if got := apperr.KindOf(err); got != want {
		t.Fatalf("kind = %v, want %v: %v", got, want, err)
	}
	return apperr.From(err)
}
