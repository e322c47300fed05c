package client_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/money"
	"shop.example/platform/mtls"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
)

// warehouse is product-service with some products, and an answer to every reservation.
type warehouse struct {
	productv1.UnimplementedCatalogServiceServer
	productv1.UnimplementedStockServiceServer
	products []*productv1.Product

	mu       sync.Mutex
	asked    *productv1.ReserveStockRequest
	back     *productv1.RestockItemsRequest
	released *productv1.ReleaseReservationRequest
	// refuses is what the next reservation or restock is refused with, nil for none.
	refuses error
}

func (w *warehouse) BatchGetProducts(context.Context, *productv1.BatchGetProductsRequest) (*productv1.BatchGetProductsResponse, error) {
	return &productv1.BatchGetProductsResponse{Products: w.products}, nil
}

func (w *warehouse) ReserveStock(_ context.Context, req *productv1.ReserveStockRequest) (*productv1.ReserveStockResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = req
	return &productv1.ReserveStockResponse{}, w.refuses
}

// serve serves a warehouse as product-service does, and returns a client of it.
func (w *warehouse) serve(t *testing.T) *client.Products {
	t.Helper()
	return serve(t, w)
}

// productService is both of its services.
type productService interface {
	productv1.CatalogServiceServer
	productv1.StockServiceServer
}

func serve(t *testing.T, w productService) *client.Products {
	t.Helper()
	certs, log := t.TempDir(), slog.New(slog.DiscardHandler)
	if err := devca.Create(certs, []string{grpcserver.ProductService, grpcserver.OrderService}); err != nil {
		t.Fatal(err)
	}
	tls := func(service string) *mtls.Source {
		source, err := mtls.Load(devca.Files(certs, service))
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	policy := make(grpcserver.Policy)
	for _, service := range []*grpc.ServiceDesc{&productv1.CatalogService_ServiceDesc, &productv1.StockService_ServiceDesc} {
		for _, m := range service.Methods {
			policy["/"+service.ServiceName+"/"+m.MethodName] = grpcserver.Rule{Callers: []string{grpcserver.OrderService}}
		}
	}
	monitor := health.NewMonitor(log)
	server, err := grpcserver.New(grpcserver.Options{
		Service: grpcserver.ProductService, Addr: "127.0.0.1:0", TLS: tls(grpcserver.ProductService), Log: log, Health: monitor, Policy: policy,
		Tokens: func(context.Context, string) (auth.Principal, error) {
			return auth.Principal{}, errors.New("nobody is signed in")
		},
	}, func(r grpc.ServiceRegistrar) {
		productv1.RegisterCatalogServiceServer(r, w)
		productv1.RegisterStockServiceServer(r, w)
	})
	if err != nil {
		t.Fatal(err)
	}
	watch, serve, done := monitor.Component(), server.Component(), make(chan error, 1)
	if err := watch.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	go func() { done <- serve.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(serve.Stop(ctx), <-done, watch.Stop(ctx)); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: grpcserver.ProductService, Target: server.Addr(), TLS: tls(grpcserver.OrderService), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client.NewProducts(conn)
}

// What product-service says to a reservation means the same here.
func TestReserve(t *testing.T) {
	t.Parallel()
	w := &warehouse{}
	products := w.serve(t)
	order, cup := uuid.New(), uuid.New()
	reserve := func() error {
		return products.Reserve(t.Context(), order, 7, []usecase.Line{{ProductID: cup, Quantity: 3}}, time.Hour)
	}
	if err := reserve(); err != nil {
		t.Fatal(err)
	}
	want := &productv1.ReserveStockRequest{
		OrderId: order.String(), Lines: []*productv1.StockLine{{ProductId: cup.String(), Quantity: 3}}, TtlSeconds: 3600, Revision: 7,
	}
	if diff := cmp.Diff(want, w.asked, protocmp.Transform()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	for reason, want := range map[string]*apperr.Error{
		"reservation_released": domain.ErrReservationEnded,
		"reservation_differs":  domain.ErrBusy, // somebody with a later lease was faster
		"out_of_stock":         domain.ErrOutOfStock,
	} {
		w.refuses = apperr.New(apperr.Conflict, reason, "No.")
		if err := reserve(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", reason, err, want)
		}
	}
}

// What an order needs of a product: what it costs now, and what it weighs if the catalogue says so in grams.
func TestProducts(t *testing.T) {
	t.Parallel()
	eur := func(n int64) *moneyv1.Money { return &moneyv1.Money{Amount: n, Currency: "EUR"} }
	w, want := &warehouse{}, make(map[uuid.UUID]usecase.Product)
	for weight, grams := range map[string]int64{
		"": 0, "250": 250, " 12 ": 12, "1000000000": 1_000_000_000, "1000000001": 0, "-5": 0, "2.5": 0, "1 kg": 0,
	} {
		id := uuid.New()
		w.products = append(w.products, &productv1.Product{
			Id: id.String(), Sku: "CUP", Name: "A cup", Price: eur(1000), SalePrice: eur(900), Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
			Stock: &productv1.Stock{Available: 4}, Attributes: map[string]string{"weight_grams": weight},
		})
		want[id] = usecase.Product{SKU: "CUP", Name: "A cup", Price: money.MustNew(900, "EUR"), OnSale: true, Available: 4, Grams: grams}
	}
	draft := uuid.New()
	w.products = append(w.products, &productv1.Product{
		Id: draft.String(), Price: eur(1000), Status: productv1.ProductStatus_PRODUCT_STATUS_DRAFT,
	})
	want[draft] = usecase.Product{Price: money.MustNew(1000, "EUR")}
	got, err := w.serve(t).Products(t.Context(), []uuid.UUID{draft})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b money.Money) bool { return a == b })); diff != "" {
		t.Errorf("products (-want +got):\n%s", diff)
	}
}
