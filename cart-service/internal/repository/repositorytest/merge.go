package repositorytest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
)

// fill puts lines into a cart.
func fill(t *testing.T, s Store, owner domain.Owner, lines ...domain.Line) {
	t.Helper()
	for _, l := range lines {
		c, err := s.Add(t.Context(), owner, l, nil)
		must(t, c, err)
	}
}

func seal(t *testing.T, s Store, guest, user domain.Owner) []domain.Line {
	t.Helper()
	lines, err := s.Seal(t.Context(), guest, user)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// mergeAll does all steps of a merge.
func mergeAll(t *testing.T, s Store, guest, user domain.Owner, at time.Time) {
	t.Helper()
	lines := seal(t, s, guest, user)
	if len(lines) == 0 {
		return
	}
	c, err := s.Merge(t.Context(), user, guest, lines, at)
	must(t, c, err)
	if err := s.Discard(t.Context(), guest, user); err != nil {
		t.Fatal(err)
	}
}

func merge(t *testing.T, s Store) {
	user, guest := newUser(), newGuest()
	both, theirs := uuid.New(), uuid.New()
	mine := line(both, 3, 100, now)
	fill(t, s, user, mine)
	other := line(theirs, 2, 300, now.Add(2*time.Microsecond))
	fill(t, s, guest, line(both, 4, 200, now.Add(time.Microsecond)), other)

	later := now.Add(time.Second)
	mergeAll(t, s, guest, user, later)
	mine.Quantity = 7 // with the price that the user saw
	want := domain.CartSnapshot{Owner: user, Lines: []domain.Line{mine, other}, Version: 2, ChangedAt: later}
	wantCart(t, get(t, s, user), want)
	wantCart(t, get(t, s, guest), domain.CartSnapshot{Owner: guest})

	// Again, by the same user or by another, it changes nothing.
	stranger := newUser()
	mergeAll(t, s, guest, user, later.Add(time.Second))
	mergeAll(t, s, guest, stranger, later.Add(time.Second))
	wantCart(t, get(t, s, user), want)
	wantCart(t, get(t, s, stranger), domain.CartSnapshot{Owner: stranger})
}

func mergeUpToTheLimits(t *testing.T, s Store) {
	user, guest := newUser(), newGuest()
	ids := products(domain.MaxLines + 1)
	at := func(i int) time.Time { return now.Add(time.Duration(i) * time.Microsecond) }
	for i := range domain.MaxLines - 1 { // room for one more
		fill(t, s, user, line(ids[i], domain.MaxQuantity-2, 1, at(i)))
	}
	fill(t, s, guest,
		line(ids[0], 1, 1, at(0)), line(ids[1], 2, 1, at(1)), line(ids[2], 3, 1, at(2)),
		line(ids[domain.MaxLines-1], 5, 1, at(3)), line(ids[domain.MaxLines], 5, 1, at(4)))
	want := get(t, s, user).Snapshot()
	mergeAll(t, s, guest, user, at(1000))

	want.Lines[0].Quantity, want.Lines[1].Quantity, want.Lines[2].Quantity = domain.MaxQuantity-1, domain.MaxQuantity, domain.MaxQuantity
	want.Lines = append(want.Lines, line(ids[domain.MaxLines-1], 5, 1, at(3))) // the first of the two
	want.Version, want.ChangedAt = want.Version+1, at(1000)
	wantCart(t, get(t, s, user), domain.RestoreCart(want).Snapshot())

	// Nothing fits: no change.
	second := newGuest()
	fill(t, s, second, line(ids[1], 1, 1, now), line(ids[domain.MaxLines], 1, 1, now))
	mergeAll(t, s, second, user, at(2000))
	wantCart(t, get(t, s, user), domain.RestoreCart(want).Snapshot())
}

func sealedCart(t *testing.T, s Store) {
	ctx, user, stranger, guest := t.Context(), newUser(), newUser(), newGuest()
	l := line(uuid.New(), 2, 100, now)

	// There is nothing to seal yet, and so nothing is sealed.
	if lines := seal(t, s, guest, user); len(lines) != 0 {
		t.Errorf("lines of no cart: %+v", lines)
	}
	fill(t, s, guest, l)

	for range 2 {
		if diff := diffLines(seal(t, s, guest, user), []domain.Line{l}); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
		if lines := seal(t, s, guest, stranger); len(lines) != 0 {
			t.Errorf("another user is given %+v", lines)
		}
		frozen(t, s, guest, l)
		if err := s.Discard(ctx, guest, stranger); err != nil { // who has nothing to say here
			t.Error(err)
		}
	}
	if err := s.Discard(ctx, guest, user); err != nil {
		t.Fatal(err)
	}
	if lines := seal(t, s, guest, user); len(lines) != 0 {
		t.Errorf("discarded, and there again: %+v", lines)
	}
	frozen(t, s, guest, l)
}

// frozen checks that nothing changes a sealed cart, and that it is gone to its guest.
func frozen(t *testing.T, s Store, guest domain.Owner, l domain.Line) {
	t.Helper()
	ctx := t.Context()
	_, add := s.Add(ctx, guest, l, nil)
	_, set := s.Set(ctx, guest, line(l.ProductID, 9, 1, now), nil)
	_, remove := s.Remove(ctx, guest, l.ProductID, nil, now)
	clears := s.Clear(ctx, guest, nil, now)
	for verb, err := range map[string]error{"Add": add, "Set": set, "Remove": remove, "Clear": clears} {
		if !errors.Is(err, domain.ErrCartGone) {
			t.Errorf("%s = %v, want cart_gone", verb, err)
		}
	}
	news := l.Known
	news.Name = "Renamed"
	if err := s.Remember(ctx, guest, map[uuid.UUID]domain.Known{l.ProductID: news}); err != nil {
		t.Errorf("Remember = %v", err)
	}
	wantCart(t, get(t, s, guest), domain.CartSnapshot{Owner: guest})
}

// A merge that was interrupted after any of its steps ends as if it had not been.
func mergeInterrupted(t *testing.T, s Store) {
	for steps := range 3 {
		user, guest := newUser(), newGuest()
		l := line(uuid.New(), 2, 100, now)
		fill(t, s, guest, l)
		lines := seal(t, s, guest, user)
		for range steps { // told twice, as by a retry
			c, err := s.Merge(t.Context(), user, guest, lines, now)
			must(t, c, err)
		}
		mergeAll(t, s, guest, user, now)
		wantCart(t, get(t, s, user), domain.CartSnapshot{Owner: user, Lines: []domain.Line{l}, Version: 1, ChangedAt: now})
	}
}

// A mark is kept longer than the sealed lines are.
func memoryOfMerges(t *testing.T, s Store) {
	user, guest := newUser(), newGuest()
	l := line(uuid.New(), 1, 1, now)
	for _, after := range []time.Duration{0, domain.Lifetime + time.Hour} {
		c, err := s.Merge(t.Context(), user, guest, []domain.Line{l}, now.Add(after))
		if got := must(t, c, err).Lines(); len(got) != 1 || got[0].Quantity != 1 {
			t.Errorf("after %v: %+v, want it once", after, got)
		}
	}
}

func raceOfMerges(t *testing.T, s Store) {
	guest, product := newGuest(), uuid.New()
	users := []domain.Owner{newUser(), newUser()}
	fill(t, s, guest, line(product, 5, 1, now))
	var next atomic.Int64
	together(20, func() { mergeAll(t, s, guest, users[next.Add(1)%2], now) })
	quantities := make([]int64, 0, 2)
	for _, user := range users {
		var n int64
		for _, l := range get(t, s, user).Lines() {
			n += l.Quantity
		}
		quantities = append(quantities, n)
	}
	slices.Sort(quantities)
	if !slices.Equal(quantities, []int64{0, 5}) {
		t.Errorf("the users have %v pieces, want all with one of them", quantities)
	}
}

// What a guest was told is in the cart goes with it, at whatever moment the merge comes.
func raceOfMergeAndAdds(t *testing.T, s Store) {
	user, guest, product := newUser(), newGuest(), uuid.New()
	fill(t, s, guest, line(product, 1, 1, now))
	in := atomic.Int64{}
	in.Add(1)
	var merging sync.WaitGroup
	var begun atomic.Int64
	together(50, func() {
		if begun.Add(1) == 25 {
			merging.Go(func() { mergeAll(t, s, guest, user, now) })
		}
		_, err := s.Add(t.Context(), guest, line(product, 1, 1, now), nil)
		switch {
		case err == nil:
			in.Add(1)
		case !errors.Is(err, domain.ErrCartGone):
			t.Error(err)
		}
	})
	merging.Wait()
	if got := get(t, s, user).Lines(); len(got) != 1 || got[0].Quantity != in.Load() {
		t.Errorf("lines = %+v, want %d pieces", got, in.Load())
	}
}

func erase(t *testing.T, s Store) {
	ctx, gone, stays, none := t.Context(), newUser(), newUser(), newUser()
	product, order := uuid.New(), uuid.New()
	fill(t, s, gone, line(product, 3, 1, now))
	fill(t, s, stays, line(product, 1, 1, now))
	bought := []domain.PurchasedLine{{ProductID: product, Quantity: 1}}
	if err := s.RemovePurchased(ctx, gone, order, bought, now); err != nil {
		t.Fatal(err)
	}
	kept := get(t, s, stays).Snapshot()
	for _, want := range []int{1, 0} {
		if n, err := s.Erase(ctx, []domain.Owner{gone, none}); err != nil || n != want {
			t.Errorf("Erase = %d, %v, want %d", n, err, want)
		}
	}
	wantCart(t, get(t, s, gone), domain.CartSnapshot{Owner: gone})
	wantCart(t, get(t, s, stays), kept)
	// The orders are forgotten too.
	fill(t, s, gone, line(product, 3, 1, now))
	if err := s.RemovePurchased(ctx, gone, order, bought, now); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, gone).Lines()[0].Quantity; got != 2 {
		t.Errorf("quantity = %d, want 2", got)
	}
}

func erasedUpTo(t *testing.T, s Store) {
	for _, want := range []string{"", "first", "second"} {
		if want != "" {
			if err := s.KeepErasedUpTo(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.ErasedUpTo(t.Context()); err != nil || got != want {
			t.Errorf("ErasedUpTo = %q, %v, want %q", got, err, want)
		}
	}
}
