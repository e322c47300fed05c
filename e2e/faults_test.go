package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"shop.example/e2e/internal/shop"
)

// quickly is how soon a checkout says that something it needs is down: well within its 10 s.
const quickly = 6 * time.Second

// TestFaults takes the services of a shop of its own down, one after another.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, nil)
	for _, fault := range []struct {
		name string
		test func(*testing.T, *shop.Shop)
	}{
		{"order-service is killed in the middle of a checkout", killedInACheckout},
		{"order-service is killed while twenty connections use one key", killedUnderOneKey},
		{"order-service is killed while it sends an event", killedWhileSending},
		{"product-service is down", withoutProductService},
		{"user-service is down", withoutUserService},
		{"cart-service is down", withoutCartService},
		{"order-service is down", withoutOrderService},
		{"the payment provider is down", withoutProvider},
	} {
		if !t.Run(fault.name, func(t *testing.T) { fault.test(t, s) }) {
			return // what is down may still be down
		}
	}
}

// down takes a process down and returns what brings it back, which is done at the end of the test at the latest.
func down(t *testing.T, s *shop.Shop, name string) (up func()) {
	t.Helper()
	if err := s.Down(t.Context(), name, 1); err != nil {
		t.Fatal(err)
	}
	up = func() {
		if err := s.Up(t.Context(), name, 1); err != nil {
			t.Fatal(err)
		}
	}
	return up
}

// wantOrdering waits until an order can be placed again: breakers close and connections are made within seconds.
func wantOrdering(t *testing.T, s *shop.Shop) {
	t.Helper()
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	key, wish := shop.NewKey(), shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})
	shop.Await(t, 15*time.Second, func() error {
		if a := customer.Post("/orders", wish, key); a.Status != http.StatusCreated {
			return fmt.Errorf("all is up again: %s", a)
		}
		return nil
	})
}

func killedInACheckout(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	customer.Add(lamp.ID, 2)
	key, wish := shop.NewKey(), shop.ByCard("tok_timeout")
	type result struct {
		answer *shop.Answer
		err    error
	}
	first := make(chan result, 1)
	go func() {
		answer, err := customer.Try(http.MethodPost, "/orders", wish, key)
		first <- result{answer, err}
	}()

	// The provider holds the money and keeps silent: the checkout waits for it.
	id := wantHeld(t, s, customer)
	if err := s.Kill("order-service", 1); err != nil {
		t.Fatal(err)
	}

	got := <-first
	if got.err != nil {
		t.Fatalf("the gateway must answer for a service that died: %v", got.err)
	}
	switch p := got.answer; {
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusGatewayTimeout, p.Status == http.StatusAccepted, p.Status == http.StatusCreated:
	default:
		shop.WantProblem(t, http.StatusConflict, "idempotency_in_progress", p)
	}

	// The client's retry ends with the truth.
	var last *shop.Answer
	shop.Await(t, time.Minute, func() error {
		last = customer.Post("/orders", wish, key)
		if last.Status == http.StatusServiceUnavailable || last.Status == http.StatusGatewayTimeout || last.Status == http.StatusAccepted {
			return fmt.Errorf("the retry: %s", last)
		}
		if last.Status == http.StatusConflict && last.Problem(t).Code == "idempotency_in_progress" {
			return fmt.Errorf("the retry: %s", last)
		}
		return nil
	})
	order := customer.Settled(id)
	left := int64(5)
	switch order.Status {
	case "confirmed":
		s.WantPaid(t, order)
		left = 3
		if told := shop.Want[shop.Order](t, http.StatusCreated, last); told.ID != id || told.Status != "confirmed" || last.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("the retry: %s", last)
		}
	case "cancelled":
		s.WantNothingTaken(t, id)
		if p := last.Problem(t); p.OrderID != id {
			t.Errorf("the order is cancelled, and the retry: %s", last)
		}
	default:
		t.Errorf("the order is %s", order.Status)
	}
	t.Logf("the first answer: %d; the retry: %d; the order is %s", got.answer.Status, last.Status, order.Status)
	if ids := s.OrderIDs(t, customer.ID); len(ids) != 1 {
		t.Errorf("orders: %v", ids)
	}
	s.WantStock(t, lamp.ID, left)
	wantOrdering(t, s)
}

