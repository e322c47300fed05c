package memory

import (
	"bytes"
	"context"
	"math"
	"slices"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
)

// use is a coupon that an order has.
type use struct{ couponID, userID uuid.UUID }

// AddCoupon implements usecase.CouponStore.
func (s *Store) AddCoupon(ctx context.Context, c domain.Coupon) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.codeTaken(c) {
		return domain.ErrCodeTaken
	}
	s.coupons[c.ID] = c
	return nil
}

// UpdateCoupon implements usecase.CouponStore.
func (s *Store) UpdateCoupon(ctx context.Context, id uuid.UUID, change func(*domain.Coupon) error) (domain.Coupon, error) {
	if err := ctx.Err(); err != nil {
		return domain.Coupon{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.coupons[id]
	if !ok || !c.DeletedAt.IsZero() {
		return domain.Coupon{}, domain.ErrCouponMissing
	}
	if err := change(&c); err != nil {
		return domain.Coupon{}, err
	}
	if s.codeTaken(c) {
		return domain.Coupon{}, domain.ErrCodeTaken
	}
	s.coupons[id] = c
	return c, nil
}

// codeTaken reports whether another coupon has the code of this one.
func (s *Store) codeTaken(c domain.Coupon) bool {
	for _, other := range s.coupons {
		if c.DeletedAt.IsZero() && other.ID != c.ID && other.Code == c.Code && other.DeletedAt.IsZero() {
			return true
		}
	}
	return false
}

// Coupon implements usecase.CouponReader.
func (s *Store) Coupon(ctx context.Context, id uuid.UUID) (domain.Coupon, error) {
	if err := ctx.Err(); err != nil {
		return domain.Coupon{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.coupons[id]
	if !ok || !c.DeletedAt.IsZero() {
		return domain.Coupon{}, domain.ErrCouponMissing
	}
	return c, nil
}

// ListCoupons implements usecase.CouponReader.
func (s *Store) ListCoupons(ctx context.Context, after uuid.UUID, limit int) ([]domain.Coupon, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []domain.Coupon
	for id, c := range s.coupons {
		if c.DeletedAt.IsZero() && (after == uuid.Nil || bytes.Compare(id[:], after[:]) < 0) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b domain.Coupon) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return found[:min(limit, len(found))], nil
}

// CountCoupons implements usecase.CouponReader.
func (s *Store) CountCoupons(ctx context.Context) (int64, error) {
	all, err := s.ListCoupons(ctx, uuid.Nil, math.MaxInt)
	return int64(len(all)), err
}

// FindCoupon implements usecase.CouponFinder.
func (s *Store) FindCoupon(ctx context.Context, code string, userID uuid.UUID) (domain.Coupon, int64, error) {
	if err := ctx.Err(); err != nil {
		return domain.Coupon{}, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.coupons {
		if c.Code == code && c.DeletedAt.IsZero() {
			return c, s.usedBy(c.ID, userID), nil
		}
	}
	return domain.Coupon{}, 0, domain.ErrCouponUnknown
}

// usedBy counts a customer's uses, where there is a limit to them.
func (s *Store) usedBy(couponID, userID uuid.UUID) (n int64) {
	for _, u := range s.uses {
		if (u == use{couponID, userID}) && s.coupons[couponID].MaxUsesPerCustomer > 0 {
			n++
		}
	}
	return n
}

// takeCoupon counts the use of a new order's coupon.
func (s *Store) takeCoupon(o domain.Snapshot) error {
	id := o.Benefit.CouponID
	if id == uuid.Nil {
		return nil
	}
	c := s.coupons[id]
	if err := c.Take(s.usedBy(id, o.UserID)); err != nil {
		return err
	}
	s.coupons[id], s.uses[o.ID] = c, use{id, o.UserID}
	return nil
}

// giveCouponBack ends the use of an order's coupon, if there still is one.
func (s *Store) giveCouponBack(orderID uuid.UUID) {
	u, ok := s.uses[orderID]
	if !ok {
		return
	}
	delete(s.uses, orderID)
	c := s.coupons[u.couponID]
	c.Uses--
	s.coupons[u.couponID] = c
}
