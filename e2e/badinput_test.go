package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/token"
)

// wantUntouched checks, after all subtests, that nothing of what they tried has left a trace.
func wantUntouched(t *testing.T, customer *shop.Customer, product shop.Product, stock int64) {
	t.Helper()
	shared.WantNoOrder(t, customer, product.ID, stock)
	if cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart")); len(cart.Items) != 0 {
		t.Errorf("the cart holds %+v", cart.Items)
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	customer, admin, lamp := shared.NewCustomer(t), shared.Admin(t), shared.NewProduct(t, 5, 2500)
	buy := func(change string) shop.Raw { // a good order but for the change
		return shop.Raw(fmt.Sprintf(`{"items":[{"product_id":%q,"quantity":1}],"shipping_address":{"recipient":"E","line1":"1 Way","city":"B","postal_code":"10115","country":"DE"},
			"shipping_method":"standard","payment":{"method":"card","token":"tok_ok"}%s}`, lamp.ID, change))
	}
	item := func(quantity string) shop.Raw {
		return shop.Raw(fmt.Sprintf(`{"product_id":%q,"quantity":%s}`, lamp.ID, quantity))
	}
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	tests := []struct {
		name, method, path string
		body               any
		headers            []string
		status             int
		code, location     string // location only for validation_failed
	}{
		{"malformed JSON", "POST", "/cart/items", shop.Raw(`{"product_id":`), nil, 400, "malformed_request", ""},
		{"malformed JSON of an order", "POST", "/orders", shop.Raw(`{]`), []string{shop.NewKey()}, 400, "malformed_request", ""},
		{"trailing data", "POST", "/orders", buy("") + ` {}`, []string{shop.NewKey()}, 400, "malformed_request", ""},
		{"no body", "POST", "/orders", nil, []string{shop.NewKey()}, 400, "malformed_request", ""},
		{"a name twice", "POST", "/cart/items", shop.Raw(fmt.Sprintf(`{"product_id":%q,"quantity":1,"quantity":2}`, lamp.ID)), nil, 400, "malformed_request", ""},
		{"not UTF-8", "POST", "/auth/login", shop.Raw("{\"email\":\"\xff\",\"password\":\"x\"}"), nil, 400, "malformed_request", ""},
		{"NUL in a string", "POST", "/orders", buy(`,"coupon_code":"a\u0000b"`), []string{shop.NewKey()}, 400, "malformed_request", ""},
		{"too deep", "POST", "/orders", buy(`,"coupon_code":` + strings.Repeat("[", 50000) + strings.Repeat("]", 50000)), []string{shop.NewKey()}, 400, "malformed_request", ""},
		{"an array", "POST", "/cart/items", shop.Raw(`[]`), nil, 422, "validation_failed", "body"},
		{"unknown field", "POST", "/orders", buy(`,"total":1`), []string{shop.NewKey()}, 422, "validation_failed", "body.total"},
		{"unknown nested field", "POST", "/orders", buy(`,"expected_total":{"amount":1,"currency":"EUR","cents":1}`), []string{shop.NewKey()}, 422, "validation_failed", "body.expected_total.cents"},
		{"wrong type", "POST", "/orders", buy(`,"coupon_code":7`), []string{shop.NewKey()}, 422, "validation_failed", "body.coupon_code"},
		{"null", "POST", "/cart/items", shop.Raw(`{"product_id":null,"quantity":1}`), nil, 422, "validation_failed", "body.product_id"},
		{"quantity missing", "POST", "/cart/items", shop.Raw(fmt.Sprintf(`{"product_id":%q}`, lamp.ID)), nil, 422, "validation_failed", "body.quantity"},

		{"quantity 0", "POST", "/cart/items", item("0"), nil, 422, "validation_failed", "body.quantity"},
		{"quantity -1", "POST", "/cart/items", item("-1"), nil, 422, "validation_failed", "body.quantity"},
		{"quantity 10^9", "POST", "/cart/items", item("1000000000"), nil, 422, "cart_limit", ""},
		{"quantity 1.5", "POST", "/cart/items", item("1.5"), nil, 422, "validation_failed", "body.quantity"},
		{"quantity \"1\"", "POST", "/cart/items", item(`"1"`), nil, 422, "validation_failed", "body.quantity"},
		{"quantity 10^20", "POST", "/cart/items", item("100000000000000000000"), nil, 422, "validation_failed", "body.quantity"},
		{"quantity 1e400", "POST", "/cart/items", item("1e400"), nil, 422, "validation_failed", "body.quantity"},
		{"quantity 1000 of an order", "POST", "/orders", shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1000}), []string{shop.NewKey()}, 422, "validation_failed", "body.items[0].quantity"},
		{"quantity 0 of an order", "POST", "/orders", shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID}), []string{shop.NewKey()}, 422, "validation_failed", "body.items[0].quantity"},
		{"quantity -1 of an order", "POST", "/orders", shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: -1}), []string{shop.NewKey()}, 422, "validation_failed", "body.items[0].quantity"},
		{"quantity 10^9 of an order", "POST", "/orders", shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1e9}), []string{shop.NewKey()}, 422, "validation_failed", "body.items[0].quantity"},

		{"unknown product in the cart", "POST", "/cart/items", shop.Item{ProductID: uuid.NewString(), Quantity: 1}, nil, 422, "product_unavailable", ""},
		{"unknown product in an order", "POST", "/orders", shop.ByCard("tok_ok", shop.Item{ProductID: uuid.NewString(), Quantity: 1}), []string{shop.NewKey()}, 422, "product_unavailable", ""},
		{"a product id that is none", "POST", "/cart/items", shop.Item{ProductID: "7", Quantity: 1}, nil, 422, "validation_failed", "body.product_id"},
		{"empty cart", "POST", "/orders", shop.ByCard("tok_ok"), []string{shop.NewKey()}, 422, "cart_empty", ""},
		{"paying an unknown order", "POST", "/orders/" + uuid.NewString() + "/pay", shop.Payment{Method: "card", Token: "tok_ok"}, nil, 404, "not_found", ""},
		{"an unknown method of payment", "POST", "/orders", shop.Wish{Items: []shop.Item{{ProductID: lamp.ID, Quantity: 1}}, Address: shop.Home, ShippingMethod: shop.Standard, Payment: shop.Payment{Method: "gold"}}, []string{shop.NewKey()}, 422, "validation_failed", "body.payment.method"},
		{"an address in no country", "POST", "/orders", shop.Raw(strings.Replace(string(buy("")), `"DE"`, `"ZZ"`, 1)), []string{shop.NewKey()}, 422, "validation_failed", "body.shipping_address.country"},
		{"another country's postal code", "POST", "/orders", shop.Raw(strings.Replace(string(buy("")), `"DE"`, `"GB"`, 1)), []string{shop.NewKey()}, 422, "validation_failed", "body.shipping_address.postal_code"},
		{"an address of two lines in one", "POST", "/orders", shop.Raw(strings.Replace(string(buy("")), `"1 Way"`, `"1 Way\n2 Way"`, 1)), []string{shop.NewKey()}, 422, "validation_failed", "body.shipping_address.line1"},
		{"a blank address", "POST", "/orders", shop.Raw(strings.Replace(string(buy("")), `"1 Way"`, `" "`, 1)), []string{shop.NewKey()}, 422, "validation_failed", "body.shipping_address.line1"},
		{"an unknown delivery", "POST", "/orders", shop.Wish{Items: []shop.Item{{ProductID: lamp.ID, Quantity: 1}}, Address: shop.Home, ShippingMethod: "balloon", Payment: shop.Payment{Method: "card"}}, []string{shop.NewKey()}, 422, "validation_failed", "body.shipping_method"},

		{"no Idempotency-Key", "POST", "/orders", buy(""), nil, 400, "idempotency_key_missing", ""},
		{"an Idempotency-Key that is too long", "POST", "/orders", buy(""), []string{shop.Key(strings.Repeat("k", 256))}, 400, "malformed_request", ""},
		{"over 1 MiB", "POST", "/orders", shop.Raw(big), []string{shop.NewKey()}, 413, "body_too_large", ""},
		{"over 1 MiB in chunks", "POST", "/orders", shop.Chunked{Reader: strings.NewReader(big)}, []string{shop.NewKey()}, 413, "body_too_large", ""},
		{"a wrong content type", "POST", "/orders", buy(""), []string{shop.NewKey(), "Content-Type: text/plain"}, 415, "unsupported_media_type", ""},
		{"a form", "POST", "/cart/items", shop.Raw("quantity=1"), []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},

		{"unknown route", "GET", "/nowhere", nil, nil, 404, "not_found", ""},
		{"unknown route at the root", "GET", "//nowhere", nil, nil, 404, "not_found", ""},
		{"wrong method", "DELETE", "/orders", nil, nil, 405, "method_not_allowed", ""},
		{"wrong method at the root", "POST", "//healthz", shop.Raw("{}"), nil, 405, "method_not_allowed", ""},
		{"an order id of the wrong shape", "GET", "/orders/17", nil, nil, 404, "not_found", ""},
		{"an order id of the wrong shape to cancel", "POST", "/orders/" + strings.Repeat("a", 36) + "/cancel", nil, nil, 404, "not_found", ""},
		{"a product id of the wrong shape", "PUT", "/cart/items/x", shop.Raw(`{"quantity":1}`), nil, 404, "not_found", ""},
		{"NUL in the path", "GET", "/products/a%00b", nil, nil, 400, "malformed_request", ""},
		{"NUL in the query", "GET", "/products?q=%00", nil, nil, 400, "malformed_request", ""},
		{"page_size 0", "GET", "/products?page_size=0", nil, nil, 422, "validation_failed", "query.page_size"},
		{"page_size 101", "GET", "/orders?page_size=101", nil, nil, 422, "validation_failed", "query.page_size"},
		{"page_size ten", "GET", "/orders?page_size=ten", nil, nil, 422, "validation_failed", "query.page_size"},
		{"an invented page_token of products", "GET", "/products?page_token=abc", nil, nil, 422, "validation_failed", "query.page_token"},
		{"an invented page_token of orders", "GET", "/orders?page_token=abc", nil, nil, 422, "validation_failed", "query.page_token"},
		{"a misspelt parameter", "GET", "/products?pagesize=5", nil, nil, 422, "validation_failed", "query.pagesize"},
		{"a parameter twice", "GET", "/orders?page_size=5&page_size=6", nil, nil, 422, "validation_failed", "query.page_size"},
		{"an unknown sorting", "GET", "/products?sort=colour", nil, nil, 422, "validation_failed", "query.sort"},

		{"an ETag that is none", "PUT", "/cart/items/" + lamp.ID, shop.Raw(`{"quantity":1}`), []string{"If-Match: abc"}, 400, "malformed_request", ""},
		{"creating a product as a customer", "POST", "/products", map[string]any{"sku": "S", "name": "N", "price": shop.Euro(1)}, nil, 403, "permission_denied", ""},
		{"creating a category as a customer", "POST", "/categories", map[string]any{"name": "N"}, nil, 403, "permission_denied", ""},
		{"adjusting stock as a customer", "POST", "/products/" + lamp.ID + "/stock-adjustments", map[string]any{"delta": 1, "reason": "r"}, nil, 403, "permission_denied", ""},
	}
	t.Run("each", func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				answer := customer.For(t).Do(test.method, test.path, test.body, test.headers...)
				if test.location != "" {
					shop.WantInvalid(t, test.location, answer)
					return
				}
				shop.WantProblem(t, test.status, test.code, answer)
			})
		}
	})
	wantUntouched(t, customer, lamp, 5)

	sku := "E2E-" + uuid.NewString()
	for _, test := range []struct {
		location string
		body     map[string]any
	}{
		{"body.price.amount", map[string]any{"sku": sku, "name": "N", "price": map[string]any{"amount": 19.99, "currency": "EUR"}}},
		{"body.price.amount", map[string]any{"sku": sku, "name": "N", "price": shop.Euro(-1)}},
		{"body.price.currency", map[string]any{"sku": sku, "name": "N", "price": map[string]any{"amount": 1, "currency": "euro"}}},
		{"body.name", map[string]any{"sku": sku, "price": shop.Euro(1)}},
		{"body.stock", map[string]any{"sku": sku, "name": "N", "price": shop.Euro(1), "stock": 5}},
	} {
		shop.WantInvalid(t, test.location, admin.Post("/products", test.body))
	}
}

