package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"shop.example/api-gateway/internal/clientip"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/health"
	productv1 "shop.example/proto/product/v1"
)

// FuzzUnmarshal: the strict decoder never panics, its complaints repeat nothing, and what it takes is what encoding/json takes
// it for.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{
		goodOrder, goodRegistration, `{"a":[1,-0,1.0,1e999,9223372036854775808,null,true,"\u0000","\ud800","é"]}`, `{"a":1,"a":2}`, "\ufeff{}", "[[[[", "{} {}", "\"\xff\"", " ",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got any
		if err := unmarshal(data, &got); err != nil {
			var malformed malformedBody
			if !errors.As(err, &malformed) || len(err.Error()) > 100 {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		var want any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil || !json.Valid(data) {
			t.Fatalf("%q is taken: %v", data, err)
		}
		if !alike(got, want) {
			t.Fatalf("%q became %#v, want %#v", data, got, want)
		}
	})
}

// alike compares what unmarshal makes with what encoding/json makes.
func alike(got, want any) bool {
	switch g := got.(type) {
	case map[string]any:
		w, ok := want.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for name, value := range g {
			other, ok := w[name]
			if !ok || !alike(value, other) {
				return false
			}
		}
		return true
	case []any:
		w, ok := want.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range g {
			if !alike(g[i], w[i]) {
				return false
			}
		}
		return true
	case int64:
		w, ok := want.(json.Number)
		n, err := strconv.ParseInt(w.String(), 10, 64)
		return ok && err == nil && n == g
	case fraction:
		return want == json.Number(g)
	case null:
		return want == nil
	default:
		return got == want
	}
}

// FuzzConditions: what a client puts into If-Match and If-None-Match is understood or refused, and never more than that.
func FuzzConditions(f *testing.F) {
	for _, seed := range []string{`"3"`, `W/"3"`, `*`, `"3-abc"`, `"3-abc.gzip"`, `"1", "2"`, `3`, `"`, `W/`, `"\""`, `"-1"`, `"99999999999999999999"`, `, ,`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		version, err := IfMatch{field}.version()
		if err != nil {
			if kind := apperr.From(err).Kind; kind != apperr.Malformed && kind != apperr.VersionMismatch {
				t.Fatalf("%q: %v", field, err)
			}
		} else if version != nil && (*version < 0 || strings.HasPrefix(field, "W/")) {
			t.Fatalf("%q is version %d", field, *version)
		}
		const tag = `"7-abc"`
		if (IfNoneMatch{field}).matches(tag) && !strings.Contains(field, tag) && !strings.Contains(field, "*") {
			t.Fatalf("%q matches %s", field, tag)
		}
		if !(IfNoneMatch{plainTags([]string{field + "," + markTag(tag)})[0]}).matches(tag) {
			t.Fatalf("behind %q the tag of the packed copy is not found", field)
		}
	})
}

// agreeable stands for services that answer everything with nothing, but only to what can be sent to them.
type agreeable struct{}

func (agreeable) Invoke(_ context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	message, ok := args.(proto.Message)
	if !ok {
		return fmt.Errorf("%s is asked with %T", method, args)
	}
	if lines, ok := args.(*productv1.ImportProductsRequest); ok { // of which each wants an answer
		for range lines.GetProducts() {
			reply.(*productv1.ImportProductsResponse).Results = append(reply.(*productv1.ImportProductsResponse).Results, new(productv1.ImportResult))
		}
	}
	_, err := proto.Marshal(message) // it refuses text that is not UTF-8
	return err
}

func (agreeable) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, errors.New("there are no streams")
}

