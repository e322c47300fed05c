// Package repositorytest is the contract of the stores, as tests that each of them passes.
package repositorytest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Store is all that a store does, and the ledger to look at.
type Store interface {
	usecase.ProductStore
	usecase.CategoryStore
	usecase.ProductReader
	usecase.CategoryReader
	usecase.StockStore
	usecase.ReservationStore
	usecase.OverdueStore
	// Ledger returns a product's entries by time and id.
	Ledger(ctx context.Context, productID uuid.UUID) ([]domain.LedgerEntry, error)
}

// Run tests the stores that open makes, each of them empty.
func Run(t *testing.T, open func(testing.TB) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"CreateProduct":            createProduct,
		"UnknownCategories":        unknownCategories,
		"Categories":               categories,
		"Filters":                  filters,
		"Pages":                    pages,
		"Search":                   search,
		"AdjustStock":              adjustStock,
		"AdjustStockUnderOneKey":   adjustStockUnderOneKey,
		"Reserve":                  reserve,
		"ReserveAgain":             reserveAgain,
		"OutOfStock":               outOfStock,
		"Confirm":                  confirm,
		"Release":                  release,
		"Expiry":                   expiry,
		"ConfirmExpired":           confirmExpired,
		"Restock":                  restock,
		"RestockOfWhatWasNotTaken": restockOfWhatWasNotTaken,
		"RaceOfRestocks":           raceOfRestocks,
		"RaceForTheLastPieces":     raceForTheLastPieces,
		"RaceForOneOrder":          raceForOneOrder,
		"RaceOfReserveAndRelease":  raceOfReserveAndRelease,
		"RaceAgainstTheSweeper":    raceAgainstTheSweeper,
		"RaceInOppositeOrder":      raceInOppositeOrder,
		"RaceOfRetries":            raceOfRetries,
		"Replace":                  replace,
		"RaceOfRevisions":          raceOfRevisions,
		"RaceAgainstReplacements":  raceAgainstReplacements,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	t.Run("StockProperty", func(t *testing.T) {
		t.Parallel()
		stockProperty(t, open(t))
	})
}

// start is when the tests take place.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// details are those of a product that is on sale.
func details(sku, name string, price int64, categories ...uuid.UUID) domain.ProductDetails {
	return domain.ProductDetails{
		SKU: sku, Name: name, Price: money.MustNew(price, "EUR"), CategoryIDs: categories, Status: domain.Active,
	}
}

func newProduct(t testing.TB, d domain.ProductDetails, at time.Time) *domain.Product {
	t.Helper()
	p, err := domain.NewProduct(newID(t), d, "EUR", at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func addProduct(t testing.TB, s Store, d domain.ProductDetails, at time.Time) uuid.UUID {
	t.Helper()
	p := newProduct(t, d, at)
	if err := s.CreateProduct(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return p.Snapshot().ID
}

// stocked adds a product on sale with some pieces on hand.
func stocked(t testing.TB, s Store, sku string, pieces int64) uuid.UUID {
	t.Helper()
	id := addProduct(t, s, details(sku, "Product "+sku, 1000), start)
	if pieces > 0 {
		if _, _, err := s.AdjustStock(t.Context(), adjustment(t, id, pieces, "")); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func adjustment(t testing.TB, productID uuid.UUID, delta int64, key string) domain.Adjustment {
	t.Helper()
	return domain.Adjustment{EntryID: newID(t), ProductID: productID, Delta: delta, Reason: "count", Actor: "staff", Key: key, At: start}
}

func reservation(t testing.TB, order uuid.UUID, lines ...domain.Line) *domain.Reservation {
	t.Helper()
	r, err := domain.NewReservation(order, lines, start, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func confirmIt(ctx context.Context, s Store, order uuid.UUID, now time.Time) error {
	return s.UpdateReservation(ctx, order, "tester", now, func(r *domain.Reservation) (domain.Effect, error) { return r.Confirm(now) })
}

func releaseIt(ctx context.Context, s Store, order uuid.UUID, now time.Time) error {
	return s.UpdateReservation(ctx, order, "tester", now, func(r *domain.Reservation) (domain.Effect, error) { return r.Release(now), nil })
}

// stockOf returns the stock of a product, having checked that it is possible and that the ledger explains it.
func stockOf(t testing.TB, s Store, id uuid.UUID) domain.Stock {
	t.Helper()
	p, err := s.Product(t.Context(), domain.Ref{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.Ledger(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, e := range entries {
		sum += e.Delta
		if e.After.OnHand < e.After.Reserved || e.After.Reserved < 0 {
			t.Errorf("impossible stock in the ledger: %+v", e.After)
		}
	}
	if sum != p.Stock.OnHand {
		t.Errorf("the ledger sums up to %d, on hand are %d", sum, p.Stock.OnHand)
	}
	if p.Stock.Reserved < 0 || p.Stock.OnHand < p.Stock.Reserved {
		t.Errorf("impossible stock %+v", p.Stock)
	}
	return p.Stock
}

func wantStock(t testing.TB, s Store, id uuid.UUID, onHand, reserved int64) {
	t.Helper()
	if got, want := stockOf(t, s, id), (domain.Stock{OnHand: onHand, Reserved: reserved}); got != want {
		t.Errorf("stock %+v, want %+v", got, want)
	}
}
