package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
)

func TestASessionFromBeginningToEnd(t *testing.T) {
	t.Parallel()
	stranger := shared.Stranger(t)
	email, password := shop.NewEmail(), shop.NewPassword()

	registered := shop.Want[shop.Session](t, http.StatusCreated, stranger.Post("/auth/register",
		map[string]string{"email": email, "password": password, "name": "Erika Test"}))
	if u := registered.User; u.Email != email || u.Name != "Erika Test" || u.Role != "customer" || u.Status != "active" {
		t.Errorf("registered as %+v", u)
	}
	if registered.TokenType != "Bearer" || registered.ExpiresIn != 15*60 {
		t.Errorf("got a %s token for %d s", registered.TokenType, registered.ExpiresIn)
	}
	shop.WantProblem(t, http.StatusConflict, "email_taken", stranger.Post("/auth/register",
		map[string]string{"email": email, "password": shop.NewPassword(), "name": "Another"}))

	credentials := map[string]string{"email": email, "password": password}
	login := shop.Want[shop.Session](t, http.StatusOK, stranger.Post("/auth/login", credentials))
	if login.User.ID != registered.User.ID {
		t.Errorf("signed in as %s, registered as %s", login.User.ID, registered.User.ID)
	}
	wrong := shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", stranger.Post("/auth/login",
		map[string]string{"email": email, "password": shop.NewPassword()}))
	unknown := shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", stranger.Post("/auth/login",
		map[string]string{"email": shop.NewEmail(), "password": password}))
	if wrong.Detail != unknown.Detail || wrong.Title != unknown.Title {
		t.Errorf("a wrong password (%q) is told from an unknown address (%q)", wrong.Detail, unknown.Detail)
	}

	refreshed := shop.Want[shop.Session](t, http.StatusOK, stranger.Post("/auth/refresh", map[string]string{"refresh_token": login.RefreshToken}))
	if refreshed.RefreshToken == login.RefreshToken {
		t.Error("a refresh gives the old token")
	}
	me := shop.Want[shop.User](t, http.StatusOK, stranger.With(refreshed.AccessToken).Get("/users/me"))
	if me.ID != registered.User.ID {
		t.Errorf("I am %s, want %s", me.ID, registered.User.ID)
	}

	shop.WantNothing(t, stranger.With(refreshed.AccessToken).Post("/auth/logout", nil))
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated",
		stranger.Post("/auth/refresh", map[string]string{"refresh_token": refreshed.RefreshToken}))
	// The other session, that of the registration, goes on.
	shop.Want[shop.User](t, http.StatusOK, stranger.With(registered.AccessToken).Get("/users/me"))
}

// revokedWithin is the contract's promise for a session's end to reach every endpoint.
const revokedWithin = 5 * time.Second

// mustEndEverywhere waits until an access token is refused by every part of the shop.
func mustEndEverywhere(t *testing.T, c *shop.Client) {
	t.Helper()
	shop.Await(t, revokedWithin, func() error {
		for _, path := range []string{"/users/me", "/cart", "/orders", "/products"} {
			if a := c.Get(path); a.Status != http.StatusUnauthorized {
				return fmt.Errorf("%s after the end of the session: %s", path, a)
			}
		}
		return nil
	})
}

func TestALogoutEndsTheSessionEverywhere(t *testing.T) {
	t.Parallel()
	customer, other := shared.NewCustomer(t), shared.NewCustomer(t)
	shop.WantNothing(t, customer.Post("/auth/logout", nil))
	mustEndEverywhere(t, customer.Client)
	shop.Want[shop.User](t, http.StatusOK, other.Get("/users/me"))
}

func TestASpentRefreshTokenEndsItsSession(t *testing.T) {
	t.Parallel()
	stranger, customer := shared.Stranger(t), shared.NewCustomer(t)
	login := shop.Want[shop.Session](t, http.StatusOK, stranger.Post("/auth/login",
		map[string]string{"email": customer.Email, "password": customer.Password}))
	spent := map[string]string{"refresh_token": login.RefreshToken}
	next := shop.Want[shop.Session](t, http.StatusOK, stranger.Post("/auth/refresh", spent))

	shop.WantProblem(t, http.StatusUnauthorized, "refresh_token_reused", stranger.Post("/auth/refresh", spent))
	if a := stranger.Post("/auth/refresh", map[string]string{"refresh_token": next.RefreshToken}); a.Status != http.StatusUnauthorized {
		t.Errorf("the successor of a reused token: %s", a)
	}
	mustEndEverywhere(t, stranger.With(next.AccessToken))
}

