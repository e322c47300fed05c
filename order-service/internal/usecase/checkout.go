package usecase

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

const (
	// leaseFor is how long a driver may be silent before another takes over. It is longer than the 10 s that a request may
	// take, so that nobody is overtaken who is still at it.
	leaseFor = 15 * time.Second
	// firstLook is when the watchdog looks at a new order: a checkout takes some 50 ms, so one that is still open after 2 s
	// is in trouble, or in a queue.
	firstLook = 2 * time.Second
	// reservationTTL outlives every use of a reservation, which is at most a payment window and its cleaning up. It matters
	// only if this service is gone for good.
	reservationTTL = domain.PaymentWindow + 15*time.Minute
	// bookkeeping bounds what must still be written down when the request's own time is up.
	bookkeeping = 2 * time.Second
)

// Checkout makes orders of carts and gets them paid. All its steps can be repeated under the order's id, so whoever holds
// the lease of an order, a request or the watchdog (see Settle), can go on where another stopped.
type Checkout struct {
	attempts AttemptStore
	orders   OrderStore
	users    Users
	carts    Carts
	catalog  Catalog
	stock    Stock
	payments Payments
	shipping domain.ShippingMethods
	now      func() time.Time
	log      *slog.Logger
}

// CheckoutParts are what a Checkout works with.
type CheckoutParts struct {
	Attempts AttemptStore
	Orders   OrderStore
	Users    Users
	Carts    Carts
	Catalog  Catalog
	Stock    Stock
	Payments Payments
	Shipping domain.ShippingMethods
	Now      func() time.Time
	Log      *slog.Logger
}

// NewCheckout returns a checkout.
func NewCheckout(p CheckoutParts) *Checkout {
	return &Checkout{
		attempts: p.Attempts, orders: p.Orders, users: p.Users, carts: p.Carts, catalog: p.Catalog, stock: p.Stock,
		payments: p.Payments, shipping: p.Shipping, now: p.Now, log: p.Log,
	}
}

// PlaceOrder is a customer's wish to buy.
type PlaceOrder struct {
	UserID uuid.UUID `json:"-"`
	Key    string    `json:"-"`
	// Items are what to buy; none for what is in the cart.
	Items          []Line
	Address        domain.Address
	ShippingMethod string
	Method         domain.PaymentMethod
	Token          string
	ExpectedTotal  *ExpectedTotal
	CouponCode     string
}

// ExpectedTotal is what the customer was shown.
type ExpectedTotal struct {
	Amount   int64
	Currency string
}

