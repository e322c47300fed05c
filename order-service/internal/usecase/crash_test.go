package usecase_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// accident is a kind of fault that can happen at any call.
type accident struct {
	name string
	at   func(n int, c *Counter) Faults
}

var accidents = []accident{
	{"dies after call", DiesAfter},
	{"fails at call", FailsAt},
	{"answer lost at call", AnswerLostAt},
}

// eachAccident runs a test for every accident at every call that an action makes.
func eachAccident(t *testing.T, action func(t *testing.T, f Faults), test func(t *testing.T, f Faults)) {
	t.Helper()
	var counter Counter
	action(t, DiesAfter(math.MaxInt, &counter))
	calls := counter.Calls()
	if calls < 2 {
		t.Fatalf("the action makes %d calls", calls)
	}
	for _, a := range accidents {
		// Dying after the last call means that nobody gets the answer.
		for n := range calls + 1 {
			t.Run(fmt.Sprintf("%s %d of %d", a.name, n, calls), func(t *testing.T) {
				t.Parallel()
				test(t, a.at(n, new(Counter)))
			})
		}
	}
}

// Wherever a checkout is interrupted, and wherever the watchdog that comes after it is, a minute later everything agrees:
// the order is confirmed and paid once, or it is not and nothing is held; and the client's next try learns which.
func TestCheckoutSurvivesAccidents(t *testing.T) {
	t.Parallel()
	for _, scenario := range []struct {
		name   string
		change func(*shop, *usecase.PlaceOrder)
		// ends are the states that the order may end in.
		ends []domain.Status
	}{
		{"by card", func(*shop, *usecase.PlaceOrder) {}, []domain.Status{domain.Confirmed, domain.Cancelled}},
		{"by card, first answer lost", func(_ *shop, w *usecase.PlaceOrder) { w.Token = tokTimeout },
			[]domain.Status{domain.Confirmed, domain.Cancelled}},
		{"by card, declined", func(_ *shop, w *usecase.PlaceOrder) { w.Token = tokDeclined }, []domain.Status{domain.Cancelled}},
		// Nothing stands in the way of these, so they must go on.
		{"on delivery", func(_ *shop, w *usecase.PlaceOrder) { w.Method, w.Token = domain.CashOnDelivery, "" },
			[]domain.Status{domain.Confirmed}},
		{"for nothing", func(s *shop, w *usecase.PlaceOrder) {
			w.Items, w.ShippingMethod = []usecase.Line{{ProductID: s.gift, Quantity: 1}}, "pickup"
		}, []domain.Status{domain.Confirmed}},
		{"to be paid later", func(_ *shop, w *usecase.PlaceOrder) { w.Token = "" }, []domain.Status{domain.Pending}},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			start := func(t *testing.T) (*shop, usecase.PlaceOrder) {
				s := newShop(t)
				wish := s.wish(tokOK)
				scenario.change(s, &wish)
				return s, wish
			}
			eachAccident(t, func(t *testing.T, f Faults) {
				s, wish := start(t)
				_, _ = s.process(f).Place(s.ctx(t), wish) // only to count
			}, func(t *testing.T, f Faults) {
				s, wish := start(t)
				first, firstErr := s.process(f).Place(s.ctx(t), wish)
				s.work(t, s.healthy(), time.Minute)
				settled(t, s, wish, first, firstErr, scenario.ends)
			})
			eachAccident(t, func(t *testing.T, f Faults) {
				s, wish := start(t)
				_, _ = s.process(f).Place(s.ctx(t), wish)
			}, func(t *testing.T, f Faults) {
				// The client is quicker than the watchdog: it tries again at once, and then when the lease must be over.
				s, wish := start(t)
				first, firstErr := s.process(f).Place(s.ctx(t), wish)
				_, _ = s.healthy().Place(s.ctx(t), wish)
				s.clock.Advance(20 * time.Second)
				_, _ = s.healthy().Place(s.ctx(t), wish)
				s.work(t, s.healthy(), time.Minute)
				settled(t, s, wish, first, firstErr, scenario.ends)
			})
			// The watchdog dies, too: after each of its calls, for each call that the checkout died after. Ten are more than
			// either makes.
			for n := range 10 {
				for m := range 10 {
					t.Run(fmt.Sprintf("dies after call %d, the watchdog after %d", n, m), func(t *testing.T) {
						t.Parallel()
						s, wish := start(t)
						first, firstErr := s.process(DiesAfter(n, new(Counter))).Place(s.ctx(t), wish)
						s.clock.Advance(20 * time.Second)
						s.work(t, s.process(DiesAfter(m, new(Counter))), 3*time.Second)
						s.work(t, s.healthy(), time.Minute)
						settled(t, s, wish, first, firstErr, scenario.ends)
					})
				}
			}
		})
	}
}

