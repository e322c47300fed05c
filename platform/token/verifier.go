package token

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

const (
	// refetchAfter is how often an unknown key id may cause a look at the key set: a flood of made-up ids must not become a
	// flood of calls.
	refetchAfter = time.Second
	// refreshAfter is how old a key set may get, so that a key that was taken out stops working. It is read again beside the
	// requests when it is half as old: only the first after a quiet time waits for it.
	refreshAfter = time.Minute
	// fetchTimeout bounds one look at the key set.
	fetchTimeout = 2 * time.Second
	// longestToken is several times what ours are (some 500 characters). Nothing longer is worth a look.
	longestToken = 4 << 10
)

// The ways in which a token is refused. No detail: it would help an attacker only.
var errUnauthenticated = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "The access token is missing, wrong or no longer good. Sign in again.")

// KeySource answers the current key set: GetSigningKeys of user-service, or a Signer's own.
type KeySource func(ctx context.Context) ([]byte, error)

// Verifier checks access tokens with the public keys of a source, which it remembers: while the source is away, known
// keys go on working.
type Verifier struct {
	source KeySource
	parser *jwt.Parser
	now    func() time.Time
	flight singleflight.Group

	mu      sync.RWMutex
	keys    map[string]ed25519.PublicKey
	fetched time.Time // the last success
	tried   time.Time // the last try
}

// NewVerifier returns a verifier. leeway is how much the clocks of two machines may differ; now is the clock.
func NewVerifier(source KeySource, leeway time.Duration, now func() time.Time) *Verifier {
	return &Verifier{
		source: source,
		now:    now,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithIssuer(Issuer), jwt.WithAudience(Audience),
			jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now),
			jwt.WithStrictDecoding(), // one token has one spelling
		),
	}
}

// Verify returns whom the token stands for. Errors: unauthenticated; unavailable when the key is not known and the source
// can't be asked.
func (v *Verifier) Verify(ctx context.Context, raw string) (auth.Principal, error) {
	// Decoders of base64 pass over line breaks.
	if len(raw) > longestToken || strings.ContainsAny(raw, "\r\n") {
		return auth.Principal{}, errUnauthenticated.Wrap(errors.New("too long, or of several lines"))
	}
	var c claims
	_, err := v.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		// Only what Sign writes: the key comes from the source, never from a jku, jwk or x5c of the token itself.
		id, _ := t.Header["kid"].(string)
		if t.Header["typ"] != "JWT" || id == "" || len(t.Header) != 3 {
			return nil, errors.New("the header is not one of ours")
		}
		return v.key(ctx, id)
	})
	if apperr.KindOf(err) == apperr.Unavailable {
		return auth.Principal{}, fmt.Errorf("verify access token: %w", err)
	}
	if err != nil {
		return auth.Principal{}, errUnauthenticated.Wrap(err)
	}
	if repeatsNames(raw) {
		return auth.Principal{}, errUnauthenticated.Wrap(errors.New("a name is there twice"))
	}
	if c.Subject == "" || c.SessionID == "" || c.IssuedAt == nil || !c.Role.AtLeast(auth.Customer) {
		return auth.Principal{}, errUnauthenticated.Wrap(errors.New("a claim is missing"))
	}
	return auth.Principal{UserID: c.Subject, Role: c.Role, SessionID: c.SessionID, Token: raw}, nil
}

// repeatsNames reports whether a name stands twice in the header or the claims, upper and lower case being the same as for
// encoding/json. Another reader of such a token may see another user in it.
func repeatsNames(raw string) bool {
	parts := strings.Split(raw, ".")
	for _, part := range parts[:2] {
		decoder := json.NewDecoder(base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(part)))
		seen, depth, name := map[string]bool{}, 0, false
		for {
			t, err := decoder.Token()
			if err != nil {
				break // the end: that it is JSON is known
			}
			switch t {
			case json.Delim('{'), json.Delim('['):
				depth++
				name = depth == 1
				continue
			case json.Delim('}'), json.Delim(']'):
				depth--
				name = depth == 1
				continue
			}
			if depth != 1 {
				continue
			}
			if key, ok := t.(string); ok && name {
				if key = strings.ToLower(strings.ToUpper(key)); seen[key] {
					return true
				}
				seen[key] = true
			}
			name = !name
		}
	}
	return false
}

// key returns the public key of an id, looking at the source when it is not known or the set is old.
func (v *Verifier) key(ctx context.Context, id string) (ed25519.PublicKey, error) {
	v.mu.RLock()
	key, known := v.keys[id]
	age, sinceTry := v.now().Sub(v.fetched), v.now().Sub(v.tried)
	away := v.tried.After(v.fetched)
	v.mu.RUnlock()

	switch {
	case known && age < refreshAfter/2:
		return key, nil
	case known && (away || age < refreshAfter):
		// Renewed beside the request, which need not wait for it; not at once if the source was away just now.
		if sinceTry >= refetchAfter {
			v.flight.DoChan("", func() (any, error) { return nil, v.fetch(context.WithoutCancel(ctx)) })
		}
		return key, nil
	case !known && sinceTry < refetchAfter && age < refreshAfter:
		return nil, errors.New("unknown key")
	}

	// Detached from the caller, whose going away must not fail the others who wait.
	flight := v.flight.DoChan("", func() (any, error) { return nil, v.fetch(context.WithoutCancel(ctx)) })
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case result := <-flight:
		err = result.Err
	}
	switch {
	case err != nil && known:
		return key, nil
	case err != nil:
		return nil, apperr.DependencyUnavailable(err)
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if key, known = v.keys[id]; !known {
		return nil, errors.New("unknown key")
	}
	return key, nil
}

func (v *Verifier) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	raw, err := v.source(ctx)
	var keys map[string]ed25519.PublicKey
	if err == nil {
		keys, err = parseKeySet(raw)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tried = v.now()
	if err != nil {
		return fmt.Errorf("fetch signing keys: %w", err)
	}
	v.keys, v.fetched = keys, v.tried
	return nil
}
