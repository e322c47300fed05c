// Package auth is who is calling: the principal that a verified access token stands for, carried in the context.
package auth

import (
	"context"
	"log/slog"
)

// Role is what a user may do in the shop. The order is one of trust: staff may what customers may, admins what staff may.
type Role string

// The roles of the shop.
const (
	Customer Role = "customer"
	Staff    Role = "staff"
	Admin    Role = "admin"
)

// AtLeast reports whether r is trusted with what needs the role other. An unknown role is trusted with nothing.
func (r Role) AtLeast(other Role) bool { return rank[r] > 0 && rank[r] >= rank[other] }

var rank = map[Role]int{Customer: 1, Staff: 2, Admin: 3}

// Principal is the user on whose behalf a call is made, as its access token says.
type Principal struct {
	UserID    string
	Role      Role
	SessionID string
	// Token is the access token itself, which is forwarded to the services that are called in turn. It is a secret.
	Token string
}

// IsStaff reports whether p may work on what belongs to others.
func (p Principal) IsStaff() bool { return p.Role.AtLeast(Staff) }

// LogValue keeps the token out of the logs, whoever logs a principal.
func (p Principal) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user_id", p.UserID), slog.String("role", string(p.Role)))
}

type contextKey struct{}

// NewContext returns a context that carries p.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext returns the principal of the call, and whether there is one: anonymous calls have none.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(contextKey{}).(Principal)
	return p, ok
}
