package repositorytest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// act is something that an actor does.
type act struct {
	verb    string
	order   int
	lines   []domain.Line
	product uuid.UUID
	delta   int64
	key     string
	minutes int // how late it is for the actor
}

// expected are the refusals that an act may meet when others act too. Anything else, such as a deadlock, a constraint that
// was violated or a lock that never came, is a mistake.
var expected = map[string][]error{
	"reserve": {domain.ErrOutOfStock, domain.ErrReservationDiffers, domain.ErrReservationReleased},
	"confirm": {domain.ErrOutOfStock, domain.ErrReservationMissing, domain.ErrReservationReleased},
	"release": {domain.ErrReservationMissing}, // forgotten between two steps: "forget" here does not wait for a month
	"expire":  nil,
	"forget":  nil,
	"adjust":  {domain.ErrInsufficientStock, domain.ErrIdempotencyKeyReused},
	"archive": nil,
}

// concurrentStockProperty lets several actors do random things at the same time, to the same few orders and products, and
// then asks whether what is there can be: no more promised than there is, nothing on hand that the ledger can't explain,
// nothing promised that no active reservation holds. stockOf asks all that.
func concurrentStockProperty(t *testing.T, s Store) {
	rapid.Check(t, func(rt *rapid.T) {
		products := []uuid.UUID{
			stocked(t, s, newID(t).String(), rapid.Int64Range(0, 8).Draw(rt, "first stock")),
			stocked(t, s, newID(t).String(), rapid.Int64Range(0, 8).Draw(rt, "second stock")),
		}
		orders := []uuid.UUID{newID(t), newID(t), newID(t), newID(t)}
		oneAct := rapid.Custom(func(rt *rapid.T) act {
			a := act{
				verb: rapid.SampledFrom([]string{
					"reserve", "reserve", "reserve", "confirm", "confirm", "release", "expire", "forget", "adjust", "adjust", "archive",
				}).Draw(rt, "verb"),
				order:   rapid.IntRange(0, len(orders)-1).Draw(rt, "order"),
				product: rapid.SampledFrom(products).Draw(rt, "product"),
				delta:   rapid.SampledFrom([]int64{-4, -1, 1, 3}).Draw(rt, "delta"),
				key:     rapid.SampledFrom([]string{"", "", orders[0].String()}).Draw(rt, "key"),
				minutes: rapid.IntRange(0, 3).Draw(rt, "minutes"),
			}
			for _, p := range products {
				if n := rapid.Int64Range(0, 3).Draw(rt, "quantity"); n > 0 {
					a.lines = append(a.lines, domain.Line{ProductID: p, Quantity: n})
				}
			}
			if len(a.lines) == 0 {
				a.lines = []domain.Line{{ProductID: a.product, Quantity: 1}}
			}
			if rapid.Bool().Draw(rt, "other way round") {
				slices.Reverse(a.lines)
			}
			return a
		})
		actors := rapid.SliceOfN(rapid.SliceOfN(oneAct, 1, 6), 2, 5).Draw(rt, "actors")

		ctx := context.WithoutCancel(t.Context())
		errs := together(len(actors), func(i int) error {
			var problems []error
			for _, a := range actors[i] {
				err := a.do(ctx, s, orders[a.order])
				if err != nil && !slices.ContainsFunc(expected[a.verb], func(e error) bool { return errors.Is(err, e) }) {
					problems = append(problems, err)
				}
			}
			return errors.Join(problems...)
		})
		if err := errors.Join(errs...); err != nil {
			rt.Fatal(err)
		}
		for _, p := range products {
			stockOf(t, s, p)
		}
	})
}

// do does an act by the use cases, as the service would. Each actor has a clock of its own.
func (a act) do(ctx context.Context, s Store, order uuid.UUID) (err error) {
	now := func() time.Time { return start.Add(time.Duration(a.minutes) * time.Minute) }
	stock := usecase.NewStock(s, s, s, now)
	switch a.verb {
	case "reserve":
		_, err = stock.Reserve(ctx, order, 1, a.lines, time.Minute)
	case "confirm":
		err = stock.Confirm(ctx, order)
	case "release":
		err = stock.Release(ctx, order)
	case "expire":
		_, err = stock.ExpireOverdue(ctx)
	case "forget":
		_, err = s.ForgetReservations(ctx, now(), 10)
	case "adjust":
		_, _, err = stock.Adjust(ctx, usecase.AdjustStock{ProductID: a.product, Delta: a.delta, Reason: "count", Actor: "staff", Key: a.key})
	case "archive":
		status := domain.Archived
		if a.minutes%2 == 0 {
			status = domain.Active
		}
		_, err = usecase.NewCatalog(s, s, "EUR", now).UpdateProduct(ctx, a.product, domain.ProductChange{Status: &status}, nil)
	}
	return err
}
