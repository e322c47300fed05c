package usecase_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/auth"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		method  domain.PaymentMethod
		token   string
		work    time.Duration
		by      func(*shop) auth.Principal
		payment domain.PaymentStatus
	}{
		{"unpaid", domain.Card, "", 0, (*shop).principal, domain.PaymentNone},
		{"just paid", domain.Card, tokOK, 0, (*shop).principal, domain.PaymentRefunded},
		{"paid, its pieces taken off the shelf", domain.Card, tokOK, time.Minute, (*shop).principal, domain.PaymentRefunded},
		{"on delivery", domain.CashOnDelivery, "", time.Minute, (*shop).principal, domain.PaymentVoided},
		{"not settled, the money promised", domain.Card, tokTimeout, 0, (*shop).principal, domain.PaymentVoided},
		{"not settled, the provider has not heard of it", domain.Card, tokLost, 0, (*shop).principal, domain.PaymentVoided},
		{"by staff", domain.Card, tokOK, time.Minute, func(*shop) auth.Principal { return staff }, domain.PaymentRefunded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := s.wish(tc.token)
			wish.Method = tc.method
			id := s.place(t, wish).Order.ID
			s.work(t, s.healthy(), tc.work)

			by := tc.by(s)
			got, err := s.healthy().Cancel(s.ctx(t), by, usecase.Cancellation{OrderID: id, Reason: "too blue"})
			if err != nil {
				t.Fatal(err)
			}
			if got.Order.Status != domain.Cancelled || got.Order.Payment.Status != tc.payment {
				t.Errorf("the order is %s, its payment %s; want it cancelled, %s", got.Order.Status, got.Order.Payment.Status, tc.payment)
			}
			if last := got.Order.History[len(got.Order.History)-1]; last.By != by.UserID || last.Note != "too blue" {
				t.Errorf("the history ends with %+v", last)
			}
			s.agrees(t) // at once
			if plans := s.store.Plans(); len(plans) != 0 {
				t.Errorf("still planned: %v", plans)
			}
			again, err := s.healthy().Cancel(s.ctx(t), by, usecase.Cancellation{OrderID: id, Reason: "too green", IfVersion: new(int64(1))})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, again, moneyIsAValue); diff != "" {
				t.Errorf("cancelling it twice changes it:\n%s", diff)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
		})
	}
}

func TestCancelRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish(tokOK)).Order
	for _, tc := range []struct {
		name string
		by   auth.Principal
		wish usecase.Cancellation
		want error
	}{
		{"another customer", stranger, usecase.Cancellation{OrderID: o.ID}, domain.ErrOrderMissing},
		{"another customer who knows the version", stranger, usecase.Cancellation{OrderID: o.ID, IfVersion: new(o.Version)}, domain.ErrOrderMissing},
		{"an order that is not", s.principal(), usecase.Cancellation{OrderID: uuid.New()}, domain.ErrOrderMissing},
		{"an old version", s.principal(), usecase.Cancellation{OrderID: o.ID, IfVersion: new(o.Version - 1)}, domain.ErrVersion},
		{"a version to come", staff, usecase.Cancellation{OrderID: o.ID, IfVersion: new(o.Version + 1)}, domain.ErrVersion},
	} {
		if _, err := s.healthy().Cancel(s.ctx(t), tc.by, tc.wish); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if got := s.order(t, o.ID); got.Status != domain.Confirmed || got.Version != o.Version {
		t.Errorf("the order is %s, version %d", got.Status, got.Version)
	}
	if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID, IfVersion: new(o.Version)}); err != nil {
		t.Errorf("the right version: %v", err)
	}
}

// While an order is being worked on, its customer is told so, and to others it is not there.
func TestWhileBusy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var own, others, othersPay error
	slow := s.process(Faults{Before: func(call string) error {
		if call == "payments.Capture" {
			id := s.orders(t)[0].ID
			_, own = s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: id})
			_, others = s.healthy().Cancel(s.ctx(t), stranger, usecase.Cancellation{OrderID: id})
			_, othersPay = s.healthy().Pay(s.ctx(t), stranger, usecase.PayOrder{OrderID: id, Method: domain.Card, Token: tokOK})
		}
		return nil
	}})
	placed, err := slow.Place(s.ctx(t), s.wish(tokOK))
	if err != nil || placed.Order.Status != domain.Confirmed {
		t.Errorf("the checkout: %v, %s", err, placed.Order.Status)
	}
	refused(t, own, domain.ErrBusy)
	refused(t, others, domain.ErrOrderMissing)
	refused(t, othersPay, domain.ErrOrderMissing)
}

