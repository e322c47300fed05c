package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/order-service/internal/delivery/rpc"
	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/memory"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/money"
	"shop.example/platform/mtls"
	"shop.example/platform/token"
	moneyv1 "shop.example/proto/money/v1"
	orderv1 "shop.example/proto/order/v1"
)

// service is order-service as others see it, over real connections, with doubles of the store and of what it needs.
type service struct {
	addr, certs string
	signer      *token.Signer
	gateway     orderv1.OrderServiceClient

	store    *memory.Store
	stock    *usecasetest.FakeStock
	carts    *usecasetest.FakeCarts
	books    *usecasetest.FakeAddresses
	cup, pot uuid.UUID
}

// pieces is how many of each product there are.
const pieces = 10

func setup(t *testing.T) *service {
	t.Helper()
	s := &service{certs: t.TempDir(), cup: uuid.New(), pot: uuid.New()}
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
	shipping, err := domain.DefaultShippingMethods("EUR")
	if err != nil {
		t.Fatal(err)
	}

	now := func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	s.store, s.stock, s.carts, s.books = memory.New(now), usecasetest.NewFakeStock(), usecasetest.NewFakeCarts(), usecasetest.NewFakeAddresses()
	catalog := usecasetest.NewFakeCatalog(s.stock)
	catalog.Sell(s.cup, usecase.Product{SKU: "CUP-1", Name: "A cup", Price: money.MustNew(1250, "EUR"), OnSale: true})
	catalog.Sell(s.pot, usecase.Product{SKU: "POT-1", Name: "A pot", Price: money.MustNew(3999, "EUR"), OnSale: true})
	s.stock.Set(s.cup, pieces)
	s.stock.Set(s.pot, pieces)
	log := slog.New(slog.DiscardHandler)
	provider := usecasetest.NewFakeProvider()
	checkout := usecase.NewCheckout(usecase.CheckoutParts{
		Attempts: s.store, Keys: s.store, Orders: s.store, Coupons: s.store, Users: usecasetest.NewFakeUsers(), Addresses: s.books, Carts: s.carts, Catalog: catalog, Stock: s.stock,
		Payments: provider, Shipping: shipping, Now: now, Log: log,
	})
	audit := usecase.NewAudit(usecase.AuditParts{
		Orders: s.store, Reservations: s.stock, Payments: []usecase.PaymentLister{provider}, Findings: s.store, Settle: time.Minute, Now: now, Log: log,
	})

	monitor := health.NewMonitor(log)
	server, err := grpcserver.New(grpcserver.Options{
		Service: grpcserver.OrderService, Addr: "127.0.0.1:0", TLS: s.tls(t, grpcserver.OrderService), Log: log, Health: monitor,
		Tokens: token.NewVerifier(func(context.Context) ([]byte, error) { return s.signer.KeySet() }, grpcserver.TokenLeeway, time.Now).Verify,
		Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) {
		rpc.Register(r, checkout, usecase.NewQueries(s.store, shipping), usecase.NewCoupons(s.store, s.store, now), usecase.NewEvents(map[string]usecase.EventReader{"test": greenInk{}}, s.store))
		rpc.RegisterWebhooks(r, s.webhooks(t, now))
		rpc.RegisterAudit(r, usecase.NewFindings(audit, s.store, s.stock, s.store, s.store))
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
	s.gateway = s.as(t, grpcserver.Gateway)
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

// as returns a client with the certificate of a service.
func (s *service) as(t *testing.T, caller string) orderv1.OrderServiceClient {
	t.Helper()
	return orderv1.NewOrderServiceClient(s.dial(t, caller))
}

// dial returns a connection with the certificate of a service.
func (s *service) dial(t *testing.T, caller string) *grpcclient.Conn {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: grpcserver.OrderService, Target: s.addr, TLS: s.tls(t, caller), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// user returns a new user and a context in which the user is signed in.
func (s *service) user(t *testing.T, role auth.Role) (id string, ctx context.Context) {
	t.Helper()
	p := auth.Principal{UserID: uuid.NewString(), Role: role, SessionID: uuid.NewString()}
	var err error
	if p.Token, err = s.signer.Sign(p); err != nil {
		t.Fatal(err)
	}
	return p.UserID, auth.NewContext(t.Context(), p)
}

func address() *orderv1.Address {
	return &orderv1.Address{
		Recipient: "Zoë Ångström", Line1: "Hauptstraße 1", Line2: "2. Stock", City: "Köln", Region: "NRW", PostalCode: "50667",
		Country: "DE", Phone: "+49 221 1234",
	}
}

// wish buys two cups by card.
func (s *service) wish(token string) *orderv1.PlaceOrderRequest {
	return &orderv1.PlaceOrderRequest{
		IdempotencyKey: uuid.NewString(), Items: []*orderv1.RequestedItem{{ProductId: s.cup.String(), Quantity: 2}},
		ShippingAddress: address(), ShippingMethod: "standard",
		PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: token,
	}
}

func (s *service) place(ctx context.Context, t *testing.T, req *orderv1.PlaceOrderRequest) *orderv1.PlaceOrderResponse {
	t.Helper()
	answer, err := s.gateway.PlaceOrder(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func eur(amount int64) *moneyv1.Money { return &moneyv1.Money{Amount: amount, Currency: "EUR"} }

// wantError checks the kind and the reason that the contract promises.
func wantError(t *testing.T, what string, err error, kind apperr.Kind, reason string) *apperr.Error {
	t.Helper()
	if err == nil || apperr.KindOf(err) != kind || apperr.ReasonOf(err) != reason {
		t.Fatalf("%s: error %v (%v, %s), want %v, %s", what, err, apperr.KindOf(err), apperr.ReasonOf(err), kind, reason)
	}
	return apperr.From(err)
}

// each calls every method once, with a request that is valid.
func (s *service) each(ctx context.Context, c orderv1.OrderServiceClient) map[string]error {
	id, errs := uuid.NewString(), make(map[string]error)
	_, errs["ListShippingMethods"] = c.ListShippingMethods(ctx, &orderv1.ListShippingMethodsRequest{})
	_, errs["PlaceOrder"] = c.PlaceOrder(ctx, s.wish(usecasetest.TokOK))
	_, errs["QuoteOrder"] = c.QuoteOrder(ctx, &orderv1.QuoteOrderRequest{})
	_, errs["AddOrderItem"] = c.AddOrderItem(ctx, &orderv1.AddOrderItemRequest{OrderId: id, ProductId: s.cup.String(), Quantity: 1})
	_, errs["RemoveOrderItem"] = c.RemoveOrderItem(ctx, &orderv1.RemoveOrderItemRequest{OrderId: id, ItemId: id})
	_, errs["PayOrder"] = c.PayOrder(ctx, &orderv1.PayOrderRequest{
		OrderId: id, PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: usecasetest.TokOK,
	})
	_, errs["GetOrder"] = c.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
	_, errs["ListOrders"] = c.ListOrders(ctx, &orderv1.ListOrdersRequest{PageSize: 1})
	_, errs["CancelOrder"] = c.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: id})
	_, errs["SetOrderStatus"] = c.SetOrderStatus(ctx, &orderv1.SetOrderStatusRequest{OrderId: id, Status: orderv1.OrderStatus_ORDER_STATUS_SHIPPED})
	_, errs["RefundOrder"] = c.RefundOrder(ctx, &orderv1.RefundOrderRequest{OrderId: id, Reason: "broken"})
	_, errs["HandlePaymentEvent"] = c.HandlePaymentEvent(ctx, &orderv1.HandlePaymentEventRequest{
		Provider: "test", Headers: map[string]string{"ink": "green"},
	})
	return errs
}

func TestWhoMayCall(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if methods := orderv1.OrderService_ServiceDesc.Methods; len(methods) != len(s.each(t.Context(), s.gateway)) {
		t.Errorf("the test calls another number of methods than the %d there are", len(methods))
	}
	for _, caller := range []string{grpcserver.UserService, grpcserver.ProductService, grpcserver.CartService, grpcserver.OrderService} {
		_, ctx := s.user(t, auth.Admin)
		for method, err := range s.each(ctx, s.as(t, caller)) {
			// It is told no more than that something failed.
			if err == nil || apperr.KindOf(err) != apperr.Internal {
				t.Errorf("%s calls %s: %v (%v)", caller, method, err, apperr.KindOf(err))
			}
		}
	}
	for method, err := range s.each(t.Context(), s.gateway) {
		open := method == "ListShippingMethods" || method == "HandlePaymentEvent" // whose sender signs it
		switch {
		case open && err != nil:
			t.Errorf("%s, anonymous: %v", method, err)
		case !open && apperr.KindOf(err) != apperr.Unauthenticated:
			t.Errorf("%s, anonymous: %v, want unauthenticated", method, err)
		}
	}
	for _, role := range []auth.Role{auth.Customer, auth.Staff} {
		_, ctx := s.user(t, role)
		for method, err := range s.each(ctx, s.gateway) {
			if role == auth.Customer && (method == "SetOrderStatus" || method == "RefundOrder") {
				if apperr.KindOf(err) != apperr.PermissionDenied {
					t.Errorf("%s, by a customer: %v", method, err)
				}
				continue
			}
			if err != nil && apperr.KindOf(err) != apperr.NotFound { // the id is none's
				t.Errorf("%s, by %s: %v", method, role, err)
			}
		}
	}
}

func TestShippingMethods(t *testing.T) {
	t.Parallel()
	got, err := setup(t).gateway.ListShippingMethods(t.Context(), &orderv1.ListShippingMethodsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &orderv1.ListShippingMethodsResponse{Methods: []*orderv1.ShippingMethod{
		{Id: "standard", Name: "Standard delivery", Price: eur(490), MinDays: 3, MaxDays: 5},
		{Id: "express", Name: "Express delivery", Price: eur(1290), MinDays: 1, MaxDays: 2},
		{Id: "pickup", Name: "Pick-up in the shop", Price: eur(0), MinDays: 0, MaxDays: 1},
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
}

// Every field of an order, there and back.
func TestPlaceOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	user, ctx := s.user(t, auth.Customer)
	s.carts.Put(uuid.MustParse(user), usecase.Line{ProductID: s.cup, Quantity: 2}, usecase.Line{ProductID: s.pot, Quantity: 1})
	wish := s.wish(usecasetest.TokOK)
	wish.Items, wish.ExpectedTotal = nil, eur(2*1250+3999+490)

	began := time.Now().Add(-time.Millisecond)
	placed := s.place(ctx, t, wish)
	o := placed.GetOrder()
	want := &orderv1.PlaceOrderResponse{Order: &orderv1.Order{
		Id: o.GetId(), Number: o.GetNumber(), UserId: user, Status: orderv1.OrderStatus_ORDER_STATUS_CONFIRMED,
		Items: []*orderv1.OrderItem{
			{ProductId: s.cup.String(), Sku: "CUP-1", Name: "A cup", Quantity: 2, UnitPrice: eur(1250), LineTotal: eur(2500)},
			{ProductId: s.pot.String(), Sku: "POT-1", Name: "A pot", Quantity: 1, UnitPrice: eur(3999), LineTotal: eur(3999)},
		},
		Subtotal: eur(6499), Discount: eur(0), Shipping: eur(490), Total: eur(6989), Currency: "EUR",
		ShippingAddress: address(), ShippingMethod: "standard",
		Payment: &orderv1.Payment{
			Status: orderv1.PaymentStatus_PAYMENT_STATUS_CAPTURED, Method: orderv1.PaymentMethod_PAYMENT_METHOD_CARD,
			Provider: "fake", Reference: "pay_" + o.GetId() + ":1", Refunded: eur(0),
		},
		History: []*orderv1.HistoryEntry{
			{Status: orderv1.OrderStatus_ORDER_STATUS_PENDING, By: user},
			{Status: orderv1.OrderStatus_ORDER_STATUS_CONFIRMED, By: domain.System},
		},
		Version: o.GetVersion(),
	}}
	times := protocmp.IgnoreFields(&orderv1.Order{}, "created_at", "updated_at")
	if diff := cmp.Diff(want, placed, protocmp.Transform(), times,
		protocmp.IgnoreFields(&orderv1.OrderItem{}, "id"), protocmp.IgnoreFields(&orderv1.HistoryEntry{}, "at")); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(o.GetId()) || o.GetNumber() == "" || o.GetVersion() < 2 {
		t.Errorf("id %q, number %q, version %d", o.GetId(), o.GetNumber(), o.GetVersion())
	}
	for what, at := range map[string]time.Time{
		"created": o.GetCreatedAt().AsTime(), "updated": o.GetUpdatedAt().AsTime(),
		"first entry": o.GetHistory()[0].GetAt().AsTime(), "second entry": o.GetHistory()[1].GetAt().AsTime(),
	} {
		if at.Before(began) || at.After(time.Now()) {
			t.Errorf("%s at %v, want now", what, at)
		}
	}

	again := s.place(ctx, t, wish)
	if diff := cmp.Diff(o, again.GetOrder(), protocmp.Transform()); diff != "" || !again.GetReplayed() {
		t.Errorf("again: replayed %v (-want +got):\n%s", again.GetReplayed(), diff)
	}
	read, err := s.gateway.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: o.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, read.GetOrder(), protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// An entry of the caller's address book is read when the order is placed, and stands in the order as if it had been given.
func TestPlaceOrderByAddressID(t *testing.T) {
	t.Parallel()
	s := setup(t)
	user, ctx := s.user(t, auth.Customer)
	_, others := s.user(t, auth.Customer)
	id, a := uuid.New(), address()
	s.books.Put(uuid.MustParse(user), id, domain.Address{
		Recipient: a.GetRecipient(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), Region: a.GetRegion(),
		PostalCode: a.GetPostalCode(), Country: a.GetCountry(), Phone: a.GetPhone(),
	})
	wish := s.wish(usecasetest.TokOK)
	wish.ShippingAddress, wish.AddressId = nil, id.String()
	placed := s.place(ctx, t, wish)
	if diff := cmp.Diff(a, placed.GetOrder().GetShippingAddress(), protocmp.Transform()); diff != "" {
		t.Errorf("address (-want +got):\n%s", diff)
	}
	s.books.Remove(uuid.MustParse(user), id)
	if again := s.place(ctx, t, wish); !again.GetReplayed() || again.GetOrder().GetId() != placed.GetOrder().GetId() {
		t.Errorf("again: %v", again)
	}
	wish.AddressId = uuid.NewString()
	_, err := s.gateway.PlaceOrder(ctx, wish)
	wantError(t, "the key with another address", err, apperr.Invalid, "idempotency_key_reused")

	s.books.Put(uuid.MustParse(user), id, domain.Address{Recipient: "Ann"})
	wish.AddressId = id.String()
	_, err = s.gateway.PlaceOrder(others, wish)
	there := wantError(t, "another's address", err, apperr.Invalid, "validation_failed")
	wish.AddressId = uuid.NewString()
	_, err = s.gateway.PlaceOrder(others, wish)
	absent := wantError(t, "no address", err, apperr.Invalid, "validation_failed")
	want := []apperr.Violation{{Location: "address_id", Message: "there is no such address"}}
	if diff := cmp.Diff(want, there.Violations); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(absent.Violations, there.Violations); diff != "" {
		t.Errorf("another's address is told from none (-none +another's):\n%s", diff)
	}
}

func TestPayAndCancel(t *testing.T) {
	t.Parallel()
	s := setup(t)
	user, ctx := s.user(t, auth.Customer)
	o := s.place(ctx, t, s.wish("")).GetOrder()
	if o.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_PENDING || o.GetPayment().GetStatus() != orderv1.PaymentStatus_PAYMENT_STATUS_NONE {
		t.Fatalf("the order is %s, the payment %s", o.GetStatus(), o.GetPayment().GetStatus())
	}
	paid, err := s.gateway.PayOrder(ctx, &orderv1.PayOrderRequest{
		OrderId: o.GetId(), PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CASH_ON_DELIVERY, PaymentToken: "none",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := paid.GetOrder(); got.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CONFIRMED || paid.GetSettling() ||
		got.GetPayment().GetMethod() != orderv1.PaymentMethod_PAYMENT_METHOD_CASH_ON_DELIVERY {
		t.Errorf("paid: %v", paid)
	}
	_, err = s.gateway.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetId(), IfVersion: new(o.GetVersion())})
	wantError(t, "an old version", err, apperr.VersionMismatch, "version_mismatch")
	for range 2 {
		cancelled, err := s.gateway.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetId(), Reason: "too late"})
		if err != nil {
			t.Fatal(err)
		}
		last := cancelled.GetOrder().GetHistory()[len(cancelled.GetOrder().GetHistory())-1]
		if last.GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CANCELLED || last.GetBy() != user || last.GetNote() != "too late" {
			t.Errorf("the last entry is %v", last)
		}
	}
	if left := s.stock.Available(s.cup); left != pieces {
		t.Errorf("%d pieces are left, want %d", left, pieces)
	}

	settling := s.place(ctx, t, s.wish(usecasetest.TokTimeout))
	if !settling.GetSettling() || settling.GetOrder().GetPayment().GetStatus() != orderv1.PaymentStatus_PAYMENT_STATUS_PENDING {
		t.Errorf("a lost answer: %v", settling)
	}
}

// Another customer's order does not exist, in the very words that an order has that does not.
func TestOrdersOfOthers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	owner, own := s.user(t, auth.Customer)
	_, others := s.user(t, auth.Customer)
	_, staff := s.user(t, auth.Staff)
	id := s.place(own, t, s.wish("")).GetOrder().GetId()
	for what, do := range map[string]func(id string) error{
		"get": func(id string) error {
			_, err := s.gateway.GetOrder(others, &orderv1.GetOrderRequest{OrderId: id})
			return err
		},
		"pay": func(id string) error {
			_, err := s.gateway.PayOrder(others, &orderv1.PayOrderRequest{
				OrderId: id, PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: usecasetest.TokOK,
			})
			return err
		},
		"cancel": func(id string) error {
			_, err := s.gateway.CancelOrder(others, &orderv1.CancelOrderRequest{OrderId: id})
			return err
		},
	} {
		there := wantError(t, what, do(id), apperr.NotFound, "not_found")
		absent := wantError(t, what+" of none", do(uuid.NewString()), apperr.NotFound, "not_found")
		if there.Message != absent.Message {
			t.Errorf("%s: %q, but of no order %q", what, there.Message, absent.Message)
		}
	}
	_, err := s.gateway.ListOrders(others, &orderv1.ListOrdersRequest{PageSize: 10, UserId: owner})
	wantError(t, "list", err, apperr.PermissionDenied, "permission_denied")
	if got, err := s.gateway.ListOrders(others, &orderv1.ListOrdersRequest{PageSize: 10}); err != nil || len(got.GetOrders()) != 0 {
		t.Errorf("list: %v, error %v; want none", got, err)
	}

	if got, err := s.gateway.GetOrder(staff, &orderv1.GetOrderRequest{OrderId: id}); err != nil || got.GetOrder().GetUserId() != owner {
		t.Errorf("staff get %v, error %v", got, err)
	}
	if got, err := s.gateway.ListOrders(staff, &orderv1.ListOrdersRequest{PageSize: 10, UserId: owner}); err != nil || len(got.GetOrders()) != 1 {
		t.Errorf("staff list %v, error %v", got, err)
	}
	_, err = s.gateway.PayOrder(staff, &orderv1.PayOrderRequest{
		OrderId: id, PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: usecasetest.TokOK,
	})
	wantError(t, "staff pay", err, apperr.NotFound, "not_found")
	if _, err := s.gateway.CancelOrder(staff, &orderv1.CancelOrderRequest{OrderId: id}); err != nil {
		t.Errorf("staff cancel: %v", err)
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)
	place := func(change func(*orderv1.PlaceOrderRequest)) func() error {
		return func() error {
			wish := s.wish(usecasetest.TokOK)
			change(wish)
			_, err := s.gateway.PlaceOrder(ctx, wish)
			return err
		}
	}
	list := func(req *orderv1.ListOrdersRequest) func() error {
		return func() error { _, err := s.gateway.ListOrders(ctx, req); return err }
	}
	for _, tc := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"everything is missing", func() error { _, err := s.gateway.PlaceOrder(ctx, &orderv1.PlaceOrderRequest{}); return err },
			[]string{"idempotency_key", "payment_method", "shipping_method"}},
		{"nowhere to go", place(func(r *orderv1.PlaceOrderRequest) { r.ShippingAddress = nil }), []string{"shipping_address"}},
		{"two ways to go", place(func(r *orderv1.PlaceOrderRequest) { r.AddressId = uuid.NewString() }), []string{"address_id", "shipping_address"}},
		{"an address that is none", place(func(r *orderv1.PlaceOrderRequest) { r.ShippingAddress, r.AddressId = nil, uuid.NewString() }),
			[]string{"address_id"}},
		{"an address's id that is none", place(func(r *orderv1.PlaceOrderRequest) { r.ShippingAddress, r.AddressId = nil, "home" }),
			[]string{"address_id"}},
		{"of several items, two", place(func(r *orderv1.PlaceOrderRequest) {
			r.Items = []*orderv1.RequestedItem{{ProductId: "1", Quantity: 1}, {ProductId: s.cup.String(), Quantity: 1}, {ProductId: s.pot.String()}}
		}), []string{"items[0].product_id", "items[2].quantity"}},
		{"an address without a place", place(func(r *orderv1.PlaceOrderRequest) {
			r.ShippingAddress.City, r.ShippingAddress.Country = "", "Germany"
		}), []string{"shipping_address.city", "shipping_address.country"}},
		{"an address on no map", place(func(r *orderv1.PlaceOrderRequest) {
			r.ShippingAddress.Line1, r.ShippingAddress.Country = " ", "ZZ"
		}), []string{"shipping_address.country", "shipping_address.line1"}},
		{"a way of delivery that is none", place(func(r *orderv1.PlaceOrderRequest) { r.ShippingMethod = "by_horse" }),
			[]string{"shipping_method"}},
		{"a coupon that is none", place(func(r *orderv1.PlaceOrderRequest) { r.CouponCode = "SAVE" }), []string{"coupon_code"}},
		{"a token that is none", place(func(r *orderv1.PlaceOrderRequest) { r.PaymentToken = "4242" }), []string{"payment.token"}},
		{"a product that is none", place(func(r *orderv1.PlaceOrderRequest) {
			r.Items = append(r.Items, &orderv1.RequestedItem{ProductId: uuid.NewString(), Quantity: 1})
		}), []string{"items[1].product_id"}},
		{"an id that is none", func() error { _, err := s.gateway.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: "7"}); return err },
			[]string{"order_id"}},
		{"a payment of nothing", func() error { _, err := s.gateway.PayOrder(ctx, &orderv1.PayOrderRequest{}); return err },
			[]string{"order_id", "payment_method"}},
		{"a page without a size", list(&orderv1.ListOrdersRequest{}), []string{"page_size"}},
		{"a page token of another list", list(&orderv1.ListOrdersRequest{PageSize: 1, PageToken: "Zm9v"}), []string{"page_token"}},
		{"a state that is none", list(&orderv1.ListOrdersRequest{PageSize: 1, Status: 99}), []string{"status"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.do()
			if apperr.KindOf(err) != apperr.Invalid {
				t.Fatalf("error %v (%v), want invalid", err, apperr.KindOf(err))
			}
			var got []string
			for _, v := range apperr.From(err).Violations {
				got = append(got, v.Location)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("locations (-want +got):\n%s", diff)
			}
		})
	}
}

