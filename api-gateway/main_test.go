package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/logging"
	"shop.example/platform/mtls"
	"shop.example/platform/token"
	cartv1 "shop.example/proto/cart/v1"
	orderv1 "shop.example/proto/order/v1"
	userv1 "shop.example/proto/user/v1"
)

const userID = "01890a5d-ac96-774b-bcce-b302099a8057"

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type userService struct {
	userv1.UnimplementedAuthServiceServer
	signer *token.Signer
}

func (u userService) GetSigningKeys(context.Context, *userv1.GetSigningKeysRequest) (*userv1.GetSigningKeysResponse, error) {
	keys, err := u.signer.KeySet()
	return &userv1.GetSigningKeysResponse{Jwks: keys}, err
}

// cartService answers when the test says so, and logs as whoever asks.
type cartService struct {
	cartv1.UnimplementedCartServiceServer
	log              *slog.Logger
	entered, proceed chan struct{}
}

func (c cartService) GetCart(ctx context.Context, _ *cartv1.GetCartRequest) (*cartv1.GetCartResponse, error) {
	c.log.InfoContext(ctx, "asked for the cart")
	return &cartv1.GetCartResponse{Cart: &cartv1.Cart{Currency: "EUR", Version: 1}}, nil
}

func (c cartService) ClearCart(context.Context, *cartv1.ClearCartRequest) (*cartv1.ClearCartResponse, error) {
	c.entered <- struct{}{}
	<-c.proceed
	return &cartv1.ClearCartResponse{}, nil
}

type orderService struct {
	orderv1.UnimplementedOrderServiceServer
}

func (orderService) PlaceOrder(context.Context, *orderv1.PlaceOrderRequest) (*orderv1.PlaceOrderResponse, error) {
	return nil, apperr.New(apperr.Conflict, "out_of_stock", "Too few.").With(apperr.Violation{
		Location: "items[0]", Message: "only 3 are left", Attributes: map[string]any{"product_id": userID, "available": int64(3)},
	})
}

