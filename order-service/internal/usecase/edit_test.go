package usecase_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
)

// calls counts calls by their names.
type calls struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *calls) count(call string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	c.counts[call]++
	return nil
}

func (c *calls) of(call string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[call]
}

// unpaid places an order of two cups and a pot that waits to be paid.
func (s *shop) unpaid(t *testing.T) domain.Snapshot {
	t.Helper()
	return s.place(t, s.wish("")).Order
}

func (s *shop) add(t *testing.T, order domain.Snapshot, product uuid.UUID, n int64) (domain.Snapshot, error) {
	t.Helper()
	placed, err := s.healthy().AddItem(s.ctx(t), s.principal(), usecase.AddItem{OrderID: order.ID, ProductID: product, Quantity: n})
	return placed.Order, err
}

// follows checks that the reservation of an order is what the order says.
func (s *shop) follows(t *testing.T, id uuid.UUID) {
	t.Helper()
	want := make(map[uuid.UUID]int64)
	for _, item := range s.order(t, id).Items {
		want[item.ProductID] = item.Quantity
	}
	for _, product := range []uuid.UUID{s.cup, s.pot, s.gift} {
		if got := s.stock.Reserved(id, product); got != want[product] {
			t.Errorf("%d pieces of %s are reserved, the order has %d", got, product, want[product])
		}
	}
}

// covers checks that what an order says is reserved, at least.
func (s *shop) covers(t *testing.T, id uuid.UUID) {
	t.Helper()
	for _, item := range s.order(t, id).Items {
		if got := s.stock.Reserved(id, item.ProductID); got < item.Quantity {
			t.Errorf("%d pieces of %s are reserved, the order has %d", got, item.Name, item.Quantity)
		}
	}
}

