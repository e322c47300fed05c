package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	rpccodes "google.golang.org/grpc/codes" // the tests of authorization have codes of their own
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/descriptorpb"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/auth"
)

// everywhere is every place where an access token counts: the protected operations of the gateway, and the methods of all
// services that the gateway may call.
type everywhere struct {
	shop       *shop.Shop
	operations []documented
	conns      map[string]*grpc.ClientConn // by server
}

func lookEverywhere(t *testing.T, s *shop.Shop) everywhere {
	t.Helper()
	e := everywhere{shop: s, conns: map[string]*grpc.ClientConn{}}
	for _, o := range readOperations(t, s) {
		if o.protected {
			e.operations = append(e.operations, o)
		}
	}
	for server := range servers {
		e.conns[server] = dial(t, s, server, credentials.NewTLS(identity(t, s, gateway, server)))
	}
	return e
}

// accepts returns where a token is still good for something; where it only reads, if it may change nothing.
func (e everywhere) accepts(t *testing.T, raw string, onlyReads bool) error {
	t.Helper()
	var errs []error
	for _, o := range e.operations {
		if onlyReads && o.method != http.MethodGet {
			continue
		}
		var body any
		if o.method != http.MethodGet && o.method != http.MethodDelete {
			body = map[string]string{}
		}
		path := o.path
		for strings.Contains(path, "{") {
			begin, end := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:begin] + uuid.NewString() + path[end+1:]
		}
		answer, err := e.shop.Stranger(t).With(raw).Try(o.method, path, body)
		if err == nil && answer.Status != http.StatusUnauthorized {
			err = errors.New(answer.String())
		}
		errs = append(errs, err)
	}
	for server, conn := range e.conns {
		for _, method := range methodsOf(server) {
			options, _ := method.Options().(*descriptorpb.MethodOptions)
			reads := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
			if methods[method.FullName()].services[0] != gateway || onlyReads && !reads {
				continue
			}
			if err := call(t, conn, method, raw); status.Code(err) != rpccodes.Unauthenticated {
				errs = append(errs, fmt.Errorf("%s: %w", method.FullName(), err))
			}
		}
	}
	return errors.Join(errs...)
}

// wantRefused waits until a token is refused everywhere, for as long as the contract allows.
func (e everywhere) wantRefused(t *testing.T, raw string) {
	t.Helper()
	begin := time.Now()
	shop.Await(t, revokedWithin, func() error { return e.accepts(t, raw, true) })
	// Every process has heard of it. Before, this would have cleared the cart and ended the other sessions.
	if err := e.accepts(t, raw, false); err != nil {
		t.Error(err)
	}
	t.Logf("refused by %d operations and all services after %v", len(e.operations), time.Since(begin).Round(time.Millisecond))
}

// TestRevocation ends what access tokens stand for in many ways, in a shop of its own whose user-service dies now and then.
func TestRevocation(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, nil)
	e := lookEverywhere(t, s)
	for _, way := range []struct {
		name string
		test func(*testing.T, *shop.Shop, everywhere)
	}{
		{"a logout", logout},
		{"a disabled user", disabled},
		{"a deleted user", deleted},
		{"another role", anotherRole},
		{"user-service is killed", killedAfterALogout},
		{"user-service is away", awayAfterALogout},
	} {
		if !t.Run(way.name, func(t *testing.T) { way.test(t, s, e) }) {
			return // what is away may still be
		}
	}
}

func logout(t *testing.T, s *shop.Shop, e everywhere) {
	customer := s.NewCustomer(t)
	other := customer.SignIn()
	shop.WantNothing(t, customer.Post("/auth/logout", nil))
	e.wantRefused(t, customer.Token)
	shop.Want[shop.User](t, http.StatusOK, customer.With(other.AccessToken).Get("/users/me"))
}

func disabled(t *testing.T, s *shop.Shop, e everywhere) {
	customer := s.NewCustomer(t)
	other := customer.SignIn()
	shop.Want[shop.User](t, http.StatusOK, s.Admin(t).Do(http.MethodPatch, "/users/"+customer.ID, map[string]string{"status": "disabled"}))
	e.wantRefused(t, customer.Token)
	e.wantRefused(t, other.AccessToken)
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated",
		customer.With("").Post("/auth/refresh", map[string]string{"refresh_token": other.RefreshToken}))
}

func deleted(t *testing.T, s *shop.Shop, e everywhere) {
	byAdmin, bySelf := s.NewCustomer(t), s.NewCustomer(t)
	shop.WantNothing(t, s.Admin(t).Do(http.MethodDelete, "/users/"+byAdmin.ID, nil))
	e.wantRefused(t, byAdmin.Token)
	shop.WantNothing(t, bySelf.Do(http.MethodDelete, "/users/me", map[string]string{"password": bySelf.Password}))
	e.wantRefused(t, bySelf.Token)
}

