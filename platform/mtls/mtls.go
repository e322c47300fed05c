// Package mtls gives a service its identity towards the others: mutual TLS with SPIFFE ids, spiffe://shop.example/<service>.
//
// Keys and certificates come from files, which may be replaced while the process runs. Whoever issues them (devca, a
// cluster's certificate manager, SPIRE's helper) only has to write new files before the old certificates end.
package mtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// TrustDomain is the domain of the ids of all services of the shop.
const TrustDomain = "shop.example"

var trustDomain = spiffeid.RequireTrustDomainFromString(TrustDomain)

// reloadInterval is how long files are believed without looking at them again. Three stats a second at most, however many
// handshakes there are; and a second more of an old certificate harms nobody.
const reloadInterval = time.Second

// Files says where a service's identity is. All are PEM; the certificate file holds the leaf first, then intermediates.
type Files struct {
	CertFile string `env:"TLS_CERT_FILE,required,notEmpty"`
	KeyFile  string `env:"TLS_KEY_FILE,required,notEmpty"`
	CAFile   string `env:"TLS_CA_FILE,required,notEmpty"`
}

// Source holds the identity of this process and whom it trusts, as the files say now.
type Source struct {
	files Files

	mu       sync.Mutex
	now      func() time.Time
	checked  time.Time // when the files were looked at last
	loaded   stamps    // of the files that svid and bundle come from
	lastFail string    // so that a broken file is logged once, not every second
	svid     *x509svid.SVID
	bundle   *x509bundle.Bundle
}

// Load reads the files and fails if they don't make an identity of the shop's trust domain: unreadable, a key that belongs
// to another certificate, a certificate that the CA did not sign or that is not valid now.
//
// From then on changed files are read again when they are needed. If the new ones are broken, or only half of them is there
// yet, the old identity stays in use and the reason is logged.
func Load(files Files) (*Source, error) {
	s := &Source{files: files, now: time.Now}
	if err := s.reload(); err != nil {
		return nil, err
	}
	s.checked = s.now()
	return s, nil
}

// Service is the name of this process according to its certificate.
func (s *Source) Service() string {
	svid, _ := s.current()
	name, _ := service(svid.ID)
	return name
}

// ServerTLS accepts clients that show a certificate of any service of the shop; who of them may call what is decided per
// method, by PeerService.
func (s *Source) ServerTLS() *tls.Config {
	config := tlsconfig.MTLSServerConfig(s, s, authorizeServices)
	config.MinVersion = tls.VersionTLS13 // both ends are ours
	// A resumed session would not verify the client's certificate again, whatever became of it meanwhile.
	config.SessionTicketsDisabled = true
	return config
}

// ClientTLS accepts only servers that show the certificate of the given service, at whatever address.
func (s *Source) ClientTLS(service string) *tls.Config {
	authorize := func(spiffeid.ID, [][]*x509.Certificate) error {
		return fmt.Errorf("%q is not the name of a service", service)
	}
	if id, err := spiffeid.FromSegments(trustDomain, service); err == nil {
		authorize = tlsconfig.AuthorizeID(id)
	}
	config := tlsconfig.MTLSClientConfig(s, s, authorize)
	config.MinVersion = tls.VersionTLS13
	return config
}

// PeerService returns the name of the service that makes the gRPC call of ctx; false if the caller did not prove to be one.
func PeerService(ctx context.Context) (string, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", false
	}
	// The handshake has verified this certificate; without one there was no mutual TLS.
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return "", false
	}
	id, err := x509svid.IDFromCert(info.State.PeerCertificates[0])
	if err != nil {
		return "", false
	}
	return service(id)
}

// service is the <service> of spiffe://shop.example/<service>.
func service(id spiffeid.ID) (string, bool) {
	name, ok := strings.CutPrefix(id.Path(), "/")
	if !ok || name == "" || strings.Contains(name, "/") || !id.MemberOf(trustDomain) {
		return "", false
	}
	return name, true
}

func authorizeServices(id spiffeid.ID, _ [][]*x509.Certificate) error {
	if _, ok := service(id); !ok {
		return fmt.Errorf("%s is not a service of %s", id, TrustDomain)
	}
	return nil
}

// GetX509SVID implements x509svid.Source.
func (s *Source) GetX509SVID() (*x509svid.SVID, error) {
	svid, _ := s.current()
	return svid, nil
}

// GetX509BundleForTrustDomain implements x509bundle.Source.
func (s *Source) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	_, bundle := s.current()
	return bundle.GetX509BundleForTrustDomain(td)
}

// current returns the identity, after a look at the files if the last one was long enough ago.
func (s *Source) current() (*x509svid.SVID, *x509bundle.Bundle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.checked) < reloadInterval {
		return s.svid, s.bundle
	}
	s.checked = now
	found, err := s.stat()
	if err == nil && found == s.loaded {
		return s.svid, s.bundle
	}
	if err == nil {
		err = s.reload()
	}
	switch {
	case err == nil:
		s.lastFail = ""
		slog.Info("tls identity reloaded", "spiffe_id", s.svid.ID.String(), "not_after", s.svid.Certificates[0].NotAfter)
	case err.Error() != s.lastFail:
		s.lastFail = err.Error()
		slog.Error("tls identity not reloaded, the old one stays in use", "error", err, "not_after", s.svid.Certificates[0].NotAfter)
	}
	return s.svid, s.bundle
}

// reload replaces the identity, or leaves it as it is and says why.
func (s *Source) reload() error {
	found, err := s.stat() // before reading: a change in between is seen as one next time
	if err != nil {
		return err
	}
	svid, err := x509svid.Load(s.files.CertFile, s.files.KeyFile)
	if err != nil {
		return fmt.Errorf("load the certificate %s with the key %s: %w", s.files.CertFile, s.files.KeyFile, err)
	}
	bundle, err := x509bundle.Load(trustDomain, s.files.CAFile)
	if err != nil {
		return fmt.Errorf("load the CA certificates %s: %w", s.files.CAFile, err)
	}
	if bundle.Empty() {
		return fmt.Errorf("load the CA certificates %s: there are none", s.files.CAFile)
	}
	if _, ok := service(svid.ID); !ok {
		return fmt.Errorf("the certificate %s is for %s, which is not a service of %s", s.files.CertFile, svid.ID, TrustDomain)
	}
	if _, _, err := x509svid.Verify(svid.Certificates, bundle); err != nil {
		return fmt.Errorf("the certificate %s is not accepted by the CA %s: %w", s.files.CertFile, s.files.CAFile, err)
	}
	s.svid, s.bundle, s.loaded = svid, bundle, found
	return nil
}

// stamps tells whether files were changed.
type stamps [3]struct {
	modified time.Time
	size     int64
}

func (s *Source) stat() (stamps, error) {
	var (
		found stamps
		errs  []error
	)
	for i, name := range []string{s.files.CertFile, s.files.KeyFile, s.files.CAFile} {
		info, err := os.Stat(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("tls file: %w", err))
			continue
		}
		found[i].modified, found[i].size = info.ModTime(), info.Size()
	}
	return found, errors.Join(errs...)
}
