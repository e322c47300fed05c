package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// MaxQuantity is how many pieces of one product an order may have: as many as a cart.
const MaxQuantity = 999

// Editable returns an error unless the items may still be changed: while the order waits for a payment that nobody has
// begun, and its time is not up.
func (o *Order) Editable(at time.Time) error {
	if due, waiting := o.PaymentDue(); !waiting || !at.Before(due) {
		return ErrNotEditable
	}
	return nil
}

// AddItem adds pieces of a product, as it is named and priced today. If there is a line of the product, the whole line has
// today's name and price from now on: an order has one line a product, and a line one price.
func (o *Order) AddItem(item Item, method ShippingMethod, at time.Time) error {
	items := slices.Clone(o.s.Items)
	i := slices.IndexFunc(items, func(line Item) bool { return line.ProductID == item.ProductID })
	if i < 0 {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make item id: %w", err)
		}
		item.ID = id
		items = append(items, item)
	} else {
		item.ID = items[i].ID
		item.Quantity += items[i].Quantity
		items[i] = item
	}
	if len(items) > MaxLines {
		return apperr.InvalidField("product_id", fmt.Sprintf("is one too many: an order has at most %d lines", MaxLines))
	}
	if item.Quantity < 1 || item.Quantity > MaxQuantity {
		return apperr.InvalidField("quantity", fmt.Sprintf("makes %d of the product; an order has 1 to %d", item.Quantity, MaxQuantity))
	}
	return o.reprice(items, method, at)
}

// RemoveItem removes a line. The last one stays: an order of nothing is cancelled instead.
func (o *Order) RemoveItem(id uuid.UUID, method ShippingMethod, at time.Time) error {
	i := slices.IndexFunc(o.s.Items, func(line Item) bool { return line.ID == id })
	switch {
	case i < 0:
		return ErrItemMissing
	case len(o.s.Items) == 1:
		return ErrLastItem
	}
	return o.reprice(slices.Delete(slices.Clone(o.s.Items), i, i+1), method, at)
}

// reprice gives the order other items. What the coupon gives is what it gave when the order was placed, if its minimum is
// still reached: an order that would lose its coupon is left as it is, and the customer told.
func (o *Order) reprice(items []Item, method ShippingMethod, at time.Time) error {
	if err := o.Editable(at); err != nil {
		return err
	}
	p, err := Price(items, method, o.s.Benefit)
	if err != nil {
		return err
	}
	o.s.apply(p)
	o.touch(at)
	return nil
}

// apply puts prices into the order.
func (s *Snapshot) apply(p Prices) {
	s.Items, s.Subtotal, s.Discount, s.Shipping, s.Total = p.Items, p.Subtotal, p.Discount, p.Shipping, p.Total
}
