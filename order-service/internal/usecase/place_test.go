package usecase_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// moneyIsAValue lets cmp compare amounts.
var moneyIsAValue = cmp.Comparer(func(a, b money.Money) bool { return a == b })

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		change  func(*shop, *usecase.PlaceOrder)
		status  domain.Status
		payment domain.PaymentStatus
		total   int64
		taken   int64
		cart    int // lines left, when all is settled
	}{
		{"by card, from the cart", func(*shop, *usecase.PlaceOrder) {}, domain.Confirmed, domain.PaymentCaptured, cartTotal, cartTotal, 0},
		{"by card, given items", func(s *shop, w *usecase.PlaceOrder) {
			w.Items = []usecase.Line{{ProductID: s.cup, Quantity: 1}, {ProductID: s.cup, Quantity: 2}}
		}, domain.Confirmed, domain.PaymentCaptured, 3*cupPrice + shippingC, 3*cupPrice + shippingC, 2},
		{"on delivery", func(_ *shop, w *usecase.PlaceOrder) { w.Method, w.Token = domain.CashOnDelivery, "" },
			domain.Confirmed, domain.PaymentPending, cartTotal, 0, 0},
		{"for nothing", func(s *shop, w *usecase.PlaceOrder) {
			w.Items, w.ShippingMethod = []usecase.Line{{ProductID: s.gift, Quantity: 1}}, "pickup"
		}, domain.Confirmed, domain.PaymentNone, 0, 0, 2},
		{"to be paid later", func(_ *shop, w *usecase.PlaceOrder) { w.Token = "" }, domain.Pending, domain.PaymentNone, cartTotal, 0, 2},
		{"with the expected total", func(_ *shop, w *usecase.PlaceOrder) {
			w.ExpectedTotal = &usecase.ExpectedTotal{Amount: cartTotal, Currency: "EUR"}
		}, domain.Confirmed, domain.PaymentCaptured, cartTotal, cartTotal, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := s.wish(tokOK)
			tc.change(s, &wish)
			placed := s.place(t, wish)
			o := placed.Order
			if placed.Replayed || placed.Settling {
				t.Errorf("replayed %v, settling %v", placed.Replayed, placed.Settling)
			}
			if o.Status != tc.status || o.Payment.Status != tc.payment || o.Total.Amount() != tc.total {
				t.Errorf("%s, payment %s, total %v; want %s, %s, %d", o.Status, o.Payment.Status, o.Total, tc.status, tc.payment, tc.total)
			}
			if taken, held := s.provider.Holds(o.ID); taken != tc.taken || held {
				t.Errorf("taken %d, promised %v; want %d, none", taken, held, tc.taken)
			}
			if o.ShippingAddress != wish.Address || o.UserID != s.customer {
				t.Errorf("for %s to %+v", o.UserID, o.ShippingAddress)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if got := len(s.carts.Of(s.customer)); got != tc.cart {
				t.Errorf("%d lines are left in the cart, want %d", got, tc.cart)
			}
			if diff := cmp.Diff(o, s.order(t, o.ID), moneyIsAValue); diff != "" {
				t.Errorf("what was answered and what is stored differ:\n%s", diff)
			}
			for id, at := range s.store.Plans() {
				if tc.status != domain.Pending || !at.Equal(noon.Add(domain.PaymentWindow)) {
					t.Errorf("order %s is looked at again at %v", id, at)
				}
			}
		})
	}
}

// The cart is empty when the customer looks at it, before any watchdog.
func TestPlaceEmptiesTheCartAtOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place(t, s.wish(tokOK))
	if got := s.carts.Of(s.customer); len(got) != 0 {
		t.Errorf("in the cart: %v", got)
	}
}

