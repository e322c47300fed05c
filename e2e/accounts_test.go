package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/auth"
)

func TestAProfile(t *testing.T) {
	t.Parallel()
	stranger, customer, other := shared.Stranger(t), shared.NewCustomer(t), shared.NewCustomer(t)
	was := shop.Want[shop.User](t, http.StatusOK, customer.Get("/users/me"))
	change := func(body any) *shop.Answer { return customer.Do(http.MethodPatch, "/users/me", body) }

	renamed := shop.Want[shop.User](t, http.StatusOK, change(map[string]string{"name": "Ada King"}))
	if renamed.Name != "Ada King" || renamed.Email != was.Email || !renamed.CreatedAt.Equal(was.CreatedAt) || !renamed.UpdatedAt.After(was.UpdatedAt) {
		t.Errorf("renamed: %+v, was %+v", renamed, was)
	}
	email := shop.NewEmail()
	// Written another way it is the same address.
	moved := shop.Want[shop.User](t, http.StatusOK, change(map[string]string{"email": " " + strings.ToUpper(email)}))
	if moved.Email != email || moved.Name != "Ada King" || moved.ID != customer.ID {
		t.Errorf("with another address: %+v", moved)
	}
	shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", stranger.Post("/auth/login", customer.Credentials()))
	old := customer.Email
	customer.Email = strings.ToUpper(email)
	if session := customer.SignIn(); session.User.ID != customer.ID || session.User.Email != email {
		t.Errorf("signed in as %+v", session.User)
	}
	shop.WantProblem(t, http.StatusConflict, "email_taken", change(map[string]string{"email": strings.ToUpper(other.Email)}))
	// The old one is free again.
	shop.Want[shop.Session](t, http.StatusCreated, stranger.Post("/auth/register", map[string]string{"email": old, "password": shop.NewPassword(), "name": "E"}))

	for location, body := range map[string]any{
		"body.role":   map[string]string{"role": "admin"},
		"body.status": map[string]string{"status": "active"},
		"body.id":     map[string]string{"id": other.ID},
		"body.email":  map[string]string{"email": "nowhere"},
		"body.name":   map[string]string{"name": "\u202e"},
	} {
		shop.WantInvalid(t, location, change(body))
	}
	if now := shop.Want[shop.User](t, http.StatusOK, customer.Get("/users/me")); now != moved {
		t.Errorf("refused changes changed %+v into %+v", moved, now)
	}
}

// TestALostRefresh: a client that did not get the answer asks again under the same key, and is given the same successor. Nobody else is.
func TestALostRefresh(t *testing.T) {
	t.Parallel()
	stranger, customer := shared.Stranger(t), shared.NewCustomer(t)
	refresh := func(token, key string) *shop.Answer {
		return stranger.Post("/auth/refresh", map[string]string{"refresh_token": token}, key)
	}
	first, key := customer.SignIn(), shop.NewKey()
	second := shop.Want[shop.Session](t, http.StatusOK, refresh(first.RefreshToken, key))
	for range 2 {
		again := shop.Want[shop.Session](t, http.StatusOK, refresh(first.RefreshToken, key))
		if again.RefreshToken != second.RefreshToken || again.User.ID != customer.ID {
			t.Error("the same token and key give another successor")
		}
		shop.Want[shop.User](t, http.StatusOK, stranger.With(again.AccessToken).Get("/users/me"))
	}
	third := shop.Want[shop.Session](t, http.StatusOK, refresh(second.RefreshToken, shop.NewKey()))
	// The answer can't have been lost: its token was used.
	shop.WantProblem(t, http.StatusUnauthorized, "refresh_token_reused", refresh(first.RefreshToken, key))
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", refresh(third.RefreshToken, shop.NewKey()))
	mustEndEverywhere(t, stranger.With(third.AccessToken))

	// Who has the token but not the key is a thief.
	stolen := customer.SignIn()
	shop.Want[shop.Session](t, http.StatusOK, refresh(stolen.RefreshToken, shop.NewKey()))
	shop.WantProblem(t, http.StatusUnauthorized, "refresh_token_reused", refresh(stolen.RefreshToken, shop.NewKey()))
}

