package mtls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"shop.example/platform/devca"
	"shop.example/platform/mtls"
)

// authority is a folder with certificates for the given services.
func authority(t *testing.T, services ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := devca.Create(dir, services); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t *testing.T, files mtls.Files) *mtls.Source {
	t.Helper()
	s, err := mtls.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// handshake returns what each side saw, and the errors of both.
func handshake(t *testing.T, server, client *tls.Config) (serverState, clientState tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	s, c := tls.Server(a, server), tls.Client(b, client)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if serverErr = s.HandshakeContext(ctx); serverErr == nil {
			_, serverErr = s.Write([]byte("x")) // with TLS 1.3 the client learns of a refusal by reading
		}
		_ = a.Close()
	}()
	if clientErr = c.HandshakeContext(ctx); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1))
	}
	_ = b.Close()
	<-done
	return s.ConnectionState(), c.ConnectionState(), serverErr, clientErr
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	dir, stranger := authority(t, "order-service", "cart-service"), authority(t, "order-service", "cart-service")
	order, cart := load(t, devca.Files(dir, "order-service")), load(t, devca.Files(dir, "cart-service"))
	strangeCart := load(t, devca.Files(stranger, "cart-service"))

	withoutCertificate := order.ClientTLS("cart-service")
	withoutCertificate.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	old := order.ClientTLS("cart-service")
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12

	tests := []struct {
		name           string
		server, client *tls.Config
		ok             bool
	}{
		{"the service that was meant", cart.ServerTLS(), order.ClientTLS("cart-service"), true},
		{"another service than was meant", cart.ServerTLS(), order.ClientTLS("user-service"), false},
		{"a name that cannot be", cart.ServerTLS(), order.ClientTLS("../cart-service"), false},
		{"a server of another CA", strangeCart.ServerTLS(), order.ClientTLS("cart-service"), false},
		{"a client of another CA", order.ServerTLS(), strangeCart.ClientTLS("order-service"), false},
		{"a client without certificate", cart.ServerTLS(), withoutCertificate, false},
		{"TLS 1.2", cart.ServerTLS(), old, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state, _, serverErr, clientErr := handshake(t, tt.server, tt.client)
			if ok := errors.Join(serverErr, clientErr) == nil; ok != tt.ok {
				t.Fatalf("accepted = %v, want %v (server: %v, client: %v)", ok, tt.ok, serverErr, clientErr)
			}
			if !tt.ok {
				return
			}
			ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: state}})
			if got, ok := mtls.PeerService(ctx); !ok || got != "order-service" {
				t.Errorf("PeerService = %q, %v, want order-service", got, ok)
			}
		})
	}
}

func TestPeerServiceWithoutProof(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{
		"no peer":        t.Context(),
		"no TLS":         peer.NewContext(t.Context(), &peer.Peer{}),
		"no certificate": peer.NewContext(t.Context(), &peer.Peer{AuthInfo: credentials.TLSInfo{}}),
	} {
		if got, ok := mtls.PeerService(ctx); ok || got != "" {
			t.Errorf("%s: PeerService = %q, %v, want none", name, got, ok)
		}
	}
}

// New files are used by the next handshake; broken ones are not.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := authority(t, "order-service", "cart-service")
	clock := time.Now()
	loadAt := func(service string) *mtls.Source {
		t.Helper()
		s, err := mtls.LoadAt(devca.Files(dir, service), func() time.Time { return clock })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	order, cart := loadAt("order-service"), loadAt("cart-service")
	serial := func() string {
		t.Helper()
		clock = clock.Add(2 * time.Second) // the files are looked at again
		_, state, serverErr, clientErr := handshake(t, cart.ServerTLS(), order.ClientTLS("cart-service"))
		if err := errors.Join(serverErr, clientErr); err != nil {
			t.Fatal(err)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	if again := serial(); again != first {
		t.Errorf("the certificate changed though the files did not: %s, %s", first, again)
	}

	remove(t, devca.CertFile(dir, "cart-service"))
	if got := serial(); got != first {
		t.Errorf("serial with a missing file = %s, want the old one %s", got, first)
	}
	if err := os.WriteFile(devca.CertFile(dir, "cart-service"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != first {
		t.Errorf("serial with a broken file = %s, want the old one %s", got, first)
	}
	if err := devca.Create(dir, []string{"cart-service"}); err != nil {
		t.Fatal(err)
	}
	second := serial()
	if second == first {
		t.Error("the new certificate is not used")
	}

	// Within the second the files are not looked at.
	if err := os.WriteFile(devca.CertFile(dir, "cart-service"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := devca.Create(dir, []string{"cart-service"}); err != nil {
		t.Fatal(err)
	}
	_, state, _, _ := handshake(t, cart.ServerTLS(), order.ClientTLS("cart-service"))
	if got := state.PeerCertificates[0].SerialNumber.String(); got != second {
		t.Error("the files were read again within a second")
	}

	// A new CA, and all certificates with it.
	remove(t, filepath.Join(dir, devca.CAKeyFile))
	if err := devca.Create(dir, []string{"order-service", "cart-service"}); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got == second {
		t.Error("the certificate of the new CA is not used")
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir, other := authority(t, "order-service", "cart-service"), authority(t, "order-service")
	good := devca.Files(dir, "order-service")
	tests := []struct {
		name  string
		files mtls.Files
		want  string
	}{
		{"nothing given", mtls.Files{}, "tls identity"},
		{"no such file", mtls.Files{CertFile: good.CertFile, KeyFile: filepath.Join(dir, "none"), CAFile: good.CAFile}, "no such file"},
		{"the key of another", mtls.Files{CertFile: good.CertFile, KeyFile: devca.KeyFile(dir, "cart-service"), CAFile: good.CAFile}, "does not match"},
		{"another CA", mtls.Files{CertFile: good.CertFile, KeyFile: good.KeyFile, CAFile: filepath.Join(other, devca.CAFile)}, "not accepted by the CA"},
		{"no SPIFFE id", mtls.Files{CertFile: good.CAFile, KeyFile: filepath.Join(dir, devca.CAKeyFile), CAFile: good.CAFile}, "load the certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := mtls.Load(tt.files); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one that says %q", err, tt.want)
			}
		})
	}
}

func TestService(t *testing.T) {
	t.Parallel()
	s := load(t, devca.Files(authority(t, "order-service"), "order-service"))
	if got := s.Service(); got != "order-service" {
		t.Errorf("Service() = %q, want order-service", got)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
