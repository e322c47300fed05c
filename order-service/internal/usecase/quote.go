package usecase

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

// QuoteOrder is a customer's question what an order would cost. Unlike a wish it may be incomplete.
type QuoteOrder struct {
	UserID uuid.UUID
	// Items are what to buy; none for what is in the cart.
	Items          []Line
	AddressID      uuid.UUID
	ShippingMethod string
	CouponCode     string
}

// Quote is what an order would cost now, as far as that can be said, and all that stands in its way.
type Quote struct {
	domain.Prices
	Obstacles []Obstacle
}

// Obstacle is a reason why an order would be refused now.
type Obstacle struct {
	// Code is what the order would be refused with.
	Code     string
	Message  string
	Location string
	// ProductID is zero where it is not about a product.
	ProductID string
	// Available is how many there are, nil where that is not the matter.
	Available *int64
}

// Quote answers what an order would cost and what stands in its way. It reckons as Place does, and changes nothing. It fails
// only if it can't be said: then a service is away.
func (c *Checkout) Quote(ctx context.Context, wish QuoteOrder) (Quote, error) {
	var (
		priced               []domain.Item
		cart, address, other []Obstacle
		benefit              domain.Benefit
	)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		priced, cart, err = c.quoteItems(groupCtx, wish.Items)
		return err
	})
	if wish.AddressID != uuid.Nil {
		group.Go(func() error {
			_, err := c.books.Address(groupCtx, wish.AddressID)
			return obstructs(&address, err, domain.ErrAddressMissing)
		})
	}
	if wish.CouponCode != "" {
		group.Go(func() (err error) {
			benefit, err = c.redeem(groupCtx, wish.CouponCode, wish.UserID)
			return obstructs(&other, err, domain.ErrCouponInvalid, domain.ErrCouponExhausted)
		})
	}
	if err := group.Wait(); err != nil {
		return Quote{}, err
	}
	method, err := c.quoteShipping(wish.ShippingMethod)
	if err := obstructs(&other, err, invalid); err != nil {
		return Quote{}, err
	}

	q := Quote{Prices: domain.Prices{}, Obstacles: slices.Concat(cart, address, other)}
	q.Prices, err = domain.Price(priced, method, benefit)
	if errors.Is(err, domain.ErrCouponInvalid) { // what there is does not reach the coupon's minimum
		q.Obstacles = append(q.Obstacles, obstacles(err)...)
		q.Prices, err = domain.Price(priced, method, domain.Benefit{})
	}
	if errors.Is(err, invalid) { // it comes to more than there is money
		q.Obstacles = append(q.Obstacles, obstacles(err)...)
		q.Prices, err = domain.Price(nil, method, domain.Benefit{})
	}
	_, first := merge(wish.Items)
	for i, o := range q.Obstacles {
		q.Obstacles[i].Location = locationAsked(o.Location, first)
	}
	return q, err
}

// quoteItems returns the lines that have a price, and what stands in the way of buying all of them.
func (c *Checkout) quoteItems(ctx context.Context, wished []Line) ([]domain.Item, []Obstacle, error) {
	var found []Obstacle
	lines, err := c.lines(ctx, wished)
	if err == nil {
		var products map[uuid.UUID]Product
		if products, err = c.productsOf(ctx, lines); err == nil {
			p := priceLines(lines, products)
			for _, refusal := range p.refusals() {
				found = append(found, obstacles(refusal)...)
			}
			return p.items, found, nil
		}
	}
	return nil, found, obstructs(&found, err, domain.ErrCartEmpty, invalid)
}

func (c *Checkout) quoteShipping(id string) (domain.ShippingMethod, error) {
	if id == "" {
		return c.shipping.Undecided(), apperr.InvalidField("shipping_method", "is required; the total is without delivery")
	}
	method, err := c.shipping.Find(id)
	if err != nil {
		return c.shipping.Undecided(), err
	}
	return method, nil
}

// redeem returns what a coupon gives to a user now.
func (c *Checkout) redeem(ctx context.Context, code string, userID uuid.UUID) (domain.Benefit, error) {
	code = domain.NormalCode(code)
	if !domain.ValidCode(code) { // nor need a store be able to look for it
		return domain.Benefit{}, domain.ErrCouponUnknown
	}
	coupon, used, err := c.coupons.FindCoupon(ctx, code, userID)
	if err != nil {
		return domain.Benefit{}, fmt.Errorf("find the coupon: %w", err)
	}
	return coupon.Redeem(used, c.now())
}

// invalid is what any other refusal of a part of the request is.
var invalid = apperr.ValidationFailed()

// obstructs makes obstacles of an error that is one of the given refusals, and returns any other.
func obstructs(found *[]Obstacle, err error, refusals ...*apperr.Error) error {
	for _, refusal := range refusals {
		if errors.Is(err, refusal) {
			*found = append(*found, obstacles(err)...)
			return nil
		}
	}
	return err
}

// obstacles are what an error names: one for each of its violations, or itself.
func obstacles(err error) []Obstacle {
	e := apperr.From(err)
	if len(e.Violations) == 0 {
		return []Obstacle{{Code: e.Reason, Message: e.Message}}
	}
	all := make([]Obstacle, len(e.Violations))
	for i, v := range e.Violations {
		all[i] = Obstacle{Code: e.Reason, Message: v.Message, Location: v.Location}
		all[i].ProductID, _ = v.Attributes["product_id"].(string)
		if available, ok := v.Attributes["available"].(int64); ok {
			all[i].Available = &available
		}
	}
	return all
}
