package usecase_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/auth"
)

// unpaid returns an order that waits to be paid, and the wish to pay it.
func unpaid(t *testing.T, s *shop, token string) usecase.PayOrder {
	t.Helper()
	return usecase.PayOrder{OrderID: s.place(t, s.wish("")).Order.ID, Method: domain.Card, Token: token}
}

func TestPay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		method  domain.PaymentMethod
		token   string
		payment domain.PaymentStatus
		taken   int64
	}{
		{"by card", domain.Card, tokOK, domain.PaymentCaptured, cartTotal},
		{"on delivery after all", domain.CashOnDelivery, "", domain.PaymentPending, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := unpaid(t, s, tc.token)
			wish.Method = tc.method
			placed, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
			if err != nil {
				t.Fatal(err)
			}
			if placed.Order.Status != domain.Confirmed || placed.Order.Payment.Status != tc.payment || placed.Settling {
				t.Errorf("%+v", placed)
			}
			if taken, _ := s.provider.Holds(wish.OrderID); taken != tc.taken {
				t.Errorf("%d was taken, want %d", taken, tc.taken)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if got := s.carts.Of(s.customer); len(got) != 0 {
				t.Errorf("in the cart: %v", got)
			}
			_, err = s.healthy().Pay(s.ctx(t), s.principal(), wish)
			refused(t, err, domain.ErrNotPayable)
		})
	}
}

func TestPayAgainAfterADecline(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := unpaid(t, s, tokDeclined)
	for i := range 3 {
		_, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
		if got := refused(t, err, domain.ErrPaymentDeclined); got.Attributes["order_id"] != wish.OrderID.String() {
			t.Errorf("attributes %v", got.Attributes)
		}
		o := s.order(t, wish.OrderID)
		if o.Status != domain.Pending || o.Payment.Status != domain.PaymentFailed || o.Payment.Attempt != i+1 {
			t.Errorf("the order is %s, its payment %+v", o.Status, o.Payment)
		}
		s.work(t, s.healthy(), time.Minute)
		s.agrees(t)
	}
	wish.Token = tokOK
	placed, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
	if err != nil || placed.Order.Status != domain.Confirmed {
		t.Errorf("another card: %v, %s", err, placed.Order.Status)
	}
	s.work(t, s.healthy(), time.Hour)
	s.agrees(t)
}

// A declined try does not give the customer more time.
func TestDeclinedOrderIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := unpaid(t, s, tokDeclined)
	s.work(t, s.healthy(), domain.PaymentWindow-time.Second)
	_, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
	refused(t, err, domain.ErrPaymentDeclined)
	s.work(t, s.healthy(), 2*time.Second)
	if got := s.order(t, wish.OrderID).Status; got != domain.Cancelled {
		t.Errorf("the order is %s", got)
	}
	s.agrees(t)
}

func TestPayAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := unpaid(t, s, tokOK)
	const racers = 20
	errs := make([]error, racers)
	together(racers, func(i int) { _, errs[i] = s.healthy().Pay(s.ctx(t), s.principal(), wish) })
	paid := 0
	for _, err := range errs {
		switch {
		case err == nil:
			paid++
		case !errors.Is(err, domain.ErrBusy) && !errors.Is(err, domain.ErrNotPayable):
			t.Error(err)
		}
	}
	if paid != 1 || s.provider.Captures() != 1 {
		t.Errorf("%d have paid, with %d charges", paid, s.provider.Captures())
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

func TestPayRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		before func(*testing.T, *shop, *usecase.PayOrder)
		caller func(*shop) auth.Principal
		want   error
	}{
		{"another customer", nil, func(*shop) auth.Principal { return stranger }, domain.ErrOrderMissing},
		{"staff", nil, func(*shop) auth.Principal { return staff }, domain.ErrOrderMissing},
		{"an order that is not", func(_ *testing.T, _ *shop, w *usecase.PayOrder) { w.OrderID = uuid.New() }, nil, domain.ErrOrderMissing},
		{"a cancelled order", func(t *testing.T, s *shop, w *usecase.PayOrder) {
			if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: w.OrderID}); err != nil {
				t.Fatal(err)
			}
		}, nil, domain.ErrNotPayable},
		{"too late, though nobody has given it up yet", func(_ *testing.T, s *shop, _ *usecase.PayOrder) {
			s.clock.Advance(domain.PaymentWindow)
		}, nil, domain.ErrNotPayable},
		{"while it is being paid", func(t *testing.T, s *shop, w *usecase.PayOrder) {
			if _, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: w.OrderID, Method: domain.Card, Token: tokLate}); err != nil {
				t.Fatal(err)
			}
		}, nil, domain.ErrNotPayable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := unpaid(t, s, tokOK)
			if tc.before != nil {
				tc.before(t, s, &wish)
			}
			caller := s.principal()
			if tc.caller != nil {
				caller = tc.caller(s)
			}
			if _, err := s.healthy().Pay(s.ctx(t), caller, wish); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if s.provider.Captures() != 0 {
				t.Error("money was taken")
			}
		})
	}
}

func TestPayWhenThePiecesAreGone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := unpaid(t, s, tokOK)
	s.stock.Expire()
	s.stock.Set(s.cup, 0)
	_, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
	refused(t, err, domain.ErrOutOfStock)
	s.work(t, s.healthy(), time.Minute)
	if o := s.order(t, wish.OrderID); o.Status != domain.Cancelled || s.provider.Captures() != 0 || s.stock.State(o.ID) != released {
		t.Errorf("the order is %s, %d charges, its reservation %s", o.Status, s.provider.Captures(), s.stock.State(o.ID))
	}
}
