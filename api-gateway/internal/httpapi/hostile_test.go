package httpapi

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"shop.example/platform/auth"
	cartv1 "shop.example/proto/cart/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

// raw sends bytes that no well-behaved client would, and reads the answer.
func (s *shop) raw(t testing.TB, request string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	go func() { _, _ = io.WriteString(conn, request) }() // it may be cut off in the middle, which is no mistake
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, header: response.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.json)
	return a
}

const rawLogin = "POST /api/v1/auth/login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n"

// TestHostileRequests is what one who knows HTTP well might try. Where a handler is reached, the answer is a problem with
// our fields; what net/http can't read it refuses itself, in plain text, and ends the connection.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Login", &userv1.LoginResponse{})
	s.on("ListProducts", &productv1.ListProductsResponse{})
	s.on("GetCart", &cartv1.GetCartResponse{})
	login := func(body string) string {
		return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", rawLogin, len(body), body)
	}
	get := func(target string, fields ...string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: shop\r\n" + strings.Join(append(fields, "\r\n"), "\r\n")
	}
	const good = `{"email":"a","password":"b"}`
	for name, c := range map[string]struct {
		request string
		status  int
		code    string // "" if net/http answers
	}{
		"endless fields":              {get("/api/v1/products", "X-Junk: "+strings.Repeat("j", maxHeaders)), 431, "headers_too_large"},
		"many fields":                 {get("/api/v1/products", strings.Repeat("X-Junk: 1234567\r\n", 3000)+"X: y"), 431, "headers_too_large"},
		"an endless address":          {get("/api/v1/products?q=" + strings.Repeat("q", maxHeaders)), 431, "headers_too_large"},
		"fields beyond all measure":   {get("/api/v1/products", "X-Junk: "+strings.Repeat("j", 200_000)), 431, ""},
		"not HTTP":                    {"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n", 400, ""},
		"no version":                  {"GET /api/v1/products\r\n\r\n", 400, ""},
		"another version":             {"GET /api/v1/products HTTP/3.7\r\nHost: shop\r\n\r\n", 505, ""},
		"no host":                     {"GET /api/v1/products HTTP/1.1\r\n\r\n", 400, ""},
		"two hosts":                   {get("/api/v1/products", "Host: other"), 400, ""},
		"a field with a space":        {get("/api/v1/products", "X Junk: 1"), 400, ""},
		"a folded field":              {get("/api/v1/products", "X-Junk: 1\r\n 2"), 200, ""},
		"NUL in a field":              {get("/api/v1/products", "X-Junk: \x00"), 400, ""},
		"a bare CR in a field":        {get("/api/v1/products", "X-Junk: a\rb"), 400, ""},
		"a field that is not UTF-8":   {get("/api/v1/products", "X-Request-ID: \xe4", "User-Agent: M\xfcller/1", "X-Junk: \xff\xfe"), 200, ""},
		"a key that is not UTF-8":     {get("/api/v1/products", "X-Cart-Token: \xff\xfe"), 400, "malformed_request"},
		"a token that is not UTF-8":   {get("/api/v1/cart", "Authorization: Bearer \xff"), 400, "malformed_request"},
		"a tag that is not UTF-8":     {get("/api/v1/products", "If-None-Match: \"\xff\""), 400, "malformed_request"},
		"two keys":                    {login(good)[:len(login(good))-len(good)-2] + "Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n" + good, 400, "malformed_request"},
		"two types":                   {login(good)[:len(login(good))-len(good)-2] + "Content-Type: text/plain\r\n\r\n" + good, 400, "malformed_request"},
		"two tokens":                  {get("/api/v1/cart", "Authorization: Bearer a", "Authorization: Bearer b"), 401, "unauthenticated"},
		"a packed body":               {login(good)[:len(login(good))-len(good)-2] + "Content-Encoding: gzip\r\n\r\n" + good, 415, "unsupported_media_type"},
		"two lengths":                 {rawLogin + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, ""},
		"a negative length":           {rawLogin + "Content-Length: -1\r\n\r\n{}", 400, ""},
		"a length beyond int64":       {rawLogin + "Content-Length: 99999999999999999999\r\n\r\n{}", 400, ""},
		"an unknown coding":           {rawLogin + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, ""},
		"chunked, but not last":       {rawLogin + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501, ""},
		"a chunk of no size":          {rawLogin + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, "malformed_request"},
		"a chunk beyond int64":        {rawLogin + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}", 400, "malformed_request"},
		"an unknown expectation":      {rawLogin + "Expect: a-miracle\r\nContent-Length: 2\r\n\r\n{}", 417, ""},
		"a BOM":                       {login("\ufeff" + good), 400, "malformed_request"},
		"UTF-16":                      {login("{\x00}\x00"), 400, "malformed_request"},
		"two documents":               {login(good + good), 400, "malformed_request"},
		"a name twice, escaped":       {login(`{"email":"a","\u0065mail":"b","password":"b"}`), 400, "malformed_request"},
		"NaN":                         {login(`{"email":NaN,"password":"b"}`), 400, "malformed_request"},
		"a comment":                   {login(`{"email":"a",/**/"password":"b"}`), 400, "malformed_request"},
		"many brackets":               {login(strings.Repeat(`{"a":`, 100_000)), 400, "malformed_request"},
		"many values":                 {login("[" + strings.Repeat("0,", maxValues) + "0]"), 400, "malformed_request"},
		"1e999":                       {login(`{"email":1e999,"password":"b"}`), 422, "validation_failed"},
		"2^63":                        {login(`{"email":9223372036854775808,"password":"b"}`), 422, "validation_failed"},
		"1.0":                         {login(`{"email":1.0,"password":"b"}`), 422, "validation_failed"},
		"TRACE":                       {"TRACE /api/v1/products HTTP/1.1\r\nHost: shop\r\nCookie: secret\r\n\r\n", 405, "method_not_allowed"},
		"CONNECT":                     {"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 404, "not_found"},
		"CONNECT to a path":           {"CONNECT /api/v1/products HTTP/1.1\r\nHost: shop\r\n\r\n", 405, "method_not_allowed"},
		"OPTIONS *":                   {"OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n", 404, "not_found"},
		"a method in lower case":      {"get /api/v1/products HTTP/1.1\r\nHost: shop\r\n\r\n", 405, "method_not_allowed"},
		"another method in a field":   {get("/api/v1/orders", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"), 401, "unauthenticated"},
		"another method in the query": {get("/api/v1/products?_method=DELETE"), 422, "validation_failed"},
		"another's URI":               {get("http://evil.example/api/v1/nothing"), 404, "not_found"},
		"dots":                        {get("/api/v1/../v1/products"), 404, "not_found"},
		"packed dots":                 {get("/api/v1/%2e%2e/v1/products"), 404, "not_found"},
		"two slashes":                 {get("/api//v1/products"), 404, "not_found"},
		"two slashes in front":        {get("//api/v1/products"), 404, "not_found"},
		"backslashes":                 {get(`/api\v1\products`), 404, "not_found"},
		"a slash behind":              {get("/api/v1/products/"), 404, "not_found"},
		"half an escape":              {get("/api/v1/products/%4"), 400, ""},
		"half an escape in a query":   {get("/api/v1/products?q=%4"), 400, "malformed_request"},
		"a semicolon in a query":      {get("/api/v1/products?q=a;b"), 400, "malformed_request"},
		"an overlong escape":          {get("/api/v1/products/%c0%af"), 400, "malformed_request"},
		"a surrogate":                 {get("/api/v1/products?q=%ed%a0%80"), 400, "malformed_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Clients of their own, so that nobody is limited.
			line, rest, _ := strings.Cut(c.request, "\r\n")
			request := line + "\r\nX-Forwarded-For: " + addressFor(name) + "\r\nConnection: close\r\n" + rest
			if c.code == "" {
				request = c.request
			}
			a := s.raw(t, request)
			if a.status != c.status {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if c.code != "" {
				a.mustBeProblem(t, c.status, c.code)
				if a.header.Get("RateLimit") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("our fields are missing: %v", a.header)
				}
			}
			for _, leak := range []string{"goroutine", "net/http", ".go:", "secret"} {
				if strings.Contains(a.body, leak) {
					t.Errorf("%q is in the answer: %s", leak, a.body)
				}
			}
		})
	}
}

func TestNumbersAtTheirEdges(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("AdjustStock", &productv1.AdjustStockResponse{})
	for number, status := range map[string]int{
		"1": 201, "-1": 201, "9223372036854775807": 422, "-9223372036854775808": 422, "9223372036854775808": 422, "-9223372036854775809": 422,
		"1.0": 422, "1e0": 422, "1e999": 422, "1E-999": 422, "0.5": 422, "01": 400, "+1": 400, "-": 400, "1.": 400, ".5": 400, "0x1": 400, "Infinity": 400,
	} {
		a := s.as(t, auth.Staff, "POST", "/api/v1/products/"+productID+"/stock-adjustments", `{"delta":`+number+`,"reason":"count"}`)
		if a.status != status {
			t.Errorf("%s: got %d %s, want %d", number, a.status, a.body, status)
		}
	}
}

// TestExpectContinue: a client that asks first is told to go on only if somebody wants its body.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Login", &userv1.LoginResponse{})
	for length, first := range map[int]int{2: http.StatusContinue, maxBody + 1: http.StatusRequestEntityTooLarge} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "%sExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", rawLogin, length)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, fmt.Sprint(" ", first, " ")) {
			t.Errorf("%d bytes: %q, %v", length, line, err)
		}
	}
}

// TestHTTP2 speaks it by TLS and with prior knowledge, and is told of the limits.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("ListProducts", catalogue(20))
	for _, encrypted := range []bool{true, false} {
		protocols := new(http.Protocols)
		protocols.SetHTTP2(encrypted)
		protocols.SetUnencryptedHTTP2(!encrypted)
		url := s.url
		if encrypted {
			server := httptest.NewUnstartedServer(nil)
			server.Config = s.server.HTTPServer()
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			url = server.URL
		}
		transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		for target, status := range map[string]int{
			"/api/v1/products": 200, "/api/v1/nothing": 404, "/api/v1/products?q=" + strings.Repeat("q", maxHeaders): 431,
		} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+target, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
			if response.ProtoMajor != 2 || response.StatusCode != status {
				t.Errorf("%.30s: %s %d", target, response.Proto, response.StatusCode)
			}
			if hsts := response.Header.Get("Strict-Transport-Security"); (hsts != "") != encrypted {
				t.Errorf("encrypted is %v, HSTS %q", encrypted, hsts)
			}
		}
		transport.CloseIdleConnections()
	}
}
