// Package usecase is where decisions about carts are made, and what they need from stores and other services.
package usecase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// CartReader answers carts.
type CartReader interface {
	// Get returns the owner's cart, an empty one if there is none or if it is sealed.
	Get(ctx context.Context, owner domain.Owner) (*domain.Cart, error)
	// Remember keeps what is known of the products that are in the cart. It changes neither version nor expiry.
	Remember(ctx context.Context, owner domain.Owner, known map[uuid.UUID]domain.Known) error
}

// CartWriter changes carts. Each call is one atomic change by the domain's verb of that name, refused with the domain's
// errors, with ErrVersionMismatch unless the cart has the expected version (nil stands for any), and with ErrCartGone once it
// is sealed. It answers the cart that came of it, and starts its lifetime anew if that is another one than before.
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

// GuestTokens are how guests are known: secrets that only their clients have.
type GuestTokens interface {
	Sign(guest domain.GuestID) string
	// Verify returns whose token it is, or domain.ErrCartToken.
	Verify(token string) (domain.GuestID, error)
}

// Carts is what customers and guests do with their carts.
type Carts struct {
	ports    CartsPorts
	currency money.Money
	log      *slog.Logger
	now      func() time.Time
}

// CartsPorts are what Carts needs of others.
type CartsPorts struct {
	Reader   CartReader
	Writer   CartWriter
	Merger   CartMerger
	Products Products
	Users    Users
	Guests   GuestTokens
}

// NewCarts returns the use cases of carts in the currency of the given money. now is the clock.
func NewCarts(ports CartsPorts, currency money.Money, log *slog.Logger, now func() time.Time) *Carts {
	return &Carts{ports: ports, currency: currency, log: log, now: now}
}

// PutItem says which product, how many, and which version of the cart the customer saw; nil for any.
type PutItem struct {
	ProductID uuid.UUID
	Quantity  int64
	IfVersion *int64
	// CartToken is a guest's, "" for one who has none yet.
	CartToken string
}

// RemoveItem says which product, and which version of the cart the customer saw; nil for any.
type RemoveItem struct {
	ProductID uuid.UUID
	IfVersion *int64
	CartToken string
}

// AddItem puts more of a product into the caller's cart. It also answers the token of a guest, a new one if none was sent; one
// whose cart is no more is domain.ErrCartGone.
func (c *Carts) AddItem(ctx context.Context, cmd PutItem) (view domain.View, cartToken string, err error) {
	return c.put(ctx, cmd, c.ports.Writer.Add)
}

// SetItem makes the quantity of a product in the caller's cart what the command says; 0 takes it out. It answers as AddItem,
// but taking something out of a cart that is not there makes none.
func (c *Carts) SetItem(ctx context.Context, cmd PutItem) (view domain.View, cartToken string, err error) {
	if cmd.Quantity == 0 {
		return c.remove(ctx, RemoveItem{ProductID: cmd.ProductID, IfVersion: cmd.IfVersion, CartToken: cmd.CartToken})
	}
	return c.put(ctx, cmd, c.ports.Writer.Set)
}

// RemoveItem takes a product out of the caller's cart.
func (c *Carts) RemoveItem(ctx context.Context, cmd RemoveItem) (domain.View, error) {
	view, _, err := c.remove(ctx, cmd)
	return view, err
}

func (c *Carts) remove(ctx context.Context, cmd RemoveItem) (domain.View, string, error) {
	who, err := c.caller(ctx, cmd.CartToken)
	if err != nil {
		return domain.View{}, "", err
	}
	cart, err := c.takeOut(who, cmd.IfVersion, func() (*domain.Cart, error) {
		return c.ports.Writer.Remove(ctx, who.owner, cmd.ProductID, cmd.IfVersion, c.clock())
	})
	if err != nil {
		return domain.View{}, "", fmt.Errorf("remove a product: %w", err)
	}
	view, err := c.price(ctx, who.owner, cart)
	if who.isNew {
		who.token = "" // it has no cart
	}
	return view, who.token, err
}