// settled checks what is left a minute after an accident, and what the client learns.
func settled(t *testing.T, s *shop, wish usecase.PlaceOrder, first usecase.Placed, firstErr error, ends []domain.Status) {
	t.Helper()
	s.agrees(t)
	before := s.orders(t)
	if len(before) > 1 {
		t.Fatalf("%d orders", len(before))
	}
	answer := func() (usecase.Placed, error) { return s.healthy().Place(s.ctx(t), wish) }
	second, secondErr := answer()
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
	third, thirdErr := answer()

	orders := s.orders(t)
	if len(orders) != 1 {
		t.Fatalf("%d orders", len(orders))
	}
	o := orders[0]
	ended := false
	for _, status := range ends {
		ended = ended || o.Status == status
	}
	if !ended {
		t.Errorf("the order is %s, want one of %v", o.Status, ends)
	}
	want := 0
	if o.Status == domain.Confirmed && o.Payment.Method == domain.Card && o.Total.Amount() > 0 {
		want = 1
	}
	if got := s.provider.Captures(); got != want {
		t.Errorf("%d charges, want %d", got, want)
	}
	if len(before) == 1 && (before[0].ID != o.ID || before[0].Status != o.Status) {
		t.Errorf("the client's next try has made %s of %s", o.Status, before[0].Status)
	}
	if o.Status == domain.Confirmed && len(wish.Items) == 0 && len(s.carts.Of(s.customer)) != 0 {
		t.Error("what was bought is still in the cart")
	}
	if o.Status != domain.Confirmed && len(s.carts.Of(s.customer)) != 2 {
		t.Error("the cart has lost what was not bought")
	}

	// What the client learned the first time, if anything final, is true; and each later time it learns the same.
	check := func(name string, got usecase.Placed, err error) {
		t.Helper()
		switch {
		case err == nil && got.Settling:
		case err == nil:
			if got.Order.ID != o.ID || got.Order.Status != o.Status || o.Status == domain.Cancelled {
				t.Errorf("the %s answer is an order that is %s; it is %s", name, got.Order.Status, o.Status)
			}
		case apperr.KindOf(err) == apperr.PaymentFailed || apperr.ReasonOf(err) == domain.ErrInterrupted.Reason:
			if o.Status != domain.Cancelled {
				t.Errorf("the %s answer is %v; the order is %s", name, err, o.Status)
			}
		}
	}
	check("first", first, firstErr)
	check("second", second, secondErr)
	check("third", third, thirdErr)
	if second.Settling && len(before) == 1 || third.Settling {
		t.Error("a minute was not enough to know what has become of the order")
	}
	if !second.Settling && (apperr.ReasonOf(secondErr) != apperr.ReasonOf(thirdErr) || second.Order.ID != third.Order.ID) {
		t.Errorf("the second answer is %v, %v, the third %v, %v", second.Order.Status, secondErr, third.Order.Status, thirdErr)
	}
	if (o.Status == domain.Cancelled) != (thirdErr != nil) {
		t.Errorf("the order is %s; the third answer is the error %v", o.Status, thirdErr)
	}
}

