package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
)

// What is promised of a product that is not on sale any more may be kept, and given back, but not added to.
func TestReplaceWhatIsNotOnSale(t *testing.T) {
	t.Parallel()
	now, old, other := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), uuid.New(), uuid.New()
	stock := map[uuid.UUID]domain.Availability{
		old:   {Stock: domain.Stock{OnHand: 9, Reserved: 2}},
		other: {Stock: domain.Stock{OnHand: 9}, Sellable: true},
	}
	for _, tc := range []struct {
		name  string
		lines []domain.Line
		want  map[uuid.UUID]int64 // nil for out of stock
	}{
		{"kept", []domain.Line{{ProductID: old, Quantity: 2}, {ProductID: other, Quantity: 1}}, map[uuid.UUID]int64{other: 1}},
		{"fewer", []domain.Line{{ProductID: old, Quantity: 1}}, map[uuid.UUID]int64{old: -1}},
		{"none", []domain.Line{{ProductID: other, Quantity: 9}}, map[uuid.UUID]int64{old: -2, other: 9}},
		{"more", []domain.Line{{ProductID: old, Quantity: 3}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			reserved := func(revision int64, lines ...domain.Line) *domain.Reservation {
				r, err := domain.NewReservation(uuid.New(), lines, now, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				return r.WithRevision(revision)
			}
			r, request := reserved(1, domain.Line{ProductID: old, Quantity: 2}), reserved(2, tc.lines...)
			before := r.Snapshot()
			if !r.YieldsTo(request) {
				t.Fatal("it does not yield")
			}
			moved, err := r.Replace(request, stock, now)
			if tc.want == nil {
				if !errors.Is(err, domain.ErrOutOfStock) {
					t.Errorf("error %v, want %v", err, domain.ErrOutOfStock)
				}
				if diff := cmp.Diff(before, r.Snapshot()); diff != "" {
					t.Errorf("refused, and yet:\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[uuid.UUID]int64)
			for _, l := range moved {
				got[l.ProductID] = l.Quantity
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("moved (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.lines, r.Snapshot().Lines); diff != "" || r.Snapshot().Revision != 2 {
				t.Errorf("revision %d, lines (-want +got):\n%s", r.Snapshot().Revision, diff)
			}
		})
	}
}
