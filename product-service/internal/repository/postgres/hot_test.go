package postgres_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/money"
	"shop.example/platform/pgtest"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/repository/postgres"
	"shop.example/product-service/internal/usecase"
)

// sale is a few products that everybody wants at the same time.
type sale struct {
	store    audited
	stock    *usecase.Stock
	products []uuid.UUID
	ops      atomic.Int64
	refused  atomic.Int64
}

const (
	buyers = 64
	// pieces are of each product: fewer than the buyers want, so that many of them meet an empty shelf.
	pieces = 40
)

func newSale(t testing.TB) *sale {
	t.Helper()
	pool := pgtest.New(t, postgres.Migrate)
	s := &sale{store: audited{postgres.New(pool), pool}}
	s.stock = usecase.NewStock(s.store, s.store, s.store, time.Now)
	catalog := usecase.NewCatalog(s.store, s.store, "EUR", time.Now)
	for range 5 {
		p, err := catalog.CreateProduct(t.Context(), domain.ProductDetails{
			SKU: uuid.NewString(), Name: "Hot", Price: money.MustNew(1, "EUR"), Status: domain.Active,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.stock.Adjust(t.Context(), usecase.AdjustStock{ProductID: p.ID, Delta: pieces, Reason: "delivery", Actor: "staff"}); err != nil {
			t.Fatal(err)
		}
		s.products = append(s.products, p.ID)
	}
	return s
}

// buy is the life of an order: its products are reserved, in whatever order its lines are, and then given up, or sold, or
// sold and given back. What was sold is delivered again some time, so the sale can go on.
func (s *sale) buy(ctx context.Context) error {
	order, lines := uuid.New(), make([]domain.Line, 0, len(s.products))
	for _, i := range rand.Perm(len(s.products))[:1+rand.IntN(3)] {
		lines = append(lines, domain.Line{ProductID: s.products[i], Quantity: 1 + rand.Int64N(3)})
	}
	_, err := s.stock.Reserve(ctx, order, 1, lines, time.Minute)
	s.ops.Add(1)
	if errors.Is(err, domain.ErrOutOfStock) {
		s.refused.Add(1)
		return nil
	}
	if err != nil {
		return err
	}
	s.ops.Add(1)
	switch rand.IntN(3) {
	case 0:
		return s.stock.Release(ctx, order)
	case 1:
		if err := s.stock.Confirm(ctx, order); err != nil {
			return err
		}
		s.ops.Add(1)
		return s.stock.Release(ctx, order)
	default:
		if err := s.stock.Confirm(ctx, order); err != nil {
			return err
		}
		for _, l := range lines {
			s.ops.Add(1)
			if _, _, err := s.stock.Adjust(ctx, usecase.AdjustStock{ProductID: l.ProductID, Delta: l.Quantity, Reason: "delivery", Actor: "staff"}); err != nil {
				return err
			}
		}
		return nil
	}
}

// check asks whether all that happened adds up: nobody holds anything any more, and the ledger has every piece.
func (s *sale) check(t testing.TB) {
	t.Helper()
	for _, id := range s.products {
		var onHand, reserved, sum, least int64
		err := s.store.pool.QueryRow(t.Context(), `SELECT on_hand, reserved, (SELECT sum(delta)::bigint FROM stock_ledger WHERE product_id = $1),
			(SELECT min(on_hand_after - reserved_after) FROM stock_ledger WHERE product_id = $1) FROM stock WHERE product_id = $1`, id).
			Scan(&onHand, &reserved, &sum, &least)
		if err != nil {
			t.Fatal(err)
		}
		promised, err := s.store.Promised(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if onHand != pieces || reserved != 0 || promised != 0 || sum != onHand || least < 0 {
			t.Errorf("on hand %d of %d, reserved %d, promised %d, ledger %d, least available %d", onHand, pieces, reserved, promised, sum, least)
		}
	}
}

// TestHotProducts is the sale, for a while: no error of any kind, so no deadlock either, and nothing oversold.
func TestHotProducts(t *testing.T) {
	t.Parallel()
	orders := 20
	if testing.Short() {
		orders = 5
	}
	s := newSale(t)
	var wg sync.WaitGroup
	for range buyers {
		wg.Go(func() {
			for range orders {
				if err := s.buy(t.Context()); err != nil {
					t.Errorf("buy: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s.check(t)
	if s.refused.Load() == 0 {
		t.Error("nobody met an empty shelf: the sale was no test")
	}
}

// BenchmarkHotProducts measures the sale: `-bench HotProducts -benchtime 30s`. An operation is a call of the stock.
func BenchmarkHotProducts(b *testing.B) {
	s := newSale(b)
	var (
		wg   sync.WaitGroup
		left atomic.Int64
	)
	left.Store(int64(b.N))
	b.ResetTimer()
	for range buyers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := s.buy(b.Context()); err != nil {
					b.Errorf("buy: %v", err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	s.check(b)
	b.ReportMetric(float64(s.ops.Load())/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(s.refused.Load())/float64(b.N), "refused/order")
}
