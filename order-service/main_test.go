package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/mtls"
	"shop.example/platform/pgtest"
	"shop.example/platform/token"
	orderv1 "shop.example/proto/order/v1"
)

// empty leaves the database as it is made: the program migrates it itself.
func empty(context.Context, string) error { return nil }

// environment sets what the program needs and returns the folder with the certificates. None of the services that it asks
// is there, and no payment provider.
func environment(t *testing.T, databaseURL string) string {
	t.Helper()
	dir := t.TempDir()
	if err := devca.Create(dir, []string{grpcserver.OrderService, grpcserver.Gateway}); err != nil {
		t.Fatal(err)
	}
	files := devca.Files(dir, grpcserver.OrderService)
	for name, value := range map[string]string{
		"GRPC_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "DATABASE_URL": databaseURL,
		// Port 1: nothing listens there.
		"USER_SERVICE_ADDR": "127.0.0.1:1", "PRODUCT_SERVICE_ADDR": "127.0.0.1:1", "CART_SERVICE_ADDR": "127.0.0.1:1",
		"TESTPAY_URL": "http://127.0.0.1:1", "TESTPAY_API_KEY": "hunter2", "TESTPAY_WEBHOOK_SECRET": "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==",
		"WEBHOOK_SECRET": "hunter2hunter2hunter2hunter2hunter2",
		"TLS_CERT_FILE":  files.CertFile, "TLS_KEY_FILE": files.KeyFile, "TLS_CA_FILE": files.CAFile,
	} {
		t.Setenv(name, value)
	}
	return dir
}

