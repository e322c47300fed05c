// Package repositorytest is the contract of a store of carts, as tests. Every implementation passes it.
package repositorytest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// Store is all that a store of carts does.
type Store interface {
	usecase.CartReader
	usecase.CartWriter
	usecase.CartMerger
	usecase.PurchaseStore
	usecase.Eraser
}

// now is a real time, because carts expire by the store's own clock.
var now = time.Now().UTC().Truncate(time.Microsecond)

// Run runs the suite. newStore is called once a test; stores of one program may share their data.
func Run(t *testing.T, newStore func(t *testing.T) Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Store){
		"an owner without a cart":        noCart,
		"add, set, remove":               addSetRemove,
		"limits":                         limits,
		"versions":                       versions,
		"clear":                          clearCart,
		"carts are apart":                carts,
		"remember":                       remember,
		"purchases":                      purchases,
		"an order is taken out once":     purchaseOnce,
		"memory of orders":               memoryOfOrders,
		"race: fifty adds":               raceOfAdds,
		"race: same version":             raceOfVersions,
		"race: the last line":            raceForTheLastLine,
		"race: an order told many times": raceOfPurchases,
		"merge":                          merge,
		"merge up to the limits":         mergeUpToTheLimits,
		"a sealed cart":                  sealedCart,
		"an interrupted merge":           mergeInterrupted,
		"memory of merges":               memoryOfMerges,
		"race: merges":                   raceOfMerges,
		"race: a merge among adds":       raceOfMergeAndAdds,
		"erase":                          erase,
		"erased up to":                   erasedUpTo,
		"any sequence":                   anySequence,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

func newUser() domain.Owner  { return domain.UserOwner(uuid.New()) }
func newGuest() domain.Owner { return domain.GuestOwner(domain.NewGuestID()) }

// line is a line whose every field says something.
func line(product uuid.UUID, quantity, price int64, at time.Time) domain.Line {
	p := money.MustNew(price, "EUR")
	return domain.Line{
		ProductID: product, Quantity: quantity, AddedAt: at, AddedPrice: p,
		Known: domain.Known{SKU: "SKU-1", Name: `Käse "jung" 🧀`, Image: "https://cdn.shop.example/1.jpg", Price: p, At: at},
	}
}

// must fails the test on an error of a call that has to succeed.
func must(t *testing.T, c *domain.Cart, err error) *domain.Cart {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, s Store, owner domain.Owner) *domain.Cart {
	t.Helper()
	c, err := s.Get(t.Context(), owner)
	return must(t, c, err)
}

func wantCart(t *testing.T, got *domain.Cart, want domain.CartSnapshot) {
	t.Helper()
	if diff := diffCarts(got, want); diff != "" {
		t.Errorf("cart (-want +got):\n%s", diff)
	}
}

func diffCarts(got *domain.Cart, want domain.CartSnapshot) string {
	g := got.Snapshot()
	if g.Owner != want.Owner {
		return fmt.Sprintf("owner %s, want %s", g.Owner, want.Owner)
	}
	if diff := diffLines(g.Lines, want.Lines); diff != "" {
		return diff
	}
	g.Lines, want.Lines, g.Owner, want.Owner = nil, nil, domain.Owner{}, domain.Owner{}
	return cmp.Diff(want, g, cmp.Comparer(func(a, b domain.Owner) bool { return a == b }))
}

func diffLines(got, want []domain.Line) string {
	if slices.Equal(got, want) { // sequences compare full carts at every step, and cmp takes its time
		return ""
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b money.Money) bool { return a == b }))
}

func noCart(t *testing.T, s Store) {
	owner := newUser()
	wantCart(t, get(t, s, owner), domain.CartSnapshot{Owner: owner})
	c, err := s.Remove(t.Context(), owner, uuid.New(), nil, now)
	wantCart(t, must(t, c, err), domain.CartSnapshot{Owner: owner})
	if err := s.Clear(t.Context(), owner, nil, now); err != nil {
		t.Error(err)
	}
	if err := s.Remember(t.Context(), owner, map[uuid.UUID]domain.Known{uuid.New(): line(uuid.New(), 1, 1, now).Known}); err != nil {
		t.Error(err)
	}
	wantCart(t, get(t, s, owner), domain.CartSnapshot{Owner: owner})
}

