package repositorytest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// sold is an order that has taken some pieces off the shelf.
func sold(t *testing.T, s Store, lines ...domain.Line) (order uuid.UUID) {
	t.Helper()
	order = newID(t)
	if _, err := s.Reserve(t.Context(), reservation(t, order, lines...), start); err != nil {
		t.Fatal(err)
	}
	if err := confirmIt(t.Context(), s, order, start); err != nil {
		t.Fatal(err)
	}
	return order
}

func putBack(t *testing.T, order, refund uuid.UUID, lines ...domain.Line) domain.Restock {
	t.Helper()
	r, err := domain.NewRestock(order, refund, lines, "staff", start)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func restock(t *testing.T, s Store) {
	a, b, other := stocked(t, s, "A", 5), stocked(t, s, "B", 5), stocked(t, s, "C", 5)
	line := func(product uuid.UUID, n int64) domain.Line { return domain.Line{ProductID: product, Quantity: n} }
	order := sold(t, s, line(a, 3), line(b, 2))
	first, second, third := newID(t), newID(t), newID(t)
	for _, step := range []struct {
		name   string
		refund uuid.UUID
		lines  []domain.Line
		want   error
		onHand [2]int64 // of A and B, after it
	}{
		{"some", first, []domain.Line{line(b, 1), line(a, 2)}, nil, [2]int64{4, 4}},
		{"the same again", first, []domain.Line{line(a, 2), line(b, 1)}, nil, [2]int64{4, 4}},
		{"others for the same refund", first, []domain.Line{line(a, 1)}, domain.ErrRestockDiffers, [2]int64{4, 4}},
		{"one line too many: nothing", second, []domain.Line{line(b, 1), line(a, 2)}, domain.ErrRestockExceeds, [2]int64{4, 4}},
		{"a product that the order has not", second, []domain.Line{line(other, 1)}, domain.ErrRestockExceeds, [2]int64{4, 4}},
		{"the refund that was refused, with less", second, []domain.Line{line(a, 1)}, nil, [2]int64{5, 4}},
		{"when all of it is back", third, []domain.Line{line(a, 1)}, domain.ErrRestockExceeds, [2]int64{5, 4}},
	} {
		if err := s.Restock(t.Context(), putBack(t, order, step.refund, step.lines...)); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
		t.Log(step.name)
		wantStock(t, s, a, step.onHand[0], 0)
		wantStock(t, s, b, step.onHand[1], 0)
	}
	wantStock(t, s, other, 5, 0)
	entries := ledgerOf(t, s, b)
	if len(entries) != 3 {
		t.Fatalf("%d entries, want the delivery, the order and the refund", len(entries))
	}
	want := domain.LedgerEntry{
		ProductID: b, Delta: 1, Reason: "order_refunded", Reference: order.String(), Actor: "staff", After: domain.Stock{OnHand: 4}, At: start,
	}
	if diff := cmp.Diff(want, entries[2], cmpopts.IgnoreFields(want, "ID")); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}

	// The release gives back the rest, and after it there is nothing to put back.
	if err := releaseIt(t.Context(), s, order, start); err != nil {
		t.Fatal(err)
	}
	for _, refund := range []uuid.UUID{first, third} {
		wantStock(t, s, a, 5, 0)
		wantStock(t, s, b, 5, 0)
		if err := s.Restock(t.Context(), putBack(t, order, refund, line(a, 2))); err != nil {
			t.Errorf("after the release: %v", err)
		}
	}

	// Also when nothing is left that could be released.
	all := sold(t, s, line(other, 4))
	if err := s.Restock(t.Context(), putBack(t, all, newID(t), line(other, 4))); err != nil {
		t.Fatal(err)
	}
	if err := releaseIt(t.Context(), s, all, start); err != nil {
		t.Fatal(err)
	}
	wantStock(t, s, other, 5, 0)
}

