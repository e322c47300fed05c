package usecase_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// unsettled buys with a token whose outcome is not known at once.
func unsettled(t *testing.T, s *shop, token string) domain.Snapshot {
	t.Helper()
	placed := s.place(t, s.wish(token))
	if !placed.Settling || placed.Order.Status != domain.Pending {
		t.Fatalf("settling %v, the order is %s", placed.Settling, placed.Order.Status)
	}
	return placed.Order
}

func TestAnswerOfTheProviderIsLost(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokTimeout)
	s.work(t, s.healthy(), 10*time.Second)
	if got := s.order(t, o.ID); got.Status != domain.Confirmed || got.Payment.Status != domain.PaymentCaptured {
		t.Errorf("the order is %s, its payment %s", got.Status, got.Payment.Status)
	}
	s.agrees(t)
	if again := s.place(t, s.wish(tokTimeout)); !again.Replayed || again.Order.ID != o.ID || again.Order.Status != domain.Confirmed {
		t.Errorf("the client's next try: %+v", again)
	}
	if got := s.carts.Of(s.customer); len(got) != 0 {
		t.Errorf("in the cart: %v", got)
	}
}

// A client that tries again at once need not wait for the watchdog.
func TestClientSettles(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokTimeout)
	again := s.place(t, s.wish(tokTimeout))
	if !again.Replayed || again.Order.ID != o.ID || again.Order.Status != domain.Confirmed || s.provider.Captures() != 1 {
		t.Errorf("%d charges, %+v", s.provider.Captures(), again)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

func TestProviderNeverGotIt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokLost)
	s.work(t, s.healthy(), 10*time.Second)
	if got := s.order(t, o.ID); got.Status != domain.Cancelled || got.Payment.Status != domain.PaymentVoided {
		t.Errorf("the order is %s, its payment %s", got.Status, got.Payment.Status)
	}
	s.agrees(t)
	_, err := s.healthy().Place(s.ctx(t), s.wish(tokLost))
	if got := refused(t, err, domain.ErrInterrupted); got.Attributes["order_id"] != o.ID.String() {
		t.Errorf("attributes %v", got.Attributes)
	}
	// The first call, which was on its way all the time, arrives: too late.
	payment, err := s.provider.Authorize(t.Context(), domain.RestoreOrder(o).PaymentKey(), o.ID, o.Total, tokOK)
	if err != nil || payment.Status != usecase.ProviderVoided {
		t.Errorf("the late call: %+v, %v", payment, err)
	}
	if got := len(s.carts.Of(s.customer)); got != 2 {
		t.Errorf("%d lines are in the cart, want 2", got)
	}
}

func TestLatePayment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		becomes usecase.ProviderStatus
		want    domain.Status
	}{
		{"authorized", usecase.ProviderAuthorized, domain.Confirmed},
		{"declined", usecase.ProviderDeclined, domain.Cancelled},
		{"never decided", usecase.ProviderPending, domain.Cancelled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := unsettled(t, s, tokLate)
			s.work(t, s.healthy(), 10*time.Minute)
			if got := s.order(t, o.ID); got.Status != domain.Pending || s.stock.State(o.ID) != active {
				t.Fatalf("the order is %s, its reservation %s", got.Status, s.stock.State(o.ID))
			}
			if again := s.place(t, s.wish(tokLate)); !again.Settling || !again.Replayed {
				t.Errorf("the client's next try: %+v", again)
			}
			s.provider.DecideLate(tc.becomes)
			span := 10 * time.Second
			if tc.becomes == usecase.ProviderPending {
				span = domain.PaymentWindow
			}
			s.work(t, s.healthy(), span)
			if got := s.order(t, o.ID).Status; got != tc.want {
				t.Errorf("the order is %s, want %s", got, tc.want)
			}
			s.agrees(t)
		})
	}
}

func TestUnpaidOrderIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish("")).Order
	s.work(t, s.healthy(), domain.PaymentWindow-time.Second)
	if got := s.order(t, o.ID).Status; got != domain.Pending {
		t.Fatalf("a second before its time the order is %s", got)
	}
	s.agrees(t)
	s.work(t, s.healthy(), 2*time.Second)
	got := s.order(t, o.ID)
	if got.Status != domain.Cancelled || got.Payment.Status != domain.PaymentNone {
		t.Errorf("the order is %s, its payment %s", got.Status, got.Payment.Status)
	}
	if last := got.History[len(got.History)-1]; last.By != domain.System || last.Note == "" {
		t.Errorf("the history ends with %+v", last)
	}
	s.agrees(t)
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
	_, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: tokOK})
	if err == nil {
		t.Error("what was given up can be paid")
	}
}

// Looking at an order too early, too often or for nothing changes nothing.
func TestSettleWhenThereIsNothingToDo(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if wait, err := s.healthy().Settle(t.Context(), uuid.New()); wait != 0 || err != nil {
		t.Errorf("an order that is not: %v, %v", wait, err)
	}
	waiting := s.place(t, s.wish("")).Order
	paid := s.wish(tokOK)
	paid.Key = "paid"
	bought := s.place(t, paid).Order
	for range 3 {
		for _, want := range []domain.Snapshot{waiting, bought} {
			if wait, err := s.healthy().Settle(t.Context(), want.ID); wait != 0 || err != nil {
				t.Errorf("%s: %v, %v", want.Status, wait, err)
			}
			if got := s.order(t, want.ID); got.Version != want.Version {
				t.Errorf("%s: version %d, want %d", want.Status, got.Version, want.Version)
			}
		}
	}
	if at := s.store.Plans()[waiting.ID]; !at.Equal(noon.Add(domain.PaymentWindow)) {
		t.Errorf("the end of the unpaid order is planned at %v", at)
	}
	s.agrees(t)
}

func TestSettleWaitsForTheDriver(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var (
		wait time.Duration
		err  error
	)
	slow := s.process(Faults{Before: func(call string) error {
		if call == "payments.Capture" {
			wait, err = s.healthy().Settle(t.Context(), s.orders(t)[0].ID)
		}
		return nil
	}})
	placed, placeErr := slow.Place(s.ctx(t), s.wish(tokOK))
	if placeErr != nil || placed.Order.Status != domain.Confirmed {
		t.Errorf("the driver: %v, %s", placeErr, placed.Order.Status)
	}
	if wait <= 0 || err != nil {
		t.Errorf("the watchdog: %v, %v; want to come again", wait, err)
	}
}

// A driver that was silent for too long is overtaken, and answers with what has become of the order meanwhile.
func TestOvertakenDriver(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		at   string
		want domain.Status
	}{
		{"payments.Authorize", domain.Cancelled}, // the watchdog finds no payment, and makes sure that there will be none
		{"payments.Capture", domain.Confirmed},
	} {
		t.Run(tc.at, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			slept := false
			slow := s.process(Faults{Before: func(call string) error {
				if call == tc.at && !slept {
					slept = true
					s.work(t, s.healthy(), time.Minute)
				}
				return nil
			}})
			first, firstErr := slow.Place(s.ctx(t), s.wish(tokOK))
			second, secondErr := s.healthy().Place(s.ctx(t), s.wish(tokOK))
			o := s.orders(t)[0]
			if o.Status != tc.want {
				t.Errorf("the order is %s, want %s", o.Status, tc.want)
			}
			if tc.want == domain.Cancelled {
				refused(t, firstErr, domain.ErrInterrupted)
				refused(t, secondErr, domain.ErrInterrupted)
			} else if firstErr != nil || secondErr != nil || first.Order.ID != o.ID || second.Order.ID != o.ID ||
				first.Order.Status != tc.want || second.Order.Status != tc.want {
				t.Errorf("answers %+v, %v and %+v, %v", first.Order, firstErr, second.Order, secondErr)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
		})
	}
}

