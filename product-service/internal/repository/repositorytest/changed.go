package repositorytest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// changedReservations lists by the last change, and several of one moment each once, in whatever pages.
func changedReservations(t *testing.T, s Store) {
	a := stocked(t, s, "A", 50)
	reserved := func(n int64) uuid.UUID {
		order := newID(t)
		if _, err := s.Reserve(t.Context(), reservation(t, order, domain.Line{ProductID: a, Quantity: n}), start); err != nil {
			t.Fatal(err)
		}
		return order
	}
	// All at the same moment, and ids grow: they are in the order of the list.
	first, second, third, sold, gone := reserved(1), reserved(2), reserved(3), reserved(4), newID(t)
	if err := confirmIt(t.Context(), s, sold, start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddTombstone(t.Context(), domain.NewTombstone(gone, start.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	list := func(from, to time.Duration, limit int) (ids []uuid.UUID) {
		t.Helper()
		q := usecase.ReservationQuery{From: start.Add(from), To: start.Add(to)}
		for {
			page, err := s.ChangedReservations(t.Context(), q, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return ids
			}
			for _, r := range page {
				ids = append(ids, r.OrderID)
			}
			last := page[len(page)-1]
			q.After = &usecase.ReservationPlace{At: last.UpdatedAt, OrderID: last.OrderID}
		}
	}
	all := []uuid.UUID{first, second, third, sold, gone}
	for name, tc := range map[string]struct {
		from, to time.Duration
		limit    int
		want     []uuid.UUID
	}{
		"all":                     {0, time.Hour, 100, all},
		"in pages":                {0, time.Hour, 2, all},
		"one by one":              {0, time.Hour, 1, all},
		"the end is not included": {0, time.Minute, 2, all[:3]},
		"the beginning is":        {time.Minute, time.Hour, 2, all[3:]},
		"nothing":                 {time.Hour, 2 * time.Hour, 2, nil},
	} {
		if diff := cmp.Diff(tc.want, list(tc.from, tc.to, tc.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	got, err := s.ReservationsOf(t.Context(), []uuid.UUID{sold, newID(t), gone})
	if err != nil {
		t.Fatal(err)
	}
	want := []domain.ReservationSnapshot{
		{
			OrderID: sold, Status: domain.ReservationConfirmed, Lines: []domain.Line{{ProductID: a, Quantity: 4}},
			ExpiresAt: start.Add(time.Minute), CreatedAt: start, UpdatedAt: start.Add(time.Minute),
		},
		{OrderID: gone, Status: domain.ReservationReleased, ExpiresAt: start.Add(time.Minute), CreatedAt: start.Add(time.Minute), UpdatedAt: start.Add(time.Minute)},
	}
	byOrder := cmpopts.SortSlices(func(a, b domain.ReservationSnapshot) bool { return a.OrderID.String() < b.OrderID.String() })
	if diff := cmp.Diff(want, got, byOrder, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("of some orders (-want +got):\n%s", diff)
	}
}
