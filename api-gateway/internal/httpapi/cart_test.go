package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"shop.example/api-gateway/internal/ratelimit"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	cartv1 "shop.example/proto/cart/v1"
)

const cartItem = `{"product_id":"` + productID + `","quantity":2}`

// A guest's token goes along with every request, and comes back with every write that can begin a cart.
func TestGuestsBringTheirToken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	cart := &cartv1.Cart{Version: 3, Currency: "EUR"}
	s.on("GetCart", &cartv1.GetCartResponse{Cart: cart})
	s.on("AddItem", &cartv1.AddItemResponse{Cart: cart, CartToken: "new"})
	s.on("SetItem", &cartv1.SetItemResponse{Cart: cart, CartToken: "same"})
	s.on("RemoveItem", &cartv1.RemoveItemResponse{Cart: cart})
	s.on("ClearCart", &cartv1.ClearCartResponse{})
	line, three := "/api/v1/cart/items/"+productID, int64(3)
	const sent, match = "X-Cart-Token: old", `If-Match: "3"`

	for _, c := range []struct {
		method, path, body, rpc, token string
		want                           proto.Message
	}{
		{"GET", "/api/v1/cart", "", "GetCart", "", &cartv1.GetCartRequest{CartToken: "old"}},
		{"POST", "/api/v1/cart/items", cartItem, "AddItem", "new", &cartv1.AddItemRequest{ProductId: productID, Quantity: 2, IfVersion: &three, CartToken: "old"}},
		{"PUT", line, `{"quantity":5}`, "SetItem", "same", &cartv1.SetItemRequest{ProductId: productID, Quantity: 5, IfVersion: &three, CartToken: "old"}},
		{"DELETE", line, "", "RemoveItem", "", &cartv1.RemoveItemRequest{ProductId: productID, IfVersion: &three, CartToken: "old"}},
		{"DELETE", "/api/v1/cart", "", "ClearCart", "", &cartv1.ClearCartRequest{IfVersion: &three, CartToken: "old"}},
	} {
		a := s.call(t, c.method, c.path, c.body, sent, match)
		if got := asked[proto.Message](t, s, c.rpc); !proto.Equal(got, c.want) {
			t.Errorf("%s: asked %v, want %v", c.rpc, got, c.want)
		}
		if a.header.Get("X-Cart-Token") != c.token || a.status >= 300 || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d, %v", c.rpc, a.status, a.header)
		}
		if a.status == http.StatusOK && !strings.HasPrefix(a.header.Get("ETag"), `"3-`) {
			t.Errorf("%s: ETag %q", c.rpc, a.header.Get("ETag"))
		}
		if strings.Contains(a.body, `"new"`) || strings.Contains(a.body, `"same"`) {
			t.Errorf("%s: the token stands in the body, whose length could be measured: %s", c.rpc, a.body)
		}
	}
}

// Who is signed in has a cart of that account, and is given no token.
func TestUsersGetNoToken(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("AddItem", &cartv1.AddItemResponse{Cart: &cartv1.Cart{}})
	a := s.as(t, auth.Customer, "POST", "/api/v1/cart/items", cartItem)
	if _, there := a.header["X-Cart-Token"]; there || a.status != http.StatusOK {
		t.Errorf("%d, %v", a.status, a.header)
	}
}

// Who thinks to be signed in, and is not, must not fill a guest's cart without noticing.
func TestABadTokenIsNoGuest(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("AddItem", &cartv1.AddItemResponse{Cart: &cartv1.Cart{}, CartToken: "new"})
	s.on("GetCart", &cartv1.GetCartResponse{})
	for _, headers := range [][]string{{"Authorization: Bearer x"}, {"Authorization: Bearer x", "X-Cart-Token: old"}, {"Authorization: Basic eDp5"}} {
		s.call(t, "GET", "/api/v1/cart", "", headers...).mustBeProblem(t, http.StatusUnauthorized, "unauthenticated")
		s.call(t, "POST", "/api/v1/cart/items", cartItem, headers...).mustBeProblem(t, http.StatusUnauthorized, "unauthenticated")
	}
}

func TestMergeCart(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("MergeCart", &cartv1.MergeCartResponse{Cart: &cartv1.Cart{Version: 9}})
	const path, body = "/api/v1/cart/merge", `{"cart_token":"guest"}`
	a := s.as(t, auth.Customer, "POST", path, body)
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("ETag"), `"9-`) || asked[*cartv1.MergeCartRequest](t, s, "MergeCart").GetCartToken() != "guest" {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.call(t, "POST", path, body, "X-Cart-Token: guest").mustBeProblem(t, http.StatusUnauthorized, "unauthenticated")
	for _, bad := range []string{`{}`, `{"cart_token":""}`, `{"cart_token":"` + strings.Repeat("a", 513) + `"}`} {
		a := s.as(t, auth.Customer, "POST", path, bad)
		a.mustBeProblem(t, http.StatusUnprocessableEntity, "validation_failed")
		if !slices.Equal(a.locations(), []string{"body.cart_token"}) {
			t.Errorf("%s: %v", bad, a.locations())
		}
	}
}

