package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/platform/pgtest"
	platform "shop.example/platform/postgres"
)

// Two replicas change one order at the same time, each change with a job: all changes are kept, and one job stands.
func TestReplicasDecideTogether(t *testing.T) {
	t.Parallel()
	const changes = 20 // of each replica
	url := pgtest.URL(t, postgres.Migrate)
	var replicas [2]*postgres.Store
	for i := range replicas {
		pool, err := platform.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		if replicas[i], err = postgres.New(pool); err != nil {
			t.Fatal(err)
		}
	}
	order := newOrder(t)
	at := time.Now().UTC().Truncate(time.Second).Add(time.Hour)
	lease, err := replicas[0].Begin(t.Context(), order, attemptFor(order), time.Hour, at)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := replicas[0].Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) { return usecase.Change{}, nil }); err != nil {
		t.Fatal(err)
	}

	var (
		group sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		plans = make(map[int64]time.Time) // by the version that each decision made
	)
	for i, store := range replicas {
		for n := range changes {
			group.Go(func() {
				mine := at.Add(time.Duration(i*changes+n) * time.Second)
				changed, _, err := store.Decide(t.Context(), order.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
					if err := o.BeginPayment(domain.Card, "test", false, at); err != nil {
						return usecase.Change{}, err
					}
					return usecase.Change{Settle: usecase.Plan{At: mine}}, o.Decline("", at)
				})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					errs = append(errs, err)
					return
				}
				plans[changed.Snapshot().Version] = mine
			})
		}
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	got, err := replicas[1].Order(t.Context(), order.ID())
	if err != nil {
		t.Fatal(err)
	}
	if attempts := got.Payment().Attempt; attempts != 2*changes || len(plans) != 2*changes {
		t.Errorf("%d attempts, %d versions; want %d", attempts, len(plans), 2*changes)
	}
	// The plan that stands is that of the last decision, and no other is left.
	planned, ok, err := replicas[0].Planned(t.Context(), order.ID())
	if last := plans[got.Snapshot().Version]; err != nil || !ok || !planned.Equal(last) {
		t.Errorf("planned: %v at %v, error %v; want %v", ok, planned, err, last)
	}
	if left := countJobs(t, url); left != 1 {
		t.Errorf("%d jobs, want 1", left)
	}
}

