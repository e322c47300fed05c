package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
)

// kept is a product as a store has it.
func kept(t *testing.T) *domain.Product {
	t.Helper()
	p, err := domain.NewProduct(uuid.New(), details(), "EUR", now)
	if err != nil {
		t.Fatal(err)
	}
	return domain.RestoreProduct(p.Snapshot())
}

func TestChange(t *testing.T) {
	t.Parallel()
	p, later := kept(t), now.Add(time.Hour)
	change := func(c domain.ProductChange) {
		t.Helper()
		if err := p.Change(c, "EUR", later); err != nil {
			t.Fatal(err)
		}
	}
	before := p.Snapshot()
	change(domain.ProductChange{})
	change(domain.ProductChange{Name: new(" Green Tea "), Price: new(money.MustNew(899, "EUR")), Attributes: &map[string]string{}, RemoveDiscount: true})
	if p.Changed() || p.Snapshot().Version != 1 || !p.Snapshot().UpdatedAt.Equal(now) {
		t.Errorf("nothing has changed: %+v", p.Snapshot())
	}
	change(domain.ProductChange{Name: new("Sencha")})
	change(domain.ProductChange{Price: new(money.MustNew(1, "EUR"))})
	if s := p.Snapshot(); !p.Changed() || s.Version != 2 || !s.UpdatedAt.Equal(later) || s.Slug != "green-tea" || s.Name != "Sencha" {
		t.Errorf("two changes are one version, and a link goes on: %+v", s)
	}
	change(domain.ProductChange{Name: new("Green Tea"), Price: &before.Price})
	if diff := cmp.Diff(before, p.Snapshot(), cmp.AllowUnexported(money.Money{})); p.Changed() || diff != "" {
		t.Errorf("changed back (-want +got):\n%s", diff)
	}
	if err := p.Expect(new(int64(2))); !errors.Is(err, domain.ErrProductChanged) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(p.Expect(new(int64(1))), p.Expect(nil)); err != nil {
		t.Error(err)
	}
}

func TestChangeNamesEveryMistake(t *testing.T) {
	t.Parallel()
	p := kept(t)
	for name, tc := range map[string]struct {
		change domain.ProductChange
		want   []string
	}{
		"blank":                {domain.ProductChange{SKU: new(" "), Slug: new(""), Name: new("")}, []string{"sku", "name", "slug"}},
		"another currency":     {domain.ProductChange{Price: new(money.MustNew(1, "USD"))}, []string{"price.currency"}},
		"a status that is not": {domain.ProductChange{Status: new(domain.ProductStatus(""))}, []string{"status"}},
		"discount":             {domain.ProductChange{Discount: &domain.Discount{}}, []string{"discount.type"}},
		"discount, and none":   {domain.ProductChange{Discount: &domain.Discount{Type: domain.Percent, Value: 1}, RemoveDiscount: true}, []string{"remove_discount"}},
		"image":                {domain.ProductChange{Images: &[]domain.Image{{URL: "ftp://a/b"}}}, []string{"images[0].url"}},
	} {
		if diff := cmp.Diff(tc.want, locations(p.Change(tc.change, "EUR", now))); diff != "" {
			t.Errorf("%s: locations (-want +got):\n%s", name, diff)
		}
		if p.Changed() {
			t.Fatalf("%s: changed all the same", name)
		}
	}
}

// TestEveryStatusFollowsEveryOther: archiving by mistake can be undone.
func TestEveryStatusFollowsEveryOther(t *testing.T) {
	t.Parallel()
	all := []domain.ProductStatus{domain.Draft, domain.Active, domain.Archived}
	for _, from := range all {
		for _, to := range all {
			s := kept(t).Snapshot()
			s.Status = from
			p := domain.RestoreProduct(s)
			if err := p.Change(domain.ProductChange{Status: &to}, "EUR", now); err != nil || p.Snapshot().Status != to || p.Changed() != (from != to) {
				t.Errorf("%s to %s: %v, %+v", from, to, err, p.Snapshot())
			}
		}
	}
}

func TestCategoryChange(t *testing.T) {
	t.Parallel()
	root, child, grandchild, other := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	parents := map[uuid.UUID]uuid.UUID{root: uuid.Nil, child: root, grandchild: child, other: uuid.Nil}
	c := domain.Category{ID: child, Slug: "tea", Name: "Tea", ParentID: root, Version: 3}
	for name, tc := range map[string]struct {
		change  domain.CategoryChange
		want    error
		version int64
	}{
		"nothing":       {domain.CategoryChange{}, nil, 3},
		"the same":      {domain.CategoryChange{Name: new("Tea "), ParentID: &root}, nil, 3},
		"name":          {domain.CategoryChange{Name: new("Chá")}, nil, 4},
		"a root":        {domain.CategoryChange{ParentID: &uuid.Nil}, nil, 4},
		"aside":         {domain.CategoryChange{ParentID: &other}, nil, 4},
		"below itself":  {domain.CategoryChange{ParentID: &child}, domain.ErrCategoryCycle, 0},
		"below its own": {domain.CategoryChange{ParentID: &grandchild}, domain.ErrCategoryCycle, 0},
	} {
		got, err := c.Change(tc.change, parents)
		if !errors.Is(err, tc.want) || got.Version != tc.version {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for want, change := range map[string]domain.CategoryChange{
		"parent_id": {ParentID: new(uuid.New())}, "slug": {Slug: new("Tea!")}, "name": {Name: new(" ")},
	} {
		if _, err := c.Change(change, parents); len(locations(err)) != 1 || locations(err)[0] != want {
			t.Errorf("%s: got %v", want, err)
		}
	}
	if err := errors.Join(c.Expect(nil), c.Expect(new(int64(3)))); err != nil {
		t.Error(err)
	}
	if err := c.Expect(new(int64(2))); !errors.Is(err, domain.ErrCategoryChanged) {
		t.Errorf("got %v", err)
	}
}

func TestCountProducts(t *testing.T) {
	t.Parallel()
	root, left, right, leaf, gone := uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()
	categories := []domain.Category{{ID: root}, {ID: left, ParentID: root}, {ID: right, ParentID: root}, {ID: leaf, ParentID: left}}
	domain.CountProducts(categories, []domain.CategorySet{
		{CategoryIDs: []uuid.UUID{leaf}, Products: 1},
		{CategoryIDs: []uuid.UUID{leaf, left}, Products: 10},
		{CategoryIDs: []uuid.UUID{right, leaf}, Products: 100},
		{CategoryIDs: []uuid.UUID{root, gone}, Products: 1000},
	})
	for i, want := range []int64{1111, 111, 100, 111} {
		if got := categories[i].ProductCount; got != want {
			t.Errorf("category %d counts %d products, want %d", i, got, want)
		}
	}
}
