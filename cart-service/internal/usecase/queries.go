package usecase

import (
	"context"
	"fmt"
	"time"

	"shop.example/cart-service/internal/domain"
)

// Get answers the caller's cart at the prices of now, or at the last known ones when product-service can't be asked.
func (c *Carts) Get(ctx context.Context, cartToken string) (domain.View, error) {
	who, err := c.caller(ctx, cartToken)
	if err != nil {
		return domain.View{}, err
	}
	cart, err := c.read(ctx, who)
	if err != nil {
		return domain.View{}, err
	}
	return c.price(ctx, who.owner, cart)
}

// AsKnown answers the caller's cart at the last known prices, and asks nobody for new ones.
func (c *Carts) AsKnown(ctx context.Context, cartToken string) (domain.View, error) {
	who, err := c.caller(ctx, cartToken)
	if err != nil {
		return domain.View{}, err
	}
	cart, err := c.read(ctx, who)
	if err != nil {
		return domain.View{}, err
	}
	return cart.PricedAsKnown(c.currency, c.clock())
}

func (c *Carts) read(ctx context.Context, who caller) (*domain.Cart, error) {
	if who.isNew {
		return domain.NewCart(who.owner), nil
	}
	cart, err := c.ports.Reader.Get(ctx, who.owner)
	if err != nil {
		return nil, fmt.Errorf("read the cart: %w", err)
	}
	return cart, nil
}

// price asks product-service about everything in the cart, in one call.
func (c *Carts) price(ctx context.Context, owner domain.Owner, cart *domain.Cart) (domain.View, error) {
	var (
		ids    = cart.ProductIDs()
		offers domain.Offers
		err    error
	)
	if len(ids) > 0 {
		offers, err = c.ports.Products.Offers(ctx, ids)
	}
	now := c.clock()
	switch {
	case err == nil:
		return c.priceAt(ctx, owner, cart, offers, now)
	case ctx.Err() != nil: // not product-service's failure: nobody waits for the answer
		return domain.View{}, fmt.Errorf("ask for prices: %w", ctx.Err())
	default:
		// Whatever ails product-service, a cart with old prices that says so is worth more than none.
		c.log.WarnContext(ctx, "product-service is away, the cart is answered at the last known prices", "error", err)
		return cart.PricedAsKnown(c.currency, now)
	}
}

// priceAt completes the view, and keeps what is new for the day on which product-service can't be asked.
//
// Only what is new: prices change once in weeks and carts are read all day, so a write at every read would make a load of
// writes, in Redis, its append-only file and its replicas, of what is read traffic.
func (c *Carts) priceAt(ctx context.Context, owner domain.Owner, cart *domain.Cart, offers domain.Offers, now time.Time) (domain.View, error) {
	view, err := cart.Priced(offers, c.currency, now)
	if err != nil {
		return domain.View{}, err
	}
	if news := cart.News(offers, now); len(news) > 0 {
		if err := c.ports.Reader.Remember(ctx, owner, news); err != nil {
			// The answer is right without it, and the next read tries again.
			c.log.WarnContext(ctx, "new prices were not kept", "error", err)
		}
	}
	return view, nil
}