// fingerprint is the same for the same wish, and tells nothing of it.
func (p PlaceOrder) fingerprint() (string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("fingerprint request: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// Placed is what came of it.
type Placed struct {
	Order domain.Snapshot
	// Replayed says that the key was used before, and this is what came of that.
	Replayed bool
	// Settling says that the outcome of the payment is not known yet.
	Settling bool
}

// Place buys. The same wish under the same key has one effect, however often and from wherever it comes.
func (c *Checkout) Place(ctx context.Context, wish PlaceOrder) (Placed, error) {
	fingerprint, err := wish.fingerprint()
	if err != nil {
		return Placed{}, err
	}
	attempt, err := c.attempts.FindAttempt(ctx, wish.UserID, wish.Key)
	if err == nil {
		return c.again(ctx, attempt, fingerprint, wish.Token)
	}
	if !errors.Is(err, ErrNoAttempt) {
		return Placed{}, fmt.Errorf("look for the key: %w", err)
	}
	order, err := c.draft(ctx, wish)
	if err != nil {
		return Placed{}, err
	}
	lease, err := c.attempts.Begin(ctx, order, Attempt{
		UserID: wish.UserID, Key: wish.Key, Fingerprint: fingerprint, OrderID: order.ID(),
	}, leaseFor, c.now().Add(firstLook))
	if errors.Is(err, ErrKeyTaken) {
		if attempt, err = c.attempts.FindAttempt(ctx, wish.UserID, wish.Key); err == nil {
			return c.again(ctx, attempt, fingerprint, wish.Token)
		}
	}
	if err != nil {
		return Placed{}, fmt.Errorf("open order: %w", err)
	}
	return c.driveFor(ctx, wish.UserID, wish.Key, order, lease, wish.Token)
}

// again answers a key that was used before: as the first time if that is over, else by going on with it.
func (c *Checkout) again(ctx context.Context, attempt Attempt, fingerprint, token string) (Placed, error) {
	if attempt.Fingerprint != fingerprint {
		return Placed{}, domain.ErrKeyReused
	}
	if attempt.Outcome != nil {
		return replay(attempt.Outcome)
	}
	order, lease, err := c.orders.Decide(ctx, attempt.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		return takeOver(o), nil
	})
	if errors.Is(err, domain.ErrBusy) {
		return Placed{}, domain.ErrKeyInProgress
	}
	if errors.Is(err, domain.ErrOrderMissing) { // its driver discarded it meanwhile, and has said why
		return c.truth(ctx, attempt.UserID, attempt.Key)
	}
	if err != nil {
		return Placed{}, fmt.Errorf("take the order over: %w", err)
	}
	if order.Status() != domain.Pending {
		return c.truth(ctx, attempt.UserID, attempt.Key)
	}
	if byCard(order) {
		// The first driver may have reached the provider, and the reservation may have ended since. Without pieces, what
		// the provider holds is given back before the order ends.
		err := c.stock.Reserve(ctx, order.ID(), linesOf(order), reservationTTL)
		if errors.Is(err, domain.ErrOutOfStock) {
			if err := c.recover(ctx, order, lease); err != nil {
				return Placed{}, err
			}
			return c.truth(ctx, attempt.UserID, attempt.Key)
		}
	}
	placed, err := c.driveFor(ctx, attempt.UserID, attempt.Key, order, lease, token)
	placed.Replayed = true
	return placed, err
}

// driveFor is drive for the use of a key, which is always answered the same: if somebody else was faster, as they have.
func (c *Checkout) driveFor(ctx context.Context, userID uuid.UUID, key string, order *domain.Order, lease Lease, token string) (Placed, error) {
	placed, err := c.drive(ctx, order, lease, token)
	if err == nil && placed.Replayed || errors.Is(err, domain.ErrOrderMissing) {
		return c.truth(ctx, userID, key)
	}
	return placed, err
}

// byCard reports whether the provider may hold money for an order that is being paid.
func byCard(o *domain.Order) bool {
	return o.PaymentUnderWay() && o.Payment().Method == domain.Card && !o.Free()
}

// takeOver leases an order to whoever is to drive it. One that is not pending any more needs no driver, and a lease would
// only stand in the way of its cancellation.
func takeOver(o *domain.Order) Change {
	if o.Status() != domain.Pending {
		return Change{}
	}
	return Change{Keep: leaseFor}
}

func replay(outcome *Outcome) (Placed, error) {
	if outcome.Error != nil {
		return Placed{}, outcome.Error.WithAttribute(ReplayedAttribute, true)
	}
	return Placed{Order: *outcome.Order, Replayed: true}, nil
}

// ReplayedAttribute marks an error that is answered once more.
const ReplayedAttribute = "idempotency_replayed"

// truth is the answer when somebody else has driven the order on meanwhile.
func (c *Checkout) truth(ctx context.Context, userID uuid.UUID, key string) (Placed, error) {
	attempt, err := c.attempts.FindAttempt(ctx, userID, key)
	if err != nil {
		return Placed{}, fmt.Errorf("look for the key again: %w", err)
	}
	if attempt.Outcome != nil {
		return replay(attempt.Outcome)
	}
	order, err := c.orders.Order(ctx, attempt.OrderID)
	if err != nil {
		return Placed{}, err
	}
	return Placed{Order: order.Snapshot(), Replayed: true, Settling: order.PaymentUnderWay()}, nil
}

// draft makes the order that is wished for, at today's prices.
func (c *Checkout) draft(ctx context.Context, wish PlaceOrder) (*domain.Order, error) {
	method, err := c.shipping.Find(wish.ShippingMethod)
	if err != nil {
		return nil, err
	}
	if wish.CouponCode != "" {
		return nil, domain.ErrCouponInvalid
	}
	items, err := c.price(ctx, wish)
	if err != nil {
		return nil, err
	}
	now := c.now()
	order, err := domain.NewOrder(domain.Draft{
		UserID: wish.UserID, Items: items, Shipping: method, Address: wish.Address, Method: wish.Method,
		FromCart: len(wish.Items) == 0,
	}, now)
	if err != nil {
		return nil, err
	}
	if e := wish.ExpectedTotal; e != nil {
		if total := order.Snapshot().Total; total.Amount() != e.Amount || total.Currency() != e.Currency {
			return nil, domain.ErrTotalChanged.WithAttribute("total", total.Amount())
		}
	}
	// A card without a token is paid later, with Pay.
	if wish.Token != "" || wish.Method == domain.CashOnDelivery {
		if err := order.BeginPayment(wish.Method, c.payments.Name(), true, now); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// price asks everybody at once what the wish needs to know of them.
func (c *Checkout) price(ctx context.Context, wish PlaceOrder) ([]domain.Item, error) {
	var items []domain.Item
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.checkUser(ctx, wish.UserID) })
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
		return nil, err
	}
	return items, nil
}

