package usecase

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

// drive takes a pending order as far as it goes: reserve, authorize, capture, confirm. The caller holds the lease.
func (c *Checkout) drive(ctx context.Context, order *domain.Order, lease Lease, token string) (Placed, error) {
	if err := c.stock.Reserve(ctx, order.ID(), lease.Epoch, linesOf(order), reservationTTL); err != nil {
		return c.notReserved(ctx, order, lease, err)
	}
	if !order.PaymentUnderWay() {
		return c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
			due, _ := o.PaymentDue()
			return Change{Outcome: ended(o), Settle: Plan{At: due}}, nil
		})
	}
	if order.Free() || order.Payment().Method == domain.CashOnDelivery {
		return c.confirm(ctx, order, lease, "")
	}
	payment, err := c.payments.of(order).Authorize(ctx, order.PaymentKey(), order.ID(), order.Snapshot().Total, token)
	if apperr.KindOf(err) == apperr.Invalid { // nothing was taken, and nothing will be
		return c.decline(ctx, order, lease, ProviderPayment{Declined: apperr.From(err)})
	}
	if err != nil {
		return c.unsettled(ctx, order, lease, err)
	}
	return c.complete(ctx, order, lease, payment)
}

// complete goes on from what the provider says of the payment.
func (c *Checkout) complete(ctx context.Context, order *domain.Order, lease Lease, payment ProviderPayment) (Placed, error) {
	if payment.Status == ProviderAuthorized {
		captured, err := c.payments.of(order).Capture(ctx, order.PaymentKey(), payment.ID)
		if err != nil {
			return c.unsettled(ctx, order, lease, err)
		}
		payment = captured
	}
	switch payment.Status {
	case ProviderCaptured:
		return c.confirm(ctx, order, lease, payment.ID)
	case ProviderDeclined:
		return c.decline(ctx, order, lease, payment)
	case ProviderVoided:
		return c.giveUp(ctx, order, lease, domain.PaymentVoided)
	case ProviderRefunded:
		return c.giveUp(ctx, order, lease, domain.PaymentRefunded)
	default:
		return c.unsettled(ctx, order, lease, fmt.Errorf("the payment is %s", payment.Status))
	}
}

// confirm writes down that the order is paid, and does what follows from that before the customer looks at the cart and
// the stock. The watchdog looks after it, in case that this is as far as it gets; if not, there is nothing left to look at.
func (c *Checkout) confirm(ctx context.Context, order *domain.Order, lease Lease, reference string) (Placed, error) {
	placed, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
		if err := o.Confirm(reference, c.now()); err != nil {
			return Change{}, err
		}
		return Change{Outcome: ended(o), For: requestsOf(o), Settle: Plan{At: c.now().Add(firstLook)}}, nil
	})
	if err == nil && !placed.Replayed && placed.Order.Status == domain.Confirmed {
		err := errors.Join(c.followUp(ctx, placed.Order))
		if err == nil {
			err = c.orders.Unplan(ctx, order.ID(), placed.Order.Version)
		}
		if err != nil {
			c.log.WarnContext(ctx, "what follows from the confirmation is done later", "order_id", order.ID(), "error", err)
		}
	}
	return placed, err
}

// decline writes down that the provider refused, and gives the stock back at once.
func (c *Checkout) decline(ctx context.Context, order *domain.Order, lease Lease, payment ProviderPayment) (Placed, error) {
	refusal := payment.Declined.WithAttribute("order_id", order.ID().String())
	placed, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
		if err := o.Decline(payment.ID, c.now()); err != nil {
			return Change{}, err
		}
		if due, open := o.PaymentDue(); open {
			return Change{Outcome: &Outcome{Error: refusal}, For: []uuid.UUID{o.Payment().Request}, Settle: Plan{At: due}}, nil
		}
		return Change{Outcome: &Outcome{Error: refusal}, Settle: Plan{At: c.now().Add(firstLook)}}, nil
	})
	if err != nil {
		return Placed{}, err
	}
	if placed.Order.Status == domain.Cancelled {
		if err := c.stock.Release(ctx, order.ID()); err != nil {
			c.log.WarnContext(ctx, "the stock is released later", "order_id", order.ID(), "error", err)
		}
	}
	if placed.Replayed {
		return placed, nil // somebody else was first, and this is what they wrote
	}
	return Placed{}, refusal
}

// giveUp ends an attempt to pay for which the provider holds nothing, as status says, and can take nothing. A checkout is
// cancelled with it; an order that was to be paid later still is, under the same key if its customer likes.
func (c *Checkout) giveUp(ctx context.Context, order *domain.Order, lease Lease, status domain.PaymentStatus) (Placed, error) {
	ending := domain.ErrInterrupted.WithAttribute("order_id", order.ID().String())
	if !order.Payment().AtCheckout {
		ending = domain.ErrPayInterrupted.WithAttribute("order_id", order.ID().String())
	}
	return c.interrupt(ctx, order, lease, ending, func(o *domain.Order) (Change, error) {
		if err := o.Abandon(status, c.now()); err != nil {
			return Change{}, err
		}
		if due, open := o.PaymentDue(); open {
			return Change{Settle: Plan{At: due}}, nil
		}
		return Change{Outcome: &Outcome{Error: ending}, Settle: Plan{At: c.now()}}, nil
	})
}

