package domain

import (
	"errors"
	"fmt"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// Prices are what an order comes to: Total = Subtotal - Discount + Shipping, and Subtotal is the sum of the lines.
type Prices struct {
	Items                               []Item
	Subtotal, Discount, Shipping, Total money.Money
}

// Price is the one place where an order is reckoned: the lines, the discount of a coupon, the delivery. It refuses amounts
// that do not fit, prices below zero and a subtotal below the coupon's minimum, and leaves its arguments as they are. As the
// discount is never more than the subtotal, the total is never negative.
func Price(items []Item, method ShippingMethod, benefit Benefit) (Prices, error) {
	p := Prices{Items: make([]Item, len(items)), Subtotal: method.Price.Zero(), Discount: method.Price.Zero(), Shipping: method.Price.Zero()}
	var grams int64
	for i, item := range items {
		if item.UnitPrice.IsNegative() {
			return Prices{}, fmt.Errorf("product %s costs %v", item.ProductID, item.UnitPrice)
		}
		var err error
		if item.LineTotal, err = item.UnitPrice.Mul(item.Quantity); err == nil {
			p.Subtotal, err = p.Subtotal.Add(item.LineTotal)
		}
		if err != nil {
			return Prices{}, amountError(i, err)
		}
		grams += item.Grams * item.Quantity
		p.Items[i] = item
	}
	if len(items) > 0 {
		p.Shipping = method.Fee(p.Subtotal, grams)
	}
	var err error
	if p.Discount, err = benefit.discount(p.Subtotal); err != nil {
		return Prices{}, err
	}
	if benefit.Type == FreeShipping {
		p.Shipping = p.Shipping.Zero()
	}
	net, err := p.Subtotal.Sub(p.Discount)
	if err == nil {
		p.Total, err = net.Add(p.Shipping)
	}
	if err != nil {
		return Prices{}, amountError(len(items)-1, err)
	}
	return p, nil
}

// amountError tells a customer who asks for more than there is money in the world from a catalogue that mixes currencies.
func amountError(line int, err error) error {
	if errors.Is(err, money.ErrOverflow) {
		return apperr.InvalidField(fmt.Sprintf("items[%d].quantity", line), "makes the total too large")
	}
	return fmt.Errorf("add up line %d: %w", line, err)
}
