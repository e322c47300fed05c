package repositorytest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// couponTests are what a store of coupons is held to.
var couponTests = map[string]func(*testing.T, Store){
	"coupon: every field comes back":         everyCouponField,
	"coupon: one code, one coupon":           oneCodeOneCoupon,
	"coupon: deleted":                        deletedCoupon,
	"coupon: an error changes nothing":       couponErrorChangesNothing,
	"coupon: changes are all kept":           couponChangesKept,
	"coupon: pages":                          couponPages,
	"coupon: a use is taken and given back":  useTakenAndGivenBack,
	"coupon: a use that can't be taken":      useRefused,
	"coupon: one key takes one use":          oneKeyOneUse,
	"coupon: a race for uses":                raceForUses,
	"coupon: a race of one customer":         raceOfOneCustomer,
	"coupon: uses and changes at once":       usesAndChanges,
	"edit: lines and sums are stored":        editedLines,
	"edit: an error leaves the lines":        editErrorChangesNothing,
	"edit: leases of an order only rise":     leasesRise,
	"coupon: cancelled many times at once":   cancelledOnce,
	"coupon: an order keeps a deleted one's": deletedCouponGivenBack,
}

func newCoupon(t *testing.T, s Store, change ...func(*domain.CouponTerms)) domain.Coupon {
	t.Helper()
	terms := domain.CouponTerms{Code: uuid.NewString(), Type: domain.PercentOff, Value: 10, Status: domain.CouponActive}
	for _, c := range change {
		c(&terms)
	}
	coupon, err := domain.NewCoupon(terms, noon)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddCoupon(t.Context(), coupon); err != nil {
		t.Fatal(err)
	}
	return coupon
}

