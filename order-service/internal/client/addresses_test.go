package client_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/mtls"
	userv1 "shop.example/proto/user/v1"
)

// bookOfAnn is user-service with one address, which is that of whose token is "ann". It has no answer for the id hangs.
type bookOfAnn struct {
	userv1.UnimplementedAddressServiceServer
	id, hangs string
}

func (b bookOfAnn) GetAddress(ctx context.Context, r *userv1.GetAddressRequest) (*userv1.GetAddressResponse, error) {
	if r.GetAddressId() == b.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if p, _ := auth.FromContext(ctx); p.UserID != "ann" || r.GetAddressId() != b.id {
		return nil, apperr.Missing("address")
	}
	return &userv1.GetAddressResponse{Address: &userv1.Address{
		Id: b.id, Label: "Home", Recipient: "Zoë", Line1: "1 Main St", Line2: "Flat 1", City: "Köln", Region: "NRW", PostalCode: "50667",
		Country: "DE", Phone: "0221 1", IsDefault: true,
	}}, nil
}

// serveBook serves an address book as user-service does, and returns a client of it and what ends it.
func serveBook(t *testing.T, book bookOfAnn) (addresses *client.Addresses, stop func()) {
	t.Helper()
	certs, log := t.TempDir(), slog.New(slog.DiscardHandler)
	if err := devca.Create(certs, []string{grpcserver.UserService, grpcserver.OrderService}); err != nil {
		t.Fatal(err)
	}
	tls := func(service string) *mtls.Source {
		source, err := mtls.Load(devca.Files(certs, service))
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	rule, policy := grpcserver.Rule{Callers: []string{grpcserver.OrderService}, User: true}, make(grpcserver.Policy)
	for _, m := range userv1.AddressService_ServiceDesc.Methods {
		policy["/"+userv1.AddressService_ServiceDesc.ServiceName+"/"+m.MethodName] = rule
	}
	monitor := health.NewMonitor(log)
	server, err := grpcserver.New(grpcserver.Options{
		Service: grpcserver.UserService, Addr: "127.0.0.1:0", TLS: tls(grpcserver.UserService), Log: log, Health: monitor,
		Policy: policy,
		Tokens: func(_ context.Context, raw string) (auth.Principal, error) {
			return auth.Principal{UserID: raw, Role: auth.Customer, Token: raw}, nil
		},
	}, func(r grpc.ServiceRegistrar) { userv1.RegisterAddressServiceServer(r, book) })
	if err != nil {
		t.Fatal(err)
	}
	watch, serve, done := monitor.Component(), server.Component(), make(chan error, 1)
	if err := watch.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { done <- serve.Serve() }()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(serve.Stop(ctx), <-done, watch.Stop(ctx)); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	conn, err := grpcclient.Dial(grpcclient.Options{Service: grpcserver.UserService, Target: server.Addr(), TLS: tls(grpcserver.OrderService), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client.NewAddresses(conn), stop
}

// signedIn returns a context in which a user is signed in, with the user's name for a token.
func signedIn(ctx context.Context, user string) context.Context {
	return auth.NewContext(ctx, auth.Principal{UserID: user, Role: auth.Customer, Token: user})
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	id, hangs := uuid.New(), uuid.New()
	addresses, stop := serveBook(t, bookOfAnn{id: id.String(), hangs: hangs.String()})
	ann := signedIn(t.Context(), "ann")
	got, err := addresses.Address(ann, id)
	if err != nil {
		t.Fatal(err)
	}
	want := domain.Address{
		Recipient: "Zoë", Line1: "1 Main St", Line2: "Flat 1", City: "Köln", Region: "NRW", PostalCode: "50667", Country: "DE", Phone: "0221 1",
	}
	if got != want {
		t.Errorf("address %+v, want %+v", got, want)
	}

	for name, ask := range map[string]func() (domain.Address, error){
		"unknown":   func() (domain.Address, error) { return addresses.Address(ann, uuid.New()) },
		"another's": func() (domain.Address, error) { return addresses.Address(signedIn(t.Context(), "bob"), id) },
	} {
		if _, err := ask(); !errors.Is(err, domain.ErrAddressMissing) || apperr.From(err).Violations[0].Location != "address_id" {
			t.Errorf("%s: error %v, want %v", name, err, domain.ErrAddressMissing)
		}
	}
	if _, err := addresses.Address(t.Context(), id); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("anonymous: error %v, want unauthenticated", err)
	}

	// A service that hangs is away, long before the checkout's own time is up; unless that is up.
	began := time.Now()
	if _, err := addresses.Address(ann, hangs); apperr.KindOf(err) != apperr.Unavailable || time.Since(began) > 4*time.Second {
		t.Errorf("it hangs: error %v (%v) after %v, want that it is away, in time", err, apperr.KindOf(err), time.Since(began))
	}
	hurried, cancel := context.WithTimeout(ann, 50*time.Millisecond)
	defer cancel()
	if _, err := addresses.Address(hurried, hangs); apperr.KindOf(err) != apperr.DeadlineExceeded {
		t.Errorf("no time left: error %v (%v), want that", err, apperr.KindOf(err))
	}
	stop()
	if _, err := addresses.Address(ann, id); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("it is away: error %v (%v), want that", err, apperr.KindOf(err))
	}
}