// A token that is none of ours is complained about where it was sent.
func TestWhereABadCartTokenStands(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, rpc := range []string{"GetCart", "AddItem", "SetItem", "RemoveItem", "ClearCart", "MergeCart"} {
		s.on(rpc, apperr.InvalidField("cart_token", "is not a cart token"))
	}
	line := "/api/v1/cart/items/" + productID
	for _, c := range [][3]string{
		{"GET", "/api/v1/cart"}, {"POST", "/api/v1/cart/items", cartItem}, {"PUT", line, `{"quantity":1}`}, {"DELETE", line}, {"DELETE", "/api/v1/cart"},
	} {
		a := s.call(t, c[0], c[1], c[2], "X-Cart-Token: x")
		a.mustBeProblem(t, http.StatusUnprocessableEntity, "validation_failed")
		if !slices.Equal(a.locations(), []string{"header.X-Cart-Token"}) {
			t.Errorf("%s %s: %v", c[0], c[1], a.locations())
		}
	}
	a := s.as(t, auth.Customer, "POST", "/api/v1/cart/merge", `{"cart_token":"x"}`)
	if !slices.Equal(a.locations(), []string{"body.cart_token"}) {
		t.Errorf("merge: %v", a.locations())
	}
}

// New carts of guests are counted by themselves, by address; whoever has one already, or an account, is not concerned.
func TestNewCartsAreLimited(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("AddItem", &cartv1.AddItemResponse{Cart: &cartv1.Cart{}, CartToken: "new"})
	s.on("SetItem", &cartv1.SetItemResponse{Cart: &cartv1.Cart{}, CartToken: "new"})
	s.on("GetCart", &cartv1.GetCartResponse{})
	const here = "X-Forwarded-For: 198.51.100.7"
	_, refused := untilRefused(t, 2*newCartPolicy.Quota, func(i int) answer {
		if i%2 == 0 {
			return s.call(t, "PUT", "/api/v1/cart/items/"+productID, `{"quantity":1}`, here)
		}
		return s.call(t, "POST", "/api/v1/cart/items", cartItem, here)
	})
	refused.mustBeProblem(t, http.StatusTooManyRequests, "rate_limited")
	if got, want := refused.header.Get("RateLimit-Policy"), fmt.Sprintf(`"new-cart";q=%d;w=600`, newCartPolicy.Quota); got != want {
		t.Errorf("the policy is %s, want %s", got, want)
	}
	for name, a := range map[string]answer{
		"with a cart":  s.call(t, "POST", "/api/v1/cart/items", cartItem, here, "X-Cart-Token: mine"),
		"signed in":    s.as(t, auth.Customer, "POST", "/api/v1/cart/items", cartItem, here),
		"looking":      s.call(t, "GET", "/api/v1/cart", "", here),
		"from outside": s.call(t, "POST", "/api/v1/cart/items", cartItem, "X-Forwarded-For: 198.51.100.8"),
	} {
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// A token whose cart is no more begins a new one, which counts as one: else one token would be good for any number of carts.
func TestNewCartsOfSpentTokensAreLimited(t *testing.T) {
	t.Parallel()
	now := time.Now() // and no later: nothing is refilled
	s := setup(t, func(o *Options) {
		o.Limiter = ratelimit.New(nil, slog.New(slog.DiscardHandler), func() time.Time { return now })
	})
	const here, spent = "X-Forwarded-For: 198.51.100.7", "X-Cart-Token: spent"
	gone := apperr.New(apperr.Conflict, "cart_gone", "This cart is no more.")
	s.on("AddItem", func(context.Context) (proto.Message, error) {
		if asked[*cartv1.AddItemRequest](t, s, "AddItem").GetCartToken() == "spent" {
			return nil, gone
		}
		return &cartv1.AddItemResponse{Cart: &cartv1.Cart{}, CartToken: "new"}, nil
	})
	s.on("SetItem", func(context.Context) (proto.Message, error) {
		if asked[*cartv1.SetItemRequest](t, s, "SetItem").GetCartToken() == "spent" {
			return nil, gone
		}
		return &cartv1.SetItemResponse{Cart: &cartv1.Cart{}, CartToken: "new"}, nil
	})
	for i := range newCartPolicy.Quota / 2 {
		var a answer
		if i%2 == 0 {
			a = s.call(t, "PUT", "/api/v1/cart/items/"+productID, `{"quantity":1}`, here, spent)
		} else {
			a = s.call(t, "POST", "/api/v1/cart/items", cartItem, here, spent)
		}
		if a.status != http.StatusOK || a.header.Get("X-Cart-Token") != "new" {
			t.Fatalf("cart %d: %d %s %v", i, a.status, a.body, a.header)
		}
	}
	// Those without a token are counted with them.
	begun, _ := untilRefused(t, newCartPolicy.Quota, func(int) answer { return s.call(t, "POST", "/api/v1/cart/items", cartItem, here) })
	if begun != newCartPolicy.Quota/2 {
		t.Errorf("%d more carts, want %d", begun, newCartPolicy.Quota/2)
	}
	for name, a := range map[string]answer{
		"add":             s.call(t, "POST", "/api/v1/cart/items", cartItem, here, spent),
		"set":             s.call(t, "PUT", "/api/v1/cart/items/"+productID, `{"quantity":1}`, here, spent),
		"without a token": s.call(t, "POST", "/api/v1/cart/items", cartItem, here),
	} {
		a.mustBeProblem(t, http.StatusTooManyRequests, "rate_limited")
		// A hundred in ten minutes are one in six seconds.
		if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 || after > 6 {
			t.Errorf("%s: Retry-After is %q", name, a.header.Get("Retry-After"))
		}
	}
	if a := s.call(t, "POST", "/api/v1/cart/items", cartItem, here, "X-Cart-Token: mine"); a.status != http.StatusOK {
		t.Errorf("with a cart: %d %s", a.status, a.body)
	}
}