func TestEditItems(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	order := s.unpaid(t)
	s.catalog.Change(s.cup, func(p *usecase.Product) { p.Price = money.MustNew(1000, "EUR") })
	after, err := s.add(t, order, s.cup, 3)
	if err != nil {
		t.Fatal(err)
	}
	// The whole line has today's price.
	if line := after.Items[0]; line.Quantity != 5 || line.LineTotal.Amount() != 5000 || line.ID != order.Items[0].ID {
		t.Errorf("the line is %+v", line)
	}
	if after.Total.Amount() != 5000+3999+shippingC || after.Version <= order.Version {
		t.Errorf("total %v, version %d", after.Total, after.Version)
	}
	s.follows(t, order.ID)
	after, err = s.add(t, order, s.gift, 1)
	if err != nil || len(after.Items) != 3 {
		t.Fatalf("%d lines, %v", len(after.Items), err)
	}
	s.follows(t, order.ID)
	after, err = s.healthy().RemoveItem(s.ctx(t), s.principal(), usecase.RemoveItem{OrderID: order.ID, ItemID: after.Items[1].ID, IfVersion: new(after.Version)})
	if err != nil || len(after.Items) != 2 || after.Total.Amount() != 5000+shippingC {
		t.Fatalf("%+v, %v", after, err)
	}
	s.follows(t, order.ID)
	if diff := cmp.Diff(after, s.order(t, order.ID), moneyIsAValue); diff != "" {
		t.Errorf("what was answered and what is stored differ:\n%s", diff)
	}
	for id, at := range s.store.Plans() {
		if !at.Equal(noon.Add(domain.PaymentWindow)) {
			t.Errorf("order %s is looked at again at %v", id, at)
		}
	}

	// It is paid as it is now.
	paid, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: order.ID, Method: domain.Card, Token: tokOK})
	if err != nil || paid.Order.Status != domain.Confirmed {
		t.Fatalf("%s, %v", paid.Order.Status, err)
	}
	if taken, _ := s.provider.Holds(order.ID); taken != 5000+shippingC {
		t.Errorf("%d was taken", taken)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
	s.follows(t, order.ID)
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	ok := func(*testing.T, *shop, *domain.Snapshot) {}
	for _, tc := range []struct {
		name     string
		before   func(*testing.T, *shop, *domain.Snapshot)
		do       func(context.Context, *shop, *usecase.Checkout, domain.Snapshot) error
		want     error
		location string
	}{
		{"another's order", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, stranger, usecase.AddItem{OrderID: o.ID, ProductID: s.cup, Quantity: 1})
			return err
		}, domain.ErrOrderMissing, ""},
		{"another's order, by staff", ok, func(ctx context.Context, _ *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.RemoveItem(ctx, staff, usecase.RemoveItem{OrderID: o.ID, ItemID: o.Items[0].ID})
			return err
		}, domain.ErrOrderMissing, ""},
		{"no order", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, _ domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: uuid.New(), ProductID: s.cup, Quantity: 1})
			return err
		}, domain.ErrOrderMissing, ""},
		{"an old version", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: o.ID, ProductID: s.cup, Quantity: 1, IfVersion: new(o.Version + 1)})
			return err
		}, domain.ErrVersion, ""},
		{"an old version of a removal", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.RemoveItem(ctx, s.principal(), usecase.RemoveItem{OrderID: o.ID, ItemID: o.Items[0].ID, IfVersion: new(o.Version + 1)})
			return err
		}, domain.ErrVersion, ""},
		{"a line that is not there", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.RemoveItem(ctx, s.principal(), usecase.RemoveItem{OrderID: o.ID, ItemID: uuid.New()})
			return err
		}, domain.ErrItemMissing, ""},
		{"more than there is", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: o.ID, ProductID: s.cup, Quantity: pieces - 1})
			return err
		}, domain.ErrOutOfStock, "quantity"},
		{"more than an order may have", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: o.ID, ProductID: s.cup, Quantity: 998})
			return err
		}, apperr.InvalidField("", ""), "quantity"},
		{"a product that is not on sale", func(_ *testing.T, s *shop, _ *domain.Snapshot) {
			s.catalog.Change(s.cup, func(p *usecase.Product) { p.OnSale = false })
		}, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: o.ID, ProductID: s.cup, Quantity: 1})
			return err
		}, domain.ErrProductMissing, "product_id"},
		{"an unknown product", ok, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: o.ID, ProductID: uuid.New(), Quantity: 1})
			return err
		}, domain.ErrProductMissing, "product_id"},
		{"below the coupon's minimum", func(t *testing.T, s *shop, o *domain.Snapshot) {
			s.coupon(t, func(c *domain.CouponTerms) { c.MinSubtotal = 5000 })
			wish := s.withCoupon("")
			wish.Key = "with a coupon"
			*o = s.place(t, wish).Order
		}, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.RemoveItem(ctx, s.principal(), usecase.RemoveItem{OrderID: o.ID, ItemID: o.Items[0].ID})
			return err
		}, domain.ErrCouponInvalid, "coupon_code"},
		{"paid", func(t *testing.T, s *shop, o *domain.Snapshot) {
			if _, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: tokOK}); err != nil {
				t.Fatal(err)
			}
		}, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: o.ID, ProductID: s.cup, Quantity: 1})
			return err
		}, domain.ErrNotEditable, ""},
		{"being paid", func(t *testing.T, s *shop, o *domain.Snapshot) {
			if got, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: tokLate}); err != nil || !got.Settling {
				t.Fatalf("settling %v, %v", got.Settling, err)
			}
		}, func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.RemoveItem(ctx, s.principal(), usecase.RemoveItem{OrderID: o.ID, ItemID: o.Items[0].ID})
			return err
		}, domain.ErrNotEditable, ""},
		{"too late", func(_ *testing.T, s *shop, _ *domain.Snapshot) { s.clock.Advance(domain.PaymentWindow) },
			func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
				_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{OrderID: o.ID, ProductID: s.cup, Quantity: 1})
				return err
			}, domain.ErrNotEditable, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			order := s.unpaid(t)
			tc.before(t, s, &order)
			before := s.order(t, order.ID)
			err := tc.do(s.ctx(t), s, s.healthy(), order)
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v, want %v", err, tc.want)
			}
			if v := apperr.From(err).Violations; tc.location != "" && (len(v) != 1 || v[0].Location != tc.location) {
				t.Errorf("violations %v, want one at %s", v, tc.location)
			}
			if errors.Is(err, domain.ErrOutOfStock) {
				if left := apperr.From(err).Violations[0].Attributes["available"]; left != int64(pieces-2) {
					t.Errorf("%v are available, want %d more", left, pieces-2)
				}
			}
			if diff := cmp.Diff(before, s.order(t, order.ID), moneyIsAValue); diff != "" {
				t.Errorf("refused, and yet:\n%s", diff)
			}
			s.follows(t, order.ID)
			// The order is not leased to anybody: whatever comes next goes on.
			if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: order.ID}); err != nil && !errors.Is(err, domain.ErrBusy) {
				t.Errorf("cancel: %v", err)
			}
		})
	}
}

