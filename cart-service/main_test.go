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

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/mtls"
	"shop.example/platform/redistest"
	"shop.example/platform/token"
	cartv1 "shop.example/proto/cart/v1"
)

// environment sets what the program needs and returns the folder with the certificates. Neither user-service nor
// product-service is there.
func environment(t *testing.T, redisURL string) string {
	t.Helper()
	dir := t.TempDir()
	if err := devca.Create(dir, []string{grpcserver.CartService, grpcserver.Gateway, grpcserver.ProductService}); err != nil {
		t.Fatal(err)
	}
	files := devca.Files(dir, grpcserver.CartService)
	for name, value := range map[string]string{
		"GRPC_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "REDIS_URL": redisURL,
		// Port 1: nothing listens there.
		"USER_SERVICE_ADDR": "127.0.0.1:1", "PRODUCT_SERVICE_ADDR": "127.0.0.1:1",
		"CART_TOKEN_KEY_FILE": filepath.Join(dir, devca.CartKeyFile),
		"TLS_CERT_FILE":       files.CertFile, "TLS_KEY_FILE": files.KeyFile, "TLS_CA_FILE": files.CAFile,
	} {
		t.Setenv(name, value)
	}
	return dir
}

// program runs the program itself until the test ends and returns a connection as the gateway has it.
func program(t *testing.T, dir string) *grpcclient.Conn {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
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
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("stop: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the program does not stop")
		}
	})
	select {
	case target := <-addr:
		source, err := mtls.Load(devca.Files(dir, grpcserver.Gateway))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpcclient.Dial(grpcclient.Options{
			Service: grpcserver.CartService, Target: target, TLS: source, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	case <-time.After(30 * time.Second):
		t.Fatal("the program does not start")
	}
	return nil
}

// The program itself with Redis alone: it starts, is ready, says what it can't do, and stops.
func TestProgram(t *testing.T) {
	dir := environment(t, redistest.URL(t))
	conn := program(t, dir)
	if got, ok := os.LookupEnv("REDIS_URL"); ok {
		t.Errorf("REDIS_URL is still in the environment: %q", got)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	// Nobody has told it the keys yet, so nobody who claims to be somebody is let in. A guest is.
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
	carts := cartv1.NewCartServiceClient(conn)
	_, err = carts.GetCart(auth.NewContext(t.Context(), alice), &cartv1.GetCartRequest{})
	if err == nil || !strings.Contains(err.Error(), "can't be reached") {
		t.Errorf("GetCart without user-service = %v", err)
	}
	if _, err := carts.GetCart(t.Context(), &cartv1.GetCartRequest{}); err != nil {
		t.Errorf("GetCart of a guest = %v", err)
	}
	_, err = carts.AddItem(t.Context(), &cartv1.AddItemRequest{ProductId: uuid.NewString(), Quantity: 1})
	if apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("AddItem without product-service = %v, want unavailable", err)
	}
}

func TestMistakesStopTheStart(t *testing.T) {
	for _, tt := range []struct{ name, args, variable, value, want string }{
		{"no redis", "", "REDIS_URL", "", "REDIS_URL"},
		{"a redis url that is none", "", "REDIS_URL", "http://:hunter2@x", "redis url"},
		{"no product-service", "", "PRODUCT_SERVICE_ADDR", "", "PRODUCT_SERVICE_ADDR"},
		{"no keys of cart tokens", "", "CART_TOKEN_KEY_FILE", "absent.key", "absent.key"},
		{"no such currency", "", "CURRENCY", "EURO", "CURRENCY"},
		{"no certificate", "", "TLS_CERT_FILE", "absent.pem", "absent.pem"},
		{"no such command", "dance", "LOG_LEVEL", "info", "usage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, "redis://127.0.0.1:1/0")
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
