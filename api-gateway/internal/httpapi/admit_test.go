package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
	userv1 "shop.example/proto/user/v1"
)

// from is the header field by which the proxy that the tests are says who asks.
func from(address string) string { return "X-Forwarded-For: " + address }

// dawdle sends the beginning of a body and returns how to end it.
func dawdle(t *testing.T, s *shop, address string, answers chan<- answer) (end func()) {
	t.Helper()
	reader, writer := io.Pipe()
	go func() { answers <- s.send(t, "POST", "/api/v1/auth/refresh", reader, from(address)) }()
	if _, err := io.WriteString(writer, `{"refresh`); err != nil {
		t.Fatal(err)
	}
	return func() {
		_, _ = io.WriteString(writer, `_token":"x"}`) // the gateway may have given up on it
		writer.Close()
	}
}

// TestDawdlersHoldUpNobody: who sends its body slowly takes none of the places in which work is done, and of the requests that
// may be open only its own share.
func TestDawdlersHoldUpNobody(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.MaxInFlight = minClientShare })
	s.on("ListShippingMethods", &orderv1.ListShippingMethodsResponse{})
	s.on("Refresh", apperr.New(apperr.Unauthenticated, "unauthenticated", "No."))
	answers := make(chan answer, minClientShare)
	var ends []func()
	for range minClientShare {
		ends = append(ends, dawdle(t, s, "198.51.100.1", answers))
	}
	until(t, "all are in", func() bool { return s.server.flight.Open() == minClientShare })
	if a := s.call(t, "GET", "/api/v1/shipping-methods", "", from("198.51.100.2")); a.status != 200 {
		t.Errorf("somebody else is answered %d %s", a.status, a.body)
	}
	s.call(t, "GET", "/api/v1/shipping-methods", "", from("198.51.100.1")).mustBeProblem(t, 429, "rate_limited")
	for _, end := range ends {
		end()
	}
	for range ends {
		(<-answers).mustBeProblem(t, 401, "unauthenticated")
	}
	until(t, "all are out", func() bool { return s.server.flight.Open() == 0 })
	if a := s.call(t, "GET", "/api/v1/shipping-methods", "", from("198.51.100.1")); a.status != 200 {
		t.Errorf("its share does not come back: %d", a.status)
	}
}

// slowReader is a client that does not read its answer until it is let.
type slowReader struct {
	*httptest.ResponseRecorder
	began, release chan struct{}
}

func (s slowReader) Write(p []byte) (int, error) {
	close(s.began)
	<-s.release
	return s.ResponseRecorder.Write(p)
}

func TestSlowReadersHoldNoPlace(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.MaxInFlight = 1 })
	s.on("Login", apperr.New(apperr.Unauthenticated, "invalid_credentials", "No."))
	body := `{"email":"` + strings.Repeat("a", 2*smallBody) + `","password":"b"}`
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/auth/login", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	client := slowReader{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	var done sync.WaitGroup
	done.Go(func() { s.server.ServeHTTP(client, request) })
	<-client.began
	if slots, bodies, hashing := len(s.server.slots), len(s.server.bodies), len(s.server.hashing); slots+bodies+hashing != 0 {
		t.Errorf("while its answer is written it holds %d slots, %d places for large bodies, %d for passwords", slots, bodies, hashing)
	}
	close(client.release)
	done.Wait()
	if client.Code != http.StatusUnprocessableEntity { // no address is that long
		t.Errorf("it is answered %d %s", client.Code, client.Body)
	}
}

// TestPasswordsWaitAmongThemselves: however many sign in, everybody else goes on.
func TestPasswordsWaitAmongThemselves(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.MaxInFlight = 2 * passwordsInFlight })
	s.on("ListShippingMethods", &orderv1.ListShippingMethodsResponse{})
	s.on("Refresh", apperr.New(apperr.Unauthenticated, "unauthenticated", "No."))
	release := make(chan struct{})
	s.on("Login", func(context.Context) (proto.Message, error) {
		<-release
		return nil, apperr.New(apperr.Unauthenticated, "invalid_credentials", "No.")
	})
	login := func(i int) answer {
		return s.call(t, "POST", "/api/v1/auth/login", `{"email":"a","password":"b"}`, from(fmt.Sprintf("198.51.100.%d", i)))
	}
	var waiting sync.WaitGroup
	for i := range passwordsInFlight {
		waiting.Go(func() { login(i).mustBeProblem(t, 401, "invalid_credentials") })
	}
	until(t, "all wait", func() bool { return len(s.server.hashing) == passwordsInFlight })
	refused := login(200)
	refused.mustBeProblem(t, 429, "rate_limited")
	if refused.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", refused.header.Get("Retry-After"))
	}
	if a := s.call(t, "GET", "/api/v1/shipping-methods", ""); a.status != 200 {
		t.Errorf("somebody else is answered %d", a.status)
	}
	s.call(t, "POST", "/api/v1/auth/refresh", `{"refresh_token":"x"}`).mustBeProblem(t, 401, "unauthenticated")
	close(release)
	waiting.Wait()
}

