// Package grpcserver is the only place where a gRPC server is built: mutual TLS, the list of who may call what, deadlines,
// validation, recovery, tracing, health and the answering of errors are the same in all services.
package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"shop.example/platform/auth"
	"shop.example/platform/health"
	"shop.example/platform/lifecycle"
	"shop.example/platform/mtls"
)

const (
	// TokenLeeway is for how long a service takes a token that has just expired: the gateway checked it when the request
	// came in, and a checkout that began with a good token may go on for 10 s, on clocks that differ by a few more.
	TokenLeeway = 30 * time.Second
	// maxInFlight bounds the calls that a server works on at once. With 10 database connections and 5 ms a call, 512 calls
	// are 260 ms of work: more would only wait.
	maxInFlight = 512
	// maxMessage is a hundred order lines many times over; gRPC's own default is 4 MiB.
	maxMessage = 2 << 20

	healthPrefix = "/grpc.health.v1."
)

// Options are what a server needs. All of them must be set.
type Options struct {
	// Service is the service's name, for the logs.
	Service string
	// Addr is host:port to listen at; port 0 takes a free one.
	Addr string
	TLS  *mtls.Source
	Log  *slog.Logger
	// Health decides what the health service answers, and is drained before the server stops.
	Health *health.Monitor
	// Tokens verifies forwarded access tokens: token.Verifier.Verify.
	Tokens func(ctx context.Context, raw string) (auth.Principal, error)
	Policy Policy
}

// Server is a gRPC server that is not listening yet.
type Server struct {
	options Options
	grpc    *grpc.Server
	health  *grpchealth.Server
	// endWatches ends the streams of those who watch the health service.
	endWatches context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
}

// New returns a server of the services that register adds, or an error if the policy does not cover their methods.
func New(o Options, register func(grpc.ServiceRegistrar)) (*Server, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make validator: %w", err)
	}
	watches, endWatches := context.WithCancel(context.Background())
	s := &Server{options: o, health: grpchealth.NewServer(), endWatches: endWatches}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(o.TLS.ServerTLS())),
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithFilter(notHealth))),
		// From the outside to the inside. What refuses stands inside of answerErrors, so that every refusal is answered and
		// logged in one way; what is cheap stands before what is dear.
		grpc.ChainUnaryInterceptor(
			answerErrors(o.Log),
			recoverPanics,
			limit(maxInFlight, o.Policy),
			trimDeadline,
			authorize(o.Policy, o.Tokens),
			validate(validator),
		),
		grpc.ChainStreamInterceptor(endWith(watches)),
		grpc.MaxRecvMsgSize(maxMessage),
		// Our clients ping every 10 s. Half of that leaves room for pings that are delayed differently: three that come too
		// soon on an idle connection would end it.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			// Connections end now and then so that clients look up the replicas again and spread over new ones.
			MaxConnectionAge:      5 * time.Minute,
			MaxConnectionAgeGrace: 15 * time.Second,
			Time:                  30 * time.Second,
			Timeout:               10 * time.Second,
		}),
	)
	register(s.grpc)
	if err := o.Policy.complete(s.grpc.GetServiceInfo()); err != nil {
		endWatches()
		return nil, err
	}
	healthv1.RegisterHealthServer(s.grpc, s.health)
	o.Health.OnChange(func(ready bool) {
		if ready {
			s.health.SetServingStatus("", healthv1.HealthCheckResponse_SERVING)
		} else {
			s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
		}
	})
	return s, nil
}

// Component listens from start to stop.
func (s *Server) Component() lifecycle.Component {
	return lifecycle.Component{Name: "grpc server", Start: s.start, Serve: s.serve, Stop: s.stop}
}

// Addr returns where the server listens, empty before it does.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

func (s *Server) start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.options.Addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	s.options.Log.InfoContext(ctx, "listening", "grpc", listener.Addr().String())
	return nil
}

func (s *Server) serve() error {
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// stop lets the calls that are being worked on end until the context is done, and cuts off the rest.
func (s *Server) stop(ctx context.Context) error {
	s.options.Health.Drain()
	s.health.Shutdown()
	// Watchers of the health service hold a stream for as long as they live; the graceful stop would wait for them.
	s.endWatches()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		// It cancels what is still running, and does not wait for it: a handler that heeds no context must not keep the
		// process alive.
		s.grpc.Stop()
		return fmt.Errorf("calls were cut off: %w", ctx.Err())
	}
}

// endWith makes streams end with ctx too.
func endWith(ctx context.Context) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		until, cancel := context.WithCancel(stream.Context())
		defer cancel()
		stop := context.AfterFunc(ctx, cancel)
		defer stop()
		return next(server, endingStream{stream, until})
	}
}

type endingStream struct {
	grpc.ServerStream
	until context.Context
}

func (s endingStream) Context() context.Context { return s.until }
