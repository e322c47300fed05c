package token_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/token"
)

// clock stands still until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func newKey(t *testing.T) (ed25519.PrivateKey, []byte) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newSigner(t *testing.T, c *clock) (*token.Signer, ed25519.PrivateKey) {
	t.Helper()
	key, keyPEM := newKey(t)
	signer, err := token.NewSigner(keyPEM, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

func sourceOf(s *token.Signer) token.KeySource {
	return func(context.Context) ([]byte, error) { return s.KeySet() }
}

var alice = auth.Principal{UserID: "0199-alice", Role: auth.Staff, SessionID: "0199-session"}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	c := newClock()
	signer, _ := newSigner(t, c)
	raw, err := signer.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	got, err := token.NewVerifier(sourceOf(signer), 0, c.now).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	want := alice
	want.Token = raw
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	c := newClock()
	signer, key := newSigner(t, c)
	other, _ := newSigner(t, c)
	good, err := signer.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	var head struct{ Kid string }
	parts := strings.Split(good, ".")
	if raw, err := base64.RawURLEncoding.DecodeString(parts[0]); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(raw, &head); err != nil {
		t.Fatal(err)
	}
	// forge signs claims with the right key, or as the method says.
	forge := func(method jwt.SigningMethod, with any, change func(jwt.MapClaims)) string {
		claims := jwt.MapClaims{
			"iss": token.Issuer, "aud": token.Audience, "sub": alice.UserID, "sid": alice.SessionID, "role": "staff",
			"iat": c.now().Unix(), "nbf": c.now().Unix(), "exp": c.now().Add(time.Minute).Unix(),
		}
		change(claims)
		forged := jwt.NewWithClaims(method, claims)
		forged.Header["kid"] = head.Kid
		raw, err := forged.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	same := func(jwt.MapClaims) {}
	verifier := token.NewVerifier(sourceOf(signer), 0, c.now)
	if _, err := verifier.Verify(t.Context(), forge(jwt.SigningMethodEdDSA, key, same)); err != nil {
		t.Fatalf("the forge itself is broken: %v", err)
	}
	for name, raw := range map[string]string{
		"empty":           "",
		"garbage":         "a.b.c",
		"another key":     foreign,
		"alg none":        forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, same),
		"hmac by public":  forge(jwt.SigningMethodHS256, []byte(key.Public().(ed25519.PublicKey)), same),
		"no signature":    parts[0] + "." + parts[1] + ".",
		"other issuer":    forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { m["iss"] = "x" }),
		"other audience":  forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { m["aud"] = "x" }),
		"no expiry":       forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { delete(m, "exp") }),
		"expired":         forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { m["exp"] = c.now().Add(-time.Second).Unix() }),
		"not yet":         forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { m["nbf"] = c.now().Add(time.Minute).Unix() }),
		"no subject":      forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { delete(m, "sub") }),
		"no session":      forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { delete(m, "sid") }),
		"a made-up role":  forge(jwt.SigningMethodEdDSA, key, func(m jwt.MapClaims) { m["role"] = "root" }),
		"changed payload": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"role":"admin"}`)) + "." + parts[2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := verifier.Verify(t.Context(), raw); apperr.KindOf(err) != apperr.Unauthenticated {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestExpiryAndLeeway(t *testing.T) {
	t.Parallel()
	c := newClock()
	signer, _ := newSigner(t, c)
	raw, err := signer.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	verifier := token.NewVerifier(sourceOf(signer), 5*time.Second, c.now)
	c.advance(token.Lifetime + 4*time.Second)
	if _, err := verifier.Verify(t.Context(), raw); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	c.advance(2 * time.Second)
	if _, err := verifier.Verify(t.Context(), raw); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("past the leeway: %v", err)
	}
}

func TestSourceAway(t *testing.T) {
	t.Parallel()
	c := newClock()
	signer, _ := newSigner(t, c)
	raw, err := signer.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	var away atomic.Bool
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) {
		if away.Load() {
			return nil, errors.New("connection refused")
		}
		return signer.KeySet()
	}, 0, c.now)

	away.Store(true)
	if _, err := verifier.Verify(t.Context(), raw); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("no key and no source: %v", err)
	}
	away.Store(false)
	if _, err := verifier.Verify(t.Context(), raw); err != nil {
		t.Errorf("the source is back: %v", err)
	}
	away.Store(true)
	c.advance(2 * time.Minute)
	if _, err := verifier.Verify(t.Context(), raw); err != nil {
		t.Errorf("a known key must go on working: %v", err)
	}
}

func TestUnknownKeysDoNotFloodTheSource(t *testing.T) {
	t.Parallel()
	c := newClock()
	signer, _ := newSigner(t, c)
	stranger, _ := newSigner(t, c)
	raw, err := stranger.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) { calls.Add(1); return signer.KeySet() }, 0, c.now)
	for range 100 {
		if _, err := verifier.Verify(t.Context(), raw); apperr.KindOf(err) != apperr.Unauthenticated {
			t.Fatal(err)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls of the source", calls.Load())
	}
}

func TestNewKeyIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	first, _ := newSigner(t, c)
	second, _ := newSigner(t, c)
	var current atomic.Pointer[token.Signer]
	current.Store(first)
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) { return current.Load().KeySet() }, 0, c.now)
	raw, err := first.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	current.Store(second)
	c.advance(time.Second)
	if raw, err = second.Sign(alice); err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), raw); err != nil {
		t.Errorf("the new key is not known: %v", err)
	}
}
