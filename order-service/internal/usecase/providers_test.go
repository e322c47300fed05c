package usecase_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
)

// another is a provider beside the one of the shop.
type another struct{ *usecasetest.FakeProvider }

func (another) Name() string { return "another" }

// switched is a process of a shop that has another provider for new payments; others are those that it knows besides.
func (s *shop) switched(to another, others ...usecase.Payments) *usecase.Checkout {
	parts := s.parts(Faults{})
	parts.Payments, parts.OtherPayments = to, others
	return usecase.NewCheckout(parts)
}

// What was paid at the provider of before is cancelled and refunded there.
func TestOrdersOfTheProviderBefore(t *testing.T) {
	t.Parallel()
	s, next := newShop(t), another{usecasetest.NewFakeProvider()}
	paid := s.place(t, s.wish(tokOK)).Order
	process := s.switched(next, s.provider)
	wish := usecase.RefundOrder{OrderID: paid.ID, Amount: 100, Reason: "scratched"}
	if _, err := process.Refund(s.ctx(t), staff, wish); err != nil {
		t.Fatal(err)
	}
	cancelled, err := process.Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: paid.ID})
	if err != nil || cancelled.Order.Payment.Status != domain.PaymentRefunded {
		t.Errorf("its payment is %s, error %v; want it refunded", cancelled.Order.Payment.Status, err)
	}
	if n := next.Calls(); n != 0 {
		t.Errorf("the other provider was asked for %d keys", n)
	}
	s.work(t, process, time.Minute)
	s.agrees(t)
}

// A checkout that the switch has interrupted goes on where it began; what begins after it does so at the new one.
func TestCheckoutAcrossTheSwitch(t *testing.T) {
	t.Parallel()
	s, next := newShop(t), another{usecasetest.NewFakeProvider()}
	o := unsettled(t, s, tokLate)
	s.provider.DecideLate(usecase.ProviderAuthorized)
	process := s.switched(next, s.provider)
	s.work(t, process, time.Minute)
	if got := s.order(t, o.ID); got.Status != domain.Confirmed || next.Calls() != 0 {
		t.Errorf("the order is %s, and the other provider was asked for %d keys", got.Status, next.Calls())
	}
	s.agrees(t)

	wish := s.wish(tokOK)
	wish.Key, wish.Items = "new", []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	placed, err := process.Place(s.ctx(t), wish)
	if err != nil {
		t.Fatal(err)
	}
	taken, _ := next.Holds(placed.Order.ID)
	if placed.Order.Payment.Provider != "another" || taken != placed.Order.Total.Amount() {
		t.Errorf("it is paid at %q, which has taken %d; want another, and %d", placed.Order.Payment.Provider, taken, placed.Order.Total.Amount())
	}
}

// Orders of a provider that is not configured any more wait until it is: nobody else is asked, and none ends as if nothing had
// been taken.
func TestProviderThatIsNotConfigured(t *testing.T) {
	t.Parallel()
	s, next := newShop(t), another{usecasetest.NewFakeProvider()}
	paid := s.place(t, s.wish(tokOK)).Order
	half := unsettledBeside(t, s, tokTimeout) // the money is promised
	process := s.switched(next)
	s.work(t, process, 10*time.Minute)
	if got := s.order(t, half); got.Status != domain.Pending || got.Payment.Status != domain.PaymentPending {
		t.Errorf("the order is %s, its payment %s; want both pending", got.Status, got.Payment.Status)
	}
	_, err := process.Refund(s.ctx(t), staff, usecase.RefundOrder{OrderID: paid.ID, Amount: 100, Reason: "scratched"})
	if apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("refund: %v, want unavailable", err)
	}
	cancelled, err := process.Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: paid.ID})
	if err != nil || cancelled.Order.Payment.Status == domain.PaymentRefunded || cancelled.Order.Payment.Status == domain.PaymentVoided {
		t.Errorf("its payment is %s, error %v", cancelled.Order.Payment.Status, err)
	}
	s.work(t, process, 10*time.Minute)
	if n := next.Calls(); n != 0 {
		t.Errorf("the other provider was asked for %d keys", n)
	}

	s.work(t, s.switched(next, s.provider), 30*time.Minute) // it has waited for 20 minutes, so the next look may be as late
	if got := s.order(t, half); got.Status != domain.Confirmed {
		t.Errorf("with the provider back the order is %s, want confirmed", got.Status)
	}
	if got := s.order(t, paid.ID); got.Payment.Status != domain.PaymentRefunded {
		t.Errorf("with the provider back the cancelled order's payment is %s, want refunded", got.Payment.Status)
	}
	s.agrees(t)
}