// serveGRPC starts a service as ours are started, which the gateway may call, and returns its address.
func serveGRPC(t *testing.T, ca, name string, tokens func(context.Context, string) (auth.Principal, error), log *slog.Logger, desc *grpc.ServiceDesc, implementation any) string {
	t.Helper()
	identity, err := mtls.Load(devca.Files(ca, name))
	if err != nil {
		t.Fatal(err)
	}
	policy := grpcserver.Policy{}
	for _, m := range desc.Methods {
		policy["/"+desc.ServiceName+"/"+m.MethodName] = grpcserver.Rule{Callers: []string{grpcserver.Gateway}, User: name != "user-service"}
	}
	monitor := health.NewMonitor(log)
	server, err := grpcserver.New(grpcserver.Options{
		Service: name, Addr: "127.0.0.1:0", TLS: identity, Log: log, Health: monitor, Tokens: tokens, Policy: policy,
	}, func(r grpc.ServiceRegistrar) { r.RegisterService(desc, implementation) })
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	for _, c := range []struct {
		start func(context.Context) error
		serve func() error
		stop  func(context.Context) error
	}{
		{monitor.Component().Start, nil, monitor.Component().Stop},
		{server.Component().Start, server.Component().Serve, server.Component().Stop},
	} {
		if err := c.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.serve != nil {
			serving.Go(func() { _ = c.serve() })
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_ = c.stop(ctx)
			serving.Wait()
		})
	}
	return server.Addr()
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until waits for a condition, and fails the test if it does not come true.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(15 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestProgram starts the very program, with three services over mutual TLS behind it and one that is away.
func TestProgram(t *testing.T) {
	ca := t.TempDir()
	if err := devca.Create(ca, []string{"api-gateway", "user-service", "cart-service", "order-service"}); err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := token.NewSigner(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	tokens := token.NewVerifier(func(context.Context) ([]byte, error) { return signer.KeySet() }, tokenLeeway, time.Now).Verify
	access, err := signer.Sign(auth.Principal{UserID: userID, Role: auth.Customer, SessionID: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	var serviceLog, log lockedBuffer
	services := logging.New(&serviceLog, "services", slog.LevelInfo)
	cart := cartService{log: services, entered: make(chan struct{}, 1), proceed: make(chan struct{})}
	identity := devca.Files(ca, "api-gateway")
	httpAddr := freeAddr(t)
	for name, value := range map[string]string{
		"HTTP_ADDR": httpAddr, "ADMIN_ADDR": freeAddr(t), "DRAIN_DELAY": "500ms",
		"USER_SERVICE_ADDR":    serveGRPC(t, ca, "user-service", tokens, services, &userv1.AuthService_ServiceDesc, userService{signer: signer}),
		"CART_SERVICE_ADDR":    serveGRPC(t, ca, "cart-service", tokens, services, &cartv1.CartService_ServiceDesc, cart),
		"ORDER_SERVICE_ADDR":   serveGRPC(t, ca, "order-service", tokens, services, &orderv1.OrderService_ServiceDesc, orderService{}),
		"PRODUCT_SERVICE_ADDR": freeAddr(t), // nobody is there
		"REDIS_URL":            "redis://" + freeAddr(t),
		"TLS_CERT_FILE":        identity.CertFile, "TLS_KEY_FILE": identity.KeyFile, "TLS_CA_FILE": identity.CAFile,
	} {
		t.Setenv(name, value)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nil, &log) }()

	call := func(method, path, body string) (int, map[string]any) {
		var reader io.Reader
		if body != "" {
			reader = strings.NewReader(body)
		}
		request, err := http.NewRequestWithContext(context.Background(), method, "http://"+httpAddr+path, reader)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+access)
		request.Header.Set("Idempotency-Key", "k1")
		request.Header.Set("X-Request-ID", "one-trace")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0, nil
		}
		defer response.Body.Close()
		var answer map[string]any
		_ = json.NewDecoder(response.Body).Decode(&answer)
		return response.StatusCode, answer
	}
	until(t, "ready", func() bool { status, _ := call("GET", "/readyz", ""); return status == 200 })
	var status int
	var answer map[string]any
	until(t, "the cart", func() bool { status, answer = call("GET", "/api/v1/cart", ""); return status == 200 })
	if answer["currency"] != "EUR" {
		t.Errorf("the cart is %v", answer)
	}
	if l := serviceLog.String(); !strings.Contains(l, `"request_id":"one-trace"`) || !strings.Contains(l, `"user_id":"`+userID+`"`) {
		t.Errorf("the service does not know who asks for what: %s", l)
	}
	status, answer = call("POST", "/api/v1/orders", `{"shipping_address":{"recipient":"Ada","line1":"1 Road","city":"London","country":"GB"},`+
		`"shipping_method":"standard","payment":{"method":"card","token":"tok_ok"}}`)
	list, _ := answer["errors"].([]any)
	if status != 409 || answer["code"] != "out_of_stock" || len(list) != 1 {
		t.Fatalf("%d %v", status, answer)
	}
	if line, _ := list[0].(map[string]any); line["available"] != 3.0 || line["location"] != "body.items[0]" {
		t.Errorf("the line is %v", line)
	}
	start := time.Now()
	if status, answer = call("GET", "/api/v1/products", ""); status != 503 || answer["code"] != "dependency_unavailable" {
		t.Errorf("without product-service: %d %v", status, answer)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("a service that is away was waited for: %v", took)
	}

	// The end: unready first, still answering, and what is in flight is finished.
	cleared := make(chan int, 1)
	go func() { status, _ := call("DELETE", "/api/v1/cart", ""); cleared <- status }()
	<-cart.entered
	stop()
	until(t, "unready", func() bool { status, _ := call("GET", "/readyz", ""); return status == 503 })
	if status, _ := call("GET", "/api/v1/cart", ""); status != 200 {
		t.Errorf("a draining gateway answers %d", status)
	}
	until(t, "the end of listening", func() bool { status, _ := call("GET", "/healthz", ""); return status == 0 })
	close(cart.proceed)
	if status := <-cleared; status != 204 {
		t.Errorf("what was in flight ended with %d", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), access) || !strings.Contains(log.String(), `"route":"/api/v1/cart"`) {
		t.Error("the log has a token in it, or no routes")
	}
}

// TestDoor: what the program makes of the settings of the public port: TLS, whom it believes, who may call from where.
func TestDoor(t *testing.T) {
	ca := t.TempDir()
	if err := devca.Create(ca, []string{"api-gateway"}); err != nil {
		t.Fatal(err)
	}
	identity := devca.Files(ca, "api-gateway") // as good a certificate for the public port as any
	httpAddr := freeAddr(t)
	for name, value := range map[string]string{
		"HTTP_ADDR": httpAddr, "ADMIN_ADDR": freeAddr(t), "DRAIN_DELAY": "0s", "RATE_LIMIT": "off", "CORS_ALLOWED_ORIGINS": "https://www.shop.example",
		"USER_SERVICE_ADDR": freeAddr(t), "CART_SERVICE_ADDR": freeAddr(t), "ORDER_SERVICE_ADDR": freeAddr(t), "PRODUCT_SERVICE_ADDR": freeAddr(t),
		"TLS_CERT_FILE": identity.CertFile, "TLS_KEY_FILE": identity.KeyFile, "TLS_CA_FILE": identity.CAFile,
		"HTTP_TLS_CERT_FILE": identity.CertFile, "HTTP_TLS_KEY_FILE": identity.KeyFile,
	} {
		t.Setenv(name, value)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nil, io.Discard) }()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	until(t, "listening", func() bool {
		conn, err := net.Dial("tcp", httpAddr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+httpAddr+"/healthz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://www.shop.example")
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.Proto != "HTTP/2.0" || response.TLS.Version != tls.VersionTLS13 || response.Header.Get("Strict-Transport-Security") == "" ||
		response.Header.Get("Access-Control-Allow-Origin") != "https://www.shop.example" || response.Header.Get("RateLimit") != `"default";r=200;t=0` {
		t.Errorf("%s %v", response.Proto, response.Header)
	}
	transport.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMistakesOfTheDoorAreToldAtOnce(t *testing.T) {
	for name, value := range map[string]string{
		"USER_SERVICE_ADDR": "a:1", "CART_SERVICE_ADDR": "a:1", "ORDER_SERVICE_ADDR": "a:1", "PRODUCT_SERVICE_ADDR": "a:1",
		"TLS_CERT_FILE": "x", "TLS_KEY_FILE": "x", "TLS_CA_FILE": "x",
		"CORS_ALLOWED_ORIGINS": "*", "CORS_ALLOW_CREDENTIALS": "true", "HTTP_TLS_CERT_FILE": "x", "MAX_CONNECTIONS": "0", "MAX_CONNECTIONS_PER_CLIENT": "-1",
	} {
		t.Setenv(name, value)
	}
	err := run(t.Context(), nil, io.Discard)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{`CORS_ALLOWED_ORIGINS: "*" can't be combined with CORS_ALLOW_CREDENTIALS`, "HTTP_TLS_KEY_FILE must be set together", "MAX_CONNECTIONS must", "MAX_CONNECTIONS_PER_CLIENT must"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestMistakesInTheEnvironmentAreToldAtOnce(t *testing.T) {
	t.Setenv("RATE_LIMIT", "perhaps")
	t.Setenv("TRUSTED_PROXIES", "everybody")
	err := run(t.Context(), nil, io.Discard)
	if err == nil {
		t.Fatal("it started")
	}
	for _, name := range []string{"USER_SERVICE_ADDR", "ORDER_SERVICE_ADDR", "TLS_CERT_FILE", "TRUSTED_PROXIES"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run(t.Context(), []string{"openapi"}, out); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() || !json.Valid(first.Bytes()) {
		t.Error("the document is not the same each time")
	}
	if err := run(t.Context(), []string{"dance"}, io.Discard); err == nil {
		t.Error("an unknown command is taken")
	}
}
