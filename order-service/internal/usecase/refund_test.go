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

func (s *shop) refund(t *testing.T, wish usecase.RefundOrder) domain.Snapshot {
	t.Helper()
	if wish.Reason == "" {
		wish.Reason = "broken"
	}
	placed, err := s.healthy().Refund(t.Context(), staff, wish)
	if err != nil {
		t.Fatal(err)
	}
	return placed.Order
}

// line returns a line of an order.
func line(t *testing.T, o domain.Snapshot, product uuid.UUID) domain.Item {
	t.Helper()
	for _, item := range o.Items {
		if item.ProductID == product {
			return item
		}
	}
	t.Fatalf("the order has no %s", product)
	return domain.Item{}
}

func TestRefundInParts(t *testing.T) {
	t.Parallel()
	for _, status := range []domain.Status{domain.Confirmed, domain.Processing, domain.Shipped, domain.Delivered} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := s.placedAs(t, domain.Card, status)
			cups := line(t, o, s.cup)
			for _, step := range []struct {
				name    string
				wish    usecase.RefundOrder
				back    int64
				payment domain.PaymentStatus
				status  domain.Status
				cups    int64 // on the shelf
			}{
				{"an amount", usecase.RefundOrder{Amount: 100}, 100, domain.PaymentPartiallyRefunded, status, pieces - 2},
				{"a cup, which comes back", usecase.RefundOrder{Items: []domain.RefundedItem{{ItemID: cups.ID, Quantity: 1}}, Restock: true},
					100 + cupPrice, domain.PaymentPartiallyRefunded, status, pieces - 1},
				{"a cup, which does not", usecase.RefundOrder{Items: []domain.RefundedItem{{ItemID: cups.ID, Quantity: 1}}},
					100 + 2*cupPrice, domain.PaymentPartiallyRefunded, status, pieces - 1},
				{"all that is left", usecase.RefundOrder{Restock: true}, cartTotal, domain.PaymentRefunded, domain.Refunded, pieces - 1},
			} {
				step.wish.OrderID = o.ID
				got := s.refund(t, step.wish)
				if got.Status != step.status || got.Payment.Status != step.payment || got.GivenBack().Amount() != step.back {
					t.Errorf("%s: the order is %s, the payment %s, %v is back", step.name, got.Status, got.Payment.Status, got.GivenBack())
				}
				if last := got.Refunds[len(got.Refunds)-1]; last.By != staff.UserID || last.Reason != "broken" || !last.At.Equal(s.clock.Now()) {
					t.Errorf("%s: %+v", step.name, last)
				}
				if left := s.stock.Available(s.cup); left != step.cups {
					t.Errorf("%s: %d cups are on the shelf, want %d", step.name, left, step.cups)
				}
				s.agrees(t)
				s.work(t, s.healthy(), time.Minute)
				s.agrees(t)
			}
			if last := s.order(t, o.ID).History; last[len(last)-1].By != staff.UserID || last[len(last)-1].Note != "broken" {
				t.Errorf("the history ends with %+v", last[len(last)-1])
			}
			if plans := s.store.Plans(); len(plans) != 0 {
				t.Errorf("still planned: %v", plans)
			}
			_, err := s.healthy().Refund(t.Context(), staff, usecase.RefundOrder{OrderID: o.ID, Reason: "once more"})
			refused(t, err, domain.ErrRefundExceeds)
		})
	}
}

