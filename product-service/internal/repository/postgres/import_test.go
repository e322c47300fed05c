package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/money"
	"shop.example/platform/pgtest"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/postgres"
	"shop.example/product-service/internal/usecase"
)

// lines are those of a call of the gateway: as many as fit into one.
func lines(call, n int, price int64, category uuid.UUID) []usecase.ImportLine {
	all := make([]usecase.ImportLine, 0, n)
	for i := range n {
		number := call*n + i
		all = append(all, usecase.ImportLine{Change: domain.ProductChange{
			SKU: new(fmt.Sprintf("SKU-%07d", number)), Name: new(fmt.Sprintf("Stoneware Mug %d, 300 ml", number)), Price: new(money.MustNew(price, "EUR")),
			Description: new(strings.Repeat("A mug that lasts, made by hand. ", 10)), CategoryIDs: &[]uuid.UUID{category},
			Images:     &[]domain.Image{{URL: fmt.Sprintf("https://images.shop.example/%d.jpg", number), Alt: "Mug"}},
			Attributes: &map[string]string{"material": "stoneware", "volume": "300 ml"}, Status: new(domain.Active),
		}})
	}
	return all
}

// BenchmarkImport measures calls of 500 lines: of new products, of the same again, and with other prices; and, to compare, one
// transaction for each product.
func BenchmarkImport(b *testing.B) {
	const perCall = 500
	store := postgres.New(pgtest.New(b, postgres.Migrate))
	catalog := usecase.NewCatalog(store, store, "EUR", time.Now)
	category, err := catalog.CreateCategory(b.Context(), usecase.CreateCategory{Name: "Mugs"})
	if err != nil {
		b.Fatal(err)
	}
	highest := 0 // call of new products
	run := func(name string, next func(call int) []usecase.ImportLine, created bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				results, err := catalog.Import(b.Context(), next(highest))
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range results {
					if r.Err != nil || r.Created != created {
						b.Fatalf("got %+v", r)
					}
				}
			}
			b.ReportMetric(float64(b.N*perCall)/b.Elapsed().Seconds(), "lines/s")
		})
	}
	run("new", func(int) []usecase.ImportLine { highest++; return lines(highest, perCall, 100, category.ID) }, true)
	run("same", func(call int) []usecase.ImportLine { return lines(call, perCall, 100, category.ID) }, false)
	price := int64(100)
	run("prices", func(call int) []usecase.ImportLine { price++; return lines(call, perCall, price, category.ID) }, false)

	b.Run("one by one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			highest++
			for _, l := range lines(highest, perCall, 100, category.ID) {
				if _, err := catalog.CreateProduct(b.Context(), l.Change.Details()); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.N*perCall)/b.Elapsed().Seconds(), "lines/s")
	})
}
