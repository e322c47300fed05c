package usecase_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/pagetoken"
)

// orderOf places an order of one gift.
func orderOf(t *testing.T, s *shop, user uuid.UUID) uuid.UUID {
	t.Helper()
	wish := s.wish("")
	wish.UserID, wish.Key, wish.ShippingMethod = user, uuid.NewString(), "pickup"
	wish.Items = []usecase.Line{{ProductID: s.gift, Quantity: 1}}
	return s.place(t, wish).Order.ID
}

func TestOrderIsForItsOwnerAndStaff(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	q := usecase.NewQueries(s.store, s.shipping)
	id := orderOf(t, s, s.customer)
	for _, tc := range []struct {
		name   string
		caller auth.Principal
		id     uuid.UUID
		want   error
	}{
		{"its owner", s.principal(), id, nil},
		{"staff", staff, id, nil},
		{"admin", auth.Principal{UserID: uuid.NewString(), Role: auth.Admin}, id, nil},
		{"another customer", stranger, id, domain.ErrOrderMissing},
		{"nobody", auth.Principal{}, id, domain.ErrOrderMissing},
		{"no such order", s.principal(), uuid.New(), domain.ErrOrderMissing},
		{"no such order, for staff", staff, uuid.New(), domain.ErrOrderMissing},
	} {
		got, err := q.Order(t.Context(), tc.caller, tc.id)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if err == nil && got.ID != tc.id || err != nil && got.ID != uuid.Nil {
			t.Errorf("%s: got order %s", tc.name, got.ID)
		}
	}
}

func TestListIsForOwnersAndStaff(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	q := usecase.NewQueries(s.store, s.shipping)
	own, other := orderOf(t, s, s.customer), orderOf(t, s, uuid.MustParse(stranger.UserID))
	if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: own}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		caller auth.Principal
		filter usecase.Filter
		want   []uuid.UUID
		kind   apperr.Kind
	}{
		{"one's own", s.principal(), usecase.Filter{}, []uuid.UUID{own}, 0},
		{"one's own, by name", s.principal(), usecase.Filter{UserID: s.customer}, []uuid.UUID{own}, 0},
		{"one's own, by state", s.principal(), usecase.Filter{Status: domain.Pending}, nil, 0},
		{"another's", stranger, usecase.Filter{UserID: s.customer}, nil, apperr.PermissionDenied},
		{"everybody's, for staff", staff, usecase.Filter{}, []uuid.UUID{other, own}, 0},
		{"one customer's, for staff", staff, usecase.Filter{UserID: s.customer}, []uuid.UUID{own}, 0},
		{"by state, for staff", staff, usecase.Filter{Status: domain.Cancelled}, []uuid.UUID{own}, 0},
	} {
		page, err := q.List(t.Context(), tc.caller, usecase.ListOrders{Filter: tc.filter, PageSize: 10, IncludeTotal: true})
		if tc.kind != 0 {
			if apperr.KindOf(err) != tc.kind {
				t.Errorf("%s: %v, want %v", tc.name, err, tc.kind)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if diff := cmp.Diff(tc.want, idsOf(page.Orders)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if page.Total == nil || *page.Total != int64(len(tc.want)) || page.NextPageToken != "" {
			t.Errorf("%s: total %v, next page %q", tc.name, page.Total, page.NextPageToken)
		}
	}
}

func idsOf(orders []domain.Snapshot) []uuid.UUID {
	var ids []uuid.UUID
	for _, o := range orders {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	q := usecase.NewQueries(s.store, s.shipping)
	s.stock.Set(s.gift, 100)
	var want []uuid.UUID
	for range 6 {
		want = append([]uuid.UUID{orderOf(t, s, s.customer)}, want...)
		orderOf(t, s, uuid.New())
	}
	for _, size := range []int{1, 2, 3, 4, 5, 6, 7} {
		list := usecase.ListOrders{PageSize: size}
		var got []uuid.UUID
		for pages := 1; ; pages++ {
			page, err := q.List(t.Context(), s.principal(), list)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Orders) == 0 || len(page.Orders) > size || page.Total != nil {
				t.Errorf("pages of %d: one of %d, total %v", size, len(page.Orders), page.Total)
			}
			got = append(got, idsOf(page.Orders)...)
			if list.PageToken = page.NextPageToken; list.PageToken == "" {
				if all := (len(want) + size - 1) / size; pages != all {
					t.Errorf("pages of %d: %d, want %d", size, pages, all)
				}
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", size, diff)
		}
	}
}

func TestPageTokenIsForItsQuery(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	q := usecase.NewQueries(s.store, s.shipping)
	for range 3 {
		orderOf(t, s, s.customer)
	}
	page, err := q.List(t.Context(), s.principal(), usecase.ListOrders{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string]struct {
		caller auth.Principal
		usecase.ListOrders
	}{
		"another state":    {s.principal(), usecase.ListOrders{Filter: usecase.Filter{Status: domain.Pending}, PageSize: 1, PageToken: page.NextPageToken}},
		"another customer": {stranger, usecase.ListOrders{PageSize: 1, PageToken: page.NextPageToken}},
		"nonsense":         {s.principal(), usecase.ListOrders{PageSize: 1, PageToken: "nonsense"}},
	} {
		if _, err := q.List(t.Context(), list.caller, list.ListOrders); !errors.Is(err, pagetoken.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, pagetoken.ErrInvalid)
		}
	}
}

func TestShippingMethodsOnOffer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if got := usecase.NewQueries(s.store, s.shipping).ShippingMethods(); len(got) != len(s.shipping) {
		t.Errorf("%d methods, want %d", len(got), len(s.shipping))
	}
}