// All pieces are back, and only the delivery is left: there is nothing to put on the shelf.
func TestRefundOfTheDelivery(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	s.refund(t, usecase.RefundOrder{OrderID: o.ID, Restock: true, Items: []domain.RefundedItem{
		{ItemID: line(t, o, s.cup).ID, Quantity: 2}, {ItemID: line(t, o, s.pot).ID, Quantity: 1},
	}})
	wish := usecase.RefundOrder{OrderID: o.ID, Restock: true, Reason: "late"}
	_, err := s.process(CantReach(errAway, "payments.Refund")).Refund(t.Context(), staff, wish)
	if apperr.KindOf(err) != apperr.Unavailable {
		t.Fatal(err)
	}
	got := s.refund(t, wish) // the same again asks how far it is
	if got.Status != domain.Refunded || len(got.Refunds) != 2 || got.Refunds[1].Restock || got.Refunds[1].Amount.Amount() != shippingC {
		t.Errorf("the order is %s, its refunds are %+v", got.Status, got.Refunds)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
}

// One that was written down with nothing to put back, as it was possible once, comes to an end too.
func TestRestockOfNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	_, _, err := s.store.Decide(t.Context(), o.ID, usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		if _, err := o.Refund(domain.RefundWish{ID: uuid.New(), Amount: shippingC, Reason: "late", By: domain.System}, s.clock.Now()); err != nil {
			return usecase.Change{}, err
		}
		kept := o.Snapshot()
		kept.Refunds[0].Restock = true
		*o = *domain.RestoreOrder(kept)
		return usecase.Change{Settle: usecase.Plan{At: s.clock.Now()}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
}

func TestRefundRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	paid := s.placedAs(t, domain.Card, domain.Shipped)
	s.carts.Put(s.customer, usecase.Line{ProductID: s.cup, Quantity: 1})
	unpaid := s.place(t, usecase.PlaceOrder{
		UserID: s.customer, Key: "another", ShippingMethod: "standard", Method: domain.Card, Address: s.wish("").Address,
	}).Order
	cups := line(t, paid, s.cup)
	items := func(quantities ...int64) (items []domain.RefundedItem) {
		for _, n := range quantities {
			items = append(items, domain.RefundedItem{ItemID: cups.ID, Quantity: n})
		}
		return items
	}
	for _, tc := range []struct {
		name     string
		wish     usecase.RefundOrder
		want     *apperr.Error
		location string
	}{
		{"unpaid", usecase.RefundOrder{OrderID: unpaid.ID}, domain.ErrRefundExceeds, ""},
		{"an order that is not", usecase.RefundOrder{OrderID: uuid.New()}, domain.ErrOrderMissing, ""},
		{"a cent too much", usecase.RefundOrder{OrderID: paid.ID, Amount: cartTotal + 1}, domain.ErrRefundExceeds, ""},
		{"a piece too many", usecase.RefundOrder{OrderID: paid.ID, Items: items(3)}, domain.ErrRefundExceeds, "items[0].quantity"},
		{"no piece", usecase.RefundOrder{OrderID: paid.ID, Items: items(0)}, apperr.InvalidField("", ""), "items[0].quantity"},
		{"a line twice", usecase.RefundOrder{OrderID: paid.ID, Items: items(1, 1)}, apperr.InvalidField("", ""), "items[1].item_id"},
		{"another order's line", usecase.RefundOrder{OrderID: paid.ID, Items: []domain.RefundedItem{{ItemID: uuid.New(), Quantity: 1}}},
			apperr.InvalidField("", ""), "items[0].item_id"},
		{"an amount and items", usecase.RefundOrder{OrderID: paid.ID, Amount: 1, Items: items(1)}, apperr.InvalidField("", ""), "amount"},
		{"pieces of an amount", usecase.RefundOrder{OrderID: paid.ID, Amount: 1, Restock: true}, apperr.InvalidField("", ""), "restock"},
	} {
		tc.wish.Reason = "broken"
		_, err := s.healthy().Refund(t.Context(), staff, tc.wish)
		got := refused(t, err, tc.want)
		if tc.location != "" && (len(got.Violations) != 1 || got.Violations[0].Location != tc.location) {
			t.Errorf("%s: violations %v, want one at %s", tc.name, got.Violations, tc.location)
		}
	}
	_, err := s.healthy().Refund(s.ctx(t), s.principal(), usecase.RefundOrder{OrderID: paid.ID, Reason: "please"})
	refused(t, err, domain.ErrOrderMissing)
	s.agrees(t)
}

// All that is left may be said in figures: then all that is left of the pieces comes back.
func TestRefundOfAllInFigures(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	refund := func(wish usecase.RefundOrder) (usecase.Placed, error) {
		wish.OrderID, wish.Reason = o.ID, "broken"
		return s.healthy().Refund(t.Context(), staff, wish)
	}
	cup := []domain.RefundedItem{{ItemID: line(t, o, s.cup).ID, Quantity: 1}}
	if _, err := refund(usecase.RefundOrder{Items: cup, Restock: true}); err != nil {
		t.Fatal(err)
	}
	_, err := refund(usecase.RefundOrder{Amount: cartTotal - cupPrice - 1, Restock: true})
	if e := refused(t, err, apperr.InvalidField("", "")); len(e.Violations) != 1 || e.Violations[0].Location != "restock" {
		t.Errorf("violations %v", e.Violations)
	}
	placed, err := refund(usecase.RefundOrder{Amount: cartTotal - cupPrice, Restock: true})
	if err != nil || placed.Order.Status != domain.Refunded {
		t.Fatalf("%v, the order is %s", err, placed.Order.Status)
	}
	if cups, pots := s.stock.Available(s.cup), s.stock.Available(s.pot); cups != pieces || pots != pieces {
		t.Errorf("%d cups and %d pots are on the shelf, want %d", cups, pots, pieces)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// While the provider is away a refund is under way: its money can't be given back twice, whoever asks how often.
func TestRefundWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, key string
		wish      func(o domain.Snapshot) usecase.RefundOrder
		back      int64
		status    domain.Status
	}{
		{"an amount", "", func(domain.Snapshot) usecase.RefundOrder { return usecase.RefundOrder{Amount: 4000} }, 4000, domain.Delivered},
		{"an amount, with a key", "a key", func(domain.Snapshot) usecase.RefundOrder { return usecase.RefundOrder{Amount: 4000} }, 4000, domain.Delivered},
		{"items", "", func(o domain.Snapshot) usecase.RefundOrder {
			return usecase.RefundOrder{Items: []domain.RefundedItem{{ItemID: o.Items[1].ID, Quantity: 1}}, Restock: true}
		}, 3999, domain.Delivered},
		{"all", "", func(domain.Snapshot) usecase.RefundOrder { return usecase.RefundOrder{Restock: true} }, cartTotal, domain.Refunded},
		{"all, in figures", "", func(domain.Snapshot) usecase.RefundOrder {
			return usecase.RefundOrder{Amount: cartTotal, Restock: true}
		}, cartTotal, domain.Refunded},
		{"all, with a key", "a key", func(domain.Snapshot) usecase.RefundOrder { return usecase.RefundOrder{} }, cartTotal, domain.Refunded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := s.placedAs(t, domain.Card, domain.Delivered)
			away := s.process(CantReach(errAway, "payments.Refund"))
			wish := tc.wish(o)
			wish.Key, wish.OrderID, wish.Reason = tc.key, o.ID, "broken"
			for range 3 {
				_, err := away.Refund(t.Context(), staff, wish)
				if apperr.KindOf(err) != apperr.Unavailable {
					t.Fatalf("%v, want unavailable", err)
				}
			}
			_, err := s.healthy().Refund(t.Context(), staff, usecase.RefundOrder{OrderID: o.ID, Amount: 4000, Reason: "another"})
			refused(t, err, domain.ErrRefundExceeds)
			s.work(t, away, time.Hour)
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if got := s.order(t, o.ID); got.GivenBack().Amount() != tc.back || got.Status != tc.status || len(got.Refunds) != 1 {
				t.Errorf("the order is %s, %v is back, by %d refunds", got.Status, got.GivenBack(), len(got.Refunds))
			}
			if tc.key == "" {
				return
			}
			placed, err := s.healthy().Refund(t.Context(), staff, wish)
			if err != nil || !placed.Replayed || placed.Order.GivenBack().Amount() != tc.back {
				t.Errorf("the key again: %v, replayed %v, %v is back", err, placed.Replayed, placed.Order.GivenBack())
			}
			s.agrees(t)
		})
	}
}