func TestPlaceRefuses(t *testing.T) {
	t.Parallel()
	missing := uuid.New()
	for _, tc := range []struct {
		name       string
		change     func(*shop, *usecase.PlaceOrder)
		want       *apperr.Error
		violations []string
	}{
		{"an empty cart", func(s *shop, _ *usecase.PlaceOrder) { s.carts.Put(s.customer) }, domain.ErrCartEmpty, nil},
		{"an unknown product", func(s *shop, w *usecase.PlaceOrder) {
			w.Items = []usecase.Line{{ProductID: s.cup, Quantity: 1}, {ProductID: missing, Quantity: 1}}
		}, domain.ErrProductMissing, []string{"items[1].product_id"}},
		{"a product that is not on sale", func(s *shop, _ *usecase.PlaceOrder) {
			s.catalog.Change(s.cup, func(p *usecase.Product) { p.OnSale = false })
		}, domain.ErrProductMissing, []string{"items[0].product_id"}},
		{"more than there is", func(s *shop, _ *usecase.PlaceOrder) { s.stock.Set(s.cup, 1); s.stock.Set(s.pot, 0) },
			domain.ErrOutOfStock, []string{"items[0]", "items[1]"}},
		{"a total that has changed", func(_ *shop, w *usecase.PlaceOrder) {
			w.ExpectedTotal = &usecase.ExpectedTotal{Amount: cartTotal - 1, Currency: "EUR"}
		}, domain.ErrTotalChanged, nil},
		{"a total in another currency", func(_ *shop, w *usecase.PlaceOrder) {
			w.ExpectedTotal = &usecase.ExpectedTotal{Amount: cartTotal, Currency: "USD"}
		}, domain.ErrTotalChanged, nil},
		{"a coupon", func(_ *shop, w *usecase.PlaceOrder) { w.CouponCode = "SPRING" }, domain.ErrCouponInvalid, []string{"coupon_code"}},
		{"an unknown way of delivery", func(_ *shop, w *usecase.PlaceOrder) { w.ShippingMethod = "drone" },
			apperr.InvalidField("", ""), []string{"shipping_method"}},
		{"too many lines", func(_ *shop, w *usecase.PlaceOrder) {
			for range domain.MaxLines + 1 {
				w.Items = append(w.Items, usecase.Line{ProductID: uuid.New(), Quantity: 1})
			}
		}, apperr.InvalidField("", ""), []string{"items"}},
		{"more than there is money", func(s *shop, w *usecase.PlaceOrder) {
			s.stock.Set(s.cup, math.MaxInt64)
			w.Items = []usecase.Line{{ProductID: s.cup, Quantity: math.MaxInt64 / 2}}
		}, apperr.InvalidField("", ""), []string{"items[0].quantity"}},
		{"a disabled customer", func(s *shop, _ *usecase.PlaceOrder) { s.users.Disable(s.customer) },
			apperr.New(apperr.Unauthenticated, "unauthenticated", ""), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := s.wish(tokOK)
			tc.change(s, &wish)
			_, err := s.healthy().Place(s.ctx(t), wish)
			got := refused(t, err, tc.want)
			var locations []string
			for _, v := range got.Violations {
				locations = append(locations, v.Location)
			}
			if diff := cmp.Diff(tc.violations, locations); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			if tc.want.Kind != apperr.Conflict { // see TestRefusalsAreKept
				s.untouched(t, wish.Key)
			}
			s.nothingBought(t)
		})
	}
}

// A business refusal is what became of the key, whatever changes meanwhile, like a purchase would be.
func TestRefusalsAreKept(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want *apperr.Error
		// change makes a wish that is refused, and lift takes away what stood in its way.
		change func(*testing.T, *shop, *usecase.PlaceOrder) (lift func())
	}{
		{domain.ErrOutOfStock, func(_ *testing.T, s *shop, _ *usecase.PlaceOrder) func() {
			s.stock.Set(s.cup, 1)
			return func() { s.stock.Set(s.cup, pieces) }
		}},
		{domain.ErrTotalChanged, func(_ *testing.T, s *shop, w *usecase.PlaceOrder) func() {
			w.ExpectedTotal = &usecase.ExpectedTotal{Amount: cartTotal - 2, Currency: "EUR"}
			return func() {
				s.catalog.Change(s.cup, func(p *usecase.Product) { p.Price = money.MustNew(cupPrice-1, "EUR") })
			}
		}},
		{domain.ErrCouponExhausted, func(t *testing.T, s *shop, w *usecase.PlaceOrder) func() {
			coupon := s.coupon(t, func(c *domain.CouponTerms) { c.MaxUses = 1 })
			first := s.withCoupon("")
			first.Key, first.Items = "first", []usecase.Line{{ProductID: s.gift, Quantity: 1}}
			o := s.place(t, first).Order
			w.CouponCode = coupon.Code
			return func() {
				if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
					t.Error(err)
				}
			}
		}},
	} {
		t.Run(tc.want.Reason, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := s.wish(tokOK)
			lift := tc.change(t, s, &wish)
			_, err := s.healthy().Place(s.ctx(t), wish)
			first := refused(t, err, tc.want)
			lift()
			_, err = s.healthy().Place(s.ctx(t), wish)
			again := refused(t, err, tc.want)
			if diff := cmp.Diff(first.Violations, again.Violations); diff != "" || again.Attributes[usecase.ReplayedAttribute] != true {
				t.Errorf("once more: %v, %s", again.Attributes, diff)
			}
			other := wish
			other.ShippingMethod = "express"
			if _, err := s.healthy().Place(s.ctx(t), other); !errors.Is(err, domain.ErrKeyReused) {
				t.Errorf("another wish: %v, want %v", err, domain.ErrKeyReused)
			}
			wish.Key = "a new one"
			s.place(t, wish)
		})
	}
}

