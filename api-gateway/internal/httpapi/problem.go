package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/apperr"
)

const (
	problemContentType = "application/problem+json"
	mediaJSON          = "application/json"
	// problemTypes is where the types of problems stand: a name for programs that prefer `type` to `code`.
	problemTypes = "https://shop.example/problems/"
	// unavailableRetryAfter is what a 503 asks for, in seconds: a replica that was lost is replaced, or its breaker probes it
	// again, in about that time.
	unavailableRetryAfter = 2
	// tooManyRetryAfter is for services that refuse for haste without saying until when.
	tooManyRetryAfter = 30
	// maxFieldErrors and maxLocation bound what an error repeats of a hostile request.
	maxFieldErrors = 20
	maxLocation    = 200
)

// statuses maps the kinds of errors to HTTP: the one place that does.
var statuses = map[apperr.Kind]int{
	apperr.Internal:         http.StatusInternalServerError,
	apperr.Malformed:        http.StatusBadRequest,
	apperr.Invalid:          http.StatusUnprocessableEntity,
	apperr.Unauthenticated:  http.StatusUnauthorized,
	apperr.PermissionDenied: http.StatusForbidden,
	apperr.NotFound:         http.StatusNotFound,
	apperr.Conflict:         http.StatusConflict,
	apperr.VersionMismatch:  http.StatusPreconditionFailed,
	apperr.PaymentFailed:    http.StatusPaymentRequired,
	apperr.TooMany:          http.StatusTooManyRequests,
	apperr.Unavailable:      http.StatusServiceUnavailable,
	apperr.DeadlineExceeded: http.StatusGatewayTimeout,
}

// FieldError says what is wrong with one part of the request.
type FieldError struct {
	Location string `json:"location" doc:"The part of the request, such as body.email or query.page_size." example:"body.email"`
	Message  string `json:"message"`
	// members are further facts, such as product_id and available for an item that is out of stock.
	members map[string]any
	_       struct{} `additionalProperties:"true"`
}

// Problem is an error as clients see it (RFC 9457).
type Problem struct {
	Type      string       `json:"type" format:"uri" doc:"Names the kind of problem."`
	Title     string       `json:"title" doc:"The kind of problem in a few words."`
	Status    int          `json:"status" doc:"The HTTP status."`
	Detail    string       `json:"detail" doc:"What went wrong this time, for people."`
	Instance  string       `json:"instance" format:"uri-reference" doc:"What was asked for."`
	Code      string       `json:"code" doc:"A stable code for programs." example:"validation_failed"`
	RequestID string       `json:"request_id" doc:"Name it when you report the problem."`
	Errors    []FieldError `json:"errors,omitempty" doc:"What is wrong with the parts of the request."`
	// members are further facts, such as order_id.
	members map[string]any
	_       struct{} `additionalProperties:"true"`

	// retryAfter is in seconds; 0 for no such field.
	retryAfter int
	// replayed says that this is the answer to an earlier request with the same Idempotency-Key.
	replayed bool
	// cause is for the log, once, and for nobody else.
	cause error
}

// Error makes a Problem what huma takes for an error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType replaces the negotiated one.
func (p *Problem) ContentType(string) string { return problemContentType }

// MarshalJSON puts the members beside the fields, as RFC 9457 says.
func (p *Problem) MarshalJSON() ([]byte, error) {
	type plain Problem
	return withMembers((*plain)(p), p.members)
}

// MarshalJSON puts the members beside the fields.
func (f FieldError) MarshalJSON() ([]byte, error) {
	type plain FieldError
	return withMembers(plain(f), f.members)
}

