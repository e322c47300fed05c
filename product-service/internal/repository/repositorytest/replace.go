package repositorytest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/product-service/internal/domain"
)

// replaced is a reservation of the lines that an order has now.
func replaced(t testing.TB, order uuid.UUID, revision int64, at time.Time, lines ...domain.Line) *domain.Reservation {
	t.Helper()
	r, err := domain.NewReservation(order, lines, at, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r.WithRevision(revision)
}

func replace(t *testing.T, s Store) {
	a, b, c, order := stocked(t, s, "A", 5), stocked(t, s, "B", 5), stocked(t, s, "C", 5), newID(t)
	line := func(product uuid.UUID, n int64) domain.Line { return domain.Line{ProductID: product, Quantity: n} }
	for _, step := range []struct {
		name     string
		revision int64
		lines    []domain.Line
		want     error
		reserved [3]int64 // of A, B and C, after it
	}{
		{"first", 1, []domain.Line{line(b, 1), line(a, 2)}, nil, [3]int64{2, 1, 0}},
		{"more, fewer, none and new", 2, []domain.Line{line(c, 1), line(a, 4)}, nil, [3]int64{4, 0, 1}},
		{"again", 2, []domain.Line{line(a, 4), line(c, 1)}, nil, [3]int64{4, 0, 1}},
		{"others of the same revision", 2, []domain.Line{line(b, 1)}, domain.ErrReservationDiffers, [3]int64{4, 0, 1}},
		{"others of an earlier one", 1, []domain.Line{line(b, 1), line(a, 2)}, domain.ErrReservationDiffers, [3]int64{4, 0, 1}},
		{"others of none", 0, []domain.Line{line(b, 1)}, domain.ErrReservationDiffers, [3]int64{4, 0, 1}},
		{"the same of an earlier one", 1, []domain.Line{line(a, 4), line(c, 1)}, nil, [3]int64{4, 0, 1}},
		{"the same of a later one", 5, []domain.Line{line(a, 4), line(c, 1)}, nil, [3]int64{4, 0, 1}},
		{"others that were overtaken by it", 4, []domain.Line{line(b, 1)}, domain.ErrReservationDiffers, [3]int64{4, 0, 1}},
		{"more than there is", 6, []domain.Line{line(b, 2), line(a, 6)}, domain.ErrOutOfStock, [3]int64{4, 0, 1}},
		{"all that there is, as nothing is kept of that", 6, []domain.Line{line(b, 2), line(a, 5)}, nil, [3]int64{5, 2, 0}},
	} {
		_, err := s.Reserve(t.Context(), replaced(t, order, step.revision, start, step.lines...), start)
		if !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
		if errors.Is(step.want, domain.ErrOutOfStock) {
			want := []apperr.Violation{{Location: "items[1]", Attributes: map[string]any{"product_id": a.String(), "available": int64(5)}}}
			if diff := cmp.Diff(want, apperr.From(err).Violations, cmpopts.IgnoreFields(apperr.Violation{}, "Message")); diff != "" {
				t.Errorf("%s: violations (-want +got):\n%s", step.name, diff)
			}
		}
		for i, product := range []uuid.UUID{a, b, c} {
			t.Log(step.name)
			wantStock(t, s, product, 5, step.reserved[i])
		}
	}

	late := start.Add(time.Hour)
	if n, err := s.ExpireReservations(t.Context(), late, 10); n != 1 || err != nil {
		t.Fatalf("expired %d, %v", n, err)
	}
	got, err := s.Reserve(t.Context(), replaced(t, order, 7, late, line(c, 2)), late)
	if err != nil || !got.Snapshot().ExpiresAt.Equal(late.Add(time.Minute)) {
		t.Errorf("expired: %+v, %v", got, err)
	}
	wantStock(t, s, a, 5, 0)
	wantStock(t, s, c, 5, 2)
	later := late.Add(time.Hour) // overdue, but not swept
	got, err = s.Reserve(t.Context(), replaced(t, order, 8, later, line(c, 3)), later)
	if err != nil || !got.Snapshot().ExpiresAt.Equal(later.Add(time.Minute)) {
		t.Errorf("overdue: %+v, %v", got, err)
	}
	wantStock(t, s, c, 5, 3)

	if err := confirmIt(t.Context(), s, order, later); err != nil {
		t.Fatal(err)
	}
	wantStock(t, s, c, 2, 0)
	if _, err := s.Reserve(t.Context(), replaced(t, order, 9, later, line(c, 1)), later); !errors.Is(err, domain.ErrReservationDiffers) {
		t.Errorf("confirmed: %v", err)
	}
	if err := releaseIt(t.Context(), s, order, later); err != nil {
		t.Fatal(err)
	}
	wantStock(t, s, c, 5, 0)
	if _, err := s.Reserve(t.Context(), replaced(t, order, 10, later, line(c, 1)), later); !errors.Is(err, domain.ErrReservationReleased) {
		t.Errorf("released: %v", err)
	}
	wantStock(t, s, c, 5, 0)
}

// raceOfRevisions lets the revisions of one order arrive in any order: the highest is what is promised in the end.
func raceOfRevisions(t *testing.T, s Store) {
	const revisions = 32
	a, b, order := stocked(t, s, "A", 100), stocked(t, s, "B", 100), newID(t)
	requests := make([]*domain.Reservation, revisions)
	for i := range requests {
		n := int64(i%7 + 1)
		lines := []domain.Line{{ProductID: a, Quantity: n}, {ProductID: b, Quantity: 8 - n}}
		if i%2 == 1 {
			lines = []domain.Line{{ProductID: b, Quantity: n}}
		}
		requests[i] = replaced(t, order, int64(i+1), start, lines...)
	}
	errs := together(revisions, func(i int) error {
		_, err := s.Reserve(t.Context(), requests[i], start)
		return err
	})
	allowed(t, errs, domain.ErrReservationDiffers)
	if errs[revisions-1] != nil {
		t.Errorf("the highest: %v", errs[revisions-1])
	}
	wantStock(t, s, a, 100, 0)
	wantStock(t, s, b, 100, (revisions-1)%7+1)
}

// raceAgainstReplacements lets replacements meet confirmations, releases and the sweeper. All are released in the end.
func raceAgainstReplacements(t *testing.T, s Store) {
	a, b, c := stocked(t, s, "A", 1000), stocked(t, s, "B", 1000), stocked(t, s, "C", 1000)
	orders := make([]uuid.UUID, 16)
	for i := range orders {
		orders[i] = newID(t)
		if _, err := s.Reserve(t.Context(), orderLines(t, orders[i], i, a, b), start); err != nil {
			t.Fatal(err)
		}
	}
	late := start.Add(time.Hour)
	errs := together(5*len(orders), func(i int) error {
		order := orders[i/5]
		switch i % 5 {
		case 0:
			_, err := s.ExpireReservations(t.Context(), late, 3)
			return err
		case 1:
			return confirmIt(t.Context(), s, order, late)
		case 2:
			return releaseIt(t.Context(), s, order, late)
		case 3:
			_, err := s.Reserve(t.Context(), replaced(t, order, 1, late, domain.Line{ProductID: c, Quantity: 3}, domain.Line{ProductID: a, Quantity: 5}), late)
			return err
		default:
			_, err := s.Reserve(t.Context(), replaced(t, order, 2, late, domain.Line{ProductID: b, Quantity: 7}), late)
			return err
		}
	})
	allowed(t, errs, domain.ErrReservationReleased, domain.ErrReservationDiffers)
	for _, product := range []uuid.UUID{a, b, c} {
		wantStock(t, s, product, 1000, 0)
	}
}
