package repositorytest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

func adjustStock(t *testing.T, s Store) {
	id := stocked(t, s, "A", 0)
	for _, step := range []struct {
		delta, want int64
		err         error
	}{
		{10, 10, nil}, {-4, 6, nil}, {-7, 6, domain.ErrInsufficientStock}, {-6, 0, nil}, {3, 3, nil},
	} {
		if _, _, err := s.AdjustStock(t.Context(), adjustment(t, id, step.delta, "")); !errors.Is(err, step.err) {
			t.Errorf("%+d: got %v, want %v", step.delta, err, step.err)
		}
		wantStock(t, s, id, step.want, 0)
	}
	if _, err := s.Reserve(t.Context(), reservation(t, newID(t), domain.Line{ProductID: id, Quantity: 2}), start); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, id, -2, "")); !errors.Is(err, domain.ErrInsufficientStock) {
		t.Errorf("below what is reserved: got %v", err)
	}
	wantStock(t, s, id, 3, 2)
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, newID(t), 1, "")); !errors.Is(err, domain.ErrProductMissing) {
		t.Errorf("got %v", err)
	}
}

func adjustStockUnderOneKey(t *testing.T, s Store) {
	id, other := stocked(t, s, "A", 5), stocked(t, s, "B", 5)
	for i, wantReplayed := range []bool{false, true, true} {
		after, replayed, err := s.AdjustStock(t.Context(), adjustment(t, id, 2, "key"))
		if err != nil || replayed != wantReplayed || after != (domain.Stock{OnHand: 7}) {
			t.Errorf("%d: %+v, %v, %v", i, after, replayed, err)
		}
		if i == 1 { // what happens in between does not change the first answer
			if _, _, err := s.AdjustStock(t.Context(), adjustment(t, id, 1, "")); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantStock(t, s, id, 8, 0)
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, id, 3, "key")); !errors.Is(err, domain.ErrIdempotencyKeyReused) {
		t.Errorf("another delta: got %v", err)
	}
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, other, 2, "key")); !errors.Is(err, domain.ErrIdempotencyKeyReused) {
		t.Errorf("another product: got %v", err)
	}
	mine := adjustment(t, other, 2, "key")
	mine.Actor = "somebody else"
	if _, replayed, err := s.AdjustStock(t.Context(), mine); err != nil || replayed {
		t.Errorf("another actor's key: %v, %v", replayed, err)
	}
}

// A refusal holds its key as an adjustment does, for a day, whatever the stock is then.
func refusedUnderOneKey(t *testing.T, s Store) {
	id, other := stocked(t, s, "A", 5), stocked(t, s, "B", 500)
	at := func(productID uuid.UUID, delta int64, after time.Duration) domain.Adjustment {
		a := adjustment(t, productID, delta, "key")
		a.At = start.Add(after)
		return a
	}
	if _, _, err := s.AdjustStock(t.Context(), at(id, -100, 0)); !errors.Is(err, domain.ErrInsufficientStock) {
		t.Fatalf("got %v", err)
	}
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, id, 200, "")); err != nil {
		t.Fatal(err)
	}
	_, replayed, err := s.AdjustStock(t.Context(), at(id, -100, time.Hour))
	if e := apperr.From(err); !errors.Is(err, domain.ErrInsufficientStock) || replayed ||
		e.Attributes["available"] != int64(5) || e.Attributes[domain.ReplayedAttribute] != true {
		t.Errorf("once more: %v, %v, %+v", replayed, err, e)
	}
	for what, a := range map[string]domain.Adjustment{"another delta": at(id, -1, time.Hour), "another product": at(other, -100, time.Hour)} {
		if _, _, err := s.AdjustStock(t.Context(), a); !errors.Is(err, domain.ErrIdempotencyKeyReused) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	wantStock(t, s, id, 205, 0)
	wantStock(t, s, other, 500, 0)

	// The next day it is anybody's, for another refusal too.
	for _, step := range []struct {
		delta int64
		after time.Duration
		want  error
	}{
		{-1000, 24 * time.Hour, domain.ErrInsufficientStock},
		{-1, 47 * time.Hour, domain.ErrIdempotencyKeyReused},
		{-1, 48 * time.Hour, nil},
		{-1000, 49 * time.Hour, domain.ErrIdempotencyKeyReused},
		{-1000, 72 * time.Hour, domain.ErrInsufficientStock},
	} {
		if _, _, err := s.AdjustStock(t.Context(), at(id, step.delta, step.after)); !errors.Is(err, step.want) {
			t.Errorf("%+d after %v: got %v, want %v", step.delta, step.after, err, step.want)
		}
	}
	wantStock(t, s, id, 204, 0)
	for _, step := range []struct {
		before time.Duration
		want   int
	}{{72 * time.Hour, 0}, {73 * time.Hour, 1}, {73 * time.Hour, 0}} {
		if n, err := s.ForgetRefusals(t.Context(), start.Add(step.before), 10); n != step.want || err != nil {
			t.Errorf("before %v: forgot %d, %v, want %d", step.before, n, err, step.want)
		}
	}
}

