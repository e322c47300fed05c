package domain_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// paidOrder is an order of any lines, prices and discount that was paid by card.
func paidOrder(t *rapid.T) *domain.Order {
	eur := func(amount int64) money.Money { return money.MustNew(amount, "EUR") }
	items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) domain.Item {
		return domain.Item{
			ProductID: uuid.New(), SKU: "A", Name: "A",
			Quantity:  rapid.Int64Range(1, domain.MaxQuantity).Draw(t, "quantity"),
			UnitPrice: eur(rapid.OneOf(rapid.Int64Range(0, 50), rapid.Int64Range(0, 1<<40)).Draw(t, "price")),
		}
	}), 1, 8).Draw(t, "items")
	draft := domain.Draft{
		UserID: uuid.New(), Items: items, Method: domain.Card,
		Shipping: domain.ShippingMethod{ID: "standard", Price: eur(rapid.Int64Range(0, 1000).Draw(t, "shipping"))},
	}
	subtotal := int64(0)
	for _, item := range items {
		subtotal += item.UnitPrice.Amount() * item.Quantity
	}
	switch rapid.IntRange(0, 2).Draw(t, "coupon") {
	case 1:
		draft.CouponCode = "P"
		draft.Benefit = domain.Benefit{Type: domain.PercentOff, Value: rapid.Int64Range(1, 100).Draw(t, "percent")}
	case 2:
		draft.CouponCode = "F"
		draft.Benefit = domain.Benefit{Type: domain.FixedOff, Value: rapid.Int64Range(1, subtotal+10).Draw(t, "fixed")}
	}
	o, err := domain.NewOrder(draft, noon)
	if err == nil {
		err = o.BeginPayment(domain.Card, "test", true, noon)
	}
	if err == nil {
		err = o.Confirm("pay_1", noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Given back piece by piece, in any order and portions, all items together come to what was paid for them exactly: the
// subtotal less the discount. No portion is negative, and the rest is the delivery.
func TestItemsComeToWhatWasPaid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := paidOrder(t)
		if o.Free() {
			t.Skip("nothing was paid")
		}
		s := o.Snapshot()
		want, sum := s.Subtotal.Amount()-s.Discount.Amount(), int64(0)
		left := make(map[uuid.UUID]int64)
		var open []uuid.UUID
		for _, item := range s.Items {
			left[item.ID] = item.Quantity
			open = append(open, item.ID)
		}
		for len(open) > 0 {
			i := rapid.IntRange(0, len(open)-1).Draw(t, "line")
			n := rapid.Int64Range(1, left[open[i]]).Draw(t, "pieces")
			wish := domain.RefundWish{ID: uuid.New(), Items: []domain.RefundedItem{{ItemID: open[i], Quantity: n}}, Reason: "r", By: "staff"}
			refund, err := o.Refund(wish, noon)
			if apperr.KindOf(err) == apperr.Invalid { // nothing was paid for so few: then for all that are left
				n = left[open[i]]
				wish.Items[0].Quantity = n
				refund, err = o.Refund(wish, noon)
			}
			switch {
			case apperr.KindOf(err) == apperr.Invalid: // nor for them
			case err != nil:
				t.Fatalf("%d pieces: %v", n, err)
			case refund.Amount.Amount() <= 0:
				t.Fatalf("%d pieces are worth %v", n, refund.Amount)
			default:
				sum += refund.Amount.Amount()
			}
			if left[open[i]] -= n; left[open[i]] == 0 {
				open = slices.Delete(open, i, i+1)
			}
		}
		if sum != want {
			t.Fatalf("all items come to %d, want %d", sum, want)
		}
		if rest := s.Total.Amount() - o.Snapshot().Promised().Amount(); rest != s.Shipping.Amount() {
			t.Fatalf("%d is left, want the delivery, %v", rest, s.Shipping)
		}
	})
}