// checkUser refuses a user who was disabled after the token was made. While user-service is away the token is believed:
// orders with an address of their own go on.
func (c *Checkout) checkUser(ctx context.Context, userID uuid.UUID) error {
	active, err := c.users.Active(ctx, userID)
	switch {
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

// drive takes a pending order as far as it goes: reserve, authorize, capture, confirm. The caller holds the lease.
func (c *Checkout) drive(ctx context.Context, order *domain.Order, lease Lease, token string) (Placed, error) {
	if err := c.stock.Reserve(ctx, order.ID(), linesOf(order), reservationTTL); err != nil {
		return c.notReserved(ctx, order, lease, err)
	}
	if !order.PaymentUnderWay() {
		return c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
			due, _ := o.PaymentDue()
			return Change{Outcome: ended(o), Settle: Plan{At: due}}, nil
		})
	}
	if order.Free() || order.Payment().Method == domain.CashOnDelivery {
		return c.confirm(ctx, order, lease, "")
	}
	payment, err := c.payments.Authorize(ctx, order.PaymentKey(), order.ID(), order.Snapshot().Total, token)
	if apperr.KindOf(err) == apperr.Invalid { // nothing was taken, and nothing will be
		return c.decline(ctx, order, lease, ProviderPayment{Declined: apperr.From(err)})
	}
	if err != nil {
		return c.unsettled(ctx, order, lease, err)
	}
	return c.complete(ctx, order, lease, payment)
}

// complete goes on from what the provider says of the payment.
func (c *Checkout) complete(ctx context.Context, order *domain.Order, lease Lease, payment ProviderPayment) (Placed, error) {
	if payment.Status == ProviderAuthorized {
		captured, err := c.payments.Capture(ctx, order.PaymentKey(), payment.ID)
		if err != nil {
			return c.unsettled(ctx, order, lease, err)
		}
		payment = captured
	}
	switch payment.Status {
	case ProviderCaptured:
		return c.confirm(ctx, order, lease, payment.ID)
	case ProviderDeclined:
		return c.decline(ctx, order, lease, payment)
	case ProviderVoided, ProviderRefunded:
		return c.giveUp(ctx, order, lease)
	default:
		return c.unsettled(ctx, order, lease, fmt.Errorf("the payment is %s", payment.Status))
	}
}

