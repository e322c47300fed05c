package redis_test

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"shop.example/cart-service/internal/carttoken"
	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/repository/redis"
	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/auth"
	"shop.example/platform/money"
	"shop.example/platform/redistest"
)

// counter counts what is sent: a command alone, or a pipeline, is a round trip.
type counter struct{ trips atomic.Int64 }

func (c *counter) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *counter) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		c.trips.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counter) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		c.trips.Add(1)
		return next(ctx, cmds)
	}
}

// Everything that is done to a cart is one round trip, once the server knows the scripts.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	client, ctx := redistest.New(t), t.Context()
	s, owner, guest := redis.New(client), domain.UserOwner(uuid.New()), domain.GuestOwner(domain.NewGuestID())
	l := cheese(2)
	do := map[string]func() error{
		"get":    func() error { _, err := s.Get(ctx, owner); return err },
		"add":    func() error { _, err := s.Add(ctx, owner, l, nil); return err },
		"set":    func() error { _, err := s.Set(ctx, owner, l, nil); return err },
		"remove": func() error { _, err := s.Remove(ctx, owner, uuid.New(), nil, now); return err },
		"clear":  func() error { return s.Clear(ctx, owner, nil, now) },
		"remember": func() error {
			return s.Remember(ctx, owner, map[uuid.UUID]domain.Known{l.ProductID: l.Known, uuid.New(): l.Known})
		},
		"purchased": func() error {
			return s.RemovePurchased(ctx, owner, uuid.New(), []domain.PurchasedLine{{ProductID: l.ProductID, Quantity: 1}}, now)
		},
		"seal":    func() error { _, err := s.Seal(ctx, guest, owner); return err },
		"merge":   func() error { _, err := s.Merge(ctx, owner, guest, []domain.Line{l, cheese(1)}, now); return err },
		"discard": func() error { return s.Discard(ctx, guest, owner) },
		"erase":   func() error { _, err := s.Erase(ctx, []domain.Owner{owner, domain.UserOwner(uuid.New())}); return err },
	}
	for what, f := range do { // the server learns the scripts
		if err := f(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	sent := &counter{}
	client.AddHook(sent)
	for what, f := range do {
		sent.trips.Store(0)
		if err := f(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if n := sent.trips.Load(); n != 1 {
			t.Errorf("%s: %d round trips, want 1", what, n)
		}
	}
}

// shop is a product-service that sells everything, and a user-service that knows everybody.
type shop struct{}

func (shop) Offers(_ context.Context, ids []uuid.UUID) (domain.Offers, error) {
	offers := domain.Offers{}
	for _, id := range ids {
		offers[id] = domain.Offer{SKU: "C", Name: "Cheese", Price: money.MustNew(100, "EUR"), Active: true, InStock: 1}
	}
	return offers, nil
}

func (shop) Check(context.Context, uuid.UUID) error { return nil }

// A read costs one round trip and an add two: what is in the cart must be known to ask for its prices.
func TestRoundTripsOfRequests(t *testing.T) {
	t.Parallel()
	client := redistest.New(t)
	tokens, err := carttoken.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := redis.New(client)
	carts := usecase.NewCarts(usecase.CartsPorts{Reader: s, Writer: s, Merger: s, Products: shop{}, Users: shop{}, Guests: tokens},
		money.MustNew(0, "EUR"), slog.New(slog.DiscardHandler), time.Now)
	sent := &counter{}
	for _, round := range []string{"the server learns the scripts", "counted"} {
		user := auth.NewContext(t.Context(), auth.Principal{UserID: uuid.NewString()})
		product, token := uuid.New(), ""
		for _, step := range []struct {
			what string
			do   func() error
			want int64
		}{
			{"a guest's first add", func() (err error) {
				_, token, err = carts.AddItem(t.Context(), usecase.PutItem{ProductID: product, Quantity: 1})
				return err
			}, 1},
			{"an add", func() error {
				_, _, err := carts.AddItem(user, usecase.PutItem{ProductID: product, Quantity: 1})
				return err
			}, 2},
			{"a read", func() error { _, err := carts.Get(user, ""); return err }, 1},
			{"a removal", func() error {
				_, err := carts.RemoveItem(user, usecase.RemoveItem{ProductID: uuid.New()})
				return err
			}, 1},
			{"a merge", func() error { _, err := carts.Merge(user, token); return err }, 3},
			{"a merge again", func() error { _, err := carts.Merge(user, token); return err }, 2},
			{"a clear", func() error { return carts.Clear(user, "", nil) }, 1},
		} {
			sent.trips.Store(0)
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			if n := sent.trips.Load(); round == "counted" && n != step.want {
				t.Errorf("%s: %d round trips, want %d", step.what, n, step.want)
			}
		}
		if round != "counted" {
			client.AddHook(sent)
		}
	}
}

func BenchmarkStore(b *testing.B) {
	s, ctx := redis.New(redistest.New(b)), b.Context()
	for _, size := range []struct {
		name  string
		lines int
	}{{"1 line", 1}, {"10 lines", 10}, {"100 lines", domain.MaxLines}} {
		owner := domain.UserOwner(uuid.New())
		lines := make([]domain.Line, size.lines)
		for i := range lines {
			lines[i] = cheese(1)
			if _, err := s.Add(ctx, owner, lines[i], nil); err != nil {
				b.Fatal(err)
			}
		}
		b.Run("get "+size.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Get(ctx, owner); err != nil {
					b.Fatal(err)
				}
			}
		})
		// Set and not Add, which would come to the limit: the script does the same.
		b.Run("set "+size.name, func(b *testing.B) {
			b.ReportAllocs()
			l := lines[0]
			for b.Loop() {
				l.Quantity = l.Quantity%domain.MaxQuantity + 1
				if _, err := s.Set(ctx, owner, l, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
