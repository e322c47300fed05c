package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"shop.example/api-gateway/internal/connlimit"
	productv1 "shop.example/proto/product/v1"
)

// TestSlowClients: clients that dawdle with their headers, their bodies and with reading, beside one that does not.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.Limiter = nil })
	s.on("ListProducts", &productv1.ListProductsResponse{})
	// More than the kernel's buffers hold, so that the reader's pace is ours.
	const large = 8 << 20
	s.on("ListCategories", &productv1.ListCategoriesResponse{Categories: []*productv1.Category{{Description: strings.Repeat("d", large)}}})
	slow := httptest.NewUnstartedServer(nil)
	slow.Config = s.server.HTTPServer()
	// What is tested is that it is set; that it is 20 s outside of this test would only be waited for.
	slow.Config.WriteTimeout = 3 * time.Second
	listener, err := connlimit.New(slow.Listener, connlimit.Limits{All: 60, PerClient: 50, Exempt: func(netip.Addr) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	slow.Listener, slow.Config.ConnState = listener, listener.ConnState
	slow.Start()
	t.Cleanup(slow.Close)
	s.url = slow.URL

	start := time.Now()
	ended := make(chan string)
	dial := func(request string) net.Conn {
		conn, err := net.Dial("tcp", slow.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.(*net.TCPConn).SetReadBuffer(4096)
		_ = conn.SetDeadline(start.Add(20 * time.Second))
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	dawdle := func(kind, request string) {
		conn, dialed := dial(request), time.Now()
		go func() {
			ticker := time.NewTicker(200 * time.Millisecond)
			defer ticker.Stop()
			for range ticker.C {
				_, err := io.WriteString(conn, "x")
				var timeout net.Error
				switch {
				case err == nil:
				case errors.As(err, &timeout) && timeout.Timeout():
					ended <- kind + " was never cut off"
					return
				case time.Since(dialed) > 12*time.Second: // 5 s, and a busy machine
					ended <- fmt.Sprint(kind, " was cut off after ", time.Since(dialed))
					return
				default:
					ended <- ""
					return
				}
			}
		}()
	}
	for range 3 {
		dial("GET /api/v1/categories HTTP/1.1\r\nHost: shop\r\n\r\n") // and does not read
	}
	// Before that a connection without a request gives way to the next ones.
	until(t, "the readers have asked", func() bool { return s.server.flight.Open() == 3 })
	for range 25 {
		dawdle("a slow body", rawLogin+"Content-Length: 1000\r\n\r\n{")
	}
	for range 100 { // many more than there is room for
		dawdle("slow headers", "GET /api/v1/products HTTP/1.1\r\nHost: shop\r\nX-Junk: ")
	}
	transport := &http.Transport{DisableKeepAlives: true} // a connection for each, as for new visitors
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	good, worst := 0, time.Duration(0)
	tooLong := time.After(time.Minute)
	readersCut := func() bool { return s.server.flight.Open() == 0 }
	for left := 125; left > 0 || !readersCut(); {
		select {
		case <-tooLong:
			t.Fatal("the slow readers were never cut off")
		case complaint := <-ended:
			left--
			if complaint != "" {
				t.Error(complaint)
			}
		case <-ticker.C:
			for _, path := range []string{"/api/v1/products", "/healthz"} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, slow.URL+path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				asked := time.Now()
				response, err := transport.RoundTrip(request)
				if err != nil {
					t.Fatalf("%s after %v: %v", path, time.Since(start), err)
				}
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("%s: %d", path, response.StatusCode)
				}
				good, worst = good+1, max(worst, time.Since(asked))
			}
		}
	}
	if worst > 2*time.Second {
		t.Errorf("a normal request took %v", worst)
	}
	t.Logf("%d normal requests, the slowest %v; all slow clients gone after %v", good, worst, time.Since(start))
}

// TestLargeBodiesAreFew: what is large waits for nobody, and keeps out nobody who is small.
func TestLargeBodiesAreFew(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *Options) { o.Limiter = nil })
	s.on("Login", errDown)
	answers := make(chan answer)
	held := make([]io.WriteCloser, maxLargeBodies)
	for i := range held {
		reader, writer := io.Pipe()
		held[i] = writer
		go func() { answers <- s.send(t, "POST", "/api/v1/auth/login", reader) }()
		// More than is small, and then nothing for a while.
		if _, err := io.WriteString(writer, `{"email":"`+strings.Repeat("a", smallBody)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all places taken", func() bool { return len(s.server.bodies) == maxLargeBodies })
	large := `{"email":"` + strings.Repeat("a", 2*smallBody) + `","password":"b"}`
	s.call(t, "POST", "/api/v1/auth/login", large).mustBeProblem(t, 503, "overloaded")
	s.call(t, "POST", "/api/v1/auth/login", `{"email":"a","password":"b"}`).mustBeProblem(t, 503, "dependency_unavailable")
	for i, writer := range held {
		if _, err := fmt.Fprintf(writer, `","password":"%d"}`, i); err != nil {
			t.Fatal(err)
		}
		writer.Close()
	}
	for range held {
		if a := <-answers; a.status == 503 && a.json["code"] == "overloaded" {
			t.Errorf("one who was in was put out: %s", a.body)
		}
	}
	until(t, "all places free", func() bool { return len(s.server.bodies) == 0 })
	if a := s.call(t, "POST", "/api/v1/auth/login", large); a.json["code"] == "overloaded" {
		t.Error("places are not given back")
	}
}

// until waits for a condition, and fails the test if it does not come true.
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