// TestRefreshingAtOnce: of many who present a token at the same moment, one gets a successor, and the session ends.
func TestRefreshingAtOnce(t *testing.T) {
	t.Parallel()
	stranger, session := shared.Stranger(t), shared.NewCustomer(t).SignIn()
	body := map[string]string{"refresh_token": session.RefreshToken}
	answers := atOnce(t, 8, func(int) (*shop.Answer, error) { return stranger.Try(http.MethodPost, "/auth/refresh", body) })
	var next []shop.Session
	for _, a := range answers {
		if a.Status == http.StatusOK {
			next = append(next, shop.Want[shop.Session](t, http.StatusOK, a))
			continue
		}
		if p := a.Problem(t); a.Status != http.StatusUnauthorized || p.Code != "refresh_token_reused" && p.Code != "unauthenticated" {
			t.Errorf("the others: %s", a)
		}
	}
	if len(next) != 1 {
		t.Fatalf("%d successors of one token", len(next))
	}
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", stranger.Post("/auth/refresh", map[string]string{"refresh_token": next[0].RefreshToken}))
}

// places are all sessions of a customer, page by page.
func places(t *testing.T, customer *shop.Client) []shop.Place {
	t.Helper()
	var all []shop.Place
	for token := ""; ; {
		page := shop.Want[shop.Page[shop.Place]](t, http.StatusOK, customer.Get("/users/me/sessions?page_size=2&include_total=true&page_token="+token))
		all = append(all, page.Items...)
		if token = page.NextPageToken; token == "" {
			if page.TotalSize == nil || *page.TotalSize != int64(len(all)) {
				t.Errorf("total_size is %v of %d sessions", page.TotalSize, len(all))
			}
			return all
		}
	}
}

func TestWhereIAmSignedIn(t *testing.T) {
	t.Parallel()
	stranger, customer, other := shared.Stranger(t), shared.NewCustomer(t), shared.NewCustomer(t)
	phone := customer.SignIn("User-Agent: Phone/1")
	laptop := customer.SignIn("User-Agent: Laptop/2")
	idOf := func(s shop.Session) string { return shop.PrincipalOf(t, s.AccessToken).SessionID }
	own := shop.PrincipalOf(t, customer.Token).SessionID

	all := places(t, customer.Client)
	var got []string
	for _, p := range all {
		got = append(got, p.ID)
		if p.IP != "127.0.0.1" || p.Current != (p.ID == own) || p.LastUsedAt.Before(p.CreatedAt) || !p.ExpiresAt.After(p.LastUsedAt) {
			t.Errorf("a session: %+v", p)
		}
	}
	if want := []string{idOf(laptop), idOf(phone), own}; !slices.Equal(got, want) {
		t.Fatalf("sessions %v, want %v", got, want)
	}
	if all[0].UserAgent != "Laptop/2" || all[1].UserAgent != "Phone/1" {
		t.Errorf("the devices: %+v", all)
	}
	// A refresh is a use, from wherever it comes.
	shop.Want[shop.Session](t, http.StatusOK, stranger.Post("/auth/refresh", map[string]string{"refresh_token": laptop.RefreshToken}, "User-Agent: Laptop/3"))
	if p := places(t, customer.Client)[0]; p.ID != idOf(laptop) || p.UserAgent != "Laptop/3" || !p.LastUsedAt.After(all[0].LastUsedAt) {
		t.Errorf("after a refresh: %+v, before %+v", p, all[0])
	}

	end := func(c *shop.Client, id string) *shop.Answer {
		return c.Do(http.MethodDelete, "/users/me/sessions/"+id, nil)
	}
	shop.WantProblem(t, http.StatusNotFound, "not_found", end(other.Client, idOf(phone)))
	shop.WantProblem(t, http.StatusNotFound, "not_found", end(customer.Client, uuid.NewString()))
	shop.WantNothing(t, end(customer.Client, idOf(phone)))
	shop.WantProblem(t, http.StatusNotFound, "not_found", end(customer.Client, idOf(phone)))
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", stranger.Post("/auth/refresh", map[string]string{"refresh_token": phone.RefreshToken}))
	mustEndEverywhere(t, stranger.With(phone.AccessToken))

	customer.SignIn()
	shop.WantNothing(t, customer.Do(http.MethodDelete, "/users/me/sessions", nil))
	mustEndEverywhere(t, stranger.With(laptop.AccessToken))
	if left := places(t, customer.Client); len(left) != 1 || left[0].ID != own {
		t.Errorf("left are %+v", left)
	}
	if left := places(t, other.Client); len(left) != 1 {
		t.Errorf("another customer's sessions: %+v", left)
	}
}

