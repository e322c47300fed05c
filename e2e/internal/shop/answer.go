package shop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Answer is what the shop has answered; that it keeps to the contract's conventions has been checked.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	asked string // method and path
}

// Problem is an error of the shop.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Instance  string       `json:"instance"`
	Code      string       `json:"code"`
	RequestID string       `json:"request_id"`
	Errors    []FieldError `json:"errors"`
	OrderID   string       `json:"order_id"`
}

// FieldError is what is wrong with a part of a request.
type FieldError struct {
	Location  string `json:"location"`
	Message   string `json:"message"`
	ProductID string `json:"product_id"`
	Available *int64 `json:"available"`
}

func (a *Answer) String() string {
	const enough = 2000 // characters: any problem, and the beginning of a long list
	return fmt.Sprintf("%s: %d %s", a.asked, a.Status, a.Body[:min(len(a.Body), enough)])
}

// Problem returns the error that an answer is.
func (a *Answer) Problem(t testing.TB) Problem {
	t.Helper()
	if a.Status < http.StatusBadRequest {
		t.Fatalf("want a problem, got %s", a)
	}
	return decode[Problem](t, a)
}

// Code is the code of the problem that an answer is; "" if it is none.
func (a *Answer) Code() string {
	if a == nil || a.Status < http.StatusBadRequest {
		return ""
	}
	return decodeProblem(a.Body).Code
}

// Read returns what an answer holds.
func Read[T any](a *Answer) (v T, err error) {
	return v, json.Unmarshal(a.Body, &v)
}

// Want returns what an answer holds, which must have the status.
func Want[T any](t testing.TB, status int, a *Answer) T {
	t.Helper()
	if a.Status != status {
		t.Fatalf("want %d, got %s", status, a)
	}
	return decode[T](t, a)
}

// WantProblem returns the problem that an answer is, which must have the status and the code.
func WantProblem(t testing.TB, status int, code string, a *Answer) Problem {
	t.Helper()
	p := a.Problem(t)
	if a.Status != status || p.Code != code {
		t.Fatalf("want %d %s, got %s", status, code, a)
	}
	return p
}

// WantInvalid is WantProblem for a request that is not valid at a place.
func WantInvalid(t testing.TB, location string, a *Answer) {
	t.Helper()
	p := WantProblem(t, http.StatusUnprocessableEntity, "validation_failed", a)
	for _, e := range p.Errors {
		if e.Location == location {
			return
		}
	}
	t.Fatalf("want an error at %s, got %s", location, a)
}

// WantNothing checks an answer without a body.
func WantNothing(t testing.TB, a *Answer) {
	t.Helper()
	if a.Status != http.StatusNoContent || len(a.Body) > 0 {
		t.Fatalf("want 204 and no body, got %s", a)
	}
}

func decode[T any](t testing.TB, a *Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.Body, &v); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	return v
}

var (
	code = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	// sane are the request ids of clients that are kept.
	sane = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	// cartToken is what a guest's cart is known by: 33 bytes, of which nobody can tell anything.
	cartToken = regexp.MustCompile(`^[A-Za-z0-9_-]{44}$`)
	// leaks are what an answer says when it repeats an internal error, or a secret that it was sent.
	leaks = regexp.MustCompile(`(?i)SQLSTATE|pq:|relation "|duplicate key|violates |syntax error|\b(select|insert into|update|delete from)\b.*\b(from|set|values|where)\b` + // SQL
		`|/root/|/tmp/|/usr/|/home/|\.go\b` + // files
		`|127\.0\.0\.1|localhost|\[::1\]|unix:|dial |connection (refused|reset)|broken pipe|x509|tls:` + // hosts and what becomes of connections
		`|goroutine |panic|runtime\.|\*[a-z]+\.[A-Z]|strconv|(?-i:json:)|reflect\.|nil pointer|unexpected EOF|context (deadline|canceled)` + // Go
		`|pgx|redis|postgres|grpc|rpc error|code = |protobuf|protovalidate|river|huma` + // what the shop is made of
		`|-service\b|testpay` + // and its parts
		"|" + passwordMark + "|" + streetMark + "|" + emailMark + "|eyJhbGciOi")
)

// conventions returns what is wrong with an answer whatever was asked.
func (a *Answer) conventions(sent *http.Request) error {
	id := a.Header.Get("X-Request-ID")
	if id == "" {
		return fmt.Errorf("there is no X-Request-ID")
	}
	if own := sent.Header.Get("X-Request-ID"); sane.MatchString(own) && own != id {
		return fmt.Errorf("X-Request-ID is %q, but %q was sent", id, own)
	}
	if leak := leaks.Find(a.Body); a.Status >= http.StatusBadRequest && leak != nil {
		return fmt.Errorf("it says %q", leak)
	}
	for name, values := range a.Header {
		value := strings.Join(values, ",")
		if name == "X-Cart-Token" && cartToken.MatchString(value) {
			continue // random letters say anything once in a while
		}
		if leak := leaks.FindString(value); leak != "" {
			return fmt.Errorf("the header field %s says %q", name, leak)
		}
	}
	switch {
	case a.Status >= http.StatusBadRequest:
		return a.problemConventions(sent.URL, id)
	case a.Status == http.StatusNoContent || a.Status == http.StatusNotModified || !strings.HasPrefix(sent.URL.Path, API):
		return nil
	default:
		return a.resultConventions()
	}
}

