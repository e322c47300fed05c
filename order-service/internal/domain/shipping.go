package domain

import (
	"errors"
	"fmt"
	"regexp"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// Measure is what the bands of a ShippingMethod go by.
type Measure string

// The measures.
const (
	BySubtotal Measure = "subtotal" // minor units, before any discount: a coupon never makes the delivery dearer
	ByWeight   Measure = "weight"   // grams; a product that does not say its weight has none
)

// ShippingMethod is a way of delivery.
type ShippingMethod struct {
	ID   string
	Name string
	// Price is what delivery costs, unless the order has reached a band or FreeFrom.
	Price money.Money
	// By is what Bands go by. They rise, and the last one that an order has reached sets the price.
	By    Measure
	Bands []Band
	// FreeFrom is the subtotal in minor units from which delivery is free; 0 for none.
	FreeFrom         int64
	MinDays, MaxDays int32
}

// Band is the price of delivery from a measure on.
type Band struct {
	From  int64
	Price money.Money
}

// Fee returns what the delivery of an order costs.
func (m ShippingMethod) Fee(subtotal money.Money, grams int64) money.Money {
	if m.FreeFrom > 0 && subtotal.Amount() >= m.FreeFrom {
		return m.Price.Zero()
	}
	size, fee := subtotal.Amount(), m.Price
	if m.By == ByWeight {
		size = grams
	}
	for _, band := range m.Bands {
		if size >= band.From {
			fee = band.Price
		}
	}
	return fee
}

var shippingID = regexp.MustCompile(`^[a-z0-9_-]{1,50}$`)

func (m ShippingMethod) check() error {
	switch {
	case !shippingID.MatchString(m.ID):
		return errors.New("the id must be 1 to 50 of a-z, 0-9, - and _")
	case m.Name == "":
		return errors.New("it needs a name")
	case m.Price.Currency() == "" || m.Price.IsNegative():
		return errors.New("the price must not be negative")
	case m.MinDays < 0 || m.MinDays > m.MaxDays:
		return errors.New("the days must not be negative, the first not after the last")
	case m.FreeFrom < 0:
		return errors.New("the threshold must not be negative")
	case len(m.Bands) > 0 && m.By != BySubtotal && m.By != ByWeight:
		return fmt.Errorf("bands go by %s or by %s", BySubtotal, ByWeight)
	}
	for i, band := range m.Bands {
		switch {
		case band.From < 1 || i > 0 && band.From <= m.Bands[i-1].From:
			return errors.New("the bands must rise from above 0")
		case band.Price.IsNegative() || band.Price.Currency() != m.Price.Currency():
			return errors.New("the price of a band must be in the currency of the rest, and not negative")
		}
	}
	return nil
}

// ShippingMethods are the ways of delivery on offer: at least one, in one currency.
type ShippingMethods []ShippingMethod

// NewShippingMethods returns ways of delivery that make sense, or says what does not.
func NewShippingMethods(methods ...ShippingMethod) (ShippingMethods, error) {
	if len(methods) == 0 {
		return nil, errors.New("there must be at least one way of delivery")
	}
	seen := make(map[string]bool, len(methods))
	for i, m := range methods {
		err := m.check()
		switch {
		case err == nil && seen[m.ID]:
			err = errors.New("the id is there twice")
		case err == nil && m.Price.Currency() != methods[0].Price.Currency():
			err = errors.New("the currency is another one than that of the first")
		}
		if err != nil {
			return nil, fmt.Errorf("way of delivery %d (%q): %w", i+1, m.ID, err)
		}
		seen[m.ID] = true
	}
	return methods, nil
}

// DefaultShippingMethods returns what a new shop offers, priced in its currency.
func DefaultShippingMethods(currency string) (ShippingMethods, error) {
	methods := []ShippingMethod{
		{ID: "standard", Name: "Standard delivery", MinDays: 3, MaxDays: 5},
		{ID: "express", Name: "Express delivery", MinDays: 1, MaxDays: 2},
		{ID: "pickup", Name: "Pick-up in the shop", MinDays: 0, MaxDays: 1},
	}
	for i, amount := range []int64{490, 1290, 0} {
		price, err := money.New(amount, currency)
		if err != nil {
			return nil, err
		}
		methods[i].Price = price
	}
	return NewShippingMethods(methods...)
}

// Find returns the method with an id, or what is wrong with the request.
func (m ShippingMethods) Find(id string) (ShippingMethod, error) {
	for _, method := range m {
		if method.ID == id {
			return method, nil
		}
	}
	return ShippingMethod{}, apperr.InvalidField("shipping_method", "is not one of those that GET /shipping-methods offers")
}

// Undecided is no way of delivery yet: it costs nothing.
func (m ShippingMethods) Undecided() ShippingMethod { return ShippingMethod{Price: m[0].Price.Zero()} }
