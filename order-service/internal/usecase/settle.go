package usecase

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
)

const (
	// settleAgain is how soon an order is looked at again that could not be settled: soon enough for the promise that
	// nothing stays in between for a minute after its dependencies are back, seldom enough to be no burden while they are
	// away.
	settleAgain = 2 * time.Second
	// againGrowing and againAtMost are how soon pieces that are missing for a paid order are asked for again, and a provider that
	// is not configured: as long as it has lasted, within these bounds. A delivery, or a setting that was forgotten, is noticed
	// soon, and one that never comes is no burden.
	againGrowing = 30 * time.Second
	againAtMost  = time.Hour
	// cartRemembers is less than the time for which the cart service knows what an order has taken out of a cart, so that
	// telling it again never takes out what was put in since.
	cartRemembers = 24 * time.Hour
	// longestPayment is how long a provider may leave a payment pending before it is called off: as long as the customer of
	// an unpaid order has.
	longestPayment = domain.PaymentWindow
)

// Settle does what is left to do for an order, whatever stopped those who began it: the watchdog of checkouts, the end of
// orders that nobody pays, and what follows from a confirmation or a cancellation. It may run at any time, any number of
// times, on any replica. It returns how long to wait before it must run again, or 0 when nothing is left; after an error
// it must run again, too.
func (c *Checkout) Settle(ctx context.Context, orderID uuid.UUID) (time.Duration, error) {
	order, err := c.orders.Order(ctx, orderID)
	if errors.Is(err, domain.ErrOrderMissing) {
		return 0, nil // it never came to be
	}
	if err != nil {
		return 0, err
	}
	switch order.Status() {
	case domain.Pending:
		return c.settlePending(ctx, order)
	case domain.Cancelled:
		_, stock, money := c.compensate(ctx, order)
		if stock == nil && errors.Is(money, errNotConfigured) {
			c.log.WarnContext(ctx, "the payment of a cancelled order waits for its provider", "order_id", order.ID(), "error", money)
			return c.providerAgain(order), nil
		}
		return 0, errors.Join(stock, money)
	default:
		return c.settlePaid(ctx, order)
	}
}

// settlePaid does what follows from the confirmation of an order, however far it has come since, and what is left of its
// refunds. Neither waits for the other.
func (c *Checkout) settlePaid(ctx context.Context, order *domain.Order) (time.Duration, error) {
	s := order.Snapshot()
	stock, cart := c.followUp(ctx, s)
	order, refunding := c.giveBack(ctx, order)
	rest := errors.Join(cart, refunding)
	switch {
	case errors.Is(stock, domain.ErrOutOfStock) || errors.Is(stock, domain.ErrReservationEnded):
		return c.stockIsMissing(ctx, order, stock, rest)
	case stock == nil && !s.StockMissingSince.IsZero():
		_, stock = c.record(ctx, order, func(o *domain.Order) (Change, error) {
			o.FindStock()
			return Change{}, nil
		})
		c.log.InfoContext(ctx, "the pieces of a paid order are not missing any more", "order_id", order.ID(), "status", order.Status())
	}
	return 0, errors.Join(stock, rest)
}

