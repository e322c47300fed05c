package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
)

// TestLeaks makes each layer of a shop of its own fail. What every answer and every log is looked through for (see internal/shop) is the
// test; here it is only given every reason to be there. In the end no log may hold any secret that was sent or given, either.
func TestLeaks(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, nil)
	l := &leaks{s: s, admin: s.Admin(t), customer: s.NewCustomer(t), product: s.NewProduct(t, 100, 2500)}
	l.address = shop.Want[shop.AddressEntry](t, http.StatusCreated, l.customer.Post("/users/me/addresses", shop.Home))
	session := l.customer.SignIn()
	l.keep(session.RefreshToken, session.AccessToken, l.customer.Token)
	for _, part := range []struct {
		name string
		test func(*testing.T, *leaks)
	}{
		{"what can't be read", unreadable},
		{"secrets in the wrong place", misplaced},
		{"SQL everywhere", injections},
		{"ids of all shapes", strangeIDs},
		{"payments that fail", failingPayments},
		{"something is down", thingsDown},
		{"something is killed", thingsKilled},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, l) })
	}
	l.checkLogs(t)
}

// leaks is what the parts of the test work with.
type leaks struct {
	s        *shop.Shop
	admin    *shop.Client
	customer *shop.Customer
	product  shop.Product
	address  shop.AddressEntry

	mu      sync.Mutex
	secrets []string
}

// keep remembers a secret that no log may hold.
func (l *leaks) keep(secrets ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, secrets...)
}

// secret makes up a secret that looks like a password.
func (l *leaks) secret() string {
	made := shop.NewPassword()
	l.keep(made)
	return made
}

func (l *leaks) checkLogs(t *testing.T) {
	t.Helper()
	for name, file := range l.s.Logs() {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for i, secret := range l.secrets {
			if strings.Contains(string(content), secret) {
				t.Errorf("the log of %s holds secret %d", name, i)
			}
		}
	}
}

// refused checks that an answer is a refusal of the client's, not a failure of ours. That it leaks nothing is checked in any case.
func refused(t *testing.T, a *shop.Answer) {
	t.Helper()
	if a.Status < http.StatusBadRequest || a.Status >= http.StatusInternalServerError {
		t.Errorf("want a refusal, got %s", a)
	}
}

// unreadable are bodies that break off, or are something else, with a password in them.
func unreadable(t *testing.T, l *leaks) {
	customer := l.customer.For(t)
	for _, path := range []string{"/auth/login", "/auth/register", "/auth/refresh", "/cart/items", "/orders", "/users/me/addresses"} {
		for _, body := range []string{
			`{"password":"%s`, `{"password":"%s"`, `{"password":"%s"}}`, `{"password":"%s" "x"}`, `{'password':'%s'}`, `"%s"`, `["%s"]`, `%s`,
			`{"password":"%s\u0000"}`, "{\"password\":\"%s\xff\"}", `{"password":"%s","password":"x"}`, `{"password":{"%s":[[[[`, `--%s--`,
		} {
			refused(t, customer.Post(path, shop.Raw(fmt.Sprintf(body, l.secret())), shop.NewKey()))
		}
		for _, media := range []string{"text/%s", "multipart/form-data; boundary=%s", "application/json; charset=%s", "%s"} {
			refused(t, customer.Post(path, shop.Raw(`{}`), shop.NewKey(), "Content-Type: "+fmt.Sprintf(media, l.secret())))
		}
	}
}

