package grpcclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/rpcerr"
	userv1 "shop.example/proto/user/v1"
)

const (
	// maxInFlight is the bulkhead: how many calls may wait for one service at once, so that one that hangs does not take
	// all of this process's memory with it.
	maxInFlight = 512
	// The breaker opens when at least half of 20 or more calls within 10 s failed, and lets a few through again after 1 s:
	// long enough to relieve a struggling service, short enough that nobody notices that it is back later than it is.
	breakerWindow = 10 * time.Second
	breakerCalls  = 20
	breakerPause  = time.Second
	breakerProbes = 5
	// breakerPatience is how long a call must have waited for its end by deadline to be held against the service: a caller
	// with little time left says nothing of it, and our services answer within milliseconds.
	breakerPatience = time.Second
	healthCheckPath = "/grpc.health.v1.Health/Check"
)

// vital are the calls that neither breaker nor bulkhead holds back. Each is made a few times a minute, whatever the load: health
// checks are how one sees that a service is back, and without the others nobody is recognised, and nothing is taken back.
var vital = map[string]bool{
	healthCheckPath: true,
	userv1.AuthService_GetSigningKeys_FullMethodName:    true,
	userv1.AuthService_ListEndedSessions_FullMethodName: true,
}

// readErrors makes application errors of statuses.
func readErrors(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := invoke(ctx, method, req, reply, conn, opts...); err != nil {
		return fmt.Errorf("call %s: %w", method, rpcerr.FromStatus(err))
	}
	return nil
}

// newBreaker refuses calls at once while the service fails to answer. What is vital passes.
func newBreaker(service string, timeout time.Duration, log *slog.Logger) grpc.UnaryClientInterceptor {
	patience := min(breakerPatience, timeout/2)
	breaker := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        service,
		MaxRequests: breakerProbes,
		Interval:    breakerWindow,
		Timeout:     breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			ended := c.TotalSuccesses + c.TotalFailures // c.Requests has those too that go on, or that say nothing
			return ended >= breakerCalls && 2*c.TotalFailures >= ended
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errSaysNothing) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			log.Warn("breaker changed", "dependency", name, "from", from.String(), "to", to.String())
		},
	})
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if vital[method] {
			return invoke(ctx, method, req, reply, conn, opts...)
		}
		var err error
		_, refusal := breaker.Execute(func() (struct{}, error) {
			begin := time.Now()
			err = invoke(ctx, method, req, reply, conn, opts...)
			return struct{}{}, verdict(err, time.Since(begin) >= patience)
		})
		if errors.Is(refusal, gobreaker.ErrOpenState) || errors.Is(refusal, gobreaker.ErrTooManyRequests) {
			return apperr.DependencyUnavailable(fmt.Errorf("breaker of %s: %w", service, refusal))
		}
		return err
	}
}

var errSaysNothing = errors.New("the call says nothing of the service")

// verdict is what the end of a call says of the service: nil that it is well, errSaysNothing, or what is wrong with it.
func verdict(err error, patient bool) error {
	switch status.Code(err) {
	case codes.Unavailable:
		// A service that answers is well, even if what it depends on is away: its other methods may not need that.
		if rpcerr.Answered(err) {
			return nil
		}
		return err
	case codes.DeadlineExceeded:
		// Sent by the service or not: its handlers hang.
		if !patient {
			return errSaysNothing
		}
		return err
	case codes.Canceled:
		return errSaysNothing
	default:
		return nil
	}
}

var errBulkheadFull = apperr.DependencyUnavailable(errors.New("too many calls are waiting for it"))

// bulkhead refuses calls beyond n at a time.
func bulkhead(n int) grpc.UnaryClientInterceptor {
	slots := make(chan struct{}, n)
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if vital[method] {
			return invoke(ctx, method, req, reply, conn, opts...) // a busy service is not away
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			return invoke(ctx, method, req, reply, conn, opts...)
		default:
			return errBulkheadFull
		}
	}
}

// bound gives a call its deadline, the sooner one of the caller's and the client's.
func bound(timeout time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return invoke(ctx, method, req, reply, conn, opts...)
	}
}

// onceWithoutKey has a request that could have an Idempotency-Key, and has none, sent only once: its method is safe to repeat
// under a key, and a replica that dies after the effect would otherwise have it twice. gRPC can repeat only what it has kept.
func onceWithoutKey(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if r, ok := req.(interface{ GetIdempotencyKey() string }); ok && r.GetIdempotencyKey() == "" {
		opts = append(opts, grpc.MaxRetryRPCBufferSize(0))
	}
	return invoke(ctx, method, req, reply, conn, opts...)
}

// forwardToken sends the user's own token along, which the next service verifies itself. A job has none.
func forwardToken(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if p, ok := auth.FromContext(ctx); ok && p.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+p.Token)
	}
	return invoke(ctx, method, req, reply, conn, opts...)
}