// stockIsMissing keeps an order that was paid, and for which there are no pieces any more, as it is: staff decide whether to
// get new ones or to cancel it, and are told once. The pieces are asked for again at growing intervals.
func (c *Checkout) stockIsMissing(ctx context.Context, order *domain.Order, cause, rest error) (time.Duration, error) {
	news := false
	order, err := c.record(ctx, order, func(o *domain.Order) (Change, error) {
		news = o.MissStock(c.now())
		return Change{}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("record that pieces are missing: %w", err)
	}
	switch { // meanwhile
	case order.Status() == domain.Cancelled:
		return 0, nil // the plan of the cancellation goes on
	case !order.NeedsPieces():
		return settleAgain, nil
	}
	if news {
		c.stockMissing(ctx)
		c.log.ErrorContext(ctx, "a paid order can't be delivered: its pieces are gone", "order_id", order.ID(), "error", cause)
	}
	if rest != nil {
		return 0, rest // sooner
	}
	return c.growing(order.Snapshot().StockMissingSince), nil
}

// providerAgain is how soon an order is looked at again that waits for a provider to be configured. An event of the provider has
// it looked at sooner.
func (c *Checkout) providerAgain(order *domain.Order) time.Duration {
	return c.growing(order.Snapshot().UpdatedAt)
}

// growing is as long as something has lasted, within bounds.
func (c *Checkout) growing(since time.Time) time.Duration {
	return min(max(c.now().Sub(since), againGrowing), againAtMost)
}

// settlePending ends an order that nobody has paid in time, and takes over a checkout that nobody drives: forward if money
// was or may have been taken, else backward.
func (c *Checkout) settlePending(ctx context.Context, order *domain.Order) (time.Duration, error) {
	order, lease, err := c.orders.Decide(ctx, order.ID(), Lease{}, func(o *domain.Order) (Change, error) {
		if due, waiting := o.PaymentDue(); waiting && !c.now().Before(due) {
			if err := o.Cancel(domain.System, "nobody paid it in time", c.now()); err != nil {
				return Change{}, err
			}
			return Change{Outcome: ended(o), Settle: Plan{At: c.now()}}, nil
		}
		return takeOver(o), nil
	})
	if errors.Is(err, domain.ErrBusy) {
		return settleAgain, nil
	}
	if errors.Is(err, domain.ErrOrderMissing) {
		return 0, nil // its driver discarded it meanwhile
	}
	if err != nil {
		return 0, fmt.Errorf("take over: %w", err)
	}
	if order.Status() != domain.Pending {
		return 0, nil // the new plan goes on
	}

	var placed Placed
	if byCard(order) {
		err = c.recover(ctx, order, lease)
	} else {
		// No money is involved before the order is confirmed or waits to be paid, so the way is forward.
		placed, err = c.drive(ctx, order, lease, "")
	}
	if err != nil && !errors.Is(err, domain.ErrOutOfStock) && !errors.Is(err, domain.ErrInterrupted) &&
		!errors.Is(err, domain.ErrPayInterrupted) &&
		!errors.Is(err, domain.ErrPaymentDeclined) && !errors.Is(err, domain.ErrPaymentFailed) {
		return 0, err
	}
	order, err = c.orders.Order(ctx, order.ID())
	switch {
	case errors.Is(err, domain.ErrOrderMissing):
		return 0, nil // there was no stock for it, so it was discarded
	case err != nil:
		return 0, err
	case order.PaymentUnderWay() && byCard(order) && errors.Is(c.payments.of(order).Ready(), errNotConfigured):
		return c.providerAgain(order), nil
	case order.PaymentUnderWay():
		return settleAgain, nil
	case order.Status() == domain.Pending && placed.Replayed:
		return settleAgain, nil // somebody else took it over, and may have died since without a plan for it
	default:
		return 0, nil
	}
}

// recover goes on with a checkout by what the provider knows of its payment.
func (c *Checkout) recover(ctx context.Context, order *domain.Order, lease Lease) error {
	payment, err := c.payments.of(order).Find(ctx, order.PaymentKey())
	if err == nil && payment.Status == ProviderPending && c.now().Sub(order.Snapshot().UpdatedAt) > longestPayment {
		payment, err = c.payments.of(order).Reverse(ctx, order.PaymentKey())
	}
	if err == nil && payment.Status == ProviderAuthorized {
		// The pieces may have gone to others if it took very long. Nothing is captured for what can't be delivered.
		err = c.stock.Reserve(ctx, order.ID(), lease.Epoch, linesOf(order), reservationTTL)
		if errors.Is(err, domain.ErrOutOfStock) || errors.Is(err, domain.ErrReservationEnded) {
			payment, err = c.payments.of(order).Reverse(ctx, order.PaymentKey())
		}
	}
	if err != nil {
		_, err = c.unsettled(ctx, order, lease, err)
		return err
	}
	_, err = c.complete(ctx, order, lease, payment)
	return err
}

// followUp does what a confirmed order entails. Neither part waits for the other, or fails with it.
func (c *Checkout) followUp(ctx context.Context, order domain.Snapshot) (stock, cart error) {
	var both sync.WaitGroup
	both.Go(func() {
		stock = c.take(ctx, order)
	})
	both.Go(func() {
		if c.now().Sub(confirmedAt(order)) > cartRemembers {
			return
		}
		if err := c.emptyCart(ctx, order); err != nil {
			cart = fmt.Errorf("empty the cart: %w", err)
		}
	})
	both.Wait()
	return stock, cart
}

// take takes the pieces of a paid order off the shelf. What product-service knows nothing of, because it was restored from a
// backup or has forgotten a promise that ended long ago, is taken anew. Nobody waits for what is missing when all the money is
// back before a parcel has left: then nothing is taken, now or later.
func (c *Checkout) take(ctx context.Context, order domain.Snapshot) error {
	needed := order.NeedsPieces()
	if !needed && !order.StockMissingSince.IsZero() {
		return c.letGo(ctx, order.ID)
	}
	err := c.stock.Confirm(ctx, order.ID)
	missing := errors.Is(err, domain.ErrReservationMissing)
	switch {
	case !needed && (missing || errors.Is(err, domain.ErrOutOfStock) || errors.Is(err, domain.ErrReservationEnded)):
		return c.letGo(ctx, order.ID)
	case missing:
		return c.takeAnew(ctx, order)
	case err != nil:
		return fmt.Errorf("confirm the reservation: %w", err)
	}
	return nil
}

// takeAnew takes the pieces that product-service knows nothing of, and puts back once more what came back of them. That this is to be
// done is written down first: whatever fails, Settle finds it.
func (c *Checkout) takeAnew(ctx context.Context, s domain.Snapshot) error {
	order, again := domain.RestoreOrder(s), []uuid.UUID(nil)
	if len(order.RestockAgain()) > 0 {
		var err error
		order, err = c.record(ctx, order, func(o *domain.Order) (Change, error) {
			again = o.RestockAgain()
			return Change{}, nil
		})
		if err != nil {
			return fmt.Errorf("record that pieces are to be put back: %w", err)
		}
	}
	// There are no other lines that a higher revision would have to replace.
	if err := c.stock.Reserve(ctx, s.ID, FirstLease.Epoch, linesOfItems(s.Items), reservationTTL); err != nil {
		return fmt.Errorf("reserve anew: %w", err)
	}
	if err := c.stock.Confirm(ctx, s.ID); err != nil {
		return fmt.Errorf("confirm the new reservation: %w", err)
	}
	if len(again) == 0 {
		return nil
	}
	_, err := c.giveBack(ctx, order, again...)
	return err
}

// letGo releases what nobody takes.
func (c *Checkout) letGo(ctx context.Context, orderID uuid.UUID) error {
	if err := c.stock.Release(ctx, orderID); err != nil {
		return fmt.Errorf("release what nobody takes: %w", err)
	}
	return nil
}

// confirmedAt is when an order was paid.
func confirmedAt(order domain.Snapshot) time.Time {
	for _, entry := range order.History {
		if entry.Status == domain.Confirmed {
			return entry.At
		}
	}
	return order.CreatedAt
}

// compensate gives back what a cancelled order holds, and returns it as it is then. Its pieces and its money do not wait for each
// other.
func (c *Checkout) compensate(ctx context.Context, order *domain.Order) (_ *domain.Order, stock, money error) {
	kept := linesOfRefunded(order, order.Kept())
	if !order.Snapshot().StockMissingSince.IsZero() {
		kept = nil // what was never there can't be kept
	}
	if err := c.stock.Release(ctx, order.ID(), kept...); err != nil {
		stock = fmt.Errorf("release the stock: %w", err)
	}
	reversed := ProviderPayment{Status: ProviderVoided}
	if unrecorded(order) && order.Payment().Method == domain.Card { // what was captured is a refund by now
		var err error
		if reversed, err = c.reverse(ctx, order); err != nil {
			return order, stock, fmt.Errorf("reverse the payment: %w", err)
		}
	}
	order, money = c.giveBack(ctx, order)
	settled, _, err := c.orders.Decide(ctx, order.ID(), Lease{}, func(o *domain.Order) (Change, error) {
		if unrecorded(o) {
			if err := c.reversed(o, reversed); err != nil {
				return Change{}, err
			}
		}
		return Change{Settle: Plan{Never: stock == nil && len(o.OpenRefunds()) == 0}}, nil
	})
	if err != nil {
		return order, stock, errors.Join(money, fmt.Errorf("record that no money is held: %w", err))
	}
	return settled, stock, money
}

// unrecorded reports whether nobody has written down what the payment of a cancelled order came to.
func unrecorded(o *domain.Order) bool {
	status := o.Payment().Status
	return status == domain.PaymentPending || status == domain.PaymentAuthorized
}

// reverse has the provider give back what it holds for the current attempt to pay an order, and returns the payment as it is then:
// still captured, if the provider refuses that for good.
func (c *Checkout) reverse(ctx context.Context, order *domain.Order) (ProviderPayment, error) {
	provider := c.payments.of(order)
	payment, refusal := provider.Reverse(ctx, order.PaymentKey())
	if !errors.Is(refusal, domain.ErrRefundFailed) {
		return payment, refusal
	}
	payment, err := provider.Find(ctx, order.PaymentKey())
	if err != nil {
		return payment, errors.Join(refusal, err)
	}
	if payment.Status == ProviderCaptured {
		c.log.ErrorContext(ctx, "the provider refuses to reverse a payment", "order_id", order.ID(), "payment_id", payment.ID, "error", refusal)
	}
	return payment, nil
}

// reversed writes down what became of the payment of a cancelled order.
func (c *Checkout) reversed(o *domain.Order, payment ProviderPayment) error {
	switch payment.Status {
	case ProviderCaptured:
		return o.ReversalRefused(payment.ID, c.now())
	case ProviderRefunded:
		o.Reversed(domain.PaymentRefunded, c.now())
	default:
		o.Reversed(domain.PaymentVoided, c.now())
	}
	return nil
}