// killedUnderOneKey: whatever became of the process that began it, twenty clients who go on asking have one order, one charge and
// one answer.
func killedUnderOneKey(t *testing.T, s *shop.Shop) {
	const connections = 20
	for _, token := range []string{"tok_timeout", "tok_ok", "tok_ok"} {
		customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
		customer.Add(lamp.ID, 2)
		key, wish := shop.NewKey(), shop.ByCard(token)
		answers := make([]*shop.Answer, connections)
		statuses := make([][]int, connections) // what each was answered on the way
		var all sync.WaitGroup
		for i := range connections {
			all.Go(func() { answers[i], statuses[i] = askUntilItIsOver(t, customer, wish, key) })
		}
		// With tok_timeout the provider holds the money and keeps silent, so that is where it is killed; with tok_ok it is
		// wherever it has come to since the order was written down.
		if token == "tok_timeout" {
			wantHeld(t, s, customer)
		} else {
			shop.Await(t, 10*time.Second, func() error {
				if ids := s.OrderIDs(t, customer.ID); len(ids) == 0 {
					return errors.New("there is no order yet")
				}
				return nil
			})
		}
		if err := s.Kill("order-service", 1); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if t.Failed() {
			return
		}

		ids := s.OrderIDs(t, customer.ID)
		if len(ids) != 1 {
			t.Fatalf("%s: orders: %v", token, ids)
		}
		order := customer.Settled(ids[0])
		left := int64(5)
		switch {
		case order.Status == "confirmed":
			s.WantPaid(t, order)
			left = 3
		case order.Status == "cancelled" && token == "tok_ok":
			s.WantNothingTaken(t, order.ID)
		default: // money that was promised before the kill is taken
			t.Errorf("%s: the order is %s", token, order.Status)
		}
		s.WantStock(t, lamp.ID, left)
		for i, a := range answers {
			if got, want := outcomeOf(t, a), outcomeOf(t, answers[0]); got != want {
				t.Errorf("%s: connection %d was told %s, connection 0 %s", token, i, got, want)
			}
			if (a.Status == http.StatusCreated) != (order.Status == "confirmed") {
				t.Errorf("%s: the order is %s, and connection %d was told %s", token, order.Status, i, a)
			}
		}
		t.Logf("%s: the order is %s; the first connection was told %v", token, order.Status, statuses[0])
		wantOrdering(t, s)
	}
}

// askUntilItIsOver sends a wish as a client does who wants to know: again, as long as the answer is that it is not known yet.
func askUntilItIsOver(t *testing.T, customer *shop.Customer, wish shop.Wish, key string) (last *shop.Answer, statuses []int) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for begin := time.Now(); time.Since(begin) < time.Minute; <-ticker.C {
		a, err := customer.Try(http.MethodPost, "/orders", wish, key)
		if err != nil {
			t.Errorf("the gateway must answer for a service that died: %v", err)
			return nil, statuses
		}
		statuses = append(statuses, a.Status)
		switch {
		case a.Status == http.StatusAccepted || a.Status == http.StatusServiceUnavailable || a.Status == http.StatusGatewayTimeout:
		case a.Status == http.StatusConflict && strings.Contains(string(a.Body), `"idempotency_in_progress"`):
		default:
			return a, statuses
		}
		last = a
	}
	t.Errorf("after a minute still: %s", last)
	return last, statuses
}

// outcomeOf is what an answer says of the wish: all that it tells of the order, or the problem without what names the request.
func outcomeOf(t *testing.T, a *shop.Answer) string {
	t.Helper()
	if a.Status == http.StatusCreated {
		return string(a.Body)
	}
	p := a.Problem(t)
	return fmt.Sprintf("%d %s of order %s", a.Status, p.Code, p.OrderID)
}

func withoutProductService(t *testing.T, s *shop.Shop) {
	customer, lamp, unread := s.NewCustomer(t), s.NewProduct(t, 5, 2500), s.NewProduct(t, 5, 2500)
	customer.Add(lamp.ID, 2)
	read := []string{"/products/" + lamp.ID, "/products/" + lamp.Slug, "/products", "/categories"}
	for _, path := range read {
		if a := customer.Get(path); a.Status != http.StatusOK {
			t.Errorf("%s: %s", path, a)
		}
	}
	up := down(t, s, "product-service")

	begin := time.Now()
	for range 3 {
		shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", customer.Place(shop.ByCard("tok_ok")))
		if took := time.Since(begin); took > quickly {
			t.Errorf("that took %s", took)
		}
		begin = time.Now()
	}
	cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart"))
	if !cart.Stale || len(cart.Items) != 1 || cart.Items[0].UnitPrice != lamp.Price || cart.Subtotal != shop.Euro(5000) {
		t.Errorf("the cart: %+v", cart)
	}
	// What strangers and customers have read is still read, as what it is; the rest, and all for staff, is away.
	for _, path := range read {
		shop.Await(t, 5*time.Second, func() error {
			a := s.Stranger(t).Get(path)
			if a.Status != http.StatusOK || a.Header.Get("Age") == "" {
				t.Errorf("%s: %s, %v", path, a, a.Header)
			}
			if !strings.Contains(a.Header.Get("Cache-Status"), "stale-if-error") {
				return fmt.Errorf("%s is not marked as stale: %v", path, a.Header) // it is fresh for a second
			}
			return nil
		})
		shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", s.Admin(t).Get(path))
	}
	shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", customer.Get("/products/"+unread.ID))
	shop.Want[shop.User](t, http.StatusOK, customer.Get("/users/me"))
	if orders := customer.Orders(); len(orders) != 0 {
		t.Errorf("orders: %+v", orders)
	}

	up()
	shop.Await(t, 15*time.Second, func() error {
		// Staff are never answered from the cache.
		if a := s.Admin(t).Get("/products/" + lamp.ID); a.Status != http.StatusOK {
			return fmt.Errorf("product-service is up again: %s", a)
		}
		return nil
	})
	s.WantNoOrder(t, customer, lamp.ID, 5)
	wantOrdering(t, s)
}