// The provider was away for so long that the reservation has ended and the pieces were sold: what the provider holds is
// given back, whoever is first to go on with the order.
func TestPiecesAreGoneMeanwhile(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"the watchdog", "the client"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := unsettled(t, s, tokTimeout)
			s.stock.Expire()
			s.stock.Set(s.cup, 0)
			if who == "the client" {
				_, err := s.healthy().Place(s.ctx(t), s.wish(tokTimeout))
				refused(t, err, domain.ErrInterrupted)
			}
			s.work(t, s.healthy(), time.Minute)
			if got := s.order(t, o.ID); got.Status != domain.Cancelled {
				t.Errorf("the order is %s", got.Status)
			}
			if taken, held := s.provider.Holds(o.ID); taken != 0 || held {
				t.Errorf("%d is taken, promised: %v", taken, held)
			}
			_, err := s.healthy().Place(s.ctx(t), s.wish(tokTimeout))
			refused(t, err, domain.ErrInterrupted)
		})
	}
}

// The same, and the stock can't be asked at first: an order whose money somebody may hold is not forgotten.
func TestPiecesAreGoneAndTheStockIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokTimeout)
	s.stock.Expire()
	s.stock.Set(s.cup, 0)
	away := true
	shaky := s.process(Faults{Before: func(call string) error {
		if call == "stock.Reserve" && away {
			away = false
			return errAway
		}
		return nil
	}})
	for range 2 {
		_, err := shaky.Place(s.ctx(t), s.wish(tokTimeout))
		refused(t, err, domain.ErrOutOfStock)
	}
	s.work(t, s.healthy(), time.Minute)
	if got := s.order(t, o.ID); got.Status != domain.Cancelled {
		t.Errorf("the order is %s", got.Status)
	}
	if taken, held := s.provider.Holds(o.ID); taken != 0 || held {
		t.Errorf("%d is taken, promised: %v", taken, held)
	}
}

// A checkout stopped while it asked for the stock, and when another goes on with it the stock is gone. The first question,
// which was on its way all the time, arrives: it must not keep pieces for an order that nobody will ever end.
func TestReserveArrivesTooLate(t *testing.T) {
	t.Parallel()
	for _, method := range []domain.PaymentMethod{domain.Card, domain.CashOnDelivery} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := s.wish("")
			wish.Method = method
			dying := s.process(CantReach(errDead, "stock.Reserve", "orders.Decide"))
			if _, err := dying.Place(s.ctx(t), wish); err == nil {
				t.Fatal("the first process lives")
			}
			o := s.orders(t)[0]
			s.stock.Set(s.cup, 0)
			s.work(t, s.healthy(), time.Minute)
			_, err := s.healthy().Place(s.ctx(t), wish)
			refused(t, err, domain.ErrOutOfStock)

			s.stock.Set(s.cup, pieces)
			if err := s.stock.Reserve(t.Context(), o.ID, usecase.FirstLease.Epoch, []usecase.Line{{ProductID: s.cup, Quantity: 2}}, time.Hour); err == nil {
				t.Error("pieces are promised to an order that is over")
			}
			s.agrees(t)
		})
	}
}

// The watchdog is overtaken, and who overtook it dies: somebody has to look again, for the order has no other plan.
func TestOvertakenWatchdogLooksAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := s.wish("")
	dies := CantReach(errDead, "stock.Reserve", "orders.Decide")
	if _, err := s.process(dies).Place(s.ctx(t), wish); err == nil {
		t.Fatal("the first process lives")
	}
	id := s.orders(t)[0].ID
	s.clock.Advance(time.Minute)
	slept := false
	slow := s.process(Faults{Before: func(call string) error {
		if call == "stock.Reserve" && !slept {
			slept = true
			s.clock.Advance(time.Minute)
			if _, err := s.process(CantReach(errDead, "stock.Reserve")).Place(s.ctx(t), wish); err == nil {
				t.Error("the second process lives")
			}
		}
		return nil
	}})
	if wait, err := slow.Settle(t.Context(), id); wait == 0 && err == nil {
		t.Error("the watchdog thinks that nothing is left to do for an order that nobody has finished")
	}
}