// Somebody gave money back at the provider, so it refuses to give it back once more: the refund has failed for good, which
// staff are told, and what it was to give back may go back another way.
func TestRefundThatTheProviderRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	s.provider.RefundElsewhere(o.ID, 5000)
	wish := usecase.RefundOrder{Key: "a key", OrderID: o.ID, Items: []domain.RefundedItem{{ItemID: line(t, o, s.pot).ID, Quantity: 1}}, Restock: true, Reason: "broken"}
	for i := range 2 {
		_, err := s.healthy().Refund(t.Context(), staff, wish)
		got := refused(t, err, domain.ErrRefundFailed)
		if got.Attributes["order_id"] != o.ID.String() || (got.Attributes[usecase.ReplayedAttribute] == true) != (i > 0) {
			t.Errorf("try %d: attributes %v", i, got.Attributes)
		}
	}
	s.work(t, s.healthy(), time.Minute)
	now := s.order(t, o.ID)
	if now.Payment.Status != domain.PaymentCaptured || now.GivenBack().Amount() != 0 || len(now.Refunds) != 1 || now.Refunds[0].Status != domain.RefundFailed {
		t.Errorf("the payment is %s, refunds %+v", now.Payment.Status, now.Refunds)
	}
	if left := s.stock.Available(s.pot); left != pieces-1 {
		t.Errorf("%d pots are on the shelf: one came back for a refund that was not", left)
	}
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
	// What the provider still has may go back, for the same pot.
	wish.Key = "another key"
	wish.Items, wish.Amount, wish.Restock = nil, cartTotal-5000, false
	s.refund(t, wish)
	if taken, _ := s.provider.Holds(o.ID); taken != 0 {
		t.Errorf("%d is taken", taken)
	}
}

