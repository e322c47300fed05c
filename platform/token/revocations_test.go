package token_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/token"
)

// changes is a source that the test fills.
type changes struct {
	ids   []string
	users map[string]auth.Role
	away  bool
	asked []time.Time
	next  time.Time
}

func (e *changes) source(_ context.Context, since time.Time) (token.AccessChanges, error) {
	if e.away {
		return token.AccessChanges{}, errors.New("connection refused")
	}
	e.asked = append(e.asked, since)
	return token.AccessChanges{EndedSessions: e.ids, Users: e.users, Next: e.next}, nil
}

func always(p auth.Principal) func(context.Context, string) (auth.Principal, error) {
	return func(context.Context, string) (auth.Principal, error) { return p, nil }
}

func TestEndedSessionsAreRefused(t *testing.T) {
	t.Parallel()
	c, e := newClock(), &changes{}
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

func TestChangedUsers(t *testing.T) {
	t.Parallel()
	c, e := newClock(), &changes{}
	r := token.NewRevocations(e.source, slog.New(slog.DiscardHandler), c.now)
	verify := r.Guard(always(alice)) // her token says staff
	for _, role := range []auth.Role{auth.Customer, auth.Admin, auth.Staff} {
		e.users = map[string]auth.Role{alice.UserID: role, "another": auth.Customer}
		r.Poll(t.Context())
		want := alice
		want.Role = role
		if got, err := verify(t.Context(), "x"); err != nil || got != want {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	for _, role := range []auth.Role{"", "a role of a later release"} {
		e.users = map[string]auth.Role{alice.UserID: role}
		r.Poll(t.Context())
		if got, err := verify(t.Context(), "x"); apperr.KindOf(err) != apperr.Unauthenticated || got != (auth.Principal{}) {
			t.Errorf("role %q: %v, %v", role, got, err)
		}
	}

	e.users = nil
	c.advance(token.Lifetime + time.Minute)
	r.Poll(t.Context())
	if _, err := verify(t.Context(), "x"); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("forgotten before the last token has expired: %v", err)
	}
	c.advance(5 * time.Minute)
	r.Poll(t.Context())
	if got, err := verify(t.Context(), "x"); err != nil || got != alice {
		t.Errorf("still remembered: %v, %v", got, err)
	}
}

func TestRevocationsWithTheSourceAway(t *testing.T) {
	t.Parallel()
	c, e := newClock(), &changes{ids: []string{alice.SessionID}}
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
	c, e := newClock(), &changes{ids: []string{alice.SessionID}}
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

// After a mass ending the answers come in parts, which are asked for at once.
func TestPartsAreAskedForAtOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	const all = 25_000
	var asked int
	r := token.NewRevocations(func(_ context.Context, since time.Time) (token.AccessChanges, error) {
		asked++
		from := 0
		if !since.IsZero() {
			from = int(since.Unix())
		}
		part := token.AccessChanges{Next: time.Unix(int64(min(from+10_000, all)), 0)}
		for i := from; i < min(from+10_000, all); i++ {
			part.EndedSessions = append(part.EndedSessions, strconv.Itoa(i))
		}
		return part, nil
	}, slog.New(slog.DiscardHandler), c.now)
	r.Poll(t.Context())
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
	last := auth.Principal{UserID: alice.UserID, Role: auth.Customer, SessionID: strconv.Itoa(all - 1)}
	if _, err := r.Guard(always(last))(t.Context(), "x"); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("the last of them is let in: %v", err)
	}
}
