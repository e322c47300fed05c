package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
)

func TestCoupons(t *testing.T) {
	t.Parallel()
	admin := shared.Admin(t)
	coupon := shared.NewCoupon(t, shop.Coupon{Type: "percent", Value: 10, MinSubtotal: new(int64(2500)), MaxUses: new(int64(3))})
	path := "/coupons/" + coupon.ID
	if coupon.Status != "active" || coupon.Uses != 0 || coupon.Version != 1 || coupon.MinSubtotal == nil || *coupon.MinSubtotal != 2500 {
		t.Errorf("made: %+v", coupon)
	}
	shop.WantProblem(t, http.StatusConflict, "code_taken", admin.Post("/coupons", shop.Coupon{Code: coupon.Code, Type: "fixed", Value: 1}))
	shop.WantInvalid(t, "body.value", admin.Post("/coupons", shop.Coupon{Code: "E2E-" + uuid.NewString(), Type: "percent", Value: 101}))
	shop.WantInvalid(t, "body.type", admin.Do(http.MethodPatch, path, map[string]string{"type": "fixed"}))

	read := admin.Get(path)
	changed := shop.Want[shop.Coupon](t, http.StatusOK, admin.Do(http.MethodPatch, path, map[string]any{
		"value": 20, "min_subtotal": nil, "max_uses_per_customer": 1,
	}, "If-Match: "+read.Header.Get("ETag")))
	if changed.Value != 20 || changed.MinSubtotal != nil || changed.MaxUses == nil || *changed.MaxUses != 3 ||
		changed.MaxUsesPerCustomer == nil || *changed.MaxUsesPerCustomer != 1 || changed.Version != 2 {
		t.Errorf("changed: %+v", changed)
	}
	for _, method := range []string{http.MethodPatch, http.MethodDelete} {
		var body any
		if method == http.MethodPatch {
			body = map[string]int{"value": 30}
		}
		shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", admin.Do(method, path, body, "If-Match: "+read.Header.Get("ETag")))
	}
	shop.WantNothing(t, admin.Do(http.MethodDelete, path, nil, `If-Match: "2"`))
	shop.WantProblem(t, http.StatusNotFound, "not_found", admin.Get(path))
}

// TestWhatACouponGives: a use is taken by an order and given back by its cancellation, with the pieces and the money.
func TestWhatACouponGives(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 5, 2505)
	coupon := shared.NewCoupon(t, shop.Coupon{Type: "percent", Value: 10, MaxUsesPerCustomer: new(int64(1))})
	wish := shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 1})
	wish.CouponCode = coupon.Code
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(wish))
	if order.Discount != shop.Euro(250) || order.Total != shop.Euro(2505-250+shop.StandardPrice) || order.CouponCode != coupon.Code { // half to even
		t.Errorf("the order: %+v", order)
	}
	shared.WantPaid(t, order)
	shared.WantUses(t, coupon, 1)
	refused := shop.WantProblem(t, http.StatusConflict, "coupon_exhausted", customer.Place(wish))
	if len(refused.Errors) != 1 || refused.Errors[0].Location != "body.coupon_code" {
		t.Errorf("the errors: %+v", refused.Errors)
	}
	shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+order.ID+"/cancel", nil))
	shared.WantNothingTaken(t, order.ID)
	shared.WantStock(t, lamp.ID, 5)
	shared.WantUses(t, coupon, 0)
	shop.Want[shop.Order](t, http.StatusCreated, customer.Place(wish))
	shared.WantUses(t, coupon, 1)
}

// TestFiftyRaceForACouponAndSomePieces: ten uses and seven pieces make seven orders, and every loser is told why.
func TestFiftyRaceForACouponAndSomePieces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		uses, pieces int64
		want         int64
	}{{"fewer pieces than uses", 10, 7, 7}, {"fewer uses than pieces", 10, 50, 10}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const racers = 50
			rare := shared.NewProduct(t, c.pieces, 2500)
			coupon := shared.NewCoupon(t, shop.Coupon{Type: "fixed", Value: 500, MaxUses: new(c.uses)})
			wish := shop.ByCard("tok_ok", shop.Item{ProductID: rare.ID, Quantity: 1})
			wish.CouponCode = coupon.Code
			customers := make([]*shop.Customer, racers)
			for i := range customers {
				customers[i] = shared.NewCustomer(t)
			}
			answers := atOnce(t, racers, func(i int) (*shop.Answer, error) {
				return customers[i].Try(http.MethodPost, "/orders", wish, shop.NewKey())
			})
			won, losers := int64(0), map[string]int{}
			for i, a := range answers {
				if a.Status == http.StatusCreated {
					won++
					order := shop.Want[shop.Order](t, http.StatusCreated, a)
					if order.Discount != shop.Euro(500) {
						t.Errorf("a winner's discount is %+v", order.Discount)
					}
					shared.WantPaid(t, order)
					continue
				}
				p := a.Problem(t)
				if a.Status != http.StatusConflict || p.Code != "out_of_stock" && p.Code != "coupon_exhausted" || len(p.Errors) != 1 {
					t.Errorf("a loser is told: %s", a)
				}
				losers[p.Code]++
				if ids := shared.OrderIDs(t, customers[i].ID); len(ids) != 0 {
					t.Errorf("a loser has the orders %v", ids)
				}
			}
			// Who holds a use while the pieces run out gives it back: there may be fewer winners than pieces only if a loser was
			// refused a use that another one was about to give back, and then the rest can still be bought.
			for i := 0; won < c.want && i < racers; i++ {
				if answers[i].Status != http.StatusCreated {
					if a := customers[i].Place(wish); a.Status == http.StatusCreated {
						won++
					}
				}
			}
			if won != c.want {
				t.Errorf("%d orders, want %d; the others: %v", won, c.want, losers)
			}
			t.Logf("%d won, the others: %v", won, losers)
			shared.WantUses(t, coupon, c.want)
			shared.WantStock(t, rare.ID, c.pieces-c.want)
		})
	}
}