// Of many uses of one key for different products one counts, refused or not; the others are told so.
func raceForOneKey(t *testing.T, s Store) {
	const racers = 10
	products, wishes, errs := make([]uuid.UUID, racers), make([]domain.Adjustment, racers), make([]error, racers)
	for i := range racers {
		products[i] = stocked(t, s, fmt.Sprint("P", i), 5)
		wishes[i] = adjustment(t, products[i], []int64{3, -13}[i%2], "key")
	}
	var group sync.WaitGroup
	for i := range racers {
		group.Go(func() { _, _, errs[i] = s.AdjustStock(t.Context(), wishes[i]) })
	}
	group.Wait()
	first := 0
	for i, err := range errs {
		switch {
		case err == nil || errors.Is(err, domain.ErrInsufficientStock):
			first++
		case !errors.Is(err, domain.ErrIdempotencyKeyReused):
			t.Errorf("racer %d: %v", i, err)
		}
	}
	if first != 1 {
		t.Errorf("%d have had the key", first)
	}
}

func reserve(t *testing.T, s Store) {
	a, b, order := stocked(t, s, "A", 5), stocked(t, s, "B", 5), newID(t)
	r := reservation(t, order, domain.Line{ProductID: b, Quantity: 2}, domain.Line{ProductID: a, Quantity: 5})
	got, err := s.Reserve(t.Context(), r, start)
	if err != nil {
		t.Fatal(err)
	}
	if want := start.Add(time.Minute); !got.Snapshot().ExpiresAt.Equal(want) {
		t.Errorf("expires at %v, want %v", got.Snapshot().ExpiresAt, want)
	}
	wantStock(t, s, a, 5, 5)
	wantStock(t, s, b, 5, 2)
}

