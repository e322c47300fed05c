// Package pagetoken makes the opaque tokens that a list answers with and takes back: where the next page begins, bound to
// the query that it belongs to.
package pagetoken

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"shop.example/platform/apperr"
)

// ErrInvalid is the error for a token that was not made by the same list, with the same query.
var ErrInvalid = apperr.InvalidField("page_token", "is not one that this list, with this query, has answered; leave it out to start again")

// sumSize bytes of checksum make it clear when a token is damaged or belongs to another query. It is no secret: a client
// that forges one moves its own cursor to a place that it could have paged to.
const sumSize = 8

// Encode returns a token for a cursor, which must be a JSON value, in the list of a query, any JSON value that names all
// filters and the order.
func Encode(query, cursor any) (string, error) {
	raw, err := json.Marshal(cursor)
	if err != nil {
		return "", fmt.Errorf("encode page token: %w", err)
	}
	sum, err := checksum(query, raw)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(sum, raw...)), nil
}

// Decode sets cursor, a pointer, from a token. It returns ErrInvalid for what Encode did not make for the same query.
func Decode(token string, query, cursor any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < sumSize {
		return ErrInvalid
	}
	want, err := checksum(query, raw[sumSize:])
	if err != nil {
		return err
	}
	if !bytes.Equal(want, raw[:sumSize]) {
		return ErrInvalid
	}
	if err := json.Unmarshal(raw[sumSize:], cursor); err != nil {
		return ErrInvalid.Wrap(err)
	}
	return nil
}

func checksum(query any, cursor []byte) ([]byte, error) {
	raw, err := json.Marshal(query)
	if err != nil {
		return nil, fmt.Errorf("encode page token: %w", err)
	}
	sum := sha256.Sum256(append(append(raw, 0), cursor...))
	return sum[:sumSize], nil
}
