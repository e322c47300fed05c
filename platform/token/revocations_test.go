package token_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/token"
)

// endings is a source that the test fills.
type endings struct {
	ids   []string
	away  bool
	asked []time.Time
	next  time.Time
}

func (e *endings) source(_ context.Context, since time.Time) ([]string, time.Time, error) {
	if e.away {
		return nil, time.Time{}, errors.New("connection refused")
	}
	e.asked = append(e.asked, since)
	return e.ids, e.next, nil
}

func always(p auth.Principal) func(context.Context, string) (auth.Principal, error) {
	return func(context.Context, string) (auth.Principal, error) { return p, nil }
}

func TestEndedSessionsAreRefused(t *testing.T) {
	t.Parallel()
	c, e := newClock(), &endings{}
	e.next = c.now()
	r := token.NewRevocations(e.source, slog.New(slog.DiscardHandler), c.now)
	verify := r.Guard(always(alice))
	r.Poll(t.Context())
	if _, err := verify(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}

	e.ids = []string{alice.SessionID}
	r.Poll(t.Context())
	if _, err := verify(t.Context(), "x"); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("the session has ended: %v", err)
	}
	if other, err := r.Guard(always(auth.Principal{SessionID: "another"}))(t.Context(), "x"); err != nil {
		t.Errorf("%v: %v", other, err)
	}
	if len(e.asked) != 2 || !e.asked[0].IsZero() || !e.asked[1].Equal(e.next) {
		t.Errorf("asked from %v", e.asked)
	}
}

func TestRevocationsWithTheSourceAway(t *testing.T) {
	t.Parallel()
	c, e := newClock(), &endings{ids: []string{alice.SessionID}}
	r := token.NewRevocations(e.source, slog.New(slog.DiscardHandler), c.now)
	r.Poll(t.Context())
	e.away, e.ids = true, nil
	c.advance(6 * time.Second)
	r.Poll(t.Context())
	if _, err := r.Guard(always(alice))(t.Context(), "x"); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("what was known is forgotten: %v", err)
	}
	if r.Probe(t.Context()) == nil {
		t.Error("nobody is told")
	}
	e.away = false
	r.Poll(t.Context())
	if err := r.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOldEndingsAreForgotten(t *testing.T) {
	t.Parallel()
	c, e := newClock(), &endings{ids: []string{alice.SessionID}}
	r := token.NewRevocations(e.source, slog.New(slog.DiscardHandler), c.now)
	r.Poll(t.Context())
	e.ids = nil
	c.advance(token.Lifetime + time.Minute)
	r.Poll(t.Context())
	if _, err := r.Guard(always(alice))(t.Context(), "x"); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("forgotten before its last token has expired: %v", err)
	}
	c.advance(5 * time.Minute)
	r.Poll(t.Context())
	if _, err := r.Guard(always(alice))(t.Context(), "x"); err != nil {
		t.Errorf("still remembered: %v", err)
	}
}
