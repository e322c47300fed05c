// Package api is the provider's HTTP interface.
package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"shop.example/deploy/testpay/internal/ledger"
)

const (
	// maxBody is many times the largest sensible request.
	maxBody = 64 << 10
	// SilentFor is how long a tok_timeout caller is kept waiting before its connection is cut: longer than any client's
	// patience. The server's write timeout must be longer still.
	SilentFor = 60 * time.Second
	// maxKey is the shop's own rule for idempotency keys.
	maxKey = 255
)

// API serves a ledger.
type API struct {
	ledger   *ledger.Ledger
	keyHash  [sha256.Size]byte
	log      *slog.Logger
	draining <-chan struct{}
	mux      *http.ServeMux
}

// New returns the handler. draining, once closed, cuts the calls that were never going to be answered, so that they do
// not hold up the end of the process.
func New(l *ledger.Ledger, apiKey string, draining <-chan struct{}, log *slog.Logger) *API {
	a := &API{ledger: l, keyHash: sha256.Sum256([]byte(apiKey)), draining: draining, log: log, mux: http.NewServeMux()}
	a.mux.HandleFunc("GET /healthz", a.health)
	a.get("GET /v1/payments/{id}", a.payment)
	a.get("GET /v1/payments/by-key/{key...}", a.byKey)
	a.get("GET /v1/payments", a.list)
	a.get("GET /v1/ledger", a.entries)
	a.post("POST /v1/payments", a.authorize)
	a.post("POST /v1/payments/void-by-key", a.voidByKey)
	a.post("POST /v1/payments/{id}/capture", a.capture)
	a.post("POST /v1/payments/{id}/void", a.void)
	a.post("POST /v1/payments/{id}/refunds", a.refund)
	return a
}

// ServeHTTP answers, and logs what was answered: never keys or tokens.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	answer := &recorder{ResponseWriter: w}
	defer func() {
		level := slog.LevelInfo
		if r.Method == http.MethodGet {
			level = slog.LevelDebug // polls and probes
		}
		// Status 0 is a call that was left without an answer.
		a.log.Log(r.Context(), level, "request", "method", r.Method, "route", r.Pattern, "status", answer.status,
			"payment_id", answer.paymentID, "code", answer.code, "ms", float64(time.Since(began).Microseconds())/1000)
	}()
	if handler, pattern := a.mux.Handler(r); pattern == "" {
		a.unrouted(answer, r, handler)
		return
	}
	a.mux.ServeHTTP(answer, r)
}

// unrouted turns the mux's plain-text 404 and 405 into this API's form, Allow header included.
func (a *API) unrouted(w http.ResponseWriter, r *http.Request, plain http.Handler) {
	muted := &muted{ResponseWriter: w}
	plain.ServeHTTP(muted, r)
	if muted.status == http.StatusMethodNotAllowed {
		writeError(w, muted.status, "method_not_allowed", "this path does not know the method", nil)
		return
	}
	writeError(w, http.StatusNotFound, ledger.CodeNotFound, "no such path", nil)
}

func (a *API) get(pattern string, handle func(http.ResponseWriter, *http.Request) error) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if !a.authenticated(r) {
			unauthenticated(w)
			return
		}
		if err := handle(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// post is a call that may move money: it needs a key and a JSON body.
func (a *API) post(pattern string, handle func(w http.ResponseWriter, r *http.Request, key string) error) {
	a.get(pattern, func(w http.ResponseWriter, r *http.Request) error {
		key := r.Header.Get("Idempotency-Key")
		if key == "" {
			return &requestError{http.StatusBadRequest, "idempotency_key_missing", "Idempotency-Key is required"}
		}
		if !isKey(key) {
			return &requestError{http.StatusBadRequest, "idempotency_key_invalid", "Idempotency-Key must be 1 to 255 printable characters"}
		}
		return handle(w, r, key)
	})
}

// authenticated accepts the key as a bearer token or, as Stripe does, as the user of basic authentication, with which
// a plain URL can carry it (http://KEY@host/v1/ledger).
func (a *API) authenticated(r *http.Request) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		given, _, ok = r.BasicAuth()
	}
	hash := sha256.Sum256([]byte(given))
	return ok && subtle.ConstantTimeCompare(hash[:], a.keyHash[:]) == 1
}