func TestATamperedPageToken(t *testing.T) {
	t.Parallel()
	stranger := shared.Stranger(t)
	first := shop.Want[shop.Page[shop.Product]](t, http.StatusOK, stranger.Get("/products?page_size=1"))
	if first.NextPageToken == "" {
		t.Fatal("there is no second page")
	}
	middle := len(first.NextPageToken) / 2
	other := byte('A')
	if first.NextPageToken[middle] == other {
		other = 'B'
	}
	tampered := first.NextPageToken[:middle] + string(other) + first.NextPageToken[middle+1:]
	if a := stranger.Get("/products?page_size=1&page_token=" + tampered); a.Status >= http.StatusInternalServerError {
		t.Errorf("a tampered token: %s", a)
	}
	// A token belongs to its query.
	shop.WantInvalid(t, "query.page_token", stranger.Get("/products?page_size=1&sort=price&page_token="+first.NextPageToken))
}

func TestBadRegistrations(t *testing.T) {
	t.Parallel()
	stranger, email := shared.Stranger(t), shop.NewEmail()
	password := shop.NewPassword()
	for _, test := range []struct {
		name     string
		body     any
		location string
	}{
		{"a role", map[string]string{"email": email, "password": password, "name": "E", "role": "admin"}, "body.role"},
		{"a status", map[string]string{"email": email, "password": password, "name": "E", "status": "active"}, "body.status"},
		{"a short password", map[string]string{"email": email, "password": "seven77", "name": "E"}, "body.password"},
		{"a long password", map[string]string{"email": email, "password": password + strings.Repeat("x", 128), "name": "E"}, "body.password"},
		{"a well-known password", map[string]string{"email": email, "password": "password123", "name": "E"}, "body.password"},
		{"a password that is a list", map[string]any{"email": email, "password": []string{password}, "name": "E"}, "body.password"},
		{"no address", map[string]string{"email": password, "password": password, "name": "E"}, "body.email"},
		{"no name", map[string]string{"email": email, "password": password}, "body.name"},
		{"an empty name", map[string]string{"email": email, "password": password, "name": ""}, "body.name"},
	} {
		shop.WantInvalid(t, test.location, stranger.Post("/auth/register", test.body))
	}
	// The password is the name of a field here: no answer repeats that either (every answer is looked through for it).
	shop.WantProblem(t, http.StatusUnprocessableEntity, "validation_failed", stranger.Post("/auth/login", map[string]any{"email": email, "password": 1, "p": password}))
	shop.WantProblem(t, http.StatusBadRequest, "malformed_request", stranger.Post("/auth/login", shop.Raw(`{"password":"`+password+`"`)))
	// None of them made an account.
	shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", stranger.Post("/auth/login", map[string]string{"email": email, "password": password}))
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 5, 2500)
	parts := strings.Split(customer.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("the access token has %d parts", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	_, strange, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// signed is a token of the shop's own, made at another time.
	signed := func(at time.Time) string { return shared.Sign(t, at, shop.PrincipalOf(t, customer.Token)) }
	part := func(json string) string { return base64.RawURLEncoding.EncodeToString([]byte(json)) }
	signature := func(signed string) string {
		return base64.RawURLEncoding.EncodeToString(ed25519.Sign(strange, []byte(signed)))
	}
	wish := shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})

	// What the others are forged from is good.
	shop.Want[shop.User](t, http.StatusOK, customer.With(signed(time.Now())).Get("/users/me"))
	t.Run("each", func(t *testing.T) {
		for name, bad := range map[string]string{
			"missing":                  "",
			"expired":                  signed(time.Now().Add(-token.Lifetime - time.Minute)),
			"of the future":            signed(time.Now().Add(time.Hour)),
			"signed by another key":    parts[0] + "." + parts[1] + "." + signature(parts[0]+"."+parts[1]),
			"signed by an unknown key": part(`{"alg":"EdDSA","typ":"JWT","kid":"x"}`) + "." + parts[1] + "." + signature(part(`{"alg":"EdDSA","typ":"JWT","kid":"x"}`)+"."+parts[1]),
			"alg none":                 part(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".",
			"alg none, signed":         part(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
			"another role":             parts[0] + "." + part(strings.Replace(string(payload), `"customer"`, `"admin"`, 1)) + "." + parts[2],
			"without a signature":      parts[0] + "." + parts[1] + ".",
			"garbage":                  "garbage",
			"a password":               shop.NewPassword(),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				thief := customer.For(t).With(bad)
				shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", thief.Get("/users/me"))
				if bad == "" { // a guest, whose cart is empty
					shop.Want[shop.Cart](t, http.StatusOK, thief.Get("/cart"))
				} else {
					shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", thief.Get("/cart"))
				}
				shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", thief.Place(wish))
			})
		}
	})
	wantUntouched(t, customer, lamp, 5)
}

