// Package certfile serves the certificate of the public port from files that may be replaced while the process runs.
//
// platform/mtls does the same for the identity between services, which is another matter: that one has SPIFFE ids and its own
// CA, this one a name that browsers know and a CA that they trust.
package certfile

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"shop.example/platform/livefile"
)

// Files says where the certificate is, in PEM: the leaf first, then intermediates. Without either, there is no TLS.
type Files struct {
	CertFile string `env:"HTTP_TLS_CERT_FILE"`
	KeyFile  string `env:"HTTP_TLS_KEY_FILE"`
}

// Given reports whether there is to be TLS.
func (f Files) Given() bool { return f.CertFile != "" && f.KeyFile != "" }

// Validate refuses half of a pair: plain HTTP would be served where somebody wanted TLS.
func (f Files) Validate() error {
	if (f.CertFile == "") != (f.KeyFile == "") {
		return errors.New("HTTP_TLS_CERT_FILE and HTTP_TLS_KEY_FILE must be set together, or neither")
	}
	return nil
}

// Source holds the certificate as the files have it now.
type Source struct {
	files *livefile.Value[*tls.Certificate]
}

// Load reads the files, and fails if they don't hold a certificate that is valid now and its key. From then on they are read
// again when they have changed; while the new ones are broken, or only half of them is there, the old certificate stays in use.
func Load(files Files, log *slog.Logger, now func() time.Time) (*Source, error) {
	value, err := livefile.Open(livefile.Options[*tls.Certificate]{
		Name: "certificate of the public port", Files: []string{files.CertFile, files.KeyFile},
		Load:     func() (*tls.Certificate, error) { return read(files, now()) },
		Describe: func(c *tls.Certificate) []any { return []any{"not_after", c.Leaf.NotAfter} },
		Log:      log, Now: now,
	})
	if err != nil {
		return nil, err
	}
	return &Source{value}, nil
}

// Config is for a server: TLS 1.2 and later, and of 1.2 only the suites with forward secrecy and authenticated encryption.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		GetCertificate: s.get,
		MinVersion:     tls.VersionTLS12,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
}

func (s *Source) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.files.Get(), nil }

// read makes a certificate of the files, or says what is wrong with them.
func read(files Files, now time.Time) (*tls.Certificate, error) {
	certificate, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the certificate %s with the key %s: %w", files.CertFile, files.KeyFile, err)
	}
	if now.Before(certificate.Leaf.NotBefore) || now.After(certificate.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate %s is valid from %s to %s, not now", files.CertFile,
			certificate.Leaf.NotBefore.Format(time.RFC3339), certificate.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &certificate, nil
}
