// Package authz is the one table that says who may use which operation of the REST contract. The gateway refuses by it, and
// the OpenAPI document shows it. That an object belongs to the caller is decided where the object is: in its service.
package authz

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

// SecurityScheme is the name under which the OpenAPI document describes the access token.
const SecurityScheme = "access_token"

// CartTokenScheme is the name under which the OpenAPI document describes the token of a guest's cart.
const CartTokenScheme = "cart_token"

// Rule is who may use an operation.
type Rule struct {
	name string
	// guest operations are for whoever is signed in, and for whoever has the token of a guest's cart or none yet.
	guest bool
	// role is the least that the caller must be; empty for anybody, signed in or not.
	role auth.Role
	// tokenless operations do not look at an access token.
	tokenless bool
}

// The rules.
var (
	// Anonymous lets everybody in. A token that is sent all the same must be good.
	Anonymous = Rule{name: "anonymous"}
	// Credential lets everybody in, because the body proves who is asking. An access token is not looked at: clients that
	// always send theirs must be able to sign in again when it has expired.
	Credential = Rule{name: "anonymous", tokenless: true}
	// Guest lets everybody in, and the service behind works on what belongs to the user or, without one, to the bearer of the
	// cart token, who is nobody in particular. A bad access token is refused: who thinks to be signed in must not fill
	// another cart.
	Guest = Rule{name: "guest", guest: true}
	// SignedIn wants a user, of any role.
	SignedIn = Rule{name: "signed_in", role: auth.Customer}
	// Owner wants a user, and the service behind answers only for what belongs to that user (or, to staff, for all).
	Owner = Rule{name: "owner", role: auth.Customer}
	Staff = Rule{name: "staff", role: auth.Staff}
	Admin = Rule{name: "admin", role: auth.Admin}
)

// Table is the authorization of the whole contract, by operation id.
var Table = map[string]Rule{
	"register":         Credential,
	"login":            Credential,
	"refresh":          Credential,
	"logout":           SignedIn,
	"get-signing-keys": Anonymous,

	"get-current-user":    Owner,
	"update-current-user": Owner,
	"delete-current-user": Owner,
	"change-password":     Owner,
	"list-sessions":       Owner,
	"end-session":         Owner,
	"end-other-sessions":  Owner,
	"list-addresses":      Owner,
	"create-address":      SignedIn,
	"get-address":         Owner,
	"update-address":      Owner,
	"delete-address":      Owner,

	"list-users":  Admin,
	"get-user":    Admin,
	"update-user": Admin,
	"delete-user": Admin,

	"create-category":        Staff,
	"update-category":        Staff,
	"delete-category":        Staff,
	"get-category":           Anonymous,
	"list-categories":        Anonymous,
	"create-product":         Staff,
	"update-product":         Staff,
	"archive-product":        Staff,
	"import-products":        Staff,
	"get-product":            Anonymous, // drafts are shown to staff only, by product-service
	"list-products":          Anonymous,
	"adjust-stock":           Staff,
	"list-stock-adjustments": Staff,

	"get-cart":         Guest,
	"add-cart-item":    Guest,
	"set-cart-item":    Guest,
	"remove-cart-item": Guest,
	"clear-cart":       Guest,
	"merge-cart":       SignedIn, // and the token in the body proves whose the other cart is

	"list-shipping-methods": Anonymous,
	"place-order":           SignedIn,
	"list-orders":           Owner,
	"get-order":             Owner,
	"cancel-order":          Owner,
	"pay-order":             Owner,
	"quote-order":           SignedIn,
	"add-order-item":        Owner,
	"remove-order-item":     Owner,
	"set-order-status":      Staff,
	"refund-order":          Staff,
	"receive-payment-event": Credential, // signed by the provider, which order-service knows

	"list-coupons":  Admin,
	"create-coupon": Admin,
	"get-coupon":    Admin,
	"update-coupon": Admin,
	"delete-coupon": Admin,

	"list-webhook-endpoints":  Admin,
	"create-webhook-endpoint": Admin,
	"get-webhook-endpoint":    Admin,
	"update-webhook-endpoint": Admin,
	"delete-webhook-endpoint": Admin,
	"list-webhook-deliveries": Admin,
	"redeliver-webhook":       Admin,
	"list-findings":           Admin,
	"repair-finding":          Admin,

	"get-liveness":  Anonymous,
	"get-readiness": Anonymous,
}

var (
	errNotSignedIn = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "Sign in first: this needs an access token.")
	errRoleTooLow  = apperr.New(apperr.PermissionDenied, apperr.PermissionDenied.DefaultReason(), "You may not do this.")
)

// Tokenless says whether an access token is not looked at.
func (r Rule) Tokenless() bool { return r.tokenless }

// Check returns nil if the caller may use the operation; p is meaningful only if signedIn, and tokenErr is why the token
// that was sent is not accepted. Errors: tokenErr, unauthenticated, permission_denied.
func (r Rule) Check(p auth.Principal, signedIn bool, tokenErr error) error {
	switch {
	case r.tokenless:
		return nil
	case tokenErr != nil:
		return tokenErr
	case r.role == "":
		return nil
	case !signedIn:
		return errNotSignedIn
	case !p.Role.AtLeast(r.role):
		return errRoleTooLow
	default:
		return nil
	}
}

// Refusals are the codes that Check answers with.
func (r Rule) Refusals() []string {
	switch {
	case r.tokenless:
		return nil
	case r.role == "" || r.role == auth.Customer:
		return []string{errNotSignedIn.Reason} // for Anonymous: of a token that is not good
	default:
		return []string{errNotSignedIn.Reason, errRoleTooLow.Reason}
	}
}

// Document writes the rule into the OpenAPI description of an operation.
func (r Rule) Document(op *huma.Operation) {
	if op.Extensions == nil {
		op.Extensions = make(map[string]any, 1)
	}
	op.Extensions["x-authorization"] = r.name
	switch {
	case r.guest:
		op.Security = []map[string][]string{{SecurityScheme: {}}, {CartTokenScheme: {}}, {}} // either, or none yet
	case r.role == "":
		op.Security = []map[string][]string{} // explicitly none
	default:
		op.Security = []map[string][]string{{SecurityScheme: {}}}
	}
}

// Complete returns an error unless the table and the operations are the same set: an operation without an entry would be
// open to all or to nobody, and an entry without an operation is a rule that somebody wrongly relies on.
func Complete(table map[string]Rule, operations []string) error {
	var faults []error
	for _, id := range operations {
		if rule, ok := table[id]; !ok || rule.name == "" {
			faults = append(faults, fmt.Errorf("authorization: operation %q has no entry", id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(operations, id) {
			faults = append(faults, fmt.Errorf("authorization: there is no operation %q", id))
		}
	}
	return errors.Join(faults...)
}
