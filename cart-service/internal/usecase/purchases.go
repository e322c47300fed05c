package usecase

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
)

// PurchaseStore takes orders out of carts.
type PurchaseStore interface {
	// RemovePurchased applies the domain's verb of that name, once an order: told of the same order again it does nothing.
	RemovePurchased(ctx context.Context, owner domain.Owner, orderID uuid.UUID, lines []domain.PurchasedLine, now time.Time) error
}

// Purchases is what becomes of a cart when an order is confirmed.
type Purchases struct {
	store PurchaseStore
	now   func() time.Time
}

// NewPurchases returns the use case. now is the clock.
func NewPurchases(store PurchaseStore, now func() time.Time) *Purchases {
	return &Purchases{store: store, now: now}
}

// Purchase is an order that was confirmed.
type Purchase struct {
	UserID, OrderID uuid.UUID
	Lines           []domain.PurchasedLine
}

// Remove takes what was bought out of the customer's cart. It may be told again.
func (p *Purchases) Remove(ctx context.Context, cmd Purchase) error {
	now := p.now().UTC().Truncate(time.Microsecond)
	if err := p.store.RemovePurchased(ctx, domain.UserOwner(cmd.UserID), cmd.OrderID, cmd.Lines, now); err != nil {
		return fmt.Errorf("remove order %s from the cart: %w", cmd.OrderID, err)
	}
	return nil
}