func TestRefundedStatusThatTheProviderRefuses(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	s.provider.RefundElsewhere(o.ID, 1)
	_, err := s.healthy().SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: o.ID, Status: domain.Refunded})
	refused(t, err, domain.ErrRefundFailed)
	if got := s.order(t, o.ID); got.Status != domain.Delivered {
		t.Errorf("the order is %s", got.Status)
	}
}

// The same, and it did so only when it was asked once more: the answer is about the refund that was under way.
func TestRefundedStatusThatTheProviderRefusesLater(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	wish := usecase.SetStatus{OrderID: o.ID, Status: domain.Refunded}
	if _, err := s.process(CantReach(errAway, "payments.Refund")).SetStatus(t.Context(), staff, wish); apperr.KindOf(err) != apperr.Unavailable {
		t.Fatalf("error %v, want unavailable", err)
	}
	s.provider.Keep(true)
	_, err := s.healthy().SetStatus(t.Context(), staff, wish)
	refusal := refused(t, err, domain.ErrRefundFailed)
	got := s.order(t, o.ID)
	if len(got.Refunds) != 1 || refusal.Attributes["refund_id"] != got.Refunds[0].ID.String() || got.Status != domain.Delivered {
		t.Errorf("attributes %v; the order is %s, its refunds %+v", refusal.Attributes, got.Status, got.Refunds)
	}
	s.provider.Keep(false)
	if got, err := s.healthy().SetStatus(t.Context(), staff, wish); err != nil || got.Status != domain.Refunded {
		t.Errorf("then the order is %s, error %v", got.Status, err)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// Set to refunded, the money of a delivered order goes back as soon as it can; until then it is delivered.
func TestRefundedStatusWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	away := s.process(CantReach(errAway, "payments.Refund"))
	for range 2 {
		_, err := away.SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: o.ID, Status: domain.Refunded, Note: "returned"})
		if apperr.KindOf(err) != apperr.Unavailable {
			t.Errorf("%v, want unavailable", err)
		}
	}
	if got := s.order(t, o.ID); got.Status != domain.Delivered || len(got.Refunds) != 1 {
		t.Errorf("the order is %s, refunds %+v", got.Status, got.Refunds)
	}
	s.work(t, s.healthy(), time.Minute)
	if got := s.order(t, o.ID); got.Status != domain.Refunded || got.History[len(got.History)-1].Note != "returned" {
		t.Errorf("the order is %s, its history %+v", got.Status, got.History)
	}
	s.agrees(t)
}

