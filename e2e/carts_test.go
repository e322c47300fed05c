package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"shop.example/e2e/internal/shop"
)

// guest is somebody with a cart and without an account.
type guest struct {
	*shop.Client
	token string
}

// do sends the token along, if there is one, and keeps the one that is answered.
func (g *guest) do(t *testing.T, method, path string, body any, headers ...string) *shop.Answer {
	t.Helper()
	if g.token != "" {
		headers = append(headers, "X-Cart-Token: "+g.token)
	}
	a := g.Do(method, path, body, headers...)
	if token := a.Header.Get("X-Cart-Token"); token != "" {
		g.token = token
	}
	return a
}

func (g *guest) add(t *testing.T, productID string, quantity int64) shop.Cart {
	t.Helper()
	return shop.Want[shop.Cart](t, http.StatusOK, g.do(t, http.MethodPost, "/cart/items", shop.Item{ProductID: productID, Quantity: quantity}))
}

func (g *guest) cart(t *testing.T) shop.Cart {
	t.Helper()
	return shop.Want[shop.Cart](t, http.StatusOK, g.do(t, http.MethodGet, "/cart", nil))
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	return &guest{Client: shared.Stranger(t)}
}

// quantities are what is in a cart, by product.
func quantities(c shop.Cart) map[string]int64 {
	all := map[string]int64{}
	for _, line := range c.Items {
		all[line.ProductID] = line.Quantity
	}
	return all
}

func TestAGuestsCart(t *testing.T) {
	t.Parallel()
	lamp := shared.NewProduct(t, 10, 2500)
	g, other := newGuest(t), newGuest(t)
	if empty := g.cart(t); len(empty.Items) != 0 || g.token != "" {
		t.Errorf("looking makes a cart: %+v, token %q", empty, g.token)
	}
	g.add(t, lamp.ID, 1)
	first := g.token
	if first == "" {
		t.Fatal("the first write answers no token")
	}
	if cart := g.add(t, lamp.ID, 2); quantities(cart)[lamp.ID] != 3 || g.token != first {
		t.Errorf("the second write: %+v, the token is another one: %v", cart, g.token != first)
	}
	other.add(t, lamp.ID, 7)
	if quantities(g.cart(t))[lamp.ID] != 3 || quantities(other.cart(t))[lamp.ID] != 7 {
		t.Error("two guests share a cart")
	}

	read := g.do(t, http.MethodGet, "/cart", nil)
	tag := read.Header.Get("ETag")
	if tag == "" || read.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("ETag %q, Cache-Control %q", tag, read.Header.Get("Cache-Control"))
	}
	put := func(headers ...string) *shop.Answer {
		return g.do(t, http.MethodPut, "/cart/items/"+lamp.ID, map[string]int{"quantity": 5}, headers...)
	}
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", put(`If-Match: "0"`))
	shop.Want[shop.Cart](t, http.StatusOK, put("If-Match: "+tag))
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", put("If-Match: "+tag))
	shop.Want[shop.Cart](t, http.StatusOK, g.do(t, http.MethodDelete, "/cart/items/"+lamp.ID, nil))
	g.add(t, lamp.ID, 1)
	shop.WantNothing(t, g.do(t, http.MethodDelete, "/cart", nil))
	if cart := g.cart(t); len(cart.Items) != 0 {
		t.Errorf("after DELETE of all: %+v", cart)
	}

	for name, token := range map[string]string{"garbage": "x", "tampered": strings.ToUpper(first), "cut": first[:len(first)-1]} {
		t.Run(name, func(t *testing.T) {
			shop.WantInvalid(t, "header.X-Cart-Token", shared.Stranger(t).Get("/cart", "X-Cart-Token: "+token))
		})
	}
	// Who thinks to be signed in is told that it is over, and does not go on as a guest.
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", g.With("garbage").Get("/cart", "X-Cart-Token: "+first))
}