// misplaced are secrets where they don't belong: in other fields, as other types, in header fields and in the query.
func misplaced(t *testing.T, l *leaks) {
	stranger, customer := l.s.Stranger(t), l.customer.For(t)
	login := func(body map[string]any) *shop.Answer { return stranger.Post("/auth/login", body) }
	register := func(body map[string]any) *shop.Answer { return stranger.Post("/auth/register", body) }
	refused(t, login(map[string]any{"email": l.secret(), "password": l.secret()}))
	refused(t, login(map[string]any{"email": []string{l.secret()}, "password": map[string]string{"is": l.secret()}}))
	refused(t, login(map[string]any{"email": shop.NewEmail(), "password": l.secret() + strings.Repeat("x", 200)}))
	refused(t, login(map[string]any{"email": shop.NewEmail(), "password": l.secret(), "comment": l.secret()}))
	refused(t, register(map[string]any{"email": l.secret(), "password": l.secret(), "name": l.secret()}))
	refused(t, register(map[string]any{"email": l.customer.Email, "password": l.secret(), "name": "Erika Test"}))
	refused(t, register(map[string]any{"email": shop.NewEmail(), "password": l.secret(), "name": l.secret() + "\u202e"}))
	refused(t, register(map[string]any{"email": l.secret() + "@" + l.secret(), "password": "password123", "name": "Erika Test"}))
	refused(t, stranger.Post("/auth/refresh", map[string]string{"refresh_token": l.secret()}))
	refused(t, stranger.Post("/auth/refresh", map[string]string{"refresh_token": l.customer.Token}))
	refused(t, customer.Do(http.MethodPut, "/users/me/password", map[string]string{"current_password": l.secret(), "new_password": l.secret()}))
	refused(t, customer.Do(http.MethodDelete, "/users/me", map[string]string{"password": l.secret()}))
	refused(t, customer.Do(http.MethodPatch, "/users/me", map[string]string{"email": l.secret()}))
	refused(t, customer.Do(http.MethodPatch, "/users/me/addresses/"+l.address.ID, map[string]string{"postal_code": l.secret()[:20]}))
	refused(t, customer.Do(http.MethodPatch, "/users/me/addresses/"+l.address.ID, map[string]string{"country": l.secret(), "phone": l.secret()}))
	refused(t, customer.Post("/users/me/addresses", map[string]string{"line1": shop.Home.Line1, "city": l.secret(), "country": "ZZ"}))
	wish := shop.ByCard(l.secret(), shop.Item{ProductID: l.product.ID, Quantity: 1})
	wish.ShippingMethod = "balloon"
	refused(t, customer.Place(wish))

	for _, header := range []string{
		"Authorization: Bearer %s", "Authorization: Basic %s", "Authorization: %s", "Authorization: Bearer eyJhbGciOiJFZERTQSJ9.%s.x",
	} {
		refused(t, stranger.Get("/users/me", fmt.Sprintf(header, l.secret())))
	}
	for _, header := range []string{"Idempotency-Key: %s\u00e9", "If-Match: %s", "If-Match: \"%s\"", "Content-Encoding: %s"} {
		a := customer.Post("/orders", shop.ByCard("tok_ok", shop.Item{ProductID: uuid.NewString(), Quantity: 1}), shop.NewKey(), fmt.Sprintf(header, l.secret()))
		refused(t, a)
	}
	// What is asked for is answered, and yet in no log.
	for _, header := range []string{"X-Request-ID: %s !", "Accept: %s", "Accept-Language: %s", "Cookie: session=%s", "Referer: http://x/?p=%s", "Traceparent: %s", "Baggage: p=%s"} {
		customer.Get("/cart", fmt.Sprintf(header, l.secret()))
	}
	for _, query := range []string{"page_token", "page_size", "sort", "min_price", "nothing", "in_stock"} {
		refused(t, stranger.Get("/products?"+query+"="+l.secret()))
	}
	refused(t, stranger.Get("/products?q=%00"+l.secret()))
	refused(t, l.admin.For(t).Get("/users?role="+l.secret()))
	refused(t, customer.Get("/orders?user_id="+l.secret()))
	stranger.Get("/products?q=" + l.secret())
	l.admin.For(t).Get("/users?q=" + l.secret())
}