func TestTheCatalogue(t *testing.T) {
	t.Parallel()
	admin, customer, mark := shared.Admin(t), shared.NewCustomer(t), uuid.NewString()
	parent := shop.Want[shop.Category](t, http.StatusCreated, admin.Post("/categories", map[string]string{"name": "Parent " + mark}))
	child := shop.Want[shop.Category](t, http.StatusCreated, admin.Post("/categories", map[string]string{"name": "Child " + mark, "parent_id": parent.ID}))
	product := shop.Want[shop.Product](t, http.StatusCreated, admin.Post("/products", map[string]any{
		"sku": "E2E-" + mark, "name": "Lantern " + mark, "price": shop.Euro(1999), "category_ids": []string{child.ID}, "status": "active",
	}))
	draft := shop.Want[shop.Product](t, http.StatusCreated, admin.Post("/products", map[string]any{
		"sku": "E2E-draft-" + mark, "name": "Draft " + mark, "price": shop.Euro(1), "category_ids": []string{child.ID},
	}))
	if draft.Status != "draft" {
		t.Errorf("a new product is %s", draft.Status)
	}
	shop.WantProblem(t, http.StatusConflict, "sku_taken", admin.Post("/products", map[string]any{
		"sku": "E2E-" + mark, "name": "Another " + mark, "price": shop.Euro(1)}))

	stock := shop.Want[shop.Stock](t, http.StatusCreated, admin.Post("/products/"+product.ID+"/stock-adjustments", map[string]any{"delta": 7, "reason": "delivery"}))
	if stock.Available != 7 || stock.OnHand == nil || *stock.OnHand != 7 {
		t.Errorf("stock after the delivery: %+v", stock)
	}
	shop.WantProblem(t, http.StatusConflict, "insufficient_stock", admin.Post("/products/"+product.ID+"/stock-adjustments", map[string]any{"delta": -8, "reason": "loss"}))

	for _, path := range []string{"/products/" + product.ID, "/products/" + product.Slug} {
		answer := customer.Get(path)
		seen := shop.Want[shop.Product](t, http.StatusOK, answer)
		if seen.ID != product.ID || seen.Price != shop.Euro(1999) || seen.Stock.Available != 7 || !slices.Equal(seen.CategoryIDs, []string{child.ID}) {
			t.Errorf("%s: %+v", path, seen)
		}
		if seen.Stock.OnHand != nil || seen.Stock.Reserved != nil {
			t.Errorf("%s tells a customer what is on hand", path)
		}
		etag := answer.Header.Get("ETag")
		if again := customer.Get(path, "If-None-Match: "+etag); etag == "" || again.Status != http.StatusNotModified || len(again.Body) > 0 {
			t.Errorf("%s with If-None-Match: %q: %s", path, etag, again)
		}
	}
	shop.WantProblem(t, http.StatusNotFound, "not_found", customer.Get("/products/"+draft.ID))
	shop.Want[shop.Product](t, http.StatusOK, admin.Get("/products/"+draft.ID))

	// The category above lists what is below it, and no drafts.
	for _, query := range []string{"category=" + parent.Slug, "category=" + parent.ID, "q=lantern+" + mark[:8]} {
		page := shop.Want[shop.Page[shop.Product]](t, http.StatusOK, customer.Get("/products?include_total=true&"+query))
		if len(page.Items) != 1 || page.Items[0].ID != product.ID || page.TotalSize == nil || *page.TotalSize != 1 || page.NextPageToken != "" {
			t.Errorf("products by %s: %+v", query, page)
		}
	}
	seen := shop.Want[shop.Category](t, http.StatusOK, customer.Get("/categories/"+parent.Slug))
	if seen.ProductCount != 1 || len(seen.Children) != 1 || seen.Children[0].ID != child.ID {
		t.Errorf("the category: %+v", seen)
	}
}