func withoutUserService(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	customer.Add(lamp.ID, 2)
	up := down(t, s, "user-service")

	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	if order.Status != "confirmed" {
		t.Errorf("the order is %s", order.Status)
	}
	s.WantPaid(t, order)
	fromCart := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok")))
	s.WantPaid(t, fromCart)
	shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", customer.Get("/users/me"))
	shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", s.Stranger(t).Post("/auth/login",
		map[string]string{"email": customer.Email, "password": customer.Password}))
	s.WantStock(t, lamp.ID, 2)

	up()
	shop.Await(t, 15*time.Second, func() error {
		if a := customer.Get("/users/me"); a.Status != http.StatusOK {
			return fmt.Errorf("user-service is up again: %s", a)
		}
		return nil
	})
	wantOrdering(t, s)
}

func withoutCartService(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	customer.Add(lamp.ID, 2)
	up := down(t, s, "cart-service")

	shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", customer.Get("/cart"))
	shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", customer.Place(shop.ByCard("tok_ok")))
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	s.WantPaid(t, order)
	s.WantStock(t, lamp.ID, 4)

	up()
	shop.Await(t, 15*time.Second, func() error {
		a := customer.Get("/cart")
		if a.Status != http.StatusOK {
			return fmt.Errorf("cart-service is up again: %s", a)
		}
		if cart := shop.Want[shop.Cart](t, http.StatusOK, a); cart.ItemCount != 2 {
			return fmt.Errorf("the cart holds %d pieces", cart.ItemCount)
		}
		return nil
	})
	if ids := s.OrderIDs(t, customer.ID); len(ids) != 1 {
		t.Errorf("orders: %v", ids)
	}
}

func withoutOrderService(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	up := down(t, s, "order-service")
	begin := time.Now()
	shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", customer.Place(shop.ByCard("tok_ok")))
	if took := time.Since(begin); took > quickly {
		t.Errorf("that took %s", took)
	}
	if cart := customer.Add(lamp.ID, 1); cart.Stale || cart.ItemCount != 1 {
		t.Errorf("the cart: %+v", cart)
	}
	shop.Want[shop.Product](t, http.StatusOK, customer.Get("/products/"+lamp.ID))
	up()
	wantOrdering(t, s)
	s.WantNoOrder(t, customer, lamp.ID, 5)
}

func withoutProvider(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	up := down(t, s, "testpay")
	begin := time.Now()
	first := customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1}))
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("that took %s", took)
	}
	if first.Status != http.StatusAccepted {
		shop.WantProblem(t, http.StatusServiceUnavailable, "dependency_unavailable", first)
	}
	// What needs no provider goes on.
	cash := shop.ByCard("", shop.Item{ProductID: lamp.ID, Quantity: 1})
	cash.Payment.Method = "cash_on_delivery"
	shop.Want[shop.Order](t, http.StatusCreated, customer.Place(cash))

	up()
	left := int64(4) // without the one that was sold for cash
	for _, id := range s.OrderIDs(t, customer.ID) {
		order := customer.Settled(id)
		switch {
		case order.Payment.Method == "cash_on_delivery":
		case order.Status == "confirmed":
			s.WantPaid(t, order)
			left--
		case order.Status == "cancelled":
			s.WantNothingTaken(t, id)
		default:
			t.Errorf("the order is %s", order.Status)
		}
	}
	s.WantStock(t, lamp.ID, left)
	wantOrdering(t, s)
}
