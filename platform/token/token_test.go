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
	"maps"
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
	parts := strings.Split(good, ".")
	var head struct{ Kid string }
	if err := json.Unmarshal([]byte(decodePart(t, parts[0])), &head); err != nil {
		t.Fatal(err)
	}
	public := key.Public().(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	strangeKey, _ := newKey(t)
	ours := map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": head.Kid}
	// forge makes a token like ours but for what is changed, signed as method says with a key.
	forge := func(method jwt.SigningMethod, with any, header, claims map[string]any) string {
		forged := jwt.NewWithClaims(method, jwt.MapClaims{
			"iss": token.Issuer, "aud": token.Audience, "sub": alice.UserID, "sid": alice.SessionID, "role": "staff",
			"iat": c.now().Unix(), "nbf": c.now().Unix(), "exp": c.now().Add(time.Minute).Unix(),
		})
		forged.Header = change(ours, header)
		forged.Claims = jwt.MapClaims(change(forged.Claims.(jwt.MapClaims), claims))
		raw, err := forged.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	edDSA := func(header, claims map[string]any) string { return forge(jwt.SigningMethodEdDSA, key, header, claims) }
	// spelled signs the very texts with the right key.
	part := base64.RawURLEncoding.EncodeToString
	spelled := func(header, claims string) string {
		text := part([]byte(header)) + "." + part([]byte(claims))
		return text + "." + part(ed25519.Sign(key, []byte(text)))
	}
	type m = map[string]any
	header, payload := marshal(t, ours), decodePart(t, parts[1])
	jwt.RegisterSigningMethod("careless", func() jwt.SigningMethod { return careless{} })
	verifier := token.NewVerifier(sourceOf(signer), 0, c.now)
	for name, raw := range map[string]string{"made": edDSA(nil, nil), "spelled": spelled(header, payload)} {
		if _, err := verifier.Verify(t.Context(), raw); err != nil {
			t.Fatalf("the forge itself is broken: %s: %v", name, err)
		}
	}
	at := func(d time.Duration) int64 { return c.now().Add(d).Unix() }
	for name, raw := range map[string]string{
		"empty":              "",
		"garbage":            "a.b.c",
		"four parts":         good + ".x",
		"encrypted":          good + ".x.y",
		"huge":               edDSA(nil, m{"x": strings.Repeat("x", 4<<10)}),
		"a line break":       good + "\n",
		"a break within":     parts[0] + "." + parts[1] + "." + parts[2][:9] + "\r\n" + parts[2][9:],
		"padded":             good + "==",
		"another spelling":   good[:len(good)-1] + sameBits(t, good[len(good)-1]),
		"no signature":       parts[0] + "." + parts[1] + ".",
		"changed payload":    parts[0] + "." + part([]byte(strings.Replace(payload, "staff", "admin", 1))) + "." + parts[2],
		"another's header":   strings.Split(foreign, ".")[0] + "." + parts[1] + "." + parts[2],
		"another key":        foreign,
		"another key as our": forge(jwt.SigningMethodEdDSA, strangeKey, nil, nil),

		"alg none":             forge(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, m{"alg": "none"}, nil),
		"alg None":             spelled(`{"alg":"None","typ":"JWT","kid":"`+head.Kid+`"}`, payload),
		"no alg":               edDSA(m{"alg": nil}, nil),
		"a careless alg":       spelled(`{"alg":"careless","typ":"JWT","kid":"`+head.Kid+`"}`, payload),
		"alg of another case":  edDSA(m{"alg": "eddsa"}, nil),
		"hmac by public":       forge(jwt.SigningMethodHS256, []byte(public), m{"alg": "HS256"}, nil),
		"hmac by public PEM":   forge(jwt.SigningMethodHS256, publicPEM, m{"alg": "HS256"}, nil),
		"hmac said to be ours": forge(jwt.SigningMethodHS256, []byte(public), nil, nil),
		"no kid":               edDSA(m{"kid": nil}, nil),
		"an empty kid":         edDSA(m{"kid": ""}, nil),
		"a kid of no text":     edDSA(m{"kid": 1}, nil),
		"a wrong kid":          edDSA(m{"kid": "x"}, nil),
		"a kid that is a path": edDSA(m{"kid": "../../../../dev/null"}, nil),
		"no typ":               edDSA(m{"typ": nil}, nil),
		"another typ":          edDSA(m{"typ": "at+jwt"}, nil),
		"jku":                  forge(jwt.SigningMethodEdDSA, strangeKey, m{"jku": "https://evil.example/jwks.json"}, nil),
		"jku, signed by us":    edDSA(m{"jku": "https://evil.example/jwks.json"}, nil),
		"jwk": forge(jwt.SigningMethodEdDSA, strangeKey, m{"jwk": m{
			"kty": "OKP", "crv": "Ed25519", "kid": head.Kid, "x": part(strangeKey.Public().(ed25519.PublicKey)),
		}}, nil),
		"crit": edDSA(m{"crit": []string{"exp"}}, nil),

		"other issuer":             edDSA(nil, m{"iss": "x"}),
		"no issuer":                edDSA(nil, m{"iss": nil}),
		"other audience":           edDSA(nil, m{"aud": "x"}),
		"no audience":              edDSA(nil, m{"aud": nil}),
		"no expiry":                edDSA(nil, m{"exp": nil}),
		"an expiry of text":        edDSA(nil, m{"exp": "2099"}),
		"expired":                  edDSA(nil, m{"exp": at(-time.Second)}),
		"no nbf":                   edDSA(nil, m{"nbf": nil}),
		"nbf in the future":        edDSA(nil, m{"nbf": at(time.Minute)}),
		"no iat":                   edDSA(nil, m{"iat": nil}),
		"iat in the future":        edDSA(nil, m{"iat": at(time.Minute)}),
		"no subject":               edDSA(nil, m{"sub": nil}),
		"no session":               edDSA(nil, m{"sid": nil}),
		"no role":                  edDSA(nil, m{"role": nil}),
		"a made-up role":           edDSA(nil, m{"role": "root"}),
		"two subjects":             spelled(header, `{"sub":"0199-bob",`+payload[1:]),
		"two subjects in any case": spelled(header, `{"Sub":"0199-bob",`+payload[1:]),
		"two of a folded name":     spelled(header, `{"ſub":"0199-bob",`+payload[1:]),
		"two behind a list":        spelled(header, `{"aud":["x",{"a":[1]}],`+payload[1:]),
		"two algs":                 spelled(`{"alg":"none",`+header[1:], payload),
		"null":                     spelled(header, "null"),
		"a list":                   spelled(header, "["+payload+"]"),
		"claims and more":          spelled(header, payload+payload),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := verifier.Verify(t.Context(), raw)
			if apperr.KindOf(err) != apperr.Unauthenticated || got != (auth.Principal{}) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// careless takes any signature for good: nothing but the pinned method keeps such a one out.
type careless struct{ jwt.SigningMethod }

func (careless) Alg() string                      { return "careless" }
func (careless) Verify(string, []byte, any) error { return nil }

// change returns a copy of m with other values; nil takes one out.
func change(m, with map[string]any) map[string]any {
	m = maps.Clone(m)
	maps.Copy(m, with)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func decodePart(t *testing.T, part string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// sameBits returns another last character of a signature, which a careless decoder takes for the same: its 64 bytes leave
// four bits of it over.
func sameBits(t *testing.T, last byte) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at := strings.IndexByte(alphabet, last)
	if at < 0 {
		t.Fatalf("%q is no base64", last)
	}
	return string(alphabet[at^1])
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
	c.advance(-6 * time.Second) // the clock here is behind that of the signer
	if _, err := verifier.Verify(t.Context(), raw); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("of a future past the leeway: %v", err)
	}
	c.advance(2 * time.Second)
	if _, err := verifier.Verify(t.Context(), raw); err != nil {
		t.Errorf("of a future within the leeway: %v", err)
	}
	c.advance(4 * time.Second)

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

func TestRequestsDoNotWaitForASlowSource(t *testing.T) {
	t.Parallel()
	c := newClock()
	signer, _ := newSigner(t, c)
	raw, err := signer.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	asked, answers := make(chan struct{}), make(chan error)
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) {
		asked <- struct{}{}
		if err := <-answers; err != nil {
			return nil, err
		}
		return signer.KeySet()
	}, 0, c.now)
	verified := make(chan error)
	verify := func() {
		go func() {
			_, err := verifier.Verify(t.Context(), raw)
			verified <- err
		}()
	}
	ends := func(what string) {
		t.Helper()
		select {
		case err := <-verified:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second): // much more than it takes
			t.Fatalf("%s: the request waits", what)
		}
	}

	verify()
	<-asked // the first has to wait
	answers <- nil
	ends("the keys are there")

	c.advance(30 * time.Second)
	verify()
	ends("the keys are being renewed")
	<-asked
	answers <- nil
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

func TestRemovedKeyStopsWorking(t *testing.T) {
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
	c.advance(time.Minute)
	if _, err := verifier.Verify(t.Context(), raw); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("a minute after its key was taken out, the token is good: %v", err)
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
