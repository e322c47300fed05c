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
	"time"

	"shop.example/platform/auth"
	"shop.example/platform/livefile"
)

// ShortestAnnouncement is the least time between the publication of a key and its first signature: verifiers that are at work
// read the key set twice a minute (refreshAfter/2), and those that are not ask for a key that they don't know. It takes that
// much more as the replicas of user-service may be given their files one after another.
const ShortestAnnouncement = refreshAfter / 2

// KeyRing signs with one key of a file, and publishes all of them. The file holds private keys in PEM (PKCS #8), the oldest
// first. It may be replaced while the process runs.
//
// The last key signs that has been published long enough, and until there is one the key that is there the longest. So a
// key is added at the end of the file, and an old one is taken out when its last token has expired. How long a key has been
// there is what this process has seen itself; of the keys that it found at its start, the age of the file.
type KeyRing struct {
	keys     *livefile.Value[[]ringKey]
	announce time.Duration
	now      func() time.Time
}

// ringKey is a key with the time since when it is published.
type ringKey struct {
	*Signer
	since time.Time
}

// OpenKeyRing reads the file and fails if it holds anything else than keys that sign. A new key is published for
// announce before it signs: ShortestAnnouncement or more. now is the clock.
//
// From then on a changed file is read again when it is needed. If it is broken, the old keys stay in use and the reason is
// logged.
func OpenKeyRing(file string, announce time.Duration, log *slog.Logger, now func() time.Time) (*KeyRing, error) {
	var published map[string]time.Time // nil at the start
	keys, err := livefile.Open(livefile.Options[[]ringKey]{
		Name: "signing keys", Files: []string{file}, Log: log, Now: now,
		Load: func() ([]ringKey, error) {
			ring, err := readRing(file, published, now)
			if err != nil {
				return nil, fmt.Errorf("signing keys: %w", err)
			}
			published = make(map[string]time.Time, len(ring))
			for _, k := range ring {
				published[k.id] = k.since
			}
			return ring, nil
		},
		Describe: func(ring []ringKey) []any { return []any{"key_ids", ids(ring)} },
	})
	if err != nil {
		return nil, err
	}
	return &KeyRing{keys, announce, now}, nil
}

// readRing reads the keys of a file. Those in published have been there since then. A new key is published from now on,
// whatever age the file claims: it may have been written long before it was put in its place. With published nil, at the
// start of the process, the file's age is all that is known.
func readRing(file string, published map[string]time.Time, now func() time.Time) ([]ringKey, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signers, err := parseSigners(text, now)
	if err != nil {
		return nil, err
	}
	ring := make([]ringKey, len(signers))
	for i, signer := range signers {
		ring[i] = ringKey{signer, info.ModTime()}
		if since, ok := published[signer.id]; ok {
			ring[i].since = since
		} else if published != nil {
			ring[i].since = now()
		}
	}
	return ring, nil
}

// Sign returns a token for the user and session of p, good for Lifetime.
func (r *KeyRing) Sign(p auth.Principal) (string, error) {
	ring := r.keys.Get()
	signer := ring[0]
	for _, k := range ring[1:] {
		// Of those that nobody may know yet, the one that is there the longest; of equals, the older in the file.
		if r.now().Sub(k.since) >= r.announce || k.since.Before(signer.since) {
			signer = k
		}
	}
	return signer.Sign(p)
}

// KeySet returns all public keys as a JSON Web Key Set (RFC 7517).
func (r *KeyRing) KeySet() ([]byte, error) {
	ring := r.keys.Get()
	signers := make([]*Signer, len(ring))
	for i, k := range ring {
		signers[i] = k.Signer
	}
	return keySet(signers)
}

func ids(ring []ringKey) []string {
	ids := make([]string, len(ring))
	for i, s := range ring {
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