// What a refusal tells a program, after a hop.
func TestErrorDetails(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)

	greedy := s.wish(usecasetest.TokOK)
	greedy.Items[0].Quantity = pieces + 1
	_, err := s.gateway.PlaceOrder(ctx, greedy)
	short := wantError(t, "too many", err, apperr.Conflict, "out_of_stock")
	want := []apperr.Violation{{
		Location: "items[0]", Message: "only 10 left",
		Attributes: map[string]any{"product_id": s.cup.String(), "available": int64(pieces)},
	}}
	if diff := cmp.Diff(want, short.Violations); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}

	stale := s.wish(usecasetest.TokOK)
	stale.ExpectedTotal = eur(1)
	_, err = s.gateway.PlaceOrder(ctx, stale)
	if got := wantError(t, "another total", err, apperr.Conflict, "total_changed"); got.Attributes["total"] != int64(2990) || got.Attributes["currency"] != "EUR" {
		t.Errorf("attributes %v, want the total and its currency", got.Attributes)
	}

	broke := s.wish(usecasetest.TokInsufficient)
	_, err = s.gateway.PlaceOrder(ctx, broke)
	declined := wantError(t, "declined", err, apperr.PaymentFailed, "payment_declined")
	id, _ := declined.Attributes["order_id"].(string)
	if diff := cmp.Diff(map[string]any{"order_id": id, "decline_code": "insufficient_funds"}, declined.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if o, err := s.gateway.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id}); err != nil ||
		o.GetOrder().GetStatus() != orderv1.OrderStatus_ORDER_STATUS_CANCELLED {
		t.Errorf("order %v, error %v; want it cancelled", o, err)
	}
	_, err = s.gateway.PlaceOrder(ctx, broke)
	if got := wantError(t, "declined again", err, apperr.PaymentFailed, "payment_declined"); got.Attributes[usecase.ReplayedAttribute] != true {
		t.Errorf("attributes %v, want that it is a replay", got.Attributes)
	}
	broke.CouponCode = "OTHER"
	_, err = s.gateway.PlaceOrder(ctx, broke)
	wantError(t, "the key again", err, apperr.Invalid, "idempotency_key_reused")

	o := s.place(ctx, t, s.wish(usecasetest.TokOK)).GetOrder()
	_, err = s.gateway.PayOrder(ctx, &orderv1.PayOrderRequest{
		OrderId: o.GetId(), PaymentMethod: orderv1.PaymentMethod_PAYMENT_METHOD_CARD, PaymentToken: usecasetest.TokOK,
	})
	wantError(t, "paid twice", err, apperr.Conflict, "order_not_payable")
	_, empty := s.user(t, auth.Customer)
	nothing := s.wish(usecasetest.TokOK)
	nothing.Items = nil
	_, err = s.gateway.PlaceOrder(empty, nothing)
	wantError(t, "an empty cart", err, apperr.Invalid, "cart_empty")
}

func TestListOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Customer)
	_, others := s.user(t, auth.Customer)
	s.stock.Set(s.cup, 100)
	var want []string // newest first
	for range 5 {
		want = append([]string{s.place(ctx, t, s.wish("")).GetOrder().GetId()}, want...)
	}
	s.place(others, t, s.wish(""))
	if _, err := s.gateway.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: want[2]}); err != nil {
		t.Fatal(err)
	}

	page := func(ctx context.Context, req *orderv1.ListOrdersRequest) (ids []string, answer *orderv1.ListOrdersResponse) {
		t.Helper()
		answer, err := s.gateway.ListOrders(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range answer.GetOrders() {
			ids = append(ids, o.GetId())
		}
		return ids, answer
	}
	var got, sizes = []string(nil), []int(nil)
	req := &orderv1.ListOrdersRequest{PageSize: 2}
	for range 3 {
		ids, answer := page(ctx, req)
		got, sizes = append(got, ids...), append(sizes, len(ids))
		if answer.TotalSize != nil {
			t.Error("nobody asked for the total")
		}
		req.PageToken = answer.GetNextPageToken()
	}
	if diff := cmp.Diff(want, got); diff != "" || !slices.Equal(sizes, []int{2, 2, 1}) || req.GetPageToken() != "" {
		t.Errorf("pages of %v, next %q (-want +got):\n%s", sizes, req.GetPageToken(), diff)
	}

	cancelled, answer := page(ctx, &orderv1.ListOrdersRequest{
		PageSize: 100, Status: orderv1.OrderStatus_ORDER_STATUS_CANCELLED, IncludeTotal: true,
	})
	if !slices.Equal(cancelled, want[2:3]) || answer.TotalSize == nil || answer.GetTotalSize() != 1 {
		t.Errorf("cancelled are %v of %v, want %v", cancelled, answer.TotalSize, want[2:3])
	}
	_, staff := s.user(t, auth.Staff)
	if all, answer := page(staff, &orderv1.ListOrdersRequest{PageSize: 100, IncludeTotal: true}); len(all) != 6 || answer.GetTotalSize() != 6 {
		t.Errorf("staff see %d of %d, want 6", len(all), answer.GetTotalSize())
	}
	// A token goes with its query.
	_, first := page(ctx, &orderv1.ListOrdersRequest{PageSize: 1})
	_, err := s.gateway.ListOrders(ctx, &orderv1.ListOrdersRequest{
		PageSize: 1, PageToken: first.GetNextPageToken(), Status: orderv1.OrderStatus_ORDER_STATUS_PENDING,
	})
	wantError(t, "a token of another query", err, apperr.Invalid, "validation_failed")
}
