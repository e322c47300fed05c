package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"shop.example/api-gateway/internal/authz"
	"shop.example/api-gateway/internal/clientip"
	"shop.example/api-gateway/internal/inflight"
	"shop.example/api-gateway/internal/ratelimit"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/logging"
)

const (
	// maxBody is the contract's limit for a body.
	maxBody = 1 << 20
	// maxDrained and drainTimeout bound how much of a body that is too large is still read. A client that is in the middle
	// of sending does not look for an answer, and would see a broken connection instead of the 413.
	maxDrained   = 8 << 20
	drainTimeout = 2 * time.Second
	// Bodies are held in memory. Up to smallBody, which few real ones exceed, only the number of open requests bounds them. Of
	// larger ones there may be maxLargeBodies at a time, 32 MiB; the next is answered 503. So a thousand bodies at once cost
	// no more, and who sends large ones does not keep out those who send small ones.
	smallBody      = 32 << 10
	maxLargeBodies = 32
	// The deadlines of the design: at the edge, and for what waits for a payment.
	requestTimeout  = 5 * time.Second
	checkoutTimeout = 10 * time.Second
)

// The limits. A person with a browser stays far below; a script that reads the catalogue is slowed down. Credentials may be
// tried once a second on average: guessing gets nowhere, and an office behind one address can still sign in at nine.
var (
	defaultPolicy     = ratelimit.Policy{Name: "default", Quota: 200, Window: 10 * time.Second}
	credentialsPolicy = ratelimit.Policy{Name: "credentials", Quota: 30, Window: 30 * time.Second}
	// A payment provider tells of all orders from a few addresses: of ten times as many as a busy shop has in a second. Whoever
	// else calls there costs a signature that does not verify.
	eventsPolicy = ratelimit.Policy{Name: "payment-events", Quota: 2000, Window: 10 * time.Second}
	// A new guest's cart stays in the carts' Redis for 30 days, about 600 bytes, and costs its maker nothing, not even an
	// account. Ten a minute are 430,000 in that time, or 260 MB for an address, at worst. A person makes one a month, so it is
	// enough for a large office behind one address, where a hundred may begin at the same moment.
	newCartPolicy = ratelimit.Policy{Name: "new-cart", Quota: 100, Window: 10 * time.Minute}
)

// beginsCart says whether a request of somebody who has not signed in makes a new cart, if it does anything. Whether the cart of
// a token is no more, cart-service says: see inCartOrNew.
func beginsCart(r *http.Request) bool {
	return r.Header.Get("X-Cart-Token") == "" && (r.Method == http.MethodPost || r.Method == http.MethodPut) &&
		(r.URL.Path == base+"/cart/items" || strings.HasPrefix(r.URL.Path, base+"/cart/items/"))
}

// probePaths are asked by machines that would replace a process which does not answer: they are never refused for load.
var probePaths = map[string]bool{"/healthz": true, "/readyz": true}

// saneRequestID is what we take over from a client: it ends up in headers, logs and traces.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// exchange is what the layers of one request tell each other, and the line in the log. It belongs to the request's goroutine.
type exchange struct {
	requestID string
	method    string // as the client sent it
	status    int    // of the answer, once there is one
	client    netip.Addr
	// began is when the work began, zero before.
	began time.Time
	// visit is nil if the request was refused at once, for the reason in refused.
	visit   *inflight.Visit
	refused error
	// cutBody ends the waiting for the body.
	cutBody func()
	// drain is what is left of a body that is too large.
	drain io.Reader
	// freeLarge gives back the place of a large body, nil without one.
	freeLarge func()
	principal auth.Principal
	signedIn  bool
	// authErr is why the token that was sent is not accepted.
	authErr error
	// code and cause are of the problem that was answered, if any.
	code  string
	cause error
	// brokenOff says that the answer ends in the middle.
	brokenOff bool
}

type exchangeKey struct{}

// exchangeOf returns the exchange of a request; outside of one, an exchange that nobody reads.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return new(exchange)
}

