package rpc_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"shop.example/platform/apperr"
	"shop.example/platform/mtls"
	"shop.example/platform/rpcerr"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

// outage makes a service answer like one that is not there.
type outage struct {
	mu   sync.Mutex
	away bool
}

func (o *outage) set(away bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = away
}

func (o *outage) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.away {
		return status.Error(codes.Unavailable, "away")
	}
	return nil
}

// catalogue is a product-service.
type catalogue struct {
	productv1.UnimplementedCatalogServiceServer
	outage

	mu       sync.Mutex
	products map[string]*productv1.Product
	calls    int
}

func (c *catalogue) BatchGetProducts(_ context.Context, req *productv1.BatchGetProductsRequest) (*productv1.BatchGetProductsResponse, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	answer := &productv1.BatchGetProductsResponse{}
	for _, id := range req.GetProductIds() {
		if p, ok := c.products[id]; ok {
			answer.Products = append(answer.Products, p)
		}
	}
	return answer, nil
}

// sell adds or replaces a product that is reduced from 9.99 to the given price.
func (c *catalogue) sell(id string, price, stock int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.products[id] = &productv1.Product{
		Id: id, Sku: "CHEESE-1", Name: "Cheese", Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
		Price:     &moneyv1.Money{Amount: 999, Currency: "EUR"},
		SalePrice: &moneyv1.Money{Amount: price, Currency: "EUR"},
		Images:    []*productv1.Image{{Url: "https://cdn.shop.example/1.jpg"}, {Url: "https://cdn.shop.example/2.jpg"}},
		Stock:     &productv1.Stock{Available: stock},
	}
}

// archive takes a product out of the shop.
func (c *catalogue) archive(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.products[id] = &productv1.Product{
		Id: id, Status: productv1.ProductStatus_PRODUCT_STATUS_ARCHIVED, Price: &moneyv1.Money{Amount: 999, Currency: "EUR"},
	}
}

// people is a user-service. Whoever isn't mentioned is unknown.
type people struct {
	userv1.UnimplementedUserServiceServer
	userv1.UnimplementedAuthServiceServer
	outage

	keys    []byte
	mu      sync.Mutex
	is      map[string]userv1.UserStatus
	deleted []string
}

func (p *people) GetSigningKeys(context.Context, *userv1.GetSigningKeysRequest) (*userv1.GetSigningKeysResponse, error) {
	return &userv1.GetSigningKeysResponse{Jwks: p.keys}, p.err()
}

func (p *people) GetUserStatus(_ context.Context, req *userv1.GetUserStatusRequest) (*userv1.GetUserStatusResponse, error) {
	if err := p.err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.is[req.GetUserId()]
	if !ok {
		return nil, rpcerr.ToStatus(apperr.Missing("user")).Err()
	}
	return &userv1.GetUserStatusResponse{Status: s}, nil
}

// ListDeletedUsers answers at most two at once, so that there are pages.
func (p *people) ListDeletedUsers(_ context.Context, req *userv1.ListDeletedUsersRequest) (*userv1.ListDeletedUsersResponse, error) {
	if err := p.err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	from := slices.Index(p.deleted, req.GetCursor()) + 1 // the cursor is the last one that was answered
	page := p.deleted[from:min(from+2, len(p.deleted))]
	answer := &userv1.ListDeletedUsersResponse{UserIds: page, Cursor: req.GetCursor()}
	if len(page) > 0 {
		answer.Cursor = page[len(page)-1]
	}
	return answer, nil
}

func (p *people) delete(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.is, id)
	p.deleted = append(p.deleted, id)
}

func (p *people) set(id string, s userv1.UserStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.is[id] = s
}

// listen serves over mutual TLS until the test ends, and returns where.
func listen(t *testing.T, tls *mtls.Source, register func(grpc.ServiceRegistrar)) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(tls.ServerTLS())))
	register(server)
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
