package domain_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/money"
)

var (
	eur = money.MustNew(0, "EUR")
	now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func euros(amount int64) money.Money { return money.MustNew(amount, "EUR") }

// cartOf returns a cart with a line for each offer, added and known at its price.
func cartOf(t *testing.T, quantity int64, offers ...domain.Offer) (*domain.Cart, []uuid.UUID) {
	t.Helper()
	c := domain.NewCart(domain.UserOwner(uuid.New()))
	for i, o := range offers {
		at := now.Add(time.Duration(i) * time.Second)
		if err := c.Add(domain.Line{ProductID: uuid.New(), Quantity: quantity, AddedAt: at, AddedPrice: o.Price, Known: o.Known(at)}); err != nil {
			t.Fatal(err)
		}
	}
	return c, c.ProductIDs()
}

var cheese = domain.Offer{SKU: "C-1", Name: "Cheese", Image: "https://cdn.shop.example/c.jpg", Price: euros(500), Active: true, InStock: 3}

func TestPriced(t *testing.T) {
	t.Parallel()
	dearer := cheese
	dearer.Price = euros(600)
	archived := cheese
	archived.Active = false
	scarce := cheese
	scarce.InStock = 2
	for _, tt := range []struct {
		name               string
		offer              *domain.Offer
		available, changed bool
		subtotal           int64
	}{
		{"as it was", &cheese, true, false, 1500},
		{"dearer", &dearer, true, true, 1800},
		{"archived", &archived, false, false, 1500},
		{"fewer than wanted", &scarce, false, false, 1500},
		{"unknown now", nil, false, false, 1500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, ids := cartOf(t, 3, cheese)
			offers := domain.Offers{}
			if tt.offer != nil {
				offers[ids[0]] = *tt.offer
			}
			v, err := c.Priced(offers, eur, now.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			item := v.Items[0]
			if item.Available != tt.available || item.PriceChanged != tt.changed || v.Subtotal != euros(tt.subtotal) || item.LineTotal != v.Subtotal {
				t.Errorf("available %v, changed %v, subtotal %v", item.Available, item.PriceChanged, v.Subtotal)
			}
			if item.Name != "Cheese" || item.AddedPrice != euros(500) || v.Pieces != 3 || v.Stale ||
				!v.PricesAsOf.Equal(now.Add(time.Hour)) || !v.ExpiresAt.Equal(now.Add(domain.Lifetime)) {
				t.Errorf("view = %+v", v)
			}
		})
	}
}

func TestEmptyCart(t *testing.T) {
	t.Parallel()
	c := domain.NewCart(domain.UserOwner(uuid.New()))
	v, err := c.Priced(nil, eur, now)
	if err != nil || len(v.Items) != 0 || v.Subtotal != eur || v.Version != 0 || !v.ExpiresAt.IsZero() || !v.PricesAsOf.Equal(now) {
		t.Errorf("view = %+v, %v", v, err)
	}
}

func TestPricedAsKnown(t *testing.T) {
	t.Parallel()
	bread := domain.Offer{SKU: "B-1", Name: "Bread", Price: euros(300), Active: true, InStock: 100}
	c, ids := cartOf(t, 2, cheese, bread)
	dearer := cheese
	dearer.Price = euros(600)
	c.Remember(map[uuid.UUID]domain.Known{ids[0]: dearer.Known(now.Add(time.Hour))})
	v, err := c.PricedAsKnown(eur, now.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	// As old as the oldest: the bread's, of its adding.
	if !v.Stale || !v.PricesAsOf.Equal(now.Add(time.Second)) || v.Subtotal != euros(2*600+2*300) {
		t.Errorf("view = %+v", v)
	}
	if v.Items[0].Available || v.Items[1].Available || !v.Items[0].PriceChanged || v.Items[1].PriceChanged {
		t.Errorf("items = %+v", v.Items)
	}
}

func TestNews(t *testing.T) {
	t.Parallel()
	c, ids := cartOf(t, 1, cheese)
	other := cheese
	other.InStock = 99 // stock is not remembered, it changes all day
	if news := c.News(domain.Offers{ids[0]: other, uuid.New(): cheese}, now.Add(time.Hour)); len(news) != 0 {
		t.Errorf("news = %v, want none", news)
	}
	other.Name = "Old cheese"
	want := map[uuid.UUID]domain.Known{ids[0]: other.Known(now.Add(time.Hour))}
	if diff := cmp.Diff(want, c.News(domain.Offers{ids[0]: other}, now.Add(time.Hour)), cmp.AllowUnexported(money.Money{})); diff != "" {
		t.Errorf("news (-want +got):\n%s", diff)
	}
}

func TestWorthLimit(t *testing.T) {
	t.Parallel()
	dear := domain.Offer{Price: euros(math.MaxInt64 / 2), Active: true}
	for name, quantity := range map[string]int64{"a line": 3, "the sum": 1} {
		c, _ := cartOf(t, quantity, dear, dear, dear)
		if _, err := c.PricedAsKnown(eur, now); !errors.Is(err, domain.ErrWorthLimit) {
			t.Errorf("%s: %v, want cart_limit", name, err)
		}
	}
}

func TestCurrenciesDoNotMix(t *testing.T) {
	t.Parallel()
	c, _ := cartOf(t, 1, domain.Offer{Price: money.MustNew(1, "USD")})
	if _, err := c.PricedAsKnown(eur, now); !errors.Is(err, money.ErrCurrencyDiffers) {
		t.Errorf("%v, want %v", err, money.ErrCurrencyDiffers)
	}
}
