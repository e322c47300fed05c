package usecase_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

// coupon adds a coupon of ten percent.
func (s *shop) coupon(t *testing.T, change ...func(*domain.CouponTerms)) domain.Coupon {
	t.Helper()
	terms := domain.CouponTerms{Code: "SPRING", Type: domain.PercentOff, Value: 10, Status: domain.CouponActive}
	for _, c := range change {
		c(&terms)
	}
	coupon, err := usecase.NewCoupons(s.store, s.store, s.clock.Now).Create(t.Context(), terms)
	if err != nil {
		t.Fatal(err)
	}
	return coupon
}

func (s *shop) uses(t *testing.T, c domain.Coupon, want int64) {
	t.Helper()
	now, err := s.store.Coupon(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if now.Uses != want {
		t.Errorf("%d uses, want %d", now.Uses, want)
	}
}

// withCoupon is wish with a coupon, as a customer might type it.
func (s *shop) withCoupon(token string) usecase.PlaceOrder {
	wish := s.wish(token)
	wish.CouponCode = " spring "
	return wish
}

func TestPlaceWithCoupon(t *testing.T) {
	t.Parallel()
	const subtotal = 2*cupPrice + 3999 // 6499, of which ten percent are 649.9
	for _, tc := range []struct {
		name                      string
		terms                     func(*domain.CouponTerms)
		discount, shipping, total int64
	}{
		{"percent", func(*domain.CouponTerms) {}, 650, shippingC, subtotal - 650 + shippingC},
		{"fixed", func(c *domain.CouponTerms) { c.Type, c.Value = domain.FixedOff, 500 }, 500, shippingC, subtotal - 500 + shippingC},
		{"fixed, more than there is", func(c *domain.CouponTerms) { c.Type, c.Value = domain.FixedOff, 1_000_000 }, subtotal, shippingC, shippingC},
		{"free shipping", func(c *domain.CouponTerms) { c.Type, c.Value = domain.FreeShipping, 0 }, 0, 0, subtotal},
		{"just its minimum", func(c *domain.CouponTerms) { c.MinSubtotal = subtotal }, 650, shippingC, subtotal - 650 + shippingC},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			c := s.coupon(t, tc.terms)
			o := s.place(t, s.withCoupon(tokOK)).Order
			if o.Discount.Amount() != tc.discount || o.Shipping.Amount() != tc.shipping || o.Total.Amount() != tc.total || o.CouponCode != "SPRING" {
				t.Errorf("discount %v, shipping %v, total %v with %s; want %d, %d, %d", o.Discount, o.Shipping, o.Total, o.CouponCode,
					tc.discount, tc.shipping, tc.total)
			}
			s.uses(t, c, 1)
			// The same key takes no second use.
			again := s.place(t, s.withCoupon(tokOK))
			if !again.Replayed || again.Order.ID != o.ID {
				t.Errorf("again: replayed %v, %s", again.Replayed, again.Order.ID)
			}
			s.uses(t, c, 1)
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
		})
	}
}

func TestPlaceRefusesCoupons(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		terms func(*domain.CouponTerms)
		want  *apperr.Error
	}{
		{"unknown", func(c *domain.CouponTerms) { c.Code = "AUTUMN" }, domain.ErrCouponInvalid},
		{"disabled", func(c *domain.CouponTerms) { c.Status = domain.CouponDisabled }, domain.ErrCouponInvalid},
		{"not yet valid", func(c *domain.CouponTerms) { c.StartsAt = noon.Add(time.Second) }, domain.ErrCouponInvalid},
		{"no longer valid", func(c *domain.CouponTerms) { c.EndsAt = noon }, domain.ErrCouponInvalid},
		{"below its minimum", func(c *domain.CouponTerms) { c.MinSubtotal = 2*cupPrice + 3999 + 1 }, domain.ErrCouponInvalid},
		{"used up", func(c *domain.CouponTerms) { c.MaxUses = 1 }, domain.ErrCouponExhausted},
		{"used up by the customer", func(c *domain.CouponTerms) { c.MaxUsesPerCustomer = 1 }, domain.ErrCouponExhausted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			c := s.coupon(t, tc.terms)
			var before int64
			if errors.Is(tc.want, domain.ErrCouponExhausted) {
				first := s.withCoupon("")
				first.Key, first.Items = "first", []usecase.Line{{ProductID: s.gift, Quantity: 1}}
				s.place(t, first)
				before = 1
			}
			_, err := s.healthy().Place(s.ctx(t), s.withCoupon(tokOK))
			got := refused(t, err, tc.want)
			if len(got.Violations) != 1 || got.Violations[0].Location != "coupon_code" {
				t.Errorf("violations %v, want one at coupon_code", got.Violations)
			}
			s.uses(t, c, before)
			if s.stock.Available(s.cup) != pieces {
				t.Error("pieces were reserved")
			}
		})
	}
}

// What can't be a code is not looked for: a database refuses some of it.
func TestCodesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, code := range []string{" ", "\x00", "SPRING\x00", "A B", "';--", "ÄPFEL"} {
		s := newShop(t)
		wish := s.wish(tokOK)
		wish.CouponCode = code
		_, err := s.process(CantReach(errAway, "coupons.FindCoupon")).Place(s.ctx(t), wish)
		refused(t, err, domain.ErrCouponInvalid)
	}
}