func TestAGuestSignsIn(t *testing.T) {
	t.Parallel()
	lamp, bulb := shared.NewProduct(t, 10, 2500), shared.NewProduct(t, 3, 199)
	g, customer, thief := newGuest(t), shared.NewCustomer(t), shared.NewCustomer(t)
	g.add(t, lamp.ID, 998)
	g.add(t, bulb.ID, 2)
	customer.Add(lamp.ID, 3)
	spent := g.token
	merge := func(who *shop.Customer, token string) *shop.Answer {
		return who.Post("/cart/merge", map[string]string{"cart_token": token})
	}

	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", g.Post("/cart/merge", map[string]string{"cart_token": spent}))
	shop.WantInvalid(t, "body.cart_token", merge(customer, strings.ToLower(spent)))
	// While signed in the guest's cart is not looked at.
	if cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart", "X-Cart-Token: "+spent)); quantities(cart)[lamp.ID] != 3 {
		t.Errorf("before the merge: %+v", cart.Items)
	}

	want := map[string]int64{lamp.ID: 999, bulb.ID: 2} // 998 and 3 are more than a cart may hold
	for range 2 {
		cart := shop.Want[shop.Cart](t, http.StatusOK, merge(customer, spent))
		if got := quantities(cart); len(got) != 2 || got[lamp.ID] != want[lamp.ID] || got[bulb.ID] != want[bulb.ID] {
			t.Errorf("merged: %v, want %v", got, want)
		}
	}
	if cart := shop.Want[shop.Cart](t, http.StatusOK, merge(thief, spent)); len(cart.Items) != 0 {
		t.Errorf("another customer got %+v", cart.Items)
	}
	if cart := g.cart(t); len(cart.Items) != 0 {
		t.Errorf("the guest's cart after the merge: %+v", cart.Items)
	}
	if cart := g.add(t, bulb.ID, 1); g.token == spent || quantities(cart)[bulb.ID] != 1 {
		t.Errorf("after signing out: %+v, a new token: %v", cart.Items, g.token != spent)
	}
	if cart := shop.Want[shop.Cart](t, http.StatusOK, merge(customer, g.token)); quantities(cart)[bulb.ID] != 3 {
		t.Errorf("the second guest's cart: %+v", cart.Items)
	}
}

// The cart of a deleted user is erased, within the minute in which cart-service asks, and the time that it takes.
func TestTheCartOfADeletedUserGoes(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(shared.Describe().Redis["carts"])
	if err != nil {
		t.Fatal(err)
	}
	carts := redis.NewClient(options)
	t.Cleanup(func() { _ = carts.Close() })
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 5, 100)
	customer.Add(lamp.ID, 1)
	keys := func(ctx context.Context) ([]string, error) { return carts.Keys(ctx, "*"+customer.ID+"*").Result() }
	if there, err := keys(t.Context()); err != nil || !slices.Contains(there, "cart:{user:"+customer.ID+"}") {
		t.Fatalf("the cart is not where the test looks for it: %v, %v", there, err)
	}
	shop.WantNothing(t, customer.Do(http.MethodDelete, "/users/me", map[string]string{"password": customer.Password}))
	shop.Await(t, 75*time.Second, func() error {
		left, err := keys(t.Context())
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left behind: %v", left)
		}
		return err
	})
}

// TestANewPriceIsSeen: staff change a price, and within two seconds strangers see it everywhere.
func TestANewPriceIsSeen(t *testing.T) {
	t.Parallel()
	lamp, stranger, admin := shared.NewProduct(t, 5, 2500), shared.Stranger(t), shared.Admin(t)
	paths := []string{"/products/" + lamp.ID, "/products/" + lamp.Slug}
	for _, path := range paths { // it is in the cache now
		shop.Want[shop.Product](t, http.StatusOK, stranger.Get(path))
	}
	shop.Want[shop.Product](t, http.StatusOK, admin.Do(http.MethodPatch, "/products/"+lamp.ID, map[string]any{"price": shop.Euro(1999)}))
	begin := time.Now()
	if p := shop.Want[shop.Product](t, http.StatusOK, admin.Get("/products/"+lamp.ID)); p.Price != shop.Euro(1999) {
		t.Errorf("staff see %+v", p.Price)
	}
	for _, path := range paths {
		shop.Await(t, 2*time.Second-time.Since(begin), func() error {
			a := stranger.Get(path)
			if p := shop.Want[shop.Product](t, http.StatusOK, a); p.Price != shop.Euro(1999) {
				return fmt.Errorf("%s costs %+v", path, p.Price)
			}
			if a.Header.Get("Cache-Control") != "public, max-age=1, stale-if-error=300" {
				return errors.New("it may be kept too long: " + a.Header.Get("Cache-Control"))
			}
			return nil
		})
	}
}
