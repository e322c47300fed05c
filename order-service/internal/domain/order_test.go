package domain_test

import (
	"errors"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

var (
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	standard = domain.ShippingMethod{ID: "standard", Price: eur(490)}
)

func eur(amount int64) money.Money { return money.MustNew(amount, "EUR") }

func item(quantity, price int64) domain.Item {
	return domain.Item{ProductID: uuid.New(), SKU: "CUP-1", Name: "A cup", Quantity: quantity, UnitPrice: eur(price)}
}

func draft(items ...domain.Item) domain.Draft {
	return domain.Draft{UserID: uuid.New(), Items: items, Shipping: standard, Method: domain.Card}
}

func newOrder(t interface{ Fatal(args ...any) }, items ...domain.Item) *domain.Order {
	o, err := domain.NewOrder(draft(items...), noon)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNewOrder(t *testing.T) {
	t.Parallel()
	d := draft(item(2, 1250), item(1, 99))
	o, err := domain.NewOrder(d, noon)
	if err != nil {
		t.Fatal(err)
	}
	s := o.Snapshot()
	if s.Status != domain.Pending || s.Payment.Status != domain.PaymentNone || s.Version != 1 {
		t.Errorf("a new order is %s, its payment %s, its version %d", s.Status, s.Payment.Status, s.Version)
	}
	if s.Subtotal != eur(2599) || s.Discount != eur(0) || s.Shipping != eur(490) || s.Total != eur(3089) {
		t.Errorf("subtotal %v, discount %v, shipping %v, total %v", s.Subtotal, s.Discount, s.Shipping, s.Total)
	}
	want := []domain.HistoryEntry{{Status: domain.Pending, At: noon, By: d.UserID.String()}}
	if diff := cmp.Diff(want, s.History); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if d.Items[0].ID != uuid.Nil {
		t.Error("the draft was changed")
	}
}

func TestNewOrderRefuses(t *testing.T) {
	t.Parallel()
	tooMany := make([]domain.Item, domain.MaxLines+1)
	for i := range tooMany {
		tooMany[i] = item(1, 1)
	}
	dollars := item(1, 1)
	dollars.UnitPrice = money.MustNew(1, "USD")
	for _, tc := range []struct {
		name     string
		items    []domain.Item
		kind     apperr.Kind
		location string
	}{
		{"no items", nil, apperr.Invalid, ""},
		{"too many lines", tooMany, apperr.Invalid, "items"},
		{"quantity 0", []domain.Item{item(1, 1), item(0, 1)}, apperr.Invalid, "items[1].quantity"},
		{"quantity below 0", []domain.Item{item(-1, 1)}, apperr.Invalid, "items[0].quantity"},
		{"more of a product than there may be", []domain.Item{item(1, 1), item(domain.MaxQuantity+1, 0)}, apperr.Invalid, "items[1].quantity"},
		{"a line too large", []domain.Item{item(2, math.MaxInt64)}, apperr.Invalid, "items[0].quantity"},
		{"a subtotal too large", []domain.Item{item(1, math.MaxInt64), item(1, 1)}, apperr.Invalid, "items[1].quantity"},
		{"a total too large", []domain.Item{item(1, math.MaxInt64-489)}, apperr.Invalid, "items[0].quantity"},
		{"a negative price", []domain.Item{item(1, -1)}, apperr.Internal, ""},
		{"another currency", []domain.Item{dollars}, apperr.Internal, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := domain.NewOrder(draft(tc.items...), noon)
			if err == nil {
				t.Fatal("it is accepted")
			}
			got := apperr.From(err)
			if got.Kind != tc.kind {
				t.Errorf("%v: kind %v, want %v", err, got.Kind, tc.kind)
			}
			if tc.location != "" && (len(got.Violations) != 1 || got.Violations[0].Location != tc.location) {
				t.Errorf("violations %v, want one at %s", got.Violations, tc.location)
			}
		})
	}
	if _, err := domain.NewOrder(draft(tooMany[1:]...), noon); err != nil {
		t.Errorf("as many lines as may be: %v", err)
	}
}

// The total is what arithmetic without bounds says, or there is no order.
func TestTotals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		amount := rapid.OneOf(rapid.Int64Range(0, 100_000), rapid.Int64Range(0, math.MaxInt64))
		items := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) domain.Item {
			return item(rapid.Int64Range(1, domain.MaxQuantity).Draw(r, "quantity"), amount.Draw(r, "price"))
		}), 1, domain.MaxLines).Draw(r, "items")
		d := draft(items...)
		d.Shipping.Price = eur(amount.Draw(r, "shipping"))

		want := new(big.Int)
		for _, i := range items {
			want.Add(want, new(big.Int).Mul(big.NewInt(i.Quantity), big.NewInt(i.UnitPrice.Amount())))
		}
		subtotal := new(big.Int).Set(want)
		want.Add(want, big.NewInt(d.Shipping.Price.Amount()))

		o, err := domain.NewOrder(d, noon)
		if !want.IsInt64() {
			if apperr.KindOf(err) != apperr.Invalid {
				r.Fatalf("a total of %v: %v, want an invalid request", want, err)
			}
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		s := o.Snapshot()
		if s.Total.Amount() != want.Int64() || s.Subtotal.Amount() != subtotal.Int64() {
			r.Fatalf("subtotal %v, total %v; want %v, %v", s.Subtotal, s.Total, subtotal, want)
		}
		for i, line := range s.Items {
			if line.LineTotal.Amount() != items[i].Quantity*items[i].UnitPrice.Amount() {
				r.Fatalf("line %d is %v", i, line.LineTotal)
			}
		}
	})
}

