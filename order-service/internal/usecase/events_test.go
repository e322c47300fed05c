package usecase_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// event has the payments of an order looked at, as an event of the provider does.
func (s *shop) event(t *testing.T, order uuid.UUID) {
	t.Helper()
	if err := s.store.PlanCheck(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	for _, id := range s.store.DueChecks() {
		if err := s.healthy().CheckPayments(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}

// An event ends the wait for a late payment; without one, the watchdog asks.
func TestEventOfALatePayment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokLate)
	s.event(t, o.ID) // too soon: it is still pending
	if got := s.order(t, o.ID); got.Status != domain.Pending {
		t.Fatalf("the order is %s, want pending", got.Status)
	}
	s.provider.DecideLate(usecase.ProviderAuthorized)
	for range 3 { // told again and again
		s.event(t, o.ID)
		if got := s.order(t, o.ID); got.Status != domain.Confirmed {
			t.Fatalf("the order is %s, want confirmed", got.Status)
		}
	}
	if n := s.provider.Captures(); n != 1 {
		t.Errorf("money was taken %d times", n)
	}
	s.agrees(t)
}

// An event looks once, whatever comes of it: the order's own plan goes on looking, and not one more for each event.
func TestEventOfWhatOthersWaitFor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokLate)
	for range 3 {
		s.event(t, o.ID)
	}
	cancelling := s.process(CantReach(errAway, "payments.Reverse"))
	if _, err := cancelling.Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := cancelling.CheckPayments(t.Context(), o.ID); err != nil {
			t.Error(err)
		}
	}
	if plans := s.store.Plans(); len(plans) != 1 {
		t.Errorf("planned: %v", plans)
	}
	s.work(t, s.healthy(), 10*time.Second)
	s.agrees(t)
}

// Money that comes when the order was given up goes back, whatever the order was told before.
func TestMoneyForACancelledOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status usecase.ProviderStatus
		want   domain.PaymentStatus
	}{
		"promised": {usecase.ProviderAuthorized, domain.PaymentVoided},
		"pending":  {usecase.ProviderPending, domain.PaymentVoided},
		"taken":    {usecase.ProviderCaptured, domain.PaymentRefunded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := unsettled(t, s, tokLate)
			if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
				t.Fatal(err)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			s.provider.SucceedAfterAll(o.ID, tc.status)
			for range 2 {
				s.event(t, o.ID)
				s.agrees(t)
			}
			if got := s.order(t, o.ID); got.Status != domain.Cancelled || got.Payment.Status != tc.want {
				t.Errorf("the order is %s and its payment %s, want cancelled and %s", got.Status, got.Payment.Status, tc.want)
			}
		})
	}
}

// A declined attempt that succeeds after all is not kept beside the one that paid the order, nor for an order that nobody has
// paid.
func TestMoneyForAnAttemptThatFailed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := s.wish("")
	o := s.place(t, wish).Order
	pay := func(token string) error {
		_, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: token})
		return err
	}
	refused(t, pay(tokDeclined), domain.ErrPaymentDeclined)
	s.provider.SucceedAfterAll(o.ID, usecase.ProviderAuthorized)
	s.event(t, o.ID)
	if taken, promised := s.provider.Holds(o.ID); taken != 0 || promised {
		t.Errorf("%d is taken and a promise held: %v, for an order that nobody has paid", taken, promised)
	}
	if err := pay(tokOK); err != nil {
		t.Fatal(err)
	}
	s.provider.SucceedAfterAll(o.ID, usecase.ProviderAuthorized) // the first one, once more
	s.event(t, o.ID)
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
	if got := s.order(t, o.ID); got.Status != domain.Confirmed || got.Payment.Status != domain.PaymentCaptured {
		t.Errorf("the order is %s and its payment %s, want confirmed and captured", got.Status, got.Payment.Status)
	}
}