// A cancellation gives back what is left, no more.
func TestCancelOfAPartlyRefundedOrder(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Processing)
	s.refund(t, usecase.RefundOrder{OrderID: o.ID, Items: []domain.RefundedItem{{ItemID: line(t, o, s.cup).ID, Quantity: 1}}, Restock: true})
	s.refund(t, usecase.RefundOrder{OrderID: o.ID, Amount: 1000})
	away := s.process(CantReach(errAway, "payments.Refund"))
	_, err := away.Refund(t.Context(), staff, usecase.RefundOrder{OrderID: o.ID, Amount: 500, Reason: "under way"})
	if apperr.KindOf(err) != apperr.Unavailable {
		t.Fatal(err)
	}
	got, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID, Reason: "enough"})
	if err != nil || got.Order.Status != domain.Cancelled || got.Order.Payment.Status != domain.PaymentRefunded {
		t.Errorf("%v: the order is %s, its payment %s", err, got.Order.Status, got.Order.Payment.Status)
	}
	s.agrees(t)
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
}

// A piece that was refunded and stays away does not come back with the others when the order is cancelled, however often that
// is tried, and by whom: also if nobody has taken the pieces off the shelf yet, or an audit has them released.
func TestCancelKeepsWhatDoesNotComeBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		placed Faults
		cancel Faults
	}{
		{"at once", Faults{}, Faults{}},
		{"the stock is away", Faults{}, CantReach(errAway, "stock.Release")},
		{"the answer of the stock is lost", Faults{}, Faults{After: func(call string) error {
			if call == "stock.Release" {
				return errAway
			}
			return nil
		}}},
		{"before the pieces are taken", CantReach(errAway, "stock.Confirm"), Faults{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			placed, err := s.process(tc.placed).Place(s.ctx(t), s.wish(tokOK))
			if err != nil {
				t.Fatal(err)
			}
			o := s.set(t, placed.Order.ID, domain.Processing)
			s.refund(t, usecase.RefundOrder{OrderID: o.ID, Items: []domain.RefundedItem{{ItemID: line(t, o, s.cup).ID, Quantity: 1}}})
			if _, err := s.process(tc.cancel).Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
				t.Fatal(err)
			}
			s.work(t, s.healthy(), time.Minute)
			for range 2 {
				s.agrees(t)
				if got := s.stock.Available(s.cup); got != pieces-1 {
					t.Errorf("%d cups are on the shelf, want %d", got, pieces-1)
				}
				if got := s.stock.Available(s.pot); got != pieces {
					t.Errorf("%d pots are on the shelf, want %d", got, pieces)
				}
				s.store.PlanAgain(o.ID, s.clock.Now())
				s.work(t, s.healthy(), time.Minute)
			}
		})
	}
}

// The provider refuses to give the money of a cancelled order back: nobody asks for ever, and staff may try another way.
func TestCancelWhoseRefundIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Confirmed)
	s.provider.RefundElsewhere(o.ID, 1)
	got, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID})
	if err != nil || got.Order.Status != domain.Cancelled || got.Order.Payment.Status != domain.PaymentCaptured {
		t.Errorf("%v: the order is %s, its payment %s", err, got.Order.Status, got.Order.Payment.Status)
	}
	if plans := s.store.Plans(); len(plans) != 0 {
		t.Errorf("still planned: %v", plans)
	}
	s.refund(t, usecase.RefundOrder{OrderID: o.ID, Amount: cartTotal - 1})
	if taken, _ := s.provider.Holds(o.ID); taken != 0 {
		t.Errorf("%d is taken", taken)
	}
	if state := s.stock.State(o.ID); state != released {
		t.Errorf("its pieces are %s", state)
	}
}

