package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

func terms(change ...func(*domain.CouponTerms)) domain.CouponTerms {
	t := domain.CouponTerms{Code: "SPRING", Type: domain.PercentOff, Value: 10, Status: domain.CouponActive}
	for _, c := range change {
		c(&t)
	}
	return t
}

func newCoupon(t *testing.T, change ...func(*domain.CouponTerms)) domain.Coupon {
	t.Helper()
	c, err := domain.NewCoupon(terms(change...), noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCouponTerms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*domain.CouponTerms)
		want   []string // locations; nil for accepted
	}{
		{"as they are", func(*domain.CouponTerms) {}, nil},
		{"every limit", func(t *domain.CouponTerms) {
			t.MinSubtotal, t.MaxUses, t.MaxUsesPerCustomer, t.StartsAt, t.EndsAt = 1, 1, 1, noon, noon.Add(1)
		}, nil},
		{"a code in small letters", func(t *domain.CouponTerms) { t.Code = " sp-r_1ng " }, nil},
		{"no code", func(t *domain.CouponTerms) { t.Code = " " }, []string{"code"}},
		{"a code with a blank", func(t *domain.CouponTerms) { t.Code = "A B" }, []string{"code"}},
		{"a code in another alphabet", func(t *domain.CouponTerms) { t.Code = "ÄPFEL" }, []string{"code"}},
		{"the longest code", func(t *domain.CouponTerms) { t.Code = strings.Repeat("X", 50) }, nil},
		{"a code too long", func(t *domain.CouponTerms) { t.Code = strings.Repeat("X", 51) }, []string{"code"}},
		{"0 percent", func(t *domain.CouponTerms) { t.Value = 0 }, []string{"value"}},
		{"100 percent", func(t *domain.CouponTerms) { t.Value = 100 }, nil},
		{"101 percent", func(t *domain.CouponTerms) { t.Value = 101 }, []string{"value"}},
		{"fixed", func(t *domain.CouponTerms) { t.Type, t.Value = domain.FixedOff, 1 }, nil},
		{"fixed, nothing", func(t *domain.CouponTerms) { t.Type, t.Value = domain.FixedOff, 0 }, []string{"value"}},
		{"free shipping", func(t *domain.CouponTerms) { t.Type, t.Value = domain.FreeShipping, 0 }, nil},
		{"free shipping of something", func(t *domain.CouponTerms) { t.Type = domain.FreeShipping }, []string{"value"}},
		{"a type that is none", func(t *domain.CouponTerms) { t.Type = "gift" }, []string{"type"}},
		{"a state that is none", func(t *domain.CouponTerms) { t.Status = "" }, []string{"status"}},
		{"an end at its start", func(t *domain.CouponTerms) { t.StartsAt, t.EndsAt = noon, noon }, []string{"ends_at"}},
		{"negative limits", func(t *domain.CouponTerms) { t.MinSubtotal, t.MaxUses, t.MaxUsesPerCustomer = -1, -1, -1 },
			[]string{"max_uses", "max_uses_per_customer", "min_subtotal"}},
		{"all wrong at once", func(t *domain.CouponTerms) { t.Code, t.Value, t.Status = "", 0, "" }, []string{"code", "status", "value"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := domain.NewCoupon(terms(tc.change), noon)
			if tc.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if c.Code != domain.NormalCode(c.Code) || c.Version != 1 || c.Uses != 0 {
					t.Errorf("coupon %+v", c)
				}
				return
			}
			var got []string
			for _, v := range apperr.From(err).Violations {
				got = append(got, v.Location)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" || apperr.KindOf(err) != apperr.Invalid {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			// What a new one may not be, no other becomes.
			old := newCoupon(t)
			before := old
			if err := old.Change(terms(tc.change), noon); apperr.KindOf(err) != apperr.Invalid || old != before {
				t.Errorf("changed to it: %v, %+v", err, old)
			}
		})
	}
}

