package usecase_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/memory"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
)

const (
	pieces    = 10   // of each product
	cupPrice  = 1250 // cents
	shippingC = 490
)

// As the doubles name them.
const (
	tokOK       = usecasetest.TokOK
	tokDeclined = usecasetest.TokDeclined
	tokLate     = usecasetest.TokLate
	tokTimeout  = usecasetest.TokTimeout
	tokLost     = usecasetest.TokLost

	active   = usecasetest.Active
	sold     = usecasetest.Sold
	released = usecasetest.Released
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shop is all that outlives a process: the store, and the services and the provider around it.
type shop struct {
	clock    *usecasetest.Clock
	store    *memory.Store
	users    *usecasetest.FakeUsers
	books    *usecasetest.FakeAddresses
	carts    *usecasetest.FakeCarts
	catalog  *usecasetest.FakeCatalog
	stock    *usecasetest.FakeStock
	provider *usecasetest.FakeProvider
	shipping domain.ShippingMethods

	customer uuid.UUID
	// office is an entry of the customer's address book.
	office   uuid.UUID
	cup, pot uuid.UUID
	// gift costs nothing.
	gift uuid.UUID
}

func newShop(t *testing.T) *shop {
	t.Helper()
	shipping, err := domain.DefaultShippingMethods("EUR")
	if err != nil {
		t.Fatal(err)
	}
	clock := usecasetest.NewClock(noon)
	stock := usecasetest.NewFakeStock()
	s := &shop{
		clock:    clock,
		store:    memory.New(clock.Now),
		users:    usecasetest.NewFakeUsers(),
		books:    usecasetest.NewFakeAddresses(),
		carts:    usecasetest.NewFakeCarts(),
		catalog:  usecasetest.NewFakeCatalog(stock),
		stock:    stock,
		provider: usecasetest.NewFakeProvider(),
		shipping: shipping,
		customer: uuid.New(), office: uuid.New(), cup: uuid.New(), pot: uuid.New(), gift: uuid.New(),
	}
	for id, p := range map[uuid.UUID]usecase.Product{
		s.cup:  {SKU: "CUP-1", Name: "A cup", Price: money.MustNew(cupPrice, "EUR"), OnSale: true},
		s.pot:  {SKU: "POT-1", Name: "A pot", Price: money.MustNew(3999, "EUR"), OnSale: true},
		s.gift: {SKU: "GIFT", Name: "A sticker", Price: money.MustNew(0, "EUR"), OnSale: true},
	} {
		s.catalog.Sell(id, p)
		stock.Set(id, pieces)
	}
	s.carts.Put(s.customer, usecase.Line{ProductID: s.cup, Quantity: 2}, usecase.Line{ProductID: s.pot, Quantity: 1})
	s.books.Put(s.customer, s.office, officeAddress)
	return s
}

// officeAddress is what the entry says.
var officeAddress = domain.Address{
	Recipient: "Zoë", Line1: "2 High St", Line2: "Flat 1", City: "London", Region: "England", PostalCode: "SW1A 1AA", Country: "GB", Phone: "020 1",
}

// cartTotal is what the cart of a new shop's customer costs, with standard delivery.
const cartTotal = 2*cupPrice + 3999 + shippingC

// process starts a process of order-service, to which faults may happen.
func (s *shop) process(f Faults) *usecase.Checkout { return usecase.NewCheckout(s.parts(f)) }

// watched is a process that counts the paid orders whose pieces are gone.
func (s *shop) watched(alarms *int, f Faults) *usecase.Checkout {
	parts := s.parts(f)
	parts.StockMissing = func(context.Context) { *alarms++ }
	return usecase.NewCheckout(parts)
}

func (s *shop) parts(f Faults) usecase.CheckoutParts {
	return usecase.CheckoutParts{
		Attempts: faultyAttempts{f, s.store}, Keys: faultyKeys{f, s.store}, Orders: faultyOrders{f, s.store}, Coupons: faultyCoupons{f, s.store}, Users: faultyUsers{f, s.users},
		Addresses: faultyAddresses{f, s.books},
		Carts:     faultyCarts{f, s.carts}, Catalog: faultyCatalog{f, s.catalog}, Stock: faultyStock{f, s.stock},
		Payments: faultyPayments{f, s.provider}, Shipping: s.shipping, Now: s.clock.Now, Log: slog.New(slog.DiscardHandler),
	}
}

func (s *shop) healthy() *usecase.Checkout { return s.process(Faults{}) }

func (s *shop) principal() auth.Principal {
	return auth.Principal{UserID: s.customer.String(), Role: auth.Customer}
}

var (
	stranger = auth.Principal{UserID: uuid.NewString(), Role: auth.Customer}
	staff    = auth.Principal{UserID: uuid.NewString(), Role: auth.Staff}
)

func (s *shop) ctx(t *testing.T) context.Context {
	return auth.NewContext(t.Context(), s.principal())
}

// wish buys the cart by card.
func (s *shop) wish(token string) usecase.PlaceOrder {
	return usecase.PlaceOrder{
		UserID: s.customer, Key: "key", ShippingMethod: "standard", Method: domain.Card, Token: token,
		Address: domain.Address{Recipient: "Zoë", Line1: "1 Main St", City: "Köln", PostalCode: "50667", Country: "DE"},
	}
}

// wishByID is wish with an address that the address book knows.
func (s *shop) wishByID(token string) usecase.PlaceOrder {
	wish := s.wish(token)
	wish.Address, wish.AddressID = domain.Address{}, s.office
	return wish
}

// place buys, which must succeed.
func (s *shop) place(t *testing.T, wish usecase.PlaceOrder) usecase.Placed {
	t.Helper()
	placed, err := s.healthy().Place(s.ctx(t), wish)
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

// work runs the watchdog for a time, as the queue does: what is due is settled, what fails or is to be looked at again is
// planned again.
func (s *shop) work(t *testing.T, c *usecase.Checkout, span time.Duration) {
	t.Helper()
	end := s.clock.Now().Add(span)
	// Every 2 s an order may be looked at, and tests have few orders: more means that it goes round in circles.
	for range 10_000 {
		now := s.clock.Now()
		for _, id := range s.store.Due(now) {
			wait, err := c.Settle(t.Context(), id)
			switch {
			case err != nil:
				s.store.PlanAgain(id, now.Add(time.Second))
			case wait > 0:
				s.store.PlanAgain(id, now.Add(wait))
			}
		}
		next := end
		for _, at := range s.store.Plans() {
			if at.Before(next) {
				next = at
			}
		}
		if !now.Before(end) {
			return
		}
		if next.After(now) {
			s.clock.Advance(next.Sub(now))
		}
	}
	t.Fatal("the watchdog does not come to an end")
}

func (s *shop) order(t *testing.T, id uuid.UUID) domain.Snapshot {
	t.Helper()
	o, err := s.store.Order(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return o.Snapshot()
}

// tester is a test, or a case of a property.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Context() context.Context
}

func (s *shop) orders(t tester) []domain.Snapshot {
	t.Helper()
	all, err := s.store.ListOrders(t.Context(), usecase.Filter{}, uuid.Nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// agrees checks that orders, money and stock agree, once everything is settled.
func (s *shop) agrees(t tester) {
	t.Helper()
	promised := make(map[uuid.UUID]int64) // by product: pieces that are promised or sold
	known := make(map[uuid.UUID]bool)
	for _, o := range s.orders(t) {
		taken, held := s.provider.Holds(o.ID)
		state := s.stock.State(o.ID)
		wantTaken, wantState := int64(0), released
		switch o.Status {
		case domain.Confirmed, domain.Processing, domain.Shipped, domain.Delivered, domain.Refunded:
			wantState = sold
			if o.Payment.Method == domain.Card {
				wantTaken = o.Total.Amount() - o.GivenBack().Amount()
			}
		case domain.Pending:
			wantState = active
			if o.Payment.Status == domain.PaymentPending {
				t.Errorf("order %s is still being paid", o.ID)
			}
		}
		if taken != wantTaken || held {
			t.Errorf("order %s is %s: %d is taken and a promise held: %v; want %d and none", o.ID, o.Status, taken, held, wantTaken)
		}
		if state != wantState {
			t.Errorf("order %s is %s: its reservation is %q, want %q", o.ID, o.Status, state, wantState)
		}
		for _, item := range o.Items {
			if o.Status == domain.Cancelled {
				promised[item.ProductID] += keptBack(o, item.ID)
			} else {
				promised[item.ProductID] += item.Quantity - restocked(o, item.ID)
			}
		}
		known[o.ID] = true
	}
	for _, product := range []uuid.UUID{s.cup, s.pot, s.gift} {
		if got, want := s.stock.Available(product), pieces-promised[product]; got != want {
			t.Errorf("%d pieces of %s are left, want %d", got, product, want)
		}
	}
	for _, id := range s.stock.Orders() {
		if state := s.stock.State(id); (state == active || state == sold) && !known[id] {
			t.Errorf("pieces are %s for order %s, which is not there", state, id)
		}
	}
	for _, id := range s.provider.Payers() {
		if taken, held := s.provider.Holds(id); (taken != 0 || held) && !known[id] {
			t.Errorf("%d is taken and a promise held: %v, for order %s, which is not there", taken, held, id)
		}
	}
	s.nothingFound(t)
}

// restocked is how many pieces of a line are back on the shelf.
func restocked(o domain.Snapshot, itemID uuid.UUID) (n int64) {
	for _, r := range o.Refunds {
		for _, item := range r.Items {
			if item.ItemID == itemID && r.Restocked {
				n += item.Quantity
			}
		}
	}
	return n
}

// keptBack is how many pieces of a line were refunded and did not come back.
func keptBack(o domain.Snapshot, itemID uuid.UUID) (n int64) {
	for _, r := range o.Refunds {
		for _, item := range r.Items {
			if item.ItemID == itemID && r.Status == domain.RefundDone && !r.Restock {
				n += item.Quantity
			}
		}
	}
	return n
}

// errTransition is what every step that is not on the way is refused with.
var errTransition = apperr.New(apperr.Conflict, "invalid_transition", "")

// refused checks an error's reason.
func refused(t *testing.T, err error, want *apperr.Error) *apperr.Error {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v (%s), want %s", err, apperr.ReasonOf(err), want.Reason)
	}
	return apperr.From(err)
}
