// Package memory keeps carts in the process: for tests of what uses a store, and as the plain statement of what the one in
// Redis must do.
package memory

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
)

// Store keeps carts. All its methods may be called from any goroutine.
type Store struct {
	now func() time.Time

	mu     sync.Mutex
	carts  map[domain.Owner]domain.CartSnapshot
	orders map[domain.Owner]map[uuid.UUID]time.Time
}

// New returns an empty store. now is the clock by which carts expire.
func New(now func() time.Time) *Store {
	return &Store{
		now:    now,
		carts:  make(map[domain.Owner]domain.CartSnapshot),
		orders: make(map[domain.Owner]map[uuid.UUID]time.Time),
	}
}

// Get returns the owner's cart, an empty one if there is none.
func (s *Store) Get(_ context.Context, owner domain.Owner) (*domain.Cart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.load(owner), nil
}

// Remember keeps what is known of the products that are in the cart.
func (s *Store) Remember(_ context.Context, owner domain.Owner, known map[uuid.UUID]domain.Known) error {
	_, err := s.update(owner, nil, func(c *domain.Cart) error { c.Remember(known); return nil })
	return err
}

// Add puts more of a product into the cart.
func (s *Store) Add(_ context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error) {
	return s.update(owner, version, func(c *domain.Cart) error { return c.Add(line) })
}

// Set makes the quantity of a product what the line says.
func (s *Store) Set(_ context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error) {
	return s.update(owner, version, func(c *domain.Cart) error { return c.Set(line) })
}

// Remove takes a product out of the cart.
func (s *Store) Remove(_ context.Context, owner domain.Owner, productID uuid.UUID, version *int64, now time.Time) (*domain.Cart, error) {
	return s.update(owner, version, func(c *domain.Cart) error { c.Remove(productID, now); return nil })
}

// Clear takes everything out of the cart.
func (s *Store) Clear(_ context.Context, owner domain.Owner, version *int64, now time.Time) error {
	_, err := s.update(owner, version, func(c *domain.Cart) error { c.Clear(now); return nil })
	return err
}

// RemovePurchased takes out what was bought, once an order.
func (s *Store) RemovePurchased(_ context.Context, owner domain.Owner, orderID uuid.UUID, lines []domain.PurchasedLine, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.firstTime(owner, orderID, now) {
		c := s.load(owner)
		c.RemovePurchased(lines, now)
		s.keep(c)
	}
	return nil
}

// firstTime keeps that the order was told, and forgets the oldest of too many.
func (s *Store) firstTime(owner domain.Owner, orderID uuid.UUID, now time.Time) bool {
	told := s.orders[owner]
	if told == nil {
		told = make(map[uuid.UUID]time.Time)
		s.orders[owner] = told
	}
	maps.DeleteFunc(told, func(_ uuid.UUID, at time.Time) bool { return !at.After(now.Add(-domain.RememberOrdersFor)) })
	if _, ok := told[orderID]; ok {
		return false
	}
	told[orderID] = now
	if len(told) > domain.RememberOrders {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(told)), func(a, b uuid.UUID) int { return told[a].Compare(told[b]) })
		delete(told, oldest)
	}
	return true
}

func (s *Store) update(owner domain.Owner, version *int64, change func(*domain.Cart) error) (*domain.Cart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.load(owner)
	if err := c.Expect(version); err != nil {
		return nil, err
	}
	if err := change(c); err != nil {
		return nil, err
	}
	s.keep(c)
	return c, nil
}

// keep stores a cart, unless it is still the one of somebody who has none.
func (s *Store) keep(c *domain.Cart) {
	if c.Version() > 0 {
		kept := c.Snapshot()
		s.carts[kept.Owner] = kept
	}
}

func (s *Store) load(owner domain.Owner) *domain.Cart {
	kept, ok := s.carts[owner]
	if !ok {
		return domain.NewCart(owner)
	}
	c := domain.RestoreCart(kept)
	if !s.now().Before(c.ExpiresAt()) {
		delete(s.carts, owner)
		return domain.NewCart(owner)
	}
	return c
}
