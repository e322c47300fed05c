package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// providers are the clients of all kinds of provider, at one address.
func providers(base string, timeout time.Duration) map[string]usecase.Payments {
	return map[string]usecase.Payments{
		"test": client.NewTestPay(base, apiKey, timeout, quiet), "stripe": client.NewStripe(base, stripeKey, timeout, quiet),
	}
}

// hangingProvider accepts every connection and never answers.
func hangingProvider(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.Close() // nobody is at its other end any more
		}
	}()
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return "http://" + listener.Addr().String()
}

// deadProvider is an address where nothing listens any more.
func deadProvider(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	return server.URL
}

func answering(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Whatever a provider does instead of answering, the caller is told in time that the outcome is not known.
func TestProviderThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	// late is many times what is left to do when the time of a call is up.
	const late = impatient + 5*time.Second
	for what, base := range map[string]string{
		"hangs": hangingProvider(t), "is dead": deadProvider(t), "fails": answering(t, http.StatusInternalServerError, "oops"),
		"is overloaded": answering(t, http.StatusServiceUnavailable, "<html>busy</html>"), "answers garbage": answering(t, http.StatusOK, "<html>"),
	} {
		for kind, provider := range providers(base, impatient) {
			order := uuid.New()
			for name, call := range calls(provider, order.String()+":1", order, "pay_1") {
				t.Run(kind+" "+what+": "+name, func(t *testing.T) {
					t.Parallel()
					begin := time.Now()
					got, err := call(t.Context())
					if apperr.KindOf(err) != apperr.Unavailable || (got != usecase.ProviderPayment{}) {
						t.Errorf("payment %+v, error %v (%v); want none, and unavailable", got, err, apperr.KindOf(err))
					}
					if took := time.Since(begin); took > late {
						t.Errorf("it took %v", took)
					}
				})
			}
		}
	}
}

// A provider that fails is not asked any more, and nothing is begun that needs it. When it is back, that is noticed.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"test", "stripe"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var (
				away  atomic.Bool
				asked atomic.Int64
			)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				if away.Load() {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				w.WriteHeader(http.StatusUnauthorized) // an answer, of which there is nothing to fear
				_, _ = w.Write([]byte(`{"error": {"type": "invalid_request_error", "code": "unauthorized", "message": ""}}`))
			}))
			t.Cleanup(server.Close)
			provider := providers(server.URL, impatient)[kind]
			capture := func() error {
				_, err := provider.Capture(t.Context(), "key", "pay_1")
				return err
			}
			if err := provider.Ready(); err != nil {
				t.Errorf("at first: %v", err)
			}
			away.Store(true)
			for range 20 { // as many as the breaker wants to see
				if apperr.KindOf(capture()) != apperr.Unavailable {
					t.Error("a failure is not told as one")
				}
			}
			if err := provider.Ready(); apperr.KindOf(err) != apperr.Unavailable {
				t.Errorf("ready: %v, want unavailable", err)
			}
			before := asked.Load()
			if err := capture(); apperr.KindOf(err) != apperr.Unavailable || asked.Load() != before {
				t.Errorf("error %v after %d more calls, want it refused at once", err, asked.Load()-before)
			}
			away.Store(false)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			limit := time.After(30 * time.Second)
			for apperr.KindOf(capture()) == apperr.Unavailable {
				select {
				case <-tick.C:
				case <-limit:
					t.Fatal("nobody notices that it is back")
				}
			}
			if err := provider.Ready(); err != nil {
				t.Errorf("when it is back: %v", err)
			}
		})
	}
}

// Customers who go away say nothing of the provider.
func TestBreakerAndImpatientCallers(t *testing.T) {
	t.Parallel()
	provider := client.NewTestPay(hangingProvider(t), apiKey, 30*time.Second, quiet)
	for range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if _, err := provider.Capture(ctx, "key", "pay_1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the end of the caller's time", err)
		}
		cancel()
	}
	if err := provider.Ready(); err != nil {
		t.Error(err)
	}
}
