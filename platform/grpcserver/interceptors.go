package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/rpcerr"
)

const (
	// returnOverhead is taken from the caller's deadline at every hop, so that our answer, and if need be our error, is
	// there before the caller gives up: 20 ms is some ten round trips within a data centre.
	returnOverhead = 20 * time.Millisecond
	// meaningfulWork is the least that a handler needs to get anything done. A call with less time left is refused at once:
	// nobody would be there to see its answer, and the work would only slow down the others.
	meaningfulWork = 10 * time.Millisecond
	// longestCall bounds calls whose caller sets no deadline, or an absurd one: the edge allows 10 s for a checkout, and
	// nothing may take longer.
	longestCall = 10 * time.Second
)

// trimDeadline gives every call a deadline that is a little sooner than its caller's.
func trimDeadline(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	left := longestCall
	if deadline, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(deadline)-returnOverhead)
	}
	if left < meaningfulWork {
		return nil, fmt.Errorf("refused, %v left: %w", left.Round(time.Millisecond), context.DeadlineExceeded)
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return next(ctx, req)
}

// limit refuses calls beyond n at a time, at once, rather than letting all become slow. The client may try another replica.
func limit(n int, policy Policy) grpc.UnaryServerInterceptor {
	slots := make(chan struct{}, n)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if strings.HasPrefix(info.FullMethod, healthPrefix) || policy[info.FullMethod].Vital {
			return next(ctx, req) // a busy server is alive
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			return next(ctx, req)
		default:
			return nil, overloaded{}
		}
	}
}

// overloaded is a type of its own, so that it is not taken for the same answer of a service that this one depends on.
type overloaded struct{}

func (overloaded) Error() string { return "too many calls at once" }
func (overloaded) Unwrap() error { return errOverloaded }

var errOverloaded = apperr.New(apperr.Unavailable, "overloaded", "The shop is busy just now. Try again in a moment.")

// answerErrors is where errors of handlers are handled, once: logged with their cause, and answered without it.
func answerErrors(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if strings.HasPrefix(info.FullMethod, healthPrefix) {
			return next(ctx, req) // it answers with statuses of its own, and would fill the log
		}
		begin := time.Now()
		seen := new(auth.Principal)
		resp, err := next(context.WithValue(ctx, seenKey{}, seen), req)
		ctx = auth.NewContext(ctx, *seen)
		took := slog.Duration("took", time.Since(begin))
		if err == nil {
			log.InfoContext(ctx, "call", "method", info.FullMethod, took)
			return resp, nil
		}
		if refused := (callerRefused{}); errors.As(err, &refused) {
			log.WarnContext(ctx, "call refused", "method", info.FullMethod, "error", refused.Error(), took)
			return nil, refused.status()
		}
		kind := apperr.KindOf(err)
		log.LogAttrs(ctx, level(kind, err), "call failed", slog.String("method", info.FullMethod),
			slog.String("kind", kind.String()), slog.String("reason", apperr.ReasonOf(err)), slog.String("error", err.Error()), took)
		if kind == apperr.Unavailable && !errors.As(err, new(overloaded)) {
			// What this service depends on is away, and was tried again already where that is safe. A client that tried this
			// call again too would multiply the load on what is struggling; a negative push-back tells gRPC not to.
			_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", "-1"))
		}
		return nil, rpcerr.ToStatus(err).Err()
	}
}

// seenKey finds the place in the context where authorize leaves the principal for the line in the log, which is written
// outside of it.
type seenKey struct{}

// level is how loud a failure is: what a client can cause at will, by going away for one, is no warning.
func level(kind apperr.Kind, err error) slog.Level {
	switch {
	case kind == apperr.Internal:
		return slog.LevelError
	case errors.Is(err, context.Canceled):
		return slog.LevelInfo
	case kind == apperr.Unavailable, kind == apperr.DeadlineExceeded:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}

// recoverPanics turns a panic into an internal error of that one call.
func recoverPanics(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return next(ctx, req)
}

// validate refuses requests that break the rules in their .proto, naming every field that does.
func validate(validator protovalidate.Validator) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		message, ok := req.(proto.Message)
		if !ok {
			return next(ctx, req)
		}
		err := validator.Validate(message)
		var invalid *protovalidate.ValidationError
		switch {
		case err == nil:
			return next(ctx, req)
		case errors.As(err, &invalid):
			violations := make([]apperr.Violation, 0, len(invalid.Violations))
			for _, v := range invalid.Violations {
				violations = append(violations, apperr.Violation{
					Location: protovalidate.FieldPathString(v.Proto.GetField()),
					Message:  v.Proto.GetMessage(),
				})
			}
			return nil, apperr.ValidationFailed(violations...)
		default:
			return nil, fmt.Errorf("check the request: %w", err)
		}
	}
}
