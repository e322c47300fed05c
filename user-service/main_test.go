package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/mtls"
	"shop.example/platform/pgtest"
	userv1 "shop.example/proto/user/v1"
)

func empty(context.Context, string) error { return nil }

// environment sets what the program needs and returns the folder with the certificates. url is that of the database.
func environment(t *testing.T, url string) string {
	t.Helper()
	dir := t.TempDir()
	if err := devca.Create(dir, []string{"user-service", "api-gateway"}); err != nil {
		t.Fatal(err)
	}
	files := devca.Files(dir, "user-service")
	for name, value := range map[string]string{
		"GRPC_ADDR": "127.0.0.1:0", "ADMIN_ADDR": "127.0.0.1:0", "DATABASE_URL": url,
		"SIGNING_KEY_FILE": filepath.Join(dir, devca.SigningKeyFile),
		"TLS_CERT_FILE":    files.CertFile, "TLS_KEY_FILE": files.KeyFile, "TLS_CA_FILE": files.CAFile,
		"ADMIN_EMAIL": "Admin@shop.example", "ADMIN_PASSWORD": "kettle-omnibus",
	} {
		t.Setenv(name, value)
	}
	return dir
}

// The program itself, from an empty database to a signed-in admin and a clean stop.
func TestProgram(t *testing.T) {
	url := pgtest.URL(t, empty)
	dir := environment(t, url)
	for _, want := range []string{"admin created", "the admin exists already"} {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"bootstrap-admin"}, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "kettle-omnibus") {
			t.Errorf("log %q, want %q and no password", out.String(), want)
		}
		t.Setenv("DATABASE_URL", url) // the program takes secrets out of its environment
		t.Setenv("ADMIN_PASSWORD", "kettle-omnibus")
	}

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

	source, err := mtls.Load(devca.Files(dir, "api-gateway"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: "user-service", Target: target, TLS: source, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	login, err := userv1.NewAuthServiceClient(conn).Login(t.Context(),
		&userv1.LoginRequest{Email: "admin@shop.example", Password: "kettle-omnibus"})
	if err != nil {
		t.Fatal(err)
	}
	signedIn := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+login.GetTokens().GetAccessToken())
	got, err := userv1.NewUserServiceClient(conn).GetUser(signedIn, &userv1.GetUserRequest{UserId: login.GetUser().GetId()})
	if err != nil || got.GetUser().GetRole() != userv1.Role_ROLE_ADMIN {
		t.Errorf("user %v, error %v; want the admin", got.GetUser().GetId(), err)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
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
	environment(t, pgtest.URL(t, empty))
	tests := []struct {
		name, args, variable, value, want string
	}{
		{"no database", "", "DATABASE_URL", "", "DATABASE_URL"},
		{"no key", "", "SIGNING_KEY_FILE", filepath.Join(t.TempDir(), "absent.pem"), "SIGNING_KEY_FILE"},
		{"a key that is none", "", "SIGNING_KEY_FILE", "main_test.go", "SIGNING_KEY_FILE"},
		{"no certificate", "", "TLS_CERT_FILE", "absent.pem", "absent.pem"},
		{"a common password", "bootstrap-admin", "ADMIN_PASSWORD", "password1", "password: is too well known"},
		{"no address", "bootstrap-admin", "ADMIN_EMAIL", "admin", "email: must be"},
		{"no such command", "dance", "LOG_LEVEL", "info", "usage"},
		{"half a limit", "", "RATE_LIMIT", "perhaps", "RATE_LIMIT"},
		{"no such level", "", "LOG_LEVEL", "loud", "LOG_LEVEL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, pgtest.URL(t, empty))
			t.Setenv(tt.variable, tt.value)
			var args []string
			if tt.args != "" {
				args = []string{tt.args}
			}
			err := run(t.Context(), args, io.Discard)
			if err == nil || !strings.Contains(explain(err), tt.want) {
				t.Fatalf("error %v, want one that says %q", err, tt.want)
			}
			if strings.Contains(explain(err), "password1") {
				t.Errorf("the error repeats the password: %v", err)
			}
		})
	}
}