func reserveAgain(t *testing.T, s Store) {
	a, b, order := stocked(t, s, "A", 5), stocked(t, s, "B", 5), newID(t)
	lines := []domain.Line{{ProductID: a, Quantity: 5}, {ProductID: b, Quantity: 1}}
	if _, err := s.Reserve(t.Context(), reservation(t, order, lines...), start); err != nil {
		t.Fatal(err)
	}
	later := start.Add(30 * time.Second)
	again, err := domain.NewReservation(order, []domain.Line{lines[1], lines[0]}, later, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Reserve(t.Context(), again, later)
	if err != nil || !got.Snapshot().ExpiresAt.Equal(start.Add(time.Minute)) {
		t.Errorf("the same lines: %+v, %v", got, err)
	}
	for _, other := range [][]domain.Line{lines[:1], {lines[0], {ProductID: b, Quantity: 2}}} {
		if _, err := s.Reserve(t.Context(), reservation(t, order, other...), later); !errors.Is(err, domain.ErrReservationDiffers) {
			t.Errorf("other lines: got %v", err)
		}
	}
	wantStock(t, s, a, 5, 5)
	wantStock(t, s, b, 5, 1)

	// Overdue, but not swept: it is renewed without being promised twice.
	late := start.Add(time.Hour)
	again, err = domain.NewReservation(order, lines, late, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got, err = s.Reserve(t.Context(), again, late)
	if err != nil || !got.Snapshot().ExpiresAt.Equal(late.Add(time.Minute)) {
		t.Errorf("overdue: %+v, %v", got, err)
	}
	if n, err := s.ExpireReservations(t.Context(), late, 10); n != 0 || err != nil {
		t.Errorf("a renewed reservation expired: %d, %v", n, err)
	}
	wantStock(t, s, a, 5, 5)

	// Confirmed: still the same answer.
	if err := confirmIt(t.Context(), s, order, late); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reserve(t.Context(), again, late); err != nil {
		t.Errorf("confirmed: %v", err)
	}
	wantStock(t, s, a, 0, 0)
}

func outOfStock(t *testing.T, s Store) {
	a, b, order := stocked(t, s, "A", 5), stocked(t, s, "B", 1), newID(t)
	d := details("C", "Draft", 1)
	d.Status = domain.Draft
	draft, unknown := addProduct(t, s, d, start), newID(t)
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, draft, 9, "")); err != nil {
		t.Fatal(err)
	}
	lines := []domain.Line{
		{ProductID: draft, Quantity: 1}, {ProductID: a, Quantity: 5}, {ProductID: b, Quantity: 2}, {ProductID: unknown, Quantity: 1},
	}
	_, err := s.Reserve(t.Context(), reservation(t, order, lines...), start)
	if !errors.Is(err, domain.ErrOutOfStock) {
		t.Fatalf("got %v", err)
	}
	short := func(location string, id string, available int64) apperr.Violation {
		return apperr.Violation{Location: location, Attributes: map[string]any{"product_id": id, "available": available}}
	}
	want := []apperr.Violation{short("items[0]", draft.String(), 0), short("items[2]", b.String(), 1), short("items[3]", unknown.String(), 0)}
	if diff := cmp.Diff(want, apperr.From(err).Violations, cmpopts.IgnoreFields(apperr.Violation{}, "Message")); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	wantStock(t, s, a, 5, 0)
	wantStock(t, s, b, 1, 0)
	// Nothing is kept of it: the order may ask for less.
	if _, err := s.Reserve(t.Context(), reservation(t, order, lines[1]), start); err != nil {
		t.Errorf("got %v", err)
	}
}

func confirm(t *testing.T, s Store) {
	a, b, order := stocked(t, s, "A", 5), stocked(t, s, "B", 5), newID(t)
	lines := []domain.Line{{ProductID: a, Quantity: 2}, {ProductID: b, Quantity: 3}}
	if _, err := s.Reserve(t.Context(), reservation(t, order, lines...), start); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := confirmIt(t.Context(), s, order, start); err != nil {
			t.Fatal(err)
		}
		wantStock(t, s, a, 3, 0)
		wantStock(t, s, b, 2, 0)
	}
	entries := ledgerOf(t, s, b)
	if len(entries) != 2 {
		t.Fatalf("%d entries", len(entries))
	}
	want := domain.LedgerEntry{
		ProductID: b, Delta: -3, Reason: "order_confirmed", Reference: order.String(), Actor: "tester", After: domain.Stock{OnHand: 2}, At: start,
	}
	if diff := cmp.Diff(want, entries[1], cmpopts.IgnoreFields(want, "ID")); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if err := confirmIt(t.Context(), s, newID(t), start); !errors.Is(err, domain.ErrReservationMissing) {
		t.Errorf("got %v", err)
	}
}

func release(t *testing.T, s Store) {
	a, promised, sold, never := stocked(t, s, "A", 5), newID(t), newID(t), newID(t)
	line := domain.Line{ProductID: a, Quantity: 2}
	for _, order := range []uuid.UUID{promised, sold} {
		if _, err := s.Reserve(t.Context(), reservation(t, order, line), start); err != nil {
			t.Fatal(err)
		}
	}
	if err := confirmIt(t.Context(), s, sold, start); err != nil {
		t.Fatal(err)
	}
	wantStock(t, s, a, 3, 2)
	for range 2 {
		if err := releaseIt(t.Context(), s, promised, start); err != nil {
			t.Fatal(err)
		}
		wantStock(t, s, a, 3, 0)
	}
	for range 2 {
		if err := releaseIt(t.Context(), s, sold, start); err != nil {
			t.Fatal(err)
		}
		wantStock(t, s, a, 5, 0)
	}
	if err := confirmIt(t.Context(), s, promised, start); !errors.Is(err, domain.ErrReservationReleased) {
		t.Errorf("confirm after release: %v", err)
	}

	if err := releaseIt(t.Context(), s, never, start); !errors.Is(err, domain.ErrReservationMissing) {
		t.Errorf("got %v", err)
	}
	for _, want := range []bool{true, false} {
		if added, err := s.AddTombstone(t.Context(), domain.NewTombstone(never, start)); added != want || err != nil {
			t.Errorf("tombstone: %v, %v, want %v", added, err, want)
		}
	}
	for _, order := range []uuid.UUID{never, promised, sold} {
		if _, err := s.Reserve(t.Context(), reservation(t, order, line), start); !errors.Is(err, domain.ErrReservationReleased) {
			t.Errorf("reserve after release: %v", err)
		}
	}
	wantStock(t, s, a, 5, 0)
}