// confirm writes down that the order is paid. What follows, the watchdog does at once; only the cart is seen to here,
// because the customer looks at it next.
func (c *Checkout) confirm(ctx context.Context, order *domain.Order, lease Lease, reference string) (Placed, error) {
	placed, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
		if err := o.Confirm(reference, c.now()); err != nil {
			return Change{}, err
		}
		return Change{Outcome: ended(o), Settle: Plan{At: c.now()}}, nil
	})
	if err == nil && placed.Order.Status == domain.Confirmed {
		if err := c.emptyCart(ctx, placed.Order); err != nil {
			c.log.WarnContext(ctx, "the cart is emptied later", "order_id", order.ID(), "error", err)
		}
	}
	return placed, err
}

// decline writes down that the provider refused, and gives the stock back at once.
func (c *Checkout) decline(ctx context.Context, order *domain.Order, lease Lease, payment ProviderPayment) (Placed, error) {
	refusal := payment.Declined.WithAttribute("order_id", order.ID().String())
	placed, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
		if err := o.Decline(payment.ID, c.now()); err != nil {
			return Change{}, err
		}
		if due, open := o.PaymentDue(); open {
			return Change{Settle: Plan{At: due}}, nil
		}
		return Change{Outcome: &Outcome{Error: refusal}, Settle: Plan{At: c.now().Add(firstLook)}}, nil
	})
	if err != nil {
		return Placed{}, err
	}
	if placed.Order.Status == domain.Cancelled {
		if err := c.stock.Release(ctx, order.ID()); err != nil {
			c.log.WarnContext(ctx, "the stock is released later", "order_id", order.ID(), "error", err)
		}
	}
	if placed.Replayed {
		return placed, nil // somebody else was first, and this is what they wrote
	}
	return Placed{}, refusal
}

// giveUp cancels a checkout of which nothing was taken and nothing can be.
func (c *Checkout) giveUp(ctx context.Context, order *domain.Order, lease Lease) (Placed, error) {
	ending := domain.ErrInterrupted.WithAttribute("order_id", order.ID().String())
	placed, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
		if err := o.Cancel(domain.System, "the checkout was interrupted", c.now()); err != nil {
			return Change{}, err
		}
		o.Reversed(domain.PaymentVoided, c.now())
		return Change{Outcome: &Outcome{Error: ending}, Settle: Plan{At: c.now()}}, nil
	})
	if err != nil || placed.Replayed {
		return placed, err
	}
	return Placed{}, ending
}

// notReserved ends a checkout that has no stock: without a trace if that is final.
func (c *Checkout) notReserved(ctx context.Context, order *domain.Order, lease Lease, cause error) (Placed, error) {
	switch {
	case errors.Is(cause, domain.ErrOutOfStock):
		refusal := apperr.From(cause)
		placed, err := c.finish(ctx, order, lease, func(o *domain.Order) (Change, error) {
			if p := o.Payment(); p.Attempt > 0 && !p.AtCheckout {
				// It stood for a while and somebody knows it, so it ends as a cancelled one.
				return Change{Settle: Plan{At: c.now()}}, o.Cancel(domain.System, "out of stock", c.now())
			}
			return Change{Outcome: &Outcome{Error: refusal}, Settle: Plan{Never: true}, Discard: true}, nil
		})
		if err != nil || placed.Replayed {
			return placed, err
		}
		return Placed{}, refusal
	case errors.Is(cause, domain.ErrReservationEnded):
		return c.giveUp(ctx, order, lease)
	default:
		// Whether it was reserved is not known. The order stays for the client's next try under the same key, or for the
		// watchdog to clean up.
		c.release(ctx, order, lease)
		return Placed{}, fmt.Errorf("reserve stock: %w", cause)
	}
}

// unsettled answers that it is not known yet whether the order is paid. The watchdog goes on asking.
func (c *Checkout) unsettled(ctx context.Context, order *domain.Order, lease Lease, cause error) (Placed, error) {
	c.log.WarnContext(ctx, "payment is not settled yet", "order_id", order.ID(), "error", cause)
	c.release(ctx, order, lease)
	return Placed{Order: order.Snapshot(), Settling: true}, nil
}

