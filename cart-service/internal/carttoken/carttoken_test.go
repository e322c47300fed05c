package carttoken_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shop.example/cart-service/internal/carttoken"
	"shop.example/cart-service/internal/domain"
)

func key(fill byte) []byte { return bytes.Repeat([]byte{fill}, 32) }

func signer(t *testing.T, keys ...[]byte) *carttoken.Signer {
	t.Helper()
	s, err := carttoken.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s, guest := signer(t, key(1)), domain.NewGuestID()
	token := s.Sign(guest)
	if len(token) != 44 {
		t.Errorf("%q has %d characters, want 44", token, len(token))
	}
	if got, err := s.Verify(token); err != nil || got != guest {
		t.Errorf("Verify = %x, %v, want %x", got, err, guest)
	}
	refused := func(what, token string) {
		t.Helper()
		if got, err := s.Verify(token); !errors.Is(err, domain.ErrCartToken) || got != (domain.GuestID{}) {
			t.Errorf("%s: Verify = %x, %v, want a refusal", what, got, err)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(raw) {
		changed := bytes.Clone(raw)
		changed[bit/8] ^= 1 << (bit % 8)
		refused("another bit", base64.RawURLEncoding.EncodeToString(changed))
	}
	refused("nothing", "")
	refused("shorter", token[:43])
	refused("longer", token+"A")
	refused("padded", token+"=")
	refused("a line break inside", token[:20]+"\n"+token[20:])
	refused("a line break in place of a letter", token[:43]+"\n")
	refused("no base64url", strings.Repeat("!", 44))
	refused("no code", base64.RawURLEncoding.EncodeToString(make([]byte, 33)))
	refused("another key", signer(t, key(2)).Sign(guest))
}

func TestRotation(t *testing.T) {
	t.Parallel()
	guest := domain.NewGuestID()
	before, between, after := signer(t, key(1)), signer(t, key(2), key(1)), signer(t, key(2))
	for what, tt := range map[string]struct {
		signs, verifies *carttoken.Signer
		want            bool
	}{
		"the old key is still good": {before, between, true},
		"the first key signs":       {between, after, true},
		"the old key is gone":       {before, after, false},
	} {
		got, err := tt.verifies.Verify(tt.signs.Sign(guest))
		if (err == nil) != tt.want || tt.want && got != guest {
			t.Errorf("%s: %x, %v", what, got, err)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	text := func(key []byte) string { return base64.RawURLEncoding.EncodeToString(key) }
	for _, tt := range []struct{ name, content, want string }{
		{"a key", text(key(1)), ""},
		{"a long one, padded", base64.URLEncoding.EncodeToString(make([]byte, 100)) + "\n", ""},
		{"two and an empty line", text(key(1)) + "\n\n" + text(key(2)) + "\r\n", ""},
		{"none", "\n", "no key"},
		{"a short one", text(key(1)) + "\n" + text(key(2)[:31]), "key 2 has 31 bytes"},
		{"no base64url", "hunter2 hunter2", "key 1 is not base64url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := carttoken.Load(file)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want == "":
				if _, err := s.Verify(s.Sign(domain.NewGuestID())); err != nil {
					t.Error(err)
				}
			case err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2"):
				t.Errorf("error = %v, want one that says %q and no key", err, tt.want)
			}
		})
	}
}
