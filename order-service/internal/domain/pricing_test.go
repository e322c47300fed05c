package domain_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// wished is all that a price is made of.
type wished struct {
	items   []domain.Item
	method  domain.ShippingMethod
	benefit domain.Benefit
}

// amounts are small ones, where rounding matters, and those near the end of int64.
var amounts = rapid.OneOf(rapid.Int64Range(0, 500), rapid.Int64Range(0, 100_000), rapid.Int64Range(0, math.MaxInt64))

var wishes = rapid.Custom(func(r *rapid.T) wished {
	w := wished{items: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) domain.Item {
		i := item(rapid.Int64Range(1, domain.MaxQuantity).Draw(r, "quantity"), amounts.Draw(r, "price"))
		i.Grams = rapid.Int64Range(0, 1_000_000_000).Draw(r, "grams")
		return i
	}), 0, 8).Draw(r, "items")}
	w.method = domain.ShippingMethod{
		ID: "post", Name: "Post", Price: eur(amounts.Draw(r, "base price")),
		By:       rapid.SampledFrom([]domain.Measure{domain.BySubtotal, domain.ByWeight}).Draw(r, "by"),
		FreeFrom: rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 200_000)).Draw(r, "free from"),
	}
	from := int64(0)
	for range rapid.IntRange(0, 3).Draw(r, "bands") {
		from += rapid.Int64Range(1, 100_000).Draw(r, "step")
		w.method.Bands = append(w.method.Bands, domain.Band{From: from, Price: eur(amounts.Draw(r, "band price"))})
	}
	w.benefit.Type = rapid.SampledFrom([]domain.CouponType{"", domain.PercentOff, domain.FixedOff, domain.FreeShipping}).Draw(r, "coupon")
	switch w.benefit.Type {
	case domain.PercentOff:
		w.benefit.Value = rapid.Int64Range(1, 100).Draw(r, "percent")
	case domain.FixedOff:
		w.benefit.Value = max(amounts.Draw(r, "fixed"), 1)
	}
	if w.benefit.Type != "" {
		w.benefit.CouponID = uuid.New()
		w.benefit.MinSubtotal = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 200_000)).Draw(r, "minimum")
	}
	return w
})

