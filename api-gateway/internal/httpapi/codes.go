package httpapi

import "net/http"

// failure is what a code of a problem means, for the OpenAPI document.
type failure struct {
	status int
	// detail is what a client may read along with the code; services word theirs themselves.
	detail string
	// errors and members are what such a problem has further.
	errors  []FieldError
	members map[string]any
}

// failures are the problems of the contract, by code. An operation names its particular ones when it is registered; the
// others follow from what it is (see describe).
var failures = map[string]failure{
	// Of the gateway itself, of any operation that can have them.
	"malformed_request":      {status: http.StatusBadRequest, detail: "The request can't be read: its URL, a field of its header or its body is malformed."},
	"headers_too_large":      {status: http.StatusRequestHeaderFieldsTooLarge, detail: "The address and the header fields are larger than 32 KiB."},
	"unauthenticated":        {status: http.StatusUnauthorized, detail: "Sign in first: this needs an access token."},
	"permission_denied":      {status: http.StatusForbidden, detail: "You may not do this."},
	"not_found":              {status: http.StatusNotFound, detail: "There is no such thing."},
	"request_timeout":        {status: http.StatusRequestTimeout, detail: "The body did not arrive in time."},
	"version_mismatch":       {status: http.StatusPreconditionFailed, detail: "It was changed meanwhile. Read it again."},
	"body_too_large":         {status: http.StatusRequestEntityTooLarge, detail: "The body is larger than 1 MiB (an import: 100 MiB)."},
	"unsupported_media_type": {status: http.StatusUnsupportedMediaType, detail: "Send application/json, in UTF-8 (an import: application/x-ndjson)."},
	"validation_failed": {
		status: http.StatusUnprocessableEntity, detail: "The request is not valid.",
		errors: []FieldError{{Location: "body.nickname", Message: "unexpected property"}, {Location: "query.page_size", Message: "expected number <= 100"}},
	},
	"rate_limited":           {status: http.StatusTooManyRequests, detail: "Too many requests. Slow down, please."},
	"internal":               {status: http.StatusInternalServerError, detail: "Something went wrong on our side."},
	"dependency_unavailable": {status: http.StatusServiceUnavailable, detail: "A part of the shop can't be reached just now. Try again in a moment."},
	"overloaded":             {status: http.StatusServiceUnavailable, detail: "The shop is very busy. Try again in a moment."},
	"deadline_exceeded":      {status: http.StatusGatewayTimeout, detail: "It took too long. Whether it was done is not known."},

	// Identity.
	"email_taken":          {status: http.StatusConflict, detail: "There is an account with this e-mail address already."},
	"invalid_credentials":  {status: http.StatusUnauthorized, detail: "The e-mail address or the password is wrong."},
	"refresh_token_reused": {status: http.StatusUnauthorized, detail: "This refresh token was used before. For safety the session was ended. Sign in again."},
	"last_admin":           {status: http.StatusConflict, detail: "This is the last active admin. Make somebody else an admin first."},
	"address_limit":        {status: http.StatusUnprocessableEntity, detail: "An address book has at most 20 addresses. Delete one first."},

	// Catalogue and stock.
	"sku_taken":          {status: http.StatusConflict, detail: "Another product has this SKU."},
	"slug_taken":         {status: http.StatusConflict, detail: "This slug is in use already."},
	"category_cycle":     {status: http.StatusConflict, detail: "A category can't be below itself."},
	"category_in_use":    {status: http.StatusConflict, detail: "The category has products or categories below it."},
	"insufficient_stock": {status: http.StatusConflict, detail: "The stock cannot go below what is reserved."},

	// Cart.
	"cart_limit": {
		status: http.StatusUnprocessableEntity, detail: "A cart holds at most 999 of one product.",
		errors: []FieldError{{Location: "body.quantity", Message: "must be at most 999 in all"}},
	},
	"product_unavailable": {
		status: http.StatusUnprocessableEntity, detail: "This product can't be bought.",
		errors: []FieldError{{Location: "body.product_id", Message: "is not a product that is sold"}},
	},

	// Orders.
	"idempotency_key_missing": {status: http.StatusBadRequest, detail: "Send an Idempotency-Key, so that a retry can't order twice."},
	"idempotency_key_reused":  {status: http.StatusUnprocessableEntity, detail: "This Idempotency-Key was used for another request. Use a new one."},
	"idempotency_in_progress": {status: http.StatusConflict, detail: "The first request with this Idempotency-Key is still running. Try again in a moment."},
	"cart_empty":              {status: http.StatusUnprocessableEntity, detail: "There is nothing in the cart."},
	"coupon_invalid": {
		status: http.StatusUnprocessableEntity, detail: "The coupon can't be used.",
		errors: []FieldError{{Location: "body.coupon_code", Message: "is not a coupon of this shop"}},
	},
	"coupon_exhausted": {
		status: http.StatusConflict, detail: "The coupon has been used up.",
		errors: []FieldError{{Location: "body.coupon_code", Message: "has been used as often as it may be"}},
	},
	"code_taken":                {status: http.StatusConflict, detail: "Another coupon has this code."},
	"webhook_endpoint_limit":    {status: http.StatusUnprocessableEntity, detail: "There are as many webhook endpoints as there may be. Delete one first."},
	"webhook_endpoint_disabled": {status: http.StatusConflict, detail: "The webhook endpoint is disabled, so nothing is sent to it."},
	"out_of_stock": {
		status: http.StatusConflict, detail: "There is not enough in stock.",
		errors: []FieldError{{Location: "body.items[0]", Message: "only 1 is left", members: map[string]any{"product_id": exampleProductID, "available": 1}}},
	},
	"total_changed": {
		status: http.StatusConflict, detail: "The total is not the expected one any more. Ask for a new quote.",
		members: map[string]any{"total": Money{Amount: 4688, Currency: "EUR"}},
	},
	"payment_declined": {
		status: http.StatusPaymentRequired, detail: "The payment was declined.", members: map[string]any{"order_id": exampleID},
	},
	"payment_failed": {
		status: http.StatusPaymentRequired, detail: "The payment provider could not take the payment.", members: map[string]any{"order_id": exampleID},
	},
	"order_not_payable": {status: http.StatusConflict, detail: "Only a pending order that is not being paid can be paid."},
	"order_busy":        {status: http.StatusConflict, detail: "The order is being worked on. Try again in a moment."},
	"invalid_transition": {
		status: http.StatusConflict, detail: "An order that is shipped can't become cancelled.", members: map[string]any{"order_status": "shipped"},
	},
	"order_not_editable": {status: http.StatusConflict, detail: "Only a pending order that is not being paid can be changed."},
	"payment_interrupted": {
		status: http.StatusConflict, detail: "The payment was interrupted, and nothing was charged. Pay again.", members: map[string]any{"order_id": exampleID},
	},
	"refund_exceeds_payment": {
		status: http.StatusConflict, detail: "This is more than was paid and not given back yet.", members: map[string]any{"refundable": 1999},
	},
	"refund_failed": {
		status: http.StatusConflict, detail: "The payment provider refuses this refund, and its amount was not given back.",
		members: map[string]any{"order_id": exampleID, "refund_id": exampleRefundID},
	},
	"finding_not_repairable": {status: http.StatusConflict, detail: "The shop can't repair this by itself. Restock its products, or cancel the order."},
	"checkout_interrupted": {
		status: http.StatusConflict, detail: "The checkout was interrupted and the order cancelled; nothing was charged. Order again, with a new Idempotency-Key.",
		members: map[string]any{"order_id": exampleID},
	},
}

// example is a problem with this code.
func (f failure) example(code string) *Problem {
	p := newProblem(f.status, code, f.detail)
	p.Instance, p.RequestID = base+"/orders", exampleRequestID
	p.Errors, p.members = f.errors, f.members
	return p
}
