// Package grpcclient is the only place where a client of another service is built: mutual TLS, balancing over replicas,
// deadlines, retries, a breaker, a bulkhead, tracing, the forwarding of the user's token and the reading of errors are the
// same for all.
package grpcclient

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/health" // switches on the client's health checking, which the service config asks for
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/mtls"
	"shop.example/platform/token"
	userv1 "shop.example/proto/user/v1"
)

// Options are what a client needs.
type Options struct {
	// Service is the server's name in its certificate, such as "product-service".
	Service string
	// Target is host:port, all of whose addresses are used, or a comma-separated list of host:port.
	Target string
	TLS    *mtls.Source
	Log    *slog.Logger
	// Timeout bounds each call that has no sooner deadline. 0 stands for 5 s, what a request may take at the edge.
	Timeout time.Duration
}

// maxAnswer is a page of 100 products with the longest texts and twenty images each, some 8 MiB, twice.
const maxAnswer = 16 << 20

// Conn is a connection to all replicas of a service. Close it when nobody uses it any more.
type Conn struct {
	*grpc.ClientConn
	service string
}

// Dial returns a connection, which is made in the background: a server that is away is no error here but at the calls.
func Dial(o Options) (*Conn, error) {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	target, dialOptions, err := targetOf(o.Target)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", o.Service, err)
	}
	config, err := serviceConfig(o.Service)
	if err != nil {
		return nil, err
	}
	dialOptions = append(dialOptions,
		grpc.WithTransportCredentials(credentials.NewTLS(o.TLS.ClientTLS(o.Service))),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithFilter(notHealth))),
		grpc.WithDefaultServiceConfig(config),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithDisableServiceConfig(), // no other one from DNS
		// The certificate names the service, not an address; and a list of addresses has no name of its own.
		grpc.WithAuthority(o.Service),
		grpc.WithNoProxy(), // whatever HTTPS_PROXY is there for
		grpc.WithChainUnaryInterceptor(
			readErrors,
			bulkhead(maxInFlight),
			newBreaker(o.Service, o.Timeout, o.Log),
			bound(o.Timeout),
			forwardToken,
			onceWithoutKey,
		),
		// gRPC's own longest pause between connection attempts is two minutes: a service would stay away that long after it
		// is back. With 2 s, all are connected again about when they are noticed to be up.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		}),
		// A peer that is gone without a word is noticed within 15 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
	)
	conn, err := grpc.NewClient(target, dialOptions...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", o.Service, err)
	}
	conn.Connect() // so that the first request finds a connection
	return &Conn{ClientConn: conn, service: o.Service}, nil
}

// Ping asks the service whether it is ready: a probe for health.Check.
func (c *Conn) Ping(ctx context.Context) error {
	answer, err := healthv1.NewHealthClient(c.ClientConn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("ping %s: %w", c.service, err)
	}
	if s := answer.GetStatus(); s != healthv1.HealthCheckResponse_SERVING {
		return apperr.DependencyUnavailable(fmt.Errorf("%s says %v", c.service, s))
	}
	return nil
}

// SigningKeys returns the key set of user-service at the other end of conn, for token.NewVerifier.
func SigningKeys(conn *Conn) token.KeySource {
	client := userv1.NewAuthServiceClient(conn)
	return func(ctx context.Context) ([]byte, error) {
		answer, err := client.GetSigningKeys(ctx, &userv1.GetSigningKeysRequest{})
		return answer.GetJwks(), err
	}
}

// EndedSessions returns what user-service at the other end of conn knows of ended sessions and changed users, for
// token.NewRevocations.
func EndedSessions(conn *Conn) token.ChangeSource {
	client := userv1.NewAuthServiceClient(conn)
	return func(ctx context.Context, since time.Time) (token.AccessChanges, error) {
		req := &userv1.ListEndedSessionsRequest{}
		if !since.IsZero() {
			req.Since = timestamppb.New(since)
		}
		answer, err := client.ListEndedSessions(ctx, req)
		if err != nil {
			return token.AccessChanges{}, err
		}
		users := make(map[string]auth.Role, len(answer.GetChangedUsers()))
		for _, u := range answer.GetChangedUsers() {
			users[u.GetUserId()] = roles[u.GetRole()]
		}
		return token.AccessChanges{EndedSessions: answer.GetSessionIds(), Users: users, Next: answer.GetNextSince().AsTime()}, nil
	}
}

// roles are the roles on the wire. One that is not known here is none: nobody is trusted for it.
var roles = map[userv1.Role]auth.Role{
	userv1.Role_ROLE_CUSTOMER: auth.Customer,
	userv1.Role_ROLE_STAFF:    auth.Staff,
	userv1.Role_ROLE_ADMIN:    auth.Admin,
}

// targetOf returns what gRPC is to dial for an address or a list of them.
func targetOf(target string) (string, []grpc.DialOption, error) {
	var state resolver.State
	for address := range strings.SplitSeq(target, ",") {
		address = strings.TrimSpace(address)
		// gRPC would take port 443 for none, and go on trying.
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return "", nil, fmt.Errorf("%q is not host:port", address)
		}
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
	}
	if len(state.Endpoints) == 1 {
		return "dns:///" + strings.TrimSpace(target), nil, nil
	}
	list := manual.NewBuilderWithScheme("list")
	list.InitialState(state)
	return "list:///", []grpc.DialOption{grpc.WithResolvers(list)}, nil
}

// packages are the proto packages of the services.
var packages = map[string]protoreflect.FullName{
	"user-service":    "user.v1",
	"product-service": "product.v1",
	"cart-service":    "cart.v1",
	"order-service":   "order.v1",
}

// serviceConfig spreads the calls over all ready replicas, and has those methods tried again that their .proto marks as
// safe to repeat, but see onceWithoutKey. What fails for another reason than a replica's absence is never tried again.
func serviceConfig(service string) (string, error) {
	pkg, ok := packages[service]
	if !ok {
		return "", fmt.Errorf("dial: there is no service %q", service)
	}
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	var safe []name
	protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				options, _ := method.Options().(*descriptorpb.MethodOptions)
				if options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
					safe = append(safe, name{string(method.Parent().FullName()), string(method.Name())})
				}
			}
		}
		return true
	})
	config := map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": map[string]any{}}},
		// A replica that says it is not ready gets no calls.
		"healthCheckConfig": map[string]any{"serviceName": ""},
		// Retries stop when more than about one call in ten fails: then they only add load.
		"retryThrottling": map[string]any{"maxTokens": 10, "tokenRatio": 0.1},
	}
	if len(safe) > 0 {
		config["methodConfig"] = []any{map[string]any{
			"name": safe,
			"retryPolicy": map[string]any{
				"maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
				"retryableStatusCodes": []string{"UNAVAILABLE"},
			},
		}}
	}
	raw, err := json.Marshal(config)
	return string(raw), err
}

// notHealth keeps health checks out of the traces and metrics: they would be most of both.
func notHealth(info *stats.RPCTagInfo) bool {
	return !strings.HasPrefix(info.FullMethodName, "/grpc.health.v1.")
}