// Price agrees with a reckoning in numbers without bounds, which rounds in its own way, or refuses.
func TestPriceProperty(t *testing.T) {
	t.Parallel()
	cases, priced := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		cases++
		w := wishes.Draw(r, "wish")
		subtotal, grams := new(big.Int), new(big.Int)
		for _, i := range w.items {
			subtotal.Add(subtotal, new(big.Int).Mul(big.NewInt(i.Quantity), big.NewInt(i.UnitPrice.Amount())))
			grams.Add(grams, big.NewInt(i.Quantity*i.Grams))
		}
		shipping := w.method.Price.Amount()
		size := subtotal
		if w.method.By == domain.ByWeight {
			size = grams
		}
		for _, b := range w.method.Bands {
			if size.Cmp(big.NewInt(b.From)) >= 0 {
				shipping = b.Price.Amount()
			}
		}
		if len(w.items) == 0 || w.benefit.Type == domain.FreeShipping ||
			w.method.FreeFrom > 0 && subtotal.Cmp(big.NewInt(w.method.FreeFrom)) >= 0 {
			shipping = 0
		}
		discount := new(big.Int)
		switch w.benefit.Type {
		case domain.PercentOff:
			discount = halfEven(new(big.Rat).SetFrac(new(big.Int).Mul(subtotal, big.NewInt(w.benefit.Value)), big.NewInt(100)))
		case domain.FixedOff:
			discount = big.NewInt(w.benefit.Value)
			if discount.Cmp(subtotal) > 0 {
				discount = subtotal
			}
		}
		total := new(big.Int).Sub(subtotal, discount)
		total.Add(total, big.NewInt(shipping))

		items := cmp.Diff(w.items, w.items, moneyIsAValue)
		p, err := domain.Price(w.items, w.method, w.benefit)
		switch {
		case !subtotal.IsInt64():
			if apperr.KindOf(err) != apperr.Invalid || errors.Is(err, domain.ErrCouponInvalid) {
				r.Fatalf("a subtotal of %v: %v, want an invalid request", subtotal, err)
			}
			return
		case subtotal.Cmp(big.NewInt(w.benefit.MinSubtotal)) < 0:
			if !errors.Is(err, domain.ErrCouponInvalid) {
				r.Fatalf("a subtotal of %v below %d: %v", subtotal, w.benefit.MinSubtotal, err)
			}
			return
		case !total.IsInt64():
			if apperr.KindOf(err) != apperr.Invalid {
				r.Fatalf("a total of %v: %v, want an invalid request", total, err)
			}
			return
		case err != nil:
			r.Fatal(err)
		}
		priced++
		want := []int64{subtotal.Int64(), discount.Int64(), shipping, total.Int64()}
		got := []int64{p.Subtotal.Amount(), p.Discount.Amount(), p.Shipping.Amount(), p.Total.Amount()}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("subtotal, discount, shipping, total (-want +got):\n%s", diff)
		}
		if p.Total.IsNegative() || p.Discount.Amount() > p.Subtotal.Amount() || p.Discount.IsNegative() {
			r.Fatalf("impossible prices %+v", p)
		}
		for i, line := range p.Items {
			if line.LineTotal.Amount() != line.Quantity*line.UnitPrice.Amount() || line.ProductID != w.items[i].ProductID {
				r.Fatalf("line %d is %+v", i, line)
			}
		}
		if items != "" || len(w.items) > 0 && w.items[0].LineTotal != (money.Money{}) {
			r.Fatal("the items were changed")
		}
		// A coupon never makes an order dearer.
		without, err := domain.Price(w.items, w.method, domain.Benefit{})
		if err == nil && without.Total.Amount() < p.Total.Amount() {
			r.Fatalf("%v with the coupon, %v without", p.Total, without.Total)
		}
	})
	t.Logf("%d cases, %d of them with a price", cases, priced)
	if priced < cases/10 {
		t.Errorf("only %d of %d cases have a price", priced, cases)
	}
}

var moneyIsAValue = cmp.Comparer(func(a, b money.Money) bool { return a == b })

// halfEven rounds by the definition: to the nearest integer, and of two that are as near, to the even one.
func halfEven(x *big.Rat) *big.Int {
	floor := new(big.Int).Div(x.Num(), x.Denom())
	rest := new(big.Rat).Sub(x, new(big.Rat).SetInt(floor))
	switch c := rest.Cmp(big.NewRat(1, 2)); {
	case c > 0, c == 0 && floor.Bit(0) == 1:
		return floor.Add(floor, big.NewInt(1))
	default:
		return floor
	}
}

func TestDiscounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                      string
		price                     int64
		benefit                   domain.Benefit
		discount, shipping, total int64
	}{
		{"none", 1000, domain.Benefit{}, 0, 490, 1490},
		{"2.5 is 2", 25, domain.Benefit{Type: domain.PercentOff, Value: 10}, 2, 490, 513},
		{"3.5 is 4", 35, domain.Benefit{Type: domain.PercentOff, Value: 10}, 4, 490, 521},
		{"everything", 999, domain.Benefit{Type: domain.PercentOff, Value: 100}, 999, 490, 490},
		{"fixed", 1000, domain.Benefit{Type: domain.FixedOff, Value: 300}, 300, 490, 1190},
		{"fixed, more than there is", 100, domain.Benefit{Type: domain.FixedOff, Value: 300}, 100, 490, 490},
		{"free shipping", 1000, domain.Benefit{Type: domain.FreeShipping}, 0, 0, 1000},
		{"just the minimum", 1000, domain.Benefit{Type: domain.FixedOff, Value: 300, MinSubtotal: 1000}, 300, 490, 1190},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, err := domain.Price([]domain.Item{item(1, tc.price)}, standard, tc.benefit)
			if err != nil {
				t.Fatal(err)
			}
			if p.Discount != eur(tc.discount) || p.Shipping != eur(tc.shipping) || p.Total != eur(tc.total) {
				t.Errorf("discount %v, shipping %v, total %v; want %d, %d, %d", p.Discount, p.Shipping, p.Total, tc.discount, tc.shipping, tc.total)
			}
		})
	}
}

