package client_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"shop.example/order-service/internal/usecase/usecasetest"
)

const stripeKey = "sk_test_0123456789"

// fakeStripe is what this shop uses of Stripe, with state: intents, refunds, and idempotency keys as Stripe keeps them, which
// is with whatever was answered, its own failures included.
type fakeStripe struct {
	url string

	mu      sync.Mutex
	intents []*fakeIntent
	refunds []*fakeRefund
	kept    map[string]*keptAnswer
	// searchable is how many intents the search knows: it lags behind.
	searchable int
	// stubborn intents can't be cancelled while the bank is at it.
	stubborn bool
	// refundsFail: the bank won't have the money back.
	refundsFail bool
	// fault is what befalls a call, by method and path; "" for none.
	fault func(r *http.Request) string
	calls []string
	// slow is asked before a call under a key is carried out.
	slow func(r *http.Request)
}

// The faults.
const (
	loseAnswer     = "lose the answer"       // done and kept, but the caller never hears of it
	failBefore     = "fail before"           // nothing is done; the failure is kept
	failAfter      = "fail after"            // done; the failure is kept
	failUnkept     = "fail without a record" // nothing is done or kept
	tooMany        = "too many requests"
	answersGarbage = "garbage"
)

type fakeIntent struct {
	id, status, currency string
	amount, received     int64
	refunded             int64
	charge               string
	failure              map[string]any
	metadata             map[string]string
	charges              int
	created              int64
}

type fakeRefund struct {
	id, intent, status string
	amount             int64
	metadata           map[string]string
	created            int64
}

type keptAnswer struct {
	fingerprint string
	running     bool
	status      int
	body        []byte
}

