package devca

import (
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"shop.example/platform/mtls"
)

var services = []string{"user-service", "order-service"}

// content returns the files of a folder.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

// changed returns the names of files that differ.
func changed(before, after map[string]string) map[string]bool {
	names := map[string]bool{}
	for name := range after {
		if before[name] != after[name] {
			names[name] = true
		}
	}
	return names
}

func create(t *testing.T, dir string, services []string) map[string]string {
	t.Helper()
	if err := Create(dir, services); err != nil {
		t.Fatal(err)
	}
	return content(t, dir)
}

func TestCreate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	create(t, dir, services)

	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder = %v (%v), want 0700", info.Mode(), err)
	}
	modes := map[string]os.FileMode{}
	for name := range content(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		modes[name] = info.Mode().Perm()
	}
	want := map[string]os.FileMode{
		"ca.pem": 0o644, "ca-key.pem": 0o600,
		"user-service.pem": 0o644, "user-service-key.pem": 0o600,
		"order-service.pem": 0o644, "order-service-key.pem": 0o600,
		"signing.pem": 0o600, "cart-token.key": 0o600, "testpay-api-key": 0o600, "testpay-webhook-secret": 0o600, "webhook-secret": 0o600,
	}
	if diff := cmp.Diff(want, modes); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	secret, err := os.ReadFile(filepath.Join(dir, TestpayWebhookFile))
	if err != nil {
		t.Fatal(err)
	}
	encoded, ok := strings.CutPrefix(string(secret), "whsec_")
	if raw, err := base64.StdEncoding.DecodeString(encoded); !ok || err != nil || len(raw) != 32 {
		t.Errorf("the webhook secret is not whsec_ and base64 of 32 bytes: %v", err)
	}

	for _, s := range services {
		leaf, ok := readPair(CertFile(dir, s), KeyFile(dir, s))
		if !ok {
			t.Fatalf("%s: no certificate with its key", s)
		}
		bundle, err := x509bundle.Load(spiffeid.RequireTrustDomainFromString(mtls.TrustDomain), filepath.Join(dir, CAFile))
		if err != nil {
			t.Fatal(err)
		}
		id, _, err := x509svid.Verify([]*x509.Certificate{leaf.cert}, bundle)
		if err != nil || id.String() != "spiffe://shop.example/"+s {
			t.Errorf("id = %s, %v, want spiffe://shop.example/%s", id, err, s)
		}
		roots := x509.NewCertPool()
		roots.AddCert(bundle.X509Authorities()[0])
		for _, name := range []string{s, "localhost", "127.0.0.1", "::1"} { // as curl would
			if _, err := leaf.cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("%s is not accepted as %s: %v", s, name, err)
			}
		}
		if left := time.Until(leaf.cert.NotAfter); left < 89*24*time.Hour || left > 90*24*time.Hour {
			t.Errorf("%s is valid for %v, want 90 days", s, left)
		}
	}
}

func TestCreateKeepsWhatIsGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := create(t, dir, services)
	if got := changed(first, create(t, dir, services)); len(got) != 0 {
		t.Errorf("a second call changed %v", got)
	}
	want := map[string]bool{"cart-service.pem": true, "cart-service-key.pem": true}
	if diff := cmp.Diff(want, changed(first, create(t, dir, append(services, "cart-service")))); diff != "" {
		t.Errorf("changed by one more service (-want +got):\n%s", diff)
	}
}

func TestCreateRenews(t *testing.T) {
	t.Parallel()
	user := map[string]bool{"user-service.pem": true, "user-service-key.pem": true}
	all := map[string]bool{"ca.pem": true, "ca-key.pem": true, "user-service.pem": true, "user-service-key.pem": true,
		"order-service.pem": true, "order-service-key.pem": true}
	// age makes the certificate of user-service as Create would have made it back then.
	age := func(t *testing.T, dir string, by time.Duration) {
		t.Helper()
		ca, ok := readPair(filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile))
		if !ok {
			t.Fatal("no CA")
		}
		if err := os.Remove(CertFile(dir, "user-service")); err != nil {
			t.Fatal(err)
		}
		if err := ensureLeaf(dir, "user-service", ca, time.Now().Add(-by)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		harm func(t *testing.T, dir string)
		want map[string]bool
	}{
		{"a certificate with 31 days left is kept", func(t *testing.T, dir string) { age(t, dir, 59*24*time.Hour) }, map[string]bool{}},
		{"a certificate with 29 days left", func(t *testing.T, dir string) { age(t, dir, 61*24*time.Hour) }, user},
		{"a broken key", func(t *testing.T, dir string) { overwrite(t, KeyFile(dir, "user-service"), "broken") }, user},
		{"another service's certificate", func(t *testing.T, dir string) {
			files := content(t, dir)
			overwrite(t, CertFile(dir, "user-service"), files["order-service.pem"])
			overwrite(t, KeyFile(dir, "user-service"), files["order-service-key.pem"])
		}, user},
		{"a lost CA key", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, CAKeyFile)); err != nil {
				t.Fatal(err)
			}
		}, all},
		{"a CA with 29 days left", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, CAFile)); err != nil {
				t.Fatal(err)
			}
			if _, err := ensureCA(dir, time.Now().Add(29*24*time.Hour-caLifetime)); err != nil {
				t.Fatal(err)
			}
		}, all},
		{"a broken signing key", func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, SigningKeyFile), "broken") },
			map[string]bool{"signing.pem": true}},
		{"an empty key of cart tokens", func(t *testing.T, dir string) { overwrite(t, filepath.Join(dir, CartKeyFile), "") },
			map[string]bool{"cart-token.key": true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			create(t, dir, services)
			tt.harm(t, dir)
			before := content(t, dir)
			if diff := cmp.Diff(tt.want, changed(before, create(t, dir, services))); diff != "" {
				t.Errorf("changed files (-want +got):\n%s", diff)
			}
			if _, err := mtls.Load(Files(dir, "user-service")); err != nil {
				t.Errorf("the result is no identity: %v", err)
			}
		})
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := create(t, dir, services)
	if err := Renew(dir, []string{"user-service"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"user-service.pem": true, "user-service-key.pem": true}
	if diff := cmp.Diff(want, changed(before, content(t, dir))); diff != "" {
		t.Errorf("changed files (-want +got):\n%s", diff)
	}
	if _, err := mtls.Load(Files(dir, "user-service")); err != nil {
		t.Errorf("the result is no identity: %v", err)
	}
	if err := Renew(dir, []string{"user-service"}, time.Now().Add(-leafLifetime)); err != nil {
		t.Fatal(err)
	}
	if _, err := mtls.Load(Files(dir, "user-service")); err == nil {
		t.Error("a certificate that is over is an identity")
	}
	if err := Renew(t.TempDir(), services, time.Now()); err == nil {
		t.Error("renewed without an authority")
	}
}

func TestKeysThatWereAddedAreKept(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	create(t, dir, services)
	file := filepath.Join(dir, SigningKeyFile)
	both := content(t, dir)[SigningKeyFile] + create(t, other, services)[SigningKeyFile]
	overwrite(t, file, both)
	if got := create(t, dir, services)[SigningKeyFile]; got != both {
		t.Error("Create changes a file of two signing keys")
	}
}

func TestCreateRefusesNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "ca", "signing", "../evil", "Upper", "a/b", "ca-key", "-x", "x-"} {
		if err := Create(t.TempDir(), []string{name}); err == nil {
			t.Errorf("Create accepted the service %q", name)
		}
	}
}

func overwrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
