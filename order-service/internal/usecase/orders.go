package usecase

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

// Cancellation is somebody's wish to cancel an order.
type Cancellation struct {
	Key     string `json:"-"`
	OrderID uuid.UUID
	Reason  string
	// IfVersion is the version that the wish is about; nil for any.
	IfVersion *int64 `json:"-"`
	// AsStep says that it is one along the state machine: an order that is cancelled already is refused.
	AsStep bool `json:"-"`
}

// Cancel ends an order of the caller's, or anybody's for staff, as long as it has not shipped. The stock and the money go
// back before it returns if they can, else soon after. Cancelling a cancelled order changes nothing.
func (c *Checkout) Cancel(ctx context.Context, caller auth.Principal, wish Cancellation) (Placed, error) {
	return c.once(ctx, keyed{caller, wish.Key, "cancel", wish.OrderID, wish}, func(ctx context.Context, _ uuid.UUID) (Placed, error) {
		cancelled, err := c.cancel(ctx, caller, wish)
		return Placed{Order: cancelled}, err
	})
}

func (c *Checkout) cancel(ctx context.Context, caller auth.Principal, wish Cancellation) (domain.Snapshot, error) {
	order, _, err := c.orders.Decide(ctx, wish.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		if !o.VisibleTo(caller.UserID, caller.IsStaff()) {
			return Change{}, domain.ErrOrderMissing
		}
		if o.Status() == domain.Cancelled && !wish.AsStep {
			return Change{}, nil
		}
		if stale(wish.IfVersion, o.Snapshot().Version) {
			return Change{}, domain.ErrVersion
		}
		if err := o.Cancel(caller.UserID, wish.Reason, c.now()); err != nil {
			return Change{}, err
		}
		return Change{Outcome: ended(o), Settle: Plan{At: c.now().Add(firstLook)}}, nil
	})
	if errors.Is(err, domain.ErrBusy) {
		return domain.Snapshot{}, c.busyFor(ctx, wish.OrderID, caller.UserID, caller.IsStaff())
	}
	if err != nil {
		return domain.Snapshot{}, err
	}
	reversed, stock, money := c.compensate(ctx, order)
	if err := errors.Join(stock, money); err != nil {
		c.log.WarnContext(ctx, "the order is cancelled; what it holds is given back later", "order_id", wish.OrderID, "error", err)
	}
	return reversed.Snapshot(), nil
}

// PayOrder is a customer's wish to pay a pending order.
type PayOrder struct {
	Key     string `json:"-"`
	OrderID uuid.UUID
	Method  domain.PaymentMethod
	Token   string
	// IfVersion is the version that the wish is about; nil for any.
	IfVersion *int64 `json:"-"`
}

// Pay pays a pending order of the caller's. A declined payment leaves it pending, and so does one that was interrupted before
// anything was taken.
func (c *Checkout) Pay(ctx context.Context, caller auth.Principal, wish PayOrder) (Placed, error) {
	return c.once(ctx, keyed{caller, wish.Key, "pay", wish.OrderID, wish}, func(ctx context.Context, request uuid.UUID) (Placed, error) {
		return c.pay(ctx, caller, wish, request)
	})
}

func (c *Checkout) pay(ctx context.Context, caller auth.Principal, wish PayOrder, request uuid.UUID) (Placed, error) {
	var resumed bool
	order, lease, err := c.orders.Decide(ctx, wish.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		if !o.VisibleTo(caller.UserID, false) {
			return Change{}, domain.ErrOrderMissing
		}
		own := request != uuid.Nil && o.Payment().Request == request
		paid := o.Status() != domain.Pending && o.Status() != domain.Cancelled
		if resumed = own && (paid || o.PaymentUnderWay()); resumed {
			return takeOver(o), nil
		}
		if stale(wish.IfVersion, o.Snapshot().Version) {
			return Change{}, domain.ErrVersion
		}
		if wish.Method == domain.Card && wish.Token == "" && !o.Free() {
			return Change{}, apperr.InvalidField("payment.token", "is required to pay by card")
		}
		now := c.now()
		if due, open := o.PaymentDue(); open && !now.Before(due) {
			return Change{}, domain.ErrNotPayable
		}
		if err := c.canPay(o, wish.Method); err != nil {
			return Change{}, err
		}
		if err := o.BeginPayment(wish.Method, c.payments.primary.Name(), false, now); err != nil {
			return Change{}, err
		}
		o.BegunBy(request)
		return Change{Keep: leaseFor, Settle: Plan{At: now.Add(firstLook)}}, nil
	})
	if errors.Is(err, domain.ErrBusy) {
		return Placed{}, c.busyFor(ctx, wish.OrderID, caller.UserID, false)
	}
	if err != nil {
		return Placed{}, err
	}
	if !resumed {
		return c.drive(ctx, order, lease, wish.Token)
	}
	if order.Status() != domain.Pending {
		return Placed{Order: order.Snapshot()}, nil // what the first try did, before it could say so
	}
	if gone, err := c.piecesAreGone(ctx, order, lease); gone {
		return c.paidAfterAll(ctx, order.ID(), err)
	}
	return c.drive(ctx, order, lease, wish.Token)
}

// paidAfterAll answers for an order whose payment was taken to its end for want of pieces.
func (c *Checkout) paidAfterAll(ctx context.Context, orderID uuid.UUID, err error) (Placed, error) {
	if err != nil {
		return Placed{}, err
	}
	order, err := c.orders.Order(ctx, orderID)
	if err != nil {
		return Placed{}, err
	}
	return Placed{Order: order.Snapshot(), Settling: order.PaymentUnderWay()}, nil
}

// busyFor tells those who may see an order that it is being worked on. For anybody else it does not exist.
func (c *Checkout) busyFor(ctx context.Context, orderID uuid.UUID, userID string, staff bool) error {
	order, err := c.orders.Order(ctx, orderID)
	if err != nil {
		return err
	}
	if !order.VisibleTo(userID, staff) {
		return domain.ErrOrderMissing
	}
	return domain.ErrBusy
}
