package usecase_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
)

// Clock stands still until it is moved.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// The tokens that the FakeProvider knows. Any other makes the request invalid.
const (
	tokOK       = "tok_ok"
	tokDeclined = "tok_declined"
	tokLate     = "tok_late"    // pending until the provider comes to a decision
	tokTimeout  = "tok_timeout" // the money is promised, but the first answer gets lost
	tokLost     = "tok_lost"    // no call with it ever gets through
)

// FakeProvider takes money as a provider does: once a key, and with a mark for keys that are not to be used.
type FakeProvider struct {
	mu       sync.Mutex
	payments map[string]*charge
}

type charge struct {
	usecase.ProviderPayment
	orderID  uuid.UUID
	amount   money.Money
	captured int64
	captures int
	refunded int64
}

func (p *FakeProvider) Name() string { return "fake" }

func (p *FakeProvider) Authorize(_ context.Context, key string, orderID uuid.UUID, amount money.Money, token string) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.payments[key]; ok {
		return known.ProviderPayment, nil
	}
	made := &charge{orderID: orderID, amount: amount}
	made.ID = "pay_" + key
	switch token {
	case tokOK, tokTimeout:
		made.Status = usecase.ProviderAuthorized
	case tokLate:
		made.Status = usecase.ProviderPending
	case tokDeclined:
		made.Status, made.Declined = usecase.ProviderDeclined, domain.ErrPaymentDeclined
	case tokLost:
		return usecase.ProviderPayment{}, context.DeadlineExceeded
	default:
		return usecase.ProviderPayment{}, apperr.InvalidField("payment.token", "is not a token of this provider")
	}
	p.payments[key] = made
	if token == tokTimeout {
		return usecase.ProviderPayment{}, context.DeadlineExceeded
	}
	return made.ProviderPayment, nil
}

func (p *FakeProvider) Find(_ context.Context, key string) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.find(key).ProviderPayment, nil
}

// find returns the payment under a key, which it forbids if there is none.
func (p *FakeProvider) find(key string) *charge {
	known, ok := p.payments[key]
	if !ok {
		known = &charge{ProviderPayment: usecase.ProviderPayment{Status: usecase.ProviderVoided}}
		p.payments[key] = known
	}
	return known
}

func (p *FakeProvider) Capture(_ context.Context, key, paymentID string) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.payments[key]
	if !ok || known.ID != paymentID {
		return usecase.ProviderPayment{}, fmt.Errorf("there is no payment %s under %s", paymentID, key)
	}
	if known.Status == usecase.ProviderAuthorized {
		known.Status = usecase.ProviderCaptured
		known.captured += known.amount.Amount()
		known.captures++
	}
	return known.ProviderPayment, nil
}

func (p *FakeProvider) Reverse(_ context.Context, key string, amount money.Money) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.find(key)
	switch known.Status {
	case usecase.ProviderPending, usecase.ProviderAuthorized:
		known.Status = usecase.ProviderVoided
	case usecase.ProviderCaptured:
		if amount != known.amount {
			return usecase.ProviderPayment{}, fmt.Errorf("refund of %v, which is not the %v that was taken", amount, known.amount)
		}
		known.Status = usecase.ProviderRefunded
		known.refunded += amount.Amount()
	}
	return known.ProviderPayment, nil
}

// DecideLate lets the pending payments become something.
func (p *FakeProvider) DecideLate(status usecase.ProviderStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.payments {
		if known.Status == usecase.ProviderPending {
			known.Status = status
			if status == usecase.ProviderDeclined {
				known.Declined = domain.ErrPaymentDeclined
			}
		}
	}
}

// Holds returns what the provider has taken for an order and not given back, and whether it holds a promise for more.
func (p *FakeProvider) Holds(orderID uuid.UUID) (taken int64, promised bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.payments {
		if known.orderID == orderID {
			taken += known.captured - known.refunded
			promised = promised || known.Status == usecase.ProviderAuthorized || known.Status == usecase.ProviderPending
		}
	}
	return taken, promised
}

// Captures returns how often money was taken, from anybody.
func (p *FakeProvider) Captures() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, known := range p.payments {
		n += known.captures
	}
	return n
}

// FakeStock promises pieces as the product service does.
type FakeStock struct {
	mu           sync.Mutex
	onHand       map[uuid.UUID]int64
	reservations map[uuid.UUID]*reservation
}

type reservation struct {
	state string
	lines []usecase.Line
}

// The states of a reservation.
const (
	active    = "active"
	sold      = "confirmed"
	released  = "released"
	ended     = "expired"
	noPromise = "" // of an order that is not known
)

func (s *FakeStock) available(product uuid.UUID) int64 {
	free := s.onHand[product]
	for _, r := range s.reservations {
		for _, l := range r.lines {
			if l.ProductID == product && r.state == active {
				free -= l.Quantity
			}
		}
	}
	return free
}

func (s *FakeStock) Available(product uuid.UUID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.available(product)
}