// TestTheDemoCatalogue pages through all that make run offers: each product once.
func TestTheDemoCatalogue(t *testing.T) {
	t.Parallel()
	stranger, seen, token := shared.Stranger(t), map[string]bool{}, ""
	const least = 60 // products, as promised
	for {
		page := shop.Want[shop.Page[shop.Product]](t, http.StatusOK, stranger.Get("/products?sort=price&page_size=25&page_token="+token))
		for _, p := range page.Items {
			if seen[p.ID] {
				t.Errorf("%s is listed twice", p.ID)
			}
			seen[p.ID] = true
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if len(seen) < least {
		t.Errorf("%d products, want at least %d", len(seen), least)
	}
}

func TestTheCart(t *testing.T) {
	t.Parallel()
	customer := shared.NewCustomer(t)
	lamp, bulb := shared.NewProduct(t, 10, 2500), shared.NewProduct(t, 3, 199)

	customer.Add(lamp.ID, 1)
	customer.Add(lamp.ID, 2) // adds up
	cart := customer.Add(bulb.ID, 4)
	if cart.ItemCount != 7 || cart.Subtotal != shop.Euro(3*2500+4*199) || cart.Currency != "EUR" {
		t.Errorf("%d pieces for %+v", cart.ItemCount, cart.Subtotal)
	}
	for _, line := range cart.Items {
		switch line.ProductID {
		case lamp.ID:
			if line.Quantity != 3 || line.UnitPrice != lamp.Price || line.LineTotal != shop.Euro(7500) || line.Name != lamp.Name || line.SKU != lamp.SKU ||
				!line.Available || line.PriceChanged {
				t.Errorf("lamps: %+v", line)
			}
		case bulb.ID:
			if line.Quantity != 4 || line.Available { // there are only 3
				t.Errorf("bulbs: %+v", line)
			}
		default:
			t.Errorf("a strange line: %+v", line)
		}
	}

	put := customer.Do(http.MethodPut, "/cart/items/"+bulb.ID, map[string]int{"quantity": 2})
	cart = shop.Want[shop.Cart](t, http.StatusOK, put)
	if cart.ItemCount != 5 || put.Header.Get("ETag") == "" {
		t.Errorf("after PUT 2: %d pieces, ETag %q", cart.ItemCount, put.Header.Get("ETag"))
	}
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch",
		customer.Do(http.MethodPut, "/cart/items/"+bulb.ID, map[string]int{"quantity": 1}, `If-Match: "1"`))
	cart = shop.Want[shop.Cart](t, http.StatusOK, customer.Do(http.MethodPut, "/cart/items/"+bulb.ID, map[string]int{"quantity": 0}, "If-Match: "+put.Header.Get("ETag")))
	if len(cart.Items) != 1 {
		t.Errorf("quantity 0 leaves %+v", cart.Items)
	}
	cart = shop.Want[shop.Cart](t, http.StatusOK, customer.Do(http.MethodDelete, "/cart/items/"+lamp.ID, nil))
	if len(cart.Items) != 0 || cart.Subtotal != shop.Euro(0) {
		t.Errorf("after DELETE: %+v", cart)
	}
	customer.Add(bulb.ID, 1)
	shop.WantNothing(t, customer.Do(http.MethodDelete, "/cart", nil))
	if cart = shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart")); len(cart.Items) != 0 || cart.ItemCount != 0 {
		t.Errorf("after DELETE of all: %+v", cart)
	}
	// A cart reserves nothing.
	shared.WantAvailable(t, bulb.ID, 3)
}