func TestQuotes(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 2, 2500)
	coupon := shared.NewCoupon(t, shop.Coupon{Type: "fixed", Value: 300, MinSubtotal: new(int64(5000))})
	ask := func(wish map[string]any) shop.Quote {
		return shop.Want[shop.Quote](t, http.StatusOK, customer.Post("/orders/quote", wish))
	}
	items := func(quantity int64) []shop.Item { return []shop.Item{{ProductID: lamp.ID, Quantity: quantity}} }

	good := ask(map[string]any{"items": items(2), "shipping_method": shop.Standard, "coupon_code": coupon.Code})
	if len(good.Obstacles) != 0 || good.Subtotal != shop.Euro(5000) || good.Discount != shop.Euro(300) ||
		good.Total != shop.Euro(5000-300+shop.StandardPrice) || good.Currency != "EUR" || len(good.Items) != 1 {
		t.Errorf("a good one: %+v", good)
	}
	shared.WantUses(t, coupon, 0)
	shared.WantAvailable(t, lamp.ID, 2)

	empty := shop.Want[shop.Quote](t, http.StatusOK, customer.Post("/orders/quote", nil)) // the cart
	wantObstacles(t, empty, "cart_empty", "validation_failed body.shipping_method")

	gone := uuid.NewString()
	bad := ask(map[string]any{
		"items":           []shop.Item{{ProductID: lamp.ID, Quantity: 3}, {ProductID: gone, Quantity: 1}},
		"shipping_method": "by pigeon", "coupon_code": "no such coupon", "address_id": uuid.NewString(),
	})
	wantObstacles(t, bad, "out_of_stock body.items[0]", "product_unavailable body.items[1].product_id", "validation_failed body.address_id",
		"coupon_invalid body.coupon_code", "validation_failed body.shipping_method")
	for _, o := range bad.Obstacles {
		if o.Code == "out_of_stock" && (o.ProductID != lamp.ID || o.Available == nil || *o.Available != 2) || o.Code == "product_unavailable" && o.ProductID != gone {
			t.Errorf("an obstacle: %+v", o)
		}
	}
	below := ask(map[string]any{"items": items(1), "shipping_method": shop.Standard, "coupon_code": coupon.Code})
	wantObstacles(t, below, "coupon_invalid body.coupon_code")
	if below.Discount != shop.Euro(0) || below.Total != shop.Euro(2500+shop.StandardPrice) {
		t.Errorf("below the minimum: %+v", below)
	}
	ended := shared.NewCoupon(t, shop.Coupon{Type: "free_shipping", EndsAt: time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)})
	wantObstacles(t, ask(map[string]any{"items": items(1), "shipping_method": shop.Standard, "coupon_code": ended.Code}), "coupon_invalid body.coupon_code")

	// What a quote says an order costs.
	wish := shop.ByCard("tok_ok", items(2)...)
	wish.CouponCode, wish.ExpectedTotal = coupon.Code, &good.Total
	shared.WantPaid(t, shop.Want[shop.Order](t, http.StatusCreated, customer.Place(wish)))
}

// wantObstacles checks what stands in the way of an order, in any order: a code, and a location where there is one.
func wantObstacles(t *testing.T, q shop.Quote, want ...string) {
	t.Helper()
	left := map[string]int{}
	for _, w := range want {
		left[w]++
	}
	for _, o := range q.Obstacles {
		name := o.Code
		if o.Location != "" {
			name += " " + o.Location
		}
		left[name]--
		if o.Message == "" {
			t.Errorf("an obstacle without a message: %+v", o)
		}
	}
	for name, n := range left {
		if n != 0 {
			t.Errorf("%s: %d too few (obstacles: %+v)", name, n, q.Obstacles)
		}
	}
}
