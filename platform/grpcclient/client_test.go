package grpcclient_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/logging"
	cartv1 "shop.example/proto/cart/v1"
)

func TestDialRefusesNonsense(t *testing.T) {
	t.Parallel()
	tls := identity(t, certificates(t), grpcserver.Gateway)
	for _, tt := range []struct{ service, target, want string }{
		{"car-service", "127.0.0.1:1", "car-service"},
		{grpcserver.CartService, "", "host:port"},
		{grpcserver.CartService, "cart-service", "host:port"},
		{grpcserver.CartService, "127.0.0.1:1,", "host:port"},
		{grpcserver.CartService, "127.0.0.1:1,:2", "host:port"},
	} {
		_, err := grpcclient.Dial(grpcclient.Options{Service: tt.service, Target: tt.target, TLS: tls, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s at %q: %v, want an error that names %s", tt.service, tt.target, err, tt.want)
		}
	}
}

// Whoever listens at the address must be the service that was meant, as one replica and as one of several.
func TestServerMustBeTheRightService(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	r := serve(t, dir, "127.0.0.1:0", fine) // cart-service
	for _, target := range []string{r.addr, r.addr + "," + r.addr} {
		conn, err := grpcclient.Dial(grpcclient.Options{
			Service: grpcserver.OrderService, Target: target, TLS: identity(t, dir, grpcserver.Gateway), Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = cartv1.NewCartServiceClient(conn).GetCart(t.Context(), &cartv1.GetCartRequest{})
		wantKind(t, err, apperr.Unavailable)
		if err := conn.Ping(t.Context()); err == nil {
			t.Error("the ping did not notice")
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := r.served.Load(); n != 0 {
		t.Errorf("the wrong service was called %d times", n)
	}
}

func TestTokenIsForwarded(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	// The last hop tells whose call it was; the one before calls it on behalf of its caller.
	var seen auth.Principal
	var present bool
	last := serve(t, dir, "127.0.0.1:0", func(ctx context.Context, _ proto.Message) error {
		seen, present = auth.FromContext(ctx)
		if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 1 {
			t.Errorf("%d tokens", len(values))
		}
		return nil
	})
	behind := dial(t, dir, patience, last.addr)
	first := serve(t, dir, "127.0.0.1:0", func(ctx context.Context, _ proto.Message) error { return behind.get(ctx) })
	c := dial(t, dir, patience, first.addr)

	if err := c.get(auth.NewContext(t.Context(), auth.Principal{UserID: "user-1", Token: "abc"})); err != nil {
		t.Fatal(err)
	}
	if !present || seen.Token != "abc" {
		t.Errorf("the second hop sees %v with token %q", seen, seen.Token)
	}
	// A job acts for a user whose token it does not have.
	for _, ctx := range []context.Context{t.Context(), auth.NewContext(t.Context(), auth.Principal{UserID: "user-1"})} {
		if err := c.get(ctx); err != nil {
			t.Fatal(err)
		}
		if present {
			t.Errorf("the second hop sees %v in a call without a token", seen)
		}
	}
}

func TestErrorsSurviveTwoHops(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	last := serve(t, dir, "127.0.0.1:0", func(context.Context, proto.Message) error {
		return apperr.New(apperr.Conflict, "out_of_stock", "Not enough.").With(apperr.Violation{Location: "items[0]", Message: "3 left"})
	})
	behind := dial(t, dir, patience, last.addr)
	first := serve(t, dir, "127.0.0.1:0", func(ctx context.Context, _ proto.Message) error { return behind.get(ctx) })
	err := dial(t, dir, patience, first.addr).get(t.Context())
	wantKind(t, err, apperr.Conflict)
	if e := apperr.From(err); e.Reason != "out_of_stock" || e.Message != "Not enough." || len(e.Violations) != 1 || e.Violations[0].Location != "items[0]" {
		t.Errorf("got %+v", e)
	}
}

func TestOneTraceOverAllHops(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	r := serve(t, dir, "127.0.0.1:0", fine)
	c := dial(t, dir, patience, r.addr)

	member, err := baggage.NewMember(logging.RequestIDMember, "req-1")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	// Only what has a sampled parent is recorded, which is this call.
	parent := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(uuid.New()), SpanID: trace.SpanID{4, 5, 6}, TraceFlags: trace.FlagsSampled, Remote: true,
	})
	ctx, root := otel.Tracer("test").Start(trace.ContextWithSpanContext(baggage.ContextWithBaggage(t.Context(), bag), parent), "request")
	if err := c.get(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	root.End()

	ended := func() (client, server trace.SpanContext, serverParent trace.SpanID, n int) {
		for _, s := range spans.Ended() {
			if s.SpanContext().TraceID() != parent.TraceID() {
				continue
			}
			n++
			switch s.SpanKind() {
			case trace.SpanKindClient:
				client = s.SpanContext()
			case trace.SpanKindServer:
				server, serverParent = s.SpanContext(), s.Parent().SpanID()
			}
		}
		return client, server, serverParent, n
	}
	eventually(t, "both spans", func() bool {
		client, server, _, _ := ended()
		return client.IsValid() && server.IsValid()
	})
	client, server, serverParent, n := ended()
	if serverParent != client.SpanID() {
		t.Error("the server's span is not the client's child")
	}
	if n != 3 {
		t.Errorf("%d spans, want 3: health checks are not traced", n)
	}
	eventually(t, "the line of the call, with its ids", func() bool {
		return r.logs.has(`"msg":"call"`, `"request_id":"req-1"`, `"trace_id":"`+server.TraceID().String(), `"span_id":"`+server.SpanID().String())
	})
}
