package grpcserver_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	cartv1 "shop.example/proto/cart/v1"
)

func TestPolicyMustCoverTheServer(t *testing.T) {
	t.Parallel()
	tls := identity(t, certificates(t), grpcserver.CartService)
	log := slog.New(slog.DiscardHandler)
	register := func(r grpc.ServiceRegistrar) { cartv1.RegisterCartServiceServer(r, carts{}) }
	stream := grpc.ServiceDesc{
		ServiceName: "cart.v1.Feed", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "Follow", ServerStreams: true}},
	}
	tests := []struct {
		name     string
		policy   grpcserver.Policy
		register func(grpc.ServiceRegistrar)
		want     string // part of the error, empty for none
	}{
		{"complete", policy, register, ""},
		{"missing method", policyWithout(cartv1.CartService_ClearCart_FullMethodName), register, cartv1.CartService_ClearCart_FullMethodName},
		{"unknown method", policyWith("/cart.v1.CartService/Burn", grpcserver.Rule{Callers: []string{grpcserver.Gateway}}), register, "/cart.v1.CartService/Burn"},
		{"nobody may call", policyWith(cartv1.CartService_GetCart_FullMethodName, grpcserver.Rule{User: true}), register, cartv1.CartService_GetCart_FullMethodName},
		{"a stream, which nothing would guard", policyWith("/cart.v1.Feed/Follow", grpcserver.Rule{Callers: []string{grpcserver.Gateway}}), func(r grpc.ServiceRegistrar) {
			register(r)
			r.RegisterService(&stream, struct{}{})
		}, "/cart.v1.Feed/Follow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := grpcserver.New(grpcserver.Options{
				Service: grpcserver.CartService, Addr: "127.0.0.1:0", TLS: tls, Log: log,
				Health: health.NewMonitor(log), Tokens: verify, Policy: tt.policy,
			}, tt.register)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v does not name %s", err, tt.want)
			}
		})
	}
}

func TestCallerNotOnTheList(t *testing.T) {
	t.Parallel()
	s := setup(t, never(t))
	_, err := s.client(t, grpcserver.UserService).GetCart(t.Context(), &cartv1.GetCartRequest{})
	// Two services that do not fit together are our mistake, and tell the customer nothing.
	public := wantKind(t, err, apperr.Internal)
	for _, word := range []string{"caller", "cart", "user-service", "may not"} {
		if strings.Contains(public.Message, word) {
			t.Errorf("message tells too much: %q", public.Message)
		}
	}
	refused := s.logs.find(t, "call refused")
	if len(refused) != 1 || refused[0]["level"] != "WARN" || !strings.Contains(refused[0]["error"].(string), grpcserver.UserService) {
		t.Errorf("log: %v", s.logs)
	}
	// A caller that is allowed elsewhere only.
	_, err = s.client(t, grpcserver.OrderService).GetCart(t.Context(), &cartv1.GetCartRequest{})
	wantKind(t, err, apperr.Internal)
}

func never(t *testing.T) func(context.Context, proto.Message) error {
	return func(context.Context, proto.Message) error {
		t.Error("the handler was reached")
		return nil
	}
}

func TestStrangersAreRefusedByTheHandshake(t *testing.T) {
	t.Parallel()
	s := setup(t, never(t))
	other := t.TempDir()
	if err := devca.Create(other, []string{grpcserver.Gateway}); err != nil {
		t.Fatal(err)
	}
	stranger, err := tls.LoadX509KeyPair(devca.CertFile(other, grpcserver.Gateway), devca.KeyFile(other, grpcserver.Gateway))
	if err != nil {
		t.Fatal(err)
	}
	for name, certificates := range map[string][]tls.Certificate{"no certificate": nil, "of another authority": {stranger}} {
		t.Run(name, func(t *testing.T) {
			conn := raw(t, s.addr, &tls.Config{InsecureSkipVerify: true, Certificates: certificates}) //nolint:gosec // the server's check is the one under test
			_, err := cartv1.NewCartServiceClient(conn).GetCart(t.Context(), &cartv1.GetCartRequest{})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("a call got %v", err)
			}
			_, err = healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
			if status.Code(err) != codes.Unavailable {
				t.Errorf("a health check got %v", err)
			}
		})
	}
}