// The program itself, with an empty database alone: it starts, is ready, says what it can't do, and stops.
func TestProgram(t *testing.T) {
	dir := environment(t, pgtest.URL(t, empty))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, nil, out)
		_ = out.Close() // a pipe has nothing to flush
		done <- err
	}()
	addr := make(chan string, 1)
	go func() {
		lines, listening := bufio.NewScanner(log), ""
		for lines.Scan() {
			var line struct{ Msg, GRPC string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			switch line.Msg {
			case "listening":
				listening = line.GRPC
			case "started": // it becomes ready last
				addr <- listening
			}
		}
	}()
	var target string
	select {
	case target = <-addr:
	case err := <-done:
		t.Fatalf("the program ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("the program does not start")
	}
	for _, secret := range []string{"DATABASE_URL", "TESTPAY_API_KEY", "TESTPAY_WEBHOOK_SECRET", "WEBHOOK_SECRET"} {
		if _, ok := os.LookupEnv(secret); ok {
			t.Errorf("%s is still in the environment", secret)
		}
	}

	source, err := mtls.Load(devca.Files(dir, grpcserver.Gateway))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: grpcserver.OrderService, Target: target, TLS: source, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	orders := orderv1.NewOrderServiceClient(conn)
	if got, err := orders.ListShippingMethods(t.Context(), &orderv1.ListShippingMethodsRequest{}); err != nil || len(got.GetMethods()) == 0 {
		t.Errorf("shipping methods %v, error %v", got, err)
	}
	// It is ready without the services that it asks: each order is told what is missing.
	if err := conn.Ping(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	// Nobody has told it the keys yet, so nobody is let in.
	keyPEM, err := os.ReadFile(filepath.Join(dir, devca.SigningKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := token.NewSigner(keyPEM, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	alice := auth.Principal{UserID: uuid.NewString(), Role: auth.Customer, SessionID: uuid.NewString()}
	if alice.Token, err = signer.Sign(alice); err != nil {
		t.Fatal(err)
	}
	_, err = orders.ListOrders(auth.NewContext(t.Context(), alice), &orderv1.ListOrdersRequest{PageSize: 1})
	if err == nil || !strings.Contains(err.Error(), "can't be reached") {
		t.Errorf("ListOrders without user-service = %v", err)
	}

	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("stop: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the program does not stop")
	}
}

func TestMistakesStopTheStart(t *testing.T) {
	for _, tt := range []struct{ name, args, variable, value, want string }{
		{"no database", "", "DATABASE_URL", "", "DATABASE_URL"},
		{"a database that is none", "", "DATABASE_URL", "postgres://shop:hunter2@127.0.0.1:x/orders", "database"},
		{"no user-service", "", "USER_SERVICE_ADDR", "", "USER_SERVICE_ADDR"},
		{"no product-service", "", "PRODUCT_SERVICE_ADDR", "", "PRODUCT_SERVICE_ADDR"},
		{"no cart-service", "", "CART_SERVICE_ADDR", "", "CART_SERVICE_ADDR"},
		{"no such currency", "", "CURRENCY", "EURO", "CURRENCY"},
		{"no such way of delivery", "", "SHIPPING_METHODS", "[]", "SHIPPING_METHODS"},
		{"no such provider", "", "PAYMENT_PROVIDER", "shells", "PAYMENT_PROVIDER"},
		{"no address of the provider", "", "TESTPAY_URL", "", "TESTPAY_URL"},
		{"an address of the provider that is none", "", "TESTPAY_URL", "127.0.0.1:8090", "TESTPAY_URL"},
		{"no key of the provider", "", "TESTPAY_API_KEY", "", "TESTPAY_API_KEY"},
		{"a secret of the provider that is none", "", "TESTPAY_WEBHOOK_SECRET", "hunter2", "TESTPAY_WEBHOOK_SECRET"},
		{"no secret of webhooks", "", "WEBHOOK_SECRET", "", "WEBHOOK_SECRET"},
		{"a secret of webhooks that can be guessed", "", "WEBHOOK_SECRET", "hunter2", "WEBHOOK_SECRET"},
		{"webhooks half private", "", "WEBHOOK_ALLOW_PRIVATE", "half", "WEBHOOK_ALLOW_PRIVATE"},
		{"no certificate", "", "TLS_CERT_FILE", "absent.pem", "absent.pem"},
		{"no such level", "", "LOG_LEVEL", "loud", "LOG_LEVEL"},
		{"no such command", "dance", "LOG_LEVEL", "info", "usage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Port 1: a start that comes as far as the database fails there, too late.
			environment(t, "postgres://shop:hunter2@127.0.0.1:1/orders?connect_timeout=1")
			t.Setenv(tt.variable, tt.value)
			err := run(t.Context(), strings.Fields(tt.args), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one that says %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}

func TestStripeSettings(t *testing.T) {
	for _, tt := range []struct{ name, variable, value, want string }{
		{"no key", "STRIPE_API_KEY", "", "STRIPE_API_KEY"},
		{"no secret of its events", "STRIPE_WEBHOOK_SECRET", "", "STRIPE_WEBHOOK_SECRET"},
		{"an address without TLS", "STRIPE_API_URL", "http://stripe.example", "STRIPE_API_URL"},
		{"an address that is none", "STRIPE_API_URL", "stripe", "STRIPE_API_URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, "postgres://shop:hunter2@127.0.0.1:1/orders?connect_timeout=1")
			t.Setenv("PAYMENT_PROVIDER", "stripe")
			t.Setenv("STRIPE_API_KEY", "sk_test_hunter2")
			t.Setenv("STRIPE_WEBHOOK_SECRET", "whsec_hunter2")
			t.Setenv(tt.variable, tt.value)
			err := run(t.Context(), nil, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one that says %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a secret: %v", err)
			}
			for _, secret := range []string{"STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"} {
				if _, ok := os.LookupEnv(secret); ok {
					t.Errorf("%s is still in the environment", secret)
				}
			}
		})
	}
}

func TestStripeAddresses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "http://127.0.0.1:12111", "http://[::1]:12111", "https://stripe.example"} {
		s := PaymentSettings{Provider: "stripe", StripeURL: address, StripeKey: "sk_test_hunter2", StripeWebhookSecret: "whsec_hunter2"}
		if err := s.Validate(); err != nil {
			t.Errorf("%q: %v", address, err)
		}
		p, err := s.open(slog.New(slog.DiscardHandler))
		if err != nil || p.primary.Name() != "stripe" || len(p.others) != 0 || p.readers["stripe"] == nil || len(p.readers) != 1 {
			t.Errorf("%q: opens %+v, error %v", address, p, err)
		}
	}
}

// The provider that is not the primary one is there for older orders, if it is configured, and then wholly.
func TestBothProviders(t *testing.T) {
	t.Parallel()
	both := PaymentSettings{
		TestPayURL: "http://127.0.0.1:1", TestPayKey: "hunter2", TestPayWebhookSecret: "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==",
		StripeKey: "sk_test_hunter2", StripeWebhookSecret: "whsec_hunter2",
	}
	for primary, other := range map[string]string{"test": "stripe", "stripe": "test"} {
		s := both
		s.Provider = primary
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", primary, err)
		}
		p, err := s.open(slog.New(slog.DiscardHandler))
		if err != nil || p.primary.Name() != primary || len(p.others) != 1 || p.others[0].Name() != other || p.readers[other] == nil {
			t.Errorf("%s: opens %+v, error %v", primary, p, err)
		}
	}
	for name, half := range map[string]PaymentSettings{
		"STRIPE_WEBHOOK_SECRET": {Provider: "test", TestPayURL: both.TestPayURL, TestPayKey: "hunter2", StripeKey: "sk_test_hunter2"},
		"STRIPE_API_KEY":        {Provider: "test", TestPayURL: both.TestPayURL, TestPayKey: "hunter2", StripeWebhookSecret: "whsec_hunter2"},
		"TESTPAY_API_KEY":       {Provider: "stripe", TestPayURL: both.TestPayURL, StripeKey: "sk_test_hunter2", StripeWebhookSecret: "whsec_hunter2"},
	} {
		if err := half.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