// orderWith returns an order that uses a coupon.
func orderWith(t *testing.T, user uuid.UUID, c domain.Coupon) *domain.Order {
	t.Helper()
	benefit, err := c.Redeem(0, noon)
	if err != nil {
		t.Fatal(err)
	}
	order, err := domain.NewOrder(domain.Draft{
		UserID: user, Address: address, Method: domain.Card, CouponCode: c.Code, Benefit: benefit,
		Items: []domain.Item{
			{ProductID: uuid.New(), SKU: "CUP-1", Name: "A cup", Quantity: 2, UnitPrice: eur(1250), Grams: 300},
			{ProductID: uuid.New(), SKU: "POT-1", Name: "A pot", Quantity: 1, UnitPrice: eur(3999)},
		},
		Shipping: domain.ShippingMethod{ID: "standard", Price: eur(490)},
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return order
}

func cancel(t *testing.T, s Store, id uuid.UUID) {
	t.Helper()
	_, _, err := s.Decide(t.Context(), id, usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		return usecase.Change{}, o.Cancel("x", "y", noon)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func readCoupon(t *testing.T, s Store, id uuid.UUID) domain.Coupon {
	t.Helper()
	c, err := s.Coupon(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func expectUses(t *testing.T, s Store, id uuid.UUID, want int64) {
	t.Helper()
	if got := readCoupon(t, s, id).Uses; got != want {
		t.Errorf("%d uses, want %d", got, want)
	}
}

func everyCouponField(t *testing.T, s Store) {
	full := newCoupon(t, s, func(terms *domain.CouponTerms) {
		*terms = domain.CouponTerms{
			Code: "SPRING_1", Type: domain.FixedOff, Value: 1 << 60, MinSubtotal: 1, StartsAt: noon.Add(123456 * time.Microsecond),
			EndsAt: noon.Add(time.Hour), MaxUses: 2, MaxUsesPerCustomer: 3, Status: domain.CouponDisabled,
		}
	})
	plain := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.Type, terms.Value = domain.FreeShipping, 0 })
	for _, want := range []domain.Coupon{full, plain} {
		expect(t, want.Code, readCoupon(t, s, want.ID), want)
		found, used, err := s.FindCoupon(t.Context(), want.Code, uuid.New())
		if err != nil || used != 0 {
			t.Errorf("%s: used %d times, %v", want.Code, used, err)
		}
		expect(t, "found "+want.Code, found, want)
	}
	changed, err := s.UpdateCoupon(t.Context(), full.ID, func(c *domain.Coupon) error {
		return c.Change(domain.CouponTerms{Code: "SUMMER", Type: domain.FixedOff, Value: 5, Status: domain.CouponActive}, noon.Add(time.Minute))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := domain.Coupon{
		ID: full.ID, Version: 2, CreatedAt: noon, UpdatedAt: noon.Add(time.Minute),
		CouponTerms: domain.CouponTerms{Code: "SUMMER", Type: domain.FixedOff, Value: 5, Status: domain.CouponActive},
	}
	expect(t, "what the change returns", changed, want)
	expect(t, "what is read", readCoupon(t, s, full.ID), want)
}

func oneCodeOneCoupon(t *testing.T, s Store) {
	const racers = 20
	errs := make([]error, racers)
	coupons := make([]domain.Coupon, racers)
	for i := range coupons {
		var err error
		if coupons[i], err = domain.NewCoupon(domain.CouponTerms{Code: "Only", Type: domain.FixedOff, Value: 1, Status: domain.CouponActive}, noon); err != nil {
			t.Fatal(err)
		}
	}
	together(racers, func(i int) { errs[i] = s.AddCoupon(t.Context(), coupons[i]) })
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, domain.ErrCodeTaken):
			t.Errorf("racer %d: %v, want %v", i, err, domain.ErrCodeTaken)
		}
	}
	if won != 1 {
		t.Errorf("%d have the code, want 1", won)
	}
	other := newCoupon(t, s)
	if _, err := s.UpdateCoupon(t.Context(), other.ID, func(c *domain.Coupon) error {
		terms := c.CouponTerms
		terms.Code = "ONLY"
		return c.Change(terms, noon)
	}); !errors.Is(err, domain.ErrCodeTaken) {
		t.Errorf("another takes the code: %v, want %v", err, domain.ErrCodeTaken)
	}
	expect(t, "the other", readCoupon(t, s, other.ID), other)
}

func deletedCoupon(t *testing.T, s Store) {
	c := newCoupon(t, s)
	remove := func(c *domain.Coupon) error { c.Delete(noon.Add(time.Hour)); return nil }
	if _, err := s.UpdateCoupon(t.Context(), c.ID, remove); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Coupon(t.Context(), c.ID); !errors.Is(err, domain.ErrCouponMissing) {
		t.Errorf("read: %v", err)
	}
	if _, _, err := s.FindCoupon(t.Context(), c.Code, uuid.New()); !errors.Is(err, domain.ErrCouponInvalid) {
		t.Errorf("found: %v", err)
	}
	for _, id := range []uuid.UUID{c.ID, uuid.New()} {
		if _, err := s.UpdateCoupon(t.Context(), id, remove); !errors.Is(err, domain.ErrCouponMissing) {
			t.Errorf("deleted again: %v", err)
		}
	}
	if n, err := s.CountCoupons(t.Context()); n != 0 || err != nil {
		t.Errorf("%d coupons, %v", n, err)
	}
	again := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.Code = c.Code })
	found, _, err := s.FindCoupon(t.Context(), c.Code, uuid.New())
	if err != nil || found.ID != again.ID {
		t.Errorf("its code finds %s, %v; want %s", found.ID, err, again.ID)
	}
	// An order that has read the deleted one can't take it any more.
	o := orderWith(t, uuid.New(), c)
	if _, err := s.Begin(t.Context(), o, attemptFor(o), longLease, later()); !errors.Is(err, domain.ErrCouponInvalid) {
		t.Errorf("a use: %v", err)
	}
}

func couponErrorChangesNothing(t *testing.T, s Store) {
	c := newCoupon(t, s)
	refusal := errors.New("it is not to be")
	_, err := s.UpdateCoupon(t.Context(), c.ID, func(c *domain.Coupon) error {
		c.Delete(noon)
		c.Value = 99
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("%v, want %v", err, refusal)
	}
	expect(t, "coupon", readCoupon(t, s, c.ID), c)
}

func couponChangesKept(t *testing.T, s Store) {
	const racers = 20
	c := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.Type, terms.Value = domain.FixedOff, 1 })
	together(racers, func(int) {
		if _, err := s.UpdateCoupon(t.Context(), c.ID, func(c *domain.Coupon) error {
			terms := c.CouponTerms
			terms.Value++
			return c.Change(terms, noon)
		}); err != nil {
			t.Error(err)
		}
	})
	if got := readCoupon(t, s, c.ID); got.Value != 1+racers || got.Version != 1+racers {
		t.Errorf("value %d, version %d; want %d", got.Value, got.Version, 1+racers)
	}
}