// identify gives the request its id, from here to the last service, and sets the header fields of every answer.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-ID")
		if !saneRequestID.MatchString(id) {
			id = uuid.NewString()
		}
		h := w.Header()
		h.Set("X-Request-ID", id)
		// Answers are for who asked, unless an operation says otherwise.
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if s.clients.Secure(r) { // over plain HTTP it has no meaning (RFC 6797, 7.2)
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if strings.HasPrefix(r.URL.Path, "/docs") { // the one page that is more than data
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		}

		if r.URL.Path == "" { // CONNECT has none
			r.URL.Path = "/"
		}
		// Baggage goes to all services and into their logs: a client has no business there.
		r.Header.Del("Baggage")
		ctx := context.WithValue(r.Context(), exchangeKey{}, &exchange{requestID: id, client: s.clients.Of(r)})
		if member, err := baggage.NewMemberRaw(logging.RequestIDMember, id); err == nil {
			if bag, err := baggage.New(member); err == nil {
				ctx = baggage.ContextWithBaggage(ctx, bag)
			}
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// record writes the request's line in the log, and tells the span its route.
func (s *Server) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		x := exchangeOf(r.Context())
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("request_id", x.requestID))
		recorder := chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor)
		// Deferred, because an answer that broke off in the middle leaves by a panic.
		defer func() {
			// otelhttp, right outside of here, names the span and the metrics by the route of this very request.
			r.Pattern = chi.RouteContext(r.Context()).RoutePattern()
			x.status = recorder.Status()
			s.logRequest(r, x, recorder, time.Since(start))
		}()
		next.ServeHTTP(recorder, r)
	})
}

// plainPath has no place for an e-mail address or a name.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._-]*$`)

// logRequest writes the one line that each request has in the log.
func (s *Server) logRequest(r *http.Request, x *exchange, answer chimiddleware.WrapResponseWriter, took time.Duration) {
	ctx := r.Context()
	if x.signedIn {
		ctx = auth.NewContext(ctx, x.principal)
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method),
		slog.String("route", r.Pattern),
		slog.Int("status", answer.Status()),
		slog.Int("bytes", answer.BytesWritten()),
		slog.Duration("took", took.Round(time.Microsecond)),
		slog.String("client", x.client.String()),
	}
	if r.Pattern != "" && plainPath.MatchString(r.URL.Path) {
		// Without the query: people search for private things. And only made of ids and the like: people mistype them, too.
		attrs = append(attrs, slog.String("path", r.URL.Path))
	}
	if x.code != "" {
		attrs = append(attrs, slog.String("code", x.code))
	}
	level := slog.LevelInfo
	switch {
	case x.code == codeOverloaded: // whoever floods us must not flood those who look for faults
	case answer.Status() >= http.StatusInternalServerError || x.brokenOff:
		level = slog.LevelError
		if x.cause != nil {
			attrs = append(attrs, slog.Any("error", x.cause))
		}
	case probePaths[r.URL.Path]:
		level = slog.LevelDebug // every few seconds, all alike
	}
	s.log.LogAttrs(ctx, level, "request", attrs...)
}

// recoverPanics makes a 500 of a panic, so that one request's bug is one request's failure.
func recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(reason) // net/http's own way to break a connection off
			}
			p := newProblem(http.StatusInternalServerError, "internal", "Something went wrong on our side.")
			p.cause = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
			if recorder, ok := w.(chimiddleware.WrapResponseWriter); ok && recorder.Status() != 0 {
				x := exchangeOf(r.Context())
				x.cause, x.brokenOff = p.cause, true
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
			writeProblem(w, r, p)
		}()
		next.ServeHTTP(w, r)
	})
}

// once are the fields of which two would leave it open which one counts.
var once = []string{"Content-Type", "Idempotency-Key", "If-Match", "X-Cart-Token"}

