package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"shop.example/api-gateway/internal/clientip"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

// untilRefused makes requests until one is refused, and returns how many were not.
func untilRefused(t *testing.T, most int, request func(i int) answer) (allowed int, refused answer) {
	t.Helper()
	for i := range most {
		if a := request(i); a.status == http.StatusTooManyRequests {
			return i, a
		}
	}
	t.Fatalf("%d requests were not too many", most)
	return 0, answer{}
}

func TestCredentialsAreLimitedMoreStrictly(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Login", apperr.New(apperr.Unauthenticated, "invalid_credentials", "No."))
	login := func(headers ...string) answer {
		return s.call(t, "POST", "/api/v1/auth/login", `{"email":"a","password":"b"}`, headers...)
	}
	first := login("X-Forwarded-For: 198.51.100.1")
	if first.header.Get("RateLimit-Policy") != `"credentials";q=30;w=30` || first.header.Get("RateLimit") != `"credentials";r=29;t=1` {
		t.Errorf("the fields are %q, %q", first.header.Get("RateLimit-Policy"), first.header.Get("RateLimit"))
	}
	// A token of an account does not buy more guesses.
	allowed, refused := untilRefused(t, 60, func(i int) answer {
		if i%2 == 0 {
			return login("X-Forwarded-For: 198.51.100.1")
		}
		return login("X-Forwarded-For: 198.51.100.1", "Authorization: Bearer "+s.token(t, auth.Customer))
	})
	if allowed < 29 || allowed > 45 {
		t.Errorf("%d guesses were allowed", allowed)
	}
	refused.mustBeProblem(t, 429, "rate_limited")
	if a := login("X-Forwarded-For: 198.51.100.2"); a.status == 429 {
		t.Error("another client is refused too")
	}
	if a := s.call(t, "GET", "/api/v1/nothing", "", "X-Forwarded-For: 198.51.100.1"); a.status == 429 {
		t.Error("the strict limit holds for all")
	}
}

func TestLimitsGoByUser(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetCart", errDown)
	token := "Authorization: Bearer " + s.token(t, auth.Customer)
	_, refused := untilRefused(t, 2000, func(i int) answer {
		return s.call(t, "GET", "/api/v1/cart", "", token, fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i%250))
	})
	refused.mustBeProblem(t, 429, "rate_limited")
	if a := s.call(t, "GET", "/api/v1/cart", ""); a.status == 429 {
		t.Error("the address is refused for its user")
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := s.call(t, "GET", path, "", token); a.status != 200 {
			t.Errorf("%s is refused: %d", path, a.status)
		}
	}
}

func TestForwardedForOfStrangersDoesNotCount(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.Clients = clientip.NewResolver(nil) })
	s.on("Login", apperr.New(apperr.Unauthenticated, "invalid_credentials", "No."))
	_, refused := untilRefused(t, 60, func(i int) answer {
		return s.call(t, "POST", "/api/v1/auth/login", `{"email":"a","password":"b"}`, fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
	})
	refused.mustBeProblem(t, 429, "rate_limited")
}

func TestEveryAnswerHasTheFields(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("ListShippingMethods", errDown)
	full := setup(t, func(o *Options) { o.MaxInFlight = 0 })
	for name, a := range map[string]answer{
		"404": s.call(t, "GET", "/api/v1/nothing", ""), "401": s.call(t, "GET", "/api/v1/orders", ""), "200": s.call(t, "GET", "/healthz", ""),
		"200 of the document": s.call(t, "GET", "/openapi.json", ""), "400": s.call(t, "GET", "/api/v1/products?q=%00", ""),
		"405": s.call(t, "PUT", "/api/v1/products", ""), "413": s.call(t, "POST", "/api/v1/auth/login", strings.Repeat("a", maxBody+1)),
		"503": s.call(t, "GET", "/api/v1/shipping-methods", ""), "503 for load": full.call(t, "GET", "/api/v1/nothing", ""),
		"405 of no operation": s.call(t, "OPTIONS", "/api/v1/products", ""), "200 of a probe under load": full.call(t, "GET", "/healthz", ""),
	} {
		if status, _, _ := strings.Cut(name, " "); status != strconv.Itoa(a.status) {
			t.Errorf("%s is a %d", name, a.status)
		}
		if a.header.Get("RateLimit") == "" || a.header.Get("RateLimit-Policy") == "" {
			t.Errorf("%s has no fields", name)
		}
	}
}

func TestLimitsCanBeOff(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.Limiter = nil })
	s.on("Login", apperr.New(apperr.Unauthenticated, "invalid_credentials", "No."))
	for range 100 {
		a := s.call(t, "POST", "/api/v1/auth/login", `{"email":"a","password":"b"}`)
		a.mustBeProblem(t, 401, "invalid_credentials")
		if a.header.Get("RateLimit-Policy") != `"credentials";q=30;w=30` || a.header.Get("RateLimit") != `"credentials";r=30;t=0` {
			t.Fatalf("the fields are %v", a.header)
		}
	}
}

func TestLoadIsShed(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.MaxInFlight = 2 })
	entered, release := make(chan struct{}, 2), make(chan struct{})
	s.on("ListShippingMethods", func(context.Context) (proto.Message, error) {
		entered <- struct{}{}
		<-release
		return &orderv1.ListShippingMethodsResponse{}, nil
	})
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() {
			if a := s.call(t, "GET", "/api/v1/shipping-methods", ""); a.status != 200 {
				t.Errorf("got %d", a.status)
			}
		})
	}
	<-entered
	<-entered
	s.call(t, "GET", "/api/v1/shipping-methods", "").mustBeProblem(t, 503, "overloaded")
	if a := s.call(t, "GET", "/readyz", ""); a.status != 200 {
		t.Errorf("/readyz answers %d", a.status)
	}
	close(release)
	waiting.Wait()
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	s := setup(t)
	left := func(method string, request func() answer) time.Duration {
		var got time.Duration
		s.on(method, func(ctx context.Context) (proto.Message, error) {
			deadline, _ := ctx.Deadline()
			got = time.Until(deadline)
			return nil, context.DeadlineExceeded
		})
		request().mustBeProblem(t, 504, "deadline_exceeded")
		return got
	}
	if d := left("ListProducts", func() answer { return s.call(t, "GET", "/api/v1/products", "") }); d > 5*time.Second || d < 3*time.Second {
		t.Errorf("a read has %v", d)
	}
	order := func() answer {
		return s.as(t, auth.Customer, "POST", "/api/v1/orders", goodOrder, "Idempotency-Key: k")
	}
	if d := left("PlaceOrder", order); d > 10*time.Second || d < 7*time.Second {
		t.Errorf("checkout has %v", d)
	}
}
