package usecase_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// set moves an order on, which must succeed.
func (s *shop) set(t *testing.T, id uuid.UUID, status domain.Status) domain.Snapshot {
	t.Helper()
	o, err := s.healthy().SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: id, Status: status})
	if err != nil {
		t.Fatalf("%s: %v", status, err)
	}
	return o
}

// placedAs returns an order of the cart, paid by a method, that has come to a status.
func (s *shop) placedAs(t *testing.T, method domain.PaymentMethod, status domain.Status) domain.Snapshot {
	t.Helper()
	wish := s.wish(map[domain.PaymentMethod]string{domain.Card: tokOK}[method])
	wish.Method = method
	o := s.place(t, wish).Order
	s.work(t, s.healthy(), time.Minute)
	for _, next := range []domain.Status{domain.Processing, domain.Shipped, domain.Delivered} {
		if o.Status == status {
			break
		}
		o = s.set(t, o.ID, next)
	}
	return o
}

func TestSetStatus(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish(tokOK)).Order
	for _, step := range []struct {
		status         domain.Status
		note, tracking string
		wantTracking   string
	}{
		{domain.Processing, "box 7", "", ""},
		{domain.Shipped, "", "https://parcel.example/1", "https://parcel.example/1"},
		{domain.Delivered, "", "", "https://parcel.example/1"},
	} {
		wish := usecase.SetStatus{OrderID: o.ID, Status: step.status, Note: step.note, Tracking: step.tracking, IfVersion: new(o.Version)}
		got, err := s.healthy().SetStatus(t.Context(), staff, wish)
		if err != nil {
			t.Fatal(err)
		}
		last := got.History[len(got.History)-1]
		if diff := cmp.Diff(domain.HistoryEntry{Status: step.status, At: s.clock.Now(), By: staff.UserID, Note: step.note}, last); diff != "" {
			t.Errorf("%s: history (-want +got):\n%s", step.status, diff)
		}
		if got.Status != step.status || got.Tracking != step.wantTracking {
			t.Errorf("the order is %s, tracking %q; want %s, %q", got.Status, got.Tracking, step.status, step.wantTracking)
		}
		// Once more it is no step, and what comes with it is not lost in silence.
		wish.Note, wish.Tracking = "once more", "elsewhere"
		if _, err := s.healthy().SetStatus(t.Context(), staff, wish); !errors.Is(err, domain.ErrVersion) {
			t.Errorf("%s twice, at the old version: %v", step.status, err)
		}
		wish.IfVersion = nil
		_, err = s.healthy().SetStatus(t.Context(), staff, wish)
		refused(t, err, errTransition)
		if diff := cmp.Diff(got, s.order(t, o.ID), moneyIsAValue); diff != "" {
			t.Errorf("%s twice changes the order:\n%s", step.status, diff)
		}
		o = got
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// Every step that is not on the way, from every state.
func TestSetStatusRefuses(t *testing.T) {
	t.Parallel()
	allowed := map[domain.Status][]domain.Status{
		domain.Pending:    {domain.Cancelled},
		domain.Confirmed:  {domain.Processing, domain.Cancelled},
		domain.Processing: {domain.Shipped, domain.Cancelled},
		domain.Shipped:    {domain.Delivered},
		domain.Delivered:  {domain.Refunded},
		domain.Cancelled:  nil,
		domain.Refunded:   nil,
	}
	for from, next := range allowed {
		for to := range allowed {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				var o domain.Snapshot
				switch from {
				case domain.Pending:
					o = s.place(t, s.wish("")).Order
				case domain.Cancelled, domain.Refunded:
					o = s.set(t, s.placedAs(t, domain.Card, map[domain.Status]domain.Status{
						domain.Cancelled: domain.Processing, domain.Refunded: domain.Delivered,
					}[from]).ID, from)
				default:
					o = s.placedAs(t, domain.Card, from)
				}
				got, err := s.healthy().SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: o.ID, Status: to})
				wanted := false
				for _, n := range next {
					wanted = wanted || n == to
				}
				switch {
				case wanted && (err != nil || got.Status != to):
					t.Errorf("%v, the order is %s", err, got.Status)
				case !wanted:
					if e := refused(t, err, errTransition); e.Attributes["order_status"] != string(from) {
						t.Errorf("attributes %v", e.Attributes)
					}
					if now := s.order(t, o.ID); now.Version != o.Version {
						t.Errorf("the order has changed: %+v", now)
					}
				}
				s.work(t, s.healthy(), time.Minute)
				s.agrees(t)
			})
		}
	}
}

