package usecase_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// Faults stand between a process and everything around it. Before is asked for each call before it is made: an error is the
// answer, and nothing has happened. After is asked when it has succeeded: an error hides that it has. Calls are named
// "stock.Reserve" and so on.
type Faults struct {
	Before, After func(call string) error
}

func (f Faults) before(call string) error {
	if f.Before == nil {
		return nil
	}
	return f.Before(call)
}

func (f Faults) after(call string) error {
	if f.After == nil {
		return nil
	}
	return f.After(call)
}

var (
	errDead = errors.New("the process is dead: nothing that it does has an effect")
	errAway = apperr.DependencyUnavailable(errors.New("connection refused"))
)

// Counter numbers the calls of a process from 1.
type Counter struct {
	mu    sync.Mutex
	calls int
}

func (c *Counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	return c.calls
}

// Calls returns how many there were.
func (c *Counter) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// DiesAfter makes a process die when n calls are made: the rest of what it does reaches nobody.
func DiesAfter(n int, counter *Counter) Faults {
	return Faults{Before: func(string) error {
		if counter.next() > n {
			return errDead
		}
		return nil
	}}
}

// FailsAt makes the n-th call not get through.
func FailsAt(n int, counter *Counter) Faults {
	return Faults{Before: func(string) error {
		if counter.next() == n {
			return errAway
		}
		return nil
	}}
}

// AnswerLostAt lets the n-th call that succeeds happen, and its answer get lost.
func AnswerLostAt(n int, counter *Counter) Faults {
	return Faults{After: func(string) error {
		if counter.next() == n {
			return context.DeadlineExceeded
		}
		return nil
	}}
}

// CantReach makes all calls with some names fail.
func CantReach(err error, calls ...string) Faults {
	return Faults{Before: func(call string) error {
		for _, c := range calls {
			if c == call {
				return err
			}
		}
		return nil
	}}
}

