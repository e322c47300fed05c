package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/devca"
)

// workers are as many as keep every service busy and leave the machine some air.
const workers = 4

// enough requests are some of every kind from every worker.
const enough = 40 * workers

// load is customers who do what needs tokens, one request after the other, with tokens new and old.
type load struct {
	t       *testing.T
	shop    *shop.Shop
	stop    chan struct{}
	done    sync.WaitGroup
	mu      sync.Mutex
	count   int
	faults  []string
	onlyKID string         // tokens of other keys are over, as far as the customers know
	signed  map[string]int // requests by the key of their token
}

func startLoad(t *testing.T, s *shop.Shop) *load {
	l := &load{t: t, shop: s, stop: make(chan struct{}), signed: map[string]int{}}
	for range workers {
		customer := s.NewCustomer(t)
		first := customer.SignIn()
		l.done.Go(func() { l.run(customer, first) })
	}
	return l
}

func (l *load) run(customer *shop.Customer, session shop.Session) {
	tokens := []string{session.AccessToken}
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		tokens = l.good(tokens)
		newest, oldest := tokens[len(tokens)-1], tokens[0]
		switch i % 8 {
		case 3:
			tokens = l.signIn(tokens, &session, "/auth/refresh", map[string]string{"refresh_token": session.RefreshToken})
		case 7:
			tokens = l.signIn(tokens, &session, "/auth/login", customer.Credentials())
		case 0, 4:
			l.ask(oldest, http.MethodGet, "/users/me", nil)
		case 1, 5:
			l.ask(oldest, http.MethodGet, "/cart", nil)
		case 2:
			l.ask(newest, http.MethodGet, "/users/me", nil)
		default:
			l.ask(newest, http.MethodGet, "/orders", nil)
		}
	}
}

// good are the tokens that a customer still holds for good. The last one is: a new one is got before its key is given up.
func (l *load) good(tokens []string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(tokens, func(raw string) bool { return l.onlyKID != "" && keyID(raw) != l.onlyKID })
}

func (l *load) signIn(tokens []string, session *shop.Session, path string, body any) []string {
	answer := l.ask("", http.MethodPost, path, body)
	if answer == nil {
		return tokens
	}
	if err := json.Unmarshal(answer.Body, session); err != nil {
		l.t.Errorf("%s: %v", answer, err)
		return tokens
	}
	return append(tokens, session.AccessToken)
}

