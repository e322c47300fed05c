// Package usecase is where decisions about carts are made, and what they need from stores and other services.
package usecase

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
)

// CartReader answers carts.
type CartReader interface {
	// Get returns the owner's cart, an empty one if there is none.
	Get(ctx context.Context, owner domain.Owner) (*domain.Cart, error)
	// Remember keeps what is known of the products that are in the cart. It changes neither version nor expiry.
	Remember(ctx context.Context, owner domain.Owner, known map[uuid.UUID]domain.Known) error
}

// CartWriter changes carts. Each call is one atomic change by the domain's verb of that name, refused with the domain's
// errors and with ErrVersionMismatch unless the cart has the expected version; nil stands for any. It answers the cart
// that came of it, and starts its lifetime anew if that is another one than before.
type CartWriter interface {
	Add(ctx context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error)
	Set(ctx context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error)
	Remove(ctx context.Context, owner domain.Owner, productID uuid.UUID, version *int64, now time.Time) (*domain.Cart, error)
	Clear(ctx context.Context, owner domain.Owner, version *int64, now time.Time) error
}

// Products asks product-service.
type Products interface {
	// Offers returns the products of the ids, at most domain.MaxLines; unknown ones are left out.
	Offers(ctx context.Context, ids []uuid.UUID) (domain.Offers, error)
}

// Users asks user-service.
type Users interface {
	// Check returns nil for a user who may act, else domain.ErrUserUnknown or domain.ErrUserDisabled.
	Check(ctx context.Context, userID uuid.UUID) error
}

// Carts is what customers do with their carts.
type Carts struct {
	reader   CartReader
	writer   CartWriter
	products Products
	users    Users
	currency money.Money
	log      *slog.Logger
	now      func() time.Time
}

// NewCarts returns the use cases of carts in the currency of the given money. now is the clock.
func NewCarts(reader CartReader, writer CartWriter, products Products, users Users, currency money.Money, log *slog.Logger, now func() time.Time) *Carts {
	return &Carts{reader: reader, writer: writer, products: products, users: users, currency: currency, log: log, now: now}
}

// PutItem says which product, how many, and which version of the cart the customer saw; nil for any.
type PutItem struct {
	ProductID uuid.UUID
	Quantity  int64
	IfVersion *int64
}

// AddItem puts more of a product into the caller's cart.
func (c *Carts) AddItem(ctx context.Context, cmd PutItem) (domain.View, error) {
	return c.put(ctx, cmd, c.writer.Add)
}

// SetItem makes the quantity of a product in the caller's cart what the command says; 0 takes it out.
func (c *Carts) SetItem(ctx context.Context, cmd PutItem) (domain.View, error) {
	if cmd.Quantity == 0 {
		return c.RemoveItem(ctx, cmd.ProductID, cmd.IfVersion)
	}
	return c.put(ctx, cmd, c.writer.Set)
}

// RemoveItem takes a product out of the caller's cart.
func (c *Carts) RemoveItem(ctx context.Context, productID uuid.UUID, ifVersion *int64) (domain.View, error) {
	_, owner, err := caller(ctx)
	if err != nil {
		return domain.View{}, err
	}
	cart, err := c.writer.Remove(ctx, owner, productID, ifVersion, c.clock())
	if err != nil {
		return domain.View{}, fmt.Errorf("remove a product: %w", err)
	}
	return c.price(ctx, owner, cart)
}

// Clear takes everything out of the caller's cart.
func (c *Carts) Clear(ctx context.Context, ifVersion *int64) error {
	_, owner, err := caller(ctx)
	if err != nil {
		return err
	}
	if err := c.writer.Clear(ctx, owner, ifVersion, c.clock()); err != nil {
		return fmt.Errorf("clear the cart: %w", err)
	}
	return nil
}

// write is a verb of CartWriter that takes a line.
type write func(ctx context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error)

// put asks user-service about the customer and product-service about the product, in parallel, before it writes.
func (c *Carts) put(ctx context.Context, cmd PutItem, write write) (domain.View, error) {
	userID, owner, err := caller(ctx)
	if err != nil {
		return domain.View{}, err
	}
	if err := domain.CheckQuantity(cmd.Quantity); err != nil {
		return domain.View{}, err
	}
	var offers domain.Offers
	asking, askingCtx := errgroup.WithContext(ctx)
	asking.Go(func() error { return c.checkUser(askingCtx, userID) })
	asking.Go(func() (err error) {
		offers, err = c.offersFor(askingCtx, owner, cmd.ProductID)
		return err
	})
	if err := asking.Wait(); err != nil {
		return domain.View{}, err
	}
	offer, ok := offers[cmd.ProductID]
	if !ok || !offer.Active {
		return domain.View{}, domain.ErrProductUnavailable
	}

	now := c.clock()
	cart, err := write(ctx, owner, domain.Line{
		ProductID: cmd.ProductID, Quantity: cmd.Quantity,
		AddedAt: now, AddedPrice: offer.Price, Known: offer.Known(now),
	}, cmd.IfVersion)
	if err != nil {
		return domain.View{}, fmt.Errorf("put product %s: %w", cmd.ProductID, err)
	}
	for _, id := range cart.ProductIDs() {
		if _, ok := offers[id]; !ok {
			// Another request put something in since the cart was read, or a product is no more: ask for all again.
			return c.price(ctx, owner, cart)
		}
	}
	return c.priceAt(ctx, owner, cart, offers, now)
}

// offersFor asks for a product and for everything that is in the cart already, so that one call does for both the decision
// and the answer.
func (c *Carts) offersFor(ctx context.Context, owner domain.Owner, productID uuid.UUID) (domain.Offers, error) {
	cart, err := c.reader.Get(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("read the cart: %w", err)
	}
	ids := []uuid.UUID{productID}
	for _, id := range cart.ProductIDs() {
		// The bound matters for one product more in a full cart, which the store is going to refuse.
		if id != productID && len(ids) < domain.MaxLines {
			ids = append(ids, id)
		}
	}
	offers, err := c.products.Offers(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("ask for product %s: %w", productID, err)
	}
	return offers, nil
}

// checkUser refuses users who may not act any more. While user-service is away carts go on: the access token is verified
// and 15 minutes old at most, and what is in a cart can do no harm before a checkout.
func (c *Carts) checkUser(ctx context.Context, userID uuid.UUID) error {
	err := c.users.Check(ctx, userID)
	switch apperr.KindOf(err) {
	case apperr.Unavailable, apperr.DeadlineExceeded:
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.log.WarnContext(ctx, "user-service is away, the token is trusted", "error", err)
		return nil
	default:
		return err
	}
}

func (c *Carts) clock() time.Time { return c.now().UTC().Truncate(time.Microsecond) }

// caller returns the signed-in user and the owner of the cart that is meant.
func caller(ctx context.Context) (uuid.UUID, domain.Owner, error) {
	principal, ok := auth.FromContext(ctx)
	if !ok {
		return uuid.UUID{}, domain.Owner{}, domain.ErrUserUnknown
	}
	id, err := uuid.Parse(principal.UserID)
	if err != nil {
		return uuid.UUID{}, domain.Owner{}, domain.ErrUserUnknown.Wrap(err)
	}
	return id, domain.UserOwner(id), nil
}
