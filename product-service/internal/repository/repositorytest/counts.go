package repositorytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// wantCounts counts the active products of each category one by one, and compares.
func wantCounts(t testing.TB, s Store) {
	t.Helper()
	categories, err := s.Categories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parents := make(map[uuid.UUID]uuid.UUID)
	for _, c := range categories {
		parents[c.ID] = c.ParentID
	}
	counts := make(map[uuid.UUID]int64)
	for q := (usecase.ProductQuery{Sort: usecase.SortNewest, PageSize: 100}); ; {
		page, err := s.FindProducts(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Products {
			in := make(map[uuid.UUID]bool)
			for _, id := range p.CategoryIDs {
				for ; id != uuid.Nil; id = parents[id] {
					in[id] = true
				}
			}
			for id := range in {
				counts[id]++
			}
		}
		if q.After = page.Next; q.After == nil {
			break
		}
	}
	for _, c := range categories {
		if c.ProductCount != counts[c.ID] {
			t.Errorf("%s counts %d products, there are %d", c.Slug, c.ProductCount, counts[c.ID])
		}
	}
}

// countsProperty lets several actors put products into categories, take them out, off and on sale, import them and move the
// categories, and then counts.
func countsProperty(t *testing.T, s Store) {
	ids := make([]uuid.UUID, 5)
	for i := range ids {
		ids[i] = addCategory(t, s, fmt.Sprint("Category ", i), uuid.Nil)
	}
	type act struct {
		verb     string
		product  int
		status   domain.ProductStatus
		in       []uuid.UUID
		from, to uuid.UUID
	}
	catalog := usecase.NewCatalog(s, s, "EUR", clockAt(later))
	rapid.Check(t, func(rt *rapid.T) {
		skus := make([]string, 3)
		products := make([]uuid.UUID, len(skus))
		for i := range skus {
			skus[i] = newID(t).String()
			products[i] = addProduct(t, s, details(skus[i], "Product "+skus[i], 1, ids[i]), start)
		}
		oneAct := rapid.Custom(func(rt *rapid.T) act {
			return act{
				verb:    rapid.SampledFrom([]string{"update", "update", "import", "import", "move"}).Draw(rt, "verb"),
				product: rapid.IntRange(0, len(skus)-1).Draw(rt, "product"),
				status:  rapid.SampledFrom([]domain.ProductStatus{domain.Active, domain.Active, domain.Draft, domain.Archived}).Draw(rt, "status"),
				in:      rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, 3, rapid.ID).Draw(rt, "categories"),
				from:    rapid.SampledFrom(ids).Draw(rt, "from"),
				to:      rapid.SampledFrom(append(slices.Clone(ids), uuid.Nil)).Draw(rt, "to"),
			}
		})
		actors := rapid.SliceOfN(rapid.SliceOfN(oneAct, 1, 4), 1, 4).Draw(rt, "actors")
		ctx := context.WithoutCancel(t.Context())
		errs := together(len(actors), func(i int) error {
			for _, a := range actors[i] {
				var err error
				change := domain.ProductChange{SKU: &skus[a.product], CategoryIDs: &a.in, Status: &a.status}
				switch a.verb {
				case "update":
					_, err = catalog.UpdateProduct(ctx, products[a.product], change, nil)
				case "import":
					other := line(skus[a.product]+"-new", "New "+skus[a.product], func(c *domain.ProductChange) { c.CategoryIDs, c.Status = &a.in, &a.status })
					_, err = catalog.Import(ctx, []usecase.ImportLine{other, {Change: change}})
				default:
					if err = move(t, s, a.from, a.to); errors.Is(err, domain.ErrCategoryCycle) {
						err = nil
					}
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err := errors.Join(errs...); err != nil {
			rt.Fatal(err)
		}
		wantCounts(t, s)
	})
}
