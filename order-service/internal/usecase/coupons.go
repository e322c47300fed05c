package usecase

import (
	"context"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/pagetoken"
)

// CouponFinder finds the coupons that orders ask for. AttemptStore.Begin takes their uses, and OrderStore.Decide gives them
// back.
type CouponFinder interface {
	// FindCoupon returns the coupon with a code in its normal form, and how many orders of a user have used it and were not
	// cancelled; domain.ErrCouponUnknown if there is none.
	FindCoupon(ctx context.Context, code string, userID uuid.UUID) (c domain.Coupon, used int64, err error)
}

// CouponStore keeps coupons. A deleted one is domain.ErrCouponMissing.
type CouponStore interface {
	// AddCoupon keeps a new coupon; domain.ErrCodeTaken if another one has its code.
	AddCoupon(ctx context.Context, c domain.Coupon) error
	// UpdateCoupon has change change a coupon that nobody else can change or use meanwhile. An error of change, which is
	// returned as it is, leaves it as it was.
	UpdateCoupon(ctx context.Context, id uuid.UUID, change func(*domain.Coupon) error) (domain.Coupon, error)
}

// CouponReader reads coupons that were not deleted.
type CouponReader interface {
	// Coupon returns a coupon, or domain.ErrCouponMissing.
	Coupon(ctx context.Context, id uuid.UUID) (domain.Coupon, error)
	// ListCoupons returns up to limit coupons, newest first, after the one with the id after unless that is zero.
	ListCoupons(ctx context.Context, after uuid.UUID, limit int) ([]domain.Coupon, error)
	// CountCoupons returns how many there are.
	CountCoupons(ctx context.Context) (int64, error)
}

// Coupons are what admins do with coupons. Who may is decided at the door.
type Coupons struct {
	store  CouponStore
	reader CouponReader
	now    func() time.Time
}

// NewCoupons returns the use cases of coupons.
func NewCoupons(store CouponStore, reader CouponReader, now func() time.Time) *Coupons {
	return &Coupons{store: store, reader: reader, now: now}
}

// Create adds a coupon.
func (c *Coupons) Create(ctx context.Context, terms domain.CouponTerms) (domain.Coupon, error) {
	coupon, err := domain.NewCoupon(precise(terms), c.now())
	if err != nil {
		return domain.Coupon{}, err
	}
	return coupon, c.store.AddCoupon(ctx, coupon)
}

// Update changes the terms of a coupon. ifVersion is the version that the wish is about; nil for any.
func (c *Coupons) Update(ctx context.Context, id uuid.UUID, ifVersion *int64, change func(*domain.CouponTerms)) (domain.Coupon, error) {
	return c.store.UpdateCoupon(ctx, id, func(coupon *domain.Coupon) error {
		if stale(ifVersion, coupon.Version) {
			return domain.ErrCouponVersion
		}
		terms := coupon.CouponTerms
		change(&terms)
		return coupon.Change(precise(terms), c.now())
	})
}

// Delete ends a coupon. Orders that used it keep their discount.
func (c *Coupons) Delete(ctx context.Context, id uuid.UUID, ifVersion *int64) error {
	_, err := c.store.UpdateCoupon(ctx, id, func(coupon *domain.Coupon) error {
		if stale(ifVersion, coupon.Version) {
			return domain.ErrCouponVersion
		}
		coupon.Delete(c.now())
		return nil
	})
	return err
}

// precise leaves of the times what the store keeps.
func precise(terms domain.CouponTerms) domain.CouponTerms {
	for _, at := range []*time.Time{&terms.StartsAt, &terms.EndsAt} {
		if !at.IsZero() {
			*at = at.UTC().Truncate(time.Microsecond)
		}
	}
	return terms
}

// Get returns a coupon.
func (c *Coupons) Get(ctx context.Context, id uuid.UUID) (domain.Coupon, error) {
	return c.reader.Coupon(ctx, id)
}

// ListCoupons asks for a page of coupons.
type ListCoupons struct {
	// PageSize 0 is defaultPage.
	PageSize     int
	PageToken    string
	IncludeTotal bool
}

// CouponPage is a page of coupons.
type CouponPage struct {
	Coupons       []domain.Coupon
	NextPageToken string
	// Total is how many there are in all, nil unless it was asked for.
	Total *int64
}

const (
	// defaultPage is the page size of the API where a client names none.
	defaultPage = 20
	// couponList names the list in its page tokens.
	couponList = "coupons"
)

// List returns a page of coupons, newest first.
func (c *Coupons) List(ctx context.Context, l ListCoupons) (CouponPage, error) {
	size := l.PageSize
	if size == 0 {
		size = defaultPage
	}
	var after uuid.UUID
	if l.PageToken != "" {
		if err := pagetoken.Decode(l.PageToken, couponList, &after); err != nil {
			return CouponPage{}, err
		}
	}
	// One more than the page holds tells whether there is another one.
	coupons, err := c.reader.ListCoupons(ctx, after, size+1)
	if err != nil {
		return CouponPage{}, err
	}
	page := CouponPage{Coupons: coupons}
	if len(coupons) > size {
		page.Coupons = coupons[:size]
		if page.NextPageToken, err = pagetoken.Encode(couponList, coupons[size-1].ID); err != nil {
			return CouponPage{}, err
		}
	}
	if l.IncludeTotal {
		total, err := c.reader.CountCoupons(ctx)
		if err != nil {
			return CouponPage{}, err
		}
		page.Total = &total
	}
	return page, nil
}
