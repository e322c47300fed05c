// Package carttoken makes and reads the tokens by which guests are known.
//
// A token is base64url, without padding, of a version byte, the guest's id and the first 16 bytes of an HMAC-SHA256 of both: 44
// characters. Who has it has the cart. It says nothing of the guest and needs no store; the 128 bits of the code keep anybody
// from making one, and those of the id from finding one.
package carttoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"shop.example/cart-service/internal/domain"
)

const (
	version  = 1
	codeSize = 16
	signed   = 1 + len(domain.GuestID{}) // the version and the id
	size     = signed + codeSize
	// minKey is the size of what HMAC-SHA256 makes of a key: a shorter one would be the weakest part.
	minKey = sha256.Size
)

// encoding has one text for each token, so that none can be varied.
var encoding = base64.RawURLEncoding.Strict()

// Signer signs and verifies tokens.
type Signer struct{ keys [][]byte }

// Load reads the keys from a file: one a line, 32 bytes or more in base64url. The first signs, all verify. A new key goes to
// the end first, to the top once all replicas have read it, and the old one away when the last cart of it has expired, 30
// days later.
func Load(file string) (*Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("keys of cart tokens: %w", err)
	}
	var keys [][]byte
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		// The error must not repeat the line.
		key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(line, "="))
		if err != nil {
			return nil, fmt.Errorf("keys of cart tokens: %s: key %d is not base64url", file, len(keys)+1)
		}
		keys = append(keys, key)
	}
	s, err := New(keys...)
	if err != nil {
		return nil, fmt.Errorf("keys of cart tokens: %s: %w", file, err)
	}
	return s, nil
}

// New returns a signer with keys of 32 bytes or more. The first signs, all verify.
func New(keys ...[]byte) (*Signer, error) {
	if len(keys) == 0 {
		return nil, errors.New("there is no key")
	}
	for i, key := range keys {
		if len(key) < minKey {
			return nil, fmt.Errorf("key %d has %d bytes, and %d is the least", i+1, len(key), minKey)
		}
	}
	return &Signer{keys}, nil
}

// Sign returns the token of a guest.
func (s *Signer) Sign(guest domain.GuestID) string {
	raw := make([]byte, 0, size)
	raw = append(raw, version)
	raw = append(raw, guest[:]...)
	return encoding.EncodeToString(append(raw, code(s.keys[0], raw)...))
}

// Verify returns the guest of a token, or domain.ErrCartToken.
func (s *Signer) Verify(token string) (domain.GuestID, error) {
	// The length first: the decoder would pass over line breaks.
	if len(token) != encoding.EncodedLen(size) {
		return domain.GuestID{}, domain.ErrCartToken
	}
	raw, err := encoding.DecodeString(token)
	if err != nil || len(raw) != size || raw[0] != version {
		return domain.GuestID{}, domain.ErrCartToken
	}
	for _, key := range s.keys {
		if hmac.Equal(raw[signed:], code(key, raw[:signed])) {
			return domain.GuestID(raw[1:signed]), nil
		}
	}
	return domain.GuestID{}, domain.ErrCartToken
}

func code(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)[:codeSize]
}
