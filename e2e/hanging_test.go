package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"shop.example/e2e/internal/shop"
)

// inTime is how long a checkout may take at most: its deadline is 10 s, and an answer has to come through a busy machine.
const inTime = 12 * time.Second

// TestHanging stops the processes of a shop of its own with SIGSTOP, one after another: they neither answer nor break connections
// off, and go on later with what they were sent meanwhile.
func TestHanging(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, nil)
	for _, fault := range []struct {
		name string
		test func(*testing.T, *shop.Shop)
	}{
		{"product-service hangs before a checkout", hangingProductService},
		{"product-service hangs in the middle of a checkout", hangingInTheMiddle},
		{"the payment provider hangs", hangingProvider},
		{"user-service hangs", hangingUserService},
	} {
		if !t.Run(fault.name, func(t *testing.T) { fault.test(t, s) }) {
			return // what hangs may still hang
		}
	}
}

// hang stops a process and returns what lets it go on, which is done at the end of the test at the latest.
func hang(t *testing.T, s *shop.Shop, name string) (goOn func()) {
	t.Helper()
	for _, p := range s.Describe().Processes {
		if p.Name != name {
			continue
		}
		if err := syscall.Kill(p.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		goOn = func() {
			if err := syscall.Kill(p.PID, syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
		t.Cleanup(goOn)
		return goOn
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// timely does something that has to be over in time.
func timely(t *testing.T, ask func() *shop.Answer) *shop.Answer {
	t.Helper()
	begin := time.Now()
	a := ask()
	took := time.Since(begin)
	if took > inTime {
		t.Errorf("after %s: %s", took, a)
	}
	t.Logf("after %s: %d", took.Round(time.Millisecond), a.Status)
	return a
}

// wantAway checks that an answer says that something is away, or too slow.
func wantAway(t *testing.T, a *shop.Answer) {
	t.Helper()
	switch p := a.Problem(t); {
	case a.Status == http.StatusServiceUnavailable && p.Code == "dependency_unavailable":
	case a.Status == http.StatusGatewayTimeout && p.Code == "deadline_exceeded":
	default:
		t.Errorf("want 503 or 504, got %s", a)
	}
}

func hangingProductService(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	customer.Add(lamp.ID, 2)
	key, wish := shop.NewKey(), shop.ByCard("tok_ok")
	goOn := hang(t, s, "product-service")
	wantAway(t, timely(t, func() *shop.Answer { return customer.Post("/orders", wish, key) }))
	wantAway(t, timely(t, func() *shop.Answer {
		return customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1}))
	}))
	goOn()
	// It answers now what nobody waits for any more. Nothing comes of that.
	wantOrdering(t, s)
	s.WantNoOrder(t, customer, lamp.ID, 5)
	// And the same key buys what it was sent for.
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Post("/orders", wish, key))
	s.WantPaid(t, order)
	s.WantStock(t, lamp.ID, 3)
}

func hangingInTheMiddle(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	answers := make(chan *shop.Answer, 1)
	go func() {
		// The provider holds the money and keeps silent: the checkout waits for it, with its pieces reserved.
		a, err := customer.Try(http.MethodPost, "/orders", shop.ByCard("tok_timeout", shop.Item{ProductID: lamp.ID, Quantity: 2}), shop.NewKey())
		if err != nil {
			t.Error(err)
		}
		answers <- a
	}()
	id := wantHeld(t, s, customer)
	goOn := hang(t, s, "product-service")
	a := timely(t, func() *shop.Answer { return <-answers })
	if a == nil || a.Status != http.StatusAccepted {
		t.Fatalf("want 202, got %s", a)
	}
	goOn()
	order := customer.Settled(id)
	if order.Status != "confirmed" {
		t.Errorf("the order is %s", order.Status)
	}
	s.WantPaid(t, order)
	s.WantStock(t, lamp.ID, 3)
	wantOrdering(t, s)
}

// wantHeld waits until the provider holds money for the one order of a customer, and returns its id.
func wantHeld(t *testing.T, s *shop.Shop, customer *shop.Customer) (id string) {
	t.Helper()
	shop.Await(t, 10*time.Second, func() error {
		ids := s.OrderIDs(t, customer.ID)
		if len(ids) != 1 {
			return fmt.Errorf("orders: %v", ids)
		}
		if id = ids[0]; s.Ledger(t, id).Open == 0 {
			return errors.New("the provider was not asked yet")
		}
		return nil
	})
	return id
}

func hangingProvider(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	paid := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	goOn := hang(t, s, "testpay")
	key, wish := shop.NewKey(), shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})
	first := timely(t, func() *shop.Answer { return customer.Post("/orders", wish, key) })
	placed := shop.Want[shop.Order](t, http.StatusAccepted, first)
	if placed.Status != "pending" || placed.Payment.Status != "pending" {
		t.Errorf("202 with %s, %+v", placed.Status, placed.Payment)
	}
	// A cancellation does not wait for the provider to be true; what is paid goes back when that is there again.
	if cancelled := shop.Want[shop.Order](t, http.StatusOK, timely(t, func() *shop.Answer {
		return customer.Post("/orders/"+paid.ID+"/cancel", nil)
	})); cancelled.Status != "cancelled" {
		t.Errorf("cancelled: %s", cancelled.Status)
	}
	goOn()
	left := int64(5)
	switch order := customer.Settled(placed.ID); order.Status {
	case "confirmed":
		s.WantPaid(t, order)
		left = 4
	case "cancelled":
		s.WantNothingTaken(t, placed.ID)
	default:
		t.Errorf("the order is %s", order.Status)
	}
	s.WantNothingTaken(t, paid.ID)
	s.WantStock(t, lamp.ID, left)
	if ids := s.OrderIDs(t, customer.ID); len(ids) != 2 {
		t.Errorf("orders: %v", ids)
	}
	wantOrdering(t, s)
}

func hangingUserService(t *testing.T, s *shop.Shop) {
	customer, lamp := s.NewCustomer(t), s.NewProduct(t, 5, 2500)
	customer.Add(lamp.ID, 2)
	goOn := hang(t, s, "user-service")
	for _, wish := range []shop.Wish{shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1}), shop.ByCard("tok_ok")} {
		order := shop.Want[shop.Order](t, http.StatusCreated, timely(t, func() *shop.Answer { return customer.Place(wish) }))
		s.WantPaid(t, order)
	}
	s.WantStock(t, lamp.ID, 2)
	goOn()
	shop.Await(t, 15*time.Second, func() error {
		for range 5 { // as many as close the gateway's breaker, and some more
			if a := customer.With("").Post("/auth/login", customer.Credentials()); a.Status != http.StatusOK {
				return fmt.Errorf("user-service goes on: %s", a)
			}
		}
		return nil
	})
	wantOrdering(t, s)
}
