package usecasetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/auth"
)

// FakeCatalog sells what the FakeStock has.
type FakeCatalog struct {
	mu       sync.Mutex
	stock    *FakeStock
	products map[uuid.UUID]usecase.Product
}

// NewFakeCatalog returns a catalogue without products.
func NewFakeCatalog(stock *FakeStock) *FakeCatalog {
	return &FakeCatalog{stock: stock, products: make(map[uuid.UUID]usecase.Product)}
}

// Products implements usecase.Catalog.
func (c *FakeCatalog) Products(_ context.Context, ids []uuid.UUID) (map[uuid.UUID]usecase.Product, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[uuid.UUID]usecase.Product)
	for _, id := range ids {
		if p, ok := c.products[id]; ok {
			p.Available = c.stock.Available(id)
			found[id] = p
		}
	}
	return found, nil
}

// Sell adds a product.
func (c *FakeCatalog) Sell(id uuid.UUID, p usecase.Product) {
	c.Change(id, func(unknown *usecase.Product) { *unknown = p })
}

// Change changes a product.
func (c *FakeCatalog) Change(id uuid.UUID, change func(*usecase.Product)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.products[id]
	change(&p)
	c.products[id] = p
}

// FakeCarts keeps a cart for each user.
type FakeCarts struct {
	mu    sync.Mutex
	carts map[uuid.UUID][]usecase.Line
	done  map[uuid.UUID]bool // orders that were taken out
}

// NewFakeCarts returns empty carts.
func NewFakeCarts() *FakeCarts {
	return &FakeCarts{carts: make(map[uuid.UUID][]usecase.Line), done: make(map[uuid.UUID]bool)}
}

// Lines implements usecase.Carts.
func (c *FakeCarts) Lines(ctx context.Context) ([]usecase.Line, error) {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return nil, errors.New("nobody asks for a cart")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.carts[uuid.MustParse(caller.UserID)]), nil
}

// RemovePurchased implements usecase.Carts.
func (c *FakeCarts) RemovePurchased(_ context.Context, userID, orderID uuid.UUID, lines []usecase.Line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done[orderID] {
		return nil
	}
	c.done[orderID] = true
	left := make(map[uuid.UUID]int64)
	for _, l := range c.carts[userID] {
		left[l.ProductID] += l.Quantity
	}
	for _, l := range lines {
		left[l.ProductID] -= l.Quantity
	}
	c.carts[userID] = nil
	for _, id := range slices.SortedFunc(maps.Keys(left), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }) {
		if left[id] > 0 {
			c.carts[userID] = append(c.carts[userID], usecase.Line{ProductID: id, Quantity: left[id]})
		}
	}
	return nil
}

// Put fills a user's cart.
func (c *FakeCarts) Put(userID uuid.UUID, lines ...usecase.Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.carts[userID] = lines
}

// Of returns a user's cart.
func (c *FakeCarts) Of(userID uuid.UUID) []usecase.Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.carts[userID])
}

// FakeUsers knows everybody but those who were disabled.
type FakeUsers struct {
	mu       sync.Mutex
	disabled map[uuid.UUID]bool
}

// NewFakeUsers returns users of whom none is disabled.
func NewFakeUsers() *FakeUsers { return &FakeUsers{disabled: make(map[uuid.UUID]bool)} }

// Active implements usecase.Users.
func (u *FakeUsers) Active(_ context.Context, userID uuid.UUID) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.disabled[userID], nil
}

// Disable disables a user.
func (u *FakeUsers) Disable(userID uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.disabled[userID] = true
}

// FakeAddresses keeps an address book for each user.
type FakeAddresses struct {
	mu    sync.Mutex
	books map[uuid.UUID]map[uuid.UUID]domain.Address // by user, by id
}

// NewFakeAddresses returns empty address books.
func NewFakeAddresses() *FakeAddresses {
	return &FakeAddresses{books: make(map[uuid.UUID]map[uuid.UUID]domain.Address)}
}

// Address implements usecase.Addresses.
func (f *FakeAddresses) Address(ctx context.Context, id uuid.UUID) (domain.Address, error) {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return domain.Address{}, errors.New("nobody asks for an address")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	address, ok := f.books[uuid.MustParse(caller.UserID)][id]
	if !ok {
		return domain.Address{}, domain.ErrAddressMissing
	}
	return address, nil
}

// Put writes an entry of a user's address book.
func (f *FakeAddresses) Put(userID, id uuid.UUID, address domain.Address) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.books[userID] == nil {
		f.books[userID] = make(map[uuid.UUID]domain.Address)
	}
	f.books[userID][id] = address
}

// Remove takes an entry out of a user's address book.
func (f *FakeAddresses) Remove(userID, id uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.books[userID], id)
}
