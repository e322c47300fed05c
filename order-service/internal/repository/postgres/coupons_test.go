package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/auth"
	"shop.example/platform/pgtest"
)

// 50 customers race for 10 uses of a coupon and 7 pieces, or 10 uses and pieces enough, over a real database: exactly as many
// buy as the scarcer of the two allows, every other is told why, and what the losers held is there again.
func TestRaceForUsesAndPieces(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ stock, want int64 }{{7, 7}, {60, 10}} {
		t.Run(fmt.Sprint(tc.stock, " pieces"), func(t *testing.T) {
			t.Parallel()
			const customers = 50
			store, err := postgres.New(pgtest.New(t, postgres.Migrate))
			if err != nil {
				t.Fatal(err)
			}
			now := func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
			coupon, err := usecase.NewCoupons(store, store, now).Create(t.Context(), domain.CouponTerms{
				Code: "ten", Type: domain.PercentOff, Value: 10, MaxUses: 10, MaxUsesPerCustomer: 1, Status: domain.CouponActive,
			})
			if err != nil {
				t.Fatal(err)
			}
			checkout, wish, stock := shopWithStock(t, store, tc.stock)
			cup := wish.Items[0].ProductID
			var (
				group  sync.WaitGroup
				errs   = make([]error, customers)
				placed = make([]usecase.Placed, customers)
			)
			for i := range customers {
				w := wish
				w.UserID, w.Key, w.CouponCode = uuid.New(), "key", "Ten"
				ctx := auth.NewContext(t.Context(), auth.Principal{UserID: w.UserID.String(), Role: auth.Customer})
				group.Go(func() { placed[i], errs[i] = checkout.Place(ctx, w) })
			}
			group.Wait()
			bought := int64(0)
			for i, err := range errs {
				switch {
				case err == nil:
					bought++
					if o := placed[i].Order; o.Status != domain.Confirmed || o.Discount.Amount() != 125 {
						t.Errorf("customer %d has an order that is %s, %v off", i, o.Status, o.Discount)
					}
				case !errors.Is(err, domain.ErrOutOfStock) && !errors.Is(err, domain.ErrCouponExhausted):
					t.Errorf("customer %d: %v", i, err)
				}
			}
			if bought != tc.want {
				t.Errorf("%d have bought, want %d", bought, tc.want)
			}
			after, err := store.Coupon(t.Context(), coupon.ID)
			if err != nil {
				t.Fatal(err)
			}
			if orders, err := store.CountOrders(t.Context(), usecase.Filter{}); after.Uses != tc.want || orders != tc.want || err != nil {
				t.Errorf("%d uses, %d orders, %v; want %d", after.Uses, orders, err, tc.want)
			}
			if left := stock.Available(cup); left != tc.stock-tc.want {
				t.Errorf("%d pieces are left, want %d", left, tc.stock-tc.want)
			}
		})
	}
}

// What a coupon adds to the cost of an order, once the statements are prepared. A change that raises a number should have a
// reason.
func TestCouponRoundTrips(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(pgtest.URL(t, postgres.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	count := &tally{}
	config.ConnConfig.Tracer = count
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store, err := postgres.New(pool)
	if err != nil {
		t.Fatal(err)
	}
	checkout, wish := shop(t, store)
	now := time.Now().UTC().Truncate(time.Microsecond)
	ctx := auth.NewContext(t.Context(), auth.Principal{UserID: wish.UserID.String(), Role: auth.Customer})
	if _, err := usecase.NewCoupons(store, store, func() time.Time { return now }).Create(ctx, domain.CouponTerms{
		Code: "TEN", Type: domain.PercentOff, Value: 10, MaxUsesPerCustomer: 9, Status: domain.CouponActive,
	}); err != nil {
		t.Fatal(err)
	}
	trips := make(map[string][]string)
	for range 2 { // the first round prepares
		for _, code := range []string{"", "TEN"} {
			wish.Key, wish.CouponCode = uuid.NewString(), code
			count.take()
			if _, err := checkout.Place(ctx, wish); err != nil {
				t.Fatal(err)
			}
			trips[code] = count.take()
		}
	}
	// The coupon and the customer's uses are read beside the other questions; in the transaction it is locked, and taken.
	if more := len(trips["TEN"]) - len(trips[""]); more != 4 || commits(trips["TEN"]) != commits(trips[""]) {
		t.Errorf("a coupon costs %d round trips, want 4, and no commit:\n%q\n%q", more, trips[""], trips["TEN"])
	}
}
