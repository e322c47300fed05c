package repositorytest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// sameProduct compares products as they are told apart outside.
var sameProduct = []cmp.Option{cmpopts.EquateEmpty(), cmp.AllowUnexported(money.Money{})}

// later is when the changes take place.
var later = start.Add(time.Hour)

func updateProduct(t *testing.T, s Store) {
	tea, coffee := addCategory(t, s, "Tea", uuid.Nil), addCategory(t, s, "Coffee", uuid.Nil)
	id := addProduct(t, s, details("TEA-1", "Green Tea", 899, tea, coffee), start)
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, id, 5, "")); err != nil {
		t.Fatal(err)
	}
	forOnce := &domain.Discount{Type: domain.Percent, Value: 25, StartsAt: start, EndsAt: later}
	for i, step := range []struct {
		change domain.ProductChange
		then   func(*domain.ProductSnapshot)
	}{
		{domain.ProductChange{Name: new("Sencha"), Slug: new("sencha"), SKU: new("TEA-2"), Price: new(money.MustNew(999, "EUR"))}, func(p *domain.ProductSnapshot) {
			p.Name, p.Slug, p.SKU, p.Price = "Sencha", "sencha", "TEA-2", money.MustNew(999, "EUR")
		}},
		{domain.ProductChange{CategoryIDs: &[]uuid.UUID{coffee}, Attributes: &map[string]string{"origin": "Uji"}}, func(p *domain.ProductSnapshot) {
			p.CategoryIDs, p.Attributes = []uuid.UUID{coffee}, map[string]string{"origin": "Uji"}
		}},
		{domain.ProductChange{CategoryIDs: &[]uuid.UUID{}, Images: &[]domain.Image{{URL: "https://images.shop.example/a.jpg"}}}, func(p *domain.ProductSnapshot) {
			p.CategoryIDs, p.Images = nil, []domain.Image{{URL: "https://images.shop.example/a.jpg"}}
		}},
		{domain.ProductChange{CategoryIDs: &[]uuid.UUID{coffee, tea}, Attributes: &map[string]string{}}, func(p *domain.ProductSnapshot) {
			p.CategoryIDs, p.Attributes = []uuid.UUID{coffee, tea}, nil
		}},
		{domain.ProductChange{Discount: forOnce, ShortDescription: new("short"), Description: new("long")}, func(p *domain.ProductSnapshot) {
			p.Discount, p.ShortDescription, p.Description = forOnce, "short", "long"
		}},
		{domain.ProductChange{Discount: &domain.Discount{Type: domain.Fixed, Value: 3}}, func(p *domain.ProductSnapshot) {
			p.Discount = &domain.Discount{Type: domain.Fixed, Value: 3}
		}},
		{domain.ProductChange{RemoveDiscount: true, Status: new(domain.Archived)}, func(p *domain.ProductSnapshot) {
			p.Discount, p.Status = nil, domain.Archived
		}},
		{domain.ProductChange{Status: new(domain.Archived), Name: new("Sencha"), CategoryIDs: &[]uuid.UUID{coffee, tea}}, nil},
	} {
		want, err := s.Product(t.Context(), domain.Ref{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if step.then != nil {
			step.then(&want.ProductSnapshot)
			want.Version, want.UpdatedAt = want.Version+1, later
		}
		answered, err := s.UpdateProduct(t.Context(), id, func(p *domain.Product) error { return p.Change(step.change, "EUR", later) })
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		got, err := s.Product(t.Context(), domain.Ref{Slug: want.Slug})
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if diff := cmp.Diff(want, got, sameProduct...); diff != "" {
			t.Errorf("%d (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(want, answered, sameProduct...); diff != "" {
			t.Errorf("%d answered (-want +got):\n%s", i, diff)
		}
	}
	// What it was called before is free again.
	addProduct(t, s, details("TEA-1", "Green Tea", 1), start)
}

func updateProductRefused(t *testing.T, s Store) {
	a, b := addProduct(t, s, details("A", "One", 1), start), addProduct(t, s, details("B", "Two", 2), start)
	change := func(c domain.ProductChange) func(*domain.Product) error {
		return func(p *domain.Product) error { return p.Change(c, "EUR", later) }
	}
	no := errors.New("no")
	for name, tc := range map[string]struct {
		id     uuid.UUID
		change func(*domain.Product) error
		want   error
	}{
		"not there":        {newID(t), change(domain.ProductChange{}), domain.ErrProductMissing},
		"SKU taken":        {b, change(domain.ProductChange{SKU: new("A")}), domain.ErrSKUTaken},
		"slug taken":       {b, change(domain.ProductChange{Slug: new("one")}), domain.ErrSlugTaken},
		"both taken":       {b, change(domain.ProductChange{SKU: new("A"), Slug: new("one")}), domain.ErrSKUTaken},
		"unknown category": {a, change(domain.ProductChange{CategoryIDs: &[]uuid.UUID{newID(t)}}), domain.UnknownCategories([]uuid.UUID{{}}, nil)},
		"its own":          {a, change(domain.ProductChange{SKU: new("A"), Slug: new("one")}), nil},
		"refused": {a, func(p *domain.Product) error {
			if err := change(domain.ProductChange{Name: new("Other")})(p); err != nil {
				return err
			}
			return no
		}, no},
	} {
		if _, err := s.UpdateProduct(t.Context(), tc.id, tc.change); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
	for id, name := range map[uuid.UUID]string{a: "One", b: "Two"} {
		if p, err := s.Product(t.Context(), domain.Ref{ID: id}); err != nil || p.Name != name || p.Version != 1 {
			t.Errorf("got %+v, %v", p, err)
		}
	}
}

// raceOfUpdates lets many change one product that all have seen. One wins.
func raceOfUpdates(t *testing.T, s Store) {
	id := addProduct(t, s, details("A", "Name", 1), start)
	errs := together(16, func(i int) error {
		_, err := s.UpdateProduct(t.Context(), id, func(p *domain.Product) error {
			if err := p.Expect(new(int64(1))); err != nil {
				return err
			}
			return p.Change(domain.ProductChange{Name: new(fmt.Sprint("Name ", i))}, "EUR", later)
		})
		return err
	})
	if n := allowed(t, errs, domain.ErrProductChanged); n != 1 {
		t.Errorf("%d changed one version", n)
	}
	if p, err := s.Product(t.Context(), domain.Ref{ID: id}); err != nil || p.Version != 2 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func move(t testing.TB, s Store, id, parent uuid.UUID) error {
	t.Helper()
	return s.UpdateCategory(t.Context(), id, func(c domain.Category, parents map[uuid.UUID]uuid.UUID) (domain.Category, error) {
		return c.Change(domain.CategoryChange{ParentID: &parent}, parents)
	})
}

func categoryBySlug(t testing.TB, s Store, slug string) domain.Category {
	t.Helper()
	all, err := s.Categories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Slug == slug {
			return c
		}
	}
	t.Fatalf("no category %s in %+v", slug, all)
	return domain.Category{}
}

func updateCategory(t *testing.T, s Store) {
	drinks, food := addCategory(t, s, "Drinks", uuid.Nil), addCategory(t, s, "Food", uuid.Nil)
	tea := addCategory(t, s, "Tea", drinks)
	green := addCategory(t, s, "Green", tea)
	addProduct(t, s, details("A", "Sencha", 1, green), start)

	for _, tc := range []struct {
		name       string
		id, parent uuid.UUID
		want       error
	}{
		{"below itself", drinks, drinks, domain.ErrCategoryCycle},
		{"below its grandchild", drinks, green, domain.ErrCategoryCycle},
		{"below nothing that there is", tea, newID(t), domain.ErrParentMissing},
		{"not there", newID(t), drinks, domain.ErrCategoryMissing},
		{"where it is", tea, drinks, nil},
	} {
		if err := move(t, s, tc.id, tc.parent); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	if c := categoryBySlug(t, s, "tea"); c.Version != 1 || c.ParentID != drinks {
		t.Errorf("nothing has changed, got %+v", c)
	}

	// The products move with their category.
	for _, tc := range []struct {
		parent                uuid.UUID
		inDrinks, inFood, tea int64
	}{{food, 0, 1, 1}, {uuid.Nil, 0, 0, 1}, {drinks, 1, 0, 1}} {
		if err := move(t, s, tea, tc.parent); err != nil {
			t.Fatal(err)
		}
		got := []int64{categoryBySlug(t, s, "drinks").ProductCount, categoryBySlug(t, s, "food").ProductCount, categoryBySlug(t, s, "tea").ProductCount}
		if diff := cmp.Diff([]int64{tc.inDrinks, tc.inFood, tc.tea}, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	}

	change := domain.CategoryChange{Name: new("Chá"), Slug: new("cha"), Description: new("Leaves")}
	err := s.UpdateCategory(t.Context(), tea, func(c domain.Category, parents map[uuid.UUID]uuid.UUID) (domain.Category, error) {
		return c.Change(change, parents)
	})
	want := domain.Category{ID: tea, Slug: "cha", Name: "Chá", Description: "Leaves", ParentID: drinks, Version: 5, ProductCount: 1}
	if diff := cmp.Diff(want, categoryBySlug(t, s, "cha")); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	err = s.UpdateCategory(t.Context(), tea, func(c domain.Category, parents map[uuid.UUID]uuid.UUID) (domain.Category, error) {
		return c.Change(domain.CategoryChange{Slug: new("food")}, parents)
	})
	if !errors.Is(err, domain.ErrSlugTaken) {
		t.Errorf("got %v", err)
	}
}

func deleteCategory(t *testing.T, s Store) {
	drinks := addCategory(t, s, "Drinks", uuid.Nil)
	tea := addCategory(t, s, "Tea", drinks)
	archived := details("A", "Sencha", 1, tea)
	archived.Status = domain.Archived
	product := addProduct(t, s, archived, start)
	agreed := func(domain.Category) error { return nil }
	for _, id := range []uuid.UUID{drinks, tea} {
		if err := s.DeleteCategory(t.Context(), id, agreed); !errors.Is(err, domain.ErrCategoryInUse) {
			t.Errorf("in use: got %v", err)
		}
	}
	if _, err := s.UpdateProduct(t.Context(), product, func(p *domain.Product) error {
		return p.Change(domain.ProductChange{CategoryIDs: &[]uuid.UUID{}}, "EUR", later)
	}); err != nil {
		t.Fatal(err)
	}
	err := s.DeleteCategory(t.Context(), tea, func(c domain.Category) error { return c.Expect(new(int64(2))) })
	if !errors.Is(err, domain.ErrCategoryChanged) {
		t.Errorf("another version: got %v", err)
	}
	for _, id := range []uuid.UUID{tea, drinks} {
		if err := s.DeleteCategory(t.Context(), id, agreed); err != nil {
			t.Errorf("got %v", err)
		}
		if err := s.DeleteCategory(t.Context(), id, agreed); !errors.Is(err, domain.ErrCategoryMissing) {
			t.Errorf("again: got %v", err)
		}
	}
}

// raceOfMoves lets categories move below each other at the same time. Each move alone is possible; together they would
// close a circle.
func raceOfMoves(t *testing.T, s Store) {
	const n = 8
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = addCategory(t, s, fmt.Sprint("Category ", i), uuid.Nil)
	}
	errs := together(4*n, func(i int) error { return move(t, s, ids[i%n], ids[(i+1+i/n)%n]) })
	allowed(t, errs, domain.ErrCategoryCycle)
	all, err := s.Categories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var count func([]*domain.CategoryNode) int
	count = func(nodes []*domain.CategoryNode) int {
		sum := len(nodes)
		for _, node := range nodes {
			sum += count(node.Children)
		}
		return sum
	}
	if reached := count(domain.BuildTree(all)); reached != n {
		t.Errorf("%d of %d categories can be reached from a root", reached, n)
	}
}

// raceToUseACategory lets products and children come into categories that are being deleted. Whoever is first, no product and
// no category is left in nothing, and nobody waits for good.
func raceToUseACategory(t *testing.T, s Store) {
	const n = 12
	var ids, products [n]uuid.UUID
	for i := range ids {
		ids[i] = addCategory(t, s, fmt.Sprint("Category ", i), uuid.Nil)
		products[i] = addProduct(t, s, details(fmt.Sprint("SKU-", i), fmt.Sprint("Product ", i), 1, ids[i]), start)
	}
	errs := together(5*n, func(i int) error {
		id := ids[i%n]
		switch i / n {
		case 0:
			return s.DeleteCategory(t.Context(), id, func(domain.Category) error { return nil })
		case 1: // into another that may be deleted, and only for half of them out of the one that they are in
			to := []uuid.UUID{ids[(i+1)%n]}
			if i%2 == 0 {
				to = append(to, id)
			}
			_, err := s.UpdateProduct(t.Context(), products[i%n], func(p *domain.Product) error {
				return p.Change(domain.ProductChange{CategoryIDs: &to}, "EUR", later)
			})
			return err
		case 2:
			return s.CreateProduct(t.Context(), newProduct(t, details(fmt.Sprint("NEW-", i), fmt.Sprint("New ", i), 1, id, ids[(i+5)%n]), start))
		case 3:
			return move(t, s, ids[(i+3)%n], id)
		default:
			c, err := domain.NewCategory(newID(t), fmt.Sprint("Child ", i), "", "", id)
			if err != nil {
				return err
			}
			return s.CreateCategory(t.Context(), c)
		}
	})
	invalid := domain.ErrParentMissing // and unknown categories of a product, which is of the same kind
	allowed(t, errs, domain.ErrCategoryInUse, domain.ErrCategoryMissing, domain.ErrCategoryCycle, invalid)
	all, err := s.Categories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := map[uuid.UUID]bool{uuid.Nil: true}
	for _, c := range all {
		known[c.ID] = true
	}
	for _, c := range all {
		if !known[c.ParentID] {
			t.Errorf("%s is below nothing", c.Slug)
		}
	}
	page, err := s.FindProducts(t.Context(), usecase.ProductQuery{Sort: usecase.SortNewest, PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range page.Products {
		for _, id := range p.CategoryIDs {
			if !known[id] {
				t.Errorf("%s is in a category that there is not", p.SKU)
			}
		}
	}
	wantCounts(t, s)
}

// reasons are those of the results of an import, "created" and "updated" where it went well.
func reasons(results []usecase.ImportResult) []string {
	var all []string
	for _, r := range results {
		switch {
		case r.Err != nil:
			reason := r.Err.Reason
			for _, v := range r.Err.Violations {
				reason += " " + v.Location
			}
			all = append(all, reason)
		case r.Created:
			all = append(all, "created")
		default:
			all = append(all, "updated")
		}
	}
	return all
}

// line is a line of an import about a product with a name and a price.
func line(sku, name string, more func(*domain.ProductChange)) usecase.ImportLine {
	c := domain.ProductChange{SKU: &sku, Name: &name, Price: new(money.MustNew(100, "EUR"))}
	if more != nil {
		more(&c)
	}
	return usecase.ImportLine{Change: c}
}

func runImport(t testing.TB, s Store, at time.Time, lines ...usecase.ImportLine) []usecase.ImportResult {
	t.Helper()
	results, err := usecase.NewCatalog(s, s, "EUR", clockAt(at)).Import(t.Context(), lines)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func importProducts(t *testing.T, s Store) {
	tea := addCategory(t, s, "Tea", uuid.Nil)
	there := addProduct(t, s, details("THERE", "There", 900, tea), start)
	addProduct(t, s, details("OTHER", "Other", 900), start)
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, there, 5, "")); err != nil {
		t.Fatal(err)
	}
	lines := []usecase.ImportLine{
		line("NEW-1", "New", func(c *domain.ProductChange) { c.CategoryIDs, c.Status = &[]uuid.UUID{tea}, new(domain.Active) }),
		line("NEW-2", "New", nil), // one name, another slug
		line(" THERE ", "There now", nil),
		line("NEW-3", "Third", func(c *domain.ProductChange) { c.Slug = new("other") }),
		line("OTHER", "Other", func(c *domain.ProductChange) { c.Slug = new("new") }),
		line("NEW-4", "Fourth", func(c *domain.ProductChange) { c.CategoryIDs = &[]uuid.UUID{tea, newID(t)} }),
		line("NEW-5", "Fifth", func(c *domain.ProductChange) { c.Price = new(money.MustNew(1, "USD")) }),
		line("", "", func(c *domain.ProductChange) { c.Price = nil }),
		line("NEW\x00", "NUL", func(c *domain.ProductChange) { c.Slug = new("\x00") }),
		{Change: domain.ProductChange{SKU: new("THERE"), Slug: new("Not A Slug"), Discount: &domain.Discount{Type: domain.Percent, Value: 101}}},
		{Change: domain.ProductChange{SKU: new("OTHER"), ShortDescription: new("only this")}},
		{Change: domain.ProductChange{SKU: new("NEW-6")}, Unreadable: apperr.InvalidField("price.currency", "It must be an ISO 4217 code.")},
		{Change: domain.ProductChange{SKU: new("NEW-1"), Name: new("New again"), Discount: &domain.Discount{Type: domain.Fixed, Value: 10}}},
		{Change: domain.ProductChange{SKU: new("NEW-1"), Name: new("")}},
		line("new-2", "New", nil), // another SKU, which no slug tells from NEW-2
	}
	results := runImport(t, s, later, lines...)
	want := []string{
		"created", "created", "updated", "slug_taken", "slug_taken", "validation_failed category_ids[1]", "validation_failed price.currency",
		"validation_failed sku name price", "validation_failed sku slug", "validation_failed slug discount.value", "updated",
		"validation_failed price.currency", "updated", "validation_failed name", "created",
	}
	if diff := cmp.Diff(want, reasons(results)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if results[2].ProductID != there || results[12].ProductID != results[0].ProductID {
		t.Errorf("ids: %+v", results)
	}
	type kept struct {
		SKU, Name, Short string
		Price, Version   int64
		Status           domain.ProductStatus
		OnHand           int64
		Discounted       bool
	}
	for slug, want := range map[string]kept{
		"new":       {"NEW-1", "New again", "", 100, 1, domain.Active, 0, true},
		"new-new-2": {"NEW-2", "New", "", 100, 1, domain.Draft, 0, false},
		"product-" + results[14].ProductID.String(): {"new-2", "New", "", 100, 1, domain.Draft, 0, false},
		"there": {"THERE", "There now", "", 100, 2, domain.Active, 5, false},
		"other": {"OTHER", "Other", "only this", 900, 2, domain.Active, 0, false},
	} {
		p, err := s.Product(t.Context(), domain.Ref{Slug: slug})
		if err != nil {
			t.Fatalf("%s: %v", slug, err)
		}
		got := kept{p.SKU, p.Name, p.ShortDescription, p.Price.Amount(), p.Version, p.Status, p.Stock.OnHand, p.Discount != nil}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", slug, diff)
		}
	}
	// A product of an import is like any other: it is counted and found, and has a stock.
	if n := categoryBySlug(t, s, "tea").ProductCount; n != 2 {
		t.Errorf("%d products in the category", n)
	}
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, results[1].ProductID, 5, "")); err != nil {
		t.Error(err)
	}
	for _, sku := range []string{"NEW-3", "NEW-4", "NEW-5"} {
		if page, err := s.FindProducts(t.Context(), usecase.ProductQuery{Text: sku, Sort: usecase.SortRelevance, PageSize: 1}); err != nil || len(page.Products) > 0 {
			t.Errorf("%s was kept: %v", sku, err)
		}
	}
}

// importIsRepeatable runs one import twice: the second time, nothing changes.
func importIsRepeatable(t *testing.T, s Store) {
	tea, coffee := addCategory(t, s, "Tea", uuid.Nil), addCategory(t, s, "Coffee", uuid.Nil)
	full := func(c *domain.ProductChange) {
		c.CategoryIDs, c.Status = &[]uuid.UUID{coffee, tea}, new(domain.Active)
		c.Images = &[]domain.Image{{URL: "https://images.shop.example/a.jpg", Alt: "A"}}
		c.Attributes = &map[string]string{"origin": "Uji"}
		c.Discount = &domain.Discount{Type: domain.Percent, Value: 10, StartsAt: start, EndsAt: later.Add(time.Nanosecond)}
	}
	lines := []usecase.ImportLine{
		line("A", "Tea", full), line("B", "Tea", nil), line("C", "Tea", func(c *domain.ProductChange) { c.Status = new(domain.ProductStatus("gone")) }),
		line("A", "Tea, better", full), line("D", " Spaces ", nil),
	}
	read := func() []usecase.ProductView {
		var all []usecase.ProductView
		for _, slug := range []string{"tea", "tea-b", "spaces"} {
			p, err := s.Product(t.Context(), domain.Ref{Slug: slug})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		return all
	}
	first := runImport(t, s, start, lines...)
	before := read()
	second := runImport(t, s, later, lines...)
	if diff := cmp.Diff([]string{"created", "created", "validation_failed status", "updated", "created"}, reasons(first)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"updated", "updated", "validation_failed status", "updated", "updated"}, reasons(second)); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, read(), sameProduct...); diff != "" {
		t.Errorf("products (-first +second):\n%s", diff)
	}
	for i := range first {
		if first[i].ProductID != second[i].ProductID {
			t.Errorf("line %d: %v and %v", i, first[i].ProductID, second[i].ProductID)
		}
	}
}

// importMovesSlugs lets slugs go from one product to the next within one import.
func importMovesSlugs(t *testing.T, s Store) {
	skus := []string{"A", "B", "C"}
	for _, sku := range skus {
		addProduct(t, s, details(sku, "Was "+sku, 1), start)
	}
	withSlug := func(sku, slug string) usecase.ImportLine {
		return line(sku, "Is "+sku, func(c *domain.ProductChange) { c.Slug = &slug })
	}
	results := runImport(t, s, later,
		withSlug("A", "free"), withSlug("B", "was-a"), withSlug("A", "was-b"), // A and B have changed places
		withSlug("C", "free"), withSlug("NEW", "was-c"), withSlug("B", "free"))
	want := []string{"updated", "updated", "updated", "updated", "created", "slug_taken"}
	if diff := cmp.Diff(want, reasons(results)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	for slug, sku := range map[string]string{"was-b": "A", "was-a": "B", "free": "C", "was-c": "NEW"} {
		if p, err := s.Product(t.Context(), domain.Ref{Slug: slug}); err != nil || p.SKU != sku {
			t.Errorf("%s is %s, want %s: %v", slug, p.SKU, sku, err)
		}
	}
}

// importAndOthers lets imports meet each other and single changes that want the same SKUs and slugs, in all orders.
func importAndOthers(t *testing.T, s Store) {
	tea := addCategory(t, s, "Tea", uuid.Nil)
	const n = 10
	catalog := usecase.NewCatalog(s, s, "EUR", clockAt(later))
	errs := together(24, func(i int) error {
		var lines []usecase.ImportLine
		for j := range n {
			k := (i + j*(1+2*(i%4))) % n // the same in another order
			lines = append(lines, line(fmt.Sprint("SKU-", k), fmt.Sprint("Name ", (k+i)%n), func(c *domain.ProductChange) { c.CategoryIDs = &[]uuid.UUID{tea} }))
		}
		switch i % 3 {
		case 0:
			results, err := catalog.Import(t.Context(), lines)
			for _, r := range results {
				// A product that was given another SKU has taken the slug with it that was made for the first one.
				if r.Err != nil && !errors.Is(r.Err, domain.ErrSlugTaken) {
					t.Errorf("got %v", r.Err)
				}
			}
			return err
		case 1:
			_, err := catalog.CreateProduct(t.Context(), lines[0].Change.Details())
			return err
		default:
			for _, l := range lines {
				p, err := s.Product(t.Context(), domain.Ref{Slug: fmt.Sprint("name-", i%n)})
				if errors.Is(err, domain.ErrProductMissing) {
					continue
				}
				if err != nil {
					return err
				}
				if _, err := catalog.UpdateProduct(t.Context(), p.ID, l.Change, nil); err != nil && !errors.Is(err, domain.ErrSKUTaken) {
					return err
				}
			}
			return nil
		}
	})
	allowed(t, errs, domain.ErrSKUTaken, domain.ErrSlugTaken)
	if got := categoryBySlug(t, s, "tea").ProductCount; got != 0 {
		t.Errorf("%d drafts are counted", got)
	}
}