// An order that waits for a provider to be configured is looked at less and less often, and is a finding that no look repairs.
func TestWaitForAProviderToBeConfigured(t *testing.T) {
	t.Parallel()
	for name, cancel := range map[string]bool{"being paid": false, "cancelled": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := unsettled(t, s, tokTimeout)
			if cancel {
				s.change(t, o.ID, usecase.Plan{}, func(o *domain.Order) error { return o.Cancel(domain.System, "", s.clock.Now()) })
			}
			process := s.switched(another{usecasetest.NewFakeProvider()})
			began, since := s.clock.Now(), s.order(t, o.ID).UpdatedAt
			for _, tc := range []struct{ after, want time.Duration }{
				{10 * time.Second, 30 * time.Second}, {10 * time.Minute, 10 * time.Minute}, {5 * time.Hour, time.Hour},
			} {
				s.clock.Advance(began.Add(tc.after).Sub(s.clock.Now()))
				got, err := process.Settle(t.Context(), o.ID)
				if want := max(tc.want, min(s.clock.Now().Sub(since), time.Hour)); err != nil || got != want {
					t.Errorf("after %v: again in %v, error %v; want %v", tc.after, got, err, want)
				}
			}
			a := s.auditor(Faults{})
			a.audit.Payments = nil
			a.rounds(t, 2*settle)
			found := a.open(t)
			if len(found) != 1 || found[0].Kind != domain.OrderStuck || found[0].Repairable {
				t.Fatalf("found %+v, want that it is stuck, and takes a human", found)
			}
			_, err := a.findings.Repair(t.Context(), found[0].ID)
			refused(t, err, domain.ErrFindingNotRepairable)
		})
	}
}

// Money that comes late for an attempt that was given up before the switch goes back from where it was taken.
func TestLateMoneyAtTheProviderBefore(t *testing.T) {
	t.Parallel()
	s, next := newShop(t), another{usecasetest.NewFakeProvider()}
	o := s.place(t, s.wish("")).Order
	pay := func(c *usecase.Checkout, token string) error {
		_, err := c.Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: token})
		return err
	}
	refused(t, pay(s.healthy(), tokDeclined), domain.ErrPaymentDeclined)
	process := s.switched(next, s.provider)
	if err := pay(process, tokOK); err != nil {
		t.Fatal(err)
	}
	s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
	if err := process.CheckPayments(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	if taken, promised := s.provider.Holds(o.ID); taken != 0 || promised {
		t.Errorf("the provider before has %d and a promise: %v", taken, promised)
	}
	if taken, _ := next.Holds(o.ID); taken != o.Total.Amount() || s.order(t, o.ID).Status != domain.Confirmed {
		t.Errorf("the order is %s, and %d of %d taken for it", s.order(t, o.ID).Status, taken, o.Total.Amount())
	}
}

// away is a provider that answers nothing.
type away struct{ another }

func (away) Reverse(context.Context, string) (usecase.ProviderPayment, error) {
	return usecase.ProviderPayment{}, errAway
}

// A provider that is away, and has nothing to do with an order, does not keep its money from going back.
func TestLateMoneyWhileAnotherProviderIsAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish("")).Order
	for range 2 {
		_, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: tokDeclined})
		refused(t, err, domain.ErrPaymentDeclined)
	}
	s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
	parts := s.parts(Faults{})
	parts.Payments, parts.OtherPayments = away{another{usecasetest.NewFakeProvider()}}, []usecase.Payments{s.provider}
	if err := usecase.NewCheckout(parts).CheckPayments(t.Context(), o.ID); !errors.Is(err, errAway) {
		t.Errorf("error %v, want %v, so that the queue comes back", err, errAway)
	}
	if taken, promised := s.provider.Holds(o.ID); taken != 0 || promised {
		t.Errorf("%d is taken and a promise held: %v", taken, promised)
	}
}

// unsettledBeside is unsettled for a second order of the customer.
func unsettledBeside(t *testing.T, s *shop, token string) uuid.UUID {
	t.Helper()
	wish := s.wish(token)
	wish.Key, wish.Items = "beside", []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	placed := s.place(t, wish)
	if !placed.Settling {
		t.Fatalf("the order is settled: %+v", placed)
	}
	return placed.Order.ID
}