func (a *API) health(w http.ResponseWriter, r *http.Request) {
	if err := a.ledger.Err(); err != nil {
		writeError(w, http.StatusServiceUnavailable, "unavailable", "the ledger cannot be written", nil)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *API) authorize(w http.ResponseWriter, r *http.Request, key string) error {
	var request ledger.AuthorizeRequest
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	answer, err := a.ledger.Authorize(key, request)
	if err != nil {
		return err
	}
	if answer.Silent {
		a.neverAnswer(w, r, answer.Payment.ID)
	}
	replayed(w, answer)
	if answer.Payment.Status == ledger.StatusDeclined {
		code := answer.Payment.FailureCode
		writeError(w, http.StatusPaymentRequired, code, declinedMessages[code], answer.Payment)
		return nil
	}
	writePayment(w, http.StatusCreated, answer.Payment)
	return nil
}

var declinedMessages = map[string]string{
	ledger.CardDeclined:      "the card was declined",
	ledger.InsufficientFunds: "the card has insufficient funds",
	ledger.ProcessingFailed:  "the payment failed for good",
}

// neverAnswer keeps the caller waiting until it gives up, then cuts the connection without a byte.
func (a *API) neverAnswer(w http.ResponseWriter, r *http.Request, paymentID string) {
	note(w, paymentID, "")
	// The server's read timeout would end the wait early: it also bounds the read that watches for the client's going.
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
		a.log.WarnContext(r.Context(), "a silent call may be cut early", "error", err)
	}
	patience, cancel := context.WithTimeout(r.Context(), SilentFor)
	defer cancel()
	select {
	case <-patience.Done():
	case <-a.draining:
	}
	panic(http.ErrAbortHandler)
}

func (a *API) capture(w http.ResponseWriter, r *http.Request, key string) error {
	var request struct {
		Amount *int64 `json:"amount"`
	}
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	answer, err := a.ledger.Capture(key, r.PathValue("id"), request.Amount)
	return respond(w, http.StatusOK, answer, err)
}

func (a *API) void(w http.ResponseWriter, r *http.Request, key string) error {
	if err := readJSON(w, r, &struct{}{}); err != nil {
		return err
	}
	answer, err := a.ledger.Void(key, r.PathValue("id"))
	return respond(w, http.StatusOK, answer, err)
}

func (a *API) refund(w http.ResponseWriter, r *http.Request, key string) error {
	var request struct {
		Amount int64 `json:"amount"`
	}
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	answer, err := a.ledger.Refund(key, r.PathValue("id"), request.Amount)
	return respond(w, http.StatusCreated, answer, err)
}

// closedKey is the answer to a void by key.
type closedKey struct {
	Key     string          `json:"key"`
	Closed  bool            `json:"closed"`  // always true: an error otherwise
	Payment *ledger.Payment `json:"payment"` // null if none was made under the key
}

func (a *API) voidByKey(w http.ResponseWriter, r *http.Request, key string) error {
	var request struct {
		Key string `json:"key"`
	}
	if err := readJSON(w, r, &request); err != nil {
		return err
	}
	if !isKey(request.Key) {
		return &requestError{http.StatusUnprocessableEntity, ledger.CodeInvalidRequest, "key must be 1 to 255 printable characters"}
	}
	answer, err := a.ledger.VoidByKey(key, request.Key)
	if err != nil {
		return err
	}
	replayed(w, answer)
	if answer.Payment != nil {
		note(w, answer.Payment.ID, "")
	}
	writeJSON(w, http.StatusOK, closedKey{Key: answer.ClosedKey, Closed: true, Payment: answer.Payment})
	return nil
}

func (a *API) payment(w http.ResponseWriter, r *http.Request) error {
	p, err := a.ledger.Payment(r.PathValue("id"))
	return respond(w, http.StatusOK, ledger.Answer{Payment: &p}, err)
}

func (a *API) byKey(w http.ResponseWriter, r *http.Request) error {
	p, err := a.ledger.ByKey(r.PathValue("key"))
	return respond(w, http.StatusOK, ledger.Answer{Payment: &p}, err)
}

