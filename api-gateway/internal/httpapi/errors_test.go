package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	cartv1 "shop.example/proto/cart/v1"
	userv1 "shop.example/proto/user/v1"
)

const (
	goodOrder = `{"shipping_address":{"recipient":"Ada","line1":"1 Road","city":"London","country":"GB"},` +
		`"shipping_method":"standard","payment":{"method":"card","token":"tok_ok"}}`
	goodRegistration = `{"email":"ada@example.com","password":"hunter2hunter2","name":"Ada"}`
)

func TestKindsMapToStatuses(t *testing.T) {
	t.Parallel()
	for kind := apperr.Internal; kind <= apperr.DeadlineExceeded; kind++ {
		p := problemOf(fmt.Errorf("outer: %w", apperr.New(kind, "some_reason", "some message")))
		want := map[apperr.Kind]int{
			apperr.Internal: 500, apperr.Malformed: 400, apperr.Invalid: 422, apperr.Unauthenticated: 401, apperr.PermissionDenied: 403,
			apperr.NotFound: 404, apperr.Conflict: 409, apperr.VersionMismatch: 412, apperr.PaymentFailed: 402, apperr.TooMany: 429,
			apperr.Unavailable: 503, apperr.DeadlineExceeded: 504,
		}[kind]
		if p.Status != want {
			t.Errorf("%v is %d, want %d", kind, p.Status, want)
		}
		if kind == apperr.Internal {
			if p.Code != "internal" || strings.Contains(p.Detail, "some message") {
				t.Errorf("an internal error shows itself: %+v", p)
			}
		} else if p.Code != "some_reason" || p.Detail != "some message" {
			t.Errorf("%v lost its reason or message: %+v", kind, p)
		}
	}
	if p := problemOf(errors.New("pq: secret")); p.Status != 500 || strings.Contains(p.Detail, "secret") {
		t.Errorf("an error without a kind is %+v", p)
	}
	if p := problemOf(context.DeadlineExceeded); p.Status != 504 || p.Code != "deadline_exceeded" {
		t.Errorf("a deadline is %+v", p)
	}
}

