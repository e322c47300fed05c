package usecase_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/memory"
	"shop.example/product-service/internal/usecase"
)

type shop struct {
	catalog *usecase.Catalog
	queries *usecase.Queries
	stock   *usecase.Stock
	store   *memory.Store
	now     time.Time
}

func setup(t *testing.T) *shop {
	t.Helper()
	s := &shop{store: memory.New(), now: time.Date(2026, 3, 1, 12, 0, 0, 123_456_789, time.UTC)}
	clock := func() time.Time { return s.now }
	s.catalog = usecase.NewCatalog(s.store, s.store, "EUR", clock)
	s.queries = usecase.NewQueries(s.store, s.store, s.store, clock)
	s.stock = usecase.NewStock(s.store, s.store, s.store, clock)
	return s
}

func (s *shop) product(t *testing.T, sku string, pieces int64) uuid.UUID {
	t.Helper()
	p, err := s.catalog.CreateProduct(t.Context(), domain.ProductDetails{SKU: sku, Name: "Tea", Price: money.MustNew(1, "EUR"), Status: domain.Active})
	if err != nil {
		t.Fatal(err)
	}
	if pieces > 0 {
		if _, _, err := s.stock.Adjust(t.Context(), usecase.AdjustStock{ProductID: p.ID, Delta: pieces, Reason: "delivery", Actor: "staff"}); err != nil {
			t.Fatal(err)
		}
	}
	return p.ID
}

func TestOneNameTwoProducts(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.product(t, "A1", 0)
	second := s.product(t, "B2", 0)
	p, err := s.queries.Product(t.Context(), auth.Principal{}, second.String())
	if err != nil || p.Slug != "tea-b2" {
		t.Errorf("slug %q, %v", p.Slug, err)
	}
	third := s.product(t, "b2", 0) // no slug tells its SKU from the second's
	if p, err := s.queries.Product(t.Context(), auth.Principal{}, third.String()); err != nil || p.Slug != "product-"+third.String() {
		t.Errorf("slug %q, %v", p.Slug, err)
	}
	if p.CreatedAt.Nanosecond() != 123_456_000 {
		t.Errorf("time %v is finer than the database's", p.CreatedAt)
	}
	d := domain.ProductDetails{SKU: "C3", Name: "Other", Slug: "tea", Price: money.MustNew(1, "EUR")}
	if _, err := s.catalog.CreateProduct(t.Context(), d); !errors.Is(err, domain.ErrSlugTaken) {
		t.Errorf("a slug that was asked for: %v", err)
	}
	d = domain.ProductDetails{SKU: "A1", Name: "Tea", Price: money.MustNew(1, "EUR")}
	if _, err := s.catalog.CreateProduct(t.Context(), d); !errors.Is(err, domain.ErrSKUTaken) {
		t.Errorf("the same product: %v", err)
	}
}

func TestSorts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		query usecase.ProductQuery
		want  usecase.Sort
	}{
		{usecase.ProductQuery{}, usecase.SortNewest},
		{usecase.ProductQuery{Text: "tea"}, usecase.SortRelevance},
		{usecase.ProductQuery{Sort: usecase.SortRelevance}, usecase.SortNewest},
		{usecase.ProductQuery{Text: "tea", Sort: usecase.SortName}, usecase.SortName},
	} {
		if got := tc.query.EffectiveSort(); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.query, got, tc.want)
		}
	}
	low, high := int64(1), int64(2)
	_, err := setup(t).queries.FindProducts(t.Context(), auth.Principal{}, usecase.ProductQuery{MinPrice: &high, MaxPrice: &low, PageSize: 1})
	if apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestCategoriesByIDAndSlug(t *testing.T) {
	t.Parallel()
	s := setup(t)
	root, err := s.catalog.CreateCategory(t.Context(), usecase.CreateCategory{Name: "Home & Kitchen"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.catalog.CreateCategory(t.Context(), usecase.CreateCategory{Name: "Tea", ParentID: root.ID}); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{root.ID.String(), "home-and-kitchen"} {
		got, err := s.queries.Category(t.Context(), ref)
		if err != nil || len(got.Children) != 1 {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
	}
	if _, err := s.queries.Category(t.Context(), "nothing"); !errors.Is(err, domain.ErrCategoryMissing) {
		t.Errorf("got %v", err)
	}
}

func TestReleaseBeforeReserve(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id, order := s.product(t, "A", 5), uuid.New()
	for range 2 {
		if err := s.stock.Release(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.stock.Reserve(t.Context(), order, 0, []domain.Line{{ProductID: id, Quantity: 1}}, time.Minute)
	if !errors.Is(err, domain.ErrReservationReleased) {
		t.Errorf("got %v", err)
	}
}

func TestLedgerNamesWhoActed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id, byUser, byShop := s.product(t, "A", 5), uuid.New(), uuid.New()
	for _, order := range []uuid.UUID{byUser, byShop} {
		if _, err := s.stock.Reserve(t.Context(), order, 0, []domain.Line{{ProductID: id, Quantity: 1}}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.stock.Confirm(auth.NewContext(t.Context(), auth.Principal{UserID: "ann"}), byUser); err != nil {
		t.Fatal(err)
	}
	if err := s.stock.Confirm(t.Context(), byShop); err != nil {
		t.Fatal(err)
	}
	page, err := s.queries.Ledger(t.Context(), usecase.LedgerQuery{ProductID: id, PageSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	var actors []string
	for _, e := range slices.Backward(page.Entries) {
		actors = append(actors, e.Actor)
	}
	if diff := cmp.Diff([]string{"staff", "ann", "shop"}, actors); diff != "" {
		t.Errorf("actors (-want +got):\n%s", diff)
	}
}

func TestSweepEndsAllThatIsOverdue(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.product(t, "A", 1000)
	const orders = 250 // more than two batches
	for range orders {
		if _, err := s.stock.Reserve(t.Context(), uuid.New(), 0, []domain.Line{{ProductID: id, Quantity: 1}}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	s.now = s.now.Add(time.Hour)
	if n, err := s.stock.ExpireOverdue(t.Context()); n != orders || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	p, err := s.queries.Product(t.Context(), auth.Principal{}, id.String())
	if err != nil || p.Stock.Available() != 1000 {
		t.Errorf("%+v, %v", p.Stock, err)
	}
}

func TestAdjustRefusesNonsense(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.product(t, "A", 0)
	for location, cmd := range map[string]usecase.AdjustStock{
		"delta":  {ProductID: id, Reason: "x"},
		"reason": {ProductID: id, Delta: 1, Reason: "  "},
	} {
		_, _, err := s.stock.Adjust(t.Context(), cmd)
		if e := apperr.From(err); e == nil || len(e.Violations) != 1 || e.Violations[0].Location != location {
			t.Errorf("%s: got %v", location, err)
		}
	}
}