func TestSetStatusOfWhom(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish(tokOK)).Order
	for _, tc := range []struct {
		name string
		do   func() error
		want error
	}{
		{"the customer", func() error {
			_, err := s.healthy().SetStatus(s.ctx(t), s.principal(), usecase.SetStatus{OrderID: o.ID, Status: domain.Processing})
			return err
		}, domain.ErrOrderMissing},
		{"an old version", func() error {
			_, err := s.healthy().SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: o.ID, Status: domain.Processing, IfVersion: new(o.Version - 1)})
			return err
		}, domain.ErrVersion},
		{"an old version, to cancel", func() error {
			_, err := s.healthy().SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: o.ID, Status: domain.Cancelled, IfVersion: new(o.Version - 1)})
			return err
		}, domain.ErrVersion},
		{"an order that is not", func() error {
			_, err := s.healthy().SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: uuid.New(), Status: domain.Processing})
			return err
		}, domain.ErrOrderMissing},
	} {
		if err := tc.do(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	if got := s.order(t, o.ID); got.Version != o.Version {
		t.Errorf("the order has changed: %+v", got)
	}
}

// What follows from the confirmation is done for an order that staff were quicker with.
func TestFollowUpOfAParcelOnItsWay(t *testing.T) {
	t.Parallel()
	for _, status := range []domain.Status{domain.Processing, domain.Shipped, domain.Delivered, domain.Refunded} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			busy := s.process(CantReach(errAway, "stock.Confirm", "carts.RemovePurchased"))
			placed, err := busy.Place(s.ctx(t), s.wish(tokOK))
			if err != nil {
				t.Fatal(err)
			}
			for _, next := range []domain.Status{domain.Processing, domain.Shipped, domain.Delivered, domain.Refunded} {
				s.set(t, placed.Order.ID, next)
				if next == status {
					break
				}
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if got := s.carts.Of(s.customer); len(got) != 0 {
				t.Errorf("in the cart: %v", got)
			}
		})
	}
}

// A customer who was told of a cart long ago keeps what was put in since, whatever becomes of the order.
func TestCartIsEmptiedOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	s.clock.Advance(60 * 24 * time.Hour)
	s.carts.Forget() // as the cart service does after a time
	s.carts.Put(s.customer, usecase.Line{ProductID: s.cup, Quantity: 1})
	s.set(t, o.ID, domain.Refunded)
	s.work(t, s.healthy(), time.Minute)
	if got := s.carts.Of(s.customer); len(got) != 1 {
		t.Errorf("in the cart: %v", got)
	}
}

// Cash is taken at the door, and given back by staff, not by a provider.
func TestCashOnDelivery(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.CashOnDelivery, domain.Shipped)
	if o.Payment.Status != domain.PaymentPending {
		t.Errorf("on its way, the payment is %s", o.Payment.Status)
	}
	_, err := s.healthy().Refund(t.Context(), staff, usecase.RefundOrder{OrderID: o.ID, Reason: "late"})
	refused(t, err, domain.ErrRefundExceeds)
	if o = s.set(t, o.ID, domain.Delivered); o.Payment.Status != domain.PaymentCaptured {
		t.Errorf("delivered, the payment is %s", o.Payment.Status)
	}
	placed, err := s.healthy().Refund(t.Context(), staff, usecase.RefundOrder{OrderID: o.ID, Amount: 100, Reason: "scratched"})
	if o = placed.Order; err != nil || o.Status != domain.Delivered || o.Payment.Status != domain.PaymentPartiallyRefunded || o.GivenBack().Amount() != 100 {
		t.Errorf("%v: the order is %s, the payment %s, %v is back", err, o.Status, o.Payment.Status, o.GivenBack())
	}
	if o = s.set(t, o.ID, domain.Refunded); o.Status != domain.Refunded || o.Payment.Status != domain.PaymentRefunded {
		t.Errorf("the order is %s, the payment %s", o.Status, o.Payment.Status)
	}
	if s.provider.Calls() != 0 {
		t.Error("the provider was asked")
	}
}