// injections are what breaks a statement that is put together from texts. Either it is refused for its form, or it is a text like any
// other; it is never a failure, and everything is still there.
func injections(t *testing.T, l *leaks) {
	stranger, customer, admin := l.s.Stranger(t), l.customer.For(t), l.admin.For(t)
	fine := func(a *shop.Answer) {
		t.Helper()
		if a.Status >= http.StatusInternalServerError {
			t.Errorf("a failure: %s", a)
		}
	}
	before := l.s.State(t)
	for _, text := range []string{
		`'`, `"`, `\`, `'; DROP TABLE users; --`, `' OR '1'='1`, `'||(SELECT password_hash FROM users LIMIT 1)||'`, `1) UNION SELECT 1--`,
		`%' OR 1=1 --`, `$1`, `%s%d%!`, "`", `{{.}}`, `${jndi:x}`, "a\tb", `<script>`, `:*|!`, strings.Repeat("'", 100), `\x00`, "\u2028",
	} {
		q := url.QueryEscape(text)
		fine(stranger.Post("/auth/login", map[string]string{"email": text, "password": text}))
		fine(stranger.Post("/auth/login", map[string]string{"email": l.customer.Email + text, "password": text}))
		fine(stranger.Post("/auth/register", map[string]string{"email": text + "@e2e.example", "password": shop.NewPassword(), "name": text}))
		fine(stranger.Post("/auth/refresh", map[string]string{"refresh_token": text}, shop.Key("k"+url.PathEscape(text))))
		fine(stranger.Get("/products?q=" + q))
		fine(stranger.Get("/products?category=" + q))
		fine(stranger.Get("/products?page_token=" + q))
		fine(stranger.Get("/products/" + url.PathEscape(text)))
		fine(stranger.Get("/categories/" + url.PathEscape(text)))
		fine(admin.Get("/users?q=" + q))
		fine(admin.Get("/users?page_token=" + q))
		fine(customer.Get("/orders?status=" + q))
		fine(customer.Do(http.MethodPatch, "/users/me", map[string]string{"name": text}))
		fine(customer.Do(http.MethodPatch, "/users/me/addresses/"+l.address.ID, map[string]string{"label": text, "region": text, "phone": text}))
		fine(customer.Post("/orders", shop.ByCard(text, shop.Item{ProductID: l.product.ID, Quantity: 1}), shop.NewKey()))
		fine(admin.Post("/categories", map[string]string{"name": text, "slug": text}))
		fine(admin.Post("/products", map[string]any{"sku": "E2E-" + text, "name": text, "slug": text, "price": shop.Euro(1)}))
		fine(admin.Post("/products/"+l.product.ID+"/stock-adjustments", map[string]any{"delta": 1, "reason": text}))
	}
	after := l.s.State(t)
	for table, rows := range before {
		if len(after[table]) < len(rows) {
			t.Errorf("%s had %d rows and has %d", table, len(rows), len(after[table]))
		}
	}
}

// strangeIDs asks every operation that has an id in its path for things that can't be.
func strangeIDs(t *testing.T, l *leaks) {
	ids := []string{
		"0", "-1", "1e9", "99999999999999999999", "null", "undefined", "true", "'", "%27%20OR%201=1", "%25", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%2F", "%5C",
		"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", strings.ToUpper(uuid.NewString()), "%7B" + uuid.NewString() + "%7D",
		"urn:uuid:" + uuid.NewString(), strings.ReplaceAll(uuid.NewString(), "-", ""), uuid.NewString() + "0", uuid.NewString()[1:], uuid.NewString() + "%00", "%FF",
		"%E2%80%AE", strings.Repeat("a", 4000), uuid.NewString(),
	}
	admin := l.admin.For(t)
	for _, o := range readOperations(t, l.s) {
		if !o.aboutOne() {
			continue
		}
		before, rest, _ := strings.Cut(o.path, "{")
		_, after, _ := strings.Cut(rest, "}")
		for _, id := range ids {
			var body any
			if o.method != http.MethodGet && o.method != http.MethodDelete {
				body = shop.Raw(`{}`)
			}
			a := admin.Do(o.method, before+id+after, body, shop.NewKey())
			// To take what is not there out of a cart is done already.
			if removed := o.path == "/cart/items/{product_id}" && o.method == http.MethodDelete && a.Status == http.StatusOK; !removed {
				refused(t, a)
			}
		}
	}
}

// failingPayments are refusals and failures of the provider, whose own words are for the logs.
func failingPayments(t *testing.T, l *leaks) {
	customer := l.customer.For(t)
	for token, want := range map[string]int{
		"tok_declined": http.StatusPaymentRequired, "tok_insufficient_funds": http.StatusPaymentRequired, "tok_error": http.StatusPaymentRequired,
		l.secret(): http.StatusUnprocessableEntity,
	} {
		if a := customer.Place(shop.ByCard(token, shop.Item{ProductID: l.product.ID, Quantity: 1})); a.Status != want {
			t.Errorf("want %d, got %s", want, a)
		}
		order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("", shop.Item{ProductID: l.product.ID, Quantity: 1})))
		if a := customer.Post("/orders/"+order.ID+"/pay", shop.Payment{Method: "card", Token: token}); a.Status != want {
			t.Errorf("want %d, got %s", want, a)
		}
	}
}

