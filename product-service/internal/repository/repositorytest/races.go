package repositorytest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// together runs n functions at the same time and returns their errors.
func together(n int, f func(i int) error) []error {
	var (
		begin = make(chan struct{})
		wg    sync.WaitGroup
		errs  = make([]error, n)
	)
	for i := range n {
		wg.Go(func() {
			<-begin
			errs[i] = f(i)
		})
	}
	close(begin)
	wg.Wait()
	return errs
}

// allowed fails for errors other than those that are allowed, and counts the successes.
func allowed(t *testing.T, errs []error, expected ...error) (succeeded int) {
	t.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			succeeded++
		case !slices.ContainsFunc(expected, func(e error) bool { return errors.Is(err, e) }):
			t.Errorf("unexpected: %v", err)
		}
	}
	return succeeded
}

func raceForTheLastPieces(t *testing.T, s Store) {
	id := stocked(t, s, "A", 5)
	orders := make([]*domain.Reservation, 64)
	for i := range orders {
		orders[i] = reservation(t, newID(t), domain.Line{ProductID: id, Quantity: 1})
	}
	errs := together(len(orders), func(i int) error {
		_, err := s.Reserve(t.Context(), orders[i], start)
		return err
	})
	if n := allowed(t, errs, domain.ErrOutOfStock); n != 5 {
		t.Errorf("%d of 64 got one of 5 pieces", n)
	}
	wantStock(t, s, id, 5, 5)
}

func raceForOneOrder(t *testing.T, s Store) {
	a, b, order := stocked(t, s, "A", 50), stocked(t, s, "B", 50), newID(t)
	errs := together(32, func(i int) error {
		lines := []domain.Line{{ProductID: a, Quantity: 2}, {ProductID: b, Quantity: 3}}
		if i%2 == 1 {
			slices.Reverse(lines)
		}
		r, err := domain.NewReservation(order, lines, start, time.Minute)
		if err != nil {
			return err
		}
		_, err = s.Reserve(t.Context(), r, start)
		return err
	})
	allowed(t, errs)
	wantStock(t, s, a, 50, 2)
	wantStock(t, s, b, 50, 3)
	allowed(t, together(16, func(int) error { return confirmIt(t.Context(), s, order, start) }))
	wantStock(t, s, a, 48, 0)
	allowed(t, together(16, func(int) error { return releaseIt(t.Context(), s, order, start) }))
	wantStock(t, s, a, 50, 0)
	wantStock(t, s, b, 50, 0)
}

// raceOfReserveAndRelease lets releases meet the reservations that they are for. Whichever comes first, nothing stays
// promised.
func raceOfReserveAndRelease(t *testing.T, s Store) {
	id := stocked(t, s, "A", 100)
	orders := make([]uuid.UUID, 24)
	for i := range orders {
		orders[i] = newID(t)
	}
	stock := usecase.NewStock(s, s, s, func() time.Time { return start })
	errs := together(2*len(orders), func(i int) error {
		order := orders[i/2]
		if i%2 == 0 {
			return stock.Release(t.Context(), order)
		}
		_, err := stock.Reserve(t.Context(), order, 0, []domain.Line{{ProductID: id, Quantity: 1}}, time.Minute)
		return err
	})
	allowed(t, errs, domain.ErrReservationReleased)
	wantStock(t, s, id, 100, 0)
}