func TestChangingThePassword(t *testing.T) {
	t.Parallel()
	stranger, customer := shared.Stranger(t), shared.NewCustomer(t)
	own, thief := customer.SignIn(), customer.SignIn()
	customer.Token = own.AccessToken
	old, wanted := customer.Password, shop.NewPassword()
	change := func(current, wanted string) *shop.Answer {
		return customer.Do(http.MethodPut, "/users/me/password", map[string]string{"current_password": current, "new_password": wanted})
	}
	shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", change(shop.NewPassword(), wanted))
	shop.WantInvalid(t, "body.new_password", change(old, "password123"))
	shop.WantInvalid(t, "body.new_password", change(old, "seven77"))
	customer.SignIn() // none of them did anything

	shop.WantNothing(t, change(old, wanted))
	shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", stranger.Post("/auth/login", customer.Credentials()))
	customer.Password = wanted
	customer.SignIn()
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", stranger.Post("/auth/refresh", map[string]string{"refresh_token": thief.RefreshToken}))
	mustEndEverywhere(t, stranger.With(thief.AccessToken))
	// The session that did it goes on.
	shop.Want[shop.User](t, http.StatusOK, customer.Get("/users/me"))
	shop.Want[shop.Session](t, http.StatusOK, stranger.Post("/auth/refresh", map[string]string{"refresh_token": own.RefreshToken}))
}

func TestDeletingAnAccount(t *testing.T) {
	t.Parallel()
	stranger, admin, lamp := shared.Stranger(t), shared.Admin(t), shared.NewProduct(t, 5, 2500)
	for name, erase := range map[string]func(*testing.T, *shop.Customer) *shop.Answer{
		"by its owner": func(t *testing.T, c *shop.Customer) *shop.Answer {
			wrong := c.Do(http.MethodDelete, "/users/me", map[string]string{"password": shop.NewPassword()})
			shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", wrong)
			shop.Want[shop.User](t, http.StatusOK, c.Get("/users/me"))
			return c.Do(http.MethodDelete, "/users/me", map[string]string{"password": c.Password})
		},
		"by an admin": func(t *testing.T, c *shop.Customer) *shop.Answer {
			return admin.For(t).Do(http.MethodDelete, "/users/"+c.ID, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stranger, admin, customer := stranger.For(t), admin.For(t), shared.NewCustomer(t)
			login := customer.SignIn()
			home := shop.Want[shop.AddressEntry](t, http.StatusCreated, customer.Post("/users/me/addresses", shop.Home))
			wish := shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})
			wish.Address, wish.AddressID = shop.Address{}, home.ID
			order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(wish))

			shop.WantNothing(t, erase(t, customer))
			shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", stranger.Post("/auth/login", customer.Credentials()))
			shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", stranger.Post("/auth/refresh", map[string]string{"refresh_token": login.RefreshToken}))
			mustEndEverywhere(t, customer.Client)
			mustEndEverywhere(t, stranger.With(login.AccessToken))
			shop.WantProblem(t, http.StatusNotFound, "not_found", admin.Get("/users/"+customer.ID))
			for table, rows := range shared.State(t) {
				for _, row := range rows {
					if strings.HasPrefix(table, "users.") && (strings.Contains(row, customer.Email) || strings.Contains(row, home.ID)) {
						t.Errorf("%s still knows the customer", table)
					}
				}
			}
			// The shop's books go on.
			if kept := admin.Order(order.ID); kept.Address != shop.Home || kept.UserID != customer.ID || kept.Total != order.Total {
				t.Errorf("the order afterwards: %+v", kept)
			}
			// Who comes back is somebody new.
			again := shop.Want[shop.Session](t, http.StatusCreated, stranger.Post("/auth/register",
				map[string]string{"email": customer.Email, "password": customer.Password, "name": "Erika Test"}))
			back := stranger.With(again.AccessToken)
			if again.User.ID == customer.ID || len(back.Orders()) > 0 || len(book(t, back)) > 0 {
				t.Errorf("the newcomer %s has what %s had", again.User.ID, customer.ID)
			}
			shop.WantProblem(t, http.StatusNotFound, "not_found", back.Get("/orders/"+order.ID))
		})
	}
}

