package usecase

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

// The reservation of an order that is being edited holds at least what the order says, at every moment: pieces are reserved
// before the order has them, and given back after it has lost them. Whatever stops an edit half way, Settle makes the
// reservation what the order says, which then only gives back, and so can't fail for want of stock.

// AddItem is a customer's wish for more of a product in an order.
type AddItem struct {
	Key       string `json:"-"`
	OrderID   uuid.UUID
	ProductID uuid.UUID
	Quantity  int64
	// IfVersion is the version that the wish is about; nil for any.
	IfVersion *int64 `json:"-"`
}

// AddItem adds pieces of a product to a pending order of the caller's, at today's price, or says why not: then the order and
// its reservation are what they were.
func (c *Checkout) AddItem(ctx context.Context, caller auth.Principal, wish AddItem) (Placed, error) {
	return c.once(ctx, keyed{caller, wish.Key, "add_item", wish.OrderID, wish}, func(ctx context.Context, request uuid.UUID) (Placed, error) {
		edited, err := c.addItem(ctx, caller, wish, request)
		if err != nil {
			return Placed{}, err
		}
		return Placed{Order: edited.Snapshot()}, nil
	})
}

func (c *Checkout) addItem(ctx context.Context, caller auth.Principal, wish AddItem, request uuid.UUID) (*domain.Order, error) {
	order, lease, err := c.orders.Decide(ctx, wish.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		return c.editing(), c.mayEdit(o, caller, wish.IfVersion)
	})
	if err != nil {
		return nil, c.notEdited(ctx, wish.OrderID, caller, err)
	}
	edited, err := c.reserveItem(ctx, order, lease, wish, request)
	switch kind := apperr.KindOf(err); {
	case err == nil:
		return edited, nil
	case kind == apperr.Invalid || kind == apperr.Conflict: // refused, so nothing was reserved for it
		c.endEdit(ctx, order, lease)
	default: // whether it was reserved is not known: Settle looks soon
		c.release(ctx, order, lease)
	}
	return nil, err
}

// reserveItem reserves what is wished for an order that is leased, and adds it. The answer is kept for the request in the
// same transaction, so that who asks again under its key adds nothing.
func (c *Checkout) reserveItem(ctx context.Context, order *domain.Order, lease Lease, wish AddItem, request uuid.UUID) (*domain.Order, error) {
	products, err := c.catalog.Products(ctx, []uuid.UUID{wish.ProductID})
	if err != nil {
		return nil, fmt.Errorf("ask for the product: %w", err)
	}
	product, ok := products[wish.ProductID]
	if !ok || !product.OnSale {
		return nil, domain.ErrProductMissing.With(apperr.Violation{
			Location: "product_id", Message: "is not on sale", Attributes: map[string]any{"product_id": wish.ProductID.String()},
		})
	}
	item := product.item(Line{wish.ProductID, wish.Quantity})
	method := c.shippingOf(order)
	before := order.Snapshot()
	model := domain.RestoreOrder(before)
	if err := model.AddItem(item, method, c.now()); err != nil {
		return nil, err
	}
	if err := c.stock.Reserve(ctx, order.ID(), lease.Epoch, linesOf(model), reservationTTL); err != nil {
		return nil, fmt.Errorf("reserve more: %w", shortBy(err, before, wish.ProductID))
	}
	edited, _, err := c.orders.Decide(ctx, order.ID(), lease, func(o *domain.Order) (Change, error) {
		if err := o.AddItem(item, method, c.now()); err != nil {
			return Change{}, err
		}
		due, _ := o.PaymentDue()
		return Change{Outcome: ended(o), For: []uuid.UUID{request}, Settle: Plan{At: due}}, nil
	})
	if errors.Is(err, ErrLeaseLost) {
		return nil, domain.ErrBusy.Wrap(err)
	}
	if err != nil {
		return nil, fmt.Errorf("add the item: %w", err)
	}
	return edited, nil
}

