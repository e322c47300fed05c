package domain

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// CouponType is what kind of benefit a coupon gives.
type CouponType string

// The types of coupons.
const (
	PercentOff   CouponType = "percent"
	FixedOff     CouponType = "fixed"
	FreeShipping CouponType = "free_shipping"
)

// CouponStatus says whether a coupon may be used at all.
type CouponStatus string

// The states of a coupon.
const (
	CouponActive   CouponStatus = "active"
	CouponDisabled CouponStatus = "disabled"
)

// CouponTerms are what an admin says of a coupon. Zero members that may be left out mean that there is no such limit.
type CouponTerms struct {
	// Code is what customers type. It is unique whatever the case.
	Code string
	Type CouponType
	// Value is a whole percentage (1 to 100), or minor units of the shop's currency; 0 for free shipping.
	Value int64
	// MinSubtotal is in minor units.
	MinSubtotal int64
	// It may be used from StartsAt on, and before EndsAt.
	StartsAt, EndsAt            time.Time
	MaxUses, MaxUsesPerCustomer int64
	Status                      CouponStatus
}

// Coupon is a benefit that customers may ask for. Change it by its methods only.
type Coupon struct {
	ID uuid.UUID
	CouponTerms
	// Uses are those by orders that were not cancelled.
	Uses int64
	// Version counts the changes of the terms. Uses don't raise it: an admin's change must not fail because a customer bought.
	Version              int64
	CreatedAt, UpdatedAt time.Time
	// DeletedAt is when it was deleted, zero if it was not. A deleted one stays for the orders that have used it.
	DeletedAt time.Time
}

var couponCode = regexp.MustCompile(`^[A-Z0-9_-]{1,50}$`)

// NormalCode is how a code is kept, however it was typed.
func NormalCode(typed string) string { return strings.ToUpper(strings.TrimSpace(typed)) }

// ValidCode reports whether a code in its normal form can be a coupon's.
func ValidCode(code string) bool { return couponCode.MatchString(code) }

