package rpc_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/mtls"
	"shop.example/platform/token"
	"shop.example/product-service/internal/delivery/rpc"
	"shop.example/product-service/internal/repository/memory"
	"shop.example/product-service/internal/usecase"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
)

// service is a server as it runs in production, but for its store.
type service struct {
	addr      string
	certs     string
	signer    *token.Signer
	storeAway atomic.Bool
}

func setup(t *testing.T) *service {
	t.Helper()
	s := &service{certs: t.TempDir()}
	names := []string{grpcserver.Gateway, grpcserver.UserService, grpcserver.ProductService, grpcserver.CartService, grpcserver.OrderService}
	if err := devca.Create(s.certs, names); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(s.certs, devca.SigningKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	if s.signer, err = token.NewSigner(key, time.Now); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	monitor := health.NewMonitor(log, health.Check{Name: "store", Probe: func(context.Context) error {
		if s.storeAway.Load() {
			return errors.New("away")
		}
		return nil
	}})
	store := memory.New()
	server, err := grpcserver.New(grpcserver.Options{
		Service: grpcserver.ProductService, Addr: "127.0.0.1:0", TLS: s.tls(t, grpcserver.ProductService), Log: log, Health: monitor,
		Tokens: token.NewVerifier(func(context.Context) ([]byte, error) { return s.signer.KeySet() }, grpcserver.TokenLeeway, time.Now).Verify,
		Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) {
		rpc.Register(r, usecase.NewCatalog(store, store, "EUR", time.Now), usecase.NewQueries(store, store, store, time.Now), usecase.NewStock(store, store, store, time.Now))
	})
	if err != nil {
		t.Fatal(err)
	}
	watch, serve := monitor.Component(), server.Component()
	if err := watch.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(serve.Stop(ctx), <-done, watch.Stop(ctx)); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	s.addr = server.Addr()
	return s
}

func (s *service) tls(t *testing.T, name string) *mtls.Source {
	t.Helper()
	source, err := mtls.Load(devca.Files(s.certs, name))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// as returns a connection with the certificate of a service.
func (s *service) as(t *testing.T, caller string) *grpcclient.Conn {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: grpcserver.ProductService, Target: s.addr, TLS: s.tls(t, caller), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// user returns a context with the token of a user.
func (s *service) user(t *testing.T, role auth.Role) context.Context {
	t.Helper()
	raw, err := s.signer.Sign(auth.Principal{UserID: uuid.NewString(), Role: role, SessionID: uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+raw)
}

func tea(status productv1.ProductStatus) *productv1.CreateProductRequest {
	return &productv1.CreateProductRequest{
		Sku: "TEA-" + status.String(), Name: "Green Tea " + status.String(), Price: &moneyv1.Money{Amount: 899, Currency: "EUR"}, Status: status,
	}
}

func wantKind(t *testing.T, what string, err error, want apperr.Kind) {
	t.Helper()
	if err == nil || apperr.KindOf(err) != want {
		t.Errorf("%s: got %v (%v), want %v", what, err, apperr.KindOf(err), want)
	}
}

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	s := setup(t)
	gateway := s.as(t, grpcserver.Gateway)
	catalog, stock := productv1.NewCatalogServiceClient(gateway), productv1.NewStockServiceClient(gateway)

	// A service that is not on the list of a method is refused, and the client is told no more than that something failed.
	_, err := stock.ReserveStock(s.user(t, auth.Admin), &productv1.ReserveStockRequest{
		OrderId: uuid.NewString(), Lines: []*productv1.StockLine{{ProductId: uuid.NewString(), Quantity: 1}}, TtlSeconds: 60,
	})
	wantKind(t, "the gateway reserves", err, apperr.Internal)
	_, err = productv1.NewCatalogServiceClient(s.as(t, grpcserver.UserService)).ListCategories(t.Context(), &productv1.ListCategoriesRequest{})
	wantKind(t, "user-service lists", err, apperr.Internal)

	// A user without the role is refused though the gateway has let it through.
	_, err = catalog.CreateProduct(t.Context(), tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE))
	wantKind(t, "nobody creates", err, apperr.Unauthenticated)
	_, err = catalog.CreateProduct(s.user(t, auth.Customer), tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE))
	wantKind(t, "a customer creates", err, apperr.PermissionDenied)
	if _, err = catalog.CreateProduct(s.user(t, auth.Staff), tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE)); err != nil {
		t.Errorf("staff creates: %v", err)
	}
}