// release gives the lease back early. If that fails, it ends by itself.
func (c *Checkout) release(ctx context.Context, order *domain.Order, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	_, _, err := c.orders.Decide(ctx, order.ID(), lease, func(*domain.Order) (Change, error) { return Change{}, nil })
	if err != nil && !errors.Is(err, ErrLeaseLost) {
		c.log.WarnContext(ctx, "the lease runs out by itself", "order_id", order.ID(), "error", err)
	}
}

// finish decides over an order that was driven. If the lease was lost meanwhile, what the new driver has made of it is the
// answer.
func (c *Checkout) finish(ctx context.Context, order *domain.Order, lease Lease, decide func(*domain.Order) (Change, error)) (Placed, error) {
	// What the provider has done is written down even if the customer does not wait for it any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	changed, _, err := c.orders.Decide(ctx, order.ID(), lease, decide)
	if errors.Is(err, ErrLeaseLost) {
		now, err := c.orders.Order(ctx, order.ID())
		if err != nil {
			return Placed{}, err
		}
		return Placed{Order: now.Snapshot(), Replayed: true, Settling: now.PaymentUnderWay()}, nil
	}
	if err != nil {
		return Placed{}, fmt.Errorf("finish order %s: %w", order.ID(), err)
	}
	return Placed{Order: changed.Snapshot()}, nil
}

// ended is the outcome of an order as it is now.
func ended(o *domain.Order) *Outcome {
	s := o.Snapshot()
	return &Outcome{Order: &s}
}

func linesOf(o *domain.Order) []Line { return linesOfItems(o.Snapshot().Items) }

func linesOfItems(items []domain.Item) []Line {
	lines := make([]Line, len(items))
	for i, item := range items {
		lines[i] = Line{ProductID: item.ProductID, Quantity: item.Quantity}
	}
	return lines
}

// emptyCart takes what was bought out of the cart that it came from.
func (c *Checkout) emptyCart(ctx context.Context, o domain.Snapshot) error {
	if !o.FromCart {
		return nil
	}
	return c.carts.RemovePurchased(ctx, o.UserID, o.ID, linesOfItems(o.Items))
}

// PayOrder is a customer's wish to pay a pending order.
type PayOrder struct {
	OrderID uuid.UUID
	Method  domain.PaymentMethod
	Token   string
}

// Pay pays a pending order of the caller's. A declined payment leaves it pending.
func (c *Checkout) Pay(ctx context.Context, caller auth.Principal, wish PayOrder) (Placed, error) {
	order, lease, err := c.orders.Decide(ctx, wish.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		if !o.VisibleTo(caller.UserID, false) {
			return Change{}, domain.ErrOrderMissing
		}
		now := c.now()
		if due, open := o.PaymentDue(); open && !now.Before(due) {
			return Change{}, domain.ErrNotPayable
		}
		if err := o.BeginPayment(wish.Method, c.payments.Name(), false, now); err != nil {
			return Change{}, err
		}
		return Change{Keep: leaseFor, Settle: Plan{At: now.Add(firstLook)}}, nil
	})
	if errors.Is(err, domain.ErrBusy) {
		return Placed{}, c.busyFor(ctx, wish.OrderID, caller.UserID, false)
	}
	if err != nil {
		return Placed{}, err
	}
	return c.drive(ctx, order, lease, wish.Token)
}

// busyFor tells those who may see an order that it is being worked on. For anybody else it does not exist.
func (c *Checkout) busyFor(ctx context.Context, orderID uuid.UUID, userID string, staff bool) error {
	order, err := c.orders.Order(ctx, orderID)
	if err != nil {
		return err
	}
	if !order.VisibleTo(userID, staff) {
		return domain.ErrOrderMissing
	}
	return domain.ErrBusy
}