func addSetRemove(t *testing.T, s Store) {
	ctx, owner := t.Context(), newUser()
	cheese, bread := uuid.New(), uuid.New()
	t1, t2, t3, t4 := now, now.Add(time.Microsecond), now.Add(2*time.Microsecond), now.Add(3*time.Microsecond)

	// An amount that floating point, in which scripts count, could not hold.
	first := line(cheese, 2, 9007199254740993, t1)
	c, err := s.Add(ctx, owner, first, nil)
	wantCart(t, must(t, c, err), domain.CartSnapshot{Owner: owner, Lines: []domain.Line{first}, Version: 1, ChangedAt: t1})

	second := line(bread, 1, 300, t2)
	c, err = s.Set(ctx, owner, second, nil)
	wantCart(t, must(t, c, err), domain.CartSnapshot{Owner: owner, Lines: []domain.Line{first, second}, Version: 2, ChangedAt: t2})

	// More at another price: the time and price of the first stay, what is known is of now.
	more := line(cheese, 3, 999, t3)
	c, err = s.Add(ctx, owner, more, nil)
	first.Quantity, first.Known = 5, more.Known
	want := domain.CartSnapshot{Owner: owner, Lines: []domain.Line{first, second}, Version: 3, ChangedAt: t3}
	wantCart(t, must(t, c, err), want)
	wantCart(t, get(t, s, owner), want)

	// What changes nothing leaves no trace.
	c, err = s.Set(ctx, owner, line(cheese, 5, 1, t4), nil)
	wantCart(t, must(t, c, err), want)
	c, err = s.Remove(ctx, owner, uuid.New(), nil, t4)
	wantCart(t, must(t, c, err), want)

	c, err = s.Remove(ctx, owner, cheese, nil, t4)
	want = domain.CartSnapshot{Owner: owner, Lines: []domain.Line{second}, Version: 4, ChangedAt: t4}
	wantCart(t, must(t, c, err), want)
	wantCart(t, get(t, s, owner), want)
}

func limits(t *testing.T, s Store) {
	ctx, owner := t.Context(), newUser()
	product := uuid.New()
	for _, quantity := range []int64{-1, 0, domain.MaxQuantity + 1, 1_000_000_000, 1<<63 - 1} {
		if _, err := s.Add(ctx, owner, line(product, quantity, 1, now), nil); apperr.ReasonOf(err) != "cart_limit" {
			t.Errorf("Add(%d) = %v, want cart_limit", quantity, err)
		}
		if _, err := s.Set(ctx, owner, line(product, quantity, 1, now), nil); apperr.ReasonOf(err) != "cart_limit" {
			t.Errorf("Set(%d) = %v, want cart_limit", quantity, err)
		}
	}
	wantCart(t, get(t, s, owner), domain.CartSnapshot{Owner: owner})

	c, err := s.Add(ctx, owner, line(product, domain.MaxQuantity-1, 1, now), nil)
	must(t, c, err)
	c, err = s.Add(ctx, owner, line(product, 1, 1, now), nil)
	full := must(t, c, err)
	if _, err := s.Add(ctx, owner, line(product, 1, 1, now), nil); apperr.ReasonOf(err) != "cart_limit" {
		t.Errorf("one more than fits = %v, want cart_limit", err)
	}
	wantCart(t, get(t, s, owner), full.Snapshot())

	for i := range domain.MaxLines - 1 {
		c, err = s.Set(ctx, owner, line(uuid.New(), 1, 1, now.Add(time.Duration(i)*time.Microsecond)), nil)
		full = must(t, c, err)
	}
	if n := len(full.Lines()); n != domain.MaxLines {
		t.Fatalf("%d lines, want %d", n, domain.MaxLines)
	}
	if _, err := s.Add(ctx, owner, line(uuid.New(), 1, 1, now), nil); apperr.ReasonOf(err) != "cart_limit" {
		t.Errorf("Add of one line more = %v, want cart_limit", err)
	}
	if _, err := s.Set(ctx, owner, line(uuid.New(), 1, 1, now), nil); apperr.ReasonOf(err) != "cart_limit" {
		t.Errorf("Set of one line more = %v, want cart_limit", err)
	}
	wantCart(t, get(t, s, owner), full.Snapshot())
	// What is in the full cart can still change, and a line that goes makes room for another.
	c, err = s.Set(ctx, owner, line(product, 1, 1, now), nil)
	must(t, c, err)
	c, err = s.Remove(ctx, owner, product, nil, now)
	must(t, c, err)
	c, err = s.Add(ctx, owner, line(uuid.New(), 1, 1, now), nil)
	must(t, c, err)
}