func TestMembersStandBesideTheFields(t *testing.T) {
	t.Parallel()
	err := apperr.New(apperr.Conflict, "out_of_stock", "Too few.").WithAttribute("order_id", "o1").WithAttribute("status", "shadow").
		With(apperr.Violation{Location: "items[0]", Message: "only 3", Attributes: map[string]any{"product_id": "p1", "available": int64(3)}})
	raw, encodeErr := json.Marshal(problemOf(err))
	if encodeErr != nil {
		t.Fatal(encodeErr)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "https://shop.example/problems/out_of_stock", "title": "Conflict", "status": 409.0, "detail": "Too few.", "instance": "",
		"code": "out_of_stock", "request_id": "", "order_id": "o1",
		"errors": []any{map[string]any{"location": "items[0]", "message": "only 3", "product_id": "p1", "available": 3.0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestBadRequests is the contract's table of conventions, as far as the gateway decides.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetUser", errDown)
	s.on("ClearCart", &cartv1.ClearCartResponse{})
	const cart = "/api/v1/cart/items"
	customer := "Authorization: Bearer " + s.token(t, auth.Customer)
	key := "Idempotency-Key: k1"
	item := func(quantity string) string { return `{"product_id":"` + productID + `","quantity":` + quantity + `}` }
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code               string
		locations          []string
	}{
		"unknown path":                       {"GET", "/api/v1/nothing", "", nil, 404, "not_found", nil},
		"outside of the base path":           {"GET", "/nothing", "", nil, 404, "not_found", nil},
		"metrics are not public":             {"GET", "/metrics", "", nil, 404, "not_found", nil},
		"unknown method":                     {"BREW", "/api/v1/products", "", nil, 405, "method_not_allowed", nil},
		"unknown method of nothing":          {"BREW", "/api/v1/nothing", "", nil, 404, "not_found", nil},
		"wrong method":                       {"DELETE", "/api/v1/products", "", nil, 405, "method_not_allowed", nil},
		"malformed JSON":                     {"POST", "/api/v1/auth/login", `{"email":`, nil, 400, "malformed_request", nil},
		"trailing data":                      {"POST", "/api/v1/auth/login", `{"email":"a","password":"b"} {}`, nil, 400, "malformed_request", nil},
		"a name twice":                       {"POST", "/api/v1/auth/login", `{"email":"a","email":"b","password":"b"}`, nil, 400, "malformed_request", nil},
		"not UTF-8":                          {"POST", "/api/v1/auth/login", "{\"email\":\"\xff\",\"password\":\"b\"}", nil, 400, "malformed_request", nil},
		"NUL":                                {"POST", "/api/v1/auth/login", `{"email":"a\u0000","password":"b"}`, nil, 400, "malformed_request", nil},
		"too deep":                           {"POST", "/api/v1/auth/login", strings.Repeat("[", 100_000), nil, 400, "malformed_request", nil},
		"trailing comma":                     {"POST", "/api/v1/auth/login", `{"email":"a","password":"b",}`, nil, 400, "malformed_request", nil},
		"empty body":                         {"POST", "/api/v1/auth/login", "", nil, 400, "malformed_request", nil},
		"blank body":                         {"POST", "/api/v1/auth/login", " ", nil, 400, "malformed_request", nil},
		"null":                               {"POST", "/api/v1/auth/login", "null", nil, 422, "validation_failed", []string{"body"}},
		"a list":                             {"POST", "/api/v1/auth/login", "[]", nil, 422, "validation_failed", []string{"body"}},
		"form":                               {"POST", "/api/v1/auth/login", "email=a", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported_media_type", nil},
		"text":                               {"POST", "/api/v1/auth/login", "{}", []string{"Content-Type: text/plain"}, 415, "unsupported_media_type", nil},
		"another charset":                    {"POST", "/api/v1/auth/login", "{}", []string{"Content-Type: application/json; charset=latin1"}, 415, "unsupported_media_type", nil},
		"unknown field":                      {"POST", "/api/v1/auth/register", `{"email":"a@example.com","password":"12345678","name":"A","role":"admin"}`, nil, 422, "validation_failed", []string{"body.role"}},
		"field in capitals":                  {"POST", "/api/v1/auth/login", `{"Email":"a","password":"b"}`, nil, 422, "validation_failed", []string{"body.Email", "body.email"}},
		"wrong type":                         {"POST", "/api/v1/auth/login", `{"email":1,"password":true}`, nil, 422, "validation_failed", []string{"body.email", "body.password"}},
		"missing fields":                     {"POST", "/api/v1/auth/register", `{"email":"a@example.com"}`, nil, 422, "validation_failed", []string{"body.name", "body.password"}},
		"missing field, deeper":              {"POST", "/api/v1/orders", strings.Replace(goodOrder, `"city":"London",`, "", 1), []string{customer, key}, 422, "validation_failed", []string{"body.shipping_address.city"}},
		"short password":                     {"POST", "/api/v1/auth/register", `{"email":"a@example.com","password":"1234567","name":"A"}`, nil, 422, "validation_failed", []string{"body.password"}},
		"no address":                         {"POST", "/api/v1/auth/register", `{"email":"nobody","password":"12345678","name":"A"}`, nil, 422, "validation_failed", []string{"body.email"}},
		"quantity 0":                         {"POST", cart, item("0"), []string{customer}, 422, "validation_failed", []string{"body.quantity"}},
		"quantity -1":                        {"POST", cart, item("-1"), []string{customer}, 422, "validation_failed", []string{"body.quantity"}},
		"quantity 1.5":                       {"POST", cart, item("1.5"), []string{customer}, 422, "validation_failed", []string{"body.quantity"}},
		"quantity 1e0":                       {"POST", cart, item("1e0"), []string{customer}, 422, "validation_failed", []string{"body.quantity"}},
		"quantity beyond int64":              {"POST", cart, item("99999999999999999999"), []string{customer}, 422, "validation_failed", []string{"body.quantity"}},
		"quantity as text":                   {"POST", cart, item(`"1"`), []string{customer}, 422, "validation_failed", []string{"body.quantity"}},
		"product that is no id":              {"POST", cart, `{"product_id":"x","quantity":1}`, []string{customer}, 422, "validation_failed", []string{"body.product_id"}},
		"no id in a path":                    {"GET", "/api/v1/orders/4711", "", []string{customer}, 404, "not_found", nil},
		"braced id in a path":                {"GET", "/api/v1/orders/%7B" + orderID + "%7D", "", []string{customer}, 404, "not_found", nil},
		"no id in a path of a PUT":           {"PUT", cart + "/x", `{"quantity":1}`, []string{customer}, 404, "not_found", nil},
		"no slug":                            {"GET", "/api/v1/products/a%20b", "", nil, 404, "not_found", nil},
		"slash in a slug":                    {"GET", "/api/v1/products/a%2Fb", "", nil, 404, "not_found", nil},
		"NUL in a path":                      {"GET", "/api/v1/products/a%00", "", nil, 400, "malformed_request", nil},
		"bad UTF-8 in a query":               {"GET", "/api/v1/products?q=%ff", "", nil, 400, "malformed_request", nil},
		"NUL in a query":                     {"GET", "/api/v1/products?q=%00", "", nil, 400, "malformed_request", nil},
		"page_size 0":                        {"GET", "/api/v1/products?page_size=0", "", nil, 422, "validation_failed", []string{"query.page_size"}},
		"page_size 101":                      {"GET", "/api/v1/products?page_size=101", "", nil, 422, "validation_failed", []string{"query.page_size"}},
		"page_size x":                        {"GET", "/api/v1/products?page_size=x", "", nil, 422, "validation_failed", []string{"query.page_size"}},
		"page_size beyond int32":             {"GET", "/api/v1/products?page_size=4294967297", "", nil, 422, "validation_failed", []string{"query.page_size"}},
		"negative price":                     {"GET", "/api/v1/products?min_price=-1", "", nil, 422, "validation_failed", []string{"query.min_price"}},
		"unknown sort":                       {"GET", "/api/v1/products?sort=random", "", nil, 422, "validation_failed", []string{"query.sort"}},
		"no token":                           {"GET", "/api/v1/orders", "", nil, 401, "unauthenticated", nil},
		"no token, bad body":                 {"POST", "/api/v1/users/me/addresses", "{", nil, 401, "unauthenticated", nil},
		"customer creates product":           {"POST", "/api/v1/products", "{}", []string{customer}, 403, "permission_denied", nil},
		"customer adjusts stock":             {"POST", "/api/v1/products/" + productID + "/stock-adjustments", "{}", []string{customer}, 403, "permission_denied", nil},
		"order without a key":                {"POST", "/api/v1/orders", goodOrder, []string{customer}, 400, "idempotency_key_missing", nil},
		"order without key or body":          {"POST", "/api/v1/orders", "", []string{customer}, 400, "idempotency_key_missing", nil},
		"order with a long key":              {"POST", "/api/v1/orders", goodOrder, []string{customer, "Idempotency-Key: " + strings.Repeat("k", 256)}, 400, "malformed_request", []string{"header.Idempotency-Key"}},
		"order with a strange key":           {"POST", "/api/v1/orders", goodOrder, []string{customer, "Idempotency-Key: ä"}, 400, "malformed_request", []string{"header.Idempotency-Key"}},
		"order to nowhere":                   {"POST", "/api/v1/orders", `{"shipping_method":"standard","payment":{"method":"card"}}`, []string{customer, key}, 422, "validation_failed", []string{"body.shipping_address"}},
		"order to two places":                {"POST", "/api/v1/orders", strings.Replace(goodOrder, "{", `{"address_id":"`+orderID+`",`, 1), []string{customer, key}, 422, "validation_failed", []string{"body.address_id"}},
		"order to no id":                     {"POST", "/api/v1/orders", `{"address_id":"{` + orderID + `}","shipping_method":"standard","payment":{"method":"card"}}`, []string{customer, key}, 422, "validation_failed", []string{"body.address_id"}},
		"null for what is optional":          {"POST", "/api/v1/orders", strings.Replace(goodOrder, "{", `{"coupon_code":null,"items":null,`, 1), []string{customer, key}, 422, "validation_failed", []string{"body.coupon_code", "body.items"}},
		"order with own price":               {"POST", "/api/v1/orders", strings.Replace(goodOrder, "{", `{"total":{"amount":1,"currency":"EUR"},`, 1), []string{customer, key}, 422, "validation_failed", []string{"body.total"}},
		"unknown parameters":                 {"GET", "/api/v1/products?pagesize=5&q=a&Sort=name", "", nil, 422, "validation_failed", []string{"query.Sort", "query.pagesize"}},
		"parameter of nobody":                {"GET", "/api/v1/orders?state=pending", "", []string{customer}, 422, "validation_failed", []string{"query.state"}},
		"parameter given twice":              {"GET", "/api/v1/products?sort=name&sort=price", "", nil, 422, "validation_failed", []string{"query.sort"}},
		"malformed If-Match":                 {"DELETE", "/api/v1/cart", "", []string{customer, "If-Match: 3"}, 400, "malformed_request", nil},
		"many tags in If-Match":              {"DELETE", "/api/v1/cart", "", []string{customer, `If-Match: "3", "4"`}, 400, "malformed_request", nil},
		"no JSON where none is asked for":    {"POST", "/api/v1/auth/logout", `{bad`, []string{customer}, 400, "malformed_request", nil},
		"a field where no body is asked for": {"DELETE", "/api/v1/cart", `{"items":[]}`, []string{customer}, 422, "validation_failed", []string{"body.items"}},
		"a list where no body is asked for":  {"DELETE", "/api/v1/cart", `[]`, []string{customer}, 422, "validation_failed", []string{"body"}},
		"a form where no body is asked for":  {"DELETE", "/api/v1/cart", `a=b`, []string{customer, "Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported_media_type", nil},
		"weak If-Match":                      {"DELETE", "/api/v1/cart", "", []string{customer, `If-Match: W/"3"`}, 412, "version_mismatch", nil},
		"somebody else's If-Match":           {"DELETE", "/api/v1/cart", "", []string{customer, `If-Match: "abc"`}, 412, "version_mismatch", nil},
		"a dependency is down":               {"GET", "/api/v1/users/me", "", []string{customer}, 503, "dependency_unavailable", nil},
		"a service's own error":              {"GET", "/api/v1/cart", "", []string{customer}, 500, "internal", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Clients of their own, so that nobody is limited.
			a := s.call(t, c.method, c.path, c.body, append(c.headers, "X-Forwarded-For: "+addressFor(name))...)
			a.mustBeProblem(t, c.status, c.code)
			if diff := cmp.Diff(c.locations, a.locations()); diff != "" {
				t.Errorf("locations: %s in %s", diff, a.body)
			}
			if a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control is %q", a.header.Get("Cache-Control"))
			}
			if strings.Contains(a.body, "secret-host") || strings.Contains(a.body, "10.0.0.7") {
				t.Errorf("internals are shown: %s", a.body)
			}
			if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow is %q", a.header.Get("Allow"))
			}
		})
	}
}

// addressFor spreads tests over addresses.
func addressFor(name string) string {
	sum := 0
	for _, r := range name {
		sum = (sum*31 + int(r)) & 0xffff
	}
	return fmt.Sprintf("203.0.%d.%d", sum>>8, sum&0xff)
}

func TestRejectedValuesAreNotRepeated(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const secret = "hunter2hunter2"
	for _, body := range []string{
		`{"email":"a@example.com","password":"` + secret + `","name":"A","extra":1}`,
		`{"email":"a@example.com","password":["` + secret + `"],"name":"A"}`,
		`{"email":"a@example.com","password":"` + strings.Repeat(secret, 20) + `","name":"A"}`,
		`{"email":"` + secret + `","password":"` + secret + `"}`,
		`{"email":"a@example.com","password":"` + secret + `","name":"A"`,
		`"` + secret + `"`,
	} {
		a := s.call(t, "POST", "/api/v1/auth/register", body)
		if a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d", body, a.status)
		}
		if strings.Contains(a.body, secret) {
			t.Errorf("the password comes back: %s", a.body)
		}
	}
	if strings.Contains(s.log.String(), secret) {
		t.Error("the password is in the log")
	}
}