// list answers the payments of a reference, or, without one, those that changed in a span of time.
func (a *API) list(w http.ResponseWriter, r *http.Request) error {
	reference := r.URL.Query().Get("reference")
	if reference == "" {
		return a.changes(w, r)
	}
	payments, err := a.ledger.ByReference(reference)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": payments})
	return nil
}

// entries answers the whole ledger, or one reference's part of it; as JSON with totals, or as NDJSON on demand.
func (a *API) entries(w http.ResponseWriter, r *http.Request) error {
	entries, err := a.ledger.Entries()
	if err != nil {
		return err
	}
	if reference := r.URL.Query().Get("reference"); reference != "" {
		chosen := []ledger.Entry{}
		for _, e := range entries {
			if e.Reference == reference {
				chosen = append(chosen, e)
			}
		}
		entries = chosen
	}
	if strings.Contains(r.Header.Get("Accept"), "application/x-ndjson") {
		w.Header().Set("Content-Type", "application/x-ndjson")
		lines := json.NewEncoder(w)
		for _, e := range entries {
			if err := lines.Encode(e); err != nil {
				return nil //nolint:nilerr // the client went away: nobody is left to tell
			}
		}
		return nil
	}
	writeJSON(w, http.StatusOK, map[string]any{"entries": append([]ledger.Entry{}, entries...), "totals": ledger.Sum(entries)})
	return nil
}

// requestError is a request that never reached the ledger.
type requestError struct {
	status        int
	code, message string
}

func (e *requestError) Error() string { return e.message }

func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*requestError](err); ok {
		writeError(w, e.status, e.code, e.message, nil)
		return
	}
	if refusal, ok := errors.AsType[*ledger.Refusal](err); ok {
		status := map[ledger.Kind]int{
			ledger.Invalid:  http.StatusUnprocessableEntity,
			ledger.NotFound: http.StatusNotFound,
			ledger.Conflict: http.StatusConflict,
		}[refusal.Kind]
		writeError(w, status, refusal.Code, refusal.Message, refusal.Payment)
		return
	}
	a.log.ErrorContext(r.Context(), "request failed", "route", r.Pattern, "error", err)
	writeError(w, http.StatusInternalServerError, "internal", "the provider failed; whether the call had an effect is not known, ask again under the same key", nil)
}

func unauthenticated(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeError(w, http.StatusUnauthorized, "unauthenticated", "the API key is missing or wrong", nil)
}

func respond(w http.ResponseWriter, status int, answer ledger.Answer, err error) error {
	if err != nil {
		return err
	}
	replayed(w, answer)
	writePayment(w, status, answer.Payment)
	return nil
}

func replayed(w http.ResponseWriter, answer ledger.Answer) {
	if answer.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
}

func writePayment(w http.ResponseWriter, status int, p *ledger.Payment) {
	note(w, p.ID, "")
	writeJSON(w, status, p)
}

type problem struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Payment *ledger.Payment `json:"payment,omitempty"`
}

func writeError(w http.ResponseWriter, status int, code, message string, p *ledger.Payment) {
	var body problem
	body.Error.Code, body.Error.Message, body.Payment = code, message, p
	id := ""
	if p != nil {
		id = p.ID
	}
	note(w, id, code)
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", body, err)) // plain structs always can be
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A failed write means that the client went away; it will ask again under the same key.
	_, _ = w.Write(append(encoded, '\n'))
}

// readJSON reads one object and nothing else; an unknown field is refused. A call without a body has an empty object.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &requestError{http.StatusRequestEntityTooLarge, "body_too_large", "the body is too large"}
	}
	if err != nil {
		return &requestError{http.StatusBadRequest, "malformed_request", "the body could not be read"}
	}
	if len(body) == 0 {
		return nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return &requestError{http.StatusUnsupportedMediaType, "unsupported_media_type", "the body must be application/json"}
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return &requestError{http.StatusBadRequest, "malformed_request", "the body is not the JSON object that is expected here"}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return &requestError{http.StatusBadRequest, "malformed_request", "the body holds more than one JSON value"}
	}
	return nil
}

func isKey(key string) bool {
	if key == "" || len(key) > maxKey {
		return false
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}
