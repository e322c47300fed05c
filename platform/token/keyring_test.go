package token_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shop.example/platform/apperr"
	"shop.example/platform/token"
)

// ring is a key ring over a file that the test writes.
type ring struct {
	*token.KeyRing
	file string
	c    *clock
	logs *bytes.Buffer
}

func openRing(t *testing.T, keys ...[]byte) *ring {
	t.Helper()
	r := &ring{file: filepath.Join(t.TempDir(), "signing.pem"), c: newClock(), logs: new(bytes.Buffer)}
	r.write(t, keys...)
	var err error
	if r.KeyRing, err = token.OpenKeyRing(r.file, slog.New(slog.NewTextHandler(r.logs, nil)), r.c.now); err != nil {
		t.Fatal(err)
	}
	return r
}

// write replaces the file, now by the test's clock, and lets the second pass in which it is not looked at.
func (r *ring) write(t *testing.T, keys ...[]byte) {
	t.Helper()
	if err := os.WriteFile(r.file, bytes.Join(keys, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(r.file, time.Time{}, r.c.now()); err != nil {
		t.Fatal(err)
	}
	r.c.advance(time.Second)
}

// published are the ids of the key set.
func (r *ring) published(t *testing.T) []string {
	t.Helper()
	raw, err := r.KeySet()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, key := range set.Keys {
		if key["d"] != "" {
			t.Error("a private key is published")
		}
		ids = append(ids, key["kid"])
	}
	return ids
}

// signs returns the id of the key that signs.
func (r *ring) signs(t *testing.T) (kid string) {
	t.Helper()
	raw, err := r.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.NewVerifier(func(context.Context) ([]byte, error) { return r.KeySet() }, 0, r.c.now).Verify(t.Context(), raw); err != nil {
		t.Fatalf("its own key set does not verify it: %v", err)
	}
	return kidOf(t, raw)
}

func kidOf(t *testing.T, raw string) string {
	t.Helper()
	var head struct{ Kid string }
	if err := json.Unmarshal([]byte(decodePart(t, strings.Split(raw, ".")[0])), &head); err != nil {
		t.Fatal(err)
	}
	return head.Kid
}

func TestRotation(t *testing.T) {
	t.Parallel()
	_, a := newKey(t)
	_, b := newKey(t)
	_, c := newKey(t)
	r := openRing(t, a)
	idOfA := r.signs(t) // a single key signs at once
	if diff := cmp.Diff([]string{idOfA}, r.published(t)); diff != "" {
		t.Error(diff)
	}
	old, err := r.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) { return r.KeySet() }, 0, r.c.now)

	r.write(t, a, b)
	both := r.published(t)
	if len(both) != 2 || both[0] != idOfA {
		t.Fatalf("published: %v", both)
	}
	r.c.advance(88 * time.Second) // 89 s after it was written
	if got := r.signs(t); got != idOfA {
		t.Error("the new key signs before all can know it")
	}
	r.c.advance(time.Second)
	if got := r.signs(t); got != both[1] {
		t.Error("the new key does not sign after 90 s")
	}
	if _, err := verifier.Verify(t.Context(), old); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}

	// While the next key is announced, the last one goes on.
	r.write(t, a, b, c)
	if got := r.signs(t); got != both[1] || len(r.published(t)) != 3 {
		t.Errorf("%s signs of %v", got, r.published(t))
	}
	r.c.advance(90 * time.Second)
	idOfC := r.signs(t)
	if idOfC != r.published(t)[2] {
		t.Error("the third key does not sign")
	}
	r.write(t, c)
	if diff := cmp.Diff([]string{idOfC}, r.published(t)); diff != "" || r.signs(t) != idOfC {
		t.Error(diff)
	}
	r.c.advance(time.Minute)
	if _, err := verifier.Verify(t.Context(), old); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("the old key was taken out a minute ago: %v", err)
	}
}