// While the refusal can't be kept it is not given: the next try might be answered otherwise.
func TestRefusalThatCantBeKept(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stock.Set(s.cup, 1)
	if _, err := s.process(CantReach(errAway, "attempts.Refuse")).Place(s.ctx(t), s.wish(tokOK)); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("error %v, want one that says to try again", err)
	}
	s.untouched(t, "key")
}

// Of tries with one key at once, some find enough in stock and some don't: all are answered as the one that came first.
func TestRefusalsRaceWithOrders(t *testing.T) {
	t.Parallel()
	for range 20 {
		s := newShop(t)
		const racers = 10
		placed, errs := make([]usecase.Placed, racers), make([]error, racers)
		together(racers, func(i int) {
			s.stock.Set(s.cup, pick[int64](i%2 == 0, 1, pieces))
			placed[i], errs[i] = s.healthy().Place(s.ctx(t), s.wish(tokOK))
		})
		orders := len(s.orders(t))
		for i, err := range errs {
			switch {
			case err == nil && orders == 1 || errors.Is(err, domain.ErrKeyInProgress):
			case errors.Is(err, domain.ErrOutOfStock) && orders == 0:
			default:
				t.Errorf("of %d orders, try %d is answered %s, %v", orders, i, placed[i].Order.ID, err)
			}
		}
	}
}