// anotherRole gives and takes roles; the token that was there before follows.
func anotherRole(t *testing.T, s *shop.Shop, _ everywhere) {
	user := s.NewCustomer(t)
	become := func(role auth.Role, mayUsers, mayCategories int) {
		t.Helper()
		shop.Want[shop.User](t, http.StatusOK, s.Admin(t).Do(http.MethodPatch, "/users/"+user.ID, map[string]auth.Role{"role": role}))
		begin := time.Now()
		shop.Await(t, revokedWithin, func() error {
			if a := user.Get("/users"); a.Status != mayUsers {
				return fmt.Errorf("as %s: want %d, got %s", role, mayUsers, a)
			}
			// Its name makes it invalid: who may ask is told so, and the others are not.
			if a := user.Post("/categories", map[string]string{"name": ""}); a.Status != mayCategories {
				return fmt.Errorf("as %s: want %d, got %s", role, mayCategories, a)
			}
			return nil
		})
		t.Logf("%s after %v", role, time.Since(begin).Round(time.Millisecond))
		shop.Want[shop.User](t, http.StatusOK, user.Get("/users/me"))
		if got := shop.PrincipalOf(t, user.SignIn().AccessToken).Role; got != role {
			t.Errorf("a new token says %s, want %s", got, role)
		}
	}
	become(auth.Staff, http.StatusForbidden, http.StatusUnprocessableEntity)
	become(auth.Admin, http.StatusOK, http.StatusUnprocessableEntity)
	become(auth.Customer, http.StatusForbidden, http.StatusForbidden)
	become(auth.Staff, http.StatusForbidden, http.StatusUnprocessableEntity)
	become(auth.Customer, http.StatusForbidden, http.StatusForbidden)
}

// killedAfterALogout lets nobody hear of a logout before user-service is back.
func killedAfterALogout(t *testing.T, s *shop.Shop, e everywhere) {
	customer := s.NewCustomer(t)
	shop.WantNothing(t, customer.Post("/auth/logout", nil))
	if err := s.Kill(userService, 1); err != nil {
		t.Fatal(err)
	}
	witness := s.Stranger(t)
	shop.Await(t, 30*time.Second, func() error { // the runner starts it again within seconds
		a := witness.Post("/auth/login", customer.Credentials())
		if a.Status != http.StatusOK {
			return fmt.Errorf("user-service is up again: %s", a)
		}
		return nil
	})
	e.wantRefused(t, customer.Token)
}

func awayAfterALogout(t *testing.T, s *shop.Shop, e everywhere) {
	gone, stays := s.NewCustomer(t), s.NewCustomer(t)
	shop.WantNothing(t, gone.Post("/auth/logout", nil))
	e.wantRefused(t, gone.Token)
	wantRevocations(t, s, true)
	up := down(t, s, userService)

	// Tokens live out their time, what was heard stays known, and operators are told that no more is.
	wantRevocations(t, s, false)
	shop.Want[shop.Cart](t, http.StatusOK, stays.Get("/cart"))
	if orders := stays.Orders(); len(orders) != 0 {
		t.Errorf("orders: %+v", orders)
	}
	for _, path := range []string{"/cart", "/orders", "/users/me"} {
		shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", gone.Get(path))
	}
	up()
	wantRevocations(t, s, true)
	shop.WantNothing(t, stays.Post("/auth/logout", nil))
	e.wantRefused(t, stays.Token)
}

// wantRevocations waits until the readiness pages of all who hear of revocations say whether they do. That takes 5 s of
// silence and two probes, 2 s apart.
func wantRevocations(t *testing.T, s *shop.Shop, want bool) {
	t.Helper()
	pages := map[string]string{"the gateway's public page": s.Gateway() + "/readyz"}
	for _, p := range s.Describe().Processes {
		if p.Admin != "" && p.Name != userService && p.Name != "testpay" {
			pages[p.Name] = "http://" + p.Admin + "/readyz"
		}
	}
	if len(pages) != len(identities) { // all but user-service itself, and the gateway twice
		t.Fatalf("pages: %v", pages)
	}
	for name, page := range pages {
		shop.Await(t, 15*time.Second, func() error {
			got, err := revocationsUp(t, page)
			if err == nil && got != want {
				err = fmt.Errorf("up: %t", got)
			}
			if err != nil {
				return fmt.Errorf("%s: revocations: %w", name, err)
			}
			return nil
		})
	}
}

func revocationsUp(t *testing.T, page string) (bool, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	if err != nil {
		return false, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	var body struct {
		Dependencies []struct {
			Name string
			Up   bool
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return false, err
	}
	for _, d := range body.Dependencies {
		if d.Name == "revocations" {
			return d.Up, nil
		}
	}
	return false, fmt.Errorf("%s does not name them: %+v", page, body)
}
