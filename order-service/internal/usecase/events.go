package usecase

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

// EventReader reads what a payment provider tells by itself.
type EventReader interface {
	// OrderOf returns the order that an event is about; the zero UUID if it is about none. What the provider has not signed,
	// or has signed long ago, is unauthenticated.
	OrderOf(headers map[string]string, body []byte) (uuid.UUID, error)
}

// CheckPlanner plans looks at what providers hold for orders.
type CheckPlanner interface {
	// PlanCheck has CheckPayments run at once, beside whatever else is planned for the order; domain.ErrOrderMissing if there is
	// no such order.
	PlanCheck(ctx context.Context, orderID uuid.UUID) error
}

// Events takes what payment providers tell by themselves. An event is a reason to look and nothing more: what the provider
// knows is asked for then. So one that comes twice, late or out of order does no harm.
type Events struct {
	readers map[string]EventReader
	checks  CheckPlanner
}

// NewEvents returns the events of providers by their names.
func NewEvents(readers map[string]EventReader, checks CheckPlanner) *Events {
	return &Events{readers, checks}
}

// Handle takes an event. It is written down when this returns, and looked into soon after.
func (e *Events) Handle(ctx context.Context, provider string, headers map[string]string, body []byte) error {
	reader, ok := e.readers[provider]
	if !ok {
		return apperr.Missing("payment provider")
	}
	orderID, err := reader.OrderOf(headers, body)
	if err != nil {
		return fmt.Errorf("read the event: %w", err)
	}
	if orderID == uuid.Nil {
		return nil
	}
	if err := e.checks.PlanCheck(ctx, orderID); err != nil && !errors.Is(err, domain.ErrOrderMissing) {
		return fmt.Errorf("plan to look at order %s: %w", orderID, err)
	}
	return nil // an order that was discarded, or that a restored backup does not have: audits look for its money
}

// CheckPayments asks the provider for all that it holds for an order. An attempt that is under way goes on; what the provider
// has for one that was given up goes back. After an error it must run again.
func (c *Checkout) CheckPayments(ctx context.Context, orderID uuid.UUID) error {
	order, err := c.orders.Order(ctx, orderID)
	if errors.Is(err, domain.ErrOrderMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	payment := order.Payment()
	if payment.Method == domain.Card && payment.Attempt > 0 || payment.Attempt > 1 { // earlier ones may have been by card
		if err := c.reverseGivenUp(ctx, order); err != nil {
			return err
		}
	}
	if order.PaymentUnderWay() || order.Status() == domain.Cancelled && payment.Status == domain.PaymentPending {
		// Such an order has a plan, which looks again for as long as it must: each event looks once.
		if _, err := c.Settle(ctx, orderID); err != nil {
			c.log.WarnContext(ctx, "an event settles nothing; the order is looked at again", "order_id", orderID, "error", err)
		}
	}
	return nil
}

// reverseGivenUp gives back what the provider holds under the keys of attempts that came to nothing. Nothing more can come
// under them after that. A provider that is away does not keep the money of another from going back.
func (c *Checkout) reverseGivenUp(ctx context.Context, order *domain.Order) error {
	var failed []error
	if err := c.reverseCurrent(ctx, order); err != nil {
		failed = append(failed, err)
	}
	for _, key := range order.PastPaymentKeys() {
		// Where an earlier attempt was begun is not kept. A provider that knows nothing of it closes the key, which is no harm.
		for _, provider := range c.payments.all() {
			_, err := provider.Reverse(ctx, key)
			switch {
			case errors.Is(err, domain.ErrRefundFailed): // for good; audits tell of the money, until somebody has given it back
				c.log.ErrorContext(ctx, "the provider refuses to reverse a payment", "order_id", order.ID(), "key", key, "error", err)
			case err != nil:
				failed = append(failed, fmt.Errorf("reverse payment %s at %s: %w", key, provider.Name(), err))
			}
		}
	}
	return errors.Join(failed...)
}

// reverseCurrent gives back what the provider holds under the key of the current attempt, if that came to nothing. No provider
// has to do with what is paid otherwise than by card.
func (c *Checkout) reverseCurrent(ctx context.Context, order *domain.Order) error {
	if order.Payment().Method != domain.Card || !order.PaymentGivenUp() {
		return nil
	}
	payment, err := c.reverse(ctx, order)
	if err != nil {
		return fmt.Errorf("reverse payment %s: %w", order.PaymentKey(), err)
	}
	switch {
	case payment.Status == ProviderRefunded:
		c.log.WarnContext(ctx, "a payment that was given up was taken all the same, and is refunded", "order_id", order.ID())
	case payment.Status == ProviderCaptured && order.Status() == domain.Cancelled:
	default: // nothing is held; or it is refused for an order that may still be paid, and audits tell of it
		return nil
	}
	_, _, err = c.orders.Decide(ctx, order.ID(), Lease{}, func(o *domain.Order) (Change, error) {
		if !o.PaymentGivenUp() || o.PaymentKey() != order.PaymentKey() {
			return Change{}, nil
		}
		return Change{}, c.reversed(o, payment)
	})
	if err != nil {
		return fmt.Errorf("record what became of the payment: %w", err)
	}
	return nil
}
