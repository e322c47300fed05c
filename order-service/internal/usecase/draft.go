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
	if wish.Address, err = wish.oneDestination(); err != nil {
		return nil, err
	}
	answers, err := c.ask(ctx, wish)
	if err != nil {
		return nil, err
	}
	now := c.now()
	order, err := domain.NewOrder(domain.Draft{
		UserID: wish.UserID, Items: answers.items, Shipping: method, Address: answers.address, Method: wish.Method,
		FromCart: len(wish.Items) == 0, CouponCode: domain.NormalCode(wish.CouponCode), Benefit: answers.benefit,
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
		if err := c.canPay(order, wish.Method); err != nil {
			return nil, err
		}
		if err := order.BeginPayment(wish.Method, c.payments.primary.Name(), true, now); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// canPay refuses a payment at once while the provider that it needs is known to be away. Nothing has begun then, so nothing
// has to be cleared up.
func (c *Checkout) canPay(order *domain.Order, method domain.PaymentMethod) error {
	if order.Free() || method != domain.Card {
		return nil
	}
	return c.payments.primary.Ready()
}

// oneDestination sees to it that there is one address, given or named. It returns the given one, which a parcel can go to.
func (p PlaceOrder) oneDestination() (domain.Address, error) {
	given, named := p.Address != domain.Address{}, p.AddressID != uuid.Nil
	switch {
	case given && named:
		const both = "expected either address_id or shipping_address"
		return domain.Address{}, apperr.ValidationFailed(
			apperr.Violation{Location: "address_id", Message: both}, apperr.Violation{Location: "shipping_address", Message: both})
	case named:
		return domain.Address{}, nil // what is in an address book was checked there
	case given:
		return p.Address.Deliverable()
	default:
		return domain.Address{}, apperr.InvalidField("shipping_address", "is required, unless there is an address_id")
	}
}

// answers are what the others know of a wish.
type answers struct {
	items   []domain.Item
	address domain.Address
	benefit domain.Benefit
}

// ask asks everybody at once what the wish needs to know of them: what is bought at which price, and where it goes.
func (c *Checkout) ask(ctx context.Context, wish PlaceOrder) (answers, error) {
	a := answers{address: wish.Address}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.checkUser(ctx, wish.UserID) })
	if wish.AddressID != uuid.Nil {
		group.Go(func() error {
			var err error
			if a.address, err = c.books.Address(ctx, wish.AddressID); err != nil {
				return fmt.Errorf("read the address: %w", err)
			}
			return nil
		})
	}
	if wish.CouponCode != "" {
		group.Go(func() error {
			var err error
			a.benefit, err = c.redeem(ctx, wish.CouponCode, wish.UserID)
			return err
		})
	}
	group.Go(func() error {
		lines, err := c.lines(ctx, wish.Items)
		if err != nil {
			return err
		}
		products, err := c.productsOf(ctx, lines)
		if err != nil {
			return err
		}
		p := priceLines(lines, products)
		if refusals := p.refusals(); len(refusals) > 0 {
			return refusals[0]
		}
		a.items = p.items
		return nil
	})
	if err := group.Wait(); err != nil {
		return answers{}, err
	}
	return a, nil
}

// lines returns what to buy: the wished lines, or what is in the cart of the user of the context.
func (c *Checkout) lines(ctx context.Context, wished []Line) ([]Line, error) {
	lines, _ := merge(wished)
	if len(lines) == 0 {
		var err error
		if lines, err = c.carts.Lines(ctx); err != nil {
			return nil, fmt.Errorf("read the cart: %w", err)
		}
	}
	switch {
	case len(lines) == 0:
		return nil, domain.ErrCartEmpty
	case len(lines) > domain.MaxLines:
		return nil, apperr.InvalidField("items", fmt.Sprintf("has %d products; an order has at most %d", len(lines), domain.MaxLines))
	default:
		return lines, nil
	}
}

// productsOf asks for the products of all lines in one call.
func (c *Checkout) productsOf(ctx context.Context, lines []Line) (map[uuid.UUID]Product, error) {
	ids := make([]uuid.UUID, len(lines))
	for i, l := range lines {
		ids[i] = l.ProductID
	}
	products, err := c.catalog.Products(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("ask for the products: %w", err)
	}
	return products, nil
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

// pricedLines are lines at today's prices.
type pricedLines struct {
	// items are those that have a price, also if there are not enough of them.
	items []domain.Item
	// tooMany, missing and short name the lines that can't be bought.
	tooMany, missing, short []apperr.Violation
}

// priceLines prices lines, and names every one that can't be bought.
func priceLines(lines []Line, products map[uuid.UUID]Product) (p pricedLines) {
	for i, l := range lines {
		location, id := fmt.Sprintf("items[%d]", i), l.ProductID.String()
		product, ok := products[l.ProductID]
		switch {
		case !ok || !product.OnSale:
			p.missing = append(p.missing, apperr.Violation{
				Location: location + ".product_id", Message: "is not on sale", Attributes: map[string]any{"product_id": id},
			})
			continue
		case l.Quantity > domain.MaxQuantity:
			p.tooMany = append(p.tooMany, apperr.Violation{
				Location: location + ".quantity", Message: fmt.Sprintf("must be at most %d of one product", domain.MaxQuantity),
			})
			continue
		case product.Available < l.Quantity:
			p.short = append(p.short, apperr.Violation{
				Location: location, Message: fmt.Sprintf("only %d left", product.Available),
				Attributes: map[string]any{"product_id": id, "available": product.Available},
			})
		}
		p.items = append(p.items, product.item(l))
	}
	return p
}

// refusals are what an order of the lines is refused with; the first one first.
func (p pricedLines) refusals() []error {
	var refusals []error
	if len(p.tooMany) > 0 {
		refusals = append(refusals, apperr.ValidationFailed(p.tooMany...))
	}
	if len(p.missing) > 0 {
		refusals = append(refusals, domain.ErrProductMissing.With(p.missing...))
	}
	if len(p.short) > 0 {
		refusals = append(refusals, domain.ErrOutOfStock.With(p.short...))
	}
	return refusals
}

// item is a line of an order, at today's name and price.
func (p Product) item(l Line) domain.Item {
	return domain.Item{ProductID: l.ProductID, SKU: p.SKU, Name: p.Name, Quantity: l.Quantity, UnitPrice: p.Price, Grams: p.Grams}
}