func TestOutOfStock(t *testing.T) {
	t.Parallel()
	customer, rare, lamp := shared.NewCustomer(t), shared.NewProduct(t, 2, 100), shared.NewProduct(t, 9, 2500)
	p := shop.WantProblem(t, http.StatusConflict, "out_of_stock", customer.Place(shop.ByCard("tok_ok",
		shop.Item{ProductID: lamp.ID, Quantity: 1}, shop.Item{ProductID: rare.ID, Quantity: 3})))
	if len(p.Errors) != 1 || p.Errors[0].Location != "body.items[1]" || p.Errors[0].ProductID != rare.ID || p.Errors[0].Available == nil || *p.Errors[0].Available != 2 {
		t.Errorf("the errors: %+v", p.Errors)
	}
	shared.WantNoOrder(t, customer, rare.ID, 2)
	shared.WantNoOrder(t, customer, lamp.ID, 9) // all lines or none

	// From the cart, which stays as it was.
	customer.Add(rare.ID, 3)
	p = shop.WantProblem(t, http.StatusConflict, "out_of_stock", customer.Place(shop.ByCard("tok_ok")))
	if len(p.Errors) != 1 || p.Errors[0].ProductID != rare.ID || p.Errors[0].Available == nil || *p.Errors[0].Available != 2 {
		t.Errorf("the errors: %+v", p.Errors)
	}
	if cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart")); cart.ItemCount != 3 {
		t.Errorf("the cart holds %d pieces", cart.ItemCount)
	}
	shared.WantNoOrder(t, customer, rare.ID, 2)
}