// Whatever is done to an order, in whatever order, it stays on the map, every change of state is in its history, what was
// refused changed nothing, and money and state agree.
func TestNoSequenceLeadsAstray(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		price := rapid.SampledFrom([]int64{0, 1250}).Draw(r, "price")
		d := draft(item(1, price))
		if price == 0 {
			d.Shipping.Price = eur(0)
		}
		o, err := domain.NewOrder(d, noon)
		if err != nil {
			r.Fatal(err)
		}
		at := noon
		act := func(verb func() error) func(*rapid.T) {
			return func(r *rapid.T) {
				before := o.Snapshot()
				at = at.Add(time.Second)
				err := verb()
				after := o.Snapshot()
				if err != nil {
					if kind := apperr.KindOf(err); kind != apperr.Conflict {
						r.Fatalf("%v is of kind %v, want a conflict", err, kind)
					}
					if diff := cmp.Diff(before, after, cmp.Comparer(func(a, b money.Money) bool { return a == b })); diff != "" {
						r.Fatalf("refused with %q, and yet:\n%s", err, diff)
					}
					return
				}
				if after.Status != before.Status {
					if !allowed(before.Status, after.Status) {
						r.Fatalf("from %s to %s", before.Status, after.Status)
					}
					if len(after.History) != len(before.History)+1 {
						r.Fatalf("the history does not tell of %s", after.Status)
					}
					if last := after.History[len(after.History)-1]; last.Status != after.Status || !last.At.Equal(at) {
						r.Fatalf("the history ends with %+v", last)
					}
				} else if len(after.History) != len(before.History) {
					r.Fatal("the history tells of a change that was not")
				}
			}
		}
		method := func(r *rapid.T) domain.PaymentMethod {
			return rapid.SampledFrom([]domain.PaymentMethod{domain.Card, domain.CashOnDelivery}).Draw(r, "method")
		}
		r.Repeat(map[string]func(*rapid.T){
			"pay": func(r *rapid.T) {
				m, atCheckout := method(r), rapid.Bool().Draw(r, "at checkout")
				act(func() error { return o.BeginPayment(m, "test", atCheckout, at) })(r)
			},
			"confirm": act(func() error { return o.Confirm("ref", at) }),
			"decline": act(func() error { return o.Decline("ref", at) }),
			"cancel":  act(func() error { return o.Cancel(domain.System, "why", at) }),
			"add": func(r *rapid.T) {
				price := rapid.Int64Range(0, 5000).Draw(r, "price")
				act(func() error { return o.AddItem(item(1, price), d.Shipping, at) })(r)
			},
			"remove": act(func() error { return o.RemoveItem(o.Snapshot().Items[0].ID, d.Shipping, at) }),
			"": func(r *rapid.T) {
				s := o.Snapshot()
				if s.History[len(s.History)-1].Status != s.Status {
					r.Fatalf("the order is %s, its history ends with %s", s.Status, s.History[len(s.History)-1].Status)
				}
				sum := s.Total.Zero()
				for _, line := range s.Items {
					sum = eur(sum.Amount() + line.LineTotal.Amount())
				}
				if s.Subtotal != sum || s.Total.Amount() != sum.Amount()-s.Discount.Amount()+s.Shipping.Amount() || len(s.Items) == 0 {
					r.Fatalf("%d lines of %v, subtotal %v, total %v", len(s.Items), sum, s.Subtotal, s.Total)
				}
				if _, due := o.PaymentDue(); due && (s.Status != domain.Pending || o.PaymentUnderWay()) {
					r.Fatal("payment is due for an order that need not be paid")
				}
				if o.PaymentUnderWay() && s.Status != domain.Pending {
					r.Fatalf("a payment is under way for an order that is %s", s.Status)
				}
				if s.Payment.Status == domain.PaymentCaptured && (o.Free() || s.Payment.Method != domain.Card) {
					r.Fatalf("%v was captured by %s", s.Total, s.Payment.Method)
				}
				if s.Status == domain.Confirmed && s.Payment.Attempt == 0 {
					r.Fatal("confirmed, and nobody has begun to pay")
				}
				if s.Status == domain.Pending && s.Payment.Status == domain.PaymentFailed && s.Payment.AtCheckout {
					r.Fatal("a checkout was declined and its order lives on")
				}
			},
		})
	})
}

