package domain_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

func TestAddItem(t *testing.T) {
	t.Parallel()
	d := draft(item(2, 1000), item(1, 99))
	d.CouponCode, d.Benefit = "TEN", domain.Benefit{CouponID: uuid.New(), Type: domain.PercentOff, Value: 10}
	o, err := domain.NewOrder(d, noon)
	if err != nil {
		t.Fatal(err)
	}
	before := o.Snapshot()
	dearer := before.Items[0]
	dearer.ID, dearer.Quantity, dearer.UnitPrice, dearer.Name = uuid.Nil, 3, eur(1100), "A better cup"
	later := noon.Add(time.Minute)
	if err := o.AddItem(dearer, standard, later); err != nil {
		t.Fatal(err)
	}
	got := o.Snapshot()
	line := got.Items[0]
	if line.ID != before.Items[0].ID || line.Quantity != 5 || line.UnitPrice != eur(1100) || line.LineTotal != eur(5500) || line.Name != "A better cup" {
		t.Errorf("the line is %+v", line)
	}
	if got.Subtotal != eur(5599) || got.Discount != eur(560) || got.Total != eur(5599-560+490) || got.Version != 2 || !got.UpdatedAt.Equal(later) {
		t.Errorf("the order is %+v", got)
	}
	if before.Items[0].Quantity != 2 || before.Items[0].LineTotal != eur(2000) {
		t.Error("an earlier snapshot was changed")
	}
	if err := o.AddItem(item(1, 1), standard, later); err != nil {
		t.Fatal(err)
	}
	added := o.Snapshot().Items[2]
	if len(o.Snapshot().Items) != 3 || added.ID == uuid.Nil || added.LineTotal != eur(1) {
		t.Errorf("added %+v", added)
	}
}

func TestRemoveItem(t *testing.T) {
	t.Parallel()
	o := newOrder(t, item(2, 1000), item(1, 99), item(1, 1))
	items := o.Snapshot().Items
	for i, want := range []int64{100, 1} {
		if err := o.RemoveItem(items[i].ID, standard, noon); err != nil {
			t.Fatal(err)
		}
		if got := o.Snapshot(); got.Subtotal != eur(want) || got.Total != eur(want+490) || len(got.Items) != 2-i {
			t.Errorf("after %d removals: %+v", i+1, got)
		}
		if err := o.RemoveItem(items[i].ID, standard, noon); !errors.Is(err, domain.ErrItemMissing) {
			t.Errorf("again: %v", err)
		}
	}
	if err := o.RemoveItem(items[2].ID, standard, noon); !errors.Is(err, domain.ErrLastItem) {
		t.Errorf("the last one: %v", err)
	}
}

// What an edit may not do changes nothing.
func TestEditRefuses(t *testing.T) {
	t.Parallel()
	cup := item(500, 1000)
	full := make([]domain.Item, domain.MaxLines)
	for i := range full {
		full[i] = item(1, 1)
	}
	act := func(verb func(*domain.Order) error) func(*testing.T, *domain.Order) {
		return func(t *testing.T, o *domain.Order) {
			if err := verb(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	add := func(i domain.Item) func(*domain.Order) error {
		return func(o *domain.Order) error { return o.AddItem(i, standard, noon) }
	}
	remove := func(o *domain.Order) error { return o.RemoveItem(o.Snapshot().Items[0].ID, standard, noon) }
	nothing := func(*testing.T, *domain.Order) {}
	for _, tc := range []struct {
		name    string
		items   []domain.Item
		minimum int64
		before  func(*testing.T, *domain.Order)
		do      func(*domain.Order) error
		want    *apperr.Error
	}{
		{"being paid", []domain.Item{cup}, 0, act(func(o *domain.Order) error { return o.BeginPayment(domain.Card, "test", false, noon) }), add(item(1, 1)), domain.ErrNotEditable},
		{"paid", []domain.Item{cup, item(1, 1)}, 0, act(func(o *domain.Order) error {
			return errors.Join(o.BeginPayment(domain.Card, "test", false, noon), o.Confirm("ref", noon))
		}), remove, domain.ErrNotEditable},
		{"cancelled", []domain.Item{cup}, 0, act(func(o *domain.Order) error { return o.Cancel("x", "y", noon) }), add(item(1, 1)), domain.ErrNotEditable},
		{"too late", []domain.Item{cup}, 0, nothing, func(o *domain.Order) error {
			return o.AddItem(item(1, 1), standard, noon.Add(domain.PaymentWindow))
		}, domain.ErrNotEditable},
		{"another line in a full order", full, 0, nothing, add(item(1, 1)), apperr.InvalidField("", "")},
		{"too many of one product", []domain.Item{cup}, 0, nothing, add(cup), apperr.InvalidField("", "")},
		{"more than there is money", []domain.Item{cup}, 0, nothing, add(item(2, math.MaxInt64/2)), apperr.InvalidField("", "")},
		{"below the coupon's minimum", []domain.Item{cup, item(1, 1)}, 500_001, nothing, remove, domain.ErrCouponInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := draft(tc.items...)
			if tc.minimum > 0 {
				d.Benefit = domain.Benefit{CouponID: uuid.New(), Type: domain.FreeShipping, MinSubtotal: tc.minimum}
			}
			o, err := domain.NewOrder(d, noon)
			if err != nil {
				t.Fatal(err)
			}
			tc.before(t, o)
			before := o.Snapshot()
			if err := tc.do(o); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if diff := cmp.Diff(before, o.Snapshot(), moneyIsAValue); diff != "" {
				t.Errorf("refused, and yet:\n%s", diff)
			}
		})
	}
}

// As many as there may be: the last line and the last piece fit.
func TestEditUpToTheLimits(t *testing.T) {
	t.Parallel()
	full := make([]domain.Item, domain.MaxLines-1)
	for i := range full {
		full[i] = item(1, 1)
	}
	o := newOrder(t, full...)
	last := item(1, 1)
	for _, n := range []int64{1, domain.MaxQuantity - 1} {
		last.Quantity = n
		if err := o.AddItem(last, standard, noon); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	if got := o.Snapshot().Items; len(got) != domain.MaxLines || got[domain.MaxLines-1].Quantity != domain.MaxQuantity {
		t.Errorf("%d lines, %d of the last", len(got), got[domain.MaxLines-1].Quantity)
	}
	last.Quantity = 1
	if err := o.AddItem(last, standard, noon); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("one more: %v", err)
	}
}