func TestADeclinedPayment(t *testing.T) {
	t.Parallel()
	for token, code := range map[string]string{
		"tok_declined": "payment_declined", "tok_insufficient_funds": "payment_declined", "tok_error": "payment_failed",
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 2, 2500)
			customer.Add(lamp.ID, 2)
			key, wish := shop.NewKey(), shop.ByCard(token)
			first := customer.Post("/orders", wish, key)
			p := shop.WantProblem(t, http.StatusPaymentRequired, code, first)
			shared.WantAvailable(t, lamp.ID, 2) // at once
			order := customer.Order(p.OrderID)
			if order.Status != "cancelled" || order.Payment.Status != "failed" {
				t.Errorf("the order is %s, its payment %s", order.Status, order.Payment.Status)
			}
			shop.WantStates(t, order, "pending", "cancelled")
			if got := shared.Ledger(t, order.ID); got.Captures != 0 || got.Open != 0 || got.Net != 0 {
				t.Errorf("the ledger: %+v", got)
			}
			shared.WantStock(t, lamp.ID, 2)
			if cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart")); cart.ItemCount != 2 {
				t.Errorf("the cart holds %d pieces", cart.ItemCount)
			}
			again := customer.Post("/orders", wish, key)
			if q := shop.WantProblem(t, http.StatusPaymentRequired, code, again); q.OrderID != p.OrderID {
				t.Errorf("the same key names the order %s, and then %s", p.OrderID, q.OrderID)
			}
			if again.Header.Get("Idempotency-Replayed") != "true" {
				t.Error("the second answer is not marked as a replay")
			}
			if ids := shared.OrderIDs(t, customer.ID); len(ids) != 1 {
				t.Errorf("orders: %v", ids)
			}
		})
	}
}

