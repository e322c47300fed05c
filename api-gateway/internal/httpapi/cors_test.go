package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"shop.example/platform/auth"
	productv1 "shop.example/proto/product/v1"
)

const friend = "https://www.shop.example"

func withCORS(t *testing.T, credentials bool, origins ...string) func(*Options) {
	t.Helper()
	c, err := ParseCORS(origins, credentials)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.CORS = c }
}

// varies are the names in Vary, in lower case.
func (a answer) varies() []string {
	var names []string
	for _, line := range a.header.Values("Vary") {
		for name := range strings.SplitSeq(line, ",") {
			names = append(names, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	return names
}

func TestOriginsOnTheList(t *testing.T) {
	t.Parallel()
	s := setup(t, withCORS(t, false, friend, "http://localhost:3000"))
	s.on("ListProducts", &productv1.ListProductsResponse{})
	s.on("ListShippingMethods", errDown)
	for name, c := range map[string]struct {
		path, origin string
		status       int
		allowed      bool
	}{
		"an answer":             {"/api/v1/products", friend, 200, true},
		"another origin":        {"/api/v1/products", "http://localhost:3000", 200, true},
		"a stranger":            {"/api/v1/products", "https://evil.example", 200, false},
		"a stranger's name":     {"/api/v1/products", friend + ".evil.example", 200, false},
		"without TLS":           {"/api/v1/products", "http://www.shop.example", 200, false},
		"another port":          {"/api/v1/products", friend + ":8443", 200, false},
		"null":                  {"/api/v1/products", "null", 200, false},
		"no token":              {"/api/v1/orders", friend, 401, true},
		"nothing there":         {"/api/v1/nothing", friend, 404, true},
		"a dependency is away":  {"/api/v1/shipping-methods", friend, 503, true},
		"a URL that is garbage": {"/api/v1/products?q=%00", friend, 400, true},
		"the documentation":     {"/openapi.json", friend, 200, true},
	} {
		a := s.call(t, "GET", c.path, "", "Origin: "+c.origin)
		want := ""
		if c.allowed {
			want = c.origin
		}
		if got := a.header.Get("Access-Control-Allow-Origin"); a.status != c.status || got != want {
			t.Errorf("%s: %d, allowed is %q", name, a.status, got)
		}
		if !slices.Contains(a.varies(), "origin") {
			t.Errorf("%s: a cache would answer other origins with it: Vary is %v", name, a.varies())
		}
		if a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", name)
		}
		exposed := strings.ToLower(a.header.Get("Access-Control-Expose-Headers"))
		for _, header := range []string{"ETag", "Location", "X-Request-ID", "RateLimit", "RateLimit-Policy", "Retry-After", "Idempotency-Replayed", "X-Cart-Token", "WWW-Authenticate"} {
			if c.allowed != strings.Contains(exposed, strings.ToLower(header)) {
				t.Errorf("%s: exposed are %q", name, exposed)
			}
		}
	}
	if a := s.call(t, "GET", "/api/v1/products", ""); !slices.Contains(a.varies(), "origin") || !slices.Contains(a.varies(), "authorization") || !slices.Contains(a.varies(), "accept-encoding") {
		t.Errorf("Vary is %v", a.varies())
	}
}

func TestPreflights(t *testing.T) {
	t.Parallel()
	s := setup(t, withCORS(t, true, friend))
	preflight := func(path, origin, method, headers string) answer {
		return s.call(t, "OPTIONS", path, "", "Origin: "+origin, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: "+headers)
	}
	a := preflight("/api/v1/orders", friend, "POST", "authorization,content-type,idempotency-key")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": friend, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Headers": "authorization,content-type,idempotency-key", "Access-Control-Max-Age": "600",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a.status != 204 || a.body != "" || a.header.Get("RateLimit") == "" {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
	for _, name := range []string{"origin", "access-control-request-method", "access-control-request-headers"} {
		if !slices.Contains(a.varies(), name) {
			t.Errorf("Vary is %v", a.varies())
		}
	}
	for name, a := range map[string]answer{
		"a stranger":          preflight("/api/v1/orders", "https://evil.example", "POST", "authorization"),
		"a strange method":    preflight("/api/v1/orders", friend, "TRACE", ""),
		"a strange header":    preflight("/api/v1/orders", friend, "POST", "x-http-method-override"),
		"null":                preflight("/api/v1/orders", "null", "POST", "authorization"),
		"a name in uppercase": preflight("/api/v1/orders", "https://www.shop.example.", "POST", ""),
	} {
		if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d, allowed is %q", name, a.status, a.header.Get("Access-Control-Allow-Origin"))
		}
	}
	// What is no preflight is no operation either.
	s.call(t, "OPTIONS", "/api/v1/orders", "", "Origin: "+friend).mustBeProblem(t, 405, "method_not_allowed")

	_, refused := untilRefused(t, 400, func(int) answer { return preflight("/api/v1/auth/login", friend, "POST", "content-type") })
	refused.mustBeProblem(t, 429, "rate_limited")
	if refused.header.Get("Access-Control-Allow-Origin") != friend {
		t.Error("a script can't see that it is too fast")
	}
}

func TestEveryOrigin(t *testing.T) {
	t.Parallel()
	s := setup(t, withCORS(t, false, "*"))
	s.on("ListProducts", &productv1.ListProductsResponse{})
	a := s.call(t, "GET", "/api/v1/products", "", "Origin: https://anybody.example")
	if a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", a.header)
	}
}

func TestWithoutCORS(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("ListProducts", &productv1.ListProductsResponse{})
	a := s.call(t, "GET", "/api/v1/products", "", "Origin: "+friend)
	if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	s.call(t, "OPTIONS", "/api/v1/products", "", "Origin: "+friend, "Access-Control-Request-Method: GET").mustBeProblem(t, 405, "method_not_allowed")
}

func TestShedAnswersAreReadable(t *testing.T) {
	t.Parallel()
	s := setup(t, withCORS(t, false, friend), func(o *Options) { o.MaxInFlight = 0 })
	a := s.call(t, "GET", "/api/v1/products", "", "Origin: "+friend)
	a.mustBeProblem(t, 503, "overloaded")
	if a.header.Get("Access-Control-Allow-Origin") != friend || a.header.Get("RateLimit") != `"default";r=0;t=1` {
		t.Errorf("%v", a.header)
	}
}

func TestMistakesInCORS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		origins     []string
		credentials bool
		want        string
	}{
		"none":                        {nil, false, ""},
		"blank":                       {[]string{" ", ""}, false, ""},
		"good ones":                   {[]string{friend, " http://localhost:3000 ", "https://[2001:db8::1]:8443"}, true, ""},
		"all":                         {[]string{"*"}, false, ""},
		"all with credentials":        {[]string{"*"}, true, "can't be combined with CORS_ALLOW_CREDENTIALS"},
		"all beside one, credentials": {[]string{friend, "*"}, true, "can't be combined with CORS_ALLOW_CREDENTIALS"},
		"all beside one":              {[]string{friend, "*"}, false, "name nothing beside it"},
		"credentials for nobody":      {nil, true, "no origin is allowed"},
		"null":                        {[]string{"null"}, false, "sandboxed"},
		"a path":                      {[]string{friend + "/shop"}, false, "no path"},
		"a slash":                     {[]string{friend + "/"}, false, "no slash at the end"},
		"a query":                     {[]string{friend + "?x"}, false, "must be scheme and host"},
		"a user":                      {[]string{"https://me@shop.example"}, false, "must be scheme and host"},
		"no scheme":                   {[]string{"www.shop.example"}, false, "is not an origin"},
		"another scheme":              {[]string{"ftp://shop.example"}, false, "is not an origin"},
		"no host":                     {[]string{"https://"}, false, "is not an origin"},
		"capitals":                    {[]string{"https://Shop.Example"}, false, "lower case"},
		"a wildcard":                  {[]string{"https://*.shop.example"}, true, "wildcard"},
		"the usual port":              {[]string{friend + ":443"}, false, "port that browsers leave out"},
		"an empty port":               {[]string{friend + ":"}, false, "must be scheme and host"},
	} {
		_, err := ParseCORS(c.origins, c.credentials)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHSTSOnlyWhereThereIsTLS(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if a := s.call(t, http.MethodGet, "/healthz", ""); a.header.Get("Strict-Transport-Security") != "" {
		t.Error("plain HTTP promises TLS")
	}
	a := s.as(t, auth.Customer, http.MethodGet, "/docs", "", "X-Forwarded-Proto: https")
	if a.header.Get("Strict-Transport-Security") == "" || a.header.Get("Permissions-Policy") == "" {
		t.Errorf("%v", a.header)
	}
}