// Lines of one product are one line of the order. What is wrong with it is said of the first of them, and what is wrong with
// another is not said of them.
func TestLocationsAreThoseOfTheRequest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(s *shop, wish *usecase.PlaceOrder)
		faults func(s *shop) Faults
		want   []string
	}{
		{"out of stock", func(s *shop, _ *usecase.PlaceOrder) { s.stock.Set(s.pot, 1) }, nil, []string{"items[2]"}},
		{"both out of stock", func(s *shop, _ *usecase.PlaceOrder) { s.stock.Set(s.pot, 1); s.stock.Set(s.cup, 0) }, nil, []string{"items[0]", "items[2]"}},
		{"not on sale", func(s *shop, _ *usecase.PlaceOrder) {
			s.catalog.Change(s.pot, func(p *usecase.Product) { p.OnSale = false })
		}, nil, []string{"items[2].product_id"}},
		{"too many", func(_ *shop, w *usecase.PlaceOrder) { w.Items[2].Quantity = domain.MaxQuantity }, nil, []string{"items[2].quantity"}},
		{"too much money", func(s *shop, _ *usecase.PlaceOrder) {
			s.catalog.Change(s.pot, func(p *usecase.Product) { p.Price = money.MustNew(math.MaxInt64, "EUR") })
		}, nil, []string{"items[2].quantity"}},
		{"the last ones lost", func(*shop, *usecase.PlaceOrder) {}, func(s *shop) Faults {
			return Faults{Before: func(call string) error {
				if call == "stock.Reserve" {
					s.stock.Set(s.pot, 1)
				}
				return nil
			}}
		}, []string{"items[2]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := s.wish(tokOK)
			wish.Items = []usecase.Line{
				{ProductID: s.cup, Quantity: 1}, {ProductID: s.cup, Quantity: 1}, {ProductID: s.pot, Quantity: 2}, {ProductID: s.pot, Quantity: 1},
			}
			tc.change(s, &wish)
			checkout := s.healthy()
			if tc.faults != nil {
				checkout = s.process(tc.faults(s))
			}
			for _, try := range []string{"at first", "again"} { // also what was kept
				_, err := checkout.Place(s.ctx(t), wish)
				var got []string
				for _, v := range apperr.From(err).Violations {
					got = append(got, v.Location)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s: %v (-want +got):\n%s", try, err, diff)
				}
			}
			quote, err := s.healthy().Quote(s.ctx(t), usecase.QuoteOrder{UserID: s.customer, Items: wish.Items, ShippingMethod: wish.ShippingMethod})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range quote.Obstacles {
				got = append(got, o.Location)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("quoted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutOfStockTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stock.Set(s.cup, 1)
	_, err := s.healthy().Place(s.ctx(t), s.wish(tokOK))
	got := refused(t, err, domain.ErrOutOfStock)
	want := map[string]any{"product_id": s.cup.String(), "available": int64(1)}
	if diff := cmp.Diff(want, got.Violations[0].Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// The last pieces go between the look and the reservation: there was no order, and the key says so from then on.
func TestLosesTheRaceForTheLastPieces(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	soldOut := s.process(Faults{Before: func(call string) error {
		if call == "stock.Reserve" {
			s.stock.Set(s.cup, 1)
		}
		return nil
	}})
	_, err := soldOut.Place(s.ctx(t), s.wish(tokOK))
	got := refused(t, err, domain.ErrOutOfStock)
	if len(got.Violations) != 1 || got.Violations[0].Attributes["available"] != int64(1) {
		t.Errorf("violations %v", got.Violations)
	}
	if n, plans := len(s.orders(t)), s.store.Plans(); n != 0 || len(plans) != 0 {
		t.Errorf("it left %d orders and the plans %v", n, plans)
	}
	s.stock.Set(s.cup, pieces)
	_, err = s.healthy().Place(s.ctx(t), s.wish(tokOK))
	if again := refused(t, err, domain.ErrOutOfStock); again.Attributes[usecase.ReplayedAttribute] != true || len(again.Violations) != 1 {
		t.Errorf("once more: %+v", again)
	}
	s.agrees(t)
}

func TestManyCustomersForTheLastPieces(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.stock.Set(s.cup, 5)
	const racers = 20
	errs := make([]error, racers)
	together(racers, func(i int) {
		wish := s.wish(tokOK)
		wish.UserID, wish.Items = uuid.New(), []usecase.Line{{ProductID: s.cup, Quantity: 1}}
		_, errs[i] = s.healthy().Place(s.ctx(t), wish)
	})
	bought := 0
	for _, err := range errs {
		switch {
		case err == nil:
			bought++
		case !errors.Is(err, domain.ErrOutOfStock):
			t.Error(err)
		}
	}
	if bought != 5 || s.provider.Captures() != 5 {
		t.Errorf("%d have bought, %d have paid, of 5 pieces", bought, s.provider.Captures())
	}
}

func TestPlaceWithoutTheUserService(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for key, err := range map[string]error{"away": errAway, "slow": context.DeadlineExceeded} {
		wish := s.wish(tokOK)
		wish.Key, wish.Items = key, []usecase.Line{{ProductID: s.cup, Quantity: 1}}
		placed, err := s.process(CantReach(err, "users.Active")).Place(s.ctx(t), wish)
		if err != nil || placed.Order.Status != domain.Confirmed {
			t.Errorf("%s: %v, %s", key, err, placed.Order.Status)
		}
	}
	wish := s.wish(tokOK)
	wish.Key = "broken"
	if _, err := s.process(CantReach(errors.New("it is broken"), "users.Active")).Place(s.ctx(t), wish); err == nil {
		t.Error("a user service that is broken is believed")
	}
}

func TestPlaceWithoutDependencies(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"catalog.Products", "carts.Lines", "attempts.FindAttempt", "attempts.Begin", "stock.Reserve"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			_, err := s.process(CantReach(errAway, call)).Place(s.ctx(t), s.wish(tokOK))
			if apperr.KindOf(err) != apperr.Unavailable {
				t.Errorf("error %v, want one that says to try again", err)
			}
			// Trying again at once, with the same key, is all that it takes.
			if placed := s.place(t, s.wish(tokOK)); placed.Order.Status != domain.Confirmed {
				t.Errorf("the next try: %s", placed.Order.Status)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
		})
	}
}

func TestDeclined(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, token string
		want        *apperr.Error
	}{
		{"by the bank", tokDeclined, domain.ErrPaymentDeclined},
		{"as no token at all", "tok_nonsense", apperr.InvalidField("", "")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			_, err := s.healthy().Place(s.ctx(t), s.wish(tc.token))
			got := refused(t, err, tc.want)
			o := s.orders(t)[0]
			if got.Attributes["order_id"] != o.ID.String() {
				t.Errorf("order_id %v, want %s", got.Attributes["order_id"], o.ID)
			}
			if o.Status != domain.Cancelled || o.Payment.Status != domain.PaymentFailed {
				t.Errorf("the order is %s, its payment %s", o.Status, o.Payment.Status)
			}
			s.agrees(t) // at once: the pieces are free again
			if got := len(s.carts.Of(s.customer)); got != 2 {
				t.Errorf("%d lines are in the cart, want the 2 that were not bought", got)
			}
			_, err = s.healthy().Place(s.ctx(t), s.wish(tc.token))
			again := refused(t, err, tc.want)
			if again.Attributes[usecase.ReplayedAttribute] != true || again.Attributes["order_id"] != o.ID.String() {
				t.Errorf("once more: %v", again.Attributes)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if plans := s.store.Plans(); len(plans) != 0 {
				t.Errorf("still planned: %v", plans)
			}
		})
	}
}

func TestSameKeySameAnswer(t *testing.T) {
	t.Parallel()
	for _, token := range []string{tokOK, ""} {
		s := newShop(t)
		first := s.place(t, s.wish(token))
		s.work(t, s.healthy(), time.Minute)
		// Whatever has changed meanwhile, the answer is that of then.
		s.catalog.Change(s.cup, func(p *usecase.Product) { p.Price, p.OnSale = money.MustNew(1, "EUR"), false })
		if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: first.Order.ID}); err != nil {
			t.Fatal(err)
		}
		second := s.place(t, s.wish(token))
		first.Replayed = true
		if diff := cmp.Diff(first, second, moneyIsAValue); diff != "" {
			t.Errorf("the second answer (-first +second):\n%s", diff)
		}
	}
}

func TestKeyReused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place(t, s.wish(tokOK))
	for name, change := range map[string]func(*usecase.PlaceOrder){
		"another token":   func(w *usecase.PlaceOrder) { w.Token = tokDeclined },
		"another address": func(w *usecase.PlaceOrder) { w.Address.City = "Bonn" },
		"an address book": func(w *usecase.PlaceOrder) {
			w.Address, w.AddressID = domain.Address{}, s.office
		},
		"other items":      func(w *usecase.PlaceOrder) { w.Items = []usecase.Line{{ProductID: s.cup, Quantity: 1}} },
		"another delivery": func(w *usecase.PlaceOrder) { w.ShippingMethod = "express" },
		"an expectation":   func(w *usecase.PlaceOrder) { w.ExpectedTotal = &usecase.ExpectedTotal{Amount: 1} },
	} {
		wish := s.wish(tokOK)
		change(&wish)
		if _, err := s.healthy().Place(s.ctx(t), wish); !errors.Is(err, domain.ErrKeyReused) {
			t.Errorf("%s: %v, want %v", name, err, domain.ErrKeyReused)
		}
	}
	wish := s.wishByID(tokOK)
	wish.Key, wish.Items = "by id", []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	s.place(t, wish)
	wish.AddressID = uuid.New()
	if _, err := s.healthy().Place(s.ctx(t), wish); !errors.Is(err, domain.ErrKeyReused) {
		t.Errorf("another entry of the address book: %v, want %v", err, domain.ErrKeyReused)
	}
	wish = s.wish(tokOK)
	wish.UserID, wish.Items = uuid.New(), []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	if placed := s.place(t, wish); placed.Replayed {
		t.Error("the key of one customer stands in the way of another")
	}
}