func TestAnUnknownPaymentToken(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 2, 2500)
	p := customer.Place(shop.ByCard("tok_invented", shop.Item{ProductID: lamp.ID, Quantity: 1})).Problem(t)
	if p.Status != http.StatusUnprocessableEntity && p.Status != http.StatusPaymentRequired {
		t.Errorf("an invented token: %+v", p)
	}
	for _, id := range shared.OrderIDs(t, customer.ID) {
		if order := customer.Settled(id); order.Status != "cancelled" {
			t.Errorf("the order is %s", order.Status)
		}
		shared.WantNothingTaken(t, id)
	}
	shared.WantStock(t, lamp.ID, 2)
}

// TestOneKeyTwentyTimesAtOnce: one order, one charge, and everybody is told the truth.
func TestOneKeyTwentyTimesAtOnce(t *testing.T) {
	t.Parallel()
	const times = 20
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 50, 2500)
	customer.Add(lamp.ID, 2)
	key, wish := shop.NewKey(), shop.ByCard("tok_ok")

	answers := atOnce(t, times, func(int) (*shop.Answer, error) { return customer.Try(http.MethodPost, "/orders", wish, key) })
	var first []*shop.Answer
	for _, a := range answers {
		switch {
		case a.Status == http.StatusCreated && a.Header.Get("Idempotency-Replayed") == "":
			first = append(first, a)
		case a.Status == http.StatusCreated && a.Header.Get("Idempotency-Replayed") == "true":
		default:
			shop.WantProblem(t, http.StatusConflict, "idempotency_in_progress", a)
		}
	}
	if len(first) != 1 {
		t.Fatalf("%d of %d answers are the first one", len(first), times)
	}
	order := shop.Want[shop.Order](t, http.StatusCreated, first[0])
	for _, a := range append(answers, customer.Post("/orders", wish, key)) {
		if a.Status == http.StatusCreated && string(a.Body) != string(first[0].Body) {
			t.Errorf("the same key answers\n%s, and then\n%s", first[0], a)
		}
	}
	last := customer.Post("/orders", wish, key)
	if last.Status != http.StatusCreated || last.Header.Get("Idempotency-Replayed") != "true" || string(last.Body) != string(first[0].Body) {
		t.Errorf("afterwards: %s", last)
	}
	if ids := shared.OrderIDs(t, customer.ID); len(ids) != 1 || ids[0] != order.ID {
		t.Errorf("orders: %v", ids)
	}
	shared.WantPaid(t, order)
	shared.WantStock(t, lamp.ID, 48)

	// With another body the key is not what it was; to another customer it is nothing.
	wish.ShippingMethod = "express"
	shop.WantProblem(t, http.StatusUnprocessableEntity, "idempotency_key_reused", customer.Post("/orders", wish, key))
	other := shared.NewCustomer(t)
	theirs := shop.Want[shop.Order](t, http.StatusCreated, other.Post("/orders", shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1}), key))
	if theirs.ID == order.ID || theirs.UserID != other.ID {
		t.Errorf("another customer's key gives %+v", theirs)
	}
}

// atOnce calls try n times at the same moment and returns the answers.
func atOnce(t *testing.T, n int, try func(i int) (*shop.Answer, error)) []*shop.Answer {
	t.Helper()
	var (
		answers = make([]*shop.Answer, n)
		errs    = make([]error, n)
		gate    = make(chan struct{})
		done    sync.WaitGroup
	)
	for i := range n {
		done.Go(func() {
			<-gate
			answers[i], errs[i] = try(i)
		})
	}
	close(gate)
	done.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return answers
}
