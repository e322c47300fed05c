package token

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"shop.example/platform/auth"
)

const (
	// lookAgainAfter is how long the file is believed without looking at it again: one stat a second, however many sign in.
	lookAgainAfter = time.Second
	// announceFor is how long a new key is published before anything is signed with it: every verifier reads the key set
	// once a minute (refreshAfter), and a replica of user-service may be given its file half a minute after another.
	announceFor = refreshAfter + 30*time.Second
)

// KeyRing signs with one key of a file, and publishes all of them. The file holds private keys in PEM (PKCS #8), the oldest
// first. It may be replaced while the process runs.
//
// The last key signs, once the file has been as it is for announceFor; until then the one before it does. So a key is added
// at the end of the file, and an old one is taken out when its last token has expired.
type KeyRing struct {
	file string
	log  *slog.Logger
	now  func() time.Time

	mu       sync.Mutex
	checked  time.Time // when the file was looked at last
	modified time.Time // of the content that signers come from
	size     int64
	signers  []*Signer // never changed, only replaced
	lastFail string    // so that a broken file is logged once, not every second
}

// OpenKeyRing reads the file and fails if it holds anything else than keys that sign. now is the clock.
//
// From then on a changed file is read again when it is needed. If it is broken, the old keys stay in use and the reason is
// logged.
func OpenKeyRing(file string, log *slog.Logger, now func() time.Time) (*KeyRing, error) {
	r := &KeyRing{file: file, log: log, now: now}
	if err := r.reload(); err != nil {
		return nil, err
	}
	r.checked = now()
	return r, nil
}

// Sign returns a token for the user and session of p, good for Lifetime.
func (r *KeyRing) Sign(p auth.Principal) (string, error) {
	signers, modified := r.current()
	last := len(signers) - 1
	if last > 0 && r.now().Sub(modified) < announceFor {
		last--
	}
	return signers[last].Sign(p)
}

// KeySet returns all public keys as a JSON Web Key Set (RFC 7517).
func (r *KeyRing) KeySet() ([]byte, error) {
	signers, _ := r.current()
	return keySet(signers)
}

// current returns the keys and when they were written, after a look at the file if the last one was long enough ago.
func (r *KeyRing) current() ([]*Signer, time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Sub(r.checked) < lookAgainAfter {
		return r.signers, r.modified
	}
	r.checked = now
	info, err := os.Stat(r.file)
	if err == nil && info.ModTime().Equal(r.modified) && info.Size() == r.size {
		return r.signers, r.modified
	}
	if err == nil {
		err = r.reload()
	}
	switch {
	case err == nil:
		r.lastFail = ""
		r.log.Info("signing keys reloaded", "key_ids", ids(r.signers))
	case err.Error() != r.lastFail:
		r.lastFail = err.Error()
		r.log.Error("signing keys not reloaded, the old ones stay in use", "error", err, "key_ids", ids(r.signers))
	}
	return r.signers, r.modified
}

// reload replaces the keys, or leaves them as they are and says why.
func (r *KeyRing) reload() error {
	info, err := os.Stat(r.file) // before reading: a change in between is seen as one next time
	if err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	text, err := os.ReadFile(r.file)
	if err != nil {
		return fmt.Errorf("signing keys: %w", err)
	}
	signers, err := parseSigners(text, r.now)
	if err != nil {
		return err
	}
	r.signers, r.modified, r.size = signers, info.ModTime(), info.Size()
	return nil
}

func ids(signers []*Signer) []string {
	ids := make([]string, len(signers))
	for i, s := range signers {
		ids[i] = s.id
	}
	return ids
}

// parseSigners reads private keys in PEM, with nothing else between and behind them than white space. Its errors hold
// nothing of the text, which is secret.
func parseSigners(text []byte, now func() time.Time) ([]*Signer, error) {
	var signers []*Signer
	known := map[string]bool{}
	for n := 1; ; n++ {
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			break
		}
		// pem.Decode would pass over what is no block, and over a damaged one.
		block, rest := pem.Decode(text)
		if block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")) || bytes.Count(text[:len(text)-len(rest)], []byte("-----BEGIN ")) != 1 {
			return nil, fmt.Errorf("signing key %d: damaged, or no PEM block", n)
		}
		text = rest
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("signing key %d: %q is no PKCS #8 private key", n, block.Type)
		}
		key, ok := parsed.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("signing key %d: want Ed25519, got %T", n, parsed)
		}
		id := keyID(key.Public())
		if known[id] {
			return nil, fmt.Errorf("signing key %d: is there twice", n)
		}
		known[id] = true
		signers = append(signers, &Signer{key: key, id: id, now: now})
	}
	if len(signers) == 0 {
		return nil, errors.New("signing key: there is none")
	}
	return signers, nil
}
