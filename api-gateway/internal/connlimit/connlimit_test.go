package connlimit

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// server is one with limits, whose handler waits for the test when it is asked for /wait.
type server struct {
	listener         *Listener
	test             *httptest.Server
	entered, proceed chan struct{}
}

func setup(t *testing.T, limits Limits, encrypted bool) *server {
	t.Helper()
	if limits.Exempt == nil {
		limits.Exempt = func(netip.Addr) bool { return false }
	}
	s := &server{entered: make(chan struct{}, 100), proceed: make(chan struct{})}
	s.test = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			s.entered <- struct{}{}
			<-s.proceed
		}
	}))
	var err error
	if s.listener, err = New(s.test.Listener, limits); err != nil {
		t.Fatal(err)
	}
	s.test.Listener = s.listener
	s.test.Config.ConnState = s.listener.ConnState
	s.test.Config.Protocols = new(http.Protocols)
	s.test.Config.Protocols.SetHTTP1(true)
	s.test.Config.Protocols.SetHTTP2(true)
	s.test.Config.Protocols.SetUnencryptedHTTP2(true)
	if encrypted {
		s.test.EnableHTTP2 = true
		s.test.StartTLS()
	} else {
		s.test.Start()
	}
	t.Cleanup(s.test.Close)
	return s
}

// dial connects from an address of this machine.
func (s *server) dial(t *testing.T, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", s.test.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// ask sends a request on a connection.
func ask(t *testing.T, c net.Conn, path string) {
	t.Helper()
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: shop\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

// answered reports whether an answer comes, and not the end of the connection.
func answered(c net.Conn) bool {
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// cut reports whether the connection is closed.
func cut(t *testing.T, c net.Conn) bool {
	t.Helper()
	_, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection stays open")
	}
	return err != nil
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestTheLongestWaitingGivesWay(t *testing.T) {
	t.Parallel()
	s := setup(t, Limits{All: 3}, false)
	first, second, third := s.dial(t, "127.0.0.1"), s.dial(t, "127.0.0.2"), s.dial(t, "127.0.0.3")
	until(t, "three connections", func() bool { return s.listener.Open() == 3 })
	ask(t, first, "/") // it waits again, behind the others
	if !answered(first) {
		t.Fatal("the first is not answered")
	}
	fourth := s.dial(t, "127.0.0.4")
	if !cut(t, second) {
		t.Error("the longest waiting is still there")
	}
	for _, c := range []net.Conn{first, third, fourth} {
		ask(t, c, "/")
		if !answered(c) {
			t.Error("one of the others is gone")
		}
	}
	if n := s.listener.Open(); n != 3 {
		t.Errorf("%d are open", n)
	}
}

func TestBusyConnectionsStay(t *testing.T) {
	t.Parallel()
	s := setup(t, Limits{All: 2}, false)
	busy := []net.Conn{s.dial(t, "127.0.0.1"), s.dial(t, "127.0.0.2")}
	for _, c := range busy {
		ask(t, c, "/wait")
		<-s.entered
	}
	if !cut(t, s.dial(t, "127.0.0.3")) {
		t.Error("there is no room, and yet it came in")
	}
	close(s.proceed)
	for _, c := range busy {
		if !answered(c) {
			t.Error("a request was cut off")
		}
	}
	for _, c := range busy {
		c.Close()
	}
	until(t, "all are forgotten", func() bool { return s.listener.Open() == 0 })
	s.listener.mu.Lock()
	defer s.listener.mu.Unlock()
	if len(s.listener.clients) != 0 || s.listener.waiting.Len() != 0 {
		t.Errorf("%d clients, %d waiting are remembered", len(s.listener.clients), s.listener.waiting.Len())
	}
}

func TestOneClientCannotTakeAll(t *testing.T) {
	t.Parallel()
	proxy := netip.MustParseAddr("127.0.0.9")
	s := setup(t, Limits{All: 20, PerClient: 2, Exempt: func(a netip.Addr) bool { return a == proxy }}, false)
	others := s.dial(t, "127.0.0.2")
	until(t, "the other's connection", func() bool { return s.listener.Open() == 1 })
	for range 50 {
		s.dial(t, "127.0.0.1")
	}
	until(t, "two of one and one of another", func() bool { return s.listener.Open() == 3 })
	ask(t, others, "/")
	if !answered(others) {
		t.Error("another client lost its connection")
	}
	// Its own slow ones don't keep a client out.
	own := s.dial(t, "127.0.0.1")
	ask(t, own, "/")
	if !answered(own) {
		t.Error("a client is kept out by its own slow connections")
	}
	for range 10 {
		s.dial(t, proxy.String())
	}
	until(t, "all of a proxy's", func() bool { return s.listener.Open() == 13 })
	// All busy: no more.
	for range 2 {
		c := s.dial(t, "127.0.0.1")
		ask(t, c, "/wait")
		<-s.entered
	}
	if !cut(t, s.dial(t, "127.0.0.1")) {
		t.Error("a third busy one came in")
	}
	close(s.proceed)
}

// TestAllProtocols: also by TLS and over HTTP/2 a connection is busy as long as a request is.
func TestAllProtocols(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]struct {
		encrypted, http2 bool
	}{
		"HTTP/1.1": {false, false}, "HTTP/1.1 by TLS": {true, false}, "HTTP/2": {false, true}, "HTTP/2 by TLS": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, Limits{All: 1}, protocol.encrypted)
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!protocol.http2)
			protocols.SetHTTP2(protocol.http2 && protocol.encrypted)
			protocols.SetUnencryptedHTTP2(protocol.http2 && !protocol.encrypted)
			transport := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			t.Cleanup(transport.CloseIdleConnections)
			get := func(path string) error {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.test.URL+path, http.NoBody)
				if err != nil {
					return err
				}
				response, err := transport.RoundTrip(request)
				if err != nil {
					return err
				}
				defer response.Body.Close()
				if want := map[bool]int{true: 2, false: 1}[protocol.http2]; response.ProtoMajor != want {
					t.Errorf("it speaks %s", response.Proto)
				}
				_, err = io.Copy(io.Discard, response.Body)
				return err
			}
			if err := get("/"); err != nil { // it was idle in between
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- get("/wait") }()
			<-s.entered
			if !cut(t, s.dial(t, "127.0.0.1")) {
				t.Error("a busy connection is taken for one that waits")
			}
			close(s.proceed)
			if err := <-done; err != nil {
				t.Error(err)
			}
			s.listener.waitFor(t)
			s.dial(t, "127.0.0.1")
			// The idle one has given way; the transport finds that out and connects anew, in the place of the one above.
			until(t, "an answer on a new connection", func() bool { return get("/") == nil })
		})
	}
}

// waitFor waits until some connection waits for a request.
func (l *Listener) waitFor(t *testing.T) {
	t.Helper()
	until(t, "an idle connection", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.waiting.Len() > 0
	})
}

func TestAcceptEndsWithTheListener(t *testing.T) {
	t.Parallel()
	inner, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(inner, Limits{All: 1, Exempt: func(netip.Addr) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
