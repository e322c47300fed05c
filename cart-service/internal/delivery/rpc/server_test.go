package rpc_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/cart-service/internal/carttoken"
	"shop.example/cart-service/internal/client"
	"shop.example/cart-service/internal/delivery/rpc"
	"shop.example/cart-service/internal/repository/memory"
	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/money"
	"shop.example/platform/mtls"
	"shop.example/platform/token"
	cartv1 "shop.example/proto/cart/v1"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

// shop is cart-service as others see it, over real connections, between a product-service and a user-service that do as
// they are told.
type shop struct {
	gateway, orders, stranger cartv1.CartServiceClient

	products *catalogue
	people   *people
	sign     func(userID string) string
	// erasures deletes the carts of deleted users.
	erasures *usecase.Erasures
}

func setup(t *testing.T) *shop {
	t.Helper()
	dir := t.TempDir()
	names := []string{grpcserver.Gateway, grpcserver.UserService, grpcserver.ProductService, grpcserver.CartService, grpcserver.OrderService}
	if err := devca.Create(dir, names); err != nil {
		t.Fatal(err)
	}
	identity := func(service string) *mtls.Source {
		t.Helper()
		source, err := mtls.Load(devca.Files(dir, service))
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	keyPEM, err := os.ReadFile(filepath.Join(dir, devca.SigningKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := token.NewSigner(keyPEM, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := signer.KeySet()
	if err != nil {
		t.Fatal(err)
	}

	s := &shop{
		products: &catalogue{products: make(map[string]*productv1.Product)},
		people:   &people{keys: keys, is: make(map[string]userv1.UserStatus)},
		sign: func(userID string) string {
			raw, err := signer.Sign(auth.Principal{UserID: userID, Role: auth.Customer, SessionID: uuid.NewString()})
			if err != nil {
				t.Fatal(err)
			}
			return raw
		},
	}
	log := slog.New(slog.DiscardHandler)
	dial := func(as *mtls.Source, service, target string) *grpcclient.Conn {
		t.Helper()
		conn, err := grpcclient.Dial(grpcclient.Options{Service: service, Target: target, TLS: as, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	own := identity(grpcserver.CartService)
	products := dial(own, grpcserver.ProductService, listen(t, identity(grpcserver.ProductService), func(r grpc.ServiceRegistrar) {
		productv1.RegisterCatalogServiceServer(r, s.products)
	}))
	users := dial(own, grpcserver.UserService, listen(t, identity(grpcserver.UserService), func(r grpc.ServiceRegistrar) {
		userv1.RegisterUserServiceServer(r, s.people)
		userv1.RegisterAuthServiceServer(r, s.people)
	}))

	store := memory.New(time.Now)
	guests, err := carttoken.Load(filepath.Join(dir, devca.CartKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	carts := usecase.NewCarts(usecase.CartsPorts{
		Reader: store, Writer: store, Merger: store, Guests: guests,
		Products: client.NewProducts(productv1.NewCatalogServiceClient(products)),
		Users:    client.NewUsers(userv1.NewUserServiceClient(users), time.Now),
	}, money.MustNew(0, "EUR"), log, time.Now)
	s.erasures = usecase.NewErasures(client.NewDeletedUsers(userv1.NewUserServiceClient(users)), store)
	monitor := health.NewMonitor(log)
	server, err := grpcserver.New(grpcserver.Options{
		Service: grpcserver.CartService, Addr: "127.0.0.1:0", TLS: own, Log: log, Health: monitor,
		Tokens: token.NewVerifier(grpcclient.SigningKeys(users), 0, time.Now).Verify,
		Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) { rpc.Register(r, carts, usecase.NewPurchases(store, time.Now)) })
	if err != nil {
		t.Fatal(err)
	}
	start(t, monitor, server)

	as := func(service string) cartv1.CartServiceClient {
		t.Helper()
		return cartv1.NewCartServiceClient(dial(identity(service), grpcserver.CartService, server.Addr()))
	}
	s.gateway, s.orders, s.stranger = as(grpcserver.Gateway), as(grpcserver.OrderService), as(grpcserver.ProductService)
	return s
}

// start runs the server until the test ends.
func start(t *testing.T, monitor *health.Monitor, server *grpcserver.Server) {
	t.Helper()
	monitoring, serving := monitor.Component(), server.Component()
	if err := monitoring.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := serving.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serving.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, err := range []error{serving.Stop(ctx), <-served, monitoring.Stop(ctx)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

// customer returns an active customer and a context with its token.
func (s *shop) customer(t *testing.T) (id string, ctx context.Context) {
	t.Helper()
	id = uuid.NewString()
	s.people.set(id, userv1.UserStatus_USER_STATUS_ACTIVE)
	return id, s.signedIn(t, id)
}

func (s *shop) signedIn(t *testing.T, id string) context.Context {
	t.Helper()
	return auth.NewContext(t.Context(), auth.Principal{UserID: id, Token: s.sign(id)})
}

func (s *shop) product(price, stock int64) string {
	id := uuid.NewString()
	s.products.sell(id, price, stock)
	return id
}

// wantError fails unless err has the kind and reason that the contract promises.
func wantError(t *testing.T, err error, kind apperr.Kind, reason string) {
	t.Helper()
	if err == nil || apperr.KindOf(err) != kind || apperr.ReasonOf(err) != reason {
		t.Errorf("error = %v (%v, %s), want %v, %s", err, apperr.KindOf(err), apperr.ReasonOf(err), kind, reason)
	}
}

func eur(amount int64) *moneyv1.Money { return &moneyv1.Money{Amount: amount, Currency: "EUR"} }

func TestCartOfACustomer(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.customer(t)
	cheese, bread := s.product(500, 10), s.product(300, 1)

	empty, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	compare := func(want, got *cartv1.Cart) {
		t.Helper()
		if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&cartv1.Cart{}, "expires_at", "prices_as_of")); diff != "" {
			t.Errorf("cart (-want +got):\n%s", diff)
		}
		if age := time.Since(got.GetPricesAsOf().AsTime()); age < 0 || age > time.Minute {
			t.Errorf("prices_as_of = %v", got.GetPricesAsOf().AsTime())
		}
	}
	compare(&cartv1.Cart{Subtotal: eur(0), Currency: "EUR"}, empty.GetCart())
	if empty.GetCart().GetExpiresAt() != nil {
		t.Error("a cart that was never written expires")
	}

	if _, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1, IfVersion: new(int64(1))}); err != nil {
		t.Fatal(err)
	}
	set, err := s.gateway.SetItem(ctx, &cartv1.SetItemRequest{ProductId: bread, Quantity: 2})
	if err != nil {
		t.Fatal(err)
	}
	item := func(id string, quantity, price int64, available bool) *cartv1.CartItem {
		return &cartv1.CartItem{
			ProductId: id, Sku: "CHEESE-1", Name: "Cheese", Image: "https://cdn.shop.example/1.jpg", Quantity: quantity,
			UnitPrice: eur(price), LineTotal: eur(quantity * price), UnitPriceWhenAdded: eur(price), Available: available,
		}
	}
	want := &cartv1.Cart{
		Items:     []*cartv1.CartItem{item(cheese, 2, 500, true), item(bread, 2, 300, false)}, // one loaf is left
		ItemCount: 4, Subtotal: eur(1600), Currency: "EUR", Version: 3,
	}
	compare(want, set.GetCart())
	if left := time.Until(set.GetCart().GetExpiresAt().AsTime()); left < 29*24*time.Hour || left > 30*24*time.Hour {
		t.Errorf("expires in %v, want 30 days", left)
	}

	// order-service reads the same cart for the customer, at new prices.
	s.products.sell(cheese, 450, 10)
	read, err := s.orders.GetCart(ctx, &cartv1.GetCartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want.Items[0].UnitPrice, want.Items[0].LineTotal, want.Items[0].PriceChanged = eur(450), eur(900), true
	want.Subtotal = eur(1500)
	compare(want, read.GetCart())
	// To buy what is in it, it needs no prices, and product-service is not asked for any.
	s.products.sell(cheese, 470, 10)
	known, err := s.orders.GetCart(ctx, &cartv1.GetCartRequest{AsKnown: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range want.Items {
		item.Available = false
	}
	want.Stale = true
	compare(want, known.GetCart())

	removed, err := s.gateway.RemoveItem(ctx, &cartv1.RemoveItemRequest{ProductId: bread})
	if err != nil || len(removed.GetCart().GetItems()) != 1 || removed.GetCart().GetVersion() != 4 {
		t.Errorf("RemoveItem = %v, %v", removed, err)
	}
	if _, err := s.gateway.ClearCart(ctx, &cartv1.ClearCartRequest{IfVersion: new(int64(3))}); err == nil {
		t.Error("a clear of an old version was done")
	} else {
		wantError(t, err, apperr.VersionMismatch, "version_mismatch")
	}
	if _, err := s.gateway.ClearCart(ctx, &cartv1.ClearCartRequest{IfVersion: new(int64(4))}); err != nil {
		t.Error(err)
	}
	// Another customer has another cart.
	_, other := s.customer(t)
	if theirs, err := s.gateway.GetCart(other, &cartv1.GetCartRequest{}); err != nil || theirs.GetCart().GetVersion() != 0 {
		t.Errorf("GetCart of another customer = %v, %v", theirs, err)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.customer(t)
	cheese, archived := s.product(500, 10), s.product(500, 10)
	s.products.archive(archived)
	add := func(product string, quantity int64, version *int64) error {
		_, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: product, Quantity: quantity, IfVersion: version})
		return err
	}
	set := func(product string, quantity int64) error {
		_, err := s.gateway.SetItem(ctx, &cartv1.SetItemRequest{ProductId: product, Quantity: quantity})
		return err
	}
	wantError(t, add(cheese, 0, nil), apperr.Invalid, "validation_failed")
	wantError(t, add(cheese, -1, nil), apperr.Invalid, "validation_failed")
	wantError(t, set(cheese, -1), apperr.Invalid, "validation_failed")
	wantError(t, add("cheese", 1, nil), apperr.Invalid, "validation_failed")
	wantError(t, add(cheese, 1_000_000_000, nil), apperr.Invalid, "cart_limit")
	wantError(t, set(cheese, 1000), apperr.Invalid, "cart_limit")
	wantError(t, add(uuid.NewString(), 1, nil), apperr.Invalid, "product_unavailable")
	wantError(t, add(archived, 1, nil), apperr.Invalid, "product_unavailable")
	wantError(t, set(archived, 1), apperr.Invalid, "product_unavailable")
	wantError(t, add(cheese, 1, new(int64(7))), apperr.VersionMismatch, "version_mismatch")
	if cart, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{}); err != nil || cart.GetCart().GetVersion() != 0 {
		t.Errorf("GetCart = %v, %v, want the cart as it was", cart, err)
	}
}

func TestWhoMay(t *testing.T) {
	t.Parallel()
	s := setup(t)
	user, ctx := s.customer(t)
	cheese := s.product(500, 10)

	_, err := s.gateway.MergeCart(t.Context(), &cartv1.MergeCartRequest{CartToken: "x"})
	wantError(t, err, apperr.Unauthenticated, "unauthenticated")
	_, err = s.gateway.GetCart(auth.NewContext(t.Context(), auth.Principal{UserID: user, Token: "a.b.c"}), &cartv1.GetCartRequest{})
	wantError(t, err, apperr.Unauthenticated, "unauthenticated")

	gone := s.signedIn(t, uuid.NewString())
	_, err = s.gateway.AddItem(gone, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1})
	wantError(t, err, apperr.Unauthenticated, "unauthenticated")
	disabled := uuid.NewString()
	s.people.set(disabled, userv1.UserStatus_USER_STATUS_DISABLED)
	_, err = s.gateway.AddItem(s.signedIn(t, disabled), &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1})
	wantError(t, err, apperr.Unauthenticated, "unauthenticated")

	// A service that may not call is a mistake of ours, and is told so; its client is not.
	_, err = s.stranger.GetCart(ctx, &cartv1.GetCartRequest{})
	wantError(t, err, apperr.Internal, "internal")
	_, err = s.orders.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1})
	wantError(t, err, apperr.Internal, "internal")
	_, err = s.gateway.RemovePurchased(ctx, &cartv1.RemovePurchasedRequest{
		UserId: user, OrderId: uuid.NewString(), Lines: []*cartv1.PurchasedLine{{ProductId: cheese, Quantity: 1}},
	})
	wantError(t, err, apperr.Internal, "internal")
}

func TestPurchasedLinesLeaveTheCart(t *testing.T) {
	t.Parallel()
	s := setup(t)
	user, ctx := s.customer(t)
	cheese := s.product(500, 10)
	if _, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 5}); err != nil {
		t.Fatal(err)
	}
	bought := &cartv1.RemovePurchasedRequest{
		UserId: user, OrderId: uuid.NewString(), Lines: []*cartv1.PurchasedLine{{ProductId: cheese, Quantity: 2}},
	}
	for range 2 {
		if _, err := s.orders.RemovePurchased(t.Context(), bought); err != nil { // nobody is signed in
			t.Fatal(err)
		}
	}
	if cart, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{}); err != nil || cart.GetCart().GetItemCount() != 3 {
		t.Errorf("GetCart = %v, %v, want 3 pieces", cart, err)
	}
}

func TestServicesAway(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.customer(t)
	cheese := s.product(500, 10)
	added, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 2})
	if err != nil {
		t.Fatal(err)
	}

	s.people.outage.set(true)
	newcomer := s.signedIn(t, uuid.NewString()) // nobody's status is known yet
	if _, err := s.gateway.AddItem(newcomer, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1}); err != nil {
		t.Errorf("without user-service: %v", err)
	}
	s.people.outage.set(false)

	s.products.outage.set(true)
	read, err := s.gateway.GetCart(ctx, &cartv1.GetCartRequest{})
	if err != nil || !read.GetCart().GetStale() || read.GetCart().GetSubtotal().GetAmount() != 1000 {
		t.Errorf("without product-service: GetCart = %v, %v, want the last known prices", read, err)
	}
	if asOf := read.GetCart().GetPricesAsOf().AsTime(); asOf.After(added.GetCart().GetPricesAsOf().AsTime()) {
		t.Errorf("prices as of %v, which is after they were asked for", asOf)
	}
	_, err = s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1})
	wantError(t, err, apperr.Unavailable, "dependency_unavailable")
	if _, err := s.gateway.RemoveItem(ctx, &cartv1.RemoveItemRequest{ProductId: cheese}); err != nil {
		t.Errorf("without product-service: RemoveItem = %v", err)
	}
	s.products.outage.set(false)
	if _, err := s.gateway.AddItem(ctx, &cartv1.AddItemRequest{ProductId: cheese, Quantity: 1}); err != nil {
		t.Errorf("product-service is back: %v", err)
	}
}
