package domain

import (
	"fmt"
	"time"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// DiscountType says how a discount is reckoned.
type DiscountType string

// The types of a discount.
const (
	Percent DiscountType = "percent"
	Fixed   DiscountType = "fixed"
)

// Discount lowers a price for a time.
type Discount struct {
	Type  DiscountType
	Value int64 // a whole percentage from 1 to 100, or minor units of the price's currency
	// StartsAt is the first moment at which it applies, zero for at once.
	StartsAt time.Time
	// EndsAt is the first moment at which it does no longer apply, zero for good.
	EndsAt time.Time
}

// AppliesAt reports whether a product with this discount, nil for none, is cheaper at a time.
func (d *Discount) AppliesAt(at time.Time) bool {
	return d != nil && !at.Before(d.StartsAt) && (d.EndsAt.IsZero() || at.Before(d.EndsAt))
}

// off returns what a discount takes off a price: never more than the price. A percentage is rounded half to even, and it is
// the discount that is rounded, not the price that is left.
func (d *Discount) off(price money.Money) (money.Money, error) {
	if d.Type == Percent {
		return price.Percent(d.Value)
	}
	return money.New(min(d.Value, price.Amount()), price.Currency())
}

// normal returns the discount with its times as the database keeps them.
func (d *Discount) normal() *Discount {
	if d == nil {
		return nil
	}
	n := *d
	n.StartsAt, n.EndsAt = n.StartsAt.UTC().Truncate(time.Microsecond), n.EndsAt.UTC().Truncate(time.Microsecond)
	return &n
}

func (d *Discount) same(other *Discount) bool {
	if d == nil || other == nil {
		return d == other
	}
	return d.Type == other.Type && d.Value == other.Value && d.StartsAt.Equal(other.StartsAt) && d.EndsAt.Equal(other.EndsAt)
}

func (d *Discount) violations() []apperr.Violation {
	if d == nil {
		return nil
	}
	var v []apperr.Violation
	switch {
	case d.Type != Percent && d.Type != Fixed:
		v = append(v, violation("discount.type", "It must be percent or fixed."))
	case d.Type == Percent && (d.Value < 1 || d.Value > 100):
		v = append(v, violation("discount.value", "A percentage must be from 1 to 100."))
	case d.Value < 1 || d.Value > maxPrice:
		v = append(v, violation("discount.value", fmt.Sprintf("It must be from 1 to %d.", int64(maxPrice))))
	}
	if !d.EndsAt.IsZero() && !d.EndsAt.After(d.StartsAt) {
		v = append(v, violation("discount.ends_at", "It must be after starts_at."))
	}
	return v
}

// SalePrice returns what a customer pays at a time, and whether that is less than the price.
func (s ProductSnapshot) SalePrice(at time.Time) (sale money.Money, less bool, err error) {
	if !s.Discount.AppliesAt(at) {
		return money.Money{}, false, nil
	}
	off, err := s.Discount.off(s.Price)
	if err != nil {
		return money.Money{}, false, fmt.Errorf("discount of product %s: %w", s.ID, err)
	}
	sale, err = s.Price.Sub(off)
	if err != nil {
		return money.Money{}, false, fmt.Errorf("sale price of product %s: %w", s.ID, err)
	}
	return sale, !off.IsZero(), nil
}