// TestStolenKeyIsReplaced puts another key in the place of one, which is as long.
func TestStolenKeyIsReplaced(t *testing.T) {
	t.Parallel()
	_, a := newKey(t)
	_, b := newKey(t)
	r := openRing(t, a)
	stolen := r.signs(t)
	r.write(t, b)
	if got := r.signs(t); got == stolen {
		t.Error("the stolen key signs")
	}
	if got := r.published(t); len(got) != 1 || got[0] == stolen {
		t.Errorf("published: %v", got)
	}
}

func TestRestartKeepsTheKeyThatSigns(t *testing.T) {
	t.Parallel()
	_, a := newKey(t)
	_, b := newKey(t)
	r := openRing(t, a, b)
	ids := r.published(t)
	if got := r.signs(t); got != ids[0] {
		t.Errorf("%s signs, just written", got)
	}
	r.c.advance(90 * time.Second)
	again, err := token.OpenKeyRing(r.file, slog.New(slog.DiscardHandler), r.c.now)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := again.Sign(alice)
	if err != nil {
		t.Fatal(err)
	}
	if got := kidOf(t, raw); got != ids[1] {
		t.Errorf("%s signs", got)
	}
}

func TestBrokenFileKeepsTheOldKeys(t *testing.T) {
	t.Parallel()
	_, a := newKey(t)
	_, b := newKey(t)
	r := openRing(t, a)
	want := r.published(t)
	for name, harm := range map[string]func(){
		"emptied":    func() { r.write(t) },
		"half a key": func() { r.write(t, a, b[:len(b)/2]) },
		"taken away": func() {
			if err := os.Remove(r.file); err != nil {
				t.Fatal(err)
			}
			r.c.advance(time.Second)
		},
		"other words": func() { r.write(t, []byte("secret words")) },
	} {
		r.logs.Reset()
		harm()
		for range 3 {
			if diff := cmp.Diff(want, r.published(t)); diff != "" || r.signs(t) != want[0] {
				t.Errorf("%s: %s", name, diff)
			}
			r.c.advance(time.Second)
		}
		if logs := r.logs.String(); strings.Count(logs, "level=ERROR") != 1 || strings.Contains(logs, "secret") {
			t.Errorf("%s: want one line: %s", name, logs)
		}
		r.write(t, a)
		if got := r.signs(t); got != want[0] {
			t.Errorf("%s signs", got)
		}
	}
	r.write(t, a, b)
	if got := r.published(t); len(got) != 2 {
		t.Errorf("the mended file is not read: %v", got)
	}
}

func TestOpenKeyRingRefuses(t *testing.T) {
	t.Parallel()
	_, a := newKey(t)
	_, b := newKey(t)
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(elliptical)
	if err != nil {
		t.Fatal(err)
	}
	ecKey := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	damaged := bytes.Replace(b, []byte("PRIVATE KEY-----\nM"), []byte("PRIVATE KEY-----\n!"), 1)
	for name, tt := range map[string]struct {
		text []byte
		want string
	}{
		"empty":                {nil, "there is none"},
		"white space":          {[]byte(" \n\t\n"), "there is none"},
		"words":                {[]byte("key"), "signing key 1: damaged"},
		"words before":         {append([]byte("key\n"), a...), "signing key 1: damaged"},
		"words between":        {bytes.Join([][]byte{a, b}, []byte("and\n")), "signing key 2: damaged"},
		"words behind":         {append(bytes.Clone(a), "end"...), "signing key 2: damaged"},
		"half a key":           {append(bytes.Clone(a), b[:len(b)/2]...), "signing key 2: damaged"},
		"a damaged key within": {bytes.Join([][]byte{a, damaged, a}, nil), "signing key 2: damaged"},
		"an elliptic key":      {append(bytes.Clone(a), ecKey...), "signing key 2: want Ed25519, got *ecdsa.PrivateKey"},
		"a certificate":        {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "no PKCS #8 private key"},
		"a key twice":          {bytes.Join([][]byte{a, b, a}, nil), "signing key 3: is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "signing.pem")
			if err := os.WriteFile(file, tt.text, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := token.OpenKeyRing(file, slog.New(slog.DiscardHandler), time.Now)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := token.OpenKeyRing(filepath.Join(t.TempDir(), "nothing"), slog.New(slog.DiscardHandler), time.Now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
