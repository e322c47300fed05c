// Package repositorytest is what every store of orders is held to.
package repositorytest

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// Store is all that the use cases ask of a store.
type Store interface {
	usecase.AttemptStore
	usecase.KeyStore
	usecase.OrderStore
	usecase.OrderReader
	usecase.CouponStore
	usecase.CouponReader
	usecase.CouponFinder
	usecase.CheckPlanner
	usecase.EndpointStore
	usecase.EndpointReader
	usecase.DeliveryReader
	usecase.OutgoingStore
	// PlannedDeliveries returns what is planned to be sent, the oldest first.
	PlannedDeliveries(ctx context.Context) ([]usecase.PlannedDelivery, error)
	usecase.AuditedOrders
	usecase.FindingStore
	usecase.FindingReader
	// Checks returns how many looks at the payments of an order are planned.
	Checks(ctx context.Context, orderID uuid.UUID) (int, error)
	// Planned returns when Settle is to look at an order, and whether it is to at all.
	Planned(ctx context.Context, orderID uuid.UUID) (time.Time, bool, error)
}

// Run holds a kind of store to the contract. newStore returns an empty one.
func Run(t *testing.T, newStore func(t *testing.T) Store) {
	tests := map[string]func(*testing.T, Store){
		"begin: one key makes one order":              oneKeyOneOrder,
		"refuse: one outcome a key":                   refusals,
		"begin: the first lease is out once":          firstLeaseIsOnce,
		"begin: two users may use one key":            keyIsTheUsers,
		"begin: leased and planned":                   begins,
		"attempt: unknown":                            unknownAttempt,
		"order: every field comes back":               everyField,
		"order: nothing optional":                     nothingOptional,
		"order: copies":                               copies,
		"order: unknown":                              unknownOrder,
		"decide: concurrent changes are all kept":     nothingLost,
		"decide: busy while leased":                   busyWhileLeased,
		"decide: a lease that ran out may be taken":   leaseRunsOut,
		"decide: a lease is lost when it is given up": leaseGivenBack,
		"decide: one of many takes a lease":           oneTakesTheLease,
		"decide: an error changes nothing":            errorChangesNothing,
		"decide: plans":                               plans,
		"unplan: what is as it was":                   unplan,
		"outcome: an order, kept once":                outcomeOfOrder,
		"outcome: an error with its details":          outcomeOfError,
		"refund: no more than was paid":               refundsNeverExceed,
		"key: held, left, ended":                      claims,
		"key: forgotten":                              claimForgotten,
		"key: a claim that ran out may be taken":      claimRunsOut,
		"key: one namespace":                          keysAreOneNamespace,
		"key: outcomes by name":                       outcomesByName,
		"key: one of many holds it":                   claimTogether,
		"check: beside what is planned":               checkIsPlanned,
		"check: of no order":                          checkOfNothing,
		"discard: the attempt stays":                  discard,
		"list: pages while orders come in":            pagesWhileOrdersComeIn,
		"list: filters and counts":                    filters,
	}
	maps.Copy(tests, couponTests)
	maps.Copy(tests, webhookTests)
	maps.Copy(tests, auditTests)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

const (
	// longLease does not end during a test.
	longLease = time.Hour
	// patience bounds the wait for what must happen soon, on a machine that is busy with other tests.
	patience = 30 * time.Second
)

// noon is a time without a fraction, which all databases keep as it is.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// later is a plan that does not come due during a test.
func later() time.Time { return time.Now().UTC().Truncate(time.Second).Add(24 * time.Hour) }

// same compares what was stored with what came back.
var same = cmp.Options{
	cmp.Comparer(func(a, b money.Money) bool { return a == b }),
	cmpopts.IgnoreUnexported(apperr.Error{}), // the cause is not stored
	cmpopts.EquateEmpty(),
}

func eur(amount int64) money.Money { return money.MustNew(amount, "EUR") }

// newOrder returns a pending order.
func newOrder(t *testing.T, user uuid.UUID, at time.Time) *domain.Order {
	t.Helper()
	order, err := domain.NewOrder(domain.Draft{
		UserID:   user,
		Items:    []domain.Item{{ProductID: uuid.New(), SKU: "CUP-1", Name: "A cup", Quantity: 2, UnitPrice: eur(1250)}},
		Shipping: domain.ShippingMethod{ID: "standard", Price: eur(490)},
		Address:  address,
		Method:   domain.Card,
	}, at)
	if err != nil {
		t.Fatal(err)
	}
	return order
}

var address = domain.Address{
	Recipient: "Zoë Ångström", Line1: "Hauptstraße 1", Line2: "2. Stock", City: "Köln", Region: "NRW", PostalCode: "50667",
	Country: "DE", Phone: "+49 221 1234",
}

func attemptFor(o *domain.Order) usecase.Attempt {
	return usecase.Attempt{
		ID: o.ID(), UserID: o.Snapshot().UserID, Key: "key of " + o.Snapshot().Number, Fingerprint: "f00d", OrderID: o.ID(),
	}
}

// begin stores a new order that nobody has leased, and returns it with its attempt.
func begin(t *testing.T, s Store, o *domain.Order) usecase.Attempt {
	t.Helper()
	attempt := attemptFor(o)
	lease, err := s.Begin(t.Context(), o, attempt, longLease, later())
	if err != nil {
		t.Fatal(err)
	}
	decide(t, s, o.ID(), lease, usecase.Change{})
	return attempt
}

// decide applies a change that leaves the order as it is.
func decide(t *testing.T, s Store, id uuid.UUID, held usecase.Lease, change usecase.Change) usecase.Lease {
	t.Helper()
	_, lease, err := s.Decide(t.Context(), id, held, changeTo(change))
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func changeTo(change usecase.Change) func(*domain.Order) (usecase.Change, error) {
	return func(*domain.Order) (usecase.Change, error) { return change, nil }
}

func read(t *testing.T, s Store, id uuid.UUID) domain.Snapshot {
	t.Helper()
	order, err := s.Order(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return order.Snapshot()
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func expectPlan(t *testing.T, s Store, id uuid.UUID, want time.Time) {
	t.Helper()
	at, planned, err := s.Planned(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if planned != !want.IsZero() || planned && !at.Equal(want) {
		t.Errorf("planned: %v at %v, want %v", planned, at, want)
	}
}

// together runs a function n times at once.
func together(n int, run func(i int)) {
	var (
		group sync.WaitGroup
		start = make(chan struct{})
	)
	for i := range n {
		group.Go(func() {
			<-start
			run(i)
		})
	}
	close(start)
	group.Wait()
}
