package usecase

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

// RefundOrder is the wish of staff to give money back: an amount, or what was paid for some items, or else all that is left.
type RefundOrder struct {
	Key     string `json:"-"`
	OrderID uuid.UUID
	Amount  int64 // minor units; 0 for none
	// Currency is that of the amount, if its sender has said it. It is left out of the fingerprint where it was not: keys that
	// were used before one could be given keep theirs.
	Currency string `json:",omitempty"`
	Items    []domain.RefundedItem
	Reason   string
	Restock  bool
	// IfVersion is the version that the wish is about; nil for any.
	IfVersion *int64 `json:"-"`
}

// Refund gives money back. It is written down before the provider is asked, so that whatever stops it, Settle goes on with it
// under the same key, and the sum of all refunds is never more than was paid. While the provider is away the refund is under
// way, and the answer an error that says so: the same wish again asks how far it is, and does not begin another one.
func (c *Checkout) Refund(ctx context.Context, caller auth.Principal, wish RefundOrder) (Placed, error) {
	if !caller.IsStaff() {
		return Placed{}, domain.ErrOrderMissing
	}
	return c.once(ctx, keyed{caller, wish.Key, "refund", wish.OrderID, wish}, func(ctx context.Context, request uuid.UUID) (Placed, error) {
		return c.refund(ctx, caller, wish, request)
	})
}

func (c *Checkout) refund(ctx context.Context, caller auth.Principal, wish RefundOrder, request uuid.UUID) (Placed, error) {
	if request == uuid.Nil {
		var err error
		if request, err = uuid.NewV7(); err != nil {
			return Placed{}, fmt.Errorf("make refund id: %w", err)
		}
	}
	var id uuid.UUID
	order, _, err := c.orders.Decide(ctx, wish.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		if begun, ok := wish.begun(o, caller, request); ok {
			id = begun.ID
			return Change{}, nil
		}
		if stale(wish.IfVersion, o.Snapshot().Version) {
			return Change{}, domain.ErrVersion
		}
		refund, err := o.Refund(domain.RefundWish{
			ID: request, Amount: wish.Amount, Currency: wish.Currency, Items: wish.Items, Reason: wish.Reason, Restock: wish.Restock, By: caller.UserID,
		}, c.now())
		if err != nil {
			return Change{}, err
		}
		id = refund.ID
		change := Change{For: []uuid.UUID{request}}
		if refund.Status == domain.RefundDone {
			change.Outcome = ended(o)
		}
		if refund.Open() {
			change.Settle = Plan{At: c.now().Add(firstLook)}
		}
		return change, nil
	})
	if err != nil {
		return Placed{}, err
	}
	order, err = c.giveBack(ctx, order, id)
	refund, _ := order.RefundOf(id)
	switch refund.Status {
	case domain.RefundDone:
		if err != nil {
			c.log.WarnContext(ctx, "the money is back; the pieces go back later", "order_id", wish.OrderID, "error", err)
		}
		return Placed{Order: order.Snapshot()}, nil
	case domain.RefundFailed:
		return Placed{}, refundRefused(order.ID(), id)
	default:
		return Placed{}, err
	}
}

// begun returns the refund that this wish has begun: the one of its key, or, without a key, one that is under way and the same.
func (w RefundOrder) begun(o *domain.Order, caller auth.Principal, request uuid.UUID) (domain.Refund, bool) {
	if r, ok := o.RefundOf(request); ok {
		return r, true
	}
	if w.Key != "" {
		return domain.Refund{}, false
	}
	s := o.Snapshot()
	for _, r := range o.OpenRefunds() {
		var same bool
		switch {
		case w.Amount > 0:
			same = w.Amount == r.Amount.Amount() && (len(r.Items) == 0 || w.Restock && s.Promised() == s.Total) // the latter: all that is left
		case len(w.Items) > 0:
			same = slices.Equal(w.Items, r.Items)
		default: // all that is left is on its way
			same = s.Promised() == s.Total
		}
		restock := w.Restock && len(r.Items) > 0
		if same && r.Status == domain.RefundPending && r.Reason == w.Reason && r.Restock == restock && r.By == caller.UserID {
			return r, true
		}
	}
	return domain.Refund{}, false
}