// Twenty clerks give the same pot back.
func TestRefundAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	pot := line(t, o, s.pot)
	const racers = 20
	errs := make([]error, racers)
	together(racers, func(i int) {
		_, errs[i] = s.healthy().Refund(t.Context(), staff, usecase.RefundOrder{
			Key: uuid.NewString(), OrderID: o.ID, Items: []domain.RefundedItem{{ItemID: pot.ID, Quantity: 1}}, Restock: true, Reason: "broken",
		})
	})
	done := 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case !errors.Is(err, domain.ErrRefundExceeds):
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("%d were refunded", done)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// Wherever a refund is interrupted, a minute later it is done once, with its pieces, and its key knows.
func TestRefundSurvivesAccidents(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*shop, usecase.RefundOrder) {
		s := newShop(t)
		o := s.placedAs(t, domain.Card, domain.Shipped)
		return s, usecase.RefundOrder{
			Key: "refund", OrderID: o.ID, Items: []domain.RefundedItem{{ItemID: line(t, o, s.cup).ID, Quantity: 2}}, Restock: true, Reason: "broken",
		}
	}
	eachAccident(t, func(t *testing.T, f Faults) {
		s, wish := start(t)
		_, _ = s.process(f).Refund(t.Context(), staff, wish)
	}, func(t *testing.T, f Faults) {
		s, wish := start(t)
		first, firstErr := s.process(f).Refund(t.Context(), staff, wish)
		if firstErr == nil && first.Order.GivenBack().Amount() != 2*cupPrice {
			t.Errorf("the answer is that %v is back", first.Order.GivenBack())
		}
		_, _ = s.healthy().Refund(t.Context(), staff, wish) // impatient
		s.work(t, s.healthy(), time.Minute)
		s.agrees(t)
		second, err := s.healthy().Refund(t.Context(), staff, wish)
		if err != nil || second.Order.GivenBack().Amount() != 2*cupPrice {
			t.Errorf("the next try: %v, %v is back", err, second.Order.GivenBack())
		}
		third, err := s.healthy().Refund(t.Context(), staff, wish)
		if err != nil || !third.Replayed {
			t.Errorf("the one after that: %v, replayed %v", err, third.Replayed)
		}
		s.work(t, s.healthy(), time.Minute)
		s.agrees(t)
		if got := s.order(t, wish.OrderID); got.GivenBack().Amount() != 2*cupPrice || len(got.Refunds) != 1 {
			t.Errorf("%v is back, by %d refunds", got.GivenBack(), len(got.Refunds))
		}
		if plans := s.store.Plans(); len(plans) != 0 {
			t.Errorf("still planned: %v", plans)
		}
	})
}

// An amount in another currency than the order's is no amount of it.
func TestRefundInAnotherCurrency(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish(tokOK)).Order
	wish := usecase.RefundOrder{OrderID: o.ID, Amount: 100, Currency: "USD", Reason: "late"}
	_, err := s.healthy().Refund(s.ctx(t), staff, wish)
	if v := refused(t, err, apperr.ValidationFailed()).Violations; len(v) != 1 || v[0].Location != "amount.currency" {
		t.Errorf("violations: %+v", v)
	}
	wish.Currency = "EUR"
	back, err := s.healthy().Refund(s.ctx(t), staff, wish)
	if err != nil || back.Order.GivenBack().Amount() != 100 {
		t.Errorf("given back: %v, error %v", back.Order.GivenBack(), err)
	}
	s.agrees(t)
}

// What was sold and sent stays off the shelf, also when a product-service that was restored from a backup knows nothing of it.
func TestPiecesThatLeftStayOffARestoredShelf(t *testing.T) {
	t.Parallel()
	for name, refunded := range map[string]func(*shop, *testing.T, domain.Snapshot) int64{
		"nothing came back": func(*shop, *testing.T, domain.Snapshot) int64 { return 0 },
		"a cup came back, and is put back once more": func(s *shop, t *testing.T, o domain.Snapshot) int64 {
			s.refund(t, usecase.RefundOrder{OrderID: o.ID, Restock: true, Items: []domain.RefundedItem{{ItemID: line(t, o, s.cup).ID, Quantity: 1}}})
			s.work(t, s.healthy(), time.Minute)
			return 1
		},
		"the money goes back, the pieces do not": func(s *shop, t *testing.T, o domain.Snapshot) int64 {
			if _, err := s.healthy().SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: o.ID, Status: domain.Refunded}); err != nil {
				t.Fatal(err)
			}
			return 0
		},
	} {
		for _, first := range []string{"refunded, then lost", "lost, then refunded", "put back again at the second try"} {
			t.Run(name+", "+first, func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				o := s.placedAs(t, domain.Card, domain.Delivered)
				var back int64
				if first != "lost, then refunded" {
					back = refunded(s, t, o)
				}
				s.stock.Lose(o.ID)
				s.stock.Set(s.cup, pieces)
				s.stock.Set(s.pot, pieces)
				if first == "lost, then refunded" {
					back = refunded(s, t, o)
				}
				s.store.PlanAgain(o.ID, s.clock.Now()) // as a repair does
				if first == "put back again at the second try" {
					s.work(t, s.process(CantReach(errAway, "stock.Restock")), time.Second)
				}
				s.work(t, s.healthy(), time.Hour)
				s.nothingFound(t)
				for _, item := range o.Items {
					want := pieces - item.Quantity
					if item.ProductID == s.cup {
						want += back
					}
					if got := s.stock.Available(item.ProductID); got != want {
						t.Errorf("%d of %s are on the shelf, want %d", got, item.Name, want)
					}
				}
			})
		}
	}
}

