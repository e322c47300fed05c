package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
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
	// refreshAfter is how old a key set may get before it is read again, so that a key that was taken out stops working.
	refreshAfter = time.Minute
	// fetchTimeout bounds one look at the key set.
	fetchTimeout = 2 * time.Second
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
			jwt.WithExpirationRequired(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(now),
		),
	}
}

// Verify returns whom the token stands for. Errors: unauthenticated; unavailable when the key is not known and the source
// can't be asked.
func (v *Verifier) Verify(ctx context.Context, raw string) (auth.Principal, error) {
	var c claims
	_, err := v.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		return v.key(ctx, id)
	})
	if apperr.KindOf(err) == apperr.Unavailable {
		return auth.Principal{}, fmt.Errorf("verify access token: %w", err)
	}
	if err != nil {
		return auth.Principal{}, errUnauthenticated.Wrap(err)
	}
	if c.Subject == "" || c.SessionID == "" || !c.Role.AtLeast(auth.Customer) {
		return auth.Principal{}, errUnauthenticated.Wrap(errors.New("a claim is missing"))
	}
	return auth.Principal{UserID: c.Subject, Role: c.Role, SessionID: c.SessionID, Token: raw}, nil
}

// key returns the public key of an id, looking at the source when it is not known or the set is old.
func (v *Verifier) key(ctx context.Context, id string) (ed25519.PublicKey, error) {
	v.mu.RLock()
	key, known := v.keys[id]
	age, sinceTry := v.now().Sub(v.fetched), v.now().Sub(v.tried)
	v.mu.RUnlock()

	switch {
	case known && age < refreshAfter:
		return key, nil
	case known && sinceTry < refetchAfter:
		return key, nil // the source is away; it was asked just now
	case known:
		// Renewed beside the request, which need not wait for it.
		v.flight.DoChan("", func() (any, error) { return nil, v.fetch(context.WithoutCancel(ctx)) })
		return key, nil
	case sinceTry < refetchAfter && age < refreshAfter:
		return nil, errors.New("unknown key")
	}

	// Detached from the caller, whose going away must not fail the others who wait.
	flight := v.flight.DoChan("", func() (any, error) { return nil, v.fetch(context.WithoutCancel(ctx)) })
	select {
	case <-ctx.Done():
		return nil, apperr.DependencyUnavailable(ctx.Err())
	case result := <-flight:
		if result.Err != nil {
			return nil, apperr.DependencyUnavailable(result.Err)
		}
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