// book is the address book of a customer, page by page.
func book(t *testing.T, customer *shop.Client) []shop.AddressEntry {
	t.Helper()
	var all []shop.AddressEntry
	for token := ""; ; {
		page := shop.Want[shop.Page[shop.AddressEntry]](t, http.StatusOK, customer.Get("/users/me/addresses?page_size=7&include_total=true&page_token="+token))
		all = append(all, page.Items...)
		if token = page.NextPageToken; token == "" {
			if page.TotalSize == nil || *page.TotalSize != int64(len(all)) {
				t.Errorf("total_size is %v of %d addresses", page.TotalSize, len(all))
			}
			return all
		}
	}
}

// wantDefault checks that one address of a book is the default one, and which.
func wantDefault(t *testing.T, customer *shop.Client, id string) {
	t.Helper()
	for _, a := range book(t, customer) {
		if a.IsDefault != (a.ID == id) {
			t.Errorf("%s: is_default is %t, and %s should be the default one", a.ID, a.IsDefault, id)
		}
	}
}

func TestAnAddressBook(t *testing.T) {
	t.Parallel()
	customer := shared.NewCustomer(t)
	const path = "/users/me/addresses"
	if len(book(t, customer.Client)) > 0 {
		t.Error("a new customer has addresses")
	}
	add := func(fields map[string]any) *shop.Answer {
		entry := map[string]any{"recipient": "Erika Test", "line1": shop.Home.Line1, "city": "Berlin", "postal_code": "10115", "country": "DE"}
		for name, value := range fields {
			entry[name] = value
		}
		return customer.Post(path, entry)
	}
	answer := add(map[string]any{"label": "Home"})
	home := shop.Want[shop.AddressEntry](t, http.StatusCreated, answer)
	if home.Label != "Home" || home.Address != shop.Home || !home.IsDefault || answer.Header.Get("Location") != shop.API+path+"/"+home.ID {
		t.Errorf("the first address: %+v, at %q", home, answer.Header.Get("Location"))
	}
	office := shop.Want[shop.AddressEntry](t, http.StatusCreated, add(map[string]any{"label": "Office", "is_default": true}))
	wantDefault(t, customer.Client, office.ID)
	change := func(id string, body any) *shop.Answer { return customer.Do(http.MethodPatch, path+"/"+id, body) }
	changed := shop.Want[shop.AddressEntry](t, http.StatusOK, change(home.ID, map[string]any{"city": "Potsdam", "postal_code": "14467", "is_default": true}))
	want := home
	want.City, want.PostalCode = "Potsdam", "14467"
	if changed != want {
		t.Errorf("changed: %+v, want %+v", changed, want)
	}
	wantDefault(t, customer.Client, home.ID)
	if read := shop.Want[shop.AddressEntry](t, http.StatusOK, customer.Get(path+"/"+home.ID)); read != changed {
		t.Errorf("read %+v, want %+v", read, changed)
	}

	for location, fields := range map[string]map[string]any{
		"body.country":     {"country": "ZZ"},
		"body.postal_code": {"postal_code": "1011"},
		"body.line1":       {"line1": " "},
		"body.recipient":   {"recipient": ""},
		"body.phone":       {"phone": "call me"},
		"body.user_id":     {"user_id": uuid.NewString()},
	} {
		shop.WantInvalid(t, location, add(fields))
		shop.WantInvalid(t, location, change(home.ID, fields))
	}
	shop.WantInvalid(t, "body.is_default", change(home.ID, map[string]bool{"is_default": false}))

	// 20 and no more, also for those who try at the same moment.
	full := atOnce(t, 24, func(int) (*shop.Answer, error) { return customer.Try(http.MethodPost, path, shop.Home) })
	for _, a := range full {
		if a.Status != http.StatusCreated {
			shop.WantProblem(t, http.StatusUnprocessableEntity, "address_limit", a)
		}
	}
	all := book(t, customer.Client)
	if len(all) != 20 || all[0].ID != home.ID || all[1].ID != office.ID {
		t.Errorf("the full book has %d addresses: %+v", len(all), all)
	}
	wantDefault(t, customer.Client, home.ID)

	// The oldest of the others takes the place of a default address that is removed.
	shop.WantNothing(t, customer.Do(http.MethodDelete, path+"/"+home.ID, nil))
	wantDefault(t, customer.Client, office.ID)
	shop.WantProblem(t, http.StatusNotFound, "not_found", customer.Do(http.MethodDelete, path+"/"+home.ID, nil))
	shop.Want[shop.AddressEntry](t, http.StatusCreated, add(nil))
}