func couponPages(t *testing.T, s Store) {
	var want []uuid.UUID // newest first
	for range 7 {
		want = append([]uuid.UUID{newCoupon(t, s).ID}, want...)
	}
	var (
		got   []uuid.UUID
		after uuid.UUID
	)
	for _, size := range []int{3, 3, 1, 0} {
		page, err := s.ListCoupons(t.Context(), after, 3)
		if err != nil || len(page) != size {
			t.Fatalf("%d coupons, %v; want %d", len(page), err, size)
		}
		for _, c := range page {
			got, after = append(got, c.ID), c.ID
		}
	}
	expect(t, "coupons", got, want)
	if n, err := s.CountCoupons(t.Context()); n != 7 || err != nil {
		t.Errorf("%d coupons, %v", n, err)
	}
}

func useTakenAndGivenBack(t *testing.T, s Store) {
	c := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.MaxUsesPerCustomer = 2 })
	user := uuid.New()
	used := func(want int64) {
		t.Helper()
		if _, got, err := s.FindCoupon(t.Context(), c.Code, user); got != want || err != nil {
			t.Errorf("used %d times, %v; want %d", got, err, want)
		}
		expectUses(t, s, c.ID, want)
	}
	first, second := orderWith(t, user, c), orderWith(t, user, c)
	begin(t, s, first)
	used(1)
	got := read(t, s, first.ID())
	expect(t, "the order", got, first.Snapshot())
	attempt := attemptFor(second)
	lease, err := s.Begin(t.Context(), second, attempt, longLease, later())
	if err != nil {
		t.Fatal(err)
	}
	used(2)
	decide(t, s, second.ID(), lease, usecase.Change{Discard: true, Settle: usecase.Plan{Never: true}, Outcome: &usecase.Outcome{Error: domain.ErrOutOfStock}})
	used(1)
	cancel(t, s, first.ID())
	used(0)
	// What happens to it after that gives nothing back again.
	decide(t, s, first.ID(), usecase.Lease{}, usecase.Change{})
	used(0)
	if got := readCoupon(t, s, c.ID); got.Version != 1 {
		t.Errorf("version %d: uses are no change of the terms", got.Version)
	}

	// What was bought and paid for keeps its use.
	paid := orderWith(t, user, c)
	begin(t, s, paid)
	if _, _, err := s.Decide(t.Context(), paid.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		return usecase.Change{}, errors.Join(o.BeginPayment(domain.Card, "test", false, noon), o.Confirm("ref", noon))
	}); err != nil {
		t.Fatal(err)
	}
	used(1)
	cancel(t, s, paid.ID())
	used(0)
}

func useRefused(t *testing.T, s Store) {
	c := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.MaxUses = 1 })
	first, second := orderWith(t, uuid.New(), c), orderWith(t, uuid.New(), c)
	begin(t, s, first)
	attempt := attemptFor(second)
	if _, err := s.Begin(t.Context(), second, attempt, longLease, later()); !errors.Is(err, domain.ErrCouponExhausted) {
		t.Fatalf("the second: %v, want %v", err, domain.ErrCouponExhausted)
	}
	// Nothing is left of it.
	if _, err := s.Order(t.Context(), second.ID()); !errors.Is(err, domain.ErrOrderMissing) {
		t.Errorf("order: %v", err)
	}
	if _, err := s.FindAttempt(t.Context(), attempt.UserID, attempt.Key); !errors.Is(err, usecase.ErrNoAttempt) {
		t.Errorf("attempt: %v", err)
	}
	expectPlan(t, s, second.ID(), zero)
	expectUses(t, s, c.ID, 1)
	cancel(t, s, first.ID())
	begin(t, s, second)
	expectUses(t, s, c.ID, 1)
}

