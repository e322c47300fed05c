package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"shop.example/platform/auth"
	cartv1 "shop.example/proto/cart/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

func TestBadTokens(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetCart", &cartv1.GetCartResponse{})
	s.on("ListProducts", &productv1.ListProductsResponse{})
	p := auth.Principal{UserID: customerID, Role: auth.Admin, SessionID: "s1"}
	sign := func(now func() time.Time) string {
		raw, err := newSigner(t, now).Sign(p)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good := s.token(t, auth.Customer)
	parts := strings.Split(good, ".")
	segment := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	for name, authorization := range map[string]string{
		"none":            "Bearer " + segment(map[string]string{"alg": "none", "typ": "JWT"}) + "." + parts[1] + ".",
		"another key":     "Bearer " + sign(time.Now),
		"cut":             "Bearer " + good[:len(good)-4],
		"another payload": "Bearer " + parts[0] + "." + segment(map[string]string{"sub": "x", "role": "admin"}) + "." + parts[2],
		"nonsense":        "Bearer x",
		"empty":           "Bearer ",
		"basic":           "Basic YTpi",
	} {
		s.call(t, "GET", "/api/v1/cart", "", "Authorization: "+authorization).mustBeProblem(t, 401, "unauthenticated")
		// Also where nobody needs a token.
		a := s.call(t, "GET", "/api/v1/products", "", "Authorization: "+authorization)
		a.mustBeProblem(t, 401, "unauthenticated")
		if t.Failed() {
			t.Fatalf("token: %s", name)
		}
	}
	if a := s.as(t, auth.Customer, "GET", "/api/v1/cart", ""); a.status != 200 {
		t.Errorf("a good token: %d %s", a.status, a.body)
	}
	if strings.Contains(s.log.String(), parts[2]) {
		t.Error("a token is in the log")
	}
}

// TestExpiredTokenOfTheRightKey is apart, because its signer has another clock.
func TestExpiredTokenOfTheRightKey(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.signer = newSigner(t, func() time.Time { return time.Now().Add(-16 * time.Minute) })
	s.as(t, auth.Customer, "GET", "/api/v1/cart", "").mustBeProblem(t, 401, "unauthenticated")
}

func TestKeysCannotBeFetched(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) {
		o.Verify = func(context.Context, string) (auth.Principal, error) { return auth.Principal{}, errDown }
	})
	s.call(t, "GET", "/api/v1/cart", "", "Authorization: Bearer x").mustBeProblem(t, 503, "dependency_unavailable")
}

// TestEveryOperationIsGuarded asks for everything without a token and as a customer.
func TestEveryOperationIsGuarded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var document struct {
		Paths map[string]map[string]struct {
			Security      []map[string][]string `json:"security"`
			Authorization string                `json:"x-authorization"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(s.call(t, "GET", "/openapi.json", "").body), &document); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{id}", orderID, "{product_id}", productID)
	checked := 0
	for path, operations := range document.Paths {
		for method, op := range operations {
			method = strings.ToUpper(method)
			if op.Authorization == "anonymous" {
				if len(op.Security) != 0 {
					t.Errorf("%s %s is anonymous, with security", method, path)
				}
				continue
			}
			checked++
			if len(op.Security) == 0 {
				t.Errorf("%s %s has no security in the document", method, path)
			}
			s.call(t, method, fill.Replace(path), "", "Authorization: Bearer x").mustBeProblem(t, 401, "unauthenticated")
			if op.Authorization == "guest" {
				if a := s.call(t, method, fill.Replace(path), ""); a.status == 401 || a.status == 403 {
					t.Errorf("%s %s answers a guest %d", method, path, a.status)
				}
				continue
			}
			s.call(t, method, fill.Replace(path), "").mustBeProblem(t, 401, "unauthenticated")
			a := s.as(t, auth.Customer, method, fill.Replace(path), "")
			if staff := op.Authorization == "staff" || op.Authorization == "admin"; staff != (a.status == 403) {
				t.Errorf("%s %s answers a customer %d, its rule is %s", method, path, a.status, op.Authorization)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d operations are guarded", checked)
	}
}

func TestStaffSeesStock(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetProduct", &productv1.GetProductResponse{Product: &productv1.Product{
		Id: productID, Version: 7, Stock: &productv1.Stock{Available: 2, OnHand: 5, Reserved: 3},
	}})
	stock := func(a answer) map[string]any { m, _ := a.json["stock"].(map[string]any); return m }
	for _, a := range []answer{s.call(t, "GET", "/api/v1/products/x", ""), s.as(t, auth.Customer, "GET", "/api/v1/products/x", "")} {
		if len(stock(a)) != 1 || stock(a)["available"] != 2.0 {
			t.Errorf("customers see %v", stock(a))
		}
	}
	a := s.as(t, auth.Staff, "GET", "/api/v1/products/x", "")
	if got := stock(a); got["available"] != 2.0 || got["on_hand"] != 5.0 || got["reserved"] != 3.0 {
		t.Errorf("staff see %v", got)
	}
	if cc := a.header.Get("Cache-Control"); !strings.Contains(cc, "private") {
		t.Errorf("a shared cache may keep what is for staff: %q", cc)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetCart", errDown)
	for _, sane := range []string{"a", "A.b_c-9", strings.Repeat("x", 128)} {
		if a := s.call(t, "GET", "/api/v1/orders", "", "X-Request-ID: "+sane); a.header.Get("X-Request-ID") != sane || a.json["request_id"] != sane {
			t.Errorf("%q became %q", sane, a.header.Get("X-Request-ID"))
		}
	}
	for _, insane := range []string{"", "a b", "a\tb", "ä", "a/b", `{"x":1}`, strings.Repeat("x", 129)} {
		a := s.call(t, "GET", "/nothing", "", "X-Request-ID: "+insane)
		if id := a.header.Get("X-Request-ID"); id == insane || !saneRequestID.MatchString(id) {
			t.Errorf("%q became %q", insane, id)
		}
	}
	s.call(t, "GET", "/api/v1/nothing", "", "X-Request-ID: find-me", "Baggage: request_id=forged,user=admin")
	if !strings.Contains(s.log.String(), `"request_id":"find-me"`) || strings.Contains(s.log.String(), "forged") {
		t.Errorf("the log does not have the id: %s", s.log)
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, path := range []string{"/api/v1/nothing", "/healthz", "/openapi.json", "/docs"} {
		h := s.call(t, http.MethodGet, path, "", "X-Forwarded-Proto: https").header
		for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy", "Strict-Transport-Security", "Cache-Control"} {
			if h.Get(name) == "" {
				t.Errorf("%s has no %s", path, name)
			}
		}
	}
}

// A client that always attaches its token can still get a new one when that has expired.
func TestCredentialsWithAnExpiredToken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Refresh", &userv1.RefreshResponse{User: &userv1.User{Id: orderID}, Tokens: &userv1.Tokens{AccessToken: "new"}})
	a := s.call(t, "POST", "/api/v1/auth/refresh", `{"refresh_token":"r"}`, "Authorization: Bearer expired")
	if a.status != 200 || a.json["access_token"] != "new" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}
