package usecase_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// Refunds, cancellations and changes of state in any order, several at once, with a provider and a stock that are away now and
// then: no more is ever given back than was paid, and in the end the provider's ledger, the shelf and the order agree.
func TestRefundProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s := newShop(t)
		o := s.placedAs(t, domain.Card, domain.Confirmed)
		for range rapid.IntRange(1, 8).Draw(r, "rounds") {
			actions := rapid.SliceOfN(refundAction(s, o), 1, 4).Draw(r, "at once")
			var (
				group sync.WaitGroup
				errs  = make([]error, len(actions))
			)
			for i, a := range actions {
				group.Go(func() { errs[i] = a.do(t) })
			}
			group.Wait()
			for i, err := range errs {
				switch kind := apperr.KindOf(err); {
				case err == nil || kind == apperr.Conflict || kind == apperr.Unavailable:
				case errors.Is(err, domain.ErrKeyReused):
				default:
					r.Fatalf("%v: %v", actions[i], err)
				}
			}
			now := s.order(t, o.ID)
			taken, _ := s.provider.Holds(o.ID)
			back := now.GivenBack().Amount()
			// What the provider has done may not be written down yet, never the other way round.
			if given := cartTotal - taken; given > now.Promised().Amount() || back > given {
				r.Fatalf("%v: %d is back, %d at the provider, %d promised", actions, back, given, now.Promised().Amount())
			}
			if now.Promised().Amount() > cartTotal {
				r.Fatalf("%v: %d is promised of %d", actions, now.Promised().Amount(), cartTotal)
			}
			if rapid.Bool().Draw(r, "time passes") {
				s.work(t, s.healthy(), time.Minute)
			}
		}
		s.work(t, s.healthy(), time.Minute)
		now := s.order(t, o.ID)
		if taken, _ := s.provider.Holds(o.ID); taken != cartTotal-now.GivenBack().Amount() || now.Promised() != now.GivenBack() {
			r.Errorf("%d is taken, %v is back, %v promised", taken, now.GivenBack(), now.Promised())
		}
		if all := now.GivenBack() == now.Total; all != (now.Payment.Status == domain.PaymentRefunded) ||
			all != (now.Status == domain.Refunded || now.Status == domain.Cancelled) {
			r.Errorf("%v of %v is back; the order is %s, its payment %s", now.GivenBack(), now.Total, now.Status, now.Payment.Status)
		}
		for _, item := range now.Items {
			n := int64(0)
			for _, refund := range now.Refunds {
				for _, back := range refund.Items {
					if back.ItemID == item.ID && refund.Status != domain.RefundFailed {
						n += back.Quantity
					}
				}
			}
			if n > item.Quantity {
				r.Errorf("%d of %d pieces were given back", n, item.Quantity)
			}
		}
		s.agrees(r)
	})
}

// action is something that somebody does with a paid order.
type action struct {
	name string
	do   func(*testing.T) error
}

func (a action) String() string { return a.name }

func refundAction(s *shop, o domain.Snapshot) *rapid.Generator[action] {
	return rapid.Custom(func(r *rapid.T) action {
		process := s.healthy()
		fault := rapid.SampledFrom([]string{"", "", "", "payments.Refund", "stock.Restock", "stock.Release", "orders.Decide"}).Draw(r, "fault")
		switch {
		case fault != "" && rapid.Bool().Draw(r, "answer lost"):
			process = s.process(Faults{After: func(call string) error {
				if call == fault {
					return errAway
				}
				return nil
			}})
			fault += " lost"
		case fault != "":
			process = s.process(CantReach(errAway, fault))
		}
		key := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(r, "key")
		wish := usecase.RefundOrder{Key: key, OrderID: o.ID, Reason: "broken"}
		kind := rapid.IntRange(0, 9).Draw(r, "kind")
		switch {
		case kind < 4:
			wish.Amount = rapid.Int64Range(1, cartTotal).Draw(r, "amount")
		case kind < 7:
			item := rapid.SampledFrom(o.Items).Draw(r, "item")
			wish.Items = []domain.RefundedItem{{ItemID: item.ID, Quantity: rapid.Int64Range(1, 2).Draw(r, "pieces")}}
			wish.Restock = rapid.Bool().Draw(r, "restock")
		case kind == 7: // all that is left
			wish.Restock = rapid.Bool().Draw(r, "restock")
		case kind == 8:
			return action{"cancel " + fault, func(t *testing.T) error {
				_, err := process.Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID, Reason: "enough"})
				return err
			}}
		default:
			status := rapid.SampledFrom([]domain.Status{domain.Processing, domain.Shipped, domain.Delivered, domain.Refunded}).Draw(r, "status")
			return action{fmt.Sprintf("set %s %s", status, fault), func(t *testing.T) error {
				_, err := process.SetStatus(t.Context(), staff, usecase.SetStatus{OrderID: o.ID, Status: status})
				return err
			}}
		}
		return action{fmt.Sprintf("refund %+v %s", wish, fault), func(t *testing.T) error {
			_, err := process.Refund(t.Context(), staff, wish)
			return err
		}}
	})
}