// TestPasswordsOfTheSignedIn: what asks for a password is limited like signing in, wherever it is asked for.
func TestPasswordsOfTheSignedIn(t *testing.T) {
	t.Parallel()
	wrong := apperr.New(apperr.Unauthenticated, "invalid_credentials", "No.")
	for _, c := range []struct{ method, path, body, rpc string }{
		{"PUT", "/api/v1/users/me/password", `{"current_password":"a","new_password":"long enough"}`, "ChangePassword"},
		{"DELETE", "/api/v1/users/me", `{"password":"a"}`, "DeleteAccount"},
	} {
		s := setup(t)
		s.on(c.rpc, wrong)
		_, byAddress := untilRefused(t, 60, func(int) answer { return s.as(t, auth.Customer, c.method, c.path, c.body, from("198.51.100.1")) })
		byAddress.mustBeProblem(t, 429, "rate_limited")
		// From elsewhere it is the same user, whose own count goes on.
		s.as(t, auth.Customer, c.method, c.path, c.body, from("198.51.100.2")).mustBeProblem(t, 429, "rate_limited")
	}
}

// TestManyUsersOfOneAddress: accounts are free, so they must not multiply what an address may ask.
func TestManyUsersOfOneAddress(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("GetUser", &userv1.GetUserResponse{User: &userv1.User{
		Id: customerID, Email: "a@b.example", Name: "A", Role: userv1.Role_ROLE_CUSTOMER, Status: userv1.UserStatus_USER_STATUS_ACTIVE,
	}})
	const users = 12
	var tokens [users]string
	for i := range tokens {
		raw, err := s.signer.Sign(auth.Principal{UserID: fmt.Sprintf("01920000-0000-7000-8000-%012d", i), Role: auth.Customer, SessionID: "s1"})
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = "Authorization: Bearer " + raw
	}
	good, refused := untilRefused(t, users*defaultPolicy.Quota, func(i int) answer {
		return s.call(t, "GET", "/api/v1/users/me", "", from("198.51.100.1"), tokens[i%users])
	})
	refused.mustBeProblem(t, 429, "rate_limited")
	if good < guardPolicy.Quota || refused.header.Get("RateLimit-Policy") != guardPolicy.String() {
		t.Errorf("after %d requests: %s", good, refused.header.Get("RateLimit-Policy"))
	}
	if a := s.call(t, "GET", "/api/v1/users/me", "", from("198.51.100.2"), tokens[0]); a.status != 200 {
		t.Errorf("elsewhere: %d", a.status)
	}
}

// TestOldTokensDoNotStandInTheWay: who signs in with an old token attached is not refused for it, here or in the services.
func TestOldTokensDoNotStandInTheWay(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Login", func(ctx context.Context) (proto.Message, error) {
		if _, there := auth.FromContext(ctx); there {
			return nil, apperr.New(apperr.Unauthenticated, "unauthenticated", "An old token came along.")
		}
		return nil, apperr.New(apperr.Unauthenticated, "invalid_credentials", "No.")
	})
	for _, raw := range []string{s.token(t, auth.Customer), "nonsense"} {
		s.call(t, "POST", "/api/v1/auth/login", `{"email":"a","password":"b"}`, "Authorization: Bearer "+raw).mustBeProblem(t, 401, "invalid_credentials")
	}
}

// TestTokensAreVerifiedInTime: what a token takes is part of its request's time.
func TestTokensAreVerifiedInTime(t *testing.T) {
	t.Parallel()
	const slow = 300 * time.Millisecond
	s := setup(t, func(o *Options) {
		verify := o.Verify
		o.Verify = func(ctx context.Context, raw string) (auth.Principal, error) {
			<-time.After(slow)
			return verify(ctx, raw)
		}
	})
	var left time.Duration
	s.on("GetUser", func(ctx context.Context) (proto.Message, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return nil, errDown
	})
	s.as(t, auth.Customer, "GET", "/api/v1/users/me", "").mustBeProblem(t, 503, "dependency_unavailable")
	if left > requestTimeout-slow {
		t.Errorf("%v are left", left)
	}
}
