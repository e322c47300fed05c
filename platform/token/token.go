// Package token makes and checks access tokens: JWTs signed with EdDSA (Ed25519, RFC 8037), and nothing else.
package token

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"shop.example/platform/auth"
)

const (
	// Issuer and Audience are pinned: a token that another system signed with the same key, or for another purpose, is none
	// of ours.
	Issuer   = "https://shop.example/user-service"
	Audience = "https://shop.example/api"
	// Lifetime is how long a stolen token is good for if nothing else ends it.
	Lifetime = 15 * time.Minute
)

// claims is what stands in a token: the user as `sub`, its session and its role.
type claims struct {
	SessionID string    `json:"sid"`
	Role      auth.Role `json:"role"`
	jwt.RegisteredClaims
}

// Signer makes access tokens with one key. Only user-service has private keys.
type Signer struct {
	key ed25519.PrivateKey
	id  string
	now func() time.Time
}

// NewSigner returns a signer for a file with a single key. now is the clock.
func NewSigner(keyPEM []byte, now func() time.Time) (*Signer, error) {
	signers, err := parseSigners(keyPEM, now)
	if err != nil {
		return nil, err
	}
	if len(signers) != 1 {
		return nil, fmt.Errorf("signing key: want one, got %d", len(signers))
	}
	return signers[0], nil
}

// keyID names a key by its content, so that it is the same on every replica.
func keyID(public crypto.PublicKey) string {
	sum := sha256.Sum256(public.(ed25519.PublicKey))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Sign returns a token for the user and session of p, good for Lifetime.
func (s *Signer) Sign(p auth.Principal) (string, error) {
	now := s.now()
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		SessionID: p.SessionID,
		Role:      p.Role,
		RegisteredClaims: jwt.RegisteredClaims{
			ID:        uuid.NewString(), // two tokens of one second differ
			Issuer:    Issuer,
			Audience:  jwt.ClaimStrings{Audience},
			Subject:   p.UserID,
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(Lifetime)),
		},
	})
	t.Header["kid"] = s.id
	signed, err := t.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return signed, nil
}

// KeySet returns the public key as a JSON Web Key Set (RFC 7517).
func (s *Signer) KeySet() ([]byte, error) { return keySet([]*Signer{s}) }

func keySet(signers []*Signer) ([]byte, error) {
	var set jwkset.JWKSMarshal
	for _, s := range signers {
		key, err := jwkset.NewJWKFromKey(s.key.Public(), jwkset.JWKOptions{
			Metadata: jwkset.JWKMetadataOptions{KID: s.id, ALG: jwkset.AlgEdDSA, USE: jwkset.UseSig},
		})
		if err != nil {
			return nil, fmt.Errorf("make key set: %w", err)
		}
		set.Keys = append(set.Keys, key.Marshal())
	}
	return json.Marshal(set)
}

// parseKeySet returns the Ed25519 keys of a key set by their ids. Others are passed over: they sign nothing of ours.
func parseKeySet(raw []byte) (map[string]ed25519.PublicKey, error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("parse key set: %w", err)
	}
	keys := make(map[string]ed25519.PublicKey, len(set.Keys))
	for _, marshal := range set.Keys {
		key, err := jwkset.NewJWKFromMarshal(marshal, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			return nil, fmt.Errorf("parse key %q: %w", marshal.KID, err)
		}
		if public, ok := key.Key().(ed25519.PublicKey); ok {
			keys[marshal.KID] = public
		}
	}
	return keys, nil
}