// FuzzRequest: whatever is asked, the answer is no 5xx, and every error a whole problem.
func FuzzRequest(f *testing.F) {
	for _, seed := range []struct{ method, target, fields, body string }{
		{"GET", "/api/v1/products?q=a&min_price=1&page_size=5&sort=-price", "If-None-Match: \"x\"", ""},
		{"GET", "/api/v1/products/%00", "X-Request-ID: a b", ""},
		{"POST", "/api/v1/auth/register", "Content-Type: application/json\r\nUser-Agent: \xff", goodRegistration},
		{"POST", "/api/v1/orders", "Authorization: Bearer customer\r\nIdempotency-Key: k1", goodOrder},
		{"POST", "/api/v1/orders", "Authorization: Bearer customer\r\nIdempotency-Key: \x01", "{"},
		{"PATCH", "/api/v1/users/me", "Authorization: Bearer admin\r\nIf-Match: W/\"3\"", `{"name":"\ud800"}`},
		{"POST", "/api/v1/products", "Authorization: Bearer staff", `{"sku":"A","name":"N","price":{"amount":1,"currency":"EUR"}}`},
		{"PUT", "/api/v1/cart/items/" + productID, "Authorization: Bearer customer\r\nX-Forwarded-For: 1.2.3.4, nonsense", `{"quantity":1e999}`},
		{"POST", "/api/v1/users/me/addresses", "Authorization: Bearer customer\r\nContent-Encoding: gzip", `{"recipient":"A","line1":"B","city":"C","country":"GB"}`},
		{"DELETE", "/api/v1/cart", "Authorization: Bearer customer\r\nIf-Match: \"3\", \"4\"\r\nAccept-Encoding: gzip", ""},
		{"POST", "/api/v1/products/import", "Authorization: Bearer staff\r\nContent-Type: application/x-ndjson", "\ufeff{\"sku\":\"A\"}\n\n{"},
		{"OPTIONS", "*", "Origin: https://www.shop.example\r\nAccess-Control-Request-Method: GET", ""},
		{"HEAD", "/openapi.json", "Accept-Encoding: gzip;q=0.5, *\r\nIf-None-Match: *", ""},
		{"BREW", "//..//%2e%2e/%2f", "Transfer-Encoding: chunked", "0\r\n\r\n"},
	} {
		f.Add(seed.method, seed.target, seed.fields, seed.body)
	}
	log := slog.New(slog.DiscardHandler)
	var services agreeable
	origins, err := ParseCORS([]string{friend}, true)
	if err != nil {
		f.Fatal(err)
	}
	server, err := New(Options{
		Services: Services{Users: services, Products: services, Carts: services, Orders: services},
		Verify: func(_ context.Context, token string) (auth.Principal, error) {
			if role, ok := map[string]auth.Role{"customer": auth.Customer, "staff": auth.Staff, "admin": auth.Admin}[token]; ok {
				return auth.Principal{UserID: customerID, Role: role, SessionID: "s1"}, nil
			}
			return auth.Principal{}, apperr.New(apperr.Unauthenticated, "unauthenticated", "No.")
		},
		Health: health.NewMonitor(log), Clients: clientip.NewResolver(nil), CORS: origins, MaxInFlight: 64, Log: log,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target, fields, body string) {
		text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: shop\r\n%s\r\nContent-Length: %d\r\n\r\n%s", method, target, fields, len(body), body)
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return // net/http refuses it itself
		}
		request.RemoteAddr = "192.0.2.1:1234"
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, request)
		answer := recorder.Result()
		if answer.StatusCode >= 500 && !probePaths[request.URL.Path] {
			t.Fatalf("%q answers %d %s", text, answer.StatusCode, recorder.Body)
		}
		for _, name := range []string{"X-Request-Id", "Ratelimit", "Ratelimit-Policy", "X-Content-Type-Options"} {
			if answer.Header.Get(name) == "" {
				t.Fatalf("%q: %d without %s", text, answer.StatusCode, name)
			}
		}
		if answer.StatusCode < 400 || request.Method == http.MethodHead || probePaths[request.URL.Path] || answer.Header.Get("Content-Encoding") != "" {
			return
		}
		var problem Problem
		if err := json.Unmarshal(recorder.Body.Bytes(), &problem); err != nil || answer.Header.Get("Content-Type") != problemContentType ||
			problem.Status != answer.StatusCode || problem.Code == "" || problem.Detail == "" || problem.RequestID != answer.Header.Get("X-Request-ID") {
			t.Fatalf("%q: %d %q is no problem: %v", text, answer.StatusCode, recorder.Body, err)
		}
	})
}
