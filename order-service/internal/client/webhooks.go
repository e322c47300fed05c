package client

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/idna"

	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

const (
	// WebhookTimeout bounds an attempt, answer included: a receiver only has to write the event down. A job has 15 s, so that
	// what came of it can be written down too.
	WebhookTimeout = 10 * time.Second
	// lookupTimeout bounds the look at a name when an endpoint is registered, while an admin waits.
	lookupTimeout = 3 * time.Second
	// maxReceipt is read of an answer, so that the connection can be used again; nothing of it is kept.
	maxReceipt = 64 << 10
	// maxURL is longer than any that is in use.
	maxURL = 2048
	// minWebhookMaster is the least length of the master secret, in characters: 32 of base64 are 24 bytes.
	minWebhookMaster = 32
	// endpointSecret is how many bytes sign the events of an endpoint: as many as the hash has.
	endpointSecret = 32
)

// errNotPublic is what a connection is refused with that would not leave for the internet.
var errNotPublic = errors.New("the address is not a public one")

// Webhooks sends events to the endpoints of others, who may have ill intent: an endpoint must not reach what only the shop can
// reach. So every connection is made to a public address only, whatever its name resolves to at that moment.
type Webhooks struct {
	master       []byte
	allowPrivate bool
	resolver     *net.Resolver
	client       *http.Client
}

// NewWebhooks returns a sender. The secrets of all endpoints are derived from the master secret. With allowPrivate, which is for
// a shop on a developer's machine, events may go anywhere, and without TLS.
func NewWebhooks(master string, allowPrivate bool, resolver *net.Resolver) (*Webhooks, error) {
	if len(master) < minWebhookMaster {
		return nil, fmt.Errorf("it must have at least %d characters", minWebhookMaster)
	}
	w := &Webhooks{master: []byte(master), allowPrivate: allowPrivate, resolver: resolver}
	dialer := &net.Dialer{Timeout: WebhookTimeout, Resolver: resolver, ControlContext: w.control}
	w.client = &http.Client{
		Timeout: WebhookTimeout,
		// An answer that leads elsewhere is no acceptance, and might lead anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:       nil, // whatever the environment says: a proxy would connect to what we must not
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			MaxIdleConns: 100, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxReceipt,
		},
	}
	return w, nil
}

// control sees the address of each connection, after the name was resolved and before anything is sent.
func (w *Webhooks) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if w.allowPrivate {
		return nil
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil || !public(target.Addr()) {
		return errNotPublic
	}
	return nil
}

// Check implements usecase.Targets. A name is looked up as well, so that an admin is told at once; what it resolves to later is
// looked at when something is sent.
func (w *Webhooks) Check(ctx context.Context, raw string) error {
	target, err := w.parse(raw)
	if err != nil || w.allowPrivate {
		return err
	}
	if addr, err := netip.ParseAddr(target.Hostname()); err == nil {
		return refuseUnlessPublic(addr)
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := w.resolver.LookupNetIP(ctx, "ip", target.Hostname())
	var failure *net.DNSError
	if errors.As(err, &failure) && failure.IsNotFound {
		return errNotReachable
	}
	for _, addr := range addrs { // none if nobody can be asked just now, which is no fault of the URL
		if err := refuseUnlessPublic(addr); err != nil {
			return err
		}
	}
	return nil
}

// errNotReachable is one for names that do not exist and for those that are not public: whoever registers endpoints must not
// learn which names there are inside.
var errNotReachable = invalidURL("must lead to a public address that exists")

func refuseUnlessPublic(addr netip.Addr) error {
	if !public(addr) {
		return errNotReachable
	}
	return nil
}

// parse reads the URL of an endpoint.
func (w *Webhooks) parse(raw string) (*url.URL, error) {
	target, err := url.Parse(raw)
	switch {
	case len(raw) > maxURL:
		return nil, invalidURL(fmt.Sprintf("must have at most %d characters", maxURL))
	case err != nil || target.Hostname() == "":
		return nil, invalidURL("must be a URL such as https://shop.example/events")
	case target.Scheme != "https" && (target.Scheme != "http" || !w.allowPrivate):
		return nil, invalidURL("must begin with https://")
	case target.User != nil:
		return nil, invalidURL("must not hold a user name or a password: events are signed")
	case target.Fragment != "":
		return nil, invalidURL("must not have a fragment")
	case !portFits(target.Port()):
		return nil, invalidURL("must have a port from 1 to 65535, or none")
	}
	if host := target.Hostname(); strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		// As it is looked up. What is ASCII stays as it is: names with underscores are none of IDNA, but there are some.
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return nil, invalidURL("must have a host name that DNS can hold")
		}
		target.Host = strings.Replace(target.Host, host, ascii, 1)
	}
	return target, nil
}

// portFits reports whether there is such a port; an empty one is the scheme's own.
func portFits(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func invalidURL(message string) error { return apperr.InvalidField("url", message) }

// SecretOf implements usecase.Secrets. The secret is kept nowhere: it is made of the master secret and the endpoint's id (RFC
// 5869), and who knows one of them knows no other.
func (w *Webhooks) SecretOf(endpointID uuid.UUID) (string, error) {
	key, err := w.key(endpointID)
	if err != nil {
		return "", err
	}
	return webhookSecretPrefix + base64.StdEncoding.EncodeToString(key), nil
}

func (w *Webhooks) key(endpointID uuid.UUID) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, w.master, nil, "webhook endpoint "+endpointID.String(), endpointSecret)
	if err != nil {
		return nil, fmt.Errorf("derive the secret of endpoint %s: %w", endpointID, err)
	}
	return key, nil
}

// Send implements usecase.Receivers.
func (w *Webhooks) Send(ctx context.Context, o usecase.Outgoing, at time.Time) (int, error) {
	target, err := w.parse(o.Endpoint.URL)
	if err != nil {
		return 0, err
	}
	key, err := w.key(o.Endpoint.ID)
	if err != nil {
		return 0, err
	}
	signer, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return 0, fmt.Errorf("make signer: %w", err)
	}
	id := o.Delivery.EventID.String()
	signature, err := signer.Sign(id, at, o.Body)
	if err != nil {
		return 0, fmt.Errorf("sign event %s: %w", id, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(o.Body))
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "shop-webhooks/1")
	request.Header.Set(standardwebhooks.HeaderWebhookID, id)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	response, err := w.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	// The status is the answer. What follows it is read for the sake of the connection, and may break off. After a 101 it is
	// the connection itself, which no timeout ends.
	if response.StatusCode >= http.StatusOK {
		_, _ = io.CopyN(io.Discard, response.Body, maxReceipt)
	}
	return response.StatusCode, nil
}

// ReasonOf implements usecase.Receivers. It tells nothing of what the shop's network looks like from within.
func (w *Webhooks) ReasonOf(err error) string {
	var (
		refused *apperr.Error
		dns     *net.DNSError
		network net.Error
		untrust *tls.CertificateVerificationError
		alert   tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.Is(err, errNotPublic) || errors.As(err, &dns) || errors.As(err, &refused) && refused.Kind == apperr.Invalid:
		return "the URL does not lead to a public address that exists, by https"
	case errors.As(err, &untrust) || errors.As(err, &unknown) || errors.As(err, &alert):
		return "there is no TLS connection that can be trusted"
	case errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("no answer within %d seconds", int(WebhookTimeout.Seconds()))
	default:
		return "no connection, or it broke off"
	}
}
