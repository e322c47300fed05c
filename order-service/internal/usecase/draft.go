package usecase

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

// draft makes the order that is wished for, at today's prices.
func (c *Checkout) draft(ctx context.Context, wish PlaceOrder) (*domain.Order, error) {
	method, err := c.shipping.Find(wish.ShippingMethod)
	if err != nil {
		return nil, err
	}
	if err := wish.oneDestination(); err != nil {
		return nil, err
	}
	if wish.CouponCode != "" {
		return nil, domain.ErrCouponInvalid
	}
	items, address, err := c.ask(ctx, wish)
	if err != nil {
		return nil, err
	}
	now := c.now()
	order, err := domain.NewOrder(domain.Draft{
		UserID: wish.UserID, Items: items, Shipping: method, Address: address, Method: wish.Method,
		FromCart: len(wish.Items) == 0,
	}, now)
	if err != nil {
		return nil, err
	}
	if e := wish.ExpectedTotal; e != nil {
		if total := order.Snapshot().Total; total.Amount() != e.Amount || total.Currency() != e.Currency {
			return nil, domain.ErrTotalChanged.WithAttribute("total", total.Amount()).WithAttribute("currency", total.Currency())
		}
	}
	// A card without a token is paid later, with Pay, unless there is nothing to pay.
	if wish.Token != "" || wish.Method == domain.CashOnDelivery || order.Free() {
		if err := order.BeginPayment(wish.Method, c.payments.Name(), true, now); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// oneDestination sees to it that there is one address, given or named, and that a parcel can go to the given one.
func (p PlaceOrder) oneDestination() error {
	given, named := p.Address != domain.Address{}, p.AddressID != uuid.Nil
	switch {
	case given && named:
		const both = "expected either address_id or shipping_address"
		return apperr.ValidationFailed(
			apperr.Violation{Location: "address_id", Message: both}, apperr.Violation{Location: "shipping_address", Message: both})
	case named:
		return nil // what is in an address book was checked there
	case given:
		return p.Address.Deliverable()
	default:
		return apperr.InvalidField("shipping_address", "is required, unless there is an address_id")
	}
}

// ask asks everybody at once what the wish needs to know of them: what is bought at which price, and where it goes.
func (c *Checkout) ask(ctx context.Context, wish PlaceOrder) (items []domain.Item, to domain.Address, _ error) {
	to = wish.Address
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.checkUser(ctx, wish.UserID) })
	if wish.AddressID != uuid.Nil {
		group.Go(func() error {
			var err error
			if to, err = c.books.Address(ctx, wish.AddressID); err != nil {
				return fmt.Errorf("read the address: %w", err)
			}
			return nil
		})
	}
	group.Go(func() error {
		lines := merge(wish.Items)
		if len(lines) == 0 {
			var err error
			if lines, err = c.carts.Lines(ctx); err != nil {
				return fmt.Errorf("read the cart: %w", err)
			}
		}
		if len(lines) == 0 {
			return domain.ErrCartEmpty
		}
		if len(lines) > domain.MaxLines {
			return apperr.InvalidField("items", fmt.Sprintf("has %d products; an order has at most %d", len(lines), domain.MaxLines))
		}
		ids := make([]uuid.UUID, len(lines))
		for i, l := range lines {
			ids[i] = l.ProductID
		}
		products, err := c.catalog.Products(ctx, ids)
		if err != nil {
			return fmt.Errorf("ask for the products: %w", err)
		}
		items, err = itemsOf(lines, products)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, domain.Address{}, err
	}
	return items, to, nil
}

// checkUser refuses a user who was disabled after the token was made. While user-service is away the token is believed:
// orders with an address of their own go on.
func (c *Checkout) checkUser(ctx context.Context, userID uuid.UUID) error {
	active, err := c.users.Active(ctx, userID)
	switch {
	case err != nil && ctx.Err() != nil: // the order was refused for another reason meanwhile, or its time is up
		return ctx.Err()
	case apperr.KindOf(err) == apperr.Unavailable || apperr.KindOf(err) == apperr.DeadlineExceeded:
		c.log.WarnContext(ctx, "the user can't be checked; the token is believed", "error", err)
		return nil
	case err != nil:
		return fmt.Errorf("check the user: %w", err)
	case !active:
		return apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "This account is not active.")
	default:
		return nil
	}
}

// merge adds up what is asked for of one product, as a cart does.
func merge(lines []Line) []Line {
	var merged []Line
	at := make(map[uuid.UUID]int, len(lines))
	for _, l := range lines {
		if i, ok := at[l.ProductID]; ok {
			merged[i].Quantity += l.Quantity
			continue
		}
		at[l.ProductID] = len(merged)
		merged = append(merged, l)
	}
	return merged
}

// itemsOf prices lines, or names every one that can't be bought.
func itemsOf(lines []Line, products map[uuid.UUID]Product) ([]domain.Item, error) {
	var (
		items          []domain.Item
		missing, short []apperr.Violation
	)
	for i, l := range lines {
		location, id := fmt.Sprintf("items[%d]", i), l.ProductID.String()
		p, ok := products[l.ProductID]
		switch {
		case !ok || !p.OnSale:
			missing = append(missing, apperr.Violation{
				Location: location + ".product_id", Message: "is not on sale", Attributes: map[string]any{"product_id": id},
			})
		case p.Available < l.Quantity:
			short = append(short, apperr.Violation{
				Location: location, Message: fmt.Sprintf("only %d left", p.Available),
				Attributes: map[string]any{"product_id": id, "available": p.Available},
			})
		default:
			items = append(items, domain.Item{ProductID: l.ProductID, SKU: p.SKU, Name: p.Name, Quantity: l.Quantity, UnitPrice: p.Price})
		}
	}
	switch {
	case len(missing) > 0:
		return nil, domain.ErrProductMissing.With(missing...)
	case len(short) > 0:
		return nil, domain.ErrOutOfStock.With(short...)
	default:
		return items, nil
	}
}
