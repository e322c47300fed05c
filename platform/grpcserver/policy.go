package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/mtls"
)

// Policy says of every method of a server who may call it. A method without a rule stops the start.
type Policy map[string]Rule

// Rule is who may call a method.
type Rule struct {
	// Callers are the services that may, by the name in their certificate.
	Callers []string
	// User demands a signed-in user on whose behalf the call is made.
	User bool
	// Role demands a user with at least this role. It implies User.
	Role auth.Role
	// Vital methods are answered however busy the server is: few ask for them, and all the others wait for what they answer.
	Vital bool
}

// The names of the calling services, as they stand in policies.
const (
	Gateway        = "api-gateway"
	UserService    = "user-service"
	ProductService = "product-service"
	CartService    = "cart-service"
	OrderService   = "order-service"
)

// complete returns an error unless the policy and the methods of the server are the same set.
func (p Policy) complete(services map[string]grpc.ServiceInfo) error {
	var faults []error
	known := make(map[string]bool)
	for service, info := range services {
		for _, m := range info.Methods {
			method := "/" + service + "/" + m.Name
			known[method] = true
			if rule, ok := p[method]; !ok || len(rule.Callers) == 0 {
				faults = append(faults, fmt.Errorf("policy: nobody may call %s", method))
			}
			if m.IsClientStream || m.IsServerStream {
				faults = append(faults, fmt.Errorf("policy: %s streams, and only unary calls are guarded", method))
			}
		}
	}
	for method := range p {
		if !known[method] {
			faults = append(faults, fmt.Errorf("policy: there is no method %s", method))
		}
	}
	return errors.Join(faults...)
}

// authorize lets a call through that its rule allows, with the verified principal in its context.
func authorize(policy Policy, verify func(context.Context, string) (auth.Principal, error)) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if strings.HasPrefix(info.FullMethod, healthPrefix) {
			return next(ctx, req) // for every service of the shop
		}
		rule := policy[info.FullMethod]
		caller, known := mtls.PeerService(ctx)
		if !known || !slices.Contains(rule.Callers, caller) {
			return nil, callerRefused{caller, info.FullMethod}
		}
		// A token that is there must be good, even where none is demanded.
		raw, present := bearer(ctx)
		if present {
			principal, err := verify(ctx, raw)
			if err != nil {
				return nil, err
			}
			ctx = auth.NewContext(ctx, principal)
			if seen, ok := ctx.Value(seenKey{}).(*auth.Principal); ok {
				*seen = principal
			}
			if rule.Role != "" && !principal.Role.AtLeast(rule.Role) {
				return nil, apperr.New(apperr.PermissionDenied, apperr.PermissionDenied.DefaultReason(), "This needs the role "+string(rule.Role)+".")
			}
		} else if rule.User || rule.Role != "" {
			return nil, apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "Sign in first.")
		}
		return next(ctx, req)
	}
}

// callerRefused is answered as a bare status, without the detail of an application error: two services that do not fit
// together are no mistake of the client's, and reach it as an internal error.
type callerRefused struct{ caller, method string }

func (e callerRefused) Error() string { return fmt.Sprintf("%q may not call %s", e.caller, e.method) }

func (e callerRefused) status() error {
	return status.Error(codes.PermissionDenied, "this caller may not call this method")
}

func bearer(ctx context.Context) (string, bool) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return "", false
	}
	return strings.TrimPrefix(values[0], "Bearer "), true
}