func newFakeStripe(t *testing.T) *fakeStripe {
	t.Helper()
	f := &fakeStripe{kept: make(map[string]*keptAnswer)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// ServeHTTP answers as https://docs.stripe.com/api says.
func (f *fakeStripe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+stripeKey {
		answer(w, http.StatusUnauthorized, failure("invalid_request_error", "", "Invalid API Key provided: "+r.Header.Get("Authorization")))
		return
	}
	if err := r.ParseForm(); err != nil {
		answer(w, http.StatusBadRequest, failure("invalid_request_error", "", "the form can't be read"))
		return
	}
	fault, slow := f.begin(r)
	switch fault {
	case tooMany:
		answer(w, http.StatusTooManyRequests, failure("invalid_request_error", "rate_limit", "slower"))
		return
	case failUnkept:
		answer(w, http.StatusServiceUnavailable, failure("api_error", "", "away"))
		return
	case answersGarbage:
		_, _ = w.Write([]byte("<html>pi_1_secret_x"))
		return
	}
	if r.Method == http.MethodGet {
		f.mu.Lock()
		status, body := f.read(r)
		f.mu.Unlock()
		answer(w, status, body)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		answer(w, http.StatusBadRequest, failure("invalid_request_error", "", "this shop sends a key with every call"))
		return
	}
	kept, mine := f.claim(key, r.URL.Path+"?"+r.PostForm.Encode())
	if !mine {
		f.repeat(w, kept)
		return
	}
	if slow != nil {
		slow(r)
	}
	status, body := http.StatusInternalServerError, any(failure("api_error", "", "something went wrong"))
	f.mu.Lock()
	if fault != failBefore {
		made, answered := f.write(r)
		if fault != failAfter {
			status, body = made, answered
		}
	}
	kept.running, kept.status, kept.body = false, status, encode(body)
	silent := fault == loseAnswer || r.PostForm.Get("payment_method") == usecasetest.TokTimeout
	f.mu.Unlock()
	if silent {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	answer(w, status, json.RawMessage(kept.body))
}

func (f *fakeStripe) begin(r *http.Request) (fault string, slow func(*http.Request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	if f.fault != nil {
		fault = f.fault(r)
	}
	return fault, f.slow
}

// claim takes a key for a call, or returns what is kept under it.
func (f *fakeStripe) claim(key, fingerprint string) (kept *keptAnswer, mine bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kept, ok := f.kept[key]; ok {
		known := *kept
		if kept.fingerprint != fingerprint {
			known = keptAnswer{status: http.StatusBadRequest, body: encode(failure("idempotency_error", "", "another wish under the key"))}
		}
		return &known, false
	}
	kept = &keptAnswer{fingerprint: fingerprint, running: true}
	f.kept[key] = kept
	return kept, true
}

func (f *fakeStripe) repeat(w http.ResponseWriter, kept *keptAnswer) {
	if kept.running {
		answer(w, http.StatusConflict, failure("invalid_request_error", "idempotency_key_in_use", "another call is at it"))
		return
	}
	w.Header().Set("Idempotent-Replayed", "true")
	answer(w, kept.status, json.RawMessage(kept.body))
}

func (f *fakeStripe) read(r *http.Request) (int, any) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	switch {
	case path == "payment_intents/search":
		found := []any{}
		for _, intent := range f.intents[:f.searchable] {
			if r.Form.Get("query") == fmt.Sprintf(`metadata["shop_key"]:"%s"`, intent.metadata["shop_key"]) {
				found = append(found, intent.json(false))
			}
		}
		return http.StatusOK, map[string]any{"object": "search_result", "data": found, "has_more": false, "url": r.URL.Path}
	case path == "payment_intents", path == "refunds" && r.Form.Get("payment_intent") == "":
		return f.list(r, path)
	case path == "refunds":
		found := []any{}
		for _, refund := range f.refunds {
			if refund.intent == r.Form.Get("payment_intent") {
				found = append(found, refund.json())
			}
		}
		return http.StatusOK, map[string]any{"object": "list", "data": found, "has_more": false, "url": r.URL.Path}
	default:
		intent := f.intent(strings.TrimPrefix(path, "payment_intents/"))
		if intent == nil {
			return http.StatusNotFound, failure("invalid_request_error", "resource_missing", "no such intent")
		}
		return http.StatusOK, intent.json(slices.Contains(r.Form["expand[0]"], "latest_charge"))
	}
}

func (f *fakeStripe) write(r *http.Request) (int, any) {
	form, parts := r.PostForm, strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	switch {
	case parts[0] == "refunds":
		return f.refund(form)
	case len(parts) == 1:
		made := &fakeIntent{
			id: fmt.Sprintf("pi_%d", len(f.intents)+1), status: "requires_payment_method",
			amount: number(form.Get("amount")), currency: form.Get("currency"), metadata: marks(form), created: time.Now().Unix(),
		}
		if form.Get("capture_method") != "manual" || form.Get("confirm") != "" {
			return http.StatusBadRequest, failure("invalid_request_error", "", "this shop takes money in two steps")
		}
		f.intents = append(f.intents, made)
		return http.StatusOK, made.json(false)
	}
	intent := f.intent(parts[1])
	if intent == nil {
		return http.StatusNotFound, failure("invalid_request_error", "resource_missing", "no such intent")
	}
	if len(parts) == 2 {
		return intent.update(form)
	}
	switch parts[2] {
	case "confirm":
		return intent.confirm(form)
	case "capture":
		return intent.capture()
	case "cancel":
		return intent.cancel(f.stubborn)
	default:
		return http.StatusNotFound, failure("invalid_request_error", "", "no such path")
	}
}

func (i *fakeIntent) update(form url.Values) (int, any) {
	if i.status != "requires_payment_method" {
		return i.unexpected()
	}
	i.amount, i.currency = number(form.Get("amount")), form.Get("currency")
	for name, value := range marks(form) {
		i.metadata[name] = value
	}
	return http.StatusOK, i.json(false)
}

func (i *fakeIntent) confirm(form url.Values) (int, any) {
	if i.status != "requires_payment_method" {
		return i.unexpected()
	}
	if form.Get("error_on_requires_action") != "true" {
		return http.StatusBadRequest, failure("invalid_request_error", "", "this shop has no page to send anybody to")
	}
	declined := func(code, bank string) (int, any) {
		i.charge = "ch_" + i.id
		refusal := failure("card_error", code, "Your card says no to tok_secret.")
		i.failure = refusal["error"].(map[string]any)
		if bank != "" {
			i.failure["decline_code"] = bank
		}
		last := i.json(false)
		shown := map[string]any{"payment_intent": last}
		for name, value := range i.failure {
			shown[name] = value
		}
		return http.StatusPaymentRequired, map[string]any{"error": shown}
	}
	switch form.Get("payment_method") {
	case usecasetest.TokOK, usecasetest.TokTimeout:
		i.status = "requires_capture"
	case usecasetest.TokLate:
		i.status = "processing"
	case usecasetest.TokDeclined:
		return declined("card_declined", "stolen_card")
	case usecasetest.TokInsufficient:
		return declined("card_declined", "insufficient_funds")
	case usecasetest.TokError:
		return declined("processing_error", "")
	case tokAction:
		return declined("authentication_required", "")
	default:
		refusal := failure("invalid_request_error", "resource_missing", "No such PaymentMethod: '"+form.Get("payment_method")+"'")
		refusal["error"].(map[string]any)["param"] = "payment_method"
		return http.StatusBadRequest, refusal
	}
	i.charge, i.failure = "ch_"+i.id, nil
	return http.StatusOK, i.json(false)
}

// tokAction stands for a card whose bank wants to see the customer.
const tokAction = "tok_authentication"

func (i *fakeIntent) capture() (int, any) {
	if i.status != "requires_capture" {
		return i.unexpected()
	}
	i.status, i.received = "succeeded", i.amount
	i.charges++
	return http.StatusOK, i.json(false)
}

func (i *fakeIntent) cancel(stubborn bool) (int, any) {
	if i.status == "succeeded" || i.status == "canceled" || i.status == "processing" && stubborn {
		return i.unexpected()
	}
	i.status = "canceled"
	return http.StatusOK, i.json(false)
}

func (i *fakeIntent) unexpected() (int, any) {
	refusal := failure("invalid_request_error", "payment_intent_unexpected_state", "it is "+i.status)
	refusal["error"].(map[string]any)["payment_intent"] = i.json(false)
	return http.StatusBadRequest, refusal
}

func (f *fakeStripe) refund(form url.Values) (int, any) {
	intent, amount := f.intent(form.Get("payment_intent")), number(form.Get("amount"))
	switch {
	case intent == nil || intent.status != "succeeded":
		return http.StatusBadRequest, failure("invalid_request_error", "", "nothing was taken")
	case intent.refunded == intent.received:
		return http.StatusBadRequest, failure("invalid_request_error", "charge_already_refunded", "it was refunded")
	case amount <= 0 || amount > intent.received-intent.refunded:
		return http.StatusBadRequest, failure("invalid_request_error", "", "greater than what is left")
	}
	made := &fakeRefund{id: fmt.Sprintf("re_%d", len(f.refunds)+1), intent: intent.id, status: "succeeded", amount: amount, metadata: marks(form), created: time.Now().Unix()}
	f.refunds = append(f.refunds, made)
	if f.refundsFail {
		made.status = "failed"
	} else {
		intent.refunded += amount
	}
	return http.StatusOK, made.json()
}

func (f *fakeStripe) intent(id string) *fakeIntent {
	at := slices.IndexFunc(f.intents, func(i *fakeIntent) bool { return i.id == id })
	if at < 0 {
		return nil
	}
	return f.intents[at]
}

func (i *fakeIntent) json(expanded bool) map[string]any {
	out := map[string]any{
		"id": i.id, "object": "payment_intent", "status": i.status, "amount": i.amount, "currency": i.currency,
		"amount_received": i.received, "capture_method": "manual", "metadata": copied(i.metadata), "client_secret": i.id + "_secret_x",
	}
	if i.failure != nil {
		out["last_payment_error"] = i.failure
	}
	if i.charge != "" {
		out["latest_charge"] = i.charge
		if expanded {
			out["latest_charge"] = map[string]any{"id": i.charge, "object": "charge", "amount_refunded": i.refunded, "refunded": i.refunded == i.received}
		}
	}
	return out
}

func (r *fakeRefund) json() map[string]any {
	return map[string]any{
		"id": r.id, "object": "refund", "amount": r.amount, "payment_intent": r.intent, "status": r.status, "metadata": copied(r.metadata),
	}
}

// decideLate lets what the bank is at become authorized.
func (f *fakeStripe) decideLate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, intent := range f.intents {
		if intent.status == "processing" {
			intent.status = "requires_capture"
		}
	}
}

// forget drops the idempotency keys, as Stripe does after a day, when the search has caught up for long.
func (f *fakeStripe) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.kept)
	f.searchable = len(f.intents)
}

