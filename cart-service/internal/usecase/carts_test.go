package usecase_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/cart-service/internal/carttoken"
	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/repository/memory"
	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
)

var (
	eur  = money.MustNew(0, "EUR")
	now  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	away = apperr.DependencyUnavailable(errors.New("connection refused"))
)

// catalogue answers from memory, and keeps which products it was asked for.
type catalogue struct {
	mu     sync.Mutex
	offers domain.Offers
	err    error
	asked  [][]uuid.UUID
}

func (c *catalogue) Offers(_ context.Context, ids []uuid.UUID) (domain.Offers, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, ids)
	if c.err != nil {
		return nil, c.err
	}
	found := domain.Offers{}
	for _, id := range ids {
		if o, ok := c.offers[id]; ok {
			found[id] = o
		}
	}
	return found, nil
}

// sell adds an active product.
func (c *catalogue) sell(price int64) uuid.UUID {
	id := uuid.New()
	c.offers[id] = domain.Offer{SKU: "S", Name: "N", Price: money.MustNew(price, "EUR"), Active: true, InStock: 10}
	return id
}

// change changes a product.
func (c *catalogue) change(id uuid.UUID, f func(*domain.Offer)) {
	o := c.offers[id]
	f(&o)
	c.offers[id] = o
}

// answers is a user-service that says the same of everybody.
type answers struct{ err error }

func (a *answers) Check(context.Context, uuid.UUID) error { return a.err }

// store counts what is remembered.
type store struct {
	*memory.Store
	remembered int
}

func (s *store) Remember(ctx context.Context, owner domain.Owner, known map[uuid.UUID]domain.Known) error {
	s.remembered++
	return s.Store.Remember(ctx, owner, known)
}

type fixture struct {
	*usecase.Carts
	ctx      context.Context
	user     uuid.UUID
	products *catalogue
	users    *answers
	store    *store
	tokens   *carttoken.Signer
	clock    time.Time
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{user: uuid.New(), products: &catalogue{offers: domain.Offers{}}, users: &answers{}, clock: now}
	f.store = &store{Store: memory.New(func() time.Time { return f.clock })}
	f.tokens = tokens(t)
	f.Carts = f.carts(f.store)
	f.ctx = auth.NewContext(t.Context(), auth.Principal{UserID: f.user.String(), Role: auth.Customer})
	return f
}

// carts returns the use cases on a store that changes carts in its own way.
func (f *fixture) carts(changes interface {
	usecase.CartWriter
	usecase.CartMerger
}) *usecase.Carts {
	return usecase.NewCarts(usecase.CartsPorts{
		Reader: f.store, Writer: changes, Merger: changes, Products: f.products, Users: f.users, Guests: f.tokens,
	}, eur, slog.New(slog.DiscardHandler), func() time.Time { return f.clock })
}

