package grpcclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/rpcerr"
)

const (
	// maxInFlight is the bulkhead: how many calls may wait for one service at once, so that one that hangs does not take
	// all of this process's memory with it.
	maxInFlight = 512
	// The breaker opens when at least half of 20 or more calls within 10 s failed, and lets a few through again after 1 s:
	// long enough to relieve a struggling service, short enough that nobody notices that it is back later than it is.
	breakerWindow   = 10 * time.Second
	breakerCalls    = 20
	breakerPause    = time.Second
	breakerProbes   = 5
	healthCheckPath = "/grpc.health.v1.Health/Check"
)

// readErrors makes application errors of statuses.
func readErrors(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if err := invoke(ctx, method, req, reply, conn, opts...); err != nil {
		return fmt.Errorf("call %s: %w", method, rpcerr.FromStatus(err))
	}
	return nil
}

// newBreaker refuses calls at once while the service fails to answer. Health checks pass: they are how one sees it is back.
func newBreaker(service string, log *slog.Logger) grpc.UnaryClientInterceptor {
	breaker := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        service,
		MaxRequests: breakerProbes,
		Interval:    breakerWindow,
		Timeout:     breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= breakerCalls && 2*c.TotalFailures >= c.Requests
		},
		// A service that answers is well, whatever it answers; a caller who went away says nothing of it.
		IsSuccessful: func(err error) bool {
			kind := apperr.KindOf(rpcerr.FromStatus(err))
			return err == nil || kind != apperr.Unavailable && kind != apperr.DeadlineExceeded
		},
		IsExcluded: func(err error) bool {
			return errors.Is(rpcerr.FromStatus(err), context.Canceled) || errors.Is(err, errBulkheadFull)
		},
		OnStateChange: func(name string, from, to gobreaker.State) {
			log.Warn("breaker changed", "dependency", name, "from", from.String(), "to", to.String())
		},
	})
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if method == healthCheckPath {
			return invoke(ctx, method, req, reply, conn, opts...)
		}
		_, err := breaker.Execute(func() (struct{}, error) {
			return struct{}{}, invoke(ctx, method, req, reply, conn, opts...)
		})
		if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
			return apperr.DependencyUnavailable(fmt.Errorf("breaker of %s: %w", service, err))
		}
		return err
	}
}

var errBulkheadFull = apperr.DependencyUnavailable(errors.New("too many calls are waiting for it"))

// bulkhead refuses calls beyond n at a time.
func bulkhead(n int) grpc.UnaryClientInterceptor {
	slots := make(chan struct{}, n)
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
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

// forwardToken sends the user's own token along, which the next service verifies itself. A job has none.
func forwardToken(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if p, ok := auth.FromContext(ctx); ok {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+p.Token)
	}
	return invoke(ctx, method, req, reply, conn, opts...)
}
