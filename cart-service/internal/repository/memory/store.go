// Package memory keeps carts in the process: for tests of what uses a store, and as the plain statement of what the one in
// Redis must do.
package memory

import (
	"context"
	"errors"
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
	seals  map[domain.Owner]seal
	told   map[domain.Owner]map[string]time.Time // orders and merged guests
	erased string
}

// seal is a guest's cart that is for a user.
type seal struct {
	user  domain.Owner
	lines []domain.Line
	until time.Time
}

// New returns an empty store. now is the clock by which carts expire.
func New(now func() time.Time) *Store {
	return &Store{
		now:   now,
		carts: make(map[domain.Owner]domain.CartSnapshot),
		seals: make(map[domain.Owner]seal),
		told:  make(map[domain.Owner]map[string]time.Time),
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
	if errors.Is(err, domain.ErrCartGone) {
		return nil
	}
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
	if s.firstTime(owner, orderID.String(), now) {
		c := s.load(owner)
		c.RemovePurchased(lines, now)
		s.keep(c)
	}
	return nil
}

// Seal keeps a guest's cart for a user and returns its lines.
func (s *Store) Seal(_ context.Context, guest, user domain.Owner) ([]domain.Line, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, sealed := s.sealOf(guest)
	if !sealed {
		c := s.load(guest)
		if c.Version() == 0 {
			return nil, nil
		}
		kept = seal{user: user, lines: c.Lines(), until: s.now().Add(domain.Lifetime)}
		s.seals[guest] = kept
		delete(s.carts, guest)
	}
	if kept.user != user {
		return nil, nil
	}
	return slices.Clone(kept.lines), nil
}

// Merge puts a guest's lines into a user's cart, once a guest.
func (s *Store) Merge(_ context.Context, user, guest domain.Owner, lines []domain.Line, now time.Time) (*domain.Cart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.load(user)
	if s.firstTime(user, guest.String(), now) {
		c.Merge(lines, now)
		s.keep(c)
	}
	return c, nil
}

// Discard takes the lines out of a cart that was sealed for a user.
func (s *Store) Discard(_ context.Context, guest, user domain.Owner) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := s.sealOf(guest); ok && kept.user == user && kept.lines != nil {
		s.seals[guest] = seal{user: user, until: s.now().Add(domain.Lifetime)}
	}
	return nil
}

// Erase deletes the carts of owners and returns how many there were.
func (s *Store) Erase(_ context.Context, owners []domain.Owner) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, owner := range owners {
		if s.load(owner).Version() > 0 {
			n++
		}
		delete(s.carts, owner)
		delete(s.told, owner)
	}
	return n, nil
}

// ErasedUpTo returns what KeepErasedUpTo kept, "" for nothing.
func (s *Store) ErasedUpTo(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.erased, nil
}

// KeepErasedUpTo keeps a cursor.
func (s *Store) KeepErasedUpTo(_ context.Context, cursor string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erased = cursor
	return nil
}

// firstTime keeps that something was told of an owner's cart, and forgets the oldest of too many.
func (s *Store) firstTime(owner domain.Owner, what string, now time.Time) bool {
	told := s.told[owner]
	if told == nil {
		told = make(map[string]time.Time)
		s.told[owner] = told
	}
	maps.DeleteFunc(told, func(_ string, at time.Time) bool { return !at.After(now.Add(-domain.RememberFor)) })
	if _, ok := told[what]; ok {
		return false
	}
	told[what] = now
	if len(told) > domain.Remember {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(told)), func(a, b string) int { return told[a].Compare(told[b]) })
		delete(told, oldest)
	}
	return true
}

func (s *Store) update(owner domain.Owner, version *int64, change func(*domain.Cart) error) (*domain.Cart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, sealed := s.sealOf(owner); sealed {
		return nil, domain.ErrCartGone
	}
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

func (s *Store) sealOf(owner domain.Owner) (seal, bool) {
	kept, ok := s.seals[owner]
	if ok && !s.now().Before(kept.until) {
		delete(s.seals, owner)
		return seal{}, false
	}
	return kept, ok
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