// Set says how many pieces there are.
func (s *FakeStock) Set(product uuid.UUID, onHand int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onHand[product] = onHand
}

// State returns what became of an order's reservation.
func (s *FakeStock) State(orderID uuid.UUID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.reservations[orderID]; ok {
		return r.state
	}
	return noPromise
}

// Expire ends all promises, as their time does.
func (s *FakeStock) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reservations {
		if r.state == active {
			r.state = ended
		}
	}
}

func (s *FakeStock) Reserve(_ context.Context, orderID uuid.UUID, lines []usecase.Line, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ttl <= domain.PaymentWindow {
		return fmt.Errorf("a promise of %v ends before the customer has to pay", ttl)
	}
	if r, ok := s.reservations[orderID]; ok {
		switch r.state {
		case released:
			return domain.ErrReservationEnded
		case active, sold:
			return nil
		}
	}
	if err := s.short(lines); err != nil {
		return err
	}
	s.reservations[orderID] = &reservation{active, slices.Clone(lines)}
	return nil
}

func (s *FakeStock) short(lines []usecase.Line) error {
	var short []apperr.Violation
	for i, l := range lines {
		if free := s.available(l.ProductID); free < l.Quantity {
			short = append(short, apperr.Violation{Location: fmt.Sprintf("items[%d]", i), Message: "not enough",
				Attributes: map[string]any{"product_id": l.ProductID.String(), "available": free}})
		}
	}
	if len(short) > 0 {
		return domain.ErrOutOfStock.With(short...)
	}
	return nil
}

func (s *FakeStock) Confirm(_ context.Context, orderID uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reservations[orderID]
	if !ok {
		return errors.New("there is no such reservation")
	}
	switch r.state {
	case sold:
		return nil
	case released:
		return domain.ErrReservationEnded
	case ended:
		if err := s.short(r.lines); err != nil {
			return err
		}
	}
	r.state = sold
	for _, l := range r.lines {
		s.onHand[l.ProductID] -= l.Quantity
	}
	return nil
}

func (s *FakeStock) Release(_ context.Context, orderID uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reservations[orderID]
	if !ok {
		r = &reservation{}
		s.reservations[orderID] = r
	}
	if r.state == sold {
		for _, l := range r.lines {
			s.onHand[l.ProductID] += l.Quantity
		}
	}
	r.state = released
	return nil
}

// FakeCatalog sells what the FakeStock has.
type FakeCatalog struct {
	mu       sync.Mutex
	stock    *FakeStock
	products map[uuid.UUID]usecase.Product
}

func (c *FakeCatalog) Products(_ context.Context, ids []uuid.UUID) (map[uuid.UUID]usecase.Product, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(map[uuid.UUID]usecase.Product)
	for _, id := range ids {
		if p, ok := c.products[id]; ok {
			p.Available = c.stock.Available(id)
			found[id] = p
		}
	}
	return found, nil
}

// Change changes a product.
func (c *FakeCatalog) Change(id uuid.UUID, change func(*usecase.Product)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.products[id]
	change(&p)
	c.products[id] = p
}

// FakeCarts keeps a cart for each user.
type FakeCarts struct {
	mu    sync.Mutex
	carts map[uuid.UUID][]usecase.Line
	done  map[uuid.UUID]bool // orders that were taken out
}

func (c *FakeCarts) Lines(ctx context.Context) ([]usecase.Line, error) {
	caller, ok := auth.FromContext(ctx)
	if !ok {
		return nil, errors.New("nobody asks for a cart")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.carts[uuid.MustParse(caller.UserID)]), nil
}

func (c *FakeCarts) RemovePurchased(_ context.Context, userID, orderID uuid.UUID, lines []usecase.Line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done[orderID] {
		return nil
	}
	c.done[orderID] = true
	left := make(map[uuid.UUID]int64)
	for _, l := range c.carts[userID] {
		left[l.ProductID] += l.Quantity
	}
	for _, l := range lines {
		left[l.ProductID] -= l.Quantity
	}
	c.carts[userID] = nil
	for _, id := range slices.SortedFunc(maps.Keys(left), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }) {
		if left[id] > 0 {
			c.carts[userID] = append(c.carts[userID], usecase.Line{ProductID: id, Quantity: left[id]})
		}
	}
	return nil
}

// Put fills a user's cart.
func (c *FakeCarts) Put(userID uuid.UUID, lines ...usecase.Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.carts[userID] = lines
}

// Of returns a user's cart.
func (c *FakeCarts) Of(userID uuid.UUID) []usecase.Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.carts[userID])
}

// FakeUsers knows everybody but those who were disabled.
type FakeUsers struct {
	mu       sync.Mutex
	disabled map[uuid.UUID]bool
}

func (u *FakeUsers) Active(_ context.Context, userID uuid.UUID) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.disabled[userID], nil
}

// Disable disables a user.
func (u *FakeUsers) Disable(userID uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.disabled[userID] = true
}
