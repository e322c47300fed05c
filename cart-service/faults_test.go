package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"shop.example/cart-service/internal/carttoken"
	"shop.example/cart-service/internal/domain"
	redisrepo "shop.example/cart-service/internal/repository/redis"
	"shop.example/platform/apperr"
	"shop.example/platform/devca"
	"shop.example/platform/grpcserver"
	"shop.example/platform/localstores"
	"shop.example/platform/localstores/ports"
	"shop.example/platform/money"
	"shop.example/platform/mtls"
	shopredis "shop.example/platform/redis"
	"shop.example/platform/redistest"
	cartv1 "shop.example/proto/cart/v1"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
)

// catalogue is a product-service that sells everything, or hangs.
type catalogue struct {
	productv1.UnimplementedCatalogServiceServer
	hangs bool
}

func (c catalogue) BatchGetProducts(ctx context.Context, req *productv1.BatchGetProductsRequest) (*productv1.BatchGetProductsResponse, error) {
	if c.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	answer := &productv1.BatchGetProductsResponse{}
	for _, id := range req.GetProductIds() {
		answer.Products = append(answer.Products, &productv1.Product{
			Id: id, Sku: "S", Name: "N", Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
			Price: &moneyv1.Money{Amount: 100, Currency: "EUR"}, Stock: &productv1.Stock{Available: 1 << 40},
		})
	}
	return answer, nil
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // a server may have closed it
	return listener
}

// serve serves a catalogue until the test ends and returns where.
func serveCatalogue(t *testing.T, dir string, c catalogue) string {
	t.Helper()
	source, err := mtls.Load(devca.Files(dir, grpcserver.ProductService))
	if err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(source.ServerTLS())))
	productv1.RegisterCatalogServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// A product-service that hangs costs a cart at most a second, and nothing once that is known.
