package redis_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/uuid"
	goredis "github.com/redis/go-redis/v9"

	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/repository/redis"
	"shop.example/cart-service/internal/repository/repositorytest"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
	"shop.example/platform/redistest"
)

var now = time.Now().UTC().Truncate(time.Microsecond)

func cheese(quantity int64) domain.Line {
	price := money.MustNew(100, "EUR")
	return domain.Line{
		ProductID: uuid.New(), Quantity: quantity, AddedAt: now, AddedPrice: price,
		Known: domain.Known{SKU: "C", Name: "Cheese", Price: price, At: now},
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	client := redistest.New(t) // one for all: each test has owners of its own
	repositorytest.Run(t, func(*testing.T) repositorytest.Store { return redis.New(client) })
}

func TestStoreOnACluster(t *testing.T) {
	t.Parallel()
	client := redistest.Cluster(t)
	repositorytest.Run(t, func(*testing.T) repositorytest.Store { return redis.New(client) })
}

func TestLifetimeStartsAnewWithEachChange(t *testing.T) {
	t.Parallel()
	client := redistest.New(t)
	s, user := redis.New(client), uuid.New()
	owner, key := domain.UserOwner(user), "cart:{user:"+user.String()+"}"
	left := func() time.Duration {
		t.Helper()
		ttl, err := client.PTTL(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return ttl
	}
	wind := func() {
		t.Helper()
		if err := client.Expire(t.Context(), key, time.Hour).Err(); err != nil {
			t.Fatal(err)
		}
	}
	whole := func(what string) {
		t.Helper()
		if got := left(); got < domain.Lifetime-time.Minute || got > domain.Lifetime {
			t.Errorf("after %s the cart lives for %v, want %v", what, got, domain.Lifetime)
		}
	}
	l := cheese(3)
	if _, err := s.Add(t.Context(), owner, l, nil); err != nil {
		t.Fatal(err)
	}
	whole("an add")

	wind()
	if _, err := s.Get(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if err := s.Remember(t.Context(), owner, map[uuid.UUID]domain.Known{l.ProductID: l.Known}); err != nil {
		t.Fatal(err)
	}
	if got := left(); got > time.Hour {
		t.Errorf("reading made the cart live for %v", got)
	}
	order := uuid.New()
	if err := s.RemovePurchased(t.Context(), owner, order, []domain.PurchasedLine{{ProductID: l.ProductID, Quantity: 1}}, now); err != nil {
		t.Fatal(err)
	}
	whole("a purchase")
	if ttl, err := client.PTTL(t.Context(), key+":orders").Result(); err != nil || ttl < domain.RememberFor-time.Minute {
		t.Errorf("orders are remembered for %v, %v", ttl, err)
	}
	wind()
	if err := s.Clear(t.Context(), owner, nil, now); err != nil {
		t.Fatal(err)
	}
	whole("a clear")

	if err := client.Del(t.Context(), key).Err(); err != nil { // as Redis does when the time is over
		t.Fatal(err)
	}
	c, err := s.Get(t.Context(), owner)
	if err != nil || c.Version() != 0 || len(c.Lines()) != 0 {
		t.Errorf("an expired cart = %+v, %v", c, err)
	}
}

func TestServerAway(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()
	client := goredis.NewClient(&goredis.Options{Addr: nobody, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	s, owner := redis.New(client), domain.UserOwner(uuid.New())
	if _, err := s.Get(t.Context(), owner); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("Get = %v, want unavailable", err)
	}
	if _, err := s.Add(t.Context(), owner, cheese(1), nil); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("Add = %v, want unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx, owner); !errors.Is(err, context.Canceled) {
		t.Errorf("Get = %v, want canceled", err)
	}
}

func TestForeignContentIsNoPanic(t *testing.T) {
	t.Parallel()
	client := redistest.New(t)
	s := redis.New(client)
	for name, fields := range map[string][]string{
		"no version":     {"at", "1"},
		"no time":        {"v", "1"},
		"no details":     {"v", "1", "at", "1", "q:" + uuid.NewString(), "1"},
		"no product":     {"v", "1", "at", "1", "q:x", "1"},
		"not a quantity": {"v", "1", "at", "1", "q:" + uuid.NewString(), "x"},
	} {
		user := uuid.New()
		if err := client.HSet(t.Context(), "cart:{user:"+user.String()+"}", fields).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), domain.UserOwner(user)); apperr.KindOf(err) != apperr.Internal || err == nil {
			t.Errorf("%s: %v, want an internal error", name, err)
		}
	}
}