func TestLastItemStays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := s.wish("")
	wish.Items = []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	order := s.place(t, wish).Order
	_, err := s.healthy().RemoveItem(s.ctx(t), s.principal(), usecase.RemoveItem{OrderID: order.ID, ItemID: order.Items[0].ID})
	refused(t, err, domain.ErrNotEditable)
	s.follows(t, order.ID)
}

// Wherever an edit is interrupted, the order never has more than is reserved for it, and soon just what is reserved.
func TestEditSurvivesAccidents(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(context.Context, *shop, *usecase.Checkout, domain.Snapshot) error{
		"more of a line": func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{Key: "edit", OrderID: o.ID, ProductID: s.cup, Quantity: 3})
			return err
		},
		"another line": func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.AddItem(ctx, s.principal(), usecase.AddItem{Key: "edit", OrderID: o.ID, ProductID: s.gift, Quantity: 1})
			return err
		},
		"a line removed": func(ctx context.Context, s *shop, c *usecase.Checkout, o domain.Snapshot) error {
			_, err := c.RemoveItem(ctx, s.principal(), usecase.RemoveItem{OrderID: o.ID, ItemID: o.Items[1].ID})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := func(o domain.Snapshot) (n int64) {
				for _, item := range o.Items {
					n += item.Quantity
				}
				return n
			}
			s := newShop(t)
			order := s.unpaid(t)
			if err := edit(s.ctx(t), s, s.healthy(), order); err != nil {
				t.Fatal(err)
			}
			done := lines(s.order(t, order.ID))
			eachAccident(t, func(t *testing.T, f Faults) {
				s := newShop(t)
				_ = edit(s.ctx(t), s, s.process(f), s.unpaid(t))
			}, func(t *testing.T, f Faults) {
				s := newShop(t)
				order := s.unpaid(t)
				err := edit(s.ctx(t), s, s.process(f), order)
				s.covers(t, order.ID)
				if now := lines(s.order(t, order.ID)); now != done && (now != lines(order) || err == nil) {
					t.Errorf("%d pieces, and the answer is %v", now, err)
				}
				if apperr.KindOf(err) == apperr.Internal && err != nil && !errors.Is(err, errDead) {
					t.Errorf("the answer is %v", err)
				}
				s.work(t, s.healthy(), time.Minute)
				s.follows(t, order.ID)
				s.agrees(t)
				// The customer tries again, and it is done once.
				if err := edit(s.ctx(t), s, s.healthy(), order); err != nil && !errors.Is(err, domain.ErrItemMissing) {
					t.Errorf("again: %v", err)
				}
				if now := lines(s.order(t, order.ID)); now != done {
					t.Errorf("%d pieces in the end, want %d", now, done)
				}
				s.follows(t, order.ID)
				if _, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: order.ID, Method: domain.Card, Token: tokOK}); err != nil {
					t.Errorf("pay: %v", err)
				}
				s.work(t, s.healthy(), time.Minute)
				s.follows(t, order.ID)
				s.agrees(t)
			})
		})
	}
}