// withMembers encodes v, which becomes an object, with further members. The object's own fields win.
func withMembers(v any, members map[string]any) ([]byte, error) {
	own, err := json.Marshal(v)
	if err != nil || len(members) == 0 {
		return own, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(own, &all); err != nil {
		return nil, err
	}
	for name, value := range members {
		if _, taken := all[name]; taken {
			continue
		}
		if all[name], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(all)
}

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Type: problemTypes + code, Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// problemOf is the problem for an error of ours or of a service. An error that carries no kind becomes a 500 with a fixed
// text: its own is for the log.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	e := apperr.From(err)
	p = newProblem(statuses[e.Kind], e.Reason, e.Message)
	p.cause = err
	p.members = maps.Clone(e.Attributes)
	// How order-service marks an answer that it gives once more; on a success it is a field of the message.
	if p.replayed, _ = p.members["idempotency_replayed"].(bool); p.replayed {
		delete(p.members, "idempotency_replayed")
	}
	for _, v := range e.Violations {
		p.Errors = append(p.Errors, FieldError{Location: v.Location, Message: v.Message, members: v.Attributes})
	}
	switch e.Kind {
	case apperr.Internal:
		// Whatever a service calls its failure, clients get one code and no facts.
		p = newProblem(p.Status, apperr.Internal.DefaultReason(), "Something went wrong on our side.")
		p.cause = err
	case apperr.Unavailable:
		p.retryAfter = unavailableRetryAfter
	case apperr.TooMany:
		p.retryAfter = tooManyRetryAfter
		if after, ok := e.Attributes["retry_after"].(int64); ok && after > 0 {
			p.retryAfter = int(after)
		}
	}
	return p
}

// problemOfHuma is the problem for what huma found wrong with a request. Its own errors repeat the rejected value, which may
// be a password, or the whole body: only the location and the message are taken over.
func problemOfHuma(status int, message string, errs []error) *Problem {
	var (
		ours   *Problem
		joined = errors.Join(errs...)
	)
	switch {
	case errors.As(joined, &ours):
		return ours
	case status >= http.StatusInternalServerError && joined != nil:
		return problemOf(joined)
	}

	var fields []FieldError
	for _, err := range errs {
		var detailer huma.ErrorDetailer
		if errors.As(err, &detailer) {
			d := detailer.ErrorDetail()
			fields = append(fields, fieldError(d.Location, d.Message))
		}
	}
	switch status {
	case http.StatusBadRequest:
		detail := "The body is missing."
		if len(fields) > 0 {
			detail = fields[0].Message // of our own decoder: it repeats nothing
		}
		return newProblem(status, "malformed_request", detail)
	case http.StatusUnsupportedMediaType:
		return unsupportedMediaType(mediaJSON)
	case http.StatusUnprocessableEntity:
		// What can't be an id names nothing that exists; that is all a client needs to know.
		if slices.ContainsFunc(fields, func(f FieldError) bool { return strings.HasPrefix(f.Location, "path.") }) {
			return newProblem(http.StatusNotFound, "not_found", "There is no such thing.")
		}
		// In a stable order, one for each part.
		slices.SortStableFunc(fields, func(a, b FieldError) int { return cmp.Compare(a.Location, b.Location) })
		fields = slices.CompactFunc(fields, func(a, b FieldError) bool { return a.Location == b.Location })
		p := newProblem(status, "validation_failed", "The request is not valid.")
		p.Errors = fields[:min(len(fields), maxFieldErrors)]
		return p
	default:
		p := newProblem(http.StatusInternalServerError, "internal", "Something went wrong on our side.")
		p.cause = errors.Join(errors.New(message), joined)
		return p
	}
}

// fieldError puts an error of huma's in our terms.
func fieldError(location, message string) FieldError {
	// What is missing is reported at the object that it is missing from; clients want the name of the field.
	if rest, ok := strings.CutPrefix(message, "expected required property "); ok {
		if name, ok := strings.CutSuffix(rest, " to be present"); ok {
			return FieldError{Location: location + "." + name, Message: "is required"}
		}
	}
	// Values that fit the schema but not the type that they are for: only encoding/json notices, in its own words.
	if strings.HasPrefix(message, "json: ") {
		message = "expected a value of the right type and size"
	}
	return FieldError{Location: shorten(location), Message: message}
}

func shorten(location string) string {
	if len(location) > maxLocation {
		return strings.ToValidUTF8(location[:maxLocation], "") + "…"
	}
	return location
}

// bodyTooLarge is for a body of more than so many bytes, a whole number of MiB.
func bodyTooLarge(limit int) *Problem {
	return newProblem(http.StatusRequestEntityTooLarge, "body_too_large", "The body is larger than "+strconv.Itoa(limit>>20)+" MiB.")
}

func unsupportedMediaType(want string) *Problem {
	return newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send "+want+", in UTF-8.")
}

// complete adds what belongs to this request, and remembers the problem for the request's line in the log.
func (p *Problem) complete(ctx context.Context, path string) *Problem {
	x := exchangeOf(ctx)
	c := *p
	c.Instance = path
	c.RequestID = x.requestID
	x.code, x.cause = c.Code, c.cause
	return &c
}

// setHeaders sets the fields that go with a status.
func (p *Problem) setHeaders(set func(name, value string)) {
	set("Cache-Control", "no-store")
	if p.replayed {
		set("Idempotency-Replayed", "true")
	}
	if p.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	switch p.Status {
	case http.StatusUnauthorized:
		set("WWW-Authenticate", `Bearer realm="shop"`)
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		set("Connection", "close") // the rest of the body is not read
	}
}

// writeProblem answers a request that no operation answers.
func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p = p.complete(r.Context(), r.URL.EscapedPath())
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{}`) // can't be: all members are plain values
	}
	p.setHeaders(w.Header().Set)
	w.Header().Set("Content-Type", problemContentType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client has gone: there is nobody left to tell
}

// refuse answers an operation with a problem.
func refuse(api huma.API, ctx huma.Context, err error) {
	// It fails if the client has gone.
	_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", err)
}

// humaProblem is what huma calls to make an error of an operation.
func humaProblem(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	p := problemOfHuma(status, message, errs)
	op := ctx.Operation()
	for i := range p.Errors {
		p.Errors[i].Location = locate(op, p.Errors[i].Location)
	}
	url := ctx.URL()
	p = p.complete(ctx.Context(), url.EscapedPath())
	p.setHeaders(ctx.SetHeader)
	return p
}

// aliases are the fields of services' requests that the REST contract calls otherwise, by operation.
var aliases = map[string]map[string]string{
	"place-order":   {"payment_method": "payment.method", "payment_token": "payment.token", "idempotency_key": "header.Idempotency-Key"},
	"pay-order":     {"payment_method": "method", "payment_token": "token", "payment.token": "token"},
	"adjust-stock":  {"idempotency_key": "header.Idempotency-Key"},
	"list-products": {"query": "q"},
	// Messages can't say of a list whether it is set, so in changes lists are wrapped.
	"update-product": {"category_ids.ids": "category_ids", "images.images": "images", "attributes.values": "attributes"},
	"list-users":     {"query": "q"},
	"refresh":        {"idempotency_key": "header.Idempotency-Key"},
}

// locate says where in the request a field stands that a service complained about. What has a place already keeps it.
func locate(op *huma.Operation, location string) string {
	name, index := location, ""
	if i := strings.IndexByte(location, '['); i >= 0 {
		name, index = location[:i], location[i:]
	}
	if alias, ok := aliases[op.OperationID][name]; ok {
		location = alias + index
	}
	head, _, _ := strings.Cut(location, ".")
	switch head {
	case "body", "query", "path", "header", "":
		return location
	}
	head, _, _ = strings.Cut(head, "[")
	for _, p := range op.Parameters {
		if p.Name == head && (p.In == "query" || p.In == "path") {
			return p.In + "." + location
		}
		// cart_token stands in X-Cart-Token.
		if p.In == "header" && strings.TrimPrefix(p.Name, "X-") == http.CanonicalHeaderKey(strings.ReplaceAll(head, "_", "-")) {
			return "header." + p.Name
		}
	}
	if op.RequestBody != nil {
		return "body." + location
	}
	return location
}