func oneKeyOneUse(t *testing.T, s Store) {
	const racers = 20
	c := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.MaxUses, terms.MaxUsesPerCustomer = 1, 1 })
	user := uuid.New()
	orders, errs := make([]*domain.Order, racers), make([]error, racers)
	for i := range orders {
		orders[i] = orderWith(t, user, c)
	}
	together(racers, func(i int) {
		attempt := attemptFor(orders[i])
		attempt.Key = "one key"
		_, errs[i] = s.Begin(t.Context(), orders[i], attempt, longLease, later())
	})
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, usecase.ErrKeyTaken): // never that the coupon is used up: the key has it
			t.Errorf("racer %d: %v, want %v", i, err, usecase.ErrKeyTaken)
		}
	}
	if won != 1 {
		t.Errorf("%d orders, want 1", won)
	}
	expectUses(t, s, c.ID, 1)
}

// raceForUses lets 50 customers race for 10 uses. Then all cancel, and the uses are there again.
func raceForUses(t *testing.T, s Store) {
	const racers, uses = 50, 10
	c := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.MaxUses = uses })
	orders, errs := make([]*domain.Order, racers), make([]error, racers)
	for i := range orders {
		orders[i] = orderWith(t, uuid.New(), c)
	}
	together(racers, func(i int) {
		_, errs[i] = s.Begin(t.Context(), orders[i], attemptFor(orders[i]), time.Nanosecond, later())
	})
	var winners []*domain.Order
	for i, err := range errs {
		switch {
		case err == nil:
			winners = append(winners, orders[i])
		case !errors.Is(err, domain.ErrCouponExhausted):
			t.Errorf("racer %d: %v, want %v", i, err, domain.ErrCouponExhausted)
		}
	}
	if len(winners) != uses {
		t.Errorf("%d have the coupon, want %d", len(winners), uses)
	}
	expectUses(t, s, c.ID, uses)
	together(len(winners), func(i int) {
		if _, _, err := s.Decide(t.Context(), winners[i].ID(), usecase.FirstLease, func(o *domain.Order) (usecase.Change, error) {
			return usecase.Change{}, o.Cancel("x", "y", noon)
		}); err != nil {
			t.Error(err)
		}
	})
	expectUses(t, s, c.ID, 0)
}

func raceOfOneCustomer(t *testing.T, s Store) {
	const racers, uses = 20, 3
	c := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.MaxUsesPerCustomer = uses })
	user := uuid.New()
	orders, errs := make([]*domain.Order, racers), make([]error, racers)
	for i := range orders {
		orders[i] = orderWith(t, user, c)
	}
	together(racers, func(i int) { _, errs[i] = s.Begin(t.Context(), orders[i], attemptFor(orders[i]), longLease, later()) })
	won := len(slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return errors.Is(err, domain.ErrCouponExhausted) }))
	if err := errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, domain.ErrCouponExhausted) })...); err != nil || won != uses {
		t.Errorf("%d uses of one customer, want %d; %v", won, uses, err)
	}
	begin(t, s, orderWith(t, uuid.New(), c)) // others still may
	expectUses(t, s, c.ID, uses+1)
}

// usesAndChanges lets orders begin and end while an admin changes the coupon: neither loses what the other does.
func usesAndChanges(t *testing.T, s Store) {
	const rounds = 20
	c := newCoupon(t, s, func(terms *domain.CouponTerms) { terms.Type, terms.Value = domain.FixedOff, 1 })
	orders := make([]*domain.Order, 2*rounds)
	for i := range orders {
		orders[i] = orderWith(t, uuid.New(), c)
	}
	together(3*rounds, func(i int) {
		if i%3 == 2 {
			if _, err := s.UpdateCoupon(t.Context(), c.ID, func(c *domain.Coupon) error {
				terms := c.CouponTerms
				terms.Value++
				return c.Change(terms, noon)
			}); err != nil {
				t.Error(err)
			}
			return
		}
		o := orders[i/3*2+i%3]
		lease, err := s.Begin(t.Context(), o, attemptFor(o), longLease, later())
		if err != nil {
			t.Error(err)
			return
		}
		if i%3 == 1 {
			if _, _, err := s.Decide(t.Context(), o.ID(), lease, func(o *domain.Order) (usecase.Change, error) {
				return usecase.Change{}, o.Cancel("x", "y", noon)
			}); err != nil {
				t.Error(err)
			}
		}
	})
	if got := readCoupon(t, s, c.ID); got.Uses != rounds || got.Value != 1+rounds {
		t.Errorf("%d uses, value %d; want %d, %d", got.Uses, got.Value, rounds, 1+rounds)
	}
}