// befall sets what befalls calls to a path that ends as given, the first times.
func (f *fakeStripe) befall(fault, suffix string, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = func(r *http.Request) string {
		if times == 0 || !strings.HasSuffix(r.URL.Path, suffix) || r.Method != http.MethodPost {
			return ""
		}
		times--
		return fault
	}
}

// holds returns what was taken and not given back, how often money was taken, and what is promised or may be.
func (f *fakeStripe) holds() (taken int64, charges, promised int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, intent := range f.intents {
		taken += intent.received - intent.refunded
		charges += intent.charges
		if intent.status == "requires_capture" || intent.status == "processing" {
			promised++
		}
	}
	return taken, charges, promised
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_1")
	w.WriteHeader(status)
	_, _ = w.Write(encode(body))
}

func encode(body any) []byte {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return raw
}

func failure(kind, code, message string) map[string]any {
	return map[string]any{"error": map[string]any{"type": kind, "code": code, "message": message}}
}

func marks(form url.Values) map[string]string {
	found := make(map[string]string)
	for name := range form {
		if mark, ok := strings.CutPrefix(name, "metadata["); ok {
			found[strings.TrimSuffix(mark, "]")] = form.Get(name)
		}
	}
	return found
}

func copied(m map[string]string) map[string]string {
	c := make(map[string]string, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