func TestAnotherCustomersAddress(t *testing.T) {
	t.Parallel()
	customer, other, lamp := shared.NewCustomer(t), shared.NewCustomer(t), shared.NewProduct(t, 5, 2500)
	entry := shop.Want[shop.AddressEntry](t, http.StatusCreated, customer.Post("/users/me/addresses", shop.Home))
	ask := func(method, id string, body any) shop.Problem {
		p := shop.WantProblem(t, http.StatusNotFound, "not_found", other.Do(method, "/users/me/addresses/"+id, body))
		p.Instance, p.RequestID = "", ""
		return p
	}
	order := func(id string) shop.Problem {
		wish := shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})
		wish.Address, wish.AddressID = shop.Address{}, id
		a := other.Place(wish)
		shop.WantInvalid(t, "body.address_id", a)
		p := a.Problem(t)
		p.RequestID = ""
		return p
	}
	for what, probe := range map[string]func(id string) shop.Problem{
		"read":   func(id string) shop.Problem { return ask(http.MethodGet, id, nil) },
		"change": func(id string) shop.Problem { return ask(http.MethodPatch, id, map[string]string{"city": "Here"}) },
		"remove": func(id string) shop.Problem { return ask(http.MethodDelete, id, nil) },
		"order":  order,
	} {
		if theirs, nobodys := probe(entry.ID), probe(uuid.NewString()); fmt.Sprint(theirs) != fmt.Sprint(nobodys) {
			t.Errorf("%s: another's address (%+v) is told from an unknown one (%+v)", what, theirs, nobodys)
		}
	}
	if all := book(t, customer.Client); len(all) != 1 || all[0] != entry {
		t.Errorf("the book afterwards: %+v", all)
	}
	shared.WantNoOrder(t, other, lamp.ID, 5)
}

// TestAnOrderKeepsItsAddress: what becomes of the address book is nothing to an order that was placed by it.
func TestAnOrderKeepsItsAddress(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 5, 2500)
	entry := shop.Want[shop.AddressEntry](t, http.StatusCreated, customer.Post("/users/me/addresses", shop.Home))
	path := "/users/me/addresses/" + entry.ID
	wish := shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})
	wish.AddressID = entry.ID
	shop.WantInvalid(t, "body.address_id", customer.Place(wish)) // and another address beside it
	wish.Address = shop.Address{}
	key := shop.NewKey()
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Post("/orders", wish, key))
	wantKept := func(when string) {
		t.Helper()
		if kept := customer.Order(order.ID); kept.Address != shop.Home || kept.Version != order.Version {
			t.Errorf("%s: %+v", when, kept)
		}
		if again := shop.Want[shop.Order](t, http.StatusCreated, customer.Post("/orders", wish, key)); again.ID != order.ID || again.Address != shop.Home {
			t.Errorf("%s, the key answers %+v", when, again)
		}
	}
	wantKept("at once")
	shop.Want[shop.AddressEntry](t, http.StatusOK, customer.Do(http.MethodPatch, path, map[string]string{"recipient": "Somebody Else", "city": "Potsdam", "postal_code": "14467"}))
	wantKept("after a change of the address")
	shop.WantNothing(t, customer.Do(http.MethodDelete, path, nil))
	wantKept("after its removal")
	shop.WantInvalid(t, "body.address_id", customer.Place(wish))
	if ids := shared.OrderIDs(t, customer.ID); len(ids) != 1 {
		t.Errorf("orders: %v", ids)
	}
}