func cancelledOnce(t *testing.T, s Store) {
	c := newCoupon(t, s)
	o, other := orderWith(t, uuid.New(), c), orderWith(t, uuid.New(), c)
	begin(t, s, o)
	begin(t, s, other)
	together(20, func(int) {
		if _, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
			if o.Status() == domain.Cancelled {
				o.Reversed(domain.PaymentVoided, noon)
				return usecase.Change{}, nil
			}
			return usecase.Change{}, o.Cancel("x", "y", noon)
		}); err != nil {
			t.Error(err)
		}
	})
	expectUses(t, s, c.ID, 1)
}

func deletedCouponGivenBack(t *testing.T, s Store) {
	c := newCoupon(t, s)
	o := orderWith(t, uuid.New(), c)
	begin(t, s, o)
	if _, err := s.UpdateCoupon(t.Context(), c.ID, func(c *domain.Coupon) error { c.Delete(noon); return nil }); err != nil {
		t.Fatal(err)
	}
	got := read(t, s, o.ID())
	if got.CouponCode != c.Code || got.Discount != eur(650) {
		t.Errorf("the order has %s, %v off", got.CouponCode, got.Discount)
	}
	cancel(t, s, o.ID())
}

func editedLines(t *testing.T, s Store) {
	c := newCoupon(t, s)
	o := orderWith(t, uuid.New(), c)
	begin(t, s, o)
	method := domain.ShippingMethod{ID: "standard", Price: eur(390)}
	mug := domain.Item{ProductID: uuid.New(), SKU: "MUG", Name: "A mug", Quantity: 3, UnitPrice: eur(700), Grams: 250}
	more := o.Snapshot().Items[0]
	more.Quantity, more.UnitPrice = 4, eur(1300)
	for i, change := range []func(*domain.Order) error{
		func(o *domain.Order) error { return o.AddItem(mug, method, noon.Add(time.Minute)) },
		func(o *domain.Order) error { return o.AddItem(more, method, noon.Add(2*time.Minute)) },
		func(o *domain.Order) error {
			return o.RemoveItem(o.Snapshot().Items[1].ID, method, noon.Add(3*time.Minute))
		},
		func(o *domain.Order) error {
			return o.RemoveItem(o.Snapshot().Items[0].ID, method, noon.Add(4*time.Minute))
		},
	} {
		changed, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
			return usecase.Change{}, change(o)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("change %d", i)
		expect(t, "what is read", read(t, s, o.ID()), changed.Snapshot())
	}
	got := read(t, s, o.ID())
	if len(got.Items) != 1 || got.Items[0].Grams != 250 || got.Subtotal != eur(2100) || got.Discount != eur(210) || got.Total != eur(2100-210+390) {
		t.Errorf("in the end %+v", got)
	}
}

func editErrorChangesNothing(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	begin(t, s, o)
	refusal := errors.New("it is not to be")
	_, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		if err := o.AddItem(domain.Item{ProductID: uuid.New(), Quantity: 1, UnitPrice: eur(1)}, domain.ShippingMethod{Price: eur(0)}, noon); err != nil {
			return usecase.Change{}, err
		}
		return usecase.Change{}, refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("%v, want %v", err, refusal)
	}
	expect(t, "order", read(t, s, o.ID()), o.Snapshot())
}

// leasesRise: the number of a lease is what orders the calls of those who hold one after the other.
func leasesRise(t *testing.T, s Store) {
	o := newOrder(t, uuid.New(), noon)
	last, err := s.Begin(t.Context(), o, attemptFor(o), longLease, later())
	if err != nil {
		t.Fatal(err)
	}
	decide(t, s, o.ID(), last, usecase.Change{})
	for range 5 {
		next := decide(t, s, o.ID(), usecase.Lease{}, usecase.Change{Keep: longLease})
		if next.Epoch <= last.Epoch {
			t.Errorf("lease %d comes after %d", next.Epoch, last.Epoch)
		}
		last = next
		decide(t, s, o.ID(), last, usecase.Change{})
	}
}