func TestFee(t *testing.T) {
	t.Parallel()
	bands := []domain.Band{{From: 1000, Price: eur(300)}, {From: 5000, Price: eur(900)}}
	bySubtotal := domain.ShippingMethod{Price: eur(490), By: domain.BySubtotal, Bands: bands, FreeFrom: 10_000}
	byWeight := domain.ShippingMethod{Price: eur(490), By: domain.ByWeight, Bands: bands}
	for _, tc := range []struct {
		method          domain.ShippingMethod
		subtotal, grams int64
		want            int64
	}{
		{bySubtotal, 999, 9999, 490}, {bySubtotal, 1000, 0, 300}, {bySubtotal, 4999, 0, 300}, {bySubtotal, 5000, 0, 900},
		{bySubtotal, 9999, 0, 900}, {bySubtotal, 10_000, 0, 0}, {bySubtotal, math.MaxInt64, 0, 0},
		{byWeight, 9999, 0, 490}, {byWeight, 0, 999, 490}, {byWeight, 0, 1000, 300}, {byWeight, 0, 5000, 900},
		{domain.ShippingMethod{Price: eur(490)}, 1_000_000, 1_000_000, 490},
	} {
		if got := tc.method.Fee(eur(tc.subtotal), tc.grams); got != eur(tc.want) {
			t.Errorf("by %s, subtotal %d, %d g: %v, want %d", tc.method.By, tc.subtotal, tc.grams, got, tc.want)
		}
	}
}

func TestNewShippingMethods(t *testing.T) {
	t.Parallel()
	good := func() domain.ShippingMethod {
		return domain.ShippingMethod{
			ID: "post", Name: "Post", Price: eur(490), By: domain.BySubtotal, MinDays: 1, MaxDays: 2, FreeFrom: 1,
			Bands: []domain.Band{{From: 1, Price: eur(0)}, {From: 2, Price: eur(5)}},
		}
	}
	if _, err := domain.NewShippingMethods(good()); err != nil {
		t.Errorf("a good one: %v", err)
	}
	if _, err := domain.NewShippingMethods(); err == nil {
		t.Error("none at all is accepted")
	}
	if _, err := domain.NewShippingMethods(good(), good()); err == nil {
		t.Error("one twice is accepted")
	}
	for name, change := range map[string]func(*domain.ShippingMethod){
		"an id with a blank":        func(m *domain.ShippingMethod) { m.ID = "by post" },
		"no id":                     func(m *domain.ShippingMethod) { m.ID = "" },
		"no name":                   func(m *domain.ShippingMethod) { m.Name = "" },
		"a negative price":          func(m *domain.ShippingMethod) { m.Price = eur(-1) },
		"no price":                  func(m *domain.ShippingMethod) { m.Price = money.Money{} },
		"days before today":         func(m *domain.ShippingMethod) { m.MinDays = -1 },
		"days that run backwards":   func(m *domain.ShippingMethod) { m.MinDays = 3 },
		"a negative threshold":      func(m *domain.ShippingMethod) { m.FreeFrom = -1 },
		"a measure that is none":    func(m *domain.ShippingMethod) { m.By = "length" },
		"bands without a measure":   func(m *domain.ShippingMethod) { m.By = "" },
		"bands that do not rise":    func(m *domain.ShippingMethod) { m.Bands[1].From = 1 },
		"a band from 0":             func(m *domain.ShippingMethod) { m.Bands[0].From = 0 },
		"a band with a debt":        func(m *domain.ShippingMethod) { m.Bands[1].Price = eur(-1) },
		"a band in another's money": func(m *domain.ShippingMethod) { m.Bands[1].Price = money.MustNew(1, "USD") },
	} {
		m := good()
		change(&m)
		if _, err := domain.NewShippingMethods(m); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	dollars := good()
	dollars.ID, dollars.Price, dollars.Bands = "usd", money.MustNew(1, "USD"), nil
	if _, err := domain.NewShippingMethods(good(), dollars); err == nil {
		t.Error("two currencies are accepted")
	}
}
