package demo_test

import (
	"testing"
	"time"

	"shop.example/platform/auth"
	"shop.example/product-service/internal/demo"
	"shop.example/product-service/internal/repository/memory"
	"shop.example/product-service/internal/usecase"
)

func TestSeedTwice(t *testing.T) {
	t.Parallel()
	store := memory.New()
	seeder := demo.Seeder{
		Catalog: usecase.NewCatalog(store, store, "EUR", time.Now), Queries: usecase.NewQueries(store, store, store, time.Now),
		Stock: usecase.NewStock(store, store, store, time.Now), Currency: "EUR",
	}
	for i := range 2 {
		got, err := seeder.Seed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.Products < 60 || got.Categories < 10 || (i == 0) != (got.Created == got.Products) || (i == 1) != (got.Created == 0) {
			t.Errorf("seeding %d: %+v", i+1, got)
		}
	}
	page, err := seeder.Queries.FindProducts(t.Context(), auth.Principal{}, usecase.ProductQuery{PageSize: 100, IncludeTotal: true})
	if err != nil {
		t.Fatal(err)
	}
	if *page.Total < 60 {
		t.Errorf("%d products on sale", *page.Total)
	}
	for _, p := range page.Products {
		if p.Stock.Available() < 1 || p.Price.Amount() < 1 || len(p.Images) == 0 || len(p.CategoryIDs) == 0 || p.Description == "" {
			t.Errorf("not a product to try: %+v", p)
		}
		deliveries, err := store.Ledger(t.Context(), usecase.LedgerQuery{ProductID: p.ID, PageSize: 2})
		if err != nil || len(deliveries.Entries) != 1 {
			t.Errorf("%s: %d deliveries, %v", p.SKU, len(deliveries.Entries), err)
		}
	}
}