// The process died between the reservation and the order, and the customer pays before the watchdog has looked: only what
// the order says is sold.
func TestPayAfterAHalfEdit(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	order := s.unpaid(t)
	dead := Faults{After: func(call string) error {
		if call == "stock.Reserve" {
			return errDead
		}
		return nil
	}}
	dead.Before = func(call string) error {
		if s.stock.Reserved(order.ID, s.cup) > 2 {
			return errDead
		}
		return nil
	}
	if _, err := s.process(dead).AddItem(s.ctx(t), s.principal(), usecase.AddItem{OrderID: order.ID, ProductID: s.cup, Quantity: 3}); err == nil {
		t.Fatal("a dead process answers")
	}
	if got := s.stock.Reserved(order.ID, s.cup); got != 5 {
		t.Fatalf("%d cups are reserved, want 5", got)
	}
	s.clock.Advance(20 * time.Second) // the lease is over
	paid, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: order.ID, Method: domain.Card, Token: tokOK})
	if err != nil || paid.Order.Status != domain.Confirmed {
		t.Fatalf("%s, %v", paid.Order.Status, err)
	}
	s.follows(t, order.ID)
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// A question for more pieces that arrives when its edit was given up changes nothing any more.
func TestLateReservationOfAnEdit(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	order := s.unpaid(t)
	_, lost, err := s.store.Decide(t.Context(), order.ID, usecase.Lease{}, func(*domain.Order) (usecase.Change, error) {
		return usecase.Change{Keep: time.Second, Settle: usecase.Plan{At: noon.Add(2 * time.Second)}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.work(t, s.healthy(), time.Minute)
	err = s.stock.Reserve(t.Context(), order.ID, lost.Epoch, []usecase.Line{{ProductID: s.cup, Quantity: 9}}, time.Hour)
	refused(t, err, domain.ErrBusy)
	s.follows(t, order.ID)
}

// Many edit one order and the same stock at once: nothing is lost, nothing sold twice, and everybody is told the truth.
func TestConcurrentEdits(t *testing.T) {
	t.Parallel()
	const editors = 20
	s := newShop(t)
	orders := []domain.Snapshot{s.unpaid(t)}
	other := s.wish("")
	other.Key, other.UserID = "other", uuid.New()
	other.Items = []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	ctx := auth.NewContext(t.Context(), auth.Principal{UserID: other.UserID.String(), Role: auth.Customer})
	placed, err := s.healthy().Place(ctx, other)
	if err != nil {
		t.Fatal(err)
	}
	orders = append(orders, placed.Order)
	added := make([]int64, len(orders))
	var (
		mu    sync.Mutex
		group sync.WaitGroup
	)
	for i := range editors {
		group.Go(func() {
			n := i % 2
			caller := auth.Principal{UserID: orders[n].UserID.String(), Role: auth.Customer}
			_, err := s.healthy().AddItem(t.Context(), caller, usecase.AddItem{Key: fmt.Sprint(i), OrderID: orders[n].ID, ProductID: s.cup, Quantity: 1})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				added[n]++
			case !errors.Is(err, domain.ErrBusy) && !errors.Is(err, domain.ErrOutOfStock) && !errors.Is(err, domain.ErrKeyInProgress):
				t.Error(err)
			}
		})
	}
	group.Wait()
	s.work(t, s.healthy(), time.Minute)
	total := int64(0)
	for n, order := range orders {
		got := s.order(t, order.ID).Items[0].Quantity
		if want := order.Items[0].Quantity + added[n]; got != want {
			t.Errorf("order %d has %d cups, want %d", n, got, want)
		}
		s.follows(t, order.ID)
		total += got
	}
	if left := s.stock.Available(s.cup); left != pieces-total {
		t.Errorf("%d cups are left of %d, and the orders have %d", left, pieces, total)
	}
}
