package domain

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/money"
)

// Offer is a product as product-service offers it now.
type Offer struct {
	SKU, Name, Image string
	// Price is what a customer pays now.
	Price money.Money
	// Active is whether it is sold at all.
	Active bool
	// InStock is how many can be bought.
	InStock int64
}

// Known returns what a cart remembers of the offer.
func (o Offer) Known(now time.Time) Known {
	return Known{SKU: o.SKU, Name: o.Name, Image: o.Image, Price: o.Price, At: now}
}

// Offers are the products that product-service knows, by id.
type Offers map[uuid.UUID]Offer

// View is a cart with its prices.
type View struct {
	Items []Item
	// Pieces is the sum of the quantities.
	Pieces   int64
	Subtotal money.Money
	Version  int64
	// ExpiresAt is the zero time for a cart that was never written.
	ExpiresAt time.Time
	// PricesAsOf is since when all of the prices are known.
	PricesAsOf time.Time
	// Stale means that the prices are the last known ones.
	Stale bool
}

// Item is a line of a view.
type Item struct {
	Line
	SKU, Name, Image string
	UnitPrice        money.Money
	LineTotal        money.Money
	PriceChanged     bool
	// Available is whether the product can be bought in this quantity now.
	Available bool
}

// Priced returns the cart at the prices of now. A product that product-service doesn't know any more is shown as it was
// known last, and not available. The subtotal counts all lines: what of them can be had is said at each.
func (c *Cart) Priced(offers Offers, currency money.Money, now time.Time) (View, error) {
	v := c.view(currency, now)
	for _, l := range c.lines {
		item := itemAsKnown(l)
		if offer, ok := offers[l.ProductID]; ok {
			item.SKU, item.Name, item.Image, item.UnitPrice = offer.SKU, offer.Name, offer.Image, offer.Price
			item.Available = offer.Active && offer.InStock >= l.Quantity
		}
		if err := v.add(item); err != nil {
			return View{}, err
		}
	}
	return v, nil
}

// PricedAsKnown returns the cart at the last known prices. Nothing in it is available: without product-service nothing
// can be bought, and a promise would be a guess.
func (c *Cart) PricedAsKnown(currency money.Money, now time.Time) (View, error) {
	v := c.view(currency, now)
	v.Stale = true
	for _, l := range c.lines {
		if l.Known.At.Before(v.PricesAsOf) {
			v.PricesAsOf = l.Known.At
		}
		if err := v.add(itemAsKnown(l)); err != nil {
			return View{}, err
		}
	}
	return v, nil
}

// News returns what of the offers differs from what the cart knows; nothing most of the time.
func (c *Cart) News(offers Offers, now time.Time) map[uuid.UUID]Known {
	news := make(map[uuid.UUID]Known)
	for _, l := range c.lines {
		offer, ok := offers[l.ProductID]
		if ok && offer.Known(l.Known.At) != l.Known {
			news[l.ProductID] = offer.Known(now)
		}
	}
	return news
}

func (c *Cart) view(currency money.Money, now time.Time) View {
	return View{
		Items:    make([]Item, 0, len(c.lines)),
		Subtotal: currency.Zero(), Version: c.version, ExpiresAt: c.ExpiresAt(), PricesAsOf: now,
	}
}

func itemAsKnown(l Line) Item {
	return Item{Line: l, SKU: l.Known.SKU, Name: l.Known.Name, Image: l.Known.Image, UnitPrice: l.Known.Price}
}

// add completes the item by what follows from its price, and sums up.
func (v *View) add(item Item) error {
	item.PriceChanged = item.UnitPrice != item.AddedPrice
	total, err := item.UnitPrice.Mul(item.Quantity)
	if err == nil {
		item.LineTotal = total
		v.Subtotal, err = v.Subtotal.Add(total)
	}
	switch {
	case errors.Is(err, money.ErrOverflow):
		return ErrWorthLimit.Wrap(err)
	case err != nil:
		return fmt.Errorf("price of product %s: %w", item.ProductID, err)
	}
	v.Pieces += item.Quantity
	v.Items = append(v.Items, item)
	return nil
}