func expiry(t *testing.T, s Store) {
	a, b := stocked(t, s, "A", 10), stocked(t, s, "B", 10)
	for range 3 {
		if _, err := s.Reserve(t.Context(), reservation(t, newID(t), domain.Line{ProductID: b, Quantity: 1}, domain.Line{ProductID: a, Quantity: 2}), start); err != nil {
			t.Fatal(err)
		}
	}
	due := start.Add(time.Minute)
	for _, step := range []struct {
		at       time.Time
		want     int
		reserved int64
	}{
		{due.Add(-time.Microsecond), 0, 6}, {due, 2, 2}, {due, 1, 0}, {due, 0, 0},
	} {
		if n, err := s.ExpireReservations(t.Context(), step.at, 2); n != step.want || err != nil {
			t.Errorf("expired %d, %v, want %d", n, err, step.want)
		}
		wantStock(t, s, a, 10, step.reserved)
		wantStock(t, s, b, 10, step.reserved/2)
	}
}

func confirmExpired(t *testing.T, s Store) {
	a, possible, impossible, again := stocked(t, s, "A", 4), newID(t), newID(t), newID(t)
	line := domain.Line{ProductID: a, Quantity: 1}
	reservations := []*domain.Reservation{
		reservation(t, possible, line), reservation(t, impossible, domain.Line{ProductID: a, Quantity: 2}), reservation(t, again, line),
	}
	for _, r := range reservations {
		if _, err := s.Reserve(t.Context(), r, start); err != nil {
			t.Fatal(err)
		}
	}
	late := start.Add(time.Hour)
	if n, err := s.ExpireReservations(t.Context(), late, 10); n != 3 || err != nil {
		t.Fatalf("expired %d, %v", n, err)
	}
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, a, -1, "")); err != nil {
		t.Fatal(err)
	}
	if err := confirmIt(t.Context(), s, possible, late); err != nil {
		t.Errorf("confirm: %v", err)
	}
	wantStock(t, s, a, 2, 0)
	got, err := s.Reserve(t.Context(), reservation(t, again, line), start)
	if err != nil || got.Snapshot().Status != domain.ReservationActive {
		t.Errorf("reserve again: %+v, %v", got, err)
	}
	wantStock(t, s, a, 2, 1)
	err = confirmIt(t.Context(), s, impossible, late)
	if e := apperr.From(err); !errors.Is(err, domain.ErrOutOfStock) || e.Violations[0].Attributes["available"] != int64(1) {
		t.Errorf("got %v", err)
	}
	if err := releaseIt(t.Context(), s, impossible, late); err != nil {
		t.Errorf("release: %v", err)
	}
	wantStock(t, s, a, 2, 1)
}