// raceAgainstTheSweeper lets two sweepers, confirmations, releases and repeated reserves meet at reservations that are due.
func raceAgainstTheSweeper(t *testing.T, s Store) {
	a, b := stocked(t, s, "A", 1000), stocked(t, s, "B", 1000)
	orders := make([]uuid.UUID, 16)
	for i := range orders {
		orders[i] = newID(t)
		if _, err := s.Reserve(t.Context(), orderLines(t, orders[i], i, a, b), start); err != nil {
			t.Fatal(err)
		}
	}
	late := start.Add(time.Hour)
	errs := together(5*len(orders), func(i int) error {
		order := orders[i/5]
		switch i % 5 {
		case 0, 1:
			_, err := s.ExpireReservations(t.Context(), late, 3)
			return err
		case 2:
			return confirmIt(t.Context(), s, order, late)
		case 3:
			return releaseIt(t.Context(), s, order, late)
		default:
			_, err := s.Reserve(t.Context(), orderLines(t, order, i/5, a, b), late)
			return err
		}
	})
	allowed(t, errs, domain.ErrReservationReleased)
	wantStock(t, s, a, 1000, 0) // all are released in the end
	wantStock(t, s, b, 1000, 0)
}

// orderLines is a reservation of both products, in one order or the other.
func orderLines(t testing.TB, order uuid.UUID, i int, a, b uuid.UUID) *domain.Reservation {
	t.Helper()
	lines := []domain.Line{{ProductID: a, Quantity: 1}, {ProductID: b, Quantity: 2}}
	if i%2 == 1 {
		slices.Reverse(lines)
	}
	return reservation(t, order, lines...)
}

// raceInOppositeOrder would deadlock if lines were locked as they come.
func raceInOppositeOrder(t *testing.T, s Store) {
	a, b := stocked(t, s, "A", 1000), stocked(t, s, "B", 1000)
	orders := make([]*domain.Reservation, 64)
	for i := range orders {
		orders[i] = orderLines(t, newID(t), i, a, b)
	}
	errs := together(len(orders), func(i int) error {
		if _, err := s.Reserve(t.Context(), orders[i], start); err != nil {
			return err
		}
		if i%4 < 2 {
			return confirmIt(t.Context(), s, orders[i].Snapshot().OrderID, start)
		}
		return releaseIt(t.Context(), s, orders[i].Snapshot().OrderID, start)
	})
	allowed(t, errs)
	wantStock(t, s, a, 1000-32, 0)
	wantStock(t, s, b, 1000-64, 0)
}