func TestKeyInProgress(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var inside error
	slow := s.process(Faults{Before: func(call string) error {
		if call == "payments.Authorize" {
			_, inside = s.healthy().Place(s.ctx(t), s.wish(tokOK))
		}
		return nil
	}})
	placed, err := slow.Place(s.ctx(t), s.wish(tokOK))
	if err != nil || placed.Order.Status != domain.Confirmed {
		t.Errorf("the first: %v, %s", err, placed.Order.Status)
	}
	refused(t, inside, domain.ErrKeyInProgress)
}

// Two tries with one key at once: the second finds neither the key nor, a moment later, anything in the cart, because the
// first has bought it. It is answered as the first.
func TestSecondTryFindsTheCartEmpty(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var first usecase.Placed
	slow := s.process(Faults{Before: func(call string) error {
		if call == "carts.Lines" {
			first = s.place(t, s.wish(tokOK))
		}
		return nil
	}})
	second, err := slow.Place(s.ctx(t), s.wish(tokOK))
	if err != nil {
		t.Fatal(err)
	}
	if second.Order.ID != first.Order.ID || !second.Replayed {
		t.Errorf("the second answer is %+v", second)
	}
}

// A customer who does not wait for the answer: what the provider has taken is written down at once, and what it has
// promised is seen to by the watchdog.
func TestCustomerLeaves(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]domain.Status{"payments.Authorize": domain.Pending, "payments.Capture": domain.Confirmed} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			ctx, leave := context.WithCancel(s.ctx(t))
			defer leave()
			left := s.process(Faults{After: func(call string) error {
				if call == at {
					leave()
				}
				return nil
			}})
			placed, err := left.Place(ctx, s.wish(tokOK))
			if err != nil || placed.Settling != (want == domain.Pending) {
				t.Errorf("settling %v, %v", placed.Settling, err)
			}
			if o := s.orders(t)[0]; o.Status != want {
				t.Errorf("the order is %s, want %s", o.Status, want)
			}
			s.work(t, s.healthy(), 5*time.Second) // the lease was given back, so nobody waits for its end
			s.agrees(t)
			if o := s.orders(t)[0]; o.Status != domain.Confirmed {
				t.Errorf("in the end the order is %s", o.Status)
			}
		})
	}
}