// register makes an account with a name, without a client for it.
func register(t *testing.T, name, email string) (*shop.Answer, error) {
	return shared.Stranger(t).Try(http.MethodPost, "/auth/register", map[string]string{"email": email, "password": shop.NewPassword(), "name": name})
}

// found are the ids of the users that a query finds, page by page; between the pages something may happen.
func found(t *testing.T, query string, between func()) []string {
	t.Helper()
	var ids []string
	for token := ""; ; {
		page := shop.Want[shop.Page[shop.User]](t, http.StatusOK, shared.Admin(t).Get("/users?page_size=3&q="+query+"&page_token="+token))
		for _, u := range page.Items {
			ids = append(ids, u.ID)
		}
		if token = page.NextPageToken; token == "" {
			return ids
		}
		between()
	}
}

func TestFindingUsers(t *testing.T) {
	t.Parallel()
	admin, mark := shared.Admin(t), "m"+strings.ReplaceAll(uuid.NewString(), "-", "")
	nothing := func() {}
	var want []string // newest first
	for i := range 10 {
		answer, err := register(t, fmt.Sprintf("Person %d %s", i, mark), shop.NewEmail())
		if err != nil {
			t.Fatal(err)
		}
		want = slices.Insert(want, 0, shop.Want[shop.Session](t, http.StatusCreated, answer).User.ID)
	}
	if got := found(t, mark, nothing); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	// Who registers meanwhile neither hides anybody nor shows anybody twice.
	got := found(t, mark, func() {
		for _, a := range atOnce(t, 2, func(int) (*shop.Answer, error) { return register(t, "Late "+mark, shop.NewEmail()) }) {
			shop.Want[shop.Session](t, http.StatusCreated, a)
		}
	})
	if !slices.Equal(got, want) {
		t.Errorf("while others register: found %v, want %v", got, want)
	}

	email := "find-" + mark + "@e2e.example"
	answer, err := register(t, "100%_Sure "+mark[:8]+"\\x", email)
	if err != nil {
		t.Fatal(err)
	}
	one := shop.Want[shop.Session](t, http.StatusCreated, answer).User
	for query, want := range map[string]bool{
		"find-" + mark: true, "FIND-" + strings.ToUpper(mark): true, mark + "%40e2e": true, "100%25_sure%20" + mark[:8] + "%5C": true,
		// What means something in a pattern of the database means itself.
		"find_" + mark: false, "find%25" + mark[4:]: false, "100__sure%20" + mark[:8]: false, "100%25%25sure%20" + mark[:8]: false,
		"find-" + mark + "%27%20OR%201%3D1--": false,
	} {
		got := found(t, query, nothing)
		if want != slices.Equal(got, []string{one.ID}) || !want && len(got) > 0 {
			t.Errorf("q=%s finds %v, want %s: %t", query, got, one.ID, want)
		}
	}

	total := func(query string) int64 {
		t.Helper()
		page := shop.Want[shop.Page[shop.User]](t, http.StatusOK, admin.Get("/users?include_total=true&q="+query))
		if page.TotalSize == nil {
			t.Fatalf("%s: no total_size", query)
		}
		return *page.TotalSize
	}
	shop.Want[shop.User](t, http.StatusOK, admin.Do(http.MethodPatch, "/users/"+want[0], map[string]string{"role": "staff"}))
	shop.Want[shop.User](t, http.StatusOK, admin.Do(http.MethodPatch, "/users/"+want[1], map[string]string{"status": "disabled"}))
	for query, want := range map[string]int64{"Person%20&role=staff": 1, "Person%20&status=disabled": 1, "Person%20&role=staff&status=disabled": 0} {
		if got := total(mark + strings.TrimPrefix(query, "Person%20")); got != want {
			t.Errorf("%s: %d users, want %d", query, got, want)
		}
	}
	shop.WantInvalid(t, "query.role", admin.Get("/users?role=king"))
	shop.WantInvalid(t, "query.page_token", admin.Get("/users?page_token=abc"))
	// A token belongs to its query.
	first := shop.Want[shop.Page[shop.User]](t, http.StatusOK, admin.Get("/users?page_size=3&q="+mark))
	shop.WantInvalid(t, "query.page_token", admin.Get("/users?page_size=3&q=other&page_token="+first.NextPageToken))
	if u := shop.Want[shop.User](t, http.StatusOK, admin.Get("/users/"+one.ID)); u != one {
		t.Errorf("read %+v, want %+v", u, one)
	}
}