func TestErrorsOfServices(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("PlaceOrder", apperr.New(apperr.Conflict, "out_of_stock", "Too few.").With(
		apperr.Violation{Location: "items[1]", Message: "only 2 are left", Attributes: map[string]any{"product_id": productID, "available": int64(2)}}))
	a := s.as(t, auth.Customer, "POST", "/api/v1/orders", goodOrder, "Idempotency-Key: k1")
	a.mustBeProblem(t, 409, "out_of_stock")
	want := []any{map[string]any{"location": "body.items[1]", "message": "only 2 are left", "product_id": productID, "available": 2.0}}
	if diff := cmp.Diff(any(want), a.json["errors"]); diff != "" {
		t.Error(diff)
	}

	s.on("PlaceOrder", apperr.New(apperr.PaymentFailed, "payment_declined", "The card was declined.").WithAttribute("order_id", orderID))
	a = s.as(t, auth.Customer, "POST", "/api/v1/orders", goodOrder, "Idempotency-Key: k1")
	a.mustBeProblem(t, 402, "payment_declined")
	if a.json["order_id"] != orderID {
		t.Errorf("order_id is %v", a.json["order_id"])
	}

	s.on("PlaceOrder", apperr.New(apperr.PaymentFailed, "payment_declined", "The card was declined.").WithAttribute("idempotency_replayed", true))
	a = s.as(t, auth.Customer, "POST", "/api/v1/orders", goodOrder, "Idempotency-Key: k1")
	a.mustBeProblem(t, 402, "payment_declined")
	if _, shown := a.json["idempotency_replayed"]; shown || a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("an error that is answered again: %s, %v", a.body, a.header)
	}

	s.on("PlaceOrder", apperr.New(apperr.Conflict, "total_changed", "It is another one.").WithAttribute("total", int64(2990)).WithAttribute("currency", "EUR"))
	a = s.as(t, auth.Customer, "POST", "/api/v1/orders", goodOrder, "Idempotency-Key: k1")
	a.mustBeProblem(t, 409, "total_changed")
	if diff := cmp.Diff(any(map[string]any{"amount": 2990.0, "currency": "EUR"}), a.json["total"]); diff != "" {
		t.Error(diff)
	}

	s.on("PlaceOrder", apperr.InvalidField("payment_method", "unknown"))
	a = s.as(t, auth.Customer, "POST", "/api/v1/orders", goodOrder, "Idempotency-Key: k1")
	if diff := cmp.Diff([]string{"body.payment.method"}, a.locations()); diff != "" {
		t.Error(diff)
	}

	s.on("ListProducts", apperr.InvalidField("page_token", "not of this query"))
	a = s.call(t, "GET", "/api/v1/products?page_token=x&sort=name", "")
	a.mustBeProblem(t, 422, "validation_failed")
	if diff := cmp.Diff([]string{"query.page_token"}, a.locations()); diff != "" {
		t.Error(diff)
	}

	s.on("SetItem", apperr.InvalidField("quantity", "too many"))
	a = s.as(t, auth.Customer, "PUT", "/api/v1/cart/items/"+productID, `{"quantity":1000000000}`)
	if diff := cmp.Diff([]string{"body.quantity"}, a.locations()); diff != "" {
		t.Error(diff)
	}

	s.on("Login", apperr.New(apperr.TooMany, "rate_limited", "Too many tries.").WithAttribute("retry_after", int64(77)))
	a = s.call(t, "POST", "/api/v1/auth/login", `{"email":"a","password":"b"}`)
	a.mustBeProblem(t, 429, "rate_limited")
	if a.header.Get("Retry-After") != "77" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}

	s.on("GetCart", func(ctx context.Context) (proto.Message, error) { panic("a bug with a secret") })
	a = s.as(t, auth.Customer, "GET", "/api/v1/cart", "")
	a.mustBeProblem(t, 500, "internal")
	if strings.Contains(a.body, "secret") || !strings.Contains(s.log.String(), "a bug with a secret") {
		t.Errorf("the panic is not where it belongs: %s", a.body)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Register", &userv1.RegisterResponse{})
	exact := func(n int) string {
		return goodRegistration[:len(goodRegistration)-1] + strings.Repeat(" ", n-len(goodRegistration)) + "}"
	}
	if a := s.call(t, "POST", "/api/v1/auth/register", exact(maxBody)); a.status != 201 {
		t.Errorf("a body of just the limit: %d %s", a.status, a.body)
	}
	s.call(t, "POST", "/api/v1/auth/register", exact(maxBody+1)).mustBeProblem(t, 413, "body_too_large")
	// A reader of unknown type makes net/http send chunks without Content-Length.
	chunked := func(n int) io.Reader { return io.MultiReader(strings.NewReader(exact(n))) }
	if a := s.send(t, "POST", "/api/v1/auth/register", chunked(maxBody)); a.status != 201 {
		t.Errorf("chunks of just the limit: %d %s", a.status, a.body)
	}
	s.send(t, "POST", "/api/v1/auth/register", chunked(maxBody+1)).mustBeProblem(t, 413, "body_too_large")
	s.send(t, "POST", "/api/v1/auth/register", chunked(6<<20)).mustBeProblem(t, 413, "body_too_large")
}

// TestClientThatSendsSlowly gives up on a body after the operation's deadline for it, not at the end of the day.
func TestClientThatSendsSlowly(t *testing.T) {
	t.Parallel()
	s := setup(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	fmt.Fprintf(conn, "POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("got %d", response.StatusCode)
	}
}
