// Package devca makes the keys and certificates of a development or test run: a certificate authority, a certificate per
// service, the keys that sign access tokens and guests' cart tokens, and the key for the test payment provider. Production
// gets its own from elsewhere; the files there look the same.
package devca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"shop.example/platform/mtls"
)

// Names of the files in the folder, besides <service>.pem and <service>-key.pem.
const (
	CAFile         = "ca.pem"
	CAKeyFile      = "ca-key.pem"
	SigningKeyFile = "signing.pem"     // PKCS#8 Ed25519, signs access tokens
	CartKeyFile    = "cart-token.key"  // 32 random bytes in base64url, signs guests' cart tokens
	TestpayKeyFile = "testpay-api-key" // text, without a line break
	// TestpayWebhookFile is what the test payment provider signs its events with, in the form of Standard Webhooks.
	TestpayWebhookFile = "testpay-webhook-secret"
	// WebhookFile is what the secrets of webhook endpoints are derived from; text, without a line break.
	WebhookFile = "webhook-secret"
)

const (
	caLifetime   = 5 * 365 * 24 * time.Hour // as long as a development machine may live
	leafLifetime = 90 * 24 * time.Hour      // as short as in production, so that renewal is a daily thing here too
	// renewBefore is how much of a certificate must be left for it to be kept: nobody leaves a stack running for a month.
	renewBefore = 30 * 24 * time.Hour
	// clockSkew lets a certificate be used at once in a container whose clock is behind.
	clockSkew = 5 * time.Minute
)

// CertFile is the path of the certificate of a service in dir.
func CertFile(dir, service string) string { return filepath.Join(dir, service+".pem") }

// KeyFile is the path of the private key of a service in dir.
func KeyFile(dir, service string) string { return filepath.Join(dir, service+"-key.pem") }

// Files are the files that give a service its identity.
func Files(dir, service string) mtls.Files {
	return mtls.Files{CertFile: CertFile(dir, service), KeyFile: KeyFile(dir, service), CAFile: filepath.Join(dir, CAFile)}
}

// serviceName is what can be a SPIFFE path segment, a DNS label and a file name at once.
var serviceName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Create makes what is missing in dir, and keeps what is there and good: the authority and certificates that are valid for
// another 30 days and belong together, and the keys. It may be called on every start. Each file is replaced as a whole, so
// that a running process can read it at any time; two calls at once on one folder are not meant to be.
//
// The folder is made for its owner only (0700), private keys too (0600).
func Create(dir string, services []string) error {
	for _, s := range services {
		if !serviceName.MatchString(s) || slices.Contains([]string{"ca", "signing"}, s) || strings.HasSuffix(s, "-key") {
			return fmt.Errorf("create development certificates: %q cannot be the name of a service", s)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create development certificates: %w", err)
	}
	now := time.Now()
	ca, err := ensureCA(dir, now)
	if err != nil {
		return fmt.Errorf("create the development CA: %w", err)
	}
	for _, s := range services {
		if err := ensureLeaf(dir, s, ca, now); err != nil {
			return fmt.Errorf("create the certificate of %s: %w", s, err)
		}
	}
	if err := ensureSigningKey(filepath.Join(dir, SigningKeyFile)); err != nil {
		return fmt.Errorf("create the signing key: %w", err)
	}
	if err := ensureRandom(filepath.Join(dir, CartKeyFile), base64.RawURLEncoding.EncodeToString); err != nil {
		return fmt.Errorf("create the key of cart tokens: %w", err)
	}
	if err := ensureRandom(filepath.Join(dir, TestpayKeyFile), base64.RawURLEncoding.EncodeToString); err != nil {
		return fmt.Errorf("create the key of the test payment provider: %w", err)
	}
	if err := ensureRandom(filepath.Join(dir, TestpayWebhookFile), webhookSecret); err != nil {
		return fmt.Errorf("create the webhook secret of the test payment provider: %w", err)
	}
	if err := ensureRandom(filepath.Join(dir, WebhookFile), base64.RawURLEncoding.EncodeToString); err != nil {
		return fmt.Errorf("create the secret of webhook endpoints: %w", err)
	}
	return nil
}

// pair is a certificate with its private key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func ensureCA(dir string, now time.Time) (pair, error) {
	certFile, keyFile := filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile)
	if ca, ok := readPair(certFile, keyFile); ok && ca.cert.IsCA && lasts(ca.cert, now) {
		return ca, nil
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "shop development CA"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // signs leaves only
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		// Whoever gets hold of this key can make services of the shop, and nothing for anyone else's trust domain.
		PermittedURIDomains: []string{mtls.TrustDomain},
	}
	return issue(certFile, keyFile, template, pair{})
}