func TestAnOrderFromTheCart(t *testing.T) {
	t.Parallel()
	customer := shared.NewCustomer(t)
	lamp, bulb := shared.NewProduct(t, 10, 2500), shared.NewProduct(t, 5, 199)
	customer.Add(lamp.ID, 2)
	customer.Add(bulb.ID, 3)

	wish := shop.ByCard("tok_ok")
	expected := shop.Euro(2*2500 + 3*199 + shop.StandardPrice)
	wish.ExpectedTotal = &expected
	answer := customer.Place(wish)
	order := shop.Want[shop.Order](t, http.StatusCreated, answer)
	shared.WantAvailable(t, lamp.ID, 8) // at once
	shared.WantAvailable(t, bulb.ID, 2)

	if order.Status != "confirmed" || order.UserID != customer.ID || order.Number == "" || order.ShippingMethod != shop.Standard || order.Address != shop.Home {
		t.Errorf("the order: %+v", order)
	}
	if order.Subtotal != shop.Euro(5597) || order.Discount != shop.Euro(0) || order.Shipping != shop.Euro(shop.StandardPrice) || order.Total != expected {
		t.Errorf("%+v - %+v + %+v = %+v, want %+v", order.Subtotal, order.Discount, order.Shipping, order.Total, expected)
	}
	if p := order.Payment; p.Status != "captured" || p.Method != "card" || p.Provider != "test" || p.Reference == "" {
		t.Errorf("the payment: %+v", p)
	}
	if len(order.Items) != 2 {
		t.Errorf("the lines: %+v", order.Items)
	}
	for _, line := range order.Items {
		if product := map[string]shop.Product{lamp.ID: lamp, bulb.ID: bulb}[line.ProductID]; line.Name != product.Name || line.SKU != product.SKU ||
			line.UnitPrice != product.Price || line.LineTotal != shop.Euro(line.Quantity*product.Price.Amount) {
			t.Errorf("a line: %+v", line)
		}
	}
	shop.WantStates(t, order, "pending", "confirmed")
	if location := answer.Header.Get("Location"); location != shop.API+"/orders/"+order.ID {
		t.Errorf("Location: %q", location)
	}
	if answer.Header.Get("ETag") == "" {
		t.Error("an order without ETag")
	}
	shared.WantPaid(t, order)
	if cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart")); len(cart.Items) != 0 {
		t.Errorf("the cart still holds %+v", cart.Items)
	}
	shared.WantStock(t, lamp.ID, 8) // once the reservation is confirmed
	shared.WantStock(t, bulb.ID, 2)
}

// TestOnlyWhatWasBoughtLeavesTheCart: an order of explicit items is none of the cart.
func TestOnlyWhatWasBoughtLeavesTheCart(t *testing.T) {
	t.Parallel()
	customer := shared.NewCustomer(t)
	lamp, bulb := shared.NewProduct(t, 10, 2500), shared.NewProduct(t, 5, 199)
	customer.Add(lamp.ID, 1)

	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: bulb.ID, Quantity: 2})))
	if order.Status != "confirmed" || order.Subtotal != shop.Euro(398) {
		t.Errorf("the order: %+v", order)
	}
	shared.WantPaid(t, order)
	shared.WantStock(t, bulb.ID, 3)
	cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart"))
	if len(cart.Items) != 1 || cart.Items[0].ProductID != lamp.ID || cart.Items[0].Quantity != 1 {
		t.Errorf("an order of explicit items changed the cart: %+v", cart.Items)
	}
}

func TestCashOnDelivery(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 2, 2500)
	customer.Add(lamp.ID, 1)
	wish := shop.ByCard("")
	wish.Payment.Method = "cash_on_delivery"
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(wish))
	if order.Status != "confirmed" || order.Payment.Method != "cash_on_delivery" || order.Payment.Status == "captured" {
		t.Errorf("the order: %s, the payment %+v", order.Status, order.Payment)
	}
	if got := shared.Ledger(t, order.ID); got != (shop.Totals{}) {
		t.Errorf("the provider was asked: %+v", got)
	}
	shared.WantStock(t, lamp.ID, 1)
}

func TestPayingLater(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 2, 2500)
	customer.Add(lamp.ID, 2)
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("")))
	if order.Status != "pending" {
		t.Fatalf("without a token the order is %s", order.Status)
	}
	shared.WantAvailable(t, lamp.ID, 0)
	if got := shared.Ledger(t, order.ID); got != (shop.Totals{}) {
		t.Errorf("the provider was asked: %+v", got)
	}

	pay := "/orders/" + order.ID + "/pay"
	declined := shop.WantProblem(t, http.StatusPaymentRequired, "payment_declined", customer.Post(pay, shop.Payment{Method: "card", Token: "tok_declined"}))
	if declined.OrderID != order.ID {
		t.Errorf("the refusal names the order %q", declined.OrderID)
	}
	if after := customer.Order(order.ID); after.Status != "pending" {
		t.Errorf("a declined payment leaves the order %s", after.Status)
	}
	shared.WantAvailable(t, lamp.ID, 0)

	paid := shop.Want[shop.Order](t, http.StatusOK, customer.Post(pay, shop.Payment{Method: "card", Token: "tok_ok"}))
	if paid.Status != "confirmed" || paid.Payment.Status != "captured" {
		t.Errorf("paid: %s, %+v", paid.Status, paid.Payment)
	}
	if got := shared.Ledger(t, order.ID); got.Captures != 1 || got.Net != order.Total.Amount || got.Open != 0 {
		t.Errorf("the ledger: %+v", got)
	}
	if again := customer.Post(pay, shop.Payment{Method: "card", Token: "tok_ok"}); again.Status != http.StatusConflict {
		t.Errorf("paid twice: %s", again)
	}
	if got := shared.Ledger(t, order.ID); got.Captures != 1 {
		t.Errorf("the ledger after paying twice: %+v", got)
	}
	shared.WantStock(t, lamp.ID, 0)
}

