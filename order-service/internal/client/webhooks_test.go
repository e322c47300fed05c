package client

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/dns/dnsmessage"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

const webhookMaster = "a master secret of the tests, long enough"

// Names is a DNS server that answers what it is told, and changes its mind when it is told to.
type Names struct{ addr atomic.Pointer[netip.Addr] }

// Say has every name that ends in .example resolve to an address from now on.
func (n *Names) Say(addr string) {
	a := netip.MustParseAddr(addr)
	n.addr.Store(&a)
}

// resolver starts the server, and returns a resolver that asks it.
func (n *Names) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		packet := make([]byte, 512)
		for {
			size, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if answer, err := n.answer(packet[:size]); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (n *Names) answer(query []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return nil, err
	}
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	question, addr := message.Questions[0], n.addr.Load()
	header := dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class, TTL: 0}
	switch {
	case !strings.HasSuffix(question.Name.String(), ".example.") || addr == nil:
		message.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA && addr.Is4():
		message.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: addr.As4()}}}
	case question.Type == dnsmessage.TypeAAAA && addr.Is6():
		message.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}}}
	}
	return message.Pack()
}

func newWebhooks(t *testing.T, allowPrivate bool, resolver *net.Resolver) *Webhooks {
	t.Helper()
	w, err := NewWebhooks(webhookMaster, allowPrivate, resolver)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func wantURLRefused(t *testing.T, what string, err error) {
	t.Helper()
	e := apperr.From(err)
	if apperr.KindOf(err) != apperr.Invalid || len(e.Violations) != 1 || e.Violations[0].Location != "url" {
		t.Errorf("%s: %v, want it refused at url", what, err)
	}
}

// Nothing but what is the internet's is a target in production, however it is written.
func TestTargets(t *testing.T) {
	t.Parallel()
	names := new(Names)
	w := newWebhooks(t, false, names.resolver(t))
	for _, url := range []string{
		"https://127.0.0.1/", "https://127.0.0.1:8443/x", "https://127.8.8.8", "https://0.0.0.0", "https://10.1.2.3", "https://172.16.0.1",
		"https://192.168.1.1", "https://169.254.169.254/latest/meta-data", "https://100.64.0.1", "https://192.0.0.192", "https://198.18.0.1",
		"https://224.0.0.1", "https://255.255.255.255", "https://240.0.0.1", "https://203.0.113.7",
		"https://[::1]", "https://[::]", "https://[fe80::1]", "https://[fe80::1%25eth0]", "https://[fc00::1]", "https://[fd00:ec2::254]", "https://[ff02::1]",
		"https://[::ffff:127.0.0.1]", "https://[::ffff:a9fe:a9fe]", "https://[::127.0.0.1]", "https://[64:ff9b::7f00:1]", "https://[64:ff9b:1::a00:1]",
		"https://[2002:7f00:1::]", "https://[2001:0:7f00:1::]", "https://[2001:db8::1]", "https://[fec0::1]", "https://[100::1]", "https://[3fff::1]",
		"http://93.184.216.34", "ftp://93.184.216.34", "https://me@93.184.216.34", "https://me:pw@93.184.216.34", "https://93.184.216.34/#x",
		"https://", "https:///x", "93.184.216.34", "//93.184.216.34", "https://:443", "https://[::1", "https://93.184.216.34/" + strings.Repeat("x", 2048), "",
		"https://there-is.no-such-name", "https://93.184.216.34:0", "https://93.184.216.34:65536", "https://93.184.216.34:99999999999999999999",
	} {
		wantURLRefused(t, url, w.Check(t.Context(), url))
	}
	for _, url := range []string{"https://93.184.216.34", "https://93.184.216.34:8443/events?key=1", "https://93.184.216.34:65535", "https://93.184.216.34:/", "https://[2606:4700::1111]/x", "https://[::ffff:93.184.216.34]"} {
		if err := w.Check(t.Context(), url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	// A name is written as people do, or as DNS does.
	names.Say("93.184.216.34")
	for _, url := range []string{"https://b\u00fccher.example", "https://xn--bcher-kva.example", "https://_under.example"} {
		if err := w.Check(t.Context(), url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	wantURLRefused(t, "no name of DNS", w.Check(t.Context(), "https://b\u00fc_cher.example"))
	wantURLRefused(t, "an address in wide digits", w.Check(t.Context(), "https://\uff11\uff12\uff17.0.0.1"))
	for addr, good := range map[string]bool{"127.0.0.1": false, "169.254.169.254": false, "10.0.0.1": false, "::1": false, "fd00::1": false, "93.184.216.34": true, "2606:4700::1111": true} {
		names.Say(addr)
		if err := w.Check(t.Context(), "https://receiver.example/x"); good && err != nil {
			t.Errorf("a name of %s: %v", addr, err)
		} else if !good {
			wantURLRefused(t, "a name of "+addr, err)
		}
	}
	// An admin learns nothing of which names there are inside.
	names.Say("10.0.0.1")
	private, missing := w.Check(t.Context(), "https://inside.example"), w.Check(t.Context(), "https://there-is.no-such-name")
	if diff := cmp.Diff(apperr.From(private).Violations, apperr.From(missing).Violations); diff != "" {
		t.Errorf("what is private is told from what does not exist (-private +missing):\n%s", diff)
	}
	if private, missing := w.ReasonOf(errNotPublic), w.ReasonOf(&net.DNSError{IsNotFound: true}); private != missing {
		t.Errorf("the log of deliveries tells %q from %q", private, missing)
	}
	// Nobody answers: the URL may be good, and each connection is looked at.
	mute := newWebhooks(t, false, &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the network is down")
	}})
	if err := mute.Check(t.Context(), "https://receiver.example"); err != nil {
		t.Errorf("without DNS: %v", err)
	}
}

func TestLocalTargets(t *testing.T) {
	t.Parallel()
	w := newWebhooks(t, true, new(Names).resolver(t))
	for _, url := range []string{"http://127.0.0.1:9000/events", "http://localhost:1", "https://receiver.internal"} {
		if err := w.Check(t.Context(), url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"ftp://127.0.0.1", "http://me:pw@127.0.0.1", "receiver", "http://b\u00fc_cher.example"} {
		wantURLRefused(t, url, w.Check(t.Context(), url))
	}
}

func outgoing(url string) usecase.Outgoing {
	return usecase.Outgoing{
		Delivery: domain.Delivery{ID: uuid.New(), EventID: uuid.New()}, Endpoint: domain.Endpoint{ID: uuid.New(), EndpointTerms: domain.EndpointTerms{URL: url}},
		Body: []byte(`{"id":"1"}`),
	}
}

// A name that was public when it was registered and is not when something is sent leads nowhere: not one byte is sent.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	names := new(Names)
	w := newWebhooks(t, false, names.resolver(t))
	url := "https://receiver.example:" + port
	names.Say("93.184.216.34")
	if err := w.Check(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254"} {
		names.Say(addr)
		status, err := w.Send(t.Context(), outgoing(url), time.Now())
		if status != 0 || !errors.Is(err, errNotPublic) || !strings.Contains(w.ReasonOf(err), "public address") {
			t.Errorf("%s: %d, %v, %q", addr, status, err, w.ReasonOf(err))
		}
	}
	// Without TLS nothing is sent either, whatever the table of endpoints holds.
	if _, err := w.Send(t.Context(), outgoing("http://93.184.216.34"), time.Now()); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("without TLS: %v", err)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	// The same name with the door open: the test would notice a connection.
	open := newWebhooks(t, true, names.resolver(t))
	names.Say("127.0.0.1")
	if _, err := open.Send(t.Context(), outgoing(url), time.Now()); err == nil || calls.Load() == 0 {
		t.Errorf("the open door: %v, %d connections", err, calls.Load())
	}
}

// What is sent verifies with the secret that the admin was shown, by the library that receivers use.
func TestSend(t *testing.T) {
	t.Parallel()
	w := newWebhooks(t, true, net.DefaultResolver)
	var o usecase.Outgoing
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		secret, err := w.SecretOf(o.Endpoint.ID)
		if err != nil {
			t.Error(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Error(err)
		}
		if err := hook.Verify(body, r.Header); err != nil {
			t.Error(err)
		}
		if string(body) != string(o.Body) || r.Header.Get("webhook-id") != o.Delivery.EventID.String() || r.Header.Get("Content-Type") != "application/json" || r.Method != "POST" {
			t.Errorf("%s %v %s", r.Method, r.Header, body)
		}
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(rw, r, "/stolen", http.StatusTemporaryRedirect)
		case "/endless":
			rw.WriteHeader(http.StatusOK)
			for {
				if _, err := rw.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		default:
			rw.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close)
	for path, want := range map[string]int{"/events": 204, "/elsewhere": 307, "/endless": 200} {
		before, began := calls.Load(), time.Now()
		o = outgoing(server.URL + path)
		if status, err := w.Send(t.Context(), o, time.Now()); status != want || err != nil || calls.Load() != before+1 {
			t.Errorf("%s: %d, %v, %d calls; want %d and one", path, status, err, calls.Load()-before, want)
		}
		if took := time.Since(began); took > WebhookTimeout/2 {
			t.Errorf("%s took %v: no more than 64 KiB are read of an answer", path, took)
		}
	}
}

// A receiver that switches protocols gets a raw connection, which no timeout of HTTP ends: nothing is read from it.
func TestSendToWhoSwitchesProtocols(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	closed := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			closed <- err
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			closed <- err
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n"); err != nil {
			closed <- err
			return
		}
		_ = conn.SetReadDeadline(time.Now().Add(WebhookTimeout / 2))
		_, err = io.Copy(io.Discard, conn)
		closed <- err // nil at the end of the connection
	}()
	w := newWebhooks(t, true, net.DefaultResolver)
	if status, err := w.Send(t.Context(), outgoing("http://"+listener.Addr().String()), time.Now()); status != 101 || err != nil {
		t.Errorf("%d, %v, want 101", status, err)
	}
	if err := <-closed; err != nil {
		t.Errorf("the connection is not closed at once: %v", err)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	names := new(Names)
	w := newWebhooks(t, true, names.resolver(t))
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	for url, want := range map[string]string{
		"https://there-is.no-such-name": "public address",
		untrusted.URL:                   "TLS",
		strings.Replace(plain.URL, "http://", "https://", 1): "no connection",
		"http://127.0.0.1:1": "no connection",
	} {
		if _, err := w.Send(t.Context(), outgoing(url), time.Now()); err == nil || !strings.Contains(w.ReasonOf(err), want) {
			t.Errorf("%s: %v, %q; want %q", url, err, w.ReasonOf(err), want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Send(ctx, outgoing(hangs.URL), time.Now()); err == nil || !strings.Contains(w.ReasonOf(err), "no answer") {
		t.Errorf("a receiver that hangs: %v, %q", err, w.ReasonOf(err))
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	one, other := uuid.New(), uuid.New()
	w := newWebhooks(t, false, net.DefaultResolver)
	secret := func(w *Webhooks, id uuid.UUID) string {
		s, err := w.SecretOf(id)
		if err != nil {
			t.Fatal(err)
		}
		encoded, ok := strings.CutPrefix(s, "whsec_")
		if raw, err := base64.StdEncoding.DecodeString(encoded); !ok || err != nil || len(raw) != 32 {
			t.Errorf("%q is not whsec_ and base64 of 32 bytes", s)
		}
		return s
	}
	if secret(w, one) != secret(newWebhooks(t, true, nil), one) {
		t.Error("a secret changes with the process")
	}
	if secret(w, one) == secret(w, other) {
		t.Error("two endpoints have one secret")
	}
	another, err := NewWebhooks(webhookMaster+"!", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if secret(w, one) == secret(another, one) {
		t.Error("the secret is not made of the master secret")
	}
	if _, err := NewWebhooks("short", false, nil); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("a short master secret: %v", err)
	}
}
