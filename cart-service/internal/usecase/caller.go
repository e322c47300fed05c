package usecase

import (
	"context"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/auth"
)

// caller is who wants something of a cart, and so whose cart it is.
type caller struct {
	owner domain.Owner
	// userID is set for a user.
	userID uuid.UUID
	// token is a guest's.
	token string
	// isNew is a guest's who came without a token: no cart is there.
	isNew bool
}

func (c caller) signedIn() bool { return c.userID != uuid.Nil }

// caller returns the signed-in user, else the guest of the token, else a new guest. A user's token for a guest's cart is
// not looked at: the user's own cart is meant.
func (c *Carts) caller(ctx context.Context, cartToken string) (caller, error) {
	if principal, ok := auth.FromContext(ctx); ok {
		id, err := uuid.Parse(principal.UserID)
		if err != nil {
			return caller{}, domain.ErrUserUnknown.Wrap(err)
		}
		return caller{owner: domain.UserOwner(id), userID: id}, nil
	}
	if cartToken == "" {
		return c.newGuest(), nil
	}
	guest, err := c.ports.Guests.Verify(cartToken)
	if err != nil {
		return caller{}, err
	}
	return caller{owner: domain.GuestOwner(guest), token: cartToken}, nil
}

func (c *Carts) newGuest() caller {
	guest := domain.NewGuestID()
	return caller{owner: domain.GuestOwner(guest), token: c.ports.Guests.Sign(guest), isNew: true}
}