// refundRefused is what a refund ends with that the provider refuses for good.
func refundRefused(orderID, refundID uuid.UUID) *apperr.Error {
	return domain.ErrRefundFailed.WithAttribute("order_id", orderID.String()).WithAttribute("refund_id", refundID.String())
}

// giveBack does what is left to do for the refunds of an order, or for one of them, and returns the order as it is then. An
// error leaves that for Settle.
func (c *Checkout) giveBack(ctx context.Context, order *domain.Order, only ...uuid.UUID) (*domain.Order, error) {
	var failures []error
	for _, refund := range order.OpenRefunds() {
		if len(only) > 0 && !slices.Contains(only, refund.ID) {
			continue
		}
		next, err := c.giveBackOne(ctx, order, refund)
		if err != nil {
			failures = append(failures, fmt.Errorf("refund %s: %w", refund.ID, err))
		}
		order = next
	}
	return order, errors.Join(failures...)
}

func (c *Checkout) giveBackOne(ctx context.Context, order *domain.Order, refund domain.Refund) (*domain.Order, error) {
	if refund.Status == domain.RefundPending {
		payment := order.PaymentKey()
		_, err := c.payments.of(order).Refund(ctx, payment, payment+":refund:"+refund.ID.String(), refund.Amount)
		if err != nil && apperr.KindOf(err) != apperr.Conflict {
			return order, fmt.Errorf("give the money back: %w", err)
		}
		recorded, recordErr := c.recordRefund(ctx, order, refund, err)
		if recordErr != nil {
			return recorded, fmt.Errorf("record what became of it: %w", recordErr)
		}
		if err != nil {
			// Staff are told, if they wait; the money of a cancelled order waits for them.
			c.log.ErrorContext(ctx, "the provider refuses a refund", "order_id", order.ID(), "refund_id", refund.ID, "error", err)
			return recorded, nil
		}
		order = recorded
	}
	if !refund.Restock || refund.Restocked {
		return order, nil
	}
	if len(refund.Items) > 0 { // there are old ones that would put nothing back
		if err := c.stock.Restock(ctx, order.ID(), refund.ID, linesOfRefunded(order, refund.Items)); err != nil {
			return order, fmt.Errorf("put the pieces back: %w", err)
		}
	}
	return c.record(ctx, order, func(o *domain.Order) (Change, error) {
		return Change{}, o.Restocked(refund.ID)
	})
}

// recordRefund writes down what the provider said to a refund, and the answer to the request that wished it. The plan stays:
// Settle looks, and finds what is left to do, if anything.
func (c *Checkout) recordRefund(ctx context.Context, order *domain.Order, refund domain.Refund, refusal error) (*domain.Order, error) {
	return c.record(ctx, order, func(o *domain.Order) (Change, error) {
		outcome := &Outcome{Error: refundRefused(o.ID(), refund.ID)}
		if refusal != nil {
			if err := o.FailRefund(refund.ID, c.now()); err != nil {
				return Change{}, err
			}
		} else {
			if err := o.FinishRefund(refund.ID, c.now()); err != nil {
				return Change{}, err
			}
			outcome = ended(o)
		}
		return Change{Outcome: outcome, For: []uuid.UUID{refund.ID}}, nil
	})
}

// record writes down what was done for an order that nobody drives, also if nobody waits for it any more. It returns the
// order as it is then, or, with an error, as it was.
func (c *Checkout) record(ctx context.Context, order *domain.Order, decide func(*domain.Order) (Change, error)) (*domain.Order, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	changed, _, err := c.orders.Decide(ctx, order.ID(), Lease{}, decide)
	if err != nil {
		return order, err
	}
	return changed, nil
}

// linesOfRefunded are pieces that were refunded.
func linesOfRefunded(o *domain.Order, refunded []domain.RefundedItem) []Line {
	var lines []Line
	for _, back := range refunded {
		for _, item := range o.Snapshot().Items {
			if item.ID == back.ItemID {
				lines = append(lines, Line{ProductID: item.ProductID, Quantity: back.Quantity})
			}
		}
	}
	return lines
}