// What an earlier attempt took goes back as it was taken, whatever the order costs by now; and if the provider refuses that, nobody
// asks for ever: audits tell of it.
func TestMoneyForAnAttemptOfAnotherAmount(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{false, true} {
		s := newShop(t)
		o := s.place(t, s.wish("")).Order
		pay := func(token string) error {
			_, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: token})
			return err
		}
		refused(t, pay(tokDeclined), domain.ErrPaymentDeclined)
		if _, err := s.healthy().RemoveItem(s.ctx(t), s.principal(), usecase.RemoveItem{OrderID: o.ID, ItemID: line(t, o, s.pot).ID}); err != nil {
			t.Fatal(err)
		}
		if err := pay(tokOK); err != nil {
			t.Fatal(err)
		}
		s.work(t, s.healthy(), time.Minute)
		s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
		s.provider.Keep(keeps)
		s.event(t, o.ID)
		if !keeps {
			s.agrees(t)
			continue
		}
		a := s.auditor(Faults{})
		a.rounds(t, 4*settle)
		if found := a.open(t); len(found) != 1 || found[0].Kind != domain.CaptureWithoutOrder {
			t.Errorf("found %+v, want one %s", found, domain.CaptureWithoutOrder)
		}
	}
}

// While the provider is away the look at it fails, and is planned again by the queue.
func TestEventWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := unsettled(t, s, tokLate)
	if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
		t.Fatal(err)
	}
	s.work(t, s.healthy(), time.Minute)
	s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
	away := errors.New("away")
	process := s.process(Faults{Before: func(call string) error {
		if call == "payments.Reverse" {
			return away
		}
		return nil
	}})
	if err := process.CheckPayments(t.Context(), o.ID); !errors.Is(err, away) {
		t.Fatalf("error %v, want %v", err, away)
	}
	s.event(t, o.ID)
	s.agrees(t)
	if err := s.healthy().CheckPayments(t.Context(), uuid.New()); err != nil {
		t.Errorf("an order that is not there: %v", err)
	}
}

// An order that was declined by card and then was to be paid in cash has nothing at any provider when it is cancelled but what the
// first attempt left.
func TestMoneyForACancelledCashOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish("")).Order
	pay := func(method domain.PaymentMethod, token string) error {
		_, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: method, Token: token})
		return err
	}
	refused(t, pay(domain.Card, tokDeclined), domain.ErrPaymentDeclined)
	if err := pay(domain.CashOnDelivery, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
		t.Fatal(err)
	}
	s.work(t, s.healthy(), time.Minute)
	s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
	s.event(t, o.ID)
	if taken, promised := s.provider.Holds(o.ID); taken != 0 || promised {
		t.Errorf("%d is taken and a promise held: %v", taken, promised)
	}
	if got := s.order(t, o.ID); got.Status != domain.Cancelled || got.Payment.Status != domain.PaymentVoided {
		t.Errorf("the order is %s and its payment %s, want cancelled and voided", got.Status, got.Payment.Status)
	}
}

// While the provider is known to be away nothing is begun that needs it, and all else goes on.
func TestProviderIsKnownToBeAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	unpaid := s.wish("")
	unpaid.Key = "later"
	later := s.place(t, unpaid).Order
	s.provider.Away(apperr.DependencyUnavailable(errors.New("breaker open")))
	if _, err := s.healthy().Place(s.ctx(t), s.wish(tokOK)); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("place: %v, want unavailable", err)
	}
	if _, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: later.ID, Method: domain.Card, Token: tokOK}); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("pay: %v, want unavailable", err)
	}
	if all := s.orders(t); len(all) != 1 || all[0].Payment.Attempt != 0 || s.provider.Calls() != 0 {
		t.Errorf("%d orders, and %d calls of the provider; want the first order alone, as it was", len(all), s.provider.Calls())
	}
	s.agrees(t)
	cash := s.wish("")
	cash.Method, cash.Key, cash.Items = domain.CashOnDelivery, "cash", []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	if got := s.place(t, cash).Order; got.Status != domain.Confirmed {
		t.Errorf("an order that is paid on delivery is %s", got.Status)
	}
	s.provider.Away(nil)
	if got := s.place(t, s.wish(tokOK)).Order; got.Status != domain.Confirmed { // the same key: nothing was kept under it
		t.Errorf("when it is back the order is %s", got.Status)
	}
	s.agrees(t)
}