func TestPaymentAttempts(t *testing.T) {
	t.Parallel()
	o := newOrder(t, item(1, 100))
	keys := make(map[string]bool)
	for i := 1; i <= 3; i++ {
		if err := o.BeginPayment(domain.Card, "test", false, noon); err != nil {
			t.Fatal(err)
		}
		if err := o.BeginPayment(domain.Card, "test", false, noon); !errors.Is(err, domain.ErrNotPayable) {
			t.Errorf("a second attempt at once: %v, want %v", err, domain.ErrNotPayable)
		}
		keys[o.PaymentKey()] = true
		if err := o.Decline("ref", noon); err != nil {
			t.Fatal(err)
		}
		if o.Status() != domain.Pending || o.Payment().Status != domain.PaymentFailed || o.Payment().Attempt != i {
			t.Errorf("after attempt %d: %s, %+v", i, o.Status(), o.Payment())
		}
	}
	if len(keys) != 3 {
		t.Errorf("%d different keys for 3 attempts", len(keys))
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		price  int64
		method domain.PaymentMethod
		want   domain.PaymentStatus
	}{
		{"card", 1, domain.Card, domain.PaymentCaptured},
		{"cash on delivery", 1, domain.CashOnDelivery, domain.PaymentPending},
		{"free", 0, domain.Card, domain.PaymentNone},
		{"free on delivery", 0, domain.CashOnDelivery, domain.PaymentNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := draft(item(1, tc.price))
			d.Shipping.Price = eur(0)
			o, err := domain.NewOrder(d, noon)
			if err != nil {
				t.Fatal(err)
			}
			if err := o.BeginPayment(tc.method, "test", true, noon); err != nil {
				t.Fatal(err)
			}
			if err := o.Confirm("ref", noon); err != nil {
				t.Fatal(err)
			}
			if got := o.Payment(); got.Status != tc.want || got.Reference != "ref" {
				t.Errorf("payment %+v, want %s", got, tc.want)
			}
			if o.PaymentUnderWay() {
				t.Error("a payment is still under way")
			}
		})
	}
}

func TestPaymentDue(t *testing.T) {
	t.Parallel()
	o := newOrder(t, item(1, 100))
	if at, due := o.PaymentDue(); !due || !at.Equal(noon.Add(30*time.Minute)) {
		t.Errorf("due: %v at %v", due, at)
	}
	if err := o.BeginPayment(domain.Card, "test", false, noon); err != nil {
		t.Fatal(err)
	}
	if _, due := o.PaymentDue(); due {
		t.Error("due while it is being paid")
	}
}

func TestReversedOnce(t *testing.T) {
	t.Parallel()
	o := newOrder(t, item(1, 100))
	if err := o.Cancel("x", "y", noon); err != nil {
		t.Fatal(err)
	}
	o.Reversed(domain.PaymentRefunded, noon)
	version := o.Snapshot().Version
	o.Reversed(domain.PaymentRefunded, noon)
	if got := o.Snapshot(); got.Version != version || got.Payment.Status != domain.PaymentRefunded {
		t.Errorf("version %d, payment %s; want %d, %s", got.Version, got.Payment.Status, version, domain.PaymentRefunded)
	}
}

func TestVisibleTo(t *testing.T) {
	t.Parallel()
	o := newOrder(t, item(1, 100))
	owner := o.Snapshot().UserID.String()
	if !o.VisibleTo(owner, false) || !o.VisibleTo("", true) || o.VisibleTo(uuid.NewString(), false) || o.VisibleTo("", false) {
		t.Error("its owner and staff may see an order, nobody else")
	}
}

func TestShippingMethods(t *testing.T) {
	t.Parallel()
	methods, err := domain.DefaultShippingMethods("EUR")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range methods {
		if got, err := methods.Find(m.ID); err != nil || got.Name != m.Name {
			t.Errorf("%s: %+v, %v", m.ID, got, err)
		}
		if m.MinDays > m.MaxDays || m.Price.IsNegative() || m.Price.Currency() != "EUR" || m.Name == "" {
			t.Errorf("%+v", m)
		}
	}
	if _, err := methods.Find("drone"); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("an unknown one: %v", err)
	}
	if _, err := domain.DefaultShippingMethods("euro"); err == nil {
		t.Error("there is no currency named euro")
	}
}
