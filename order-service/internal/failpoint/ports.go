package failpoint

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/money"
)

// Around returns the parts of a checkout with points around each call that changes something.
func (p *Points) Around(parts usecase.CheckoutParts) usecase.CheckoutParts {
	parts.Attempts = attempts{parts.Attempts, p}
	parts.Keys = &keys{KeyStore: parts.Keys, at: p}
	parts.Orders = orders{parts.Orders, p}
	parts.Carts = carts{parts.Carts, p}
	parts.Stock = stock{parts.Stock, p}
	parts.Payments = payments{parts.Payments, p}
	return parts
}

type attempts struct {
	usecase.AttemptStore
	at *Points
}

func (s attempts) Begin(ctx context.Context, o *domain.Order, a usecase.Attempt, keep time.Duration, settleAt time.Time) (usecase.Lease, error) {
	s.at.claim(a.Key, o.ID())
	return through(s.at, o.ID(), "Begin", func() (usecase.Lease, error) { return s.AttemptStore.Begin(ctx, o, a, keep, settleAt) })
}

func (s attempts) Refuse(ctx context.Context, a usecase.Attempt) error {
	s.at.claim(a.Key, a.OrderID)
	return throughDo(s.at, a.OrderID, "Refuse", func() error { return s.AttemptStore.Refuse(ctx, a) })
}

type keys struct {
	usecase.KeyStore
	at     *Points
	orders sync.Map // of attempts that were claimed, by their ids: the end of a claim does not name its order
}

func (s *keys) Claim(ctx context.Context, a usecase.Attempt, keep time.Duration) (usecase.Attempt, error) {
	s.at.claim(a.Key, a.OrderID)
	claimed, err := through(s.at, a.OrderID, "Claim", func() (usecase.Attempt, error) { return s.KeyStore.Claim(ctx, a, keep) })
	if err == nil {
		s.orders.Store(claimed.ID, a.OrderID)
	}
	return claimed, err
}

func (s *keys) EndClaim(ctx context.Context, id uuid.UUID, outcome *usecase.Outcome, forget bool) error {
	order := uuid.Nil
	if claimed, ok := s.orders.LoadAndDelete(id); ok {
		order = claimed.(uuid.UUID)
	}
	return throughDo(s.at, order, "EndClaim", func() error { return s.KeyStore.EndClaim(ctx, id, outcome, forget) })
}

type orders struct {
	usecase.OrderStore
	at *Points
}

// Decide has a point within, too: the order is locked and decided over, nothing is written.
func (s orders) Decide(
	ctx context.Context, id uuid.UUID, held usecase.Lease, decide func(*domain.Order) (usecase.Change, error),
) (*domain.Order, usecase.Lease, error) {
	call := s.at.count(id, "Decide")
	if err := s.at.pass(id, call, "before"); err != nil {
		return nil, usecase.Lease{}, err
	}
	order, lease, err := s.OrderStore.Decide(ctx, id, held, func(o *domain.Order) (usecase.Change, error) {
		change, err := decide(o)
		if err != nil {
			return change, err
		}
		return change, s.at.pass(id, call, "within")
	})
	if lost := s.at.pass(id, call, "after"); lost != nil {
		return nil, usecase.Lease{}, lost
	}
	return order, lease, err
}

func (s orders) Unplan(ctx context.Context, id uuid.UUID, version int64) error {
	return throughDo(s.at, id, "Unplan", func() error { return s.OrderStore.Unplan(ctx, id, version) })
}

type carts struct {
	usecase.Carts
	at *Points
}

func (s carts) RemovePurchased(ctx context.Context, userID, orderID uuid.UUID, lines []usecase.Line) error {
	return throughDo(s.at, orderID, "RemovePurchased", func() error { return s.Carts.RemovePurchased(ctx, userID, orderID, lines) })
}

type stock struct {
	usecase.Stock
	at *Points
}

func (s stock) Reserve(ctx context.Context, orderID uuid.UUID, revision int64, lines []usecase.Line, ttl time.Duration) error {
	return throughDo(s.at, orderID, "Reserve", func() error { return s.Stock.Reserve(ctx, orderID, revision, lines, ttl) })
}

func (s stock) Confirm(ctx context.Context, orderID uuid.UUID) error {
	return throughDo(s.at, orderID, "Confirm", func() error { return s.Stock.Confirm(ctx, orderID) })
}

func (s stock) Release(ctx context.Context, orderID uuid.UUID, kept ...usecase.Line) error {
	return throughDo(s.at, orderID, "Release", func() error { return s.Stock.Release(ctx, orderID, kept...) })
}

func (s stock) Restock(ctx context.Context, orderID, refundID uuid.UUID, lines []usecase.Line) error {
	return throughDo(s.at, orderID, "Restock", func() error { return s.Stock.Restock(ctx, orderID, refundID, lines) })
}

type payments struct {
	usecase.Payments
	at *Points
}

func (s payments) Authorize(ctx context.Context, key string, orderID uuid.UUID, amount money.Money, token string) (usecase.ProviderPayment, error) {
	return through(s.at, orderID, "Authorize", func() (usecase.ProviderPayment, error) {
		return s.Payments.Authorize(ctx, key, orderID, amount, token)
	})
}

func (s payments) Find(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	return through(s.at, orderOf(key), "Find", func() (usecase.ProviderPayment, error) { return s.Payments.Find(ctx, key) })
}

func (s payments) Capture(ctx context.Context, key, paymentID string) (usecase.ProviderPayment, error) {
	return through(s.at, orderOf(key), "Capture", func() (usecase.ProviderPayment, error) { return s.Payments.Capture(ctx, key, paymentID) })
}

func (s payments) Reverse(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	return through(s.at, orderOf(key), "Reverse", func() (usecase.ProviderPayment, error) { return s.Payments.Reverse(ctx, key) })
}

func (s payments) Refund(ctx context.Context, key, refundKey string, amount money.Money) (usecase.ProviderPayment, error) {
	return through(s.at, orderOf(key), "Refund", func() (usecase.ProviderPayment, error) { return s.Payments.Refund(ctx, key, refundKey, amount) })
}
