package usecase

import (
	"context"
	"fmt"
	"time"

	"shop.example/cart-service/internal/domain"
)

// CartMerger moves guests' carts into users', in the three steps that domain/merge.go explains. Each may be done again.
type CartMerger interface {
	// Seal keeps a guest's cart for a user and answers its lines: none if there is no such cart, if its lines were discarded,
	// or if it is sealed for another user.
	Seal(ctx context.Context, guest, user domain.Owner) ([]domain.Line, error)
	// Merge applies the domain's verb of that name to the user's cart, once a guest, and answers that cart.
	Merge(ctx context.Context, user, guest domain.Owner, lines []domain.Line, now time.Time) (*domain.Cart, error)
	// Discard takes the lines out of a cart that was sealed for the user. The seal stays.
	Discard(ctx context.Context, guest, user domain.Owner) error
}

// Merge puts the lines of a guest's cart into the caller's, who has to be signed in. A cart that was merged, whoever with,
// adds nothing.
func (c *Carts) Merge(ctx context.Context, cartToken string) (domain.View, error) {
	who, err := c.caller(ctx, "")
	if err != nil {
		return domain.View{}, err
	}
	if !who.signedIn() {
		return domain.View{}, domain.ErrUserUnknown
	}
	guestID, err := c.ports.Guests.Verify(cartToken)
	if err != nil {
		return domain.View{}, err
	}
	if err := c.checkUser(ctx, who); err != nil {
		return domain.View{}, err
	}
	cart, err := c.merge(ctx, who, domain.GuestOwner(guestID))
	if err != nil {
		return domain.View{}, err
	}
	return c.price(ctx, who.owner, cart)
}

func (c *Carts) merge(ctx context.Context, who caller, guest domain.Owner) (*domain.Cart, error) {
	lines, err := c.ports.Merger.Seal(ctx, guest, who.owner)
	if err != nil {
		return nil, fmt.Errorf("seal the guest's cart: %w", err)
	}
	if len(lines) == 0 {
		return c.read(ctx, who)
	}
	cart, err := c.ports.Merger.Merge(ctx, who.owner, guest, lines, c.clock())
	if err != nil {
		return nil, fmt.Errorf("merge the guest's cart: %w", err)
	}
	if err := c.ports.Merger.Discard(ctx, guest, who.owner); err != nil {
		// Nothing depends on it: the lines are known to be merged, and expire.
		c.log.WarnContext(ctx, "a merged cart was not discarded", "error", err)
	}
	return cart, nil
}
