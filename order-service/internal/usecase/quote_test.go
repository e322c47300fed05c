package usecase_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/money"
)

func (s *shop) question() usecase.QuoteOrder {
	return usecase.QuoteOrder{UserID: s.customer, ShippingMethod: "standard", AddressID: s.office}
}

// What is quoted is what is charged.
func TestQuoteIsWhatPlaceCharges(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"", "spring"} {
		for _, method := range []string{"standard", "express", "pickup"} {
			s := newShop(t)
			c := s.coupon(t)
			question := s.question()
			question.ShippingMethod, question.CouponCode = method, code
			quote, err := s.healthy().Quote(s.ctx(t), question)
			if err != nil || len(quote.Obstacles) != 0 {
				t.Fatalf("obstacles %v, %v", quote.Obstacles, err)
			}
			s.uses(t, c, 0)
			if len(s.orders(t)) != 0 || len(s.stock.Orders()) != 0 || len(s.carts.Of(s.customer)) != 2 {
				t.Error("a question changed something")
			}
			wish := s.wishByID(tokOK)
			wish.ShippingMethod, wish.CouponCode = method, code
			o := s.place(t, wish).Order
			for i := range o.Items {
				o.Items[i].ID = uuid.Nil
			}
			want := domain.Prices{Items: o.Items, Subtotal: o.Subtotal, Discount: o.Discount, Shipping: o.Shipping, Total: o.Total}
			if diff := cmp.Diff(want, quote.Prices, moneyIsAValue); diff != "" {
				t.Errorf("%s, %q (-charged +quoted):\n%s", method, code, diff)
			}
		}
	}
}

// found is an obstacle without its words.
type found struct {
	Code, Location, ProductID string
	Available                 int64 // -1 for none
}

func TestObstacles(t *testing.T) {
	t.Parallel()
	const cups = 2 * cupPrice
	missing := uuid.New()
	none := func(code, location string) found { return found{code, location, "", -1} }
	for _, tc := range []struct {
		name   string
		change func(*testing.T, *shop, *usecase.QuoteOrder)
		want   func(*shop) []found
		// What is priced all the same.
		subtotal, discount, shipping int64
	}{
		{"an empty cart", func(_ *testing.T, s *shop, _ *usecase.QuoteOrder) { s.carts.Put(s.customer) },
			func(*shop) []found { return []found{none("cart_empty", "")} }, 0, 0, 0},
		{"no way of delivery", func(_ *testing.T, _ *shop, q *usecase.QuoteOrder) { q.ShippingMethod = "" },
			func(*shop) []found { return []found{none("validation_failed", "shipping_method")} }, cups + 3999, 0, 0},
		{"a way of delivery that is none", func(_ *testing.T, _ *shop, q *usecase.QuoteOrder) { q.ShippingMethod = "drone" },
			func(*shop) []found { return []found{none("validation_failed", "shipping_method")} }, cups + 3999, 0, 0},
		{"an address that is none", func(_ *testing.T, _ *shop, q *usecase.QuoteOrder) { q.AddressID = uuid.New() },
			func(*shop) []found { return []found{none("validation_failed", "address_id")} }, cups + 3999, 0, shippingC},
		{"no address yet", func(_ *testing.T, _ *shop, q *usecase.QuoteOrder) { q.AddressID = uuid.Nil },
			func(*shop) []found { return nil }, cups + 3999, 0, shippingC},
		{"a coupon that is none", func(_ *testing.T, _ *shop, q *usecase.QuoteOrder) { q.CouponCode = "AUTUMN" },
			func(*shop) []found { return []found{none("coupon_invalid", "coupon_code")} }, cups + 3999, 0, shippingC},
		{"a coupon whose minimum is not reached", func(t *testing.T, s *shop, q *usecase.QuoteOrder) {
			s.coupon(t, func(c *domain.CouponTerms) { c.MinSubtotal = 10_000 })
			q.CouponCode = "SPRING"
		}, func(*shop) []found { return []found{none("coupon_invalid", "coupon_code")} }, cups + 3999, 0, shippingC},
		{"a coupon that is used up", func(t *testing.T, s *shop, q *usecase.QuoteOrder) {
			s.coupon(t, func(c *domain.CouponTerms) { c.MaxUses = 1 })
			wish := s.withCoupon("")
			wish.Items = []usecase.Line{{ProductID: s.gift, Quantity: 1}}
			s.place(t, wish)
			q.CouponCode = "SPRING"
		}, func(*shop) []found { return []found{none("coupon_exhausted", "coupon_code")} }, cups + 3999, 0, shippingC},
		{"too few and not on sale", func(_ *testing.T, s *shop, q *usecase.QuoteOrder) {
			q.Items = []usecase.Line{{ProductID: s.cup, Quantity: pieces + 1}, {ProductID: missing, Quantity: 1}, {ProductID: s.pot, Quantity: 1}}
		}, func(s *shop) []found {
			return []found{{"product_unavailable", "items[1].product_id", missing.String(), -1}, {"out_of_stock", "items[0]", s.cup.String(), pieces}}
		}, (pieces+1)*cupPrice + 3999, 0, shippingC},
		{"too many of one product", func(_ *testing.T, s *shop, q *usecase.QuoteOrder) {
			q.Items = []usecase.Line{{ProductID: s.cup, Quantity: 999}, {ProductID: s.cup, Quantity: 1}, {ProductID: s.pot, Quantity: 1}}
		}, func(*shop) []found { return []found{none("validation_failed", "items[0].quantity")} }, 3999, 0, shippingC},
		{"more than there is money", func(_ *testing.T, s *shop, _ *usecase.QuoteOrder) {
			s.catalog.Change(s.pot, func(p *usecase.Product) { p.Price = money.MustNew(math.MaxInt64, "EUR") })
		}, func(*shop) []found { return []found{none("validation_failed", "items[1].quantity")} }, 0, 0, 0},
		{"all at once", func(t *testing.T, s *shop, q *usecase.QuoteOrder) {
			s.coupon(t, func(c *domain.CouponTerms) { c.EndsAt = noon })
			s.stock.Set(s.cup, 1)
			s.catalog.Change(s.pot, func(p *usecase.Product) { p.OnSale = false })
			*q = usecase.QuoteOrder{UserID: s.customer, AddressID: uuid.New(), ShippingMethod: "drone", CouponCode: "SPRING"}
		}, func(s *shop) []found {
			return []found{
				{"product_unavailable", "items[1].product_id", s.pot.String(), -1}, {"out_of_stock", "items[0]", s.cup.String(), 1},
				none("validation_failed", "address_id"), none("coupon_invalid", "coupon_code"), none("validation_failed", "shipping_method"),
			}
		}, cups, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			question := s.question()
			tc.change(t, s, &question)
			quote, err := s.healthy().Quote(s.ctx(t), question)
			if err != nil {
				t.Fatal(err)
			}
			var got []found
			for _, o := range quote.Obstacles {
				f := found{o.Code, o.Location, o.ProductID, -1}
				if o.Available != nil {
					f.Available = *o.Available
				}
				if o.Message == "" {
					t.Errorf("%s has no message", o.Code)
				}
				got = append(got, f)
			}
			if diff := cmp.Diff(tc.want(s), got); diff != "" {
				t.Errorf("obstacles (-want +got):\n%s", diff)
			}
			prices := []int64{quote.Subtotal.Amount(), quote.Discount.Amount(), quote.Shipping.Amount(), quote.Total.Amount()}
			if diff := cmp.Diff([]int64{tc.subtotal, tc.discount, tc.shipping, tc.subtotal - tc.discount + tc.shipping}, prices); diff != "" {
				t.Errorf("prices (-want +got):\n%s", diff)
			}
			if quote.Total.Currency() != "EUR" {
				t.Errorf("the total is in %q", quote.Total.Currency())
			}
		})
	}
}