// read are the fields that operations make something of. What else clients send in any coding of theirs is none of our business.
var read = append([]string{"Authorization", "If-None-Match", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Stripe-Signature"}, once...)

// refuseGarbage answers what no operation could make sense of: text that is not UTF-8 or holds NUL, which no service could
// be sent or store, endless headers, and bodies in a coding: unpacked they could be of any size.
func refuseGarbage(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := garbage(r); p != nil {
			writeProblem(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func garbage(r *http.Request) *Problem {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	if size > maxHeaders {
		return newProblem(http.StatusRequestHeaderFieldsTooLarge, "headers_too_large", "The address and the header fields are larger than 32 KiB.")
	}
	for _, name := range read {
		if slices.ContainsFunc(r.Header[name], func(value string) bool { return !saneText(value) }) {
			return newProblem(http.StatusBadRequest, "malformed_request", "The header field "+name+" is not valid UTF-8.")
		}
	}
	// It is only shown to the owner of a session, as far as it can be.
	if agent := r.Header.Get("User-Agent"); !saneText(agent) {
		r.Header.Set("User-Agent", strings.ToValidUTF8(agent, "\ufffd"))
	}
	// A list in several lines is one (RFC 9110, 5.3).
	if tags := r.Header["If-None-Match"]; len(tags) > 1 {
		r.Header.Set("If-None-Match", strings.Join(tags, ", "))
	}
	for _, name := range once {
		if len(r.Header[name]) > 1 {
			return newProblem(http.StatusBadRequest, "malformed_request", "The header field "+name+" is there more than once.")
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	sane := err == nil && saneText(r.URL.Path)
	for name, values := range query {
		sane = sane && saneText(name)
		for _, value := range values {
			sane = sane && saneText(value)
		}
	}
	if !sane {
		return newProblem(http.StatusBadRequest, "malformed_request", "The URL is not valid.")
	}
	if coding := r.Header.Get("Content-Encoding"); r.ContentLength != 0 && coding != "" && !strings.EqualFold(coding, "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the body as it is, without a Content-Encoding.")
	}
	return nil
}

func saneText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// authenticate finds out who is asking. It refuses nobody: a bad token is refused where the operation is known, after it was
// counted. Where the body proves who is asking, a token is not even looked at, nor passed on: it may be an old one.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, base) {
			w.Header().Add("Vary", "Authorization")
		}
		values := r.Header.Values("Authorization")
		if len(values) == 0 || s.tokenless[operationKey(r)] || isPaymentEvent(r) {
			next.ServeHTTP(w, r)
			return
		}
		x := exchangeOf(r.Context())
		scheme, raw, _ := strings.Cut(values[0], " ")
		if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
			x.authErr = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "Send one access token: Authorization: Bearer <token>.")
			next.ServeHTTP(w, r)
			return
		}
		p, err := s.verify(r.Context(), strings.TrimSpace(raw))
		if err != nil {
			x.authErr = err
			next.ServeHTTP(w, r)
			return
		}
		x.principal, x.signedIn = p, true
		next.ServeHTTP(w, r.WithContext(auth.NewContext(r.Context(), p)))
	})
}

// limit counts the request and refuses it if there were too many. Without limits, the fields say that the whole quota is left.
func (s *Server) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		policy, clients := defaultPolicy, []string{networkOf(r.Context())}
		switch {
		case s.credentials[operationKey(r)]:
			policy = credentialsPolicy // by address always: an account must not buy more guesses
			if x.signedIn {
				clients = append(clients, "user:"+x.principal.UserID)
			}
		case isPaymentEvent(r):
			policy = eventsPolicy
		case x.signedIn:
			clients[0] = "user:" + x.principal.UserID
		case x.authErr == nil && beginsCart(r):
			policy = newCartPolicy
		}
		decision := ratelimit.Decision{Allowed: true, Remaining: policy.Quota}
		for _, client := range clients {
			if s.limiter == nil || !decision.Allowed {
				break
			}
			if d := s.limiter.Take(r.Context(), policy, client); !d.Allowed || d.Remaining < decision.Remaining {
				decision = d // the one that binds
			}
		}
		announce(w, policy, decision)
		if !decision.Allowed && !probePaths[r.URL.Path] {
			writeProblem(w, r, rateLimited(decision))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// networkOf names a client by its network in the limits.
func networkOf(ctx context.Context) string {
	return "addr:" + clientip.Network(exchangeOf(ctx).client).String()
}

// announce sets the fields that tell a client its limits.
func announce(w http.ResponseWriter, policy ratelimit.Policy, decision ratelimit.Decision) {
	w.Header().Set("RateLimit-Policy", policy.String())
	w.Header().Set("RateLimit", decision.Field(policy))
}

// authorize holds every operation against the table.
func (s *Server) authorize(ctx huma.Context, next func(huma.Context)) {
	x := exchangeOf(ctx.Context())
	if err := authz.Table[ctx.Operation().OperationID].Check(x.principal, x.signedIn, x.authErr); err != nil {
		refuse(s.api, ctx, err)
		return
	}
	next(ctx)
}

// bound gives every operation its deadline, which gRPC carries on to the services. It counts from when the work began: what
// the token took is part of it.
func bound(ctx huma.Context, next func(huma.Context)) {
	timeout := requestTimeout
	if longer, ok := ctx.Operation().Metadata[metaTimeout].(time.Duration); ok {
		timeout = longer
	}
	bounded, cancel := exchangeOf(ctx.Context()).deadline(ctx.Context(), timeout)
	defer cancel()
	next(huma.WithContext(ctx, bounded))
}

// refuseBody refuses what is sent to an operation that takes no body, as it would an unknown field in one: nothing that a client
// says is ignored.
func (s *Server) refuseBody(ctx huma.Context, next func(huma.Context)) {
	if ctx.Operation().RequestBody != nil || ctx.Method() == http.MethodGet || ctx.Method() == http.MethodHead {
		next(ctx)
		return
	}
	body, err := io.ReadAll(ctx.BodyReader()) // from memory, see readBody
	if err == nil && len(bytes.TrimSpace(body)) == 0 {
		next(ctx)
		return
	}
	if contentType := ctx.Header("Content-Type"); err == nil && contentType != "" && !isMedia(contentType, mediaJSON) {
		refuse(s.api, ctx, unsupportedMediaType(mediaJSON))
		return
	}
	var value any
	if err == nil {
		err = unmarshal(body, &value)
	}
	fields, object := value.(map[string]any)
	switch {
	case err != nil:
		refuse(s.api, ctx, apperr.New(apperr.Malformed, apperr.Malformed.DefaultReason(), err.Error()))
	case !object:
		refuse(s.api, ctx, apperr.ValidationFailed(apperr.Violation{Location: "body", Message: "expected no body"}))
	case len(fields) > 0:
		var violations []apperr.Violation
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			violations = append(violations, apperr.Violation{Location: "body." + shorten(name), Message: "unexpected property"})
		}
		refuse(s.api, ctx, apperr.ValidationFailed(violations[:min(len(violations), maxFieldErrors)]...))
	default:
		next(ctx)
	}
}