// RemoveItem is a customer's wish to have a line out of an order.
type RemoveItem struct {
	OrderID uuid.UUID
	ItemID  uuid.UUID
	// IfVersion is the version that the wish is about; nil for any.
	IfVersion *int64
}

// RemoveItem removes a line of a pending order of the caller's. Its pieces go back before it returns if they can, else soon
// after.
func (c *Checkout) RemoveItem(ctx context.Context, caller auth.Principal, wish RemoveItem) (domain.Snapshot, error) {
	order, lease, err := c.orders.Decide(ctx, wish.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		if err := c.mayEdit(o, caller, wish.IfVersion); err != nil {
			return Change{}, err
		}
		return c.editing(), o.RemoveItem(wish.ItemID, c.shippingOf(o), c.now())
	})
	if err != nil {
		return domain.Snapshot{}, c.notEdited(ctx, wish.OrderID, caller, err)
	}
	if err := c.stock.Reserve(ctx, order.ID(), lease.Epoch, linesOf(order), reservationTTL); err != nil {
		c.log.WarnContext(ctx, "what was removed from the order goes back later", "order_id", order.ID(), "error", err)
		c.release(ctx, order, lease)
		return order.Snapshot(), nil
	}
	c.endEdit(ctx, order, lease)
	return order.Snapshot(), nil
}

// mayEdit says why somebody may not edit an order, if so.
func (c *Checkout) mayEdit(o *domain.Order, caller auth.Principal, ifVersion *int64) error {
	switch {
	case !o.VisibleTo(caller.UserID, false):
		return domain.ErrOrderMissing
	case stale(ifVersion, o.Snapshot().Version):
		return domain.ErrVersion
	default:
		return o.Editable(c.now())
	}
}

// editing leases the order to who edits it, and has Settle look whether that came to an end.
func (c *Checkout) editing() Change {
	return Change{Keep: leaseFor, Settle: Plan{At: c.now().Add(firstLook)}}
}

// endEdit gives the lease of an order back whose reservation is what it says.
func (c *Checkout) endEdit(ctx context.Context, order *domain.Order, lease Lease) {
	_, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
		due, _ := o.PaymentDue()
		return Change{Settle: Plan{At: due}}, nil
	})
	if err != nil {
		c.log.WarnContext(ctx, "the lease runs out by itself", "order_id", order.ID(), "error", err)
	}
}

// notEdited tells why an order could not be leased. To who may not see it, it does not exist.
func (c *Checkout) notEdited(ctx context.Context, orderID uuid.UUID, caller auth.Principal, err error) error {
	if errors.Is(err, domain.ErrBusy) {
		return c.busyFor(ctx, orderID, caller.UserID, false)
	}
	return err
}

// shippingOf returns how an order is delivered, at today's terms; if that is not on offer any more, at the price that it has.
func (c *Checkout) shippingOf(o *domain.Order) domain.ShippingMethod {
	s := o.Snapshot()
	method, err := c.shipping.Find(s.ShippingMethod)
	if err != nil {
		return domain.ShippingMethod{ID: s.ShippingMethod, Price: s.Shipping}
	}
	return method
}

// shortBy makes the lines that are short, of a whole order, one of the wish: how many more of its product there are.
func shortBy(err error, before domain.Snapshot, productID uuid.UUID) error {
	if !errors.Is(err, domain.ErrOutOfStock) {
		return err
	}
	var held int64
	for _, item := range before.Items {
		if item.ProductID == productID {
			held = item.Quantity
		}
	}
	refusal := domain.ErrOutOfStock.Wrap(err)
	for _, v := range apperr.From(err).Violations {
		if v.Attributes["product_id"] != productID.String() {
			continue
		}
		available, _ := v.Attributes["available"].(int64)
		available = max(available-held, 0)
		refusal = refusal.With(apperr.Violation{
			Location: "quantity", Message: fmt.Sprintf("only %d left", available),
			Attributes: map[string]any{"product_id": productID.String(), "available": available},
		})
	}
	return refusal
}