func versions(t *testing.T, s Store) {
	ctx, owner := t.Context(), newUser()
	product := uuid.New()
	c, err := s.Add(ctx, owner, line(product, 1, 1, now), new(int64(0)))
	kept := must(t, c, err)
	for _, stale := range []int64{0, 2, -1, 1 << 60} {
		_, add := s.Add(ctx, owner, line(product, 1, 1, now), &stale)
		_, set := s.Set(ctx, owner, line(product, 7, 1, now), &stale)
		_, remove := s.Remove(ctx, owner, product, &stale, now)
		clears := s.Clear(ctx, owner, &stale, now)
		for verb, err := range map[string]error{"Add": add, "Set": set, "Remove": remove, "Clear": clears} {
			if apperr.KindOf(err) != apperr.VersionMismatch {
				t.Errorf("%s at version %d = %v, want version_mismatch", verb, stale, err)
			}
		}
	}
	wantCart(t, get(t, s, owner), kept.Snapshot())
	c, err = s.Set(ctx, owner, line(product, 7, 1, now), new(int64(1)))
	if got := must(t, c, err).Version(); got != 2 {
		t.Errorf("version = %d, want 2", got)
	}
}

func clearCart(t *testing.T, s Store) {
	ctx, owner := t.Context(), newUser()
	for range 3 {
		c, err := s.Add(ctx, owner, line(uuid.New(), 1, 1, now), nil)
		must(t, c, err)
	}
	later := now.Add(time.Second)
	if err := s.Clear(ctx, owner, new(int64(3)), later); err != nil {
		t.Fatal(err)
	}
	want := domain.CartSnapshot{Owner: owner, Version: 4, ChangedAt: later}
	wantCart(t, get(t, s, owner), want)
	// An empty cart is clear already.
	if err := s.Clear(ctx, owner, new(int64(4)), later.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	wantCart(t, get(t, s, owner), want)
	l := line(uuid.New(), 1, 1, later)
	c, err := s.Add(ctx, owner, l, nil)
	wantCart(t, must(t, c, err), domain.CartSnapshot{Owner: owner, Lines: []domain.Line{l}, Version: 5, ChangedAt: later})
}

func carts(t *testing.T, s Store) {
	ctx, mine, yours := t.Context(), newUser(), newUser()
	product := uuid.New()
	c, err := s.Add(ctx, mine, line(product, 1, 1, now), nil)
	kept := must(t, c, err)
	c, err = s.Add(ctx, yours, line(product, 2, 1, now), nil)
	must(t, c, err)
	if err := s.Clear(ctx, yours, nil, now); err != nil {
		t.Fatal(err)
	}
	wantCart(t, get(t, s, mine), kept.Snapshot())
}

func remember(t *testing.T, s Store) {
	ctx, owner := t.Context(), newUser()
	l, gone := line(uuid.New(), 2, 100, now), uuid.New()
	c, err := s.Add(ctx, owner, l, nil)
	must(t, c, err)
	news := domain.Known{SKU: "SKU-2", Name: "Renamed", Price: money.MustNew(150, "EUR"), At: now.Add(time.Hour)}
	if err := s.Remember(ctx, owner, map[uuid.UUID]domain.Known{l.ProductID: news, gone: news}); err != nil {
		t.Fatal(err)
	}
	l.Known = news
	wantCart(t, get(t, s, owner), domain.CartSnapshot{Owner: owner, Lines: []domain.Line{l}, Version: 1, ChangedAt: now})
}

func purchases(t *testing.T, s Store) {
	ctx, owner := t.Context(), newUser()
	all, some, twice, none := line(uuid.New(), 2, 1, now), line(uuid.New(), 5, 1, now.Add(1*time.Microsecond)),
		line(uuid.New(), 5, 1, now.Add(2*time.Microsecond)), line(uuid.New(), 1, 1, now.Add(3*time.Microsecond))
	for _, l := range []domain.Line{all, some, twice, none} {
		c, err := s.Add(ctx, owner, l, nil)
		must(t, c, err)
	}
	later := now.Add(time.Second)
	err := s.RemovePurchased(ctx, owner, uuid.New(), []domain.PurchasedLine{
		{ProductID: all.ProductID, Quantity: 1 << 60},
		{ProductID: some.ProductID, Quantity: 2},
		{ProductID: twice.ProductID, Quantity: 2},
		{ProductID: twice.ProductID, Quantity: 1},
		{ProductID: uuid.New(), Quantity: 1},
	}, later)
	if err != nil {
		t.Fatal(err)
	}
	some.Quantity, twice.Quantity = 3, 2
	want := domain.CartSnapshot{Owner: owner, Lines: []domain.Line{some, twice, none}, Version: 5, ChangedAt: later}
	wantCart(t, get(t, s, owner), want)
	// An order of other things changes nothing.
	if err := s.RemovePurchased(ctx, owner, uuid.New(), []domain.PurchasedLine{{ProductID: uuid.New(), Quantity: 1}}, later.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	wantCart(t, get(t, s, owner), want)
}

func purchaseOnce(t *testing.T, s Store) {
	ctx, owner, order := t.Context(), newUser(), uuid.New()
	product := uuid.New()
	bought := []domain.PurchasedLine{{ProductID: product, Quantity: 2}}
	// Told while there is no cart at all: it is still told.
	if err := s.RemovePurchased(ctx, owner, order, bought, now); err != nil {
		t.Fatal(err)
	}
	c, err := s.Add(ctx, owner, line(product, 3, 1, now), nil)
	kept := must(t, c, err)
	for range 3 {
		if err := s.RemovePurchased(ctx, owner, order, bought, now.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	wantCart(t, get(t, s, owner), kept.Snapshot())
	// Another order, and the same one of another owner, are others.
	if err := s.RemovePurchased(ctx, newUser(), uuid.New(), bought, now); err != nil {
		t.Fatal(err)
	}
	if err := s.RemovePurchased(ctx, owner, uuid.New(), bought, now); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, owner).Lines(); len(got) != 1 || got[0].Quantity != 1 {
		t.Errorf("lines = %+v, want one piece", got)
	}
}

func memoryOfOrders(t *testing.T, s Store) {
	ctx, owner := t.Context(), newUser()
	product, first := uuid.New(), uuid.New()
	bought := []domain.PurchasedLine{{ProductID: product, Quantity: 1}}
	quantityAfter := func(order uuid.UUID, at time.Time) int64 {
		t.Helper()
		c, err := s.Set(ctx, owner, line(product, 9, 1, now), nil)
		must(t, c, err)
		if err := s.RemovePurchased(ctx, owner, order, bought, at); err != nil {
			t.Fatal(err)
		}
		return get(t, s, owner).Lines()[0].Quantity
	}
	if got := quantityAfter(first, now); got != 8 {
		t.Fatalf("quantity = %d, want 8", got)
	}
	if got := quantityAfter(first, now.Add(domain.RememberFor-time.Second)); got != 9 {
		t.Errorf("told again within the time: quantity = %d, want 9", got)
	}
	if got := quantityAfter(first, now.Add(domain.RememberFor)); got != 8 {
		t.Errorf("told again after it was forgotten: quantity = %d, want 8", got)
	}
	// So many later orders drive it out; the latest stay.
	var last uuid.UUID
	at := now.Add(domain.RememberFor)
	for i := range domain.Remember {
		last = uuid.New()
		if err := s.RemovePurchased(ctx, owner, last, bought, at.Add(time.Duration(i+1)*time.Microsecond)); err != nil {
			t.Fatal(err)
		}
	}
	at = at.Add(time.Second)
	if got := quantityAfter(last, at); got != 9 {
		t.Errorf("the last order is forgotten: quantity = %d, want 9", got)
	}
	if got := quantityAfter(first, at); got != 8 {
		t.Errorf("the memory has no bound: quantity = %d, want 8", got)
	}
}

func raceOfAdds(t *testing.T, s Store) {
	owner, product := newUser(), uuid.New()
	together(50, func() {
		if _, err := s.Add(t.Context(), owner, line(product, 1, 1, now), nil); err != nil {
			t.Error(err)
		}
	})
	c := get(t, s, owner)
	if lines := c.Lines(); len(lines) != 1 || lines[0].Quantity != 50 || c.Version() != 50 {
		t.Errorf("lines = %+v at version %d, want 50 pieces at version 50", lines, c.Version())
	}
}

func raceOfVersions(t *testing.T, s Store) {
	owner, product := newUser(), uuid.New()
	c, err := s.Add(t.Context(), owner, line(product, 1, 1, now), nil)
	seen := must(t, c, err).Version()
	var won, lost atomic.Int64
	together(2, func() {
		_, err := s.Add(t.Context(), owner, line(product, 1, 1, now), &seen)
		switch {
		case err == nil:
			won.Add(1)
		case apperr.KindOf(err) == apperr.VersionMismatch:
			lost.Add(1)
		default:
			t.Error(err)
		}
	})
	if won.Load() != 1 || lost.Load() != 1 {
		t.Errorf("%d won and %d lost, want one each", won.Load(), lost.Load())
	}
	if got := get(t, s, owner).Lines()[0].Quantity; got != 2 {
		t.Errorf("quantity = %d, want 2", got)
	}
}

func raceForTheLastLine(t *testing.T, s Store) {
	owner := newUser()
	for range domain.MaxLines - 1 {
		c, err := s.Add(t.Context(), owner, line(uuid.New(), 1, 1, now), nil)
		must(t, c, err)
	}
	var in atomic.Int64
	together(10, func() {
		_, err := s.Add(t.Context(), owner, line(uuid.New(), 1, 1, now), nil)
		if err == nil {
			in.Add(1)
		} else if apperr.ReasonOf(err) != "cart_limit" {
			t.Error(err)
		}
	})
	if got := len(get(t, s, owner).Lines()); in.Load() != 1 || got != domain.MaxLines {
		t.Errorf("%d came in, %d lines; want 1 and %d", in.Load(), got, domain.MaxLines)
	}
}

func raceOfPurchases(t *testing.T, s Store) {
	owner, product, order := newUser(), uuid.New(), uuid.New()
	c, err := s.Add(t.Context(), owner, line(product, 100, 1, now), nil)
	must(t, c, err)
	together(20, func() {
		if err := s.RemovePurchased(t.Context(), owner, order, []domain.PurchasedLine{{ProductID: product, Quantity: 3}}, now); err != nil {
			t.Error(err)
		}
	})
	if got := get(t, s, owner).Lines()[0].Quantity; got != 97 {
		t.Errorf("quantity = %d, want 97", got)
	}
}

// together runs f n times at once.
func together(n int, f func()) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for range n {
		all.Go(func() { <-start; f() })
	}
	close(start)
	all.Wait()
}

// products returns n ids in a fixed order.
func products(n int) []uuid.UUID {
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i)})
	}
	return slices.Clip(ids)
}