// No sequence of verbs gives back more than was paid, or reaches a state that is not on the way from the one before.
func TestRefundVerbs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := paidOrder(t)
		var ids []uuid.UUID
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			before := o.Snapshot()
			id := uuid.New()
			known := func() uuid.UUID {
				if len(ids) == 0 {
					return uuid.New()
				}
				return rapid.SampledFrom(ids).Draw(t, "refund")
			}
			switch rapid.IntRange(0, 7).Draw(t, "verb") {
			case 0, 1:
				if _, err := o.Refund(domain.RefundWish{ID: id, Amount: rapid.Int64Range(0, before.Total.Amount()+1).Draw(t, "amount"), By: "s"}, noon); err == nil {
					ids = append(ids, id)
				}
			case 2, 3:
				_ = o.FinishRefund(known(), noon)
			case 4:
				_ = o.FailRefund(known(), noon)
			case 5:
				next := rapid.SampledFrom([]domain.Status{domain.Processing, domain.Shipped, domain.Delivered, domain.Refunded, domain.Confirmed, domain.Pending}).Draw(t, "status")
				_ = o.Advance(next, "s", "", "", noon)
			case 6:
				_ = o.Cancel("s", "", noon)
			case 7:
				_ = o.TakeBack(domain.RefundWish{ID: id, By: "s"}, noon)
			}
			after := o.Snapshot()
			if after.Promised().Amount() > after.Total.Amount() || after.GivenBack().Amount() > after.Promised().Amount() {
				t.Fatalf("%v back, %v promised, of %v", after.GivenBack(), after.Promised(), after.Total)
			}
			if after.Status != before.Status && !before.Status.CanBecome(after.Status) {
				t.Fatalf("it went from %s to %s", before.Status, after.Status)
			}
			if len(after.History) < len(before.History) || after.Version < before.Version {
				t.Fatalf("history and version went back")
			}
			if after.Status == domain.Refunded && after.GivenBack() != after.Total && after.Payment.Status != domain.PaymentNone {
				t.Fatalf("it is refunded with %v of %v back", after.GivenBack(), after.Total)
			}
		}
	})
}

// The provider contradicts itself: its last word counts, unless the money was promised to another refund meanwhile.
func TestRefundThatWasRefusedAndDone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := paidOrder(t)
		if o.Snapshot().Total.Amount() < 2 {
			t.Skip("too cheap")
		}
		first, second := uuid.New(), uuid.New()
		amount := o.Snapshot().Total.Amount()/2 + 1
		if _, err := o.Refund(domain.RefundWish{ID: first, Amount: amount, By: "s"}, noon); err != nil {
			t.Fatal(err)
		}
		if err := o.FailRefund(first, noon); err != nil {
			t.Fatal(err)
		}
		instead := rapid.Bool().Draw(t, "another one took its place")
		if instead {
			if _, err := o.Refund(domain.RefundWish{ID: second, Amount: amount, By: "s"}, noon); err != nil {
				t.Fatal(err)
			}
		}
		err := o.FinishRefund(first, noon)
		if (err != nil) != instead {
			t.Errorf("another one took its place: %v; the word of the provider: %v", instead, err)
		}
		if o.Snapshot().Promised().Amount() > o.Snapshot().Total.Amount() {
			t.Error("too much is promised")
		}
	})
}

// What a cancellation keeps off the shelf is said once a line, however often a line was refunded: product-service takes a hundred lines.
func TestKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := paidOrder(t)
		want := make(map[uuid.UUID]int64)
		for range rapid.IntRange(0, 20).Draw(t, "refunds") {
			item := rapid.SampledFrom(o.Snapshot().Items).Draw(t, "line")
			wish := domain.RefundWish{
				ID: uuid.New(), Items: []domain.RefundedItem{{ItemID: item.ID, Quantity: rapid.Int64Range(1, item.Quantity).Draw(t, "pieces")}},
				Restock: rapid.Bool().Draw(t, "restock"), By: "s",
			}
			if _, err := o.Refund(wish, noon); err != nil {
				continue // nothing was paid for them, or they are back already
			}
			if rapid.Bool().Draw(t, "refused") {
				if err := o.FailRefund(wish.ID, noon); err != nil {
					t.Fatal(err)
				}
			} else if !wish.Restock {
				want[item.ID] += wish.Items[0].Quantity
			}
		}
		if kept := o.Kept(); kept != nil {
			t.Fatalf("nothing is cancelled, and %v kept", kept)
		}
		if err := o.Cancel("s", "", noon.Add(time.Second)); err != nil {
			t.Skip("it is refunded")
		}
		got := make(map[uuid.UUID]int64)
		for _, item := range o.Kept() {
			if got[item.ItemID] != 0 {
				t.Fatal("a line is there twice")
			}
			got[item.ItemID] = item.Quantity
		}
		if !maps.Equal(got, want) {
			t.Fatalf("kept are %v, want %v", got, want)
		}
	})
}
