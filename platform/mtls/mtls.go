// Package mtls gives a service its identity towards the others: mutual TLS with SPIFFE ids, spiffe://shop.example/<service>.
//
// Keys and certificates come from files, which may be replaced while the process runs. Whoever issues them (devca, a
// cluster's certificate manager, SPIRE's helper) only has to write new files before the old certificates end.
package mtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"shop.example/platform/livefile"
)

// TrustDomain is the domain of the ids of all services of the shop.
const TrustDomain = "shop.example"

var trustDomain = spiffeid.RequireTrustDomainFromString(TrustDomain)

// Files says where a service's identity is. All are PEM; the certificate file holds the leaf first, then intermediates.
type Files struct {
	CertFile string `env:"TLS_CERT_FILE,required,notEmpty"`
	KeyFile  string `env:"TLS_KEY_FILE,required,notEmpty"`
	CAFile   string `env:"TLS_CA_FILE,required,notEmpty"`
}

// Source holds the identity of this process and whom it trusts, as the files say now.
type Source struct{ files *livefile.Value[identity] }

// identity is what the files make.
type identity struct {
	svid   *x509svid.SVID
	bundle *x509bundle.Bundle
}

// Load reads the files and fails if they don't make an identity of the shop's trust domain: unreadable, a key that belongs
// to another certificate, a certificate that the CA did not sign or that is not valid now.
//
// From then on changed files are read again when they are needed. If the new ones are broken, or only half of them is there
// yet, the old identity stays in use and the reason is logged.
func Load(files Files) (*Source, error) { return loadAt(files, time.Now) }

// loadAt is Load with a clock.
func loadAt(files Files, now func() time.Time) (*Source, error) {
	value, err := livefile.Open(livefile.Options[identity]{
		Name: "tls identity", Files: []string{files.CertFile, files.KeyFile, files.CAFile},
		Load: func() (identity, error) { return read(files) },
		Describe: func(i identity) []any {
			return []any{"spiffe_id", i.svid.ID.String(), "not_after", i.svid.Certificates[0].NotAfter}
		},
		Log: slog.Default(), Now: now,
	})
	if err != nil {
		return nil, err
	}
	return &Source{value}, nil
}

// Service is the name of this process according to its certificate.
func (s *Source) Service() string {
	name, _ := service(s.files.Get().svid.ID)
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
func (s *Source) GetX509SVID() (*x509svid.SVID, error) { return s.files.Get().svid, nil }

// GetX509BundleForTrustDomain implements x509bundle.Source.
func (s *Source) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return s.files.Get().bundle.GetX509BundleForTrustDomain(td)
}

// read makes an identity of the files, or says what is wrong with them.
func read(files Files) (identity, error) {
	svid, err := x509svid.Load(files.CertFile, files.KeyFile)
	if err != nil {
		return identity{}, fmt.Errorf("load the certificate %s with the key %s: %w", files.CertFile, files.KeyFile, err)
	}
	bundle, err := x509bundle.Load(trustDomain, files.CAFile)
	if err != nil {
		return identity{}, fmt.Errorf("load the CA certificates %s: %w", files.CAFile, err)
	}
	if bundle.Empty() {
		return identity{}, fmt.Errorf("load the CA certificates %s: there are none", files.CAFile)
	}
	if _, ok := service(svid.ID); !ok {
		return identity{}, fmt.Errorf("the certificate %s is for %s, which is not a service of %s", files.CertFile, svid.ID, TrustDomain)
	}
	if _, _, err := x509svid.Verify(svid.Certificates, bundle); err != nil {
		return identity{}, fmt.Errorf("the certificate %s is not accepted by the CA %s: %w", files.CertFile, files.CAFile, err)
	}
	return identity{svid, bundle}, nil
}