func TestListingOwnOrders(t *testing.T) {
	t.Parallel()
	customer, other, lamp := shared.NewCustomer(t), shared.NewCustomer(t), shared.NewProduct(t, 20, 2500)
	var want []string // newest first
	for range 5 {
		order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})))
		want = slices.Insert(want, 0, order.ID)
	}
	shop.Want[shop.Order](t, http.StatusCreated, other.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})))

	var got []string
	for token, pages := "", 1; ; pages++ {
		page := shop.Want[shop.Page[shop.Order]](t, http.StatusOK, customer.Get("/orders?page_size=2&include_total=true&page_token="+token))
		if page.TotalSize == nil || *page.TotalSize != 5 {
			t.Errorf("page %d: total_size %v", pages, page.TotalSize)
		}
		for _, order := range page.Items {
			got = append(got, order.ID)
		}
		if token = page.NextPageToken; token == "" {
			if pages != 3 {
				t.Errorf("5 orders by 2 are %d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	cancelled := shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+want[2]+"/cancel", nil))
	page := shop.Want[shop.Page[shop.Order]](t, http.StatusOK, customer.Get("/orders?status=cancelled"))
	if len(page.Items) != 1 || page.Items[0].ID != cancelled.ID {
		t.Errorf("cancelled orders: %+v", page.Items)
	}
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 3, 2500)
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 2})))
	shared.WantStock(t, lamp.ID, 1)

	cancel := "/orders/" + order.ID + "/cancel"
	cancelled := shop.Want[shop.Order](t, http.StatusOK, customer.Post(cancel, map[string]string{"reason": "changed my mind"}))
	if cancelled.Status != "cancelled" || cancelled.Payment.Status != "refunded" && cancelled.Payment.Status != "voided" {
		t.Errorf("cancelled: %s, the payment %s", cancelled.Status, cancelled.Payment.Status)
	}
	shop.WantStates(t, cancelled, "pending", "confirmed", "cancelled")
	if last := cancelled.History[len(cancelled.History)-1]; last.By != customer.ID || last.Note != "changed my mind" {
		t.Errorf("the history says %+v", last)
	}
	shared.WantAvailable(t, lamp.ID, 3)
	want := shop.Totals{Payments: 1, Captures: 1, Captured: order.Total.Amount, Refunded: order.Total.Amount}
	if got := shared.Ledger(t, order.ID); got != want {
		t.Errorf("ledger: got %+v, want %+v", got, want)
	}

	// Once more changes nothing.
	if again := customer.Post(cancel, nil); again.Status != http.StatusOK && again.Status != http.StatusConflict {
		t.Errorf("cancelled twice: %s", again)
	}
	if got := shared.Ledger(t, order.ID); got != want {
		t.Errorf("ledger after the second time: got %+v, want %+v", got, want)
	}
	shared.WantStock(t, lamp.ID, 3)

	// One that nobody has paid holds only its pieces.
	unpaid := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("", shop.Item{ProductID: lamp.ID, Quantity: 3})))
	shared.WantAvailable(t, lamp.ID, 0)
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", customer.Post("/orders/"+unpaid.ID+"/cancel", nil, `If-Match: "999"`))
	shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+unpaid.ID+"/cancel", nil))
	shared.WantStock(t, lamp.ID, 3)
	shop.WantProblem(t, http.StatusConflict, "order_not_payable", customer.Post("/orders/"+unpaid.ID+"/pay", shop.Payment{Method: "card", Token: "tok_ok"}))
	shared.WantNothingTaken(t, unpaid.ID)
}

