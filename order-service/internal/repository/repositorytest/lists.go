package repositorytest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

func pagesWhileOrdersComeIn(t *testing.T, s Store) {
	const (
		orders   = 250
		pageSize = 7 // does not divide the number of orders
		newcomes = 30
	)
	user := uuid.New()
	want := make([]uuid.UUID, orders) // newest first
	for i := range orders {
		// Ten at a time share a moment.
		o := newOrder(t, user, noon.Add(time.Duration(i/10)*time.Second))
		want[orders-1-i] = o.ID()
		begin(t, s, o)
	}
	known := make(map[uuid.UUID]bool, orders)
	for _, id := range want {
		known[id] = true
	}

	var writer sync.WaitGroup
	writer.Go(func() {
		for range newcomes {
			o := newOrder(t, user, noon.Add(time.Hour))
			if _, err := s.Begin(t.Context(), o, attemptFor(o), longLease, later()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writer.Wait()

	var (
		got   []uuid.UUID
		seen  = make(map[uuid.UUID]bool)
		after uuid.UUID
	)
	for {
		page, err := s.ListOrders(t.Context(), usecase.Filter{UserID: user}, after, pageSize)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > pageSize {
			t.Fatalf("a page of %d orders, want at most %d", len(page), pageSize)
		}
		for _, o := range page {
			if seen[o.ID] {
				t.Errorf("order %s comes twice", o.ID)
			}
			seen[o.ID] = true
			if known[o.ID] {
				got = append(got, o.ID)
			}
			after = o.ID
		}
		if len(page) < pageSize {
			break
		}
	}
	expect(t, "orders, newest first", got, want)
}

func filters(t *testing.T, s Store) {
	ann, bob := uuid.New(), uuid.New()
	var all []domain.Snapshot // newest first
	for i, o := range []*domain.Order{
		newOrder(t, ann, noon), newOrder(t, bob, noon), newOrder(t, ann, noon), newOrder(t, ann, noon), newOrder(t, bob, noon),
	} {
		begin(t, s, o)
		if i%2 == 0 {
			if _, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
				return usecase.Change{}, o.Cancel("x", "y", noon)
			}); err != nil {
				t.Fatal(err)
			}
		}
		all = append([]domain.Snapshot{read(t, s, o.ID())}, all...)
	}
	for _, f := range []usecase.Filter{
		{},
		{UserID: ann},
		{UserID: bob},
		{UserID: uuid.New()},
		{Status: domain.Pending},
		{Status: domain.Cancelled},
		{Status: domain.Shipped},
		{UserID: ann, Status: domain.Cancelled},
		{UserID: bob, Status: domain.Pending},
	} {
		var want []domain.Snapshot
		for _, o := range all {
			if (f.UserID == uuid.Nil || o.UserID == f.UserID) && (f.Status == "" || o.Status == f.Status) {
				want = append(want, o)
			}
		}
		t.Logf("filter %+v", f)
		got, err := s.ListOrders(t.Context(), f, uuid.Nil, 100)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "orders", got, want)
		n, err := s.CountOrders(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "count", n, int64(len(want)))
		if len(want) > 0 {
			rest, err := s.ListOrders(t.Context(), f, want[0].ID, 100)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "orders after the first", rest, want[1:])
		}
	}
}
