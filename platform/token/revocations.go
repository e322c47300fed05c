package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"shop.example/platform/auth"
	"shop.example/platform/lifecycle"
)

const (
	// pollEvery and pollTimeout keep the promise that the end of a session and the change of a role reach every endpoint
	// within 5 s: 2 s until the next look, 1 s for the look, and as much again if one fails.
	pollEvery   = 2 * time.Second
	pollTimeout = time.Second
	// staleAfter is when the promise is broken, and whoever watches the process should know.
	staleAfter = 5 * time.Second
	// fullPart is how many entries of a kind user-service gives in one answer: with as many there may be more.
	fullPart = 10_000
	// rememberFor outlives every access token of an ended session, leeways included.
	rememberFor = Lifetime + 5*time.Minute
)

// AccessChanges is what became different for access tokens that are still good by themselves.
type AccessChanges struct {
	EndedSessions []string
	// Users are those whose role changed, with the role that they have now; no role stands for a user who was deleted.
	Users map[string]auth.Role
	// Next is the time to ask from next.
	Next time.Time
}

// ChangeSource answers what changed since a time. It may answer some changes twice. The zero time stands for all that
// concern a token that may still be good.
type ChangeSource func(ctx context.Context, since time.Time) (AccessChanges, error)

// Revocations knows which sessions have ended and which users' roles have changed, so that access tokens stop working, or
// mean something else, before they expire. While its source is away it knows what it knew: a token then lives out its time.
type Revocations struct {
	source ChangeSource
	log    *slog.Logger
	now    func() time.Time
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.RWMutex
	ended  map[string]time.Time // when it was heard of
	users  map[string]userAccess
	next   time.Time
	polled time.Time // the last success; at first, when it was made
}

// userAccess is what a user may do, whatever its access tokens say.
type userAccess struct {
	role  auth.Role
	heard time.Time
}

// NewRevocations returns a list that is empty until its component starts. now is the clock.
func NewRevocations(source ChangeSource, log *slog.Logger, now func() time.Time) *Revocations {
	return &Revocations{source: source, log: log, now: now, ended: make(map[string]time.Time), users: make(map[string]userAccess), polled: now()}
}

// Guard returns verify, with tokens of ended sessions and deleted users refused, and with the role that the user has now.
func (r *Revocations) Guard(verify func(context.Context, string) (auth.Principal, error)) func(context.Context, string) (auth.Principal, error) {
	return func(ctx context.Context, raw string) (auth.Principal, error) {
		p, err := verify(ctx, raw)
		if err != nil {
			return p, err
		}
		r.mu.RLock()
		_, ended := r.ended[p.SessionID]
		user, changed := r.users[p.UserID]
		r.mu.RUnlock()
		if ended {
			return auth.Principal{}, errUnauthenticated.Wrap(errors.New("the session has ended"))
		}
		if !changed {
			return p, nil
		}
		if !user.role.AtLeast(auth.Customer) {
			return auth.Principal{}, errUnauthenticated.Wrap(errors.New("the user has no role any more"))
		}
		p.Role = user.role
		return p, nil
	}
}

// Probe fails while changes are not heard of in time: a health check, of the optional kind.
func (r *Revocations) Probe(context.Context) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if age := r.now().Sub(r.polled); age > staleAfter {
		return fmt.Errorf("changes of access were last heard of %v ago", age.Round(time.Second))
	}
	return nil
}

// Component asks the source from start to stop. Start returns after the first answer, or when it has waited long enough:
// a service starts without user-service.
func (r *Revocations) Component() lifecycle.Component {
	return lifecycle.Component{
		Name: "revocations",
		Start: func(ctx context.Context) error {
			loop, cancel := context.WithCancel(context.WithoutCancel(ctx))
			r.cancel, r.done = cancel, make(chan struct{})
			r.Poll(ctx)
			go r.run(loop)
			return nil
		},
		Stop: func(context.Context) error {
			r.cancel()
			<-r.done
			return nil
		},
	}
}

func (r *Revocations) run(ctx context.Context) {
	defer close(r.done)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.Poll(ctx)
		}
	}
}

// Poll asks the source for all that is new. A failure is made up for by the next look, which asks from the same time.
func (r *Revocations) Poll(ctx context.Context) {
	for r.ask(ctx) && ctx.Err() == nil {
	}
}

// ask asks the source once, and reports whether there is more to be had at once.
func (r *Revocations) ask(ctx context.Context) (more bool) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	r.mu.RLock()
	since, last := r.next, r.polled
	r.mu.RUnlock()
	changes, err := r.source(ctx, since)
	if err != nil {
		// Only while it is news: from staleAfter on, the health check tells of the outage until it is over.
		if r.now().Sub(last) < staleAfter {
			r.log.WarnContext(ctx, "changes of access can't be asked for", "error", err)
		}
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, id := range changes.EndedSessions {
		r.ended[id] = now
	}
	for id, role := range changes.Users {
		r.users[id] = userAccess{role, now}
	}
	r.next = changes.Next
	if len(changes.EndedSessions) >= fullPart || len(changes.Users) >= fullPart {
		return true // polled stays: not all has been heard of
	}
	r.polled = now
	maps.DeleteFunc(r.ended, func(_ string, heard time.Time) bool { return now.Sub(heard) > rememberFor })
	maps.DeleteFunc(r.users, func(_ string, u userAccess) bool { return now.Sub(u.heard) > rememberFor })
	return false
}