func TestManyTriesWithOneKey(t *testing.T) {
	t.Parallel()
	for _, token := range []string{tokOK, tokDeclined, ""} {
		s := newShop(t)
		const racers = 20
		placed, errs := make([]usecase.Placed, racers), make([]error, racers)
		together(racers, func(i int) { placed[i], errs[i] = s.healthy().Place(s.ctx(t), s.wish(token)) })
		orders := s.orders(t)
		if len(orders) != 1 {
			t.Fatalf("%q: %d orders", token, len(orders))
		}
		first := 0
		for i, err := range errs {
			switch {
			case errors.Is(err, domain.ErrKeyInProgress):
			case errors.Is(err, domain.ErrPaymentDeclined) && token == tokDeclined:
				if apperr.From(err).Attributes[usecase.ReplayedAttribute] == nil {
					first++
				}
			case err != nil:
				t.Errorf("%q: %v", token, err)
			case placed[i].Order.ID != orders[0].ID:
				t.Errorf("%q: answered with %s", token, placed[i].Order.ID)
			case !placed[i].Replayed:
				first++
			}
		}
		if first != 1 {
			t.Errorf("%q: %d first answers", token, first)
		}
		if got, want := s.provider.Captures(), map[string]int{tokOK: 1}[token]; got != want {
			t.Errorf("%q: %d charges, want %d", token, got, want)
		}
		s.work(t, s.healthy(), time.Minute)
		s.agrees(t)
	}
}

// together runs a function n times at once.
func together(n int, run func(i int)) {
	var (
		group sync.WaitGroup
		start = make(chan struct{})
	)
	for i := range n {
		group.Go(func() {
			<-start
			run(i)
		})
	}
	close(start)
	group.Wait()
}

// What follows from a confirmation is done with it, and nobody looks at the order again; if it was not done, somebody does.
func TestNothingIsPlannedForAnOrderThatIsDone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fails string
		want  int
	}{
		"done":                         {"", 0},
		"the cart is away":             {"carts.RemovePurchased", 1},
		"the stock is away":            {"stock.Confirm", 1},
		"the plan can't be taken back": {"orders.Unplan", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			process := s.process(Faults{Before: func(call string) error {
				if call == tc.fails {
					return errors.New("away")
				}
				return nil
			}})
			placed, err := process.Place(s.ctx(t), s.wish(tokOK))
			if err != nil || placed.Order.Status != domain.Confirmed {
				t.Fatalf("%+v, %v", placed, err)
			}
			if plans := s.store.Plans(); len(plans) != tc.want {
				t.Errorf("planned: %v, want %d", plans, tc.want)
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if left := len(s.carts.Of(s.customer)); left != 0 {
				t.Errorf("%d lines are left in the cart", left)
			}
		})
	}
}

// No provider has to do with what is paid at the door.
func TestCashHasNoProvider(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := s.wish("")
	wish.Method = domain.CashOnDelivery
	if got := s.place(t, wish).Order; got.Status != domain.Confirmed || got.Payment.Provider != "" {
		t.Errorf("the order is %s, its provider %q", got.Status, got.Payment.Provider)
	}
}