// NewCoupon returns a coupon that nobody has used.
func NewCoupon(terms CouponTerms, at time.Time) (Coupon, error) {
	terms, err := terms.checked()
	if err != nil {
		return Coupon{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Coupon{}, fmt.Errorf("make coupon id: %w", err)
	}
	return Coupon{ID: id, CouponTerms: terms, Version: 1, CreatedAt: at, UpdatedAt: at}, nil
}

// Change replaces the terms; equal ones make no new version. A limit below what was used already leaves nothing to use.
func (c *Coupon) Change(terms CouponTerms, at time.Time) error {
	terms, err := terms.checked()
	if err != nil {
		return err
	}
	if terms.Type != c.Type {
		return apperr.InvalidField("type", "can't be changed")
	}
	if terms.equal(c.CouponTerms) {
		return nil
	}
	c.CouponTerms, c.UpdatedAt = terms, at
	c.Version++
	return nil
}

// Delete ends the coupon. Its code is free for another one.
func (c *Coupon) Delete(at time.Time) {
	c.DeletedAt, c.UpdatedAt = at, at
	c.Version++
}

// equal reports whether other terms are the same. Times are compared as moments, wherever they were written.
func (t CouponTerms) equal(other CouponTerms) bool {
	times := t.StartsAt.Equal(other.StartsAt) && t.EndsAt.Equal(other.EndsAt)
	t.StartsAt, t.EndsAt = other.StartsAt, other.EndsAt
	return times && t == other
}

// checked returns the terms in their normal form, or names everything that is wrong with them.
func (t CouponTerms) checked() (CouponTerms, error) {
	t.Code = NormalCode(t.Code)
	var wrong []apperr.Violation
	refuse := func(location, message string) {
		wrong = append(wrong, apperr.Violation{Location: location, Message: message})
	}
	if !ValidCode(t.Code) {
		refuse("code", "must be 1 to 50 letters, digits, - and _")
	}
	switch {
	case t.Type == PercentOff && (t.Value < 1 || t.Value > 100):
		refuse("value", "must be a whole percentage from 1 to 100")
	case t.Type == FixedOff && t.Value < 1:
		refuse("value", "must be at least 1 minor unit")
	case t.Type == FreeShipping && t.Value != 0:
		refuse("value", "must be 0, or left out, for free shipping")
	case t.Type != PercentOff && t.Type != FixedOff && t.Type != FreeShipping:
		refuse("type", "is not known")
	}
	for _, limit := range []struct {
		location string
		value    int64
	}{{"min_subtotal", t.MinSubtotal}, {"max_uses", t.MaxUses}, {"max_uses_per_customer", t.MaxUsesPerCustomer}} {
		if limit.value < 0 {
			refuse(limit.location, "must not be negative")
		}
	}
	if !t.StartsAt.IsZero() && !t.EndsAt.IsZero() && !t.EndsAt.After(t.StartsAt) {
		refuse("ends_at", "must be after starts_at")
	}
	if t.Status != CouponActive && t.Status != CouponDisabled {
		refuse("status", "is not known")
	}
	if len(wrong) > 0 {
		return CouponTerms{}, apperr.ValidationFailed(wrong...)
	}
	return t, nil
}

// Redeem returns what the coupon gives at a time to a customer whose orders have used it so often. The minimum is checked
// by Price.
func (c Coupon) Redeem(used int64, at time.Time) (Benefit, error) {
	switch {
	case !c.StartsAt.IsZero() && at.Before(c.StartsAt):
		return Benefit{}, invalidCoupon("is not valid yet")
	case !c.EndsAt.IsZero() && !at.Before(c.EndsAt):
		return Benefit{}, invalidCoupon("is not valid any more")
	}
	if err := c.available(used); err != nil {
		return Benefit{}, err
	}
	return Benefit{CouponID: c.ID, Type: c.Type, Value: c.Value, MinSubtotal: c.MinSubtotal}, nil
}

// Take counts a use by a customer whose orders have used it so often. Who calls it holds the coupon: nobody else counts
// meanwhile.
func (c *Coupon) Take(used int64) error {
	if err := c.available(used); err != nil {
		return err
	}
	c.Uses++
	return nil
}

func (c Coupon) available(used int64) error {
	switch {
	case c.Status != CouponActive || !c.DeletedAt.IsZero():
		return invalidCoupon("is not valid any more")
	case c.MaxUses > 0 && c.Uses >= c.MaxUses:
		return ErrCouponExhausted.With(apperr.Violation{Location: couponField, Message: "has been used as often as it may be"})
	case c.MaxUsesPerCustomer > 0 && used >= c.MaxUsesPerCustomer:
		return ErrCouponExhausted.With(apperr.Violation{Location: couponField, Message: "was used by you as often as one customer may"})
	default:
		return nil
	}
}

// Benefit is what a coupon gives, as it was when the order was placed. The zero Benefit gives nothing.
type Benefit struct {
	CouponID    uuid.UUID
	Type        CouponType
	Value       int64
	MinSubtotal int64
}

// discount returns what is taken off a subtotal: rounded half to even, and never more than there is.
func (b Benefit) discount(subtotal money.Money) (money.Money, error) {
	if subtotal.Amount() < b.MinSubtotal {
		return money.Money{}, invalidCoupon(fmt.Sprintf("needs a subtotal of at least %d", b.MinSubtotal))
	}
	switch {
	case b.Type == PercentOff:
		return subtotal.Percent(b.Value)
	case b.Type == FixedOff && b.Value < subtotal.Amount():
		return money.New(b.Value, subtotal.Currency())
	case b.Type == FixedOff:
		return subtotal, nil
	default:
		return subtotal.Zero(), nil
	}
}

// couponField is where the coupon stands in a request.
const couponField = "coupon_code"

func invalidCoupon(why string) error {
	return ErrCouponInvalid.With(apperr.Violation{Location: couponField, Message: why})
}

// ErrCouponUnknown is what a code is refused with that is no coupon's.
var ErrCouponUnknown = invalidCoupon("is not a coupon of this shop")