func (a *Answer) problemConventions(asked *url.URL, requestID string) error {
	if media := a.Header.Get("Content-Type"); media != "application/problem+json" {
		return fmt.Errorf("an error is %q", media)
	}
	var members map[string]any
	if err := json.Unmarshal(a.Body, &members); err != nil {
		return fmt.Errorf("a problem is not a JSON object: %w", err)
	}
	for _, name := range []string{"type", "title", "detail", "instance", "code", "request_id"} {
		if text, ok := members[name].(string); !ok || text == "" {
			return fmt.Errorf("the problem's %s is %v", name, members[name])
		}
	}
	p := decodeProblem(a.Body)
	switch {
	case p.Status != a.Status:
		return fmt.Errorf("the problem says status %d", p.Status)
	case !code.MatchString(p.Code):
		return fmt.Errorf("the code %q is not snake_case", p.Code)
	case p.RequestID != requestID:
		return fmt.Errorf("the problem's request_id is %q, the header %q", p.RequestID, requestID)
	case p.Instance != asked.EscapedPath():
		return fmt.Errorf("the problem's instance is %q", p.Instance)
	case p.Code == "validation_failed" && len(p.Errors) == 0:
		return fmt.Errorf("nothing is named that is not valid")
	}
	for _, e := range p.Errors {
		if e.Location == "" || e.Message == "" {
			return fmt.Errorf("an error without location or message: %+v", e)
		}
	}
	needs := map[int]string{
		http.StatusUnauthorized: "WWW-Authenticate", http.StatusMethodNotAllowed: "Allow",
		http.StatusTooManyRequests: "Retry-After", http.StatusServiceUnavailable: "Retry-After",
	}
	if name, ok := needs[a.Status]; ok && a.Header.Get(name) == "" {
		return fmt.Errorf("there is no %s", name)
	}
	return nil
}

func decodeProblem(body []byte) (p Problem) {
	// A member of the wrong type leaves its field empty, which the caller complains about.
	_ = json.Unmarshal(body, &p)
	return p
}

func (a *Answer) resultConventions() error {
	if a.Header.Get("Content-Type") == Lines {
		return a.linesConventions()
	}
	if media, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return fmt.Errorf("a result is %q", a.Header.Get("Content-Type"))
	}
	decoder := json.NewDecoder(bytes.NewReader(a.Body))
	decoder.UseNumber()
	var result any
	if err := decoder.Decode(&result); err != nil {
		return err
	}
	return plain("", result)
}

// Lines is the type of a list that is answered as it is made.
const Lines = "application/x-ndjson"

// linesConventions are those of a result, for each line.
func (a *Answer) linesConventions() error {
	for line := range bytes.Lines(a.Body) {
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.UseNumber()
		var result map[string]any
		if err := decoder.Decode(&result); err != nil {
			return fmt.Errorf("the line %q: %w", line, err)
		}
		if err := plain("", result); err != nil {
			return fmt.Errorf("the line %q: %w", line, err)
		}
	}
	return nil
}

// plain checks what holds for every value of the contract: no fractions, times in UTC, money with its currency, names in snake_case.
func plain(name string, value any) error {
	switch v := value.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return fmt.Errorf("%s is a fraction: %s", name, v)
		}
	case string:
		if strings.HasSuffix(name, "_at") || name == "at" || name == "prices_as_of" {
			if at, err := time.Parse(time.RFC3339, v); err != nil || at.Location() != time.UTC {
				return fmt.Errorf("%s is %q, not a time in UTC", name, v)
			}
		}
	case []any:
		for _, element := range v {
			if err := plain(name, element); err != nil {
				return err
			}
		}
	case map[string]any:
		if _, is := v["amount"].(map[string]any); v["amount"] != nil && !is { // that of a refund is money itself
			if currency, _ := v["currency"].(string); len(currency) != 3 {
				return fmt.Errorf("%s is an amount of %v", name, v["currency"])
			}
		}
		for member, element := range v {
			// The names of attributes are the staff's.
			if name != "attributes" && !code.MatchString(member) {
				return fmt.Errorf("the name %q is not snake_case", member)
			}
			if err := plain(member, element); err != nil {
				return err
			}
		}
	}
	return nil
}