// However an order ends without being bought, its use comes back; and a bought one's stays.
func TestUsesComeBack(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		token string
		then  func(t *testing.T, s *shop, id uuid.UUID)
		want  int64
	}{
		{"bought", tokOK, func(*testing.T, *shop, uuid.UUID) {}, 1},
		{"waiting", "", func(*testing.T, *shop, uuid.UUID) {}, 1},
		{"cancelled", tokOK, func(t *testing.T, s *shop, id uuid.UUID) {
			for range 3 {
				if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: id}); err != nil {
					t.Fatal(err)
				}
			}
		}, 0},
		{"declined", tokDeclined, func(*testing.T, *shop, uuid.UUID) {}, 0},
		{"not paid in time", "", func(t *testing.T, s *shop, _ uuid.UUID) { s.work(t, s.healthy(), domain.PaymentWindow+time.Minute) }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			c := s.coupon(t, func(c *domain.CouponTerms) { c.MaxUses, c.MaxUsesPerCustomer = 1, 1 })
			placed, err := s.healthy().Place(s.ctx(t), s.withCoupon(tc.token))
			if (err != nil) != (tc.token == tokDeclined) {
				t.Fatal(err)
			}
			tc.then(t, s, placed.Order.ID)
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			s.uses(t, c, tc.want)
			next := s.withCoupon("")
			next.Key, next.Items = "next", []usecase.Line{{ProductID: s.gift, Quantity: 1}}
			if _, err := s.healthy().Place(s.ctx(t), next); (err == nil) != (tc.want == 0) {
				t.Errorf("the next order: %v", err)
			}
		})
	}
}

// Between the draft and the reservation the last piece is sold: the order never was, and the coupon was not used.
func TestDiscardedOrderGivesUseBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	c := s.coupon(t, func(c *domain.CouponTerms) { c.MaxUses = 1 })
	f := Faults{Before: func(call string) error {
		if call == "stock.Reserve" {
			s.stock.Set(s.cup, 0)
		}
		return nil
	}}
	_, err := s.process(f).Place(s.ctx(t), s.withCoupon(tokOK))
	refused(t, err, domain.ErrOutOfStock)
	s.uses(t, c, 0)
	if n := len(s.orders(t)); n != 0 {
		t.Errorf("%d orders", n)
	}
}

// Wherever a checkout with a coupon is interrupted, a minute later it is used once if there is an order, else not at all.
func TestCouponSurvivesAccidents(t *testing.T) {
	t.Parallel()
	for _, token := range []string{tokOK, tokDeclined, ""} {
		t.Run("token "+token, func(t *testing.T) {
			t.Parallel()
			start := func(t *testing.T) (*shop, domain.Coupon) {
				s := newShop(t)
				return s, s.coupon(t, func(c *domain.CouponTerms) { c.MaxUses = 1 })
			}
			eachAccident(t, func(t *testing.T, f Faults) {
				s, _ := start(t)
				_, _ = s.process(f).Place(s.ctx(t), s.withCoupon(token))
			}, func(t *testing.T, f Faults) {
				s, c := start(t)
				_, _ = s.process(f).Place(s.ctx(t), s.withCoupon(token))
				s.work(t, s.healthy(), time.Minute)
				_, _ = s.healthy().Place(s.ctx(t), s.withCoupon(token))
				s.work(t, s.healthy(), time.Minute)
				s.agrees(t)
				want := int64(0)
				for _, o := range s.orders(t) {
					if o.Status != domain.Cancelled {
						want++
					}
				}
				s.uses(t, c, want)
			})
		})
	}
}

// 50 customers race for the uses of a coupon and some pieces: as many buy as the scarcer of the two allows.
func TestRaceForUsesAndPieces(t *testing.T) {
	t.Parallel()
	for _, stock := range []int64{7, 10, 60} {
		t.Run(fmt.Sprint(stock, " pieces"), func(t *testing.T) {
			t.Parallel()
			raceForUsesAndPieces(t, newShop(t), 10, stock)
		})
	}
}

func raceForUsesAndPieces(t *testing.T, s *shop, uses, stock int64) {
	t.Helper()
	const customers = 50
	c := s.coupon(t, func(c *domain.CouponTerms) { c.MaxUses = uses })
	s.stock.Set(s.cup, stock)
	errs := make([]error, customers)
	var group sync.WaitGroup
	for i := range customers {
		customer := uuid.New()
		wish := s.withCoupon(tokOK)
		wish.UserID, wish.Key, wish.Items = customer, fmt.Sprint(i), []usecase.Line{{ProductID: s.cup, Quantity: 1}}
		ctx := auth.NewContext(t.Context(), auth.Principal{UserID: customer.String(), Role: auth.Customer})
		group.Go(func() { _, errs[i] = s.healthy().Place(ctx, wish) })
	}
	group.Wait()
	bought := int64(0)
	for i, err := range errs {
		switch {
		case err == nil:
			bought++
		case !errors.Is(err, domain.ErrOutOfStock) && !errors.Is(err, domain.ErrCouponExhausted):
			t.Errorf("customer %d: %v", i, err)
		}
	}
	if bought != min(uses, stock) {
		t.Errorf("%d have bought, want %d", bought, min(uses, stock))
	}
	s.work(t, s.healthy(), time.Minute)
	s.uses(t, c, bought)
	if left := s.stock.Available(s.cup); left != stock-bought {
		t.Errorf("%d pieces are left of %d, and %d were bought", left, stock, bought)
	}
}