// through makes one call, unless nobody waits for it any more. A call that fails by itself keeps its error.
func through[T any](ctx context.Context, f Faults, name string, call func() (T, error)) (T, error) {
	var none T
	if err := f.before(name); err != nil {
		return none, err
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	answer, err := call()
	if err != nil {
		return answer, err
	}
	if err := f.after(name); err != nil {
		return none, err
	}
	return answer, nil
}

func throughDo(ctx context.Context, f Faults, name string, call func() error) error {
	_, err := through(ctx, f, name, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

type faultyAttempts struct {
	Faults
	to usecase.AttemptStore
}

func (s faultyAttempts) FindAttempt(ctx context.Context, userID uuid.UUID, key string) (usecase.Attempt, error) {
	return through(ctx, s.Faults, "attempts.FindAttempt", func() (usecase.Attempt, error) { return s.to.FindAttempt(ctx, userID, key) })
}

func (s faultyAttempts) Begin(ctx context.Context, o *domain.Order, a usecase.Attempt, keep time.Duration, settleAt time.Time) (usecase.Lease, error) {
	return through(ctx, s.Faults, "attempts.Begin", func() (usecase.Lease, error) { return s.to.Begin(ctx, o, a, keep, settleAt) })
}

func (s faultyAttempts) Refuse(ctx context.Context, a usecase.Attempt) error {
	return throughDo(ctx, s.Faults, "attempts.Refuse", func() error { return s.to.Refuse(ctx, a) })
}

type faultyKeys struct {
	Faults
	to usecase.KeyStore
}

func (s faultyKeys) Claim(ctx context.Context, a usecase.Attempt, keep time.Duration) (usecase.Attempt, error) {
	return through(ctx, s.Faults, "keys.Claim", func() (usecase.Attempt, error) { return s.to.Claim(ctx, a, keep) })
}

func (s faultyKeys) EndClaim(ctx context.Context, id uuid.UUID, outcome *usecase.Outcome, forget bool) error {
	return throughDo(ctx, s.Faults, "keys.EndClaim", func() error { return s.to.EndClaim(ctx, id, outcome, forget) })
}

type faultyOrders struct {
	Faults
	to usecase.OrderStore
}

func (s faultyOrders) Decide(
	ctx context.Context, id uuid.UUID, held usecase.Lease, decide func(*domain.Order) (usecase.Change, error),
) (*domain.Order, usecase.Lease, error) {
	var lease usecase.Lease
	order, err := through(ctx, s.Faults, "orders.Decide", func() (order *domain.Order, err error) {
		order, lease, err = s.to.Decide(ctx, id, held, decide)
		return order, err
	})
	if err != nil {
		return nil, usecase.Lease{}, err
	}
	return order, lease, nil
}

func (s faultyOrders) Order(ctx context.Context, id uuid.UUID) (*domain.Order, error) {
	return through(ctx, s.Faults, "orders.Order", func() (*domain.Order, error) { return s.to.Order(ctx, id) })
}

func (s faultyOrders) Unplan(ctx context.Context, id uuid.UUID, version int64) error {
	_, err := through(ctx, s.Faults, "orders.Unplan", func() (struct{}, error) { return struct{}{}, s.to.Unplan(ctx, id, version) })
	return err
}

type faultyCoupons struct {
	Faults
	to usecase.CouponFinder
}

func (s faultyCoupons) FindCoupon(ctx context.Context, code string, userID uuid.UUID) (domain.Coupon, int64, error) {
	var used int64
	coupon, err := through(ctx, s.Faults, "coupons.FindCoupon", func() (c domain.Coupon, err error) {
		c, used, err = s.to.FindCoupon(ctx, code, userID)
		return c, err
	})
	return coupon, used, err
}

type faultyUsers struct {
	Faults
	to usecase.Users
}

func (s faultyUsers) Active(ctx context.Context, userID uuid.UUID) (bool, error) {
	return through(ctx, s.Faults, "users.Active", func() (bool, error) { return s.to.Active(ctx, userID) })
}

type faultyAddresses struct {
	Faults
	to usecase.Addresses
}

func (s faultyAddresses) Address(ctx context.Context, id uuid.UUID) (domain.Address, error) {
	return through(ctx, s.Faults, "addresses.Address", func() (domain.Address, error) { return s.to.Address(ctx, id) })
}

type faultyCarts struct {
	Faults
	to usecase.Carts
}

func (s faultyCarts) Lines(ctx context.Context) ([]usecase.Line, error) {
	return through(ctx, s.Faults, "carts.Lines", func() ([]usecase.Line, error) { return s.to.Lines(ctx) })
}

func (s faultyCarts) RemovePurchased(ctx context.Context, userID, orderID uuid.UUID, lines []usecase.Line) error {
	return throughDo(ctx, s.Faults, "carts.RemovePurchased", func() error { return s.to.RemovePurchased(ctx, userID, orderID, lines) })
}

type faultyCatalog struct {
	Faults
	to usecase.Catalog
}

func (s faultyCatalog) Products(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]usecase.Product, error) {
	return through(ctx, s.Faults, "catalog.Products", func() (map[uuid.UUID]usecase.Product, error) { return s.to.Products(ctx, ids) })
}

type faultyStock struct {
	Faults
	to usecase.Stock
}

func (s faultyStock) Reserve(ctx context.Context, orderID uuid.UUID, revision int64, lines []usecase.Line, ttl time.Duration) error {
	return throughDo(ctx, s.Faults, "stock.Reserve", func() error { return s.to.Reserve(ctx, orderID, revision, lines, ttl) })
}

func (s faultyStock) Confirm(ctx context.Context, orderID uuid.UUID) error {
	return throughDo(ctx, s.Faults, "stock.Confirm", func() error { return s.to.Confirm(ctx, orderID) })
}

func (s faultyStock) Release(ctx context.Context, orderID uuid.UUID, kept ...usecase.Line) error {
	return throughDo(ctx, s.Faults, "stock.Release", func() error { return s.to.Release(ctx, orderID, kept...) })
}

func (s faultyStock) Restock(ctx context.Context, orderID, refundID uuid.UUID, lines []usecase.Line) error {
	return throughDo(ctx, s.Faults, "stock.Restock", func() error { return s.to.Restock(ctx, orderID, refundID, lines) })
}

type faultyPayments struct {
	Faults
	to usecase.Payments
}

func (s faultyPayments) Name() string { return s.to.Name() }

func (s faultyPayments) Ready() error { return s.to.Ready() }

func (s faultyPayments) Authorize(ctx context.Context, key string, orderID uuid.UUID, amount money.Money, token string) (usecase.ProviderPayment, error) {
	return through(ctx, s.Faults, "payments.Authorize", func() (usecase.ProviderPayment, error) {
		return s.to.Authorize(ctx, key, orderID, amount, token)
	})
}

func (s faultyPayments) Find(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	return through(ctx, s.Faults, "payments.Find", func() (usecase.ProviderPayment, error) { return s.to.Find(ctx, key) })
}

func (s faultyPayments) Capture(ctx context.Context, key, paymentID string) (usecase.ProviderPayment, error) {
	return through(ctx, s.Faults, "payments.Capture", func() (usecase.ProviderPayment, error) { return s.to.Capture(ctx, key, paymentID) })
}

func (s faultyPayments) Reverse(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	return through(ctx, s.Faults, "payments.Reverse", func() (usecase.ProviderPayment, error) { return s.to.Reverse(ctx, key) })
}

func (s faultyPayments) Refund(ctx context.Context, key, refundKey string, amount money.Money) (usecase.ProviderPayment, error) {
	return through(ctx, s.Faults, "payments.Refund", func() (usecase.ProviderPayment, error) { return s.to.Refund(ctx, key, refundKey, amount) })
}
