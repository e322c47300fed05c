package certfile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// write makes a certificate with a serial number, valid for a day around now, or as long as is given.
func write(t *testing.T, files Files, serial int64, validity ...time.Time) {
	t.Helper()
	if validity == nil {
		validity = []time.Time{time.Now().Add(-time.Hour), time.Now().Add(24 * time.Hour)}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: validity[0], NotAfter: validity[1], DNSNames: []string{"shop.test"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		files.CertFile: {Type: "CERTIFICATE", Bytes: certificate}, files.KeyFile: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func newFiles(t *testing.T) Files {
	t.Helper()
	folder := t.TempDir()
	return Files{CertFile: filepath.Join(folder, "cert.pem"), KeyFile: filepath.Join(folder, "key.pem")}
}

func TestReload(t *testing.T) {
	t.Parallel()
	files := newFiles(t)
	write(t, files, 1)
	var (
		log   bytes.Buffer
		later atomic.Int64 // seconds after now
	)
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load()) * time.Second) }
	source, err := Load(files, slog.New(slog.NewTextHandler(&log, nil)), now)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		later.Add(2)
		certificate, err := source.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return certificate.Leaf.SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Fatalf("it serves %d", n)
	}
	write(t, files, 2)
	if n := serial(); n != 2 {
		t.Errorf("after the change it serves %d", n)
	}
	if err := os.WriteFile(files.KeyFile, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if n := serial(); n != 2 {
			t.Errorf("with a broken key it serves %d", n)
		}
	}
	if n := strings.Count(log.String(), "not reloaded"); n != 1 {
		t.Errorf("the broken key is in the log %d times", n)
	}
	write(t, files, 3, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute))
	if n := serial(); n != 2 {
		t.Errorf("it serves the ended certificate %d", n)
	}
	os.Remove(files.CertFile)
	if n := serial(); n != 2 {
		t.Errorf("without its file it serves %d", n)
	}
	write(t, files, 4)
	if n := serial(); n != 4 {
		t.Errorf("after the repair it serves %d", n)
	}
	if strings.Contains(log.String(), "half a key") {
		t.Error("the key is in the log")
	}
}

func TestMistakesStopTheStart(t *testing.T) {
	t.Parallel()
	load := func(f Files) error {
		_, err := Load(f, slog.New(slog.DiscardHandler), time.Now)
		return err
	}
	ended, foreign, other := newFiles(t), newFiles(t), newFiles(t)
	write(t, ended, 1, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute))
	write(t, foreign, 1)
	write(t, other, 1)
	for name, f := range map[string]Files{
		"no files": newFiles(t), "an ended certificate": ended,
		"another's key": {CertFile: foreign.CertFile, KeyFile: other.KeyFile},
	} {
		if err := load(f); err == nil || !strings.Contains(err.Error(), f.CertFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, half := range []Files{{CertFile: "x"}, {KeyFile: "x"}} {
		if half.Validate() == nil || half.Given() {
			t.Errorf("%+v is taken", half)
		}
	}
}

func TestOnlyModernTLS(t *testing.T) {
	t.Parallel()
	files := newFiles(t)
	write(t, files, 1)
	source, err := Load(files, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = source.Config()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	server.StartTLS()
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		config *tls.Config
		good   bool
	}{
		"TLS 1.3":          {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"TLS 1.2":          {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"TLS 1.2 with CBC": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		"TLS 1.1":          {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
	} {
		c.config.InsecureSkipVerify = true
		transport := &http.Transport{TLSClientConfig: c.config}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		transport.CloseIdleConnections()
	}
}