// A service that is away is no obstacle of the order's.
func TestQuoteFails(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"catalog.Products", "carts.Lines", "addresses.Address", "coupons.FindCoupon"} {
		s := newShop(t)
		question := s.question()
		question.CouponCode = "SPRING"
		if _, err := s.process(CantReach(errAway, call)).Quote(s.ctx(t), question); !errors.Is(err, errAway) {
			t.Errorf("%s: %v, want %v", call, err, errAway)
		}
	}
}

// However many lines there are, each service is asked once.
func TestOneCallForAllLines(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	lines := make([]usecase.Line, domain.MaxLines)
	for i := range lines {
		id := uuid.New()
		s.catalog.Sell(id, usecase.Product{SKU: id.String(), Name: "A thing", Price: money.MustNew(100, "EUR"), OnSale: true})
		s.stock.Set(id, 1)
		lines[i] = usecase.Line{ProductID: id, Quantity: 1}
	}
	for name, do := range map[string]func(context.Context, *usecase.Checkout) error{
		"quote": func(ctx context.Context, c *usecase.Checkout) error {
			_, err := c.Quote(ctx, usecase.QuoteOrder{UserID: s.customer, Items: lines})
			return err
		},
		"place": func(ctx context.Context, c *usecase.Checkout) error {
			wish := s.wish(tokOK)
			wish.Items = lines
			_, err := c.Place(ctx, wish)
			return err
		},
	} {
		var mu calls
		if err := do(s.ctx(t), s.process(Faults{Before: mu.count})); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"quote": 0, "place": 1}[name]
		if n := mu.of("catalog.Products"); n != 1 {
			t.Errorf("%s asks for products %d times", name, n)
		}
		if n := mu.of("stock.Reserve"); n != want {
			t.Errorf("%s reserves %d times", name, n)
		}
		if n := mu.of("stock.Confirm"); n != want {
			t.Errorf("%s confirms %d times", name, n)
		}
	}
}