func TestPaySurvivesAccidents(t *testing.T) {
	t.Parallel()
	for _, token := range []string{tokOK, tokDeclined, tokTimeout} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			start := func(t *testing.T) (*shop, usecase.PayOrder) {
				s := newShop(t)
				return s, usecase.PayOrder{OrderID: s.place(t, s.wish("")).Order.ID, Method: domain.Card, Token: token}
			}
			eachAccident(t, func(t *testing.T, f Faults) {
				s, wish := start(t)
				_, _ = s.process(f).Pay(s.ctx(t), s.principal(), wish)
			}, func(t *testing.T, f Faults) {
				s, wish := start(t)
				_, _ = s.process(f).Pay(s.ctx(t), s.principal(), wish)
				_, _ = s.healthy().Pay(s.ctx(t), s.principal(), wish) // the customer is impatient
				s.work(t, s.healthy(), time.Minute)
				s.agrees(t)
				_, _ = s.healthy().Pay(s.ctx(t), s.principal(), wish)
				s.work(t, s.healthy(), time.Minute)
				s.agrees(t)
				o := s.order(t, wish.OrderID)
				if want := map[domain.Status]int{domain.Confirmed: 1}[o.Status]; s.provider.Captures() != want {
					t.Errorf("the order is %s: %d charges", o.Status, s.provider.Captures())
				}
				if o.Status == domain.Confirmed && token == tokDeclined {
					t.Error("a declined card has paid")
				}
				s.work(t, s.healthy(), domain.PaymentWindow)
				s.agrees(t)
				if s.order(t, wish.OrderID).Status == domain.Pending {
					t.Error("the order is never given up")
				}
			})
		})
	}
}

func TestCancelSurvivesAccidents(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		method domain.PaymentMethod
		token  string
		work   time.Duration
	}{
		{"just paid", domain.Card, tokOK, 0},
		{"paid, and followed up", domain.Card, tokOK, time.Minute},
		{"on delivery", domain.CashOnDelivery, "", time.Minute},
		{"unpaid", domain.Card, "", time.Minute},
		{"not settled, the money promised", domain.Card, tokTimeout, 0},
		{"not settled, the provider has not heard of it", domain.Card, tokLost, 0},
		{"not settled, pending at the provider", domain.Card, tokLate, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			start := func(t *testing.T) (*shop, usecase.Cancellation) {
				s := newShop(t)
				wish := s.wish(tc.token)
				wish.Method = tc.method
				o := s.place(t, wish).Order
				s.work(t, s.healthy(), tc.work)
				return s, usecase.Cancellation{OrderID: o.ID, Reason: "I don't want it"}
			}
			eachAccident(t, func(t *testing.T, f Faults) {
				s, wish := start(t)
				_, _ = s.process(f).Cancel(s.ctx(t), s.principal(), wish)
			}, func(t *testing.T, f Faults) {
				s, wish := start(t)
				first, firstErr := s.process(f).Cancel(s.ctx(t), s.principal(), wish)
				if firstErr == nil && first.Order.Status != domain.Cancelled {
					t.Errorf("the answer is an order that is %s", first.Order.Status)
				}
				s.work(t, s.healthy(), time.Minute)
				if o := s.order(t, wish.OrderID); o.Status != domain.Pending || tc.token != tokLate {
					s.agrees(t) // else the wish was not heard, and the provider is still thinking
				}
				if firstErr == nil && s.order(t, wish.OrderID).Status != domain.Cancelled {
					t.Error("the order is not cancelled, though the customer was told")
				}
				second, err := s.healthy().Cancel(s.ctx(t), s.principal(), wish)
				if err != nil || second.Order.Status != domain.Cancelled {
					t.Errorf("the next try: %s, %v", second.Order.Status, err)
				}
				s.work(t, s.healthy(), time.Minute)
				s.agrees(t)
				if plans := s.store.Plans(); len(plans) != 0 {
					t.Errorf("still planned: %v", plans)
				}
			})
		})
	}
}