// Renew makes new certificates and keys for services, signed by the authority in dir, whatever is there now. at is when they
// are made: now, or another time for a certificate that is, say, over.
func Renew(dir string, services []string, at time.Time) error {
	ca, ok := readPair(filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile))
	if !ok {
		return fmt.Errorf("renew development certificates: there is no authority in %s", dir)
	}
	for _, s := range services {
		if _, err := issue(CertFile(dir, s), KeyFile(dir, s), leaf(s, ca, at), ca); err != nil {
			return fmt.Errorf("renew the certificate of %s: %w", s, err)
		}
	}
	return nil
}

// leaf is the certificate of a service to be.
func leaf(service string, ca pair, now time.Time) *x509.Certificate {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: service},
		NotBefore: now.Add(-clockSkew),
		NotAfter:  now.Add(leafLifetime),
		KeyUsage:  x509.KeyUsageDigitalSignature,
		// Every service is a client of others.
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: mtls.TrustDomain, Path: "/" + service}},
		// For tools that verify names, as curl does; services look at the id only.
		DNSNames:    []string{service, "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}
	return template
}

func ensureLeaf(dir, service string, ca pair, now time.Time) error {
	template := leaf(service, ca, now)
	certFile, keyFile := CertFile(dir, service), KeyFile(dir, service)
	if old, ok := readPair(certFile, keyFile); ok && lasts(old.cert, now) && old.cert.CheckSignatureFrom(ca.cert) == nil && sameNames(old.cert, template) {
		return nil
	}
	_, err := issue(certFile, keyFile, template, ca)
	return err
}

func lasts(cert *x509.Certificate, now time.Time) bool {
	return now.After(cert.NotBefore) && now.Add(renewBefore).Before(cert.NotAfter)
}

func sameNames(a, b *x509.Certificate) bool {
	return slices.EqualFunc(a.URIs, b.URIs, func(x, y *url.URL) bool { return x.String() == y.String() }) &&
		slices.Equal(a.DNSNames, b.DNSNames) &&
		slices.EqualFunc(a.IPAddresses, b.IPAddresses, net.IP.Equal)
}

// issue makes a key and a certificate for it, signed by the parent, or by itself if that is empty, and writes both.
func issue(certFile, keyFile string, template *x509.Certificate, parent pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return pair{}, err
	}
	if parent.cert == nil {
		parent = pair{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	if err != nil {
		return pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return pair{}, err
	}
	// The key first: a process that reloads in between sees a pair that does not match and waits for the other half.
	if err := writeKey(keyFile, key); err != nil {
		return pair{}, err
	}
	if err := write(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return pair{}, err
	}
	return pair{cert: cert, key: key}, nil
}

// readPair returns false for files that are missing, broken or do not belong together: they are made anew.
func readPair(certFile, keyFile string) (pair, bool) {
	key, ok := readKey(keyFile)
	if !ok {
		return pair{}, false
	}
	block, ok := readPEM(certFile, "CERTIFICATE")
	if !ok {
		return pair{}, false
	}
	cert, err := x509.ParseCertificate(block)
	if err != nil {
		return pair{}, false
	}
	public, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return pair{}, false
	}
	return pair{cert: cert, key: key}, true
}

func readKey(file string) (crypto.Signer, bool) {
	block, ok := readPEM(file, "PRIVATE KEY")
	if !ok {
		return nil, false
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return nil, false
	}
	signer, ok := key.(crypto.Signer)
	return signer, ok
}

func readPEM(file, kind string) ([]byte, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, false
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != kind {
		return nil, false
	}
	return block.Bytes, true
}

func ensureSigningKey(file string) error {
	if key, ok := readKey(file); ok {
		if _, ok := key.(ed25519.PrivateKey); ok {
			return nil
		}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	return writeKey(file, key)
}

func ensureRandom(file string, encode func([]byte) string) error {
	text, err := os.ReadFile(file)
	if err == nil && len(bytes.TrimSpace(text)) > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	secret := make([]byte, 32) // 256 bits: not to be guessed
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	return write(file, []byte(encode(secret)), 0o600)
}

// webhookSecret writes a secret as Standard Webhooks do.
func webhookSecret(secret []byte) string { return "whsec_" + base64.StdEncoding.EncodeToString(secret) }

func writeKey(file string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return write(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// write replaces a file as a whole: who reads it sees the old content or the new one.
func write(file string, content []byte, mode fs.FileMode) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // made with 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
