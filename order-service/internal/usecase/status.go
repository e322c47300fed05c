package usecase

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/auth"
)

// SetStatus is the wish of staff to move an order on.
type SetStatus struct {
	OrderID uuid.UUID
	Status  domain.Status
	Note    string
	// Tracking is where the parcel can be followed; empty to leave it as it is.
	Tracking string
	// IfVersion is the version that the wish is about; nil for any.
	IfVersion *int64
}

// SetStatus moves an order along the state machine. Cancelled is Cancel; refunded gives all that is left of the money of a
// delivered order back, without its pieces; what only payments do is refused, and so is the status that the order has:
// what comes with it would be lost.
func (c *Checkout) SetStatus(ctx context.Context, caller auth.Principal, wish SetStatus) (domain.Snapshot, error) {
	if !caller.IsStaff() {
		return domain.Snapshot{}, domain.ErrOrderMissing
	}
	if wish.Status == domain.Cancelled {
		cancelled, err := c.Cancel(ctx, caller, Cancellation{
			OrderID: wish.OrderID, Reason: wish.Note, IfVersion: wish.IfVersion, AsStep: true,
		})
		return cancelled.Order, err
	}
	refund, err := uuid.NewV7()
	if err != nil {
		return domain.Snapshot{}, fmt.Errorf("make refund id: %w", err)
	}
	order, _, err := c.orders.Decide(ctx, wish.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		switch {
		case stale(wish.IfVersion, o.Snapshot().Version):
			return Change{}, domain.ErrVersion
		case wish.Status == domain.Refunded:
			err := o.TakeBack(domain.RefundWish{ID: refund, Reason: wish.Note, By: caller.UserID}, c.now())
			if len(o.OpenRefunds()) > 0 {
				return Change{Settle: Plan{At: c.now().Add(firstLook)}}, err
			}
			return Change{}, err
		default:
			// Whatever was planned stays planned: what follows from the confirmation is done for a parcel on its way, too.
			return Change{}, o.Advance(wish.Status, caller.UserID, wish.Note, wish.Tracking, c.now())
		}
	})
	if errors.Is(err, domain.ErrBusy) {
		return domain.Snapshot{}, c.busyFor(ctx, wish.OrderID, caller.UserID, true)
	}
	if err != nil {
		return domain.Snapshot{}, err
	}
	if wish.Status != domain.Refunded {
		return order.Snapshot(), nil
	}
	open := order.OpenRefunds() // this one, or those that it waits for
	order, err = c.giveBack(ctx, order)
	for _, was := range open {
		if now, _ := order.RefundOf(was.ID); now.Status == domain.RefundFailed {
			return domain.Snapshot{}, refundRefused(order.ID(), was.ID)
		}
	}
	return order.Snapshot(), err
}
