package usecase_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// TestWhoSeesADiscount: the sale price is the same for all, and only staff see what is to come and what is over.
func TestWhoSeesADiscount(t *testing.T) {
	t.Parallel()
	s := setup(t)
	begin := s.now
	id := s.product(t, "A", 0)
	changed, err := s.catalog.UpdateProduct(t.Context(), id, domain.ProductChange{
		Price:    new(money.MustNew(1000, "EUR")),
		Discount: &domain.Discount{Type: domain.Percent, Value: 25, StartsAt: begin.Add(time.Hour), EndsAt: begin.Add(2 * time.Hour)},
	}, nil)
	if err != nil || changed.SalePrice != nil || changed.Discount == nil {
		t.Fatalf("got %+v, %v", changed, err)
	}
	for _, tc := range []struct {
		after   time.Duration
		applies bool
	}{{0, false}, {time.Hour, true}, {2*time.Hour - time.Microsecond, true}, {2 * time.Hour, false}} {
		s.now = begin.Add(tc.after)
		for _, viewer := range []auth.Principal{{}, {Role: auth.Customer}, {Role: auth.Staff}, {Role: auth.Admin}} {
			one, err := s.queries.Product(t.Context(), viewer, id.String())
			if err != nil {
				t.Fatal(err)
			}
			batch, err := s.queries.Products(t.Context(), viewer, []uuid.UUID{id})
			if err != nil {
				t.Fatal(err)
			}
			page, err := s.queries.FindProducts(t.Context(), viewer, usecase.ProductQuery{PageSize: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range []usecase.ProductView{one, batch[0], page.Products[0]} {
				if (p.SalePrice != nil) != tc.applies || (tc.applies && *p.SalePrice != money.MustNew(750, "EUR")) {
					t.Errorf("%v, %s: sale price %v", tc.after, viewer.Role, p.SalePrice)
				}
				if (p.Discount != nil) != (tc.applies || viewer.IsStaff()) {
					t.Errorf("%v, %s: discount %v", tc.after, viewer.Role, p.Discount)
				}
			}
		}
	}
}

func TestChangesOfAnOldVersion(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.product(t, "A", 0)
	name := func(n string) domain.ProductChange { return domain.ProductChange{Name: &n} }
	if p, err := s.catalog.UpdateProduct(t.Context(), id, name("B"), new(int64(1))); err != nil || p.Version != 2 {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := s.catalog.UpdateProduct(t.Context(), id, name("C"), new(int64(1))); !errors.Is(err, domain.ErrProductChanged) {
		t.Errorf("update: %v", err)
	}
	// What the caller has not seen comes before what is wrong with the request.
	if _, err := s.catalog.UpdateProduct(t.Context(), id, name(""), new(int64(1))); !errors.Is(err, domain.ErrProductChanged) {
		t.Errorf("update: %v", err)
	}
	if _, err := s.catalog.ArchiveProduct(t.Context(), id, new(int64(1))); !errors.Is(err, domain.ErrProductChanged) {
		t.Errorf("archive: %v", err)
	}
	for range 2 {
		if p, err := s.catalog.ArchiveProduct(t.Context(), id, nil); err != nil || p.Status != domain.Archived || p.Version != 3 {
			t.Errorf("archive: %+v, %v", p, err)
		}
	}
	if _, err := s.catalog.ArchiveProduct(t.Context(), uuid.New(), new(int64(1))); !errors.Is(err, domain.ErrProductMissing) {
		t.Errorf("archive: %v", err)
	}

	c, err := s.catalog.CreateCategory(t.Context(), usecase.CreateCategory{Name: "Tea"})
	if err != nil {
		t.Fatal(err)
	}
	change := domain.CategoryChange{Name: new("Coffee")}
	if node, err := s.catalog.UpdateCategory(t.Context(), c.ID, change, new(int64(1))); err != nil || node.Version != 2 || node.Slug != "tea" {
		t.Errorf("got %+v, %v", node, err)
	}
	if _, err := s.catalog.UpdateCategory(t.Context(), c.ID, change, new(int64(1))); !errors.Is(err, domain.ErrCategoryChanged) {
		t.Errorf("update: %v", err)
	}
	if err := s.catalog.DeleteCategory(t.Context(), c.ID, new(int64(1))); !errors.Is(err, domain.ErrCategoryChanged) {
		t.Errorf("delete: %v", err)
	}
	if err := s.catalog.DeleteCategory(t.Context(), c.ID, new(int64(2))); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// TestForgottenInAMonth: a late reserve is refused for a month after the release.
func TestForgottenInAMonth(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id, order := s.product(t, "A", 5), uuid.New()
	if err := s.stock.Release(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	begin := s.now
	for _, tc := range []struct {
		after     time.Duration
		forgotten int
		want      error
	}{{30 * 24 * time.Hour, 0, domain.ErrReservationReleased}, {30*24*time.Hour + time.Microsecond, 1, nil}} {
		s.now = begin.Add(tc.after)
		if n, err := s.stock.ForgetOld(t.Context()); n != tc.forgotten || err != nil {
			t.Errorf("after %v: forgot %d, %v", tc.after, n, err)
		}
		_, err := s.stock.Reserve(t.Context(), order, 1, []domain.Line{{ProductID: id, Quantity: 1}}, time.Minute)
		if !errors.Is(err, tc.want) {
			t.Errorf("after %v: got %v, want %v", tc.after, err, tc.want)
		}
	}
}

// There are accessories in more than one department; a slug that was asked for is another matter.
func TestCategoriesOfOneName(t *testing.T) {
	t.Parallel()
	s := setup(t)
	long := strings.Repeat("accessory ", 9) + "and others"
	for _, name := range []string{"Accessories", long} {
		seen := make(map[string]bool)
		for range 3 {
			c, err := s.catalog.CreateCategory(t.Context(), usecase.CreateCategory{Name: name})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if seen[c.Slug] || len(c.Slug) > 100 || domain.Slugify(c.Slug) != c.Slug {
				t.Errorf("the slug of %s is %s", name, c.Slug)
			}
			seen[c.Slug] = true
		}
	}
	if _, err := s.catalog.CreateCategory(t.Context(), usecase.CreateCategory{Name: "Others", Slug: "accessories"}); !errors.Is(err, domain.ErrSlugTaken) {
		t.Errorf("asked for: %v", err)
	}
}