// ledger reads the ledger page by page, in the order in which things took effect, whatever the clocks said.
func ledger(t *testing.T, s Store) {
	id, other := stocked(t, s, "A", 0), stocked(t, s, "B", 3)
	var want []int64
	for i := range int64(7) {
		a := adjustment(t, id, i+1, "")
		a.At = start.Add(-time.Duration(i%3) * time.Minute) // replicas' clocks differ
		if _, _, err := s.AdjustStock(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		want = append([]int64{i + 1}, want...)
	}
	var (
		got []int64
		q   = usecase.LedgerQuery{ProductID: id, PageSize: 3, IncludeTotal: true}
	)
	for pages := 1; ; pages++ {
		page, err := s.Ledger(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if page.Total == nil || *page.Total != 7 {
			t.Errorf("total %v", page.Total)
		}
		for _, e := range page.Entries {
			got = append(got, e.Delta)
		}
		if q.After = page.Next; q.After == uuid.Nil {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deltas (-want +got):\n%s", diff)
	}
	page, err := s.Ledger(t.Context(), usecase.LedgerQuery{ProductID: other, PageSize: 1})
	if err != nil || len(page.Entries) != 1 || page.Next != uuid.Nil || page.Total != nil {
		t.Errorf("the last page: %+v, %v", page, err)
	}
	if page, err := s.Ledger(t.Context(), usecase.LedgerQuery{ProductID: id, PageSize: 1, After: newID(t)}); err != nil || len(page.Entries) != 0 {
		t.Errorf("behind an unknown entry: %+v, %v", page, err)
	}
	if _, err := s.Ledger(t.Context(), usecase.LedgerQuery{ProductID: newID(t), PageSize: 1}); !errors.Is(err, domain.ErrProductMissing) {
		t.Errorf("got %v", err)
	}
}

func keysAreHeldForADay(t *testing.T, s Store) {
	id := stocked(t, s, "A", 0)
	for _, step := range []struct {
		after        time.Duration
		delta        int64
		wantReplayed bool
		wantErr      error
		wantOnHand   int64
	}{
		{0, 2, false, nil, 2},
		{24*time.Hour - time.Microsecond, 2, true, nil, 2},
		{24*time.Hour - time.Microsecond, 3, false, domain.ErrIdempotencyKeyReused, 2},
		{24 * time.Hour, 3, false, nil, 5},
		{24 * time.Hour, 3, true, nil, 5},
		{25 * time.Hour, 2, false, domain.ErrIdempotencyKeyReused, 5}, // the key has a new day
	} {
		a := adjustment(t, id, step.delta, "key")
		a.At = start.Add(step.after)
		if _, replayed, err := s.AdjustStock(t.Context(), a); replayed != step.wantReplayed || !errors.Is(err, step.wantErr) {
			t.Errorf("%+d after %v: replayed %v, %v", step.delta, step.after, replayed, err)
		}
		wantStock(t, s, id, step.wantOnHand, 0)
	}
}

// forget removes what has been over for long, and nothing else.
func forget(t *testing.T, s Store) {
	id := stocked(t, s, "A", 100)
	line := domain.Line{ProductID: id, Quantity: 1}
	var active, confirmed, released, expired, never = newID(t), newID(t), newID(t), newID(t), newID(t)
	for _, order := range []uuid.UUID{confirmed, released, expired} {
		if _, err := s.Reserve(t.Context(), reservation(t, order, line), start); err != nil {
			t.Fatal(err)
		}
	}
	if err := confirmIt(t.Context(), s, confirmed, start); err != nil {
		t.Fatal(err)
	}
	if err := releaseIt(t.Context(), s, released, start); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddTombstone(t.Context(), domain.NewTombstone(never, start)); err != nil {
		t.Fatal(err)
	}
	due := start.Add(time.Minute)
	if n, err := s.ExpireReservations(t.Context(), due, 10); n != 1 || err != nil {
		t.Fatalf("expired %d, %v", n, err)
	}
	if _, err := s.Reserve(t.Context(), reservation(t, active, line), start); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		before time.Time
		limit  int
		want   int
	}{
		{start, 10, 0}, {due, 1, 1}, {due, 10, 1}, {due.Add(time.Hour), 10, 1}, {due.Add(time.Hour), 10, 0},
	} {
		if n, err := s.ForgetReservations(t.Context(), step.before, step.limit); n != step.want || err != nil {
			t.Errorf("before %v: forgot %d, %v, want %d", step.before, n, err, step.want)
		}
	}
	wantStock(t, s, id, 99, 1)
	for order, want := range map[uuid.UUID]error{
		active: nil, confirmed: nil, released: domain.ErrReservationMissing, expired: domain.ErrReservationMissing, never: domain.ErrReservationMissing,
	} {
		if err := releaseIt(t.Context(), s, order, start); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	wantStock(t, s, id, 100, 0) // what was sold has come back by the reservation that is kept
}
