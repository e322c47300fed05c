package domain

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

// successorLabel keeps the key apart from any other that might be derived from a refresh token one day.
const successorLabel = "shop.example user-service refresh successor v1\x00"

// SealSuccessor returns a refresh token so that only who has both the token that was presented for it and the client's own
// key for that request can read it. The store has neither, and a thief of the token does not have the key: it is nobody's
// way to a living token but that of the client that missed the answer.
func SealSuccessor(successor, presented, key string) ([]byte, error) {
	box, err := successorBox(presented, key)
	if err != nil {
		return nil, fmt.Errorf("seal successor: %w", err)
	}
	return box.Seal(nil, nil, []byte(successor), nil), nil //nolint:gosec // G407: this box draws its nonce itself, and takes none
}

// openSuccessor is the inverse of SealSuccessor. It opens nothing without a key, or with another.
func openSuccessor(sealed []byte, presented, key string) (string, bool) {
	if len(sealed) == 0 || key == "" {
		return "", false
	}
	box, err := successorBox(presented, key)
	if err != nil {
		return "", false
	}
	successor, err := box.Open(nil, nil, sealed, nil)
	return string(successor), err == nil
}

// successorBox is AES-256-GCM under a key from both secrets. The presented token has 256 random bits, so nobody can search
// for the key, however simple what the client has chosen.
func successorBox(presented, key string) (cipher.AEAD, error) {
	secret, err := hkdf.Key(sha256.New, []byte(presented), nil, successorLabel+key, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