// The customer's answer does not depend on whether stock and money can be given back at once, or on who else looks at the
// order then. Neither waits for the other.
func TestCancelWhileOthersAreAway(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		call, token string
		stock       string
		now, then   domain.PaymentStatus
	}{
		{"stock.Release", tokOK, sold, domain.PaymentRefunded, domain.PaymentRefunded},
		{"stock.Release", tokTimeout, active, domain.PaymentVoided, domain.PaymentVoided},
		{"payments.Refund", tokOK, released, domain.PaymentCaptured, domain.PaymentRefunded},
		{"payments.Reverse", tokTimeout, released, domain.PaymentPending, domain.PaymentVoided},
	} {
		t.Run(tc.call+" "+tc.token, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := s.place(t, s.wish(tc.token)).Order
			away := s.process(CantReach(errAway, tc.call))
			got, err := away.Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID})
			if err != nil || got.Order.Status != domain.Cancelled || got.Order.Payment.Status != tc.now {
				t.Errorf("%v, the order is %s, its payment %s, want %s", err, got.Order.Status, got.Order.Payment.Status, tc.now)
			}
			if state := s.stock.State(o.ID); state != tc.stock {
				t.Errorf("its pieces are %s, want %s", state, tc.stock)
			}
			s.work(t, away, time.Hour)
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if got := s.order(t, o.ID).Payment.Status; got != tc.then {
				t.Errorf("its payment is %s, want %s", got, tc.then)
			}
			if plans := s.store.Plans(); len(plans) != 0 {
				t.Errorf("still planned: %v", plans)
			}
		})
	}
}

// The money of a cancelled order was taken, which nobody has written down, and the provider refuses to give it back: that is a
// refund that failed. Nobody asks for ever, staff are told, and may try once more.
func TestCancelOfAnUnrecordedCaptureThatStays(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]func(t *testing.T, s *shop) (id uuid.UUID){
		"the answer was lost": func(t *testing.T, s *shop) uuid.UUID {
			lost := s.process(Faults{After: func(call string) error {
				if call == "payments.Capture" {
					return errAway
				}
				return nil
			}})
			placed, err := lost.Place(s.ctx(t), s.wish(tokOK))
			if err != nil || !placed.Settling {
				t.Fatalf("settling %v, error %v", placed.Settling, err)
			}
			s.provider.Keep(true)
			if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: placed.Order.ID}); err != nil {
				t.Fatal(err)
			}
			return placed.Order.ID
		},
		"it turned up later": func(t *testing.T, s *shop) uuid.UUID {
			o := unsettled(t, s, tokLate)
			if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
				t.Fatal(err)
			}
			s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
			s.provider.Keep(true)
			s.event(t, o.ID)
			return o.ID
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			id := takes(t, s)
			s.work(t, s.healthy(), time.Minute)
			if plans := s.store.Plans(); len(plans) != 0 {
				t.Errorf("still planned: %v", plans)
			}
			got := s.order(t, id)
			if got.Status != domain.Cancelled || got.Payment.Status != domain.PaymentCaptured || got.Payment.Reference == "" ||
				len(got.Refunds) != 1 || got.Refunds[0].Status != domain.RefundFailed || got.Refunds[0].Amount != got.Total {
				t.Errorf("the order is %s, its payment %+v, its refunds %+v", got.Status, got.Payment, got.Refunds)
			}
			a := s.auditor(Faults{})
			a.rounds(t, 4*settle)
			if found := a.open(t); len(found) != 1 || found[0].Kind != domain.RefundRefused {
				t.Errorf("found %+v, want one %s", found, domain.RefundRefused)
			}
			s.provider.Keep(false)
			if got := s.refund(t, usecase.RefundOrder{OrderID: id}); got.Payment.Status != domain.PaymentRefunded {
				t.Errorf("then its payment is %s", got.Payment.Status)
			}
			s.work(t, s.healthy(), time.Minute)
			if taken, held := s.provider.Holds(id); taken != 0 || held || s.stock.State(id) != released {
				t.Errorf("%d is taken, promised: %v; its pieces are %s", taken, held, s.stock.State(id))
			}
			s.nothingFound(t)
		})
	}
}

// Cancelled in the moment between the confirmation and what follows from it: the pieces must not be taken after all.
func TestCancelBeatsTheFollowUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish(tokOK)).Order
	slow := s.process(Faults{Before: func(call string) error {
		if call == "stock.Confirm" {
			if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
				t.Error(err)
			}
		}
		return nil
	}})
	s.work(t, slow, time.Minute)
	s.agrees(t)
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
}