// forgetWhatWasRestocked: what was put back for an order does not keep its reservation, nor those of others.
func forgetWhatWasRestocked(t *testing.T, s Store) {
	a := stocked(t, s, "A", 5)
	line := domain.Line{ProductID: a, Quantity: 2}
	restocked, other := sold(t, s, line), sold(t, s, line)
	if err := s.Restock(t.Context(), putBack(t, restocked, newID(t), domain.Line{ProductID: a, Quantity: 1})); err != nil {
		t.Fatal(err)
	}
	for _, order := range []uuid.UUID{restocked, other} {
		if err := releaseIt(t.Context(), s, order, start); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.ForgetReservations(t.Context(), start.Add(time.Second), 10); n != 2 || err != nil {
		t.Errorf("%d are forgotten, error %v; want both", n, err)
	}
	wantStock(t, s, a, 5, 0)
}

// releaseOfAPart gives back what is neither kept nor back already, once, whoever says later that less is kept.
func releaseOfAPart(t *testing.T, s Store) {
	a, b := stocked(t, s, "A", 5), stocked(t, s, "B", 5)
	line := func(product uuid.UUID, n int64) domain.Line { return domain.Line{ProductID: product, Quantity: n} }
	stock := usecase.NewStock(s, s, s, func() time.Time { return start })
	order := sold(t, s, line(a, 3), line(b, 2))
	if err := s.Restock(t.Context(), putBack(t, order, newID(t), line(a, 1))); err != nil {
		t.Fatal(err)
	}
	for _, kept := range [][]domain.Line{{line(a, 1), line(b, 2)}, {line(a, 1), line(b, 2)}, nil} {
		if err := stock.Release(t.Context(), order, kept...); err != nil {
			t.Fatal(err)
		}
		wantStock(t, s, a, 4, 0)
		wantStock(t, s, b, 3, 0)
	}

	// Also if nobody has taken it off the shelf yet.
	promised := newID(t)
	if _, err := s.Reserve(t.Context(), reservation(t, promised, line(a, 3)), start); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stock.Release(t.Context(), promised, line(a, 1)); err != nil {
			t.Fatal(err)
		}
		wantStock(t, s, a, 3, 0)
	}

	// What there never was is not kept, and no more than there was.
	never := newID(t)
	if err := stock.Release(t.Context(), never, line(a, 1)); err != nil {
		t.Fatal(err)
	}
	if err := stock.Release(t.Context(), sold(t, s, line(a, 2)), line(a, 9)); err != nil {
		t.Fatal(err)
	}
	wantStock(t, s, a, 1, 0)
}

func restockOfWhatWasNotTaken(t *testing.T, s Store) {
	a, promised := stocked(t, s, "A", 5), newID(t)
	line := domain.Line{ProductID: a, Quantity: 2}
	if _, err := s.Reserve(t.Context(), reservation(t, promised, line), start); err != nil {
		t.Fatal(err)
	}
	if err := s.Restock(t.Context(), putBack(t, promised, newID(t), line)); !errors.Is(err, domain.ErrReservationNotConfirmed) {
		t.Errorf("promised only: %v", err)
	}
	if err := s.Restock(t.Context(), putBack(t, newID(t), newID(t), line)); !errors.Is(err, domain.ErrReservationMissing) {
		t.Errorf("an order that is not known: %v", err)
	}
	wantStock(t, s, a, 5, 2)
}

// raceOfRestocks lets refunds of one order, each told several times, meet its release: what it took comes back once.
func raceOfRestocks(t *testing.T, s Store) {
	const refunds, times, taken = 12, 3, 8
	a := stocked(t, s, "A", 20)
	order := sold(t, s, domain.Line{ProductID: a, Quantity: taken})
	ids := make([]uuid.UUID, refunds)
	for i := range ids {
		ids[i] = newID(t)
	}
	errs := together(refunds*times, func(i int) error {
		return s.Restock(t.Context(), putBack(t, order, ids[i%refunds], domain.Line{ProductID: a, Quantity: 1}))
	})
	allowed(t, errs, domain.ErrRestockExceeds)
	wantStock(t, s, a, 20, 0)
	refused := 0
	for _, err := range errs {
		if err != nil {
			refused++
		}
	}
	if refused != (refunds-taken)*times {
		t.Errorf("%d were refused, want %d", refused, (refunds-taken)*times)
	}

	second := sold(t, s, domain.Line{ProductID: a, Quantity: taken})
	errs = together(refunds, func(i int) error {
		if i == refunds/2 {
			return releaseIt(t.Context(), s, second, start)
		}
		return s.Restock(t.Context(), putBack(t, second, ids[i], domain.Line{ProductID: a, Quantity: 1}))
	})
	allowed(t, errs, domain.ErrRestockExceeds)
	wantStock(t, s, a, 20, 0)
}