// checkContentType refuses bodies of another type than the operation's before they are read. A body without a type is taken
// for one of that.
func (s *Server) checkContentType(ctx huma.Context, next func(huma.Context)) {
	r, _ := humachi.Unwrap(ctx)
	contentType := r.Header.Get("Content-Type")
	if ctx.Operation().RequestBody == nil || ctx.Operation().SkipValidateBody || r.ContentLength == 0 || contentType == "" {
		next(ctx)
		return
	}
	want := mediaJSON
	if ctx.Operation().RequestBody.Content[want] == nil {
		want = mediaLines
	}
	if !isMedia(contentType, want) {
		refuse(s.api, ctx, unsupportedMediaType(want))
		return
	}
	next(ctx)
}

// isMedia says whether a Content-Type is a media type, in UTF-8.
func isMedia(contentType, want string) bool {
	media, parameters, err := mime.ParseMediaType(contentType)
	charset := parameters["charset"]
	return err == nil && media == want && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// checkQuery refuses parameters that an operation doesn't have, and those that stand there twice: a filter that is misspelt
// would otherwise answer everything. Probes are asked by machines that may add what they like.
func (s *Server) checkQuery(ctx huma.Context, next func(huma.Context)) {
	known := make(map[string]bool)
	for _, p := range ctx.Operation().Parameters {
		if p.In == "query" {
			known[p.Name] = true
		}
	}
	if !strings.HasPrefix(ctx.Operation().Path, base) {
		next(ctx)
		return
	}
	address := ctx.URL()
	query := address.Query()
	var violations []apperr.Violation
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if len(violations) == maxFieldErrors {
			break
		}
		switch {
		case !known[name]:
			violations = append(violations, apperr.Violation{Location: "query." + shorten(name), Message: "unexpected parameter"})
		case len(query[name]) > 1:
			violations = append(violations, apperr.Violation{Location: "query." + name, Message: "expected it once"})
		}
	}
	if len(violations) > 0 {
		refuse(s.api, ctx, apperr.ValidationFailed(violations...))
		return
	}
	next(ctx)
}

// printable is what an Idempotency-Key is made of.
var printable = regexp.MustCompile(`^[\x20-\x7e]{1,255}$`)

// checkIdempotencyKey looks at the key before the body: without one, nothing else matters.
func (s *Server) checkIdempotencyKey(ctx huma.Context, next func(huma.Context)) {
	need, ok := ctx.Operation().Metadata[metaIdempotency].(idempotency)
	key := ctx.Header("Idempotency-Key")
	switch {
	case !ok:
	case key == "" && need == keyRequired:
		refuse(s.api, ctx, apperr.New(apperr.Malformed, "idempotency_key_missing", "Send an Idempotency-Key, so that a retry can't order twice."))
		return
	case key != "" && !printable.MatchString(key):
		refuse(s.api, ctx, apperr.New(apperr.Malformed, apperr.Malformed.DefaultReason(), "The Idempotency-Key must be 1 to 255 printable characters.").
			With(apperr.Violation{Location: "header.Idempotency-Key", Message: "expected 1 to 255 printable characters"}))
		return
	}
	next(ctx)
}