// everything asks for something of every service and store, side by side: whoever is down has something to say of it.
func (l *leaks) everything(t *testing.T) []*shop.Answer {
	t.Helper()
	customer, admin, stranger := l.customer.For(t), l.admin.For(t), l.s.Stranger(t)
	asks := []func() (*shop.Answer, error){
		func() (*shop.Answer, error) { return customer.Try(http.MethodGet, "/users/me", nil) },
		func() (*shop.Answer, error) {
			return customer.Try(http.MethodPatch, "/users/me", map[string]string{"name": l.secret()})
		},
		func() (*shop.Answer, error) { return customer.Try(http.MethodGet, "/users/me/sessions", nil) },
		func() (*shop.Answer, error) { return customer.Try(http.MethodPost, "/users/me/addresses", shop.Home) },
		func() (*shop.Answer, error) {
			return stranger.Try(http.MethodPost, "/auth/login", map[string]string{"email": l.customer.Email, "password": l.secret()})
		},
		func() (*shop.Answer, error) {
			return stranger.Try(http.MethodPost, "/auth/register", map[string]string{"email": shop.NewEmail(), "password": l.secret(), "name": "Erika Test"})
		},
		func() (*shop.Answer, error) {
			return stranger.Try(http.MethodPost, "/auth/refresh", map[string]string{"refresh_token": l.secret()})
		},
		func() (*shop.Answer, error) { return admin.Try(http.MethodGet, "/users?q=erika", nil) },
		func() (*shop.Answer, error) {
			return stranger.Try(http.MethodGet, "/products?q="+uuid.NewString(), nil)
		},
		func() (*shop.Answer, error) { return stranger.Try(http.MethodGet, "/products/"+l.product.ID, nil) },
		func() (*shop.Answer, error) {
			return admin.Try(http.MethodPost, "/categories", map[string]string{"name": "Category " + uuid.NewString()})
		},
		func() (*shop.Answer, error) { return customer.Try(http.MethodGet, "/cart", nil) },
		func() (*shop.Answer, error) {
			return customer.Try(http.MethodPost, "/cart/items", shop.Item{ProductID: l.product.ID, Quantity: 1})
		},
		func() (*shop.Answer, error) { return customer.Try(http.MethodGet, "/orders", nil) },
		func() (*shop.Answer, error) {
			return customer.Try(http.MethodPost, "/orders", shop.ByCard("tok_ok", shop.Item{ProductID: l.product.ID, Quantity: 1}), shop.NewKey())
		},
		func() (*shop.Answer, error) {
			wish := shop.ByCard("tok_ok", shop.Item{ProductID: l.product.ID, Quantity: 1})
			wish.Address, wish.AddressID = shop.Address{}, l.address.ID
			return customer.Try(http.MethodPost, "/orders", wish, shop.NewKey())
		},
		func() (*shop.Answer, error) { return stranger.Try(http.MethodGet, "/shipping-methods", nil) },
		func() (*shop.Answer, error) { return stranger.Try(http.MethodGet, "//.well-known/jwks.json", nil) },
	}
	return atOnce(t, len(asks), func(i int) (*shop.Answer, error) { return asks[i]() })
}

// thingsDown takes one part after the other away.
func thingsDown(t *testing.T, l *leaks) {
	for _, name := range []string{"user-service", "product-service", "cart-service", "order-service", "testpay", "redis", "postgres"} {
		t.Run(name, func(t *testing.T) {
			up := down(t, l.s, name)
			unavailable := 0
			for _, a := range l.everything(t) {
				switch a.Status {
				case http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusAccepted:
					unavailable++
				case http.StatusInternalServerError:
					t.Errorf("that something is down is a failure of ours: %s", a)
				}
			}
			if unavailable == 0 {
				t.Error("nobody noticed")
			}
			up()
			l.wantAll(t)
		})
	}
}

// thingsKilled ends services while they are being asked.
func thingsKilled(t *testing.T, l *leaks) {
	for _, name := range []string{"user-service", "product-service", "cart-service", "order-service"} {
		var killed sync.WaitGroup
		killed.Go(func() {
			if err := l.s.Kill(name, 1); err != nil {
				t.Error(err)
			}
		})
		l.everything(t)
		killed.Wait()
		l.wantAll(t)
	}
}

// wantAll waits until everything works again: breakers close, connections and processes come back within seconds.
func (l *leaks) wantAll(t *testing.T) {
	t.Helper()
	shop.Await(t, 30*time.Second, func() error {
		for _, path := range []string{"/users/me", "/cart", "/orders", "/products/" + l.product.ID} {
			a := l.customer.For(t).Get(path)
			if a.Status != http.StatusOK {
				return fmt.Errorf("all is up again: %s", a)
			}
			var answer struct {
				Stale bool `json:"stale"`
			}
			if err := json.Unmarshal(a.Body, &answer); err != nil || answer.Stale {
				return fmt.Errorf("all is up again, and yet stale (%w): %s", err, a)
			}
		}
		return nil
	})
}
