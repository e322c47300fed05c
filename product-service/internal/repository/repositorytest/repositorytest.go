// Package repositorytest is the contract of the stores, as tests that each of them passes.
package repositorytest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/money"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// Store is all that a store does, and the promises to look at.
type Store interface {
	usecase.ProductStore
	usecase.CategoryStore
	usecase.ProductReader
	usecase.CategoryReader
	usecase.StockStore
	usecase.ReservationStore
	usecase.OverdueStore
	usecase.LedgerReader
	// Promised returns how many pieces of a product active reservations hold, reckoned from their lines.
	Promised(ctx context.Context, productID uuid.UUID) (int64, error)
}

// Run tests the stores that open makes, each of them empty.
func Run(t *testing.T, open func(testing.TB) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"CreateProduct":            createProduct,
		"UnknownCategories":        unknownCategories,
		"UpdateProduct":            updateProduct,
		"UpdateProductRefused":     updateProductRefused,
		"Import":                   importProducts,
		"ImportIsRepeatable":       importIsRepeatable,
		"ImportMovesSlugs":         importMovesSlugs,
		"ImportAndOthers":          importAndOthers,
		"Categories":               categories,
		"UpdateCategory":           updateCategory,
		"DeleteCategory":           deleteCategory,
		"RaceOfMoves":              raceOfMoves,
		"RaceToUseACategory":       raceToUseACategory,
		"RaceOfUpdates":            raceOfUpdates,
		"Ledger":                   ledger,
		"KeysAreHeldForADay":       keysAreHeldForADay,
		"Forget":                   forget,
		"Filters":                  filters,
		"Pages":                    pages,
		"Search":                   search,
		"AdjustStock":              adjustStock,
		"AdjustStockUnderOneKey":   adjustStockUnderOneKey,
		"RefusedUnderOneKey":       refusedUnderOneKey,
		"RaceForOneKey":            raceForOneKey,
		"Reserve":                  reserve,
		"ReserveAgain":             reserveAgain,
		"OutOfStock":               outOfStock,
		"Confirm":                  confirm,
		"Release":                  release,
		"Expiry":                   expiry,
		"ConfirmExpired":           confirmExpired,
		"RaceForTheLastPieces":     raceForTheLastPieces,
		"RaceForOneOrder":          raceForOneOrder,
		"RaceOfReserveAndRelease":  raceOfReserveAndRelease,
		"RaceAgainstTheSweeper":    raceAgainstTheSweeper,
		"RaceInOppositeOrder":      raceInOppositeOrder,
		"RaceOfRetries":            raceOfRetries,
		"Restock":                  restock,
		"RestockOfWhatWasNotTaken": restockOfWhatWasNotTaken,
		"ReleaseOfAPart":           releaseOfAPart,
		"ForgetWhatWasRestocked":   forgetWhatWasRestocked,
		"RaceOfRestocks":           raceOfRestocks,
		"ChangedReservations":      changedReservations,
		"Replace":                  replace,
		"RaceOfRevisions":          raceOfRevisions,
		"RaceAgainstReplacements":  raceAgainstReplacements,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	for name, property := range map[string]func(*testing.T, Store){"StockProperty": stockProperty, "ConcurrentStockProperty": concurrentStockProperty, "CountsProperty": countsProperty, "ListsProperty": listsProperty} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			property(t, open(t))
		})
	}
}

// start is when the tests take place.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func clockAt(at time.Time) func() time.Time { return func() time.Time { return at } }

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

// stockOf returns the stock of a product, having checked that it is possible, that the ledger explains what is on hand, and
// active reservations what is promised. Nobody may be changing it.
func stockOf(t testing.TB, s Store, id uuid.UUID) domain.Stock {
	t.Helper()
	p, err := s.Product(t.Context(), domain.Ref{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, e := range ledgerOf(t, s, id) {
		sum += e.Delta
		if e.After.OnHand < e.After.Reserved || e.After.Reserved < 0 {
			t.Errorf("impossible stock in the ledger: %+v", e.After)
		}
		if e.After.OnHand != sum {
			t.Errorf("the ledger sums up to %d where it says %d", sum, e.After.OnHand)
		}
	}
	if sum != p.Stock.OnHand {
		t.Errorf("the ledger sums up to %d, on hand are %d", sum, p.Stock.OnHand)
	}
	promised, err := s.Promised(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if promised != p.Stock.Reserved {
		t.Errorf("active reservations sum up to %d, reserved are %d", promised, p.Stock.Reserved)
	}
	if p.Stock.Reserved < 0 || p.Stock.OnHand < p.Stock.Reserved {
		t.Errorf("impossible stock %+v", p.Stock)
	}
	return p.Stock
}

// ledgerOf returns all entries of a product, the first one first.
func ledgerOf(t testing.TB, s Store, id uuid.UUID) []domain.LedgerEntry {
	t.Helper()
	var (
		all []domain.LedgerEntry
		q   = usecase.LedgerQuery{ProductID: id, PageSize: 100}
	)
	for {
		page, err := s.Ledger(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Entries...)
		if q.After = page.Next; q.After == uuid.Nil {
			slices.Reverse(all)
			return all
		}
	}
}

func wantStock(t testing.TB, s Store, id uuid.UUID, onHand, reserved int64) {
	t.Helper()
	if got, want := stockOf(t, s, id), (domain.Stock{OnHand: onHand, Reserved: reserved}); got != want {
		t.Errorf("stock %+v, want %+v", got, want)
	}
}