// giveUpReserving cancels an order whose reservation was released, and for which no pieces can be promised any more. Whatever
// the provider holds is given back after that.
func (c *Checkout) giveUpReserving(ctx context.Context, order *domain.Order, lease Lease) (Placed, error) {
	ending := domain.ErrInterrupted.WithAttribute("order_id", order.ID().String())
	return c.interrupt(ctx, order, lease, ending, func(o *domain.Order) (Change, error) {
		if err := o.Cancel(domain.System, "the checkout was interrupted", c.now()); err != nil {
			return Change{}, err
		}
		return Change{Outcome: &Outcome{Error: ending}, For: requestsOf(o), Settle: Plan{At: c.now()}}, nil
	})
}

func (c *Checkout) interrupt(ctx context.Context, order *domain.Order, lease Lease, ending *apperr.Error, decide func(*domain.Order) (Change, error)) (Placed, error) {
	placed, err := c.finish(ctx, order, lease, decide)
	if err != nil || placed.Replayed {
		return placed, err
	}
	return Placed{}, ending
}

// notReserved ends a checkout that has no stock: without a trace if nobody but this driver has ever worked on it.
func (c *Checkout) notReserved(ctx context.Context, order *domain.Order, lease Lease, cause error) (Placed, error) {
	switch {
	case errors.Is(cause, domain.ErrOutOfStock):
		refusal := apperr.From(cause)
		placed, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
			if lease == FirstLease {
				return Change{Outcome: &Outcome{Error: refusal}, Settle: Plan{Never: true}, Discard: true}, nil
			}
			// Its customer may know it, an earlier driver may have asked the provider for money, and a question for the
			// stock may still be on its way: it ends as a cancelled one, whose stock and money are seen to.
			return Change{Outcome: &Outcome{Error: refusal}, For: requestsOf(o), Settle: Plan{At: c.now()}}, o.Cancel(domain.System, "out of stock", c.now())
		})
		if err != nil || placed.Replayed {
			return placed, err
		}
		return Placed{}, refusal
	case errors.Is(cause, domain.ErrReservationEnded):
		return c.giveUpReserving(ctx, order, lease)
	default:
		// Whether it was reserved is not known. The order stays for the client's next try under the same key, or for the
		// watchdog to clean up.
		c.release(ctx, order, lease)
		return Placed{}, fmt.Errorf("reserve stock: %w", cause)
	}
}

// unsettled answers that it is not known yet whether the order is paid. The watchdog goes on asking.
func (c *Checkout) unsettled(ctx context.Context, order *domain.Order, lease Lease, cause error) (Placed, error) {
	c.log.WarnContext(ctx, "payment is not settled yet", "order_id", order.ID(), "error", cause)
	c.release(ctx, order, lease)
	return Placed{Order: order.Snapshot(), Settling: true}, nil
}

// release gives the lease back early. If that fails, it ends by itself.
func (c *Checkout) release(ctx context.Context, order *domain.Order, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	_, _, err := c.orders.Decide(ctx, order.ID(), lease, func(*domain.Order) (Change, error) { return Change{}, nil })
	if err != nil && !errors.Is(err, ErrLeaseLost) {
		c.log.WarnContext(ctx, "the lease runs out by itself", "order_id", order.ID(), "error", err)
	}
}

// finish decides over an order that was driven. If the lease was lost meanwhile, what the new driver has made of it is the
// answer.
func (c *Checkout) finish(ctx context.Context, order *domain.Order, lease Lease, decide func(*domain.Order) (Change, error)) (Placed, error) {
	// What the provider has done is written down even if the customer does not wait for it any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	changed, _, err := c.orders.Decide(ctx, order.ID(), lease, decide)
	if errors.Is(err, ErrLeaseLost) {
		now, err := c.orders.Order(ctx, order.ID())
		if err != nil {
			return Placed{}, err
		}
		return Placed{Order: now.Snapshot(), Replayed: true, Settling: now.PaymentUnderWay()}, nil
	}
	if err != nil {
		return Placed{}, fmt.Errorf("finish order %s: %w", order.ID(), err)
	}
	return Placed{Order: changed.Snapshot()}, nil
}

// requestsOf are the attempts that wait for an order to be paid: the one that made it, and the one that pays it.
func requestsOf(o *domain.Order) []uuid.UUID { return []uuid.UUID{o.ID(), o.Payment().Request} }

// ended is the outcome of an order as it is now.
func ended(o *domain.Order) *Outcome {
	s := o.Snapshot()
	return &Outcome{Order: &s}
}

func linesOf(o *domain.Order) []Line { return linesOfItems(o.Snapshot().Items) }

func linesOfItems(items []domain.Item) []Line {
	lines := make([]Line, len(items))
	for i, item := range items {
		lines[i] = Line{ProductID: item.ProductID, Quantity: item.Quantity}
	}
	return lines
}

// emptyCart takes what was bought out of the cart that it came from.
func (c *Checkout) emptyCart(ctx context.Context, o domain.Snapshot) error {
	if !o.FromCart {
		return nil
	}
	return c.carts.RemovePurchased(ctx, o.UserID, o.ID, linesOfItems(o.Items))
}
