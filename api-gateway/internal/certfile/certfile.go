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
	"os"
	"sync"
	"time"
)

// reloadInterval is how long files are believed without looking at them again: two stats a second at most, however many
// handshakes there are.
const reloadInterval = time.Second

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
	files Files
	log   *slog.Logger
	now   func() time.Time

	mu       sync.Mutex
	checked  time.Time // when the files were looked at last
	loaded   stamps    // of the files that the certificate comes from
	lastFail string    // so that a broken file is logged once, not every second
	current  *tls.Certificate
}

// Load reads the files, and fails if they don't hold a certificate that is valid now and its key. From then on they are read
// again when they have changed; while the new ones are broken, or only half of them is there, the old certificate stays in use.
func Load(files Files, log *slog.Logger, now func() time.Time) (*Source, error) {
	s := &Source{files: files, log: log, now: now}
	if err := s.reload(); err != nil {
		return nil, err
	}
	s.checked = now()
	return s, nil
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

func (s *Source) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.checked) < reloadInterval {
		return s.current, nil
	}
	s.checked = now
	found, err := s.stat()
	if err == nil && found == s.loaded {
		return s.current, nil
	}
	if err == nil {
		err = s.reload()
	}
	switch {
	case err == nil:
		s.lastFail = ""
		s.log.Info("certificate of the public port reloaded", "not_after", s.current.Leaf.NotAfter)
	case err.Error() != s.lastFail:
		s.lastFail = err.Error()
		s.log.Error("certificate of the public port not reloaded, the old one stays in use", "error", err, "not_after", s.current.Leaf.NotAfter)
	}
	return s.current, nil
}

// reload replaces the certificate, or leaves it as it is and says why.
func (s *Source) reload() error {
	found, err := s.stat() // before reading: a change in between is seen as one next time
	if err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(s.files.CertFile, s.files.KeyFile)
	if err != nil {
		return fmt.Errorf("load the certificate %s with the key %s: %w", s.files.CertFile, s.files.KeyFile, err)
	}
	if now := s.now(); now.Before(certificate.Leaf.NotBefore) || now.After(certificate.Leaf.NotAfter) {
		return fmt.Errorf("the certificate %s is valid from %s to %s, not now", s.files.CertFile,
			certificate.Leaf.NotBefore.Format(time.RFC3339), certificate.Leaf.NotAfter.Format(time.RFC3339))
	}
	s.current, s.loaded = &certificate, found
	return nil
}

// stamps tells whether files were changed.
type stamps [2]struct {
	modified time.Time
	size     int64
}

func (s *Source) stat() (stamps, error) {
	var (
		found stamps
		errs  []error
	)
	for i, name := range []string{s.files.CertFile, s.files.KeyFile} {
		info, err := os.Stat(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("certificate of the public port: %w", err))
			continue
		}
		found[i].modified, found[i].size = info.ModTime(), info.Size()
	}
	return found, errors.Join(errs...)
}
