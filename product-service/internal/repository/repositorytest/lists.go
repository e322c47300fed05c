package repositorytest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/platform/auth"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/memory"
	"shop.example/product-service/internal/usecase"
)

// listsProperty asks a store for random lists, page by page, while products come in that belong on these pages. What was there
// before must be on them once each, in the order of the model: no product twice, and none lost.
func listsProperty(t *testing.T, s Store) {
	model := memory.New()
	var (
		tree   []uuid.UUID
		random = rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same products in every run
		words  = strings.Fields("mug mugs steel steely oak lamp lamps desk keyboard keyboards")
		others = strings.Fields("handmade machined steel mug lasting")
	)
	for i := range 6 {
		parent := uuid.Nil
		if i > 1 {
			parent = tree[i/2-1]
		}
		c, err := domain.NewCategory(newID(t), fmt.Sprint("Category ", i), "", "", parent)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.CreateCategory(t.Context(), c), model.CreateCategory(t.Context(), c)); err != nil {
			t.Fatal(err)
		}
		tree = append(tree, c.ID)
	}
	// Few different times, prices and names: most of the order is left to the ids.
	some := func() (*domain.Product, int64) {
		pick := func(from []string) string { return from[random.IntN(len(from))] }
		d := details(uuid.NewString(), pick(words)+" "+pick(words)+" "+pick(words), int64(random.IntN(5)*100))
		for _, i := range random.Perm(len(tree))[:random.IntN(4)] {
			d.CategoryIDs = append(d.CategoryIDs, tree[i])
		}
		d.Description, d.Attributes = pick(others)+" "+pick(others), map[string]string{"material": pick(words)}
		d.Slug = "thing-" + d.SKU
		d.Status = []domain.ProductStatus{domain.Active, domain.Active, domain.Active, domain.Active, domain.Draft, domain.Archived}[random.IntN(6)]
		return newProduct(t, d, start.Add(time.Duration(random.IntN(10))*time.Microsecond)), int64(max(random.IntN(4)-1, 0))
	}
	put := func(ctx context.Context, into interface {
		usecase.ProductStore
		usecase.StockStore
	}, p *domain.Product, pieces int64,
	) error {
		if err := into.CreateProduct(ctx, p); err != nil || pieces == 0 {
			return err
		}
		_, _, err := into.AdjustStock(ctx, adjustment(t, p.Snapshot().ID, pieces, ""))
		return err
	}
	old := make(map[uuid.UUID]bool)
	for range 80 {
		p, pieces := some()
		if err := errors.Join(put(t.Context(), s, p, pieces), put(t.Context(), model, p, pieces)); err != nil {
			t.Fatal(err)
		}
		old[p.Snapshot().ID] = true
	}
	prices := rapid.OneOf(rapid.Just[*int64](nil), rapid.Map(rapid.Int64Range(0, 4), func(n int64) *int64 { return new(n * 100) }))
	texts := []string{"", "", "", "mug", "mugs", "steel mug", "hand", "l", "lasting lamp", "keybord", "mug kyeboard", "stele", "nothing", "handmde lampps"}
	rapid.Check(t, func(rt *rapid.T) {
		q := usecase.ProductQuery{
			Text:     rapid.SampledFrom(texts).Draw(rt, "text"),
			MinPrice: prices.Draw(rt, "min price"), MaxPrice: prices.Draw(rt, "max price"),
			InStock: rapid.SampledFrom([]*bool{nil, nil, new(true), new(false)}).Draw(rt, "in stock"),
			Sort: rapid.SampledFrom([]usecase.Sort{
				"", usecase.SortNewest, usecase.SortPriceAsc, usecase.SortPriceDesc, usecase.SortName, usecase.SortRelevance,
			}).Draw(rt, "sort"),
			PageSize: rapid.SampledFrom([]int{1, 2, 3, 7, 20, 100}).Draw(rt, "page size"),
		}
		if in := rapid.IntRange(-3, len(tree)-1).Draw(rt, "category"); in >= 0 {
			q.Category = tree[in].String()
		}
		if q.MinPrice != nil && q.MaxPrice != nil && *q.MinPrice > *q.MaxPrice {
			q.MinPrice, q.MaxPrice = q.MaxPrice, q.MinPrice
		}
		want, totals := read(rt, model, q, nil)
		got, total := read(rt, s, q, nil)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("the list (-model +store):\n%s", diff)
		}
		if total != totals || total != int64(len(want)) {
			rt.Fatalf("total %d, the model has %d, of %d products", total, totals, len(want))
		}
		type arrival struct {
			product *domain.Product
			pieces  int64
		}
		arrivals := make([]arrival, rapid.IntRange(0, 3).Draw(rt, "arrivals"))
		for i := range arrivals {
			arrivals[i].product, arrivals[i].pieces = some()
		}
		var (
			ctx     = context.WithoutCancel(t.Context())
			next    int
			pending sync.WaitGroup
			errs    = make([]error, len(arrivals))
		)
		// The newcomers leave the lists again.
		defer func() {
			pending.Wait()
			for i, a := range arrivals[:next] {
				_, err := s.UpdateProduct(ctx, a.product.Snapshot().ID, func(p *domain.Product) error {
					return p.Change(domain.ProductChange{Status: new(domain.Archived)}, "EUR", later)
				})
				if err := errors.Join(errs[i], err); err != nil {
					rt.Error(err)
				}
			}
		}()
		got, _ = read(rt, s, q, func() {
			if i := next; i < len(arrivals) {
				next++
				pending.Go(func() { errs[i] = put(ctx, s, arrivals[i].product, arrivals[i].pieces) }) // while the next page is read
			}
		})
		seen := make(map[uuid.UUID]bool)
		for _, id := range got {
			if seen[id] {
				rt.Fatalf("%s is there twice", id)
			}
			seen[id] = true
		}
		were := slices.DeleteFunc(got, func(id uuid.UUID) bool { return !old[id] })
		if diff := cmp.Diff(want, were); diff != "" {
			rt.Fatalf("while %d products came in (-before +meanwhile):\n%s", next, diff)
		}
	})
}

type reader interface {
	usecase.ProductReader
	usecase.CategoryReader
	usecase.LedgerReader
}

// read reads a list page by page, and tells of each page that it has been read.
func read(rt *rapid.T, s reader, q usecase.ProductQuery, between func()) (ids []uuid.UUID, total int64) {
	queries := usecase.NewQueries(s, s, s, clockAt(start))
	q.IncludeTotal = between == nil
	for {
		page, err := queries.FindProducts(context.Background(), auth.Principal{}, q)
		if err != nil {
			rt.Fatal(err)
		}
		if q.IncludeTotal {
			total = *page.Total
		}
		if len(page.Products) > q.PageSize || (page.Next != nil && len(page.Products) < q.PageSize) {
			rt.Fatalf("a page of %d has %d", q.PageSize, len(page.Products))
		}
		for _, p := range page.Products {
			ids = append(ids, p.ID)
		}
		if q.After = page.Next; q.After == nil {
			return ids, total
		}
		if between != nil {
			between()
		}
	}
}