// Pieces that were missing, refunded and not put back do not go off the shelf with the cancellation.
func TestCancellationKeepsNothingThatWasMissing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	placed, err := s.process(CantReach(errAway, "stock.Confirm")).Place(s.ctx(t), s.wish(tokOK))
	if err != nil {
		t.Fatal(err)
	}
	o := placed.Order
	s.stock.Expire()
	s.stock.Set(s.cup, 0)
	s.work(t, s.healthy(), time.Hour)
	if s.order(t, o.ID).StockMissingSince.IsZero() {
		t.Fatal("its pieces are not missing")
	}
	s.refund(t, usecase.RefundOrder{OrderID: o.ID, Items: []domain.RefundedItem{{ItemID: line(t, o, s.cup).ID, Quantity: 1}}})
	s.stock.Set(s.cup, pieces)
	if _, err := s.healthy().Cancel(s.ctx(t), staff, usecase.Cancellation{OrderID: o.ID}); err != nil {
		t.Fatal(err)
	}
	s.work(t, s.healthy(), time.Minute)
	if got := s.stock.Available(s.cup); got != pieces {
		t.Errorf("%d cups are on the shelf, want %d", got, pieces)
	}
}

// A sum says which pieces come back only if it is known which ones did before.
func TestRestockInFigures(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	s.refund(t, usecase.RefundOrder{OrderID: o.ID, Amount: cupPrice}) // a lost cup
	rest := usecase.RefundOrder{OrderID: o.ID, Amount: cartTotal - cupPrice, Restock: true, Reason: "returned"}
	if _, err := s.healthy().Refund(t.Context(), staff, rest); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("both cups would be put back: %v", err)
	}
}

// All that is left, said in figures, is not the refund of something else that costs the same.
func TestRefundInFiguresIsNotAnotherOne(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Delivered)
	cups := line(t, o, s.cup)
	part := usecase.RefundOrder{OrderID: o.ID, Items: []domain.RefundedItem{{ItemID: cups.ID, Quantity: cups.Quantity}}, Reason: "broken", Restock: true}
	away := s.process(CantReach(errAway, "payments.Refund"))
	if _, err := away.Refund(t.Context(), staff, part); err == nil {
		t.Fatal("it is done without the provider")
	}
	begun := s.order(t, o.ID).Refunds[0].Amount.Amount()
	if _, err := away.Refund(t.Context(), staff, usecase.RefundOrder{OrderID: o.ID, Amount: begun, Reason: "broken", Restock: true}); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("the same sum, and not all that is left: %v", err)
	}
	if _, err := away.Refund(t.Context(), staff, usecase.RefundOrder{OrderID: o.ID, Amount: cartTotal - begun, Reason: "broken", Restock: true}); err == nil {
		t.Error("it is done without the provider")
	}
	s.work(t, s.healthy(), time.Minute)
	if got := s.order(t, o.ID); len(got.Refunds) != 2 || got.Status != domain.Refunded {
		t.Errorf("the order is %s, with %d refunds", got.Status, len(got.Refunds))
	}
}
