package domain_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
)

func priced(amount int64, d *domain.Discount) domain.ProductSnapshot {
	return domain.ProductSnapshot{Price: money.MustNew(amount, "EUR"), Discount: d}
}

func TestSalePrice(t *testing.T) {
	t.Parallel()
	percent := func(n int64) *domain.Discount { return &domain.Discount{Type: domain.Percent, Value: n} }
	fixed := func(n int64) *domain.Discount { return &domain.Discount{Type: domain.Fixed, Value: n} }
	const none = -1
	for _, tc := range []struct {
		name     string
		price    int64
		discount *domain.Discount
		want     int64
	}{
		{"none", 1000, nil, none},
		{"a tenth", 1000, percent(10), 900},
		{"all", 1999, percent(100), 0},
		{"half of an odd price: 0.5 off is rounded to 0, the even one", 1, percent(50), none},
		{"1.5 off is rounded to 2", 3, percent(50), 1},
		{"2.5 off is rounded to 2: the discount is rounded, not the price", 5, percent(50), 3},
		{"3.5 off is rounded to 4", 7, percent(50), 3},
		{"less than half a cent is nothing", 4, percent(10), none},
		{"a third and a bit", 1999, percent(33), 1999 - 660}, // 659.67
		{"some off", 1000, fixed(1), 999},
		{"just the price", 1000, fixed(1000), 0},
		{"never below zero", 1000, fixed(5000), 0},
		{"of nothing", 0, fixed(1), none},
		{"the dearest", 1_000_000_000_000, percent(99), 10_000_000_000},
	} {
		sale, less, err := priced(tc.price, tc.discount).SalePrice(now)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if less != (tc.want != none) || (less && sale != money.MustNew(tc.want, "EUR")) {
			t.Errorf("%s: got %v, %v, want %d", tc.name, sale, less, tc.want)
		}
	}
}

func TestDiscountHasItsTime(t *testing.T) {
	t.Parallel()
	hour := now.Add(time.Hour)
	for _, tc := range []struct {
		name     string
		from, to time.Time
		at       time.Time
		want     bool
	}{
		{"always", time.Time{}, time.Time{}, now, true},
		{"not yet", now, time.Time{}, now.Add(-time.Microsecond), false},
		{"from its first moment", now, time.Time{}, now, true},
		{"to its last moment", time.Time{}, hour, hour.Add(-time.Microsecond), true},
		{"not at its end", time.Time{}, hour, hour, false},
		{"within", now, hour, now.Add(time.Minute), true},
	} {
		d := &domain.Discount{Type: domain.Fixed, Value: 1, StartsAt: tc.from, EndsAt: tc.to}
		if _, less, err := priced(10, d).SalePrice(tc.at); less != tc.want || d.AppliesAt(tc.at) != tc.want || err != nil {
			t.Errorf("%s: got %v, %v, want %v", tc.name, less, err, tc.want)
		}
	}
	if (*domain.Discount)(nil).AppliesAt(now) {
		t.Error("no discount applies")
	}
}

// TestSalePriceProperty holds the sale price between nothing and the price, and the percentage to at most half a unit from
// the exact one.
func TestSalePriceProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(0, 1_000_000_000_000).Draw(t, "price")
		d := &domain.Discount{Type: rapid.SampledFrom([]domain.DiscountType{domain.Percent, domain.Fixed}).Draw(t, "type")}
		if d.Type == domain.Percent {
			d.Value = rapid.Int64Range(1, 100).Draw(t, "percent")
		} else {
			d.Value = rapid.Int64Range(1, 1_000_000_000_000).Draw(t, "fixed")
		}
		sale, less, err := priced(price, d).SalePrice(now)
		if err != nil {
			t.Fatal(err)
		}
		if !less {
			sale = money.MustNew(price, "EUR")
		}
		if sale.Amount() < 0 || sale.Amount() > price || less != (sale.Amount() < price) {
			t.Fatalf("%d of %d, less: %v", sale.Amount(), price, less)
		}
		if d.Type == domain.Percent {
			exact := new(big.Rat).Mul(big.NewRat(price, 1), big.NewRat(d.Value, 100))
			off := new(big.Rat).Sub(exact, big.NewRat(price-sale.Amount(), 1))
			if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
				t.Fatalf("%d%% off %d is %d", d.Value, price, sale.Amount())
			}
		}
	})
}

func TestDiscountNamesEveryMistake(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		discount domain.Discount
		want     []string
	}{
		"percent":               {domain.Discount{Type: domain.Percent, Value: 100}, nil},
		"fixed":                 {domain.Discount{Type: domain.Fixed, Value: 5000, StartsAt: now, EndsAt: now.Add(1000)}, nil},
		"no type":               {domain.Discount{Value: 1}, []string{"discount.type"}},
		"nothing":               {domain.Discount{Type: domain.Percent}, []string{"discount.value"}},
		"more than all":         {domain.Discount{Type: domain.Percent, Value: 101}, []string{"discount.value"}},
		"fixed nothing":         {domain.Discount{Type: domain.Fixed, Value: 0}, []string{"discount.value"}},
		"negative":              {domain.Discount{Type: domain.Fixed, Value: -1}, []string{"discount.value"}},
		"absurd":                {domain.Discount{Type: domain.Fixed, Value: 1_000_000_000_001}, []string{"discount.value"}},
		"over when it begins":   {domain.Discount{Type: domain.Percent, Value: 1, StartsAt: now, EndsAt: now}, []string{"discount.ends_at"}},
		"too fine to be stored": {domain.Discount{Type: domain.Percent, Value: 1, StartsAt: now, EndsAt: now.Add(999)}, []string{"discount.ends_at"}},
	} {
		d := details()
		d.Discount = &tc.discount
		_, err := domain.NewProduct(uuid.New(), d, "EUR", now)
		if diff := cmp.Diff(tc.want, locations(err)); diff != "" {
			t.Errorf("%s: locations (-want +got):\n%s", name, diff)
		}
	}
}