func TestChangeCoupon(t *testing.T) {
	t.Parallel()
	c := newCoupon(t, func(t *domain.CouponTerms) { t.MaxUses = 5 })
	c.Uses = 3
	later := noon.Add(time.Hour)
	// Fewer than there were: it is exhausted, and what was used stays used.
	if err := c.Change(terms(func(t *domain.CouponTerms) { t.MaxUses, t.Value = 2, 20 }), later); err != nil {
		t.Fatal(err)
	}
	if c.Version != 2 || c.Uses != 3 || c.Value != 20 || !c.UpdatedAt.Equal(later) || !c.CreatedAt.Equal(noon) {
		t.Errorf("changed: %+v", c)
	}
	if err := c.Take(0); !errors.Is(err, domain.ErrCouponExhausted) {
		t.Errorf("a use: %v", err)
	}
	if err := c.Change(terms(func(t *domain.CouponTerms) { t.Type = domain.FixedOff }), later); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("another type: %v", err)
	}
}

// What changes nothing is no change: whoever has read the coupon may still write.
func TestEqualTermsAreNoChange(t *testing.T) {
	t.Parallel()
	starts := noon.Add(time.Hour)
	c := newCoupon(t, func(t *domain.CouponTerms) { t.StartsAt = starts })
	before := c
	same := terms(func(t *domain.CouponTerms) {
		t.StartsAt, t.Code = starts.In(time.FixedZone("east", 3600)), strings.ToLower(t.Code)
	})
	if err := c.Change(same, noon.Add(time.Minute)); err != nil || c != before {
		t.Errorf("%v, changed to %+v", err, c)
	}
	if err := c.Change(terms(func(t *domain.CouponTerms) { t.StartsAt = starts.Add(time.Second) }), noon.Add(time.Minute)); err != nil || c.Version != 2 {
		t.Errorf("%v, another start: %+v", err, c)
	}
}

func TestRedeem(t *testing.T) {
	t.Parallel()
	hour := time.Hour
	for _, tc := range []struct {
		name   string
		change func(*domain.Coupon)
		used   int64
		want   *apperr.Error
		atTake bool // Take refuses it too
	}{
		{"no limits", func(*domain.Coupon) {}, 1000, nil, false},
		{"disabled", func(c *domain.Coupon) { c.Status = domain.CouponDisabled }, 0, domain.ErrCouponInvalid, true},
		{"deleted", func(c *domain.Coupon) { c.Delete(noon) }, 0, domain.ErrCouponInvalid, true},
		{"it starts now", func(c *domain.Coupon) { c.StartsAt = noon }, 0, nil, false},
		{"it starts soon", func(c *domain.Coupon) { c.StartsAt = noon.Add(1) }, 0, domain.ErrCouponInvalid, false},
		{"it ends soon", func(c *domain.Coupon) { c.EndsAt = noon.Add(1) }, 0, nil, false},
		{"it ends now", func(c *domain.Coupon) { c.EndsAt = noon }, 0, domain.ErrCouponInvalid, false},
		{"within its time", func(c *domain.Coupon) { c.StartsAt, c.EndsAt = noon.Add(-hour), noon.Add(hour) }, 0, nil, false},
		{"one use left", func(c *domain.Coupon) { c.MaxUses, c.Uses = 3, 2 }, 2, nil, false},
		{"none left", func(c *domain.Coupon) { c.MaxUses, c.Uses = 3, 3 }, 0, domain.ErrCouponExhausted, true},
		{"one left for the customer", func(c *domain.Coupon) { c.MaxUsesPerCustomer = 2 }, 1, nil, false},
		{"none left for the customer", func(c *domain.Coupon) { c.MaxUsesPerCustomer = 2 }, 2, domain.ErrCouponExhausted, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCoupon(t, func(t *domain.CouponTerms) { t.MinSubtotal = 500 })
			tc.change(&c)
			b, err := c.Redeem(tc.used, noon)
			if tc.want == nil {
				want := domain.Benefit{CouponID: c.ID, Type: domain.PercentOff, Value: 10, MinSubtotal: 500}
				if err != nil || b != want {
					t.Errorf("%+v, %v; want %+v", b, err, want)
				}
			} else if !errors.Is(err, tc.want) || len(apperr.From(err).Violations) != 1 || apperr.From(err).Violations[0].Location != "coupon_code" {
				t.Errorf("%v, want %v at coupon_code", err, tc.want)
			}
			uses, version := c.Uses, c.Version
			err = c.Take(tc.used)
			switch {
			case tc.atTake && (!errors.Is(err, tc.want) || c.Uses != uses):
				t.Errorf("taken: %v, %d uses", err, c.Uses)
			case !tc.atTake && (err != nil || c.Uses != uses+1 || c.Version != version):
				t.Errorf("taken: %v, %d uses, version %d", err, c.Uses, c.Version)
			}
		})
	}
}