// What an error hides is asked for again: a watchdog that can't read what it has done must not believe it is finished.
func TestSettleCantReadTheOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokLate)
	reads := 0
	blind := s.process(Faults{Before: func(call string) error {
		if call == "orders.Order" {
			if reads++; reads == 2 {
				return errAway
			}
		}
		return nil
	}})
	if wait, err := blind.Settle(t.Context(), o.ID); err == nil && wait == 0 {
		t.Error("the watchdog thinks that nothing is left to do for an order that is being paid")
	}
}

// An order that is paid on delivery waits for no provider: somebody looks again soon.
func TestCashOrderWaitsForNoProvider(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := s.wish("")
	wish.Method = domain.CashOnDelivery
	dies := CantReach(errDead, "stock.Reserve", "orders.Decide")
	if _, err := s.process(dies).Place(s.ctx(t), wish); err == nil {
		t.Fatal("the first process lives")
	}
	id := s.orders(t)[0].ID
	s.clock.Advance(time.Minute)
	slept := false
	slow := s.process(Faults{Before: func(call string) error {
		if call == "stock.Reserve" && !slept { // overtaken by one that dies
			slept = true
			s.clock.Advance(time.Minute)
			if _, err := s.process(CantReach(errDead, "stock.Reserve")).Place(s.ctx(t), wish); err == nil {
				t.Error("the second process lives")
			}
		}
		return nil
	}})
	if wait, err := slow.Settle(t.Context(), id); err != nil || wait == 0 || wait > 10*time.Second {
		t.Errorf("it is looked at again in %v, error %v", wait, err)
	}
	s.clock.Advance(time.Minute)
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// Taking over an order that is finished meanwhile must not lock it.
func TestTakeOverOfAFinishedOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokTimeout)
	finished := false
	late := s.process(Faults{Before: func(call string) error {
		if call == "orders.Decide" && !finished {
			finished = true
			s.place(t, s.wish(tokTimeout))
		}
		return nil
	}})
	if _, err := late.Settle(t.Context(), o.ID); err != nil {
		t.Error(err)
	}
	if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); errors.Is(err, domain.ErrBusy) {
		t.Error("the order is locked, and nobody works on it")
	}
}

// An order is discarded while others are on their way to it: they learn why.
func TestDiscardedMeanwhile(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (s *shop, wish usecase.PlaceOrder, id uuid.UUID) {
		s = newShop(t)
		wish = s.wish("")
		wish.Method = domain.CashOnDelivery
		dying := s.process(CantReach(errDead, "stock.Reserve", "orders.Decide"))
		if _, err := dying.Place(s.ctx(t), wish); err == nil {
			t.Fatal("the first process lives")
		}
		s.clock.Advance(time.Minute) // its lease is over
		s.stock.Set(s.cup, 0)
		return s, wish, s.orders(t)[0].ID
	}
	// overtaken is a process that is slow at a call, the first time: meanwhile another discards the order.
	overtaken := func(t *testing.T, s *shop, wish usecase.PlaceOrder, at string) *usecase.Checkout {
		slept := false
		return s.process(Faults{Before: func(call string) error {
			if call == at && !slept {
				slept = true
				s.clock.Advance(time.Minute)
				_, err := s.healthy().Place(s.ctx(t), wish)
				refused(t, err, domain.ErrOutOfStock)
			}
			return nil
		}})
	}
	for _, at := range []string{"orders.Decide", "stock.Reserve"} {
		t.Run("the client at "+at, func(t *testing.T) {
			t.Parallel()
			s, wish, _ := setup(t)
			_, err := overtaken(t, s, wish, at).Place(s.ctx(t), wish)
			refused(t, err, domain.ErrOutOfStock)
		})
	}
	t.Run("the watchdog", func(t *testing.T) {
		t.Parallel()
		s, wish, id := setup(t)
		if wait, err := overtaken(t, s, wish, "orders.Decide").Settle(t.Context(), id); wait != 0 || err != nil {
			t.Errorf("%v, %v; want nothing left to do", wait, err)
		}
	})
}