// ask returns the answer if it is the one that a customer hopes for.
func (l *load) ask(raw, method, path string, body any) *shop.Answer {
	answer, err := l.shop.Stranger(l.t).With(raw).Try(method, path, body)
	if err == nil && answer.Status != http.StatusOK {
		err = errors.New(answer.String())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if raw != "" {
		l.signed[keyID(raw)]++
	}
	if err != nil {
		l.faults = append(l.faults, fmt.Sprintf("%s %s: %v", method, path, err))
		return nil
	}
	return answer
}

// goOn waits until enough requests have been made from now on, and returns how many there are in all.
func (l *load) goOn() int {
	l.t.Helper()
	begin := l.requests()
	shop.Await(l.t, time.Minute, func() error {
		if n := l.requests() - begin; n < enough {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
	return l.requests()
}

func (l *load) requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *load) end() {
	close(l.stop)
	l.done.Wait()
	if len(l.faults) > 0 {
		l.t.Errorf("%d of %d requests failed, the first with %s", len(l.faults), l.count, l.faults[0])
	}
	l.t.Logf("%d requests, %d failures; with tokens of %v", l.count, len(l.faults), l.signed)
}

// keyID is the kid of a token, or "".
func keyID(raw string) string {
	var header struct{ Kid string }
	text, _, _ := strings.Cut(raw, ".")
	if decoded, err := base64.RawURLEncoding.DecodeString(text); err != nil || json.Unmarshal(decoded, &header) != nil {
		return ""
	}
	return header.Kid
}

// published are the ids of the keys that the shop tells the world.
func published(t *testing.T, s *shop.Shop) (ids []string) {
	t.Helper()
	set := shop.Want[struct{ Keys []struct{ Kid string } }](t, http.StatusOK, s.Stranger(t).Get("//.well-known/jwks.json"))
	for _, key := range set.Keys {
		ids = append(ids, key.Kid)
	}
	return ids
}

// TestKeysAndCertificatesChangeUnderLoad does what docs/operations.md says, without its waits.
func TestKeysAndCertificatesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, nil)
	customer := s.NewCustomer(t)
	file := filepath.Join(keysOf(s), devca.SigningKeyFile)
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	second := newSigningKey(t)
	old := keyID(customer.Token)

	l := startLoad(t, s)
	var end sync.Once
	defer end.Do(l.end)
	l.goOn()

	// A key is added: it is published, and does not sign yet.
	write(t, file, append(bytes.Clone(first), second...))
	var ids []string
	shop.Await(t, 10*time.Second, func() error {
		if ids = published(t, s); len(ids) != 2 || ids[0] != old {
			return fmt.Errorf("published: %v", ids)
		}
		return nil
	})
	if got := keyID(customer.SignIn().AccessToken); got != old {
		t.Errorf("%s signs, which nobody may know yet", got)
	}
	t.Logf("the key is published after %d requests", l.goOn())

	// 90 s later, or so the file says, it signs.
	past := time.Now().Add(-90 * time.Second)
	if err := os.Chtimes(file, past, past); err != nil {
		t.Fatal(err)
	}
	shop.Await(t, 10*time.Second, func() error {
		if got := keyID(customer.SignIn().AccessToken); got != ids[1] {
			return fmt.Errorf("%s signs", got)
		}
		return nil
	})
	t.Logf("the key signs after %d requests", l.goOn())

	// 20 minutes later nobody holds a token of the old key any more.
	l.mu.Lock()
	l.onlyKID = ids[1]
	l.mu.Unlock()
	l.goOn()
	write(t, file, second)
	shop.Await(t, 10*time.Second, func() error {
		if ids := published(t, s); len(ids) != 1 {
			return fmt.Errorf("published: %v", ids)
		}
		return nil
	})
	for _, path := range []string{"/users/me", "/cart", "/orders"} {
		shop.Await(t, time.Minute, func() error {
			if a := customer.Get(path); a.Status != http.StatusUnauthorized {
				return fmt.Errorf("a token of the key that was taken out: %s", a)
			}
			return nil
		})
	}
	t.Logf("the old key is gone after %d requests", l.goOn())

	// All certificates are replaced, and new connections are made with the new ones.
	if err := devca.Renew(keysOf(s), identities, time.Now()); err != nil {
		t.Fatal(err)
	}
	for server := range servers {
		want := serial(t, devca.CertFile(keysOf(s), server))
		shop.Await(t, 10*time.Second, func() error {
			conn, err := tls.Dial("tcp", grpcAddr(t, s, server), identity(t, s, gateway, server))
			if err != nil {
				return err
			}
			defer conn.Close()
			if got := conn.ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(want) != 0 {
				return fmt.Errorf("%s shows the certificate %v, want %v", server, got, want)
			}
			return nil
		})
	}
	t.Logf("the certificates are new after %d requests", l.goOn())
	end.Do(l.end)
	for _, id := range ids {
		if l.signed[id] < enough {
			t.Errorf("only %d requests with a token of %s", l.signed[id], id)
		}
	}

	// Both ends of a connection that is made only now have new certificates.
	if err := s.Restart(t.Context(), cartService, 1); err != nil {
		t.Fatal(err)
	}
	token := customer.SignIn().AccessToken
	shop.Await(t, 15*time.Second, func() error {
		if a := customer.With(token).Get("/cart"); a.Status != http.StatusOK {
			return fmt.Errorf("cart-service is up again: %s", a)
		}
		return nil
	})
}

// write replaces a file of keys as a whole, as whoever issues them does.
func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func serial(t *testing.T, certFile string) *big.Int {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, strings.TrimSuffix(certFile, ".pem")+"-key.pem")
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.SerialNumber
}
