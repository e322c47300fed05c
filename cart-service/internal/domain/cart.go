// Package domain holds the rules of carts: what fits into one, what changes it, and what it costs.
package domain

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/money"
)

const (
	// MaxLines is how many different products a cart holds: as many as product-service answers for in one call.
	MaxLines = 100
	// MaxQuantity is how many of one product a cart holds. Who needs more is no customer of a web shop.
	MaxQuantity = 999
	// Lifetime is for how long a cart is kept after its last change.
	Lifetime = 30 * 24 * time.Hour
)

// Line is one product in a cart.
type Line struct {
	ProductID uuid.UUID
	// Quantity is 1 to MaxQuantity.
	Quantity int64
	// AddedAt and AddedPrice are of the moment when the product came into the cart; more of it later changes neither, so
	// that the customer is told of every price that differs from the one that was decided on.
	AddedAt    time.Time
	AddedPrice money.Money
	// Known is what the product was like when product-service was asked last and something had changed.
	Known Known
}

// Known is what a cart remembers of a product, to be shown while product-service can't be asked.
type Known struct {
	SKU, Name, Image string
	Price            money.Money
	// At is since when it is known.
	At time.Time
}

// PurchasedLine is what an order took of a product.
type PurchasedLine struct {
	ProductID uuid.UUID
	Quantity  int64
}

// Cart is what a customer means to buy.
//
// Its verbs are the rules. Stores that change a cart elsewhere than in memory, as the scripts in Redis do, must do the
// very same; the suite in repositorytest compares them step by step.
type Cart struct {
	owner     Owner
	lines     []Line // by AddedAt, then product
	version   int64
	changedAt time.Time
}

// CartSnapshot is a cart as a store keeps it.
type CartSnapshot struct {
	Owner Owner
	Lines []Line
	// Version counts the changes. It is 0 for a cart that was never written, or is forgotten.
	Version int64
	// ChangedAt is the zero time at version 0.
	ChangedAt time.Time
}

// NewCart returns the cart of an owner who has none yet.
func NewCart(owner Owner) *Cart { return &Cart{owner: owner} }

// RestoreCart returns the cart that a store kept.
func RestoreCart(s CartSnapshot) *Cart {
	c := &Cart{owner: s.Owner, lines: slices.Clone(s.Lines), version: s.Version, changedAt: s.ChangedAt}
	c.sort()
	return c
}

// Snapshot returns the cart for a store to keep. It shares nothing with the cart.
func (c *Cart) Snapshot() CartSnapshot {
	return CartSnapshot{Owner: c.owner, Lines: slices.Clone(c.lines), Version: c.version, ChangedAt: c.changedAt}
}

// Lines returns the lines in the order in which their products were added.
func (c *Cart) Lines() []Line { return slices.Clone(c.lines) }

// Version counts the changes.
func (c *Cart) Version() int64 { return c.version }

// ExpiresAt returns when the cart will be forgotten; the zero time for one that was never written.
func (c *Cart) ExpiresAt() time.Time {
	if c.changedAt.IsZero() {
		return time.Time{}
	}
	return c.changedAt.Add(Lifetime)
}

// ProductIDs returns the products in the cart.
func (c *Cart) ProductIDs() []uuid.UUID {
	ids := make([]uuid.UUID, len(c.lines))
	for i, l := range c.lines {
		ids[i] = l.ProductID
	}
	return ids
}

// Expect returns ErrVersionMismatch unless the cart has the version that the caller saw; nil stands for any.
func (c *Cart) Expect(version *int64) error {
	if version != nil && *version != c.version {
		return ErrVersionMismatch
	}
	return nil
}

// CheckQuantity returns ErrQuantityLimit for a quantity that fits into no cart.
func CheckQuantity(quantity int64) error {
	if quantity < 1 || quantity > MaxQuantity {
		return ErrQuantityLimit
	}
	return nil
}

// Add puts more of a product into the cart.
func (c *Cart) Add(line Line) error {
	// Checked before the sum, which could overflow.
	if err := CheckQuantity(line.Quantity); err != nil {
		return err
	}
	i := c.index(line.ProductID)
	if i < 0 {
		return c.insert(line)
	}
	sum := c.lines[i].Quantity + line.Quantity
	if err := CheckQuantity(sum); err != nil {
		return err
	}
	c.lines[i].Quantity, c.lines[i].Known = sum, line.Known
	c.changed(line.AddedAt)
	return nil
}

// Set makes the quantity of a product what the line says, whether it is in the cart already or not.
func (c *Cart) Set(line Line) error {
	if err := CheckQuantity(line.Quantity); err != nil {
		return err
	}
	i := c.index(line.ProductID)
	if i < 0 {
		return c.insert(line)
	}
	if c.lines[i].Quantity == line.Quantity {
		return nil
	}
	c.lines[i].Quantity, c.lines[i].Known = line.Quantity, line.Known
	c.changed(line.AddedAt)
	return nil
}

// Remove takes a product out of the cart. One that isn't there changes nothing.
func (c *Cart) Remove(productID uuid.UUID, now time.Time) {
	if i := c.index(productID); i >= 0 {
		c.lines = slices.Delete(c.lines, i, i+1)
		c.changed(now)
	}
}

// Clear takes everything out of the cart. Its version goes on, so that no version ever means two contents.
func (c *Cart) Clear(now time.Time) {
	if len(c.lines) > 0 {
		c.lines = nil
		c.changed(now)
	}
}

// RemovePurchased takes out what was bought, and leaves what was put in beyond that.
func (c *Cart) RemovePurchased(bought []PurchasedLine, now time.Time) {
	touched := false
	for _, b := range bought {
		i := c.index(b.ProductID)
		if i < 0 {
			continue
		}
		touched = true
		if b.Quantity < c.lines[i].Quantity {
			c.lines[i].Quantity -= b.Quantity
		} else {
			c.lines = slices.Delete(c.lines, i, i+1)
		}
	}
	if touched {
		c.changed(now)
	}
}

// Remember keeps what is known of products in the cart. It is no change: what the customer wants is the same.
func (c *Cart) Remember(known map[uuid.UUID]Known) {
	for i, l := range c.lines {
		if k, ok := known[l.ProductID]; ok {
			c.lines[i].Known = k
		}
	}
}

func (c *Cart) insert(line Line) error {
	if len(c.lines) >= MaxLines {
		return ErrLineLimit
	}
	c.lines = append(c.lines, line)
	c.sort()
	c.changed(line.AddedAt)
	return nil
}

func (c *Cart) changed(now time.Time) {
	c.version++
	c.changedAt = now
}

func (c *Cart) index(productID uuid.UUID) int {
	return slices.IndexFunc(c.lines, func(l Line) bool { return l.ProductID == productID })
}

func (c *Cart) sort() {
	slices.SortFunc(c.lines, func(a, b Line) int {
		return cmp.Or(a.AddedAt.Compare(b.AddedAt), slices.Compare(a.ProductID[:], b.ProductID[:]))
	})
}
