// Package memory keeps orders in the process, for tests: by the same contract as PostgreSQL, with leases that end by a clock
// of the test's own.
package memory

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// Store keeps orders, attempts and plans. What goes in and what comes out are copies.
type Store struct {
	now func() time.Time

	mu       sync.Mutex
	orders   map[uuid.UUID]*row
	attempts map[attemptKey]usecase.Attempt
	claims   map[uuid.UUID]time.Time // until when somebody works on an attempt
	plans    map[uuid.UUID]time.Time
	checks   map[uuid.UUID]int // looks at payments that are planned
	coupons  map[uuid.UUID]domain.Coupon
	uses     map[uuid.UUID]use // by order
	webhooks webhooks
	audits   audits
}

// row is an order with its lease.
type row struct {
	order domain.Snapshot
	// epoch counts the leases there were; holder is the one that is out, 0 for none.
	epoch, holder int64
	leasedUntil   time.Time
	// told says that the world knows the order: it can't be discarded any more.
	told bool
}

type attemptKey struct {
	userID uuid.UUID
	key    string
}

// New returns an empty store whose leases end by a clock.
func New(now func() time.Time) *Store {
	return &Store{
		now:      now,
		orders:   make(map[uuid.UUID]*row),
		attempts: make(map[attemptKey]usecase.Attempt),
		claims:   make(map[uuid.UUID]time.Time),
		plans:    make(map[uuid.UUID]time.Time),
		checks:   make(map[uuid.UUID]int),
		coupons:  make(map[uuid.UUID]domain.Coupon),
		uses:     make(map[uuid.UUID]use),
		webhooks: newWebhooks(),
		audits:   audits{findings: make(map[uuid.UUID]domain.Finding)},
	}
}

// FindAttempt implements usecase.AttemptStore.
func (s *Store) FindAttempt(ctx context.Context, userID uuid.UUID, key string) (usecase.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return usecase.Attempt{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	attempt, ok := s.attempts[attemptKey{userID, key}]
	if !ok {
		return usecase.Attempt{}, usecase.ErrNoAttempt
	}
	return copyAttempt(attempt), nil
}

// Begin implements usecase.AttemptStore.
func (s *Store) Begin(ctx context.Context, o *domain.Order, a usecase.Attempt, keep time.Duration, settleAt time.Time) (usecase.Lease, error) {
	if err := ctx.Err(); err != nil {
		return usecase.Lease{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := attemptKey{a.UserID, a.Key}
	if _, taken := s.attempts[key]; taken {
		return usecase.Lease{}, usecase.ErrKeyTaken
	}
	if err := s.takeCoupon(o.Snapshot()); err != nil {
		return usecase.Lease{}, err
	}
	s.attempts[key] = copyAttempt(a)
	s.orders[o.ID()] = &row{order: copySnapshot(o.Snapshot()), epoch: usecase.FirstLease.Epoch, holder: usecase.FirstLease.Epoch, leasedUntil: s.now().Add(keep)}
	s.plans[o.ID()] = settleAt
	return usecase.FirstLease, nil
}

// Refuse implements usecase.AttemptStore.
func (s *Store) Refuse(ctx context.Context, a usecase.Attempt) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := attemptKey{a.UserID, a.Key}
	if _, taken := s.attempts[key]; taken {
		return usecase.ErrKeyTaken
	}
	s.attempts[key] = copyAttempt(a)
	return nil
}

// Decide implements usecase.OrderStore. The decision must not call the store, which is locked meanwhile.
func (s *Store) Decide(
	ctx context.Context, id uuid.UUID, held usecase.Lease, decide func(*domain.Order) (usecase.Change, error),
) (*domain.Order, usecase.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, usecase.Lease{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.orders[id]
	if !ok {
		return nil, usecase.Lease{}, domain.ErrOrderMissing
	}
	now := s.now()
	switch {
	case held == usecase.Lease{} && r.holder != 0 && now.Before(r.leasedUntil):
		return nil, usecase.Lease{}, domain.ErrBusy
	case held != usecase.Lease{} && held.Epoch != r.holder:
		return nil, usecase.Lease{}, usecase.ErrLeaseLost
	}
	order := domain.RestoreOrder(copySnapshot(r.order))
	change, err := decide(order)
	if err != nil {
		return nil, usecase.Lease{}, err
	}
	if !change.Discard {
		if err := s.tell(r, order.Snapshot()); err != nil {
			return nil, usecase.Lease{}, err
		}
	}
	s.keepOutcome(change.AttemptsOf(id), change.Outcome)
	if change.Discard || order.Status() == domain.Cancelled {
		s.giveCouponBack(id)
	}
	switch {
	case change.Settle.Never || change.Discard:
		delete(s.plans, id)
	case !change.Settle.At.IsZero():
		s.plans[id] = change.Settle.At
	}
	if change.Discard {
		delete(s.orders, id)
		return order, usecase.Lease{}, nil
	}
	r.order = copySnapshot(order.Snapshot())
	if change.Keep <= 0 {
		r.holder = 0 // also if it had run out: its holder learns that it was overtaken
		return order, usecase.Lease{}, nil
	}
	if (held == usecase.Lease{}) {
		r.epoch++
		r.holder = r.epoch
	}
	r.leasedUntil = now.Add(change.Keep)
	return order, usecase.Lease{Epoch: r.holder}, nil
}

// keepOutcome gives attempts their outcome, once.
func (s *Store) keepOutcome(attempts []uuid.UUID, outcome *usecase.Outcome) {
	if outcome == nil {
		return
	}
	for key, attempt := range s.attempts {
		if slices.Contains(attempts, attempt.ID) && attempt.Outcome == nil {
			attempt.Outcome = copyOutcome(outcome)
			s.attempts[key] = attempt
		}
	}
}

// Order implements usecase.OrderStore and usecase.OrderReader.
func (s *Store) Order(ctx context.Context, id uuid.UUID) (*domain.Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.orders[id]
	if !ok {
		return nil, domain.ErrOrderMissing
	}
	return domain.RestoreOrder(copySnapshot(r.order)), nil
}

// ListOrders implements usecase.OrderReader. Ids are made in the order of time, so theirs is that of the list.
func (s *Store) ListOrders(ctx context.Context, f usecase.Filter, after uuid.UUID, limit int) ([]domain.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []domain.Snapshot
	for id, r := range s.orders {
		if matches(r.order, f) && (after == uuid.Nil || bytes.Compare(id[:], after[:]) < 0) {
			found = append(found, r.order)
		}
	}
	slices.SortFunc(found, func(a, b domain.Snapshot) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	found = found[:min(limit, len(found))]
	for i := range found {
		found[i] = copySnapshot(found[i])
	}
	return found, nil
}

// CountOrders implements usecase.OrderReader.
func (s *Store) CountOrders(ctx context.Context, f usecase.Filter) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, r := range s.orders {
		if matches(r.order, f) {
			n++
		}
	}
	return n, nil
}

func matches(o domain.Snapshot, f usecase.Filter) bool {
	return (f.UserID == uuid.Nil || o.UserID == f.UserID) && (f.Status == "" || o.Status == f.Status)
}