func TestWhoSeesAnOrder(t *testing.T) {
	t.Parallel()
	customer, other, admin, lamp := shared.NewCustomer(t), shared.NewCustomer(t), shared.Admin(t), shared.NewProduct(t, 3, 2500)
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("", shop.Item{ProductID: lamp.ID, Quantity: 1})))

	if seen := admin.Order(order.ID); seen.UserID != customer.ID {
		t.Errorf("staff sees the order of %s", seen.UserID)
	}
	page := shop.Want[shop.Page[shop.Order]](t, http.StatusOK, admin.Get("/orders?user_id="+customer.ID))
	if len(page.Items) != 1 || page.Items[0].ID != order.ID {
		t.Errorf("staff lists %+v", page.Items)
	}
	// What is somebody else's looks exactly like what is not there.
	unknown := uuid.NewString()
	for _, ask := range []func(id string) *shop.Answer{
		func(id string) *shop.Answer { return other.Get("/orders/" + id) },
		func(id string) *shop.Answer { return other.Post("/orders/"+id+"/cancel", nil) },
		func(id string) *shop.Answer {
			return other.Post("/orders/"+id+"/pay", shop.Payment{Method: "card", Token: "tok_ok"})
		},
	} {
		theirs := shop.WantProblem(t, http.StatusNotFound, "not_found", ask(order.ID))
		nobodys := shop.WantProblem(t, http.StatusNotFound, "not_found", ask(unknown))
		theirs.Instance, theirs.RequestID, nobodys.Instance, nobodys.RequestID = "", "", "", ""
		if fmt.Sprint(theirs) != fmt.Sprint(nobodys) {
			t.Errorf("another's order (%+v) is told from an unknown one (%+v)", theirs, nobodys)
		}
	}
	if orders := other.Orders(); len(orders) != 0 {
		t.Errorf("a customer lists another's orders: %+v", orders)
	}
	if after := customer.Order(order.ID); after.Status != "pending" || after.Version != order.Version {
		t.Errorf("a stranger changed the order: %+v", after)
	}
	// Staff may cancel for a customer.
	cancelled := shop.Want[shop.Order](t, http.StatusOK, admin.Post("/orders/"+order.ID+"/cancel", nil))
	if cancelled.Status != "cancelled" {
		t.Errorf("staff leaves the order %s", cancelled.Status)
	}
	shared.WantStock(t, lamp.ID, 3)
}

func TestShippingMethods(t *testing.T) {
	t.Parallel()
	type method struct {
		ID      string     `json:"id"`
		Name    string     `json:"name"`
		Price   shop.Money `json:"price"`
		MinDays int        `json:"min_days"`
		MaxDays int        `json:"max_days"`
	}
	methods := shop.Want[shop.Page[method]](t, http.StatusOK, shared.Stranger(t).Get("/shipping-methods")).Items
	standard := slices.IndexFunc(methods, func(m method) bool { return m.ID == shop.Standard })
	if standard < 0 || methods[standard].Price != shop.Euro(shop.StandardPrice) {
		t.Errorf("methods: %+v", methods)
	}
	for _, m := range methods {
		if m.Name == "" || m.Price.Currency != "EUR" || m.MinDays < 0 || m.MaxDays < m.MinDays {
			t.Errorf("a method: %+v", m)
		}
	}
}

func TestAWrongExpectedTotal(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 3, 2500)
	customer.Add(lamp.ID, 1)
	wish := shop.ByCard("tok_ok")
	for _, wrong := range []shop.Money{shop.Euro(2500), {Amount: 2500 + shop.StandardPrice, Currency: "USD"}} {
		wish.ExpectedTotal = &wrong
		shop.WantProblem(t, http.StatusConflict, "total_changed", customer.Place(wish))
	}
	shared.WantNoOrder(t, customer, lamp.ID, 3)
	if cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart")); cart.ItemCount != 1 {
		t.Errorf("the cart holds %d pieces", cart.ItemCount)
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	stranger := shared.Stranger(t)
	for _, path := range []string{"//healthz", "//readyz", "//openapi.json", "//openapi.yaml", "//docs", "//.well-known/jwks.json"} {
		if a := stranger.Get(path); a.Status != http.StatusOK {
			t.Errorf("%s", a)
		}
	}
	shop.WantProblem(t, http.StatusNotFound, "not_found", stranger.Get("//metrics")) // on the admin port only

	kept := stranger.Get("/products", "X-Request-ID: my-own.id_1")
	if got := kept.Header.Get("X-Request-ID"); got != "my-own.id_1" {
		t.Errorf("my request id became %q", got)
	}
}