func TestDraftsAreForStaff(t *testing.T) {
	t.Parallel()
	s := setup(t)
	catalog := productv1.NewCatalogServiceClient(s.as(t, grpcserver.Gateway))
	for _, status := range []productv1.ProductStatus{productv1.ProductStatus_PRODUCT_STATUS_DRAFT, productv1.ProductStatus_PRODUCT_STATUS_ARCHIVED} {
		created, err := catalog.CreateProduct(s.user(t, auth.Staff), tea(status))
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{created.GetProduct().GetId(), created.GetProduct().GetSlug()} {
			req := &productv1.GetProductRequest{IdOrSlug: ref}
			_, err = catalog.GetProduct(t.Context(), req)
			wantKind(t, "nobody", err, apperr.NotFound)
			_, err = catalog.GetProduct(s.user(t, auth.Customer), req)
			wantKind(t, "a customer", err, apperr.NotFound)
			if got, err := catalog.GetProduct(s.user(t, auth.Staff), req); err != nil || got.GetProduct().GetStatus() != status {
				t.Errorf("staff: %v, %v", got, err)
			}
		}
		list, err := catalog.ListProducts(s.user(t, auth.Staff), &productv1.ListProductsRequest{PageSize: 10})
		if err != nil || len(list.GetProducts()) != 0 {
			t.Errorf("list: %v, %v", list, err)
		}
		// A cart is told that it can't be bought, rather than that it never was.
		batch, err := productv1.NewCatalogServiceClient(s.as(t, grpcserver.CartService)).
			BatchGetProducts(t.Context(), &productv1.BatchGetProductsRequest{ProductIds: []string{created.GetProduct().GetId(), uuid.NewString()}})
		if err != nil || len(batch.GetProducts()) != 1 {
			t.Errorf("batch: %v, %v", batch, err)
		}
	}
}

