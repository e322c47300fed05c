package domain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/google/uuid"
)

// refreshTokenBytes is 256 bits: nobody guesses one, so a fast hash without salt is enough to keep them at rest.
const refreshTokenBytes = 32

// TokenHash is what is kept of a refresh token: who reads the store can't use it.
type TokenHash [sha256.Size]byte

// HashRefreshToken returns the hash of a refresh token as a client presents it.
func HashRefreshToken(secret string) TokenHash { return sha256.Sum256([]byte(secret)) }

// NewRefreshSecret returns a new refresh token. It is shown to the client once and kept nowhere.
func NewRefreshSecret() string {
	random := make([]byte, refreshTokenBytes)
	_, _ = rand.Read(random) // never fails: it ends the process rather than being predictable
	return base64.RawURLEncoding.EncodeToString(random)
}

// RefreshToken is one link in the chain of tokens of a session. It is good for one use.
type RefreshToken struct {
	Hash      TokenHash
	SessionID uuid.UUID
	IssuedAt  time.Time
	// SpentAt is when it was used; zero until then.
	SpentAt time.Time
	// Successor is the token that it was spent for, sealed; empty unless the client named a key, and forgotten when the
	// successor is spent.
	Successor []byte
}
