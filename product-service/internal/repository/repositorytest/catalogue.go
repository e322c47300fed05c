package repositorytest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

func createProduct(t *testing.T, s Store) {
	category := addCategory(t, s, "Tea", uuid.Nil)
	d := details("TEA-1", "Grüner Tee", 899, category)
	d.ShortDescription, d.Description = "Green", "Long text"
	d.Images = []domain.Image{{URL: "https://images.shop.example/tea-1.jpg", Alt: "Tea"}}
	d.Attributes = map[string]string{"origin": "Uji"}
	p := newProduct(t, d, start)
	if err := s.CreateProduct(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	want := usecase.ProductView{ProductSnapshot: p.Snapshot()}
	same := []cmp.Option{cmpopts.EquateEmpty(), cmp.AllowUnexported(money.Money{})}
	for _, ref := range []domain.Ref{{ID: want.ID}, {Slug: "gruener-tee"}} {
		got, err := s.Product(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, same...); diff != "" {
			t.Errorf("by %+v (-want +got):\n%s", ref, diff)
		}
	}
	all, err := s.Products(t.Context(), []uuid.UUID{newID(t), want.ID})
	if diff := cmp.Diff([]usecase.ProductView{want}, all, same...); err != nil || diff != "" {
		t.Errorf("batch: %v (-want +got):\n%s", err, diff)
	}

	for _, tc := range []struct {
		name      string
		sku, slug string
		want      error
	}{
		{"SKU taken", "TEA-1", "other", domain.ErrSKUTaken},
		{"slug taken", "TEA-2", "gruener-tee", domain.ErrSlugTaken},
		{"both taken", "TEA-1", "gruener-tee", domain.ErrSKUTaken},
	} {
		d := details(tc.sku, "Other", 1)
		d.Slug = tc.slug
		if err := s.CreateProduct(t.Context(), newProduct(t, d, start)); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
	for _, ref := range []domain.Ref{{ID: newID(t)}, {Slug: "nothing"}, domain.ParseRef("a\x00b"), {}} {
		if _, err := s.Product(t.Context(), ref); !errors.Is(err, domain.ErrProductMissing) {
			t.Errorf("%+v: got %v", ref, err)
		}
	}
}

func unknownCategories(t *testing.T, s Store) {
	known, unknown := addCategory(t, s, "Tea", uuid.Nil), newID(t)
	err := s.CreateProduct(t.Context(), newProduct(t, details("TEA-1", "Tea", 1, known, unknown), start))
	if e := apperr.From(err); apperr.KindOf(err) != apperr.Invalid || len(e.Violations) != 1 || e.Violations[0].Location != "category_ids[1]" {
		t.Errorf("got %+v", err)
	}
	if _, err := s.Product(t.Context(), domain.Ref{Slug: "tea"}); !errors.Is(err, domain.ErrProductMissing) {
		t.Errorf("half a product was kept: %v", err)
	}
}

func addCategory(t testing.TB, s Store, name string, parent uuid.UUID) uuid.UUID {
	t.Helper()
	c, err := domain.NewCategory(newID(t), name, "", "", parent)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateCategory(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c.ID
}

func categories(t *testing.T, s Store) {
	drinks := addCategory(t, s, "Drinks", uuid.Nil)
	tea := addCategory(t, s, "Tea", drinks)
	green := addCategory(t, s, "Green Tea", tea)
	addCategory(t, s, "Coffee", drinks)
	addProduct(t, s, details("A", "In two", 1, tea, green), start)
	addProduct(t, s, details("B", "In one", 1, green), start)
	draft := details("C", "Draft", 1, tea)
	draft.Status = domain.Draft
	addProduct(t, s, draft, start)

	all, err := s.Categories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, c := range all {
		got[c.Slug] = c.ProductCount
	}
	if diff := cmp.Diff(map[string]int64{"drinks": 2, "tea": 2, "green-tea": 2, "coffee": 0}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}

	taken, err := domain.NewCategory(newID(t), "Tea", "", "", uuid.Nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateCategory(t.Context(), taken); !errors.Is(err, domain.ErrSlugTaken) {
		t.Errorf("got %v", err)
	}
	orphan, err := domain.NewCategory(newID(t), "Orphan", "", "", newID(t))
	if err != nil {
		t.Fatal(err)
	}
	err = s.CreateCategory(t.Context(), orphan)
	if e := apperr.From(err); apperr.KindOf(err) != apperr.Invalid || e.Violations[0].Location != "parent_id" {
		t.Errorf("got %v", err)
	}
}

func filters(t *testing.T, s Store) {
	drinks := addCategory(t, s, "Drinks", uuid.Nil)
	tea := addCategory(t, s, "Tea", drinks)
	food := addCategory(t, s, "Food", uuid.Nil)
	addProduct(t, s, details("cheap", "Cheap", 100, tea), start)
	mid := addProduct(t, s, details("mid", "Middle", 200, drinks, tea), start)
	addProduct(t, s, details("dear", "Dear", 300, food), start)
	for _, status := range []domain.ProductStatus{domain.Draft, domain.Archived} {
		d := details(string(status), "Not on sale: "+string(status), 100, tea)
		d.Status = status
		addProduct(t, s, d, start)
	}
	if _, _, err := s.AdjustStock(t.Context(), adjustment(t, mid, 1, "")); err != nil {
		t.Fatal(err)
	}
	ptr := func(n int64) *int64 { return &n }
	yes, no := true, false
	for name, tc := range map[string]struct {
		query usecase.ProductQuery
		want  []string
	}{
		"all":                 {usecase.ProductQuery{}, []string{"cheap", "mid", "dear"}},
		"at least":            {usecase.ProductQuery{MinPrice: ptr(200)}, []string{"mid", "dear"}},
		"at most":             {usecase.ProductQuery{MaxPrice: ptr(200)}, []string{"cheap", "mid"}},
		"descendants by slug": {usecase.ProductQuery{Category: "drinks"}, []string{"cheap", "mid"}},
		"descendants by id":   {usecase.ProductQuery{Category: drinks.String()}, []string{"cheap", "mid"}},
		"leaf":                {usecase.ProductQuery{Category: "food"}, []string{"dear"}},
		"not a category":      {usecase.ProductQuery{Category: "a\x00b"}, nil},
		"no such category":    {usecase.ProductQuery{Category: "nothing"}, nil},
		"in stock":            {usecase.ProductQuery{InStock: &yes}, []string{"mid"}},
		"not in stock":        {usecase.ProductQuery{InStock: &no}, []string{"cheap", "dear"}},
		"together":            {usecase.ProductQuery{Category: "tea", MaxPrice: ptr(150), InStock: &no}, []string{"cheap"}},
	} {
		tc.query.Sort, tc.query.PageSize, tc.query.IncludeTotal = usecase.SortPriceAsc, 10, true
		page, err := s.FindProducts(t.Context(), tc.query)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, skus(page.Products)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if *page.Total != int64(len(tc.want)) || page.Next != nil {
			t.Errorf("%s: total %d, next %v", name, *page.Total, page.Next)
		}
	}
}

func skus(products []usecase.ProductView) []string {
	var all []string
	for _, p := range products {
		all = append(all, p.SKU)
	}
	return all
}

// pages reads every order page by page: together the pages are the list, without gaps and doubles, though many products are
// equal in what the list is sorted by.
func pages(t *testing.T, s Store) {
	const n = 23
	for i := range n {
		name := fmt.Sprintf("Thing %c", 'a'+i/3)
		d := details(fmt.Sprintf("SKU-%02d", i), name, int64(100*(i/4)))
		d.Slug = fmt.Sprintf("thing-%d", i)
		addProduct(t, s, d, start.Add(time.Duration(i/5)*time.Microsecond))
	}
	for _, tc := range []struct {
		sort usecase.Sort
		text string
	}{
		{usecase.SortNewest, ""}, {usecase.SortPriceAsc, ""}, {usecase.SortPriceDesc, ""}, {usecase.SortName, ""},
		{usecase.SortRelevance, "thing"}, {usecase.SortPriceAsc, "thing"},
	} {
		whole, err := s.FindProducts(t.Context(), usecase.ProductQuery{Sort: tc.sort, Text: tc.text, PageSize: n})
		if err != nil {
			t.Fatal(err)
		}
		if len(whole.Products) != n || whole.Next != nil {
			t.Fatalf("%s: %d products, next %v", tc.sort, len(whole.Products), whole.Next)
		}
		ordered := slices.IsSortedFunc(whole.Products, func(a, b usecase.ProductView) int {
			switch tc.sort {
			case usecase.SortNewest:
				return b.CreatedAt.Compare(a.CreatedAt)
			case usecase.SortPriceAsc:
				return int(a.Price.Amount() - b.Price.Amount())
			case usecase.SortPriceDesc:
				return int(b.Price.Amount() - a.Price.Amount())
			case usecase.SortName:
				return slices.Compare([]byte(a.Name), []byte(b.Name))
			default:
				return 0
			}
		})
		if !ordered {
			t.Errorf("%s: not in order: %v", tc.sort, skus(whole.Products))
		}
		var (
			got   []string
			after *usecase.Cursor
		)
		for {
			page, err := s.FindProducts(t.Context(), usecase.ProductQuery{Sort: tc.sort, Text: tc.text, PageSize: 4, After: after})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, skus(page.Products)...)
			if after = page.Next; after == nil || len(got) > n {
				break
			}
		}
		if diff := cmp.Diff(skus(whole.Products), got); diff != "" {
			t.Errorf("%s: pages (-whole +pages):\n%s", tc.sort, diff)
		}
	}
}

func search(t *testing.T, s Store) {
	keyboard := details("KB-75", "Mechanical Keyboard", 1)
	keyboard.Description = "Switches without solder"
	chair := details("CH-1", "Café Chair", 1)
	chair.Attributes = map[string]string{"material": "bentwood"}
	laptop := details("LAP-15", "Laptop Pro 15", 1)
	sleeve := details("SLV", "Sleeve", 1)
	sleeve.Description = "Made for every laptop"
	draft := details("KB-00", "Keyboard Draft", 1)
	draft.Status = domain.Draft
	for _, d := range []domain.ProductDetails{keyboard, chair, laptop, sleeve, draft} {
		addProduct(t, s, d, start)
	}
	queries := usecase.NewQueries(s, s, s, clockAt(start)) // which correct typos
	for text, want := range map[string][]string{
		"keyboard":            {"KB-75"},
		"KEYBOARD mechanical": {"KB-75"},
		"mech key":            {"KB-75"}, // beginnings of words
		"keybord":             {"KB-75"}, // a letter lost
		"kyeboard":            {"KB-75"}, // two letters swapped
		"mechanicl keybord":   {"KB-75"},
		"chiar":               {"CH-1"}, // a short word
		"lptop":               {"LAP-15", "SLV"},
		"keybord KB-75":       {"KB-75"},
		"cafe":                {"CH-1"}, // without its mark
		"Café":                {"CH-1"},
		"kb-75":               {"KB-75"}, // the SKU
		"solder":              {"KB-75"}, // the description
		"bentwood":            {"CH-1"},  // an attribute
		"laptop":              {"LAP-15", "SLV"},
		"keyboard chair":      nil,
		"zzzz":                nil,
		"lop":                 nil, // too short to be a typo of anything
		"!&|():*'":            nil,
		"keyboard & ! ) :*":   {"KB-75"},
		"100%_":               nil,
	} {
		page, err := queries.FindProducts(t.Context(), auth.Principal{}, usecase.ProductQuery{Text: text, PageSize: 10})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if diff := cmp.Diff(want, skus(page.Products)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