func TestErrorDetailsSurvive(t *testing.T) {
	t.Parallel()
	s := setup(t)
	gateway := s.as(t, grpcserver.Gateway)
	staff := s.user(t, auth.Staff)
	created, err := productv1.NewCatalogServiceClient(gateway).CreateProduct(staff, tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE))
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetProduct().GetId()
	adjust := &productv1.AdjustStockRequest{ProductId: id, Delta: 3, Reason: "delivery", IdempotencyKey: "k"}
	for _, replayed := range []bool{false, true} {
		adjusted, err := productv1.NewStockServiceClient(gateway).AdjustStock(staff, adjust)
		if err != nil || adjusted.GetStock().GetAvailable() != 3 || adjusted.GetReplayed() != replayed {
			t.Fatalf("adjust: %v, %v", adjusted, err)
		}
	}

	stock := productv1.NewStockServiceClient(s.as(t, grpcserver.OrderService))
	order := uuid.NewString()
	_, err = stock.ReserveStock(t.Context(), &productv1.ReserveStockRequest{
		OrderId: order, Lines: []*productv1.StockLine{{ProductId: id, Quantity: 4}}, TtlSeconds: 60,
	})
	e := apperr.From(err)
	want := []apperr.Violation{{Location: "items[0]", Message: "There is not enough in stock.", Attributes: map[string]any{"product_id": id, "available": int64(3)}}}
	if e == nil || e.Kind != apperr.Conflict || e.Reason != "out_of_stock" {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(want, e.Violations); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}

	// The way of an order that goes well, and of one that is given up.
	if _, err := stock.ReserveStock(t.Context(), &productv1.ReserveStockRequest{
		OrderId: order, Lines: []*productv1.StockLine{{ProductId: id, Quantity: 2}}, TtlSeconds: 60,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := stock.ConfirmReservation(t.Context(), &productv1.ConfirmReservationRequest{OrderId: order}); err != nil {
		t.Fatal(err)
	}
	back := &productv1.RestockItemsRequest{
		OrderId: order, RefundId: uuid.NewString(), Lines: []*productv1.StockLine{{ProductId: id, Quantity: 1}},
	}
	for range 2 { // the second is the first again
		if _, err := stock.RestockItems(t.Context(), back); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := productv1.NewStockServiceClient(gateway).RestockItems(staff, back); err == nil || apperr.KindOf(err) != apperr.Internal { // it is told no more
		t.Errorf("the gateway restocks: %v", err)
	}
	back.RefundId, back.Lines[0].Quantity = uuid.NewString(), 2
	if _, err := stock.RestockItems(t.Context(), back); apperr.ReasonOf(err) != "restock_exceeds_reservation" {
		t.Errorf("more than was taken: %v", err)
	}
	if _, err := stock.ReleaseReservation(t.Context(), &productv1.ReleaseReservationRequest{OrderId: order}); err != nil {
		t.Fatal(err)
	}
	got, err := productv1.NewCatalogServiceClient(gateway).GetProduct(t.Context(), &productv1.GetProductRequest{IdOrSlug: id})
	if err != nil || got.GetProduct().GetStock().GetOnHand() != 3 || got.GetProduct().GetStock().GetReserved() != 0 {
		t.Errorf("stock: %v, %v", got.GetProduct().GetStock(), err)
	}
}

// forged returns a token with another place in it.
func forged(t *testing.T, token string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || !bytes.Contains(raw, []byte(`"n":`)) {
		t.Fatalf("%q: %v", raw, err)
	}
	return base64.RawURLEncoding.EncodeToString(bytes.Replace(raw, []byte(`"n":1`), []byte(`"n":2`), 1))
}

func TestPageTokensBelongToTheirQuery(t *testing.T) {
	t.Parallel()
	s := setup(t)
	catalog := productv1.NewCatalogServiceClient(s.as(t, grpcserver.Gateway))
	staff := s.user(t, auth.Staff)
	for _, sku := range []string{"A", "B", "C"} {
		req := tea(productv1.ProductStatus_PRODUCT_STATUS_ACTIVE)
		req.Sku = sku // one name: the slugs are told apart by the SKU
		if _, err := catalog.CreateProduct(staff, req); err != nil {
			t.Fatal(err)
		}
	}
	first, err := catalog.ListProducts(t.Context(), &productv1.ListProductsRequest{PageSize: 2, Query: "tea", IncludeTotal: true})
	if err != nil || len(first.GetProducts()) != 2 || first.GetTotalSize() != 3 || first.GetNextPageToken() == "" {
		t.Fatalf("first page: %v, %v", first, err)
	}
	second, err := catalog.ListProducts(t.Context(), &productv1.ListProductsRequest{PageSize: 1, Query: " tea", PageToken: first.GetNextPageToken()})
	if err != nil || len(second.GetProducts()) != 1 || second.GetNextPageToken() != "" || second.TotalSize != nil {
		t.Errorf("second page: %v, %v", second, err)
	}
	// Staff see the same lists as anybody, so a token is good for whoever has it.
	same, err := catalog.ListProducts(staff, &productv1.ListProductsRequest{PageSize: 1, Query: "tea", PageToken: first.GetNextPageToken()})
	if err != nil || len(same.GetProducts()) != 1 || same.GetProducts()[0].GetId() != second.GetProducts()[0].GetId() {
		t.Errorf("staff with the token of a customer: %v, %v", same, err)
	}
	for name, req := range map[string]*productv1.ListProductsRequest{
		"another query": {PageSize: 2, Query: "green", PageToken: first.GetNextPageToken()},
		"another order": {PageSize: 2, Query: "tea", Sort: productv1.ProductSort_PRODUCT_SORT_NAME, PageToken: first.GetNextPageToken()},
		"another price": {PageSize: 2, Query: "tea", MinPrice: new(int64(0)), PageToken: first.GetNextPageToken()},
		"other stock":   {PageSize: 2, Query: "tea", InStock: new(false), PageToken: first.GetNextPageToken()},
		"a category":    {PageSize: 2, Query: "tea", Category: "teas", PageToken: first.GetNextPageToken()},
		"nonsense":      {PageSize: 2, Query: "tea", PageToken: "nonsense"},
		"a page on":     {PageSize: 2, Query: "tea", PageToken: forged(t, first.GetNextPageToken())},
	} {
		_, err := catalog.ListProducts(t.Context(), req)
		wantKind(t, name, err, apperr.Invalid)
		if v := apperr.From(err).Violations; len(v) != 1 || v[0].Location != "page_token" {
			t.Errorf("%s: violations %v", name, v)
		}
	}
}

func TestHealthReflectsTheStore(t *testing.T) {
	t.Parallel()
	s := setup(t)
	conn := s.as(t, grpcserver.Gateway)
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.storeAway.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for conn.Ping(ctx) == nil {
		if ctx.Err() != nil {
			t.Fatal("still serving without its store")
		}
	}
}