func TestProductServiceHangs(t *testing.T) {
	for name, address := range map[string]func(*testing.T, string) string{
		"connections stay unanswered": func(t *testing.T, _ string) string { return listen(t).Addr().String() }, // nobody accepts
		"calls stay unanswered":       func(t *testing.T, dir string) string { return serveCatalogue(t, dir, catalogue{hangs: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			redisURL := redistest.URL(t)
			dir := environment(t, redisURL)
			t.Setenv("PRODUCT_SERVICE_ADDR", address(t, dir))
			cartToken := guestWithCart(t, dir, redisURL)
			carts := cartv1.NewCartServiceClient(program(t, dir))

			read := func() time.Duration {
				begin := time.Now()
				answer, err := carts.GetCart(t.Context(), &cartv1.GetCartRequest{CartToken: cartToken})
				if err != nil || !answer.GetCart().GetStale() || answer.GetCart().GetSubtotal().GetAmount() != 200 {
					t.Errorf("GetCart = %v, %v, want the cart at the last known prices", answer, err)
				}
				return time.Since(begin)
			}
			const second = 1400 * time.Millisecond // and what a busy machine adds
			if took := read(); took > second {
				t.Errorf("the first read took %v", took)
			}
			begin := time.Now()
			_, err := carts.AddItem(t.Context(), &cartv1.AddItemRequest{ProductId: uuid.NewString(), Quantity: 1, CartToken: cartToken})
			if took := time.Since(begin); apperr.KindOf(err) != apperr.Unavailable || took > second {
				t.Errorf("AddItem = %v after %v, want unavailable within a second", err, took)
			}
			// The breaker needs twenty calls to judge.
			var reads sync.WaitGroup
			for range 30 {
				reads.Go(func() {
					if took := read(); took > 2*second { // at once, on two cores
						t.Errorf("a read took %v", took)
					}
				})
			}
			reads.Wait()
			// Now and then it lets some try; the others must not wait.
			best := time.Hour
			for range 10 {
				best = min(best, read())
			}
			if best > 100*time.Millisecond {
				t.Errorf("with the breaker open the quickest of ten reads took %v", best)
			}
		})
	}
}

// guestWithCart puts two pieces at 1.00 into a guest's cart, past the program, and returns the guest's token.
func guestWithCart(t *testing.T, dir, redisURL string) string {
	t.Helper()
	client, err := shopredis.Open(t.Context(), redisURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	tokens, err := carttoken.Load(filepath.Join(dir, devca.CartKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	guest, price, at := domain.NewGuestID(), money.MustNew(100, "EUR"), time.Now()
	_, err = redisrepo.New(client).Add(t.Context(), domain.GuestOwner(guest), domain.Line{
		ProductID: uuid.New(), Quantity: 2, AddedAt: at, AddedPrice: price, Known: domain.Known{SKU: "S", Name: "N", Price: price, At: at},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tokens.Sign(guest)
}

// shopper is a guest who puts things into a cart, one piece after the other.
type shopper struct {
	token     string
	acked     atomic.Int64
	uncertain atomic.Int64 // failed, and may have taken place all the same
	slowest   time.Duration
}

// shop adds until the context is done. Whatever fails must say that it may be tried again.
func (s *shopper) shop(ctx context.Context, carts cartv1.CartServiceClient) error {
	pause := time.NewTicker(10 * time.Millisecond) // between failures, so that they are not all that the machine does
	defer pause.Stop()
	var product string
	for n := 0; ctx.Err() == nil; n++ {
		if n%domain.MaxQuantity == 0 {
			product = uuid.NewString()
		}
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // as long as the edge waits
		begin := time.Now()
		answer, err := carts.AddItem(call, &cartv1.AddItemRequest{ProductId: product, Quantity: 1, CartToken: s.token})
		cancel()
		s.slowest = max(s.slowest, time.Since(begin))
		if err == nil {
			s.token = answer.GetCartToken()
			s.acked.Add(1)
			continue
		}
		if apperr.KindOf(err) != apperr.Unavailable || apperr.ReasonOf(err) != "dependency_unavailable" {
			return fmt.Errorf("a shopper saw: %w", err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			return fmt.Errorf("a shopper waited for %v for: %w", took, err)
		}
		s.uncertain.Add(1)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// Redis is killed under load, as by kill -9, and comes back with its data: clients are told to try again meanwhile, and
// nothing that was acknowledged is lost, nor put in twice.
func TestRedisIsKilled(t *testing.T) {
	programs, err := localstores.FindRedis()
	if missing := (*localstores.MissingError)(nil); errors.As(err, &missing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	port, err := ports.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ports.Release(port) })
	folder := t.TempDir()
	start := func() *localstores.Server {
		t.Helper()
		server, err := programs.StartRedis(t.Context(), localstores.RedisOptions{
			Dir: filepath.Join(folder, "redis"), Port: port, Password: "correcthorse", LogFile: filepath.Join(folder, "redis.log"),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Kill)
		return server
	}
	redis := start()
	dir := environment(t, redis.URL)
	t.Setenv("PRODUCT_SERVICE_ADDR", serveCatalogue(t, dir, catalogue{}))
	carts := cartv1.NewCartServiceClient(program(t, dir))

	shopping, enough := context.WithCancel(t.Context())
	defer enough()
	shoppers := make([]*shopper, 8)
	var all sync.WaitGroup
	for i := range shoppers {
		shoppers[i] = &shopper{}
		all.Go(func() {
			if err := shoppers[i].shop(shopping, carts); err != nil {
				t.Error(err)
			}
		})
	}
	// each waits until every shopper has seen so many more of something.
	each := func(what string, count func(*shopper) *atomic.Int64, more int64) {
		t.Helper()
		goal := make([]int64, len(shoppers))
		for i, s := range shoppers {
			goal[i] = count(s).Load() + more
		}
		deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
		defer tick.Stop()
		for i, s := range shoppers {
			for count(s).Load() < goal[i] {
				select {
				case <-tick.C:
				case <-deadline:
					t.Fatalf("shopper %d: no %s", i, what)
				}
			}
		}
	}
	acked := func(s *shopper) *atomic.Int64 { return &s.acked }
	failed := func(s *shopper) *atomic.Int64 { return &s.uncertain }
	for range 3 {
		each("write goes through", acked, 20)
		redis.Kill()
		<-redis.Done()
		each("failure", failed, 1)
		redis = start()
	}
	each("write goes through", acked, 20)
	enough()
	all.Wait()

	var total, failures, unsure int64
	var slowest time.Duration
	for i, s := range shoppers {
		answer, err := carts.GetCart(t.Context(), &cartv1.GetCartRequest{CartToken: s.token})
		if err != nil {
			t.Fatal(err)
		}
		got, least, most := answer.GetCart().GetItemCount(), s.acked.Load(), s.acked.Load()+s.uncertain.Load()
		if got < least || got > most {
			t.Errorf("shopper %d: %d pieces, want %d that were acknowledged, and at most %d", i, got, least, most)
		}
		total, failures, unsure, slowest = total+got, failures+s.uncertain.Load(), unsure+got-least, max(slowest, s.slowest)
	}
	t.Logf("%d pieces; %d writes were answered 'unavailable', of which %d took place; nobody waited for more than %v", total, failures, unsure, slowest)
}