// Clear takes everything out of the caller's cart.
func (c *Carts) Clear(ctx context.Context, cartToken string, ifVersion *int64) error {
	who, err := c.caller(ctx, cartToken)
	if err != nil {
		return err
	}
	_, err = c.takeOut(who, ifVersion, func() (*domain.Cart, error) {
		return nil, c.ports.Writer.Clear(ctx, who.owner, ifVersion, c.clock())
	})
	if err != nil {
		return fmt.Errorf("clear the cart: %w", err)
	}
	return nil
}

// takeOut does a write that makes nothing. For a guest who has no cart, or has none any more, it is done.
func (c *Carts) takeOut(who caller, ifVersion *int64, write func() (*domain.Cart, error)) (*domain.Cart, error) {
	if !who.isNew {
		cart, err := write()
		if !errors.Is(err, domain.ErrCartGone) {
			return cart, err
		}
	}
	none := domain.NewCart(who.owner)
	return none, none.Expect(ifVersion)
}

// write is a verb of CartWriter that takes a line.
type write func(ctx context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error)

// put asks user-service about the customer and product-service about the product, in parallel, before it writes.
func (c *Carts) put(ctx context.Context, cmd PutItem, write write) (domain.View, string, error) {
	who, err := c.caller(ctx, cmd.CartToken)
	if err != nil {
		return domain.View{}, "", err
	}
	if err := domain.CheckQuantity(cmd.Quantity); err != nil {
		return domain.View{}, "", err
	}
	var offers domain.Offers
	asking, askingCtx := errgroup.WithContext(ctx)
	asking.Go(func() error { return c.checkUser(askingCtx, who) })
	asking.Go(func() (err error) {
		offers, err = c.offersFor(askingCtx, who, cmd.ProductID)
		return err
	})
	if err := asking.Wait(); err != nil {
		return domain.View{}, "", err
	}
	offer, ok := offers[cmd.ProductID]
	if !ok || !offer.Active {
		return domain.View{}, "", domain.ErrProductUnavailable
	}

	now := c.clock()
	line := domain.Line{
		ProductID: cmd.ProductID, Quantity: cmd.Quantity,
		AddedAt: now, AddedPrice: offer.Price, Known: offer.Known(now),
	}
	cart, err := write(ctx, who.owner, line, cmd.IfVersion)
	if err != nil {
		return domain.View{}, "", fmt.Errorf("put product %s: %w", cmd.ProductID, err)
	}
	view, err := c.priceWith(ctx, who.owner, cart, offers, now)
	return view, who.token, err
}

// priceWith prices a cart with offers that were asked for before it was changed.
func (c *Carts) priceWith(ctx context.Context, owner domain.Owner, cart *domain.Cart, offers domain.Offers, now time.Time) (domain.View, error) {
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
func (c *Carts) offersFor(ctx context.Context, who caller, productID uuid.UUID) (domain.Offers, error) {
	cart, err := c.read(ctx, who)
	if err != nil {
		return nil, err
	}
	if who.token != "" && !who.isNew && cart.Version() == 0 {
		return nil, domain.ErrCartGone // a token is answered when its cart was written, not before
	}
	ids := []uuid.UUID{productID}
	for _, id := range cart.ProductIDs() {
		// The bound matters for one product more in a full cart, which the store is going to refuse.
		if id != productID && len(ids) < domain.MaxLines {
			ids = append(ids, id)
		}
	}
	offers, err := c.ports.Products.Offers(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("ask for product %s: %w", productID, err)
	}
	return offers, nil
}

// checkUser refuses users who may not act any more. While user-service is away carts go on: the access token is verified
// and 15 minutes old at most, and what is in a cart can do no harm before a checkout.
// A guest is nobody to ask about.
func (c *Carts) checkUser(ctx context.Context, who caller) error {
	if !who.signedIn() {
		return nil
	}
	err := c.ports.Users.Check(ctx, who.userID)
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