// An order that costs nothing has no money to go back.
func TestRefundedWithoutMoney(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := s.wish("")
	wish.Items, wish.ShippingMethod = []usecase.Line{{ProductID: s.gift, Quantity: 1}}, "pickup"
	o := s.place(t, wish).Order
	for _, next := range []domain.Status{domain.Processing, domain.Shipped, domain.Delivered, domain.Refunded} {
		o = s.set(t, o.ID, next)
	}
	if o.Status != domain.Refunded || o.Payment.Status != domain.PaymentNone {
		t.Errorf("the order is %s, the payment %s", o.Status, o.Payment.Status)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// The pieces of a paid order are gone: nobody asks for them every second for ever, and one alarm is raised.
func TestStockOfAPaidOrderIsGone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	busy := s.process(CantReach(errAway, "stock.Confirm"))
	placed, err := busy.Place(s.ctx(t), s.wish(tokOK))
	if err != nil {
		t.Fatal(err)
	}
	s.stock.Expire()
	s.stock.Set(s.cup, 0)
	alarms, asked := 0, 0
	worker := s.watched(&alarms, Faults{Before: func(call string) error {
		if call == "stock.Confirm" {
			asked++
		}
		return nil
	}})
	s.work(t, worker, 24*time.Hour)
	if alarms != 1 {
		t.Errorf("%d alarms, want 1", alarms)
	}
	// Twice as long each time from half a minute up to an hour, and every hour then.
	if asked < 24 || asked > 40 {
		t.Errorf("the stock was asked %d times in a day", asked)
	}
	if got := s.order(t, placed.Order.ID); got.Status != domain.Confirmed || got.StockMissingSince.IsZero() {
		t.Errorf("the order is %s, its stock missing since %v", got.Status, got.StockMissingSince)
	}
	if got := s.carts.Of(s.customer); len(got) != 0 {
		t.Errorf("in the cart: %v", got)
	}

	t.Run("and comes back", func(t *testing.T) {
		s.stock.Set(s.cup, pieces)
		s.work(t, worker, time.Hour+time.Minute)
		s.agrees(t)
		if got := s.order(t, placed.Order.ID); !got.StockMissingSince.IsZero() {
			t.Errorf("missing since %v", got.StockMissingSince)
		}
		if plans := s.store.Plans(); len(plans) != 0 {
			t.Errorf("still planned: %v", plans)
		}
	})
}

// What product-service knows nothing of is taken anew; if it is not there, the pieces are missing, as any others.
func TestStockOfAPaidOrderIsForgotten(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.paidOrder(t)
	s.forget(o)
	s.stock.Set(s.cup, 1)
	s.store.PlanAgain(o.ID, s.clock.Now())
	s.work(t, s.healthy(), time.Hour)
	if got := s.order(t, o.ID); got.StockMissingSince.IsZero() {
		t.Error("the pieces are not missing")
	}
	s.stock.Set(s.cup, pieces)
	s.work(t, s.healthy(), 2*time.Hour)
	if got := s.order(t, o.ID); !got.StockMissingSince.IsZero() {
		t.Errorf("missing since %v", got.StockMissingSince)
	}
	s.agrees(t)
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
}

// All the money of an order is back whose pieces were missing: when there are some again, they are not taken for nobody.
func TestRefundOfAnOrderWhoseStockIsGone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		gone    func(*shop, domain.Snapshot)
		known   bool // that they are missing, when the money goes back
		restock bool
	}{
		{"sold to others", func(s *shop, _ domain.Snapshot) { s.stock.Expire() }, true, false},
		{"sold to others, to be put back", func(s *shop, _ domain.Snapshot) { s.stock.Expire() }, true, true},
		{"sold to others, which is not known yet", func(s *shop, _ domain.Snapshot) { s.stock.Expire() }, false, true},
		{"forgotten", func(s *shop, o domain.Snapshot) { s.stock.Lose(o.ID) }, true, false},
		{"forgotten, which is not known yet", func(s *shop, o domain.Snapshot) { s.stock.Lose(o.ID) }, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			busy := s.process(CantReach(errAway, "stock.Confirm"))
			placed, err := busy.Place(s.ctx(t), s.wish(tokOK))
			if err != nil {
				t.Fatal(err)
			}
			tc.gone(s, placed.Order)
			s.stock.Set(s.cup, 0)
			if tc.known {
				s.work(t, s.healthy(), time.Hour)
			}
			s.refund(t, usecase.RefundOrder{OrderID: placed.Order.ID, Restock: tc.restock})
			s.work(t, s.healthy(), time.Minute)
			s.stock.Set(s.cup, pieces)
			for range 2 {
				s.nothingFound(t)
				if got := s.order(t, placed.Order.ID); got.Status != domain.Refunded || !got.StockMissingSince.IsZero() {
					t.Errorf("the order is %s, its pieces missing since %v", got.Status, got.StockMissingSince)
				}
				if cups, pots := s.stock.Available(s.cup), s.stock.Available(s.pot); cups != pieces || pots != pieces {
					t.Errorf("%d cups and %d pots are on the shelf, want all %d", cups, pots, pieces)
				}
				if plans := s.store.Plans(); len(plans) != 0 {
					t.Errorf("still planned: %v", plans)
				}
				s.store.PlanAgain(placed.Order.ID, s.clock.Now()) // as a repair does
				s.work(t, s.healthy(), time.Minute)
			}
		})
	}
}

func TestCancelOfAnOrderWhoseStockIsGone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	placed, err := s.process(CantReach(errAway, "stock.Confirm")).Place(s.ctx(t), s.wish(tokOK))
	if err != nil {
		t.Fatal(err)
	}
	s.stock.Expire()
	s.stock.Set(s.cup, 0)
	s.work(t, s.healthy(), time.Hour)
	s.stock.Set(s.cup, pieces)
	s.set(t, placed.Order.ID, domain.Cancelled)
	s.work(t, s.healthy(), time.Hour)
	s.agrees(t)
}