func countJobs(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM river_job`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// tally counts what a connection is asked.
type tally struct {
	mu    sync.Mutex
	trips []string // one entry a round trip
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips = append(c.trips, strings.Join(strings.Fields(what), " "))
}

// take returns the round trips since the last take, without the notifications of the queue, of which there are at most ten
// a second.
func (c *tally) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	trips := c.trips
	c.trips = nil
	return slices.DeleteFunc(trips, func(sql string) bool { return strings.Contains(sql, "pg_notify") })
}

func (c *tally) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	c.add(q.SQL)
	return ctx
}
func (*tally) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (c *tally) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	c.add("batch")
	return ctx
}
func (*tally) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*tally) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
func (c *tally) TracePrepareStart(ctx context.Context, _ *pgx.Conn, p pgx.TracePrepareStartData) context.Context {
	c.add("prepare " + p.SQL)
	return ctx
}
func (*tally) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

func commits(trips []string) int {
	n := 0
	for _, sql := range trips {
		if strings.EqualFold(sql, "commit") {
			n++
		}
	}
	return n
}

// What an order costs the database once the statements are prepared. A change that raises
// a number should have a reason.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(pgtest.URL(t, postgres.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	count := &tally{}
	config.ConnConfig.Tracer = count
	config.MaxConns = 1 // one connection has everything prepared after the first round
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store, err := postgres.New(pool)
	if err != nil {
		t.Fatal(err)
	}

	var begin, decide []string
	for range 2 { // the first round prepares
		order := newOrder(t)
		count.take()
		lease, err := store.Begin(t.Context(), order, attemptFor(order), time.Hour, time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		begin = count.take()
		if _, _, err := store.Decide(t.Context(), order.ID(), lease, func(o *domain.Order) (usecase.Change, error) {
			s := o.Snapshot()
			return usecase.Change{Outcome: &usecase.Outcome{Order: &s}, Settle: usecase.Plan{At: time.Now()}}, o.Cancel("x", "y", noon)
		}); err != nil {
			t.Fatal(err)
		}
		decide = count.take()
	}

	checkout, wish := shop(t, store)
	ctx := auth.NewContext(t.Context(), auth.Principal{UserID: wish.UserID.String(), Role: auth.Customer})
	var place, settle []string
	for range 2 {
		wish.Key = uuid.NewString()
		count.take()
		placed, err := checkout.Place(ctx, wish)
		if err != nil || placed.Order.Status != domain.Confirmed {
			t.Fatalf("placed %+v, error %v", placed, err)
		}
		place = count.take()
		if _, err := checkout.Settle(t.Context(), placed.Order.ID); err != nil {
			t.Fatal(err)
		}
		settle = count.take()
	}
	got := map[string][2]int{
		"Begin": {len(begin), commits(begin)}, "Decide": {len(decide), commits(decide)},
		"Place": {len(place), commits(place)}, "Settle": {len(settle), commits(settle)},
	}
	// What an event costs where nobody listens is one look at the endpoints.
	want := map[string][2]int{"Begin": {5, 1}, "Decide": {9, 1}, "Place": {16, 2}, "Settle": {2, 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("round trips and commits (-want +got):\n%s\nBegin %q\nDecide %q\nPlace %q\nSettle %q", diff, begin, decide, place, settle)
	}
}

// shop returns a checkout on a store, and a wish that it fulfils.
func shop(t *testing.T, store *postgres.Store) (*usecase.Checkout, usecase.PlaceOrder) {
	t.Helper()
	checkout, wish, _ := shopWithStock(t, store, 10)
	return checkout, wish
}

// shopWithStock is shop with so many pieces, and the stock that they are in.
func shopWithStock(t *testing.T, store *postgres.Store, pieces int64) (*usecase.Checkout, usecase.PlaceOrder, *usecasetest.FakeStock) {
	t.Helper()
	shipping, err := domain.DefaultShippingMethods("EUR")
	if err != nil {
		t.Fatal(err)
	}
	stock, cup := usecasetest.NewFakeStock(), uuid.New()
	catalog := usecasetest.NewFakeCatalog(stock)
	catalog.Sell(cup, usecase.Product{SKU: "CUP-1", Name: "A cup", Price: money.MustNew(1250, "EUR"), OnSale: true})
	stock.Set(cup, pieces)
	return usecase.NewCheckout(usecase.CheckoutParts{
			Attempts: store, Keys: store, Orders: store, Coupons: store, Users: usecasetest.NewFakeUsers(),
			Addresses: usecasetest.NewFakeAddresses(), Carts: usecasetest.NewFakeCarts(), Catalog: catalog, Stock: stock, Payments: usecasetest.NewFakeProvider(), Shipping: shipping,
			Now: func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }, Log: slog.New(slog.DiscardHandler),
		}), usecase.PlaceOrder{
			UserID: uuid.New(), Items: []usecase.Line{{ProductID: cup, Quantity: 1}}, ShippingMethod: "standard",
			Method: domain.Card, Token: usecasetest.TokOK,
			Address: domain.Address{Recipient: "Zoë", Line1: "1 Main St", City: "Köln", PostalCode: "50667", Country: "DE"},
		}, stock
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newOrder(t *testing.T) *domain.Order {
	t.Helper()
	order, err := domain.NewOrder(domain.Draft{
		UserID:   uuid.New(),
		Items:    []domain.Item{{ProductID: uuid.New(), SKU: "CUP-1", Name: "A cup", Quantity: 1, UnitPrice: money.MustNew(1250, "EUR")}},
		Shipping: domain.ShippingMethod{ID: "standard", Price: money.MustNew(490, "EUR")},
		Method:   domain.Card,
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return order
}

func attemptFor(o *domain.Order) usecase.Attempt {
	return usecase.Attempt{ID: o.ID(), UserID: o.Snapshot().UserID, Key: "key", Fingerprint: "f00d", OrderID: o.ID()}
}