func tokens(t *testing.T) *carttoken.Signer {
	t.Helper()
	signer, err := carttoken.New([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func (f *fixture) add(t *testing.T, id uuid.UUID, quantity int64) domain.View {
	t.Helper()
	v, _, err := f.AddItem(f.ctx, usecase.PutItem{ProductID: id, Quantity: quantity})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAddItemAsksOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese, bread := f.products.sell(500), f.products.sell(300)
	f.add(t, cheese, 2)
	f.products.asked = nil
	v := f.add(t, bread, 1)
	if v.Subtotal.Amount() != 1300 || v.Pieces != 3 || v.Version != 2 {
		t.Errorf("view = %+v", v)
	}
	if diff := cmp.Diff([][]uuid.UUID{{bread, cheese}}, f.products.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		arrange  func(f *fixture, id uuid.UUID)
		quantity int64
		want     error
	}{
		{"an unknown product", func(f *fixture, id uuid.UUID) { delete(f.products.offers, id) }, 1, domain.ErrProductUnavailable},
		{"an inactive product", func(f *fixture, id uuid.UUID) { f.products.change(id, func(o *domain.Offer) { o.Active = false }) }, 1, domain.ErrProductUnavailable},
		{"too many", func(*fixture, uuid.UUID) {}, 1_000_000_000, domain.ErrQuantityLimit},
		{"a user who is no more", func(f *fixture, _ uuid.UUID) { f.users.err = domain.ErrUserUnknown }, 1, domain.ErrUserUnknown},
		{"a disabled user", func(f *fixture, _ uuid.UUID) { f.users.err = domain.ErrUserDisabled }, 1, domain.ErrUserDisabled},
		{"without product-service", func(f *fixture, _ uuid.UUID) { f.products.err = away }, 1, away},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			id := f.products.sell(100)
			tt.arrange(f, id)
			cmd := usecase.PutItem{ProductID: id, Quantity: tt.quantity}
			if _, _, err := f.AddItem(f.ctx, cmd); !errors.Is(err, tt.want) {
				t.Errorf("AddItem = %v, want %v", err, tt.want)
			}
			if _, _, err := f.SetItem(f.ctx, cmd); !errors.Is(err, tt.want) {
				t.Errorf("SetItem = %v, want %v", err, tt.want)
			}
			if v, err := f.Get(f.ctx, ""); err != nil || v.Version != 0 {
				t.Errorf("the cart was changed: %+v, %v", v, err)
			}
		})
	}
}

func TestCartsGoOnWithoutUserService(t *testing.T) {
	t.Parallel()
	for _, err := range []error{away, apperr.From(context.DeadlineExceeded)} {
		f := setup(t)
		f.users.err = err
		f.add(t, f.products.sell(100), 1)
	}
}

func TestStaleCart(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese, bread := f.products.sell(500), f.products.sell(300)
	f.add(t, cheese, 2)
	f.add(t, bread, 1)
	f.clock = now.Add(time.Minute)
	f.products.err = away
	v, err := f.Get(f.ctx, "")
	if err != nil || !v.Stale || !v.PricesAsOf.Equal(now) || v.Subtotal.Amount() != 1300 {
		t.Errorf("Get = %+v, %v, want a stale view as of %v", v, err, now)
	}
	// What needs no new price still works.
	if v, err = f.RemoveItem(f.ctx, usecase.RemoveItem{ProductID: bread}); err != nil || !v.Stale || v.Subtotal.Amount() != 1000 {
		t.Errorf("RemoveItem = %+v, %v", v, err)
	}
	if v, _, err = f.SetItem(f.ctx, usecase.PutItem{ProductID: cheese}); err != nil || len(v.Items) != 0 {
		t.Errorf("SetItem to 0 = %+v, %v", v, err)
	}
	// Nobody needs to be asked about an empty cart.
	if v.Stale || !v.PricesAsOf.Equal(f.clock) {
		t.Errorf("an empty cart is stale: %+v", v)
	}
	if err := f.Clear(f.ctx, "", nil); err != nil {
		t.Error(err)
	}
}

func TestPricesAreKeptWhenTheyChange(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese := f.products.sell(500)
	f.add(t, cheese, 1)
	for range 3 {
		if _, err := f.Get(f.ctx, ""); err != nil {
			t.Fatal(err)
		}
	}
	if f.store.remembered != 0 {
		t.Errorf("%d writes for reads of what was known", f.store.remembered)
	}
	f.products.change(cheese, func(o *domain.Offer) { o.Price = money.MustNew(450, "EUR") })
	f.clock = now.Add(time.Hour)
	for range 3 {
		v, err := f.Get(f.ctx, "")
		if err != nil || !v.Items[0].PriceChanged || v.Version != 1 {
			t.Fatalf("Get = %+v, %v", v, err)
		}
	}
	if f.store.remembered != 1 {
		t.Errorf("%d writes for one new price", f.store.remembered)
	}
	f.products.err = away
	if v, err := f.Get(f.ctx, ""); err != nil || v.Subtotal.Amount() != 450 || !v.PricesAsOf.Equal(f.clock) || !v.Items[0].PriceChanged {
		t.Errorf("Get = %+v, %v", v, err)
	}
}

func TestCallerGoneIsNoStaleCart(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.add(t, f.products.sell(500), 1)
	ctx, cancel := context.WithCancel(f.ctx)
	f.products.err = context.Canceled
	cancel()
	if _, err := f.Get(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want canceled", err)
	}
}

// concurrent is a store in which somebody else puts something in between the read and the write.
type concurrent struct {
	*store
	line domain.Line
}

func (c *concurrent) Add(ctx context.Context, owner domain.Owner, line domain.Line, version *int64) (*domain.Cart, error) {
	if _, err := c.Store.Add(ctx, owner, c.line, nil); err != nil {
		return nil, err
	}
	return c.Store.Add(ctx, owner, line, version)
}

func TestLineOfAnotherRequestIsPriced(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese, bread := f.products.sell(500), f.products.sell(300)
	offer := f.products.offers[bread]
	writer := &concurrent{f.store, domain.Line{ProductID: bread, Quantity: 1, AddedAt: now, AddedPrice: offer.Price, Known: offer.Known(now)}}
	v, _, err := f.carts(writer).AddItem(f.ctx, usecase.PutItem{ProductID: cheese, Quantity: 1})
	if err != nil || v.Subtotal.Amount() != 800 || !v.Items[0].Available || !v.Items[1].Available {
		t.Errorf("AddItem = %+v, %v", v, err)
	}
}

func TestFullCart(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for range domain.MaxLines {
		f.add(t, f.products.sell(100), 1)
	}
	if _, _, err := f.AddItem(f.ctx, usecase.PutItem{ProductID: f.products.sell(100), Quantity: 1}); apperr.ReasonOf(err) != "cart_limit" {
		t.Errorf("AddItem = %v, want cart_limit", err)
	}
	for _, ids := range f.products.asked {
		if len(ids) > domain.MaxLines {
			t.Errorf("asked for %d products at once", len(ids))
		}
	}
}

func TestPurchase(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cheese := f.products.sell(500)
	f.add(t, cheese, 5)
	purchases := usecase.NewPurchases(f.store, func() time.Time { return f.clock })
	cmd := usecase.Purchase{UserID: f.user, OrderID: uuid.New(), Lines: []domain.PurchasedLine{{ProductID: cheese, Quantity: 2}}}
	for range 2 {
		if err := purchases.Remove(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := f.Get(f.ctx, ""); err != nil || v.Pieces != 3 {
		t.Errorf("Get = %+v, %v, want 3 pieces", v, err)
	}
}