// raceOfRetries lets one adjustment arrive many times at once.
func raceOfRetries(t *testing.T, s Store) {
	id := stocked(t, s, "A", 0)
	adjustments := make([]domain.Adjustment, 32)
	for i := range adjustments {
		adjustments[i] = adjustment(t, id, 7, "key")
	}
	firsts := make([]bool, len(adjustments))
	errs := together(len(adjustments), func(i int) error {
		after, replayed, err := s.AdjustStock(t.Context(), adjustments[i])
		firsts[i] = !replayed
		if err == nil && after != (domain.Stock{OnHand: 7}) {
			t.Errorf("answered %+v", after)
		}
		return err
	})
	allowed(t, errs)
	n := 0
	for _, first := range firsts {
		if first {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d of the retries took effect", n)
	}
	wantStock(t, s, id, 7, 0)
}

// stockProperty does random things in random order and compares the stock with a model of it: what is on hand is what was
// delivered less what is sold, what is reserved is what is promised, and both are possible.
func stockProperty(t *testing.T, s Store) {
	rapid.Check(t, func(rt *rapid.T) {
		products := []uuid.UUID{
			stocked(t, s, newID(t).String(), rapid.Int64Range(0, 6).Draw(rt, "first stock")),
			stocked(t, s, newID(t).String(), rapid.Int64Range(0, 6).Draw(rt, "second stock")),
		}
		orders := []uuid.UUID{newID(t), newID(t), newID(t)}
		now := start
		ctx := context.WithoutCancel(t.Context())
		stock := usecase.NewStock(s, s, s, func() time.Time { return now })

		delivered := map[uuid.UUID]int64{}
		for _, p := range products {
			delivered[p] = stockOf(t, s, p).OnHand
		}
		type state struct {
			status   domain.ReservationStatus
			lines    []domain.Line
			revision int64
		}
		model := map[uuid.UUID]state{}
		available := func(p uuid.UUID) int64 {
			n := delivered[p]
			for _, o := range model {
				for _, l := range o.lines {
					if l.ProductID == p && (o.status == domain.ReservationActive || o.status == domain.ReservationConfirmed) {
						n -= l.Quantity
					}
				}
			}
			return n
		}
		enough := func(lines []domain.Line) bool {
			return !slices.ContainsFunc(lines, func(l domain.Line) bool { return available(l.ProductID) < l.Quantity })
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			order := rapid.SampledFrom(orders).Draw(rt, "order")
			o := model[order]
			var err, want error
			switch step := rapid.SampledFrom([]string{"reserve", "reserve", "replace", "confirm", "release", "expire", "adjust"}).Draw(rt, "step"); step {
			case "reserve":
				lines := o.lines
				if lines == nil {
					for _, p := range products {
						if n := rapid.Int64Range(0, 3).Draw(rt, "quantity"); n > 0 {
							lines = append(lines, domain.Line{ProductID: p, Quantity: n})
						}
					}
				}
				if len(lines) == 0 {
					continue
				}
				switch {
				case o.status == domain.ReservationReleased:
					want = domain.ErrReservationReleased
				case (o.status == "" || o.status == domain.ReservationExpired) && !enough(lines):
					want = domain.ErrOutOfStock
				case o.status == "" || o.status == domain.ReservationExpired:
					o = state{domain.ReservationActive, lines, o.revision}
				}
				_, err = stock.Reserve(ctx, order, 0, lines, time.Minute)
			case "replace":
				if o.lines == nil {
					continue
				}
				// More of every line: never the same lines.
				lines, more := slices.Clone(o.lines), slices.Clone(o.lines)
				for i := range lines {
					more[i].Quantity = rapid.Int64Range(1, 3).Draw(rt, "more")
					lines[i].Quantity += more[i].Quantity
				}
				if o.status == domain.ReservationExpired {
					more = lines
				}
				revision := o.revision + rapid.Int64Range(0, 1).Draw(rt, "revision")
				switch {
				case o.status == domain.ReservationReleased:
					want = domain.ErrReservationReleased
				case revision == o.revision || o.status == domain.ReservationConfirmed:
					want = domain.ErrReservationDiffers
				case !enough(more):
					want = domain.ErrOutOfStock
				default:
					o = state{domain.ReservationActive, lines, revision}
				}
				_, err = stock.Reserve(ctx, order, revision, lines, time.Minute)
			case "confirm":
				switch {
				case o.status == "":
					want = domain.ErrReservationMissing
				case o.status == domain.ReservationReleased:
					want = domain.ErrReservationReleased
				case o.status == domain.ReservationExpired && !enough(o.lines):
					want = domain.ErrOutOfStock
				default:
					o.status = domain.ReservationConfirmed
				}
				err = stock.Confirm(ctx, order)
			case "release":
				o.status = domain.ReservationReleased
				err = stock.Release(ctx, order)
			case "expire":
				now = now.Add(time.Hour)
				_, err = stock.ExpireOverdue(ctx)
				for id, r := range model {
					if r.status == domain.ReservationActive {
						r.status = domain.ReservationExpired
						model[id] = r
					}
				}
				o = model[order]
			case "adjust":
				p := rapid.SampledFrom(products).Draw(rt, "product")
				delta := rapid.SampledFrom([]int64{-3, -1, 1, 2}).Draw(rt, "delta")
				if delta < 0 && available(p) < -delta {
					want = domain.ErrInsufficientStock
				} else {
					delivered[p] += delta
				}
				_, _, err = stock.Adjust(ctx, usecase.AdjustStock{ProductID: p, Delta: delta, Reason: "count", Actor: "staff"})
			}
			if !errors.Is(err, want) {
				rt.Fatalf("got %v, want %v", err, want)
			}
			if o.status != "" {
				model[order] = o
			}
			for _, p := range products {
				got := stockOf(t, s, p)
				if got.Available() != available(p) {
					rt.Fatalf("stock %+v, want %d available", got, available(p))
				}
			}
		}
	})
}