// raw returns a connection without anything of grpcclient.
func raw(t *testing.T, addr string, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("dns:///"+addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestHealthIsForEveryService(t *testing.T) {
	t.Parallel()
	s := setup(t, never(t))
	if err := s.dial(t, grpcserver.UserService).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	// It answers with gRPC's own statuses, which health tools know.
	conn := raw(t, s.addr, identity(t, s.dir, grpcserver.UserService).ClientTLS(grpcserver.CartService))
	_, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "nonsense"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v", err)
	}
	if strings.Contains(s.logs.String(), "grpc.health.v1") {
		t.Errorf("health checks fill the log:\n%s", s.logs)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := setup(t, func(ctx context.Context, req proto.Message) error {
		p, ok := auth.FromContext(ctx)
		if _, optional := req.(*cartv1.GetCartRequest); !optional && (!ok || p.UserID != "user-1") {
			t.Errorf("the handler sees principal %v, %v", p, ok)
		}
		return nil
	})
	client := s.client(t, grpcserver.Gateway)
	const id = "0190c5a4-0000-7000-8000-000000000001"
	optional := func(ctx context.Context) error {
		_, err := client.GetCart(ctx, &cartv1.GetCartRequest{})
		return err
	}
	user := func(ctx context.Context) error {
		_, err := client.SetItem(ctx, &cartv1.SetItemRequest{ProductId: id})
		return err
	}
	staff := func(ctx context.Context) error {
		_, err := client.RemoveItem(ctx, &cartv1.RemoveItemRequest{ProductId: id})
		return err
	}
	const ok = apperr.Kind(-1)
	for _, tt := range []struct {
		name  string
		call  func(context.Context) error
		token string
		want  apperr.Kind
	}{
		{"anonymous where that is allowed", optional, "", ok},
		{"customer where none is needed", optional, "customer", ok},
		{"bad token where none is needed", optional, "forged", apperr.Unauthenticated},
		{"anonymous where a user is needed", user, "", apperr.Unauthenticated},
		{"customer", user, "customer", ok},
		{"bad token", user, "forged", apperr.Unauthenticated},
		{"anonymous where staff is needed", staff, "", apperr.Unauthenticated},
		{"customer where staff is needed", staff, "customer", apperr.PermissionDenied},
		{"staff", staff, "staff", ok},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.call(as(t.Context(), tt.token))
			if tt.want == ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantKind(t, err, tt.want)
		})
	}
	// An empty header is a token too, and a bad one.
	err := optional(metadata.AppendToOutgoingContext(t.Context(), "authorization", ""))
	wantKind(t, err, apperr.Unauthenticated)

	if logged := s.logs.find(t, "call"); len(logged) != 4 || logged[1]["user_id"] != "user-1" {
		t.Errorf("the lines of the calls that went well don't say whose they were: %v", logged)
	}
	for _, token := range []string{"forged", "Bearer"} {
		if strings.Contains(s.logs.String(), token) {
			t.Errorf("the log has a token: %s", s.logs)
		}
	}
}

func TestHopelessCallsAreRefused(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	s := setup(t, func(context.Context, proto.Message) error { reached.Add(1); return nil })
	conn := s.dial(t, grpcserver.Gateway)
	if err := conn.Ping(t.Context()); err != nil { // connected
		t.Fatal(err)
	}
	client := cartv1.NewCartServiceClient(conn)
	// One with 29 ms left has less than the 20 ms for the way back and 10 ms of work. On a busy machine it may not get to
	// the server at all, hence the loop.
	eventually(t, "refusals in the log", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 29*time.Millisecond)
		defer cancel()
		_, err := client.AddItem(ctx, &cartv1.AddItemRequest{ProductId: "0190c5a4-0000-7000-8000-000000000001", Quantity: 1})
		wantKind(t, err, apperr.DeadlineExceeded)
		return strings.Count(s.logs.String(), "refused, ") >= 10
	})
	if n := reached.Load(); n != 0 {
		t.Errorf("the handler was reached %d times", n)
	}
}

func TestDeadlinesAreTrimmedAndBounded(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	s := setup(t, func(ctx context.Context, _ proto.Message) error {
		deadline, ok := ctx.Deadline()
		if !ok {
			t.Error("a call without a deadline")
		}
		left <- time.Until(deadline)
		return nil
	})
	client := cartv1.NewCartServiceClient(raw(t, s.addr, identity(t, s.dir, grpcserver.Gateway).ClientTLS(grpcserver.CartService)))
	for _, tt := range []struct {
		name      string
		timeout   time.Duration // 0 for none
		low, high time.Duration
	}{
		// The low bounds leave room for a slow machine.
		{"none", 0, 9 * time.Second, 10 * time.Second},
		{"absurd", time.Hour, 9 * time.Second, 10 * time.Second},
		{"sooner", 5 * time.Second, 4 * time.Second, 4980 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			if tt.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.timeout)
				defer cancel()
			}
			if _, err := client.GetCart(ctx, &cartv1.GetCartRequest{}); err != nil {
				t.Fatal(err)
			}
			if got := <-left; got < tt.low || got > tt.high {
				t.Errorf("the handler has %v, want %v to %v", got, tt.low, tt.high)
			}
		})
	}
}