// TestANewRole reaches the tokens that are out already, both ways, and signs nobody out.
func TestANewRole(t *testing.T) {
	t.Parallel()
	admin, customer := shared.Admin(t), shared.NewCustomer(t)
	session := customer.SignIn()
	customer.Token = session.AccessToken
	create := func() int {
		return customer.Post("/categories", map[string]string{"name": "Category " + uuid.NewString()}).Status
	}
	if got := create(); got != http.StatusForbidden {
		t.Fatalf("a customer creates a category: %d", got)
	}
	for _, step := range []struct {
		role auth.Role
		want int
	}{{auth.Staff, http.StatusCreated}, {auth.Customer, http.StatusForbidden}} {
		changed := shop.Want[shop.User](t, http.StatusOK, admin.Do(http.MethodPatch, "/users/"+customer.ID, map[string]auth.Role{"role": step.role}))
		if changed.Role != string(step.role) {
			t.Errorf("the role is %s, want %s", changed.Role, step.role)
		}
		shop.Await(t, revokedWithin, func() error {
			if got := create(); got != step.want {
				return fmt.Errorf("as %s: %d, want %d", step.role, got, step.want)
			}
			return nil
		})
		session = shop.Want[shop.Session](t, http.StatusOK, customer.With("").Post("/auth/refresh", map[string]string{"refresh_token": session.RefreshToken}))
		if got := shop.PrincipalOf(t, session.AccessToken).Role; got != step.role || session.User.Role != string(step.role) {
			t.Errorf("a new token is for a %s, want %s", got, step.role)
		}
		shop.Want[shop.User](t, http.StatusOK, customer.Get("/users/me"))
	}
}

func TestADisabledUser(t *testing.T) {
	t.Parallel()
	stranger, admin, customer := shared.Stranger(t), shared.Admin(t), shared.NewCustomer(t)
	session := customer.SignIn()
	set := func(status string) {
		t.Helper()
		if u := shop.Want[shop.User](t, http.StatusOK, admin.Do(http.MethodPatch, "/users/"+customer.ID, map[string]string{"status": status})); u.Status != status {
			t.Errorf("the user is %s, want %s", u.Status, status)
		}
	}
	refused := func(when string) {
		t.Helper()
		if a := stranger.Post("/auth/refresh", map[string]string{"refresh_token": session.RefreshToken}); a.Status != http.StatusUnauthorized {
			t.Errorf("%s, a refresh: %s", when, a)
		}
	}
	set("disabled")
	shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", stranger.Post("/auth/login", customer.Credentials()))
	refused("disabled")
	mustEndEverywhere(t, customer.Client)
	mustEndEverywhere(t, stranger.With(session.AccessToken))

	set("active")
	refused("enabled again") // what has ended stays so
	again := customer.SignIn()
	shop.Want[shop.User](t, http.StatusOK, stranger.With(again.AccessToken).Get("/users/me"))
	mustEndEverywhere(t, customer.Client)
}
