package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"shop.example/platform/auth"
	"shop.example/platform/lifecycle"
)

const (
	// pollEvery and pollTimeout keep the promise that the end of a session reaches every endpoint within 5 s: 2 s until the
	// next look, 1 s for the look, and as much again if one fails.
	pollEvery   = 2 * time.Second
	pollTimeout = time.Second
	// staleAfter is when the promise is broken, and whoever watches the process should know.
	staleAfter = 5 * time.Second
	// rememberFor outlives every access token of an ended session, leeways included.
	rememberFor = Lifetime + 5*time.Minute
)

// EndedSessions answers the ids of the sessions that ended since a time, and the time to ask from next. It may answer some
// twice. The zero time stands for all whose access tokens may still be good.
type EndedSessions func(ctx context.Context, since time.Time) (ids []string, next time.Time, err error)

// Revocations knows which sessions have ended, so that their access tokens stop working before they expire. While its
// source is away it knows what it knew: a token then lives out its time.
type Revocations struct {
	source EndedSessions
	log    *slog.Logger
	now    func() time.Time
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.RWMutex
	ended  map[string]time.Time // when it was heard of
	next   time.Time
	polled time.Time // the last success
}

// NewRevocations returns a list that is empty until its component starts. now is the clock.
func NewRevocations(source EndedSessions, log *slog.Logger, now func() time.Time) *Revocations {
	return &Revocations{source: source, log: log, now: now, ended: make(map[string]time.Time)}
}

// Guard returns verify, with tokens of ended sessions refused.
func (r *Revocations) Guard(verify func(context.Context, string) (auth.Principal, error)) func(context.Context, string) (auth.Principal, error) {
	return func(ctx context.Context, raw string) (auth.Principal, error) {
		p, err := verify(ctx, raw)
		if err != nil {
			return p, err
		}
		r.mu.RLock()
		_, ended := r.ended[p.SessionID]
		r.mu.RUnlock()
		if ended {
			return auth.Principal{}, errUnauthenticated.Wrap(errors.New("the session has ended"))
		}
		return p, nil
	}
}

// Probe fails while ended sessions are not heard of in time: a health check, of the optional kind.
func (r *Revocations) Probe(context.Context) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if age := r.now().Sub(r.polled); age > staleAfter {
		return fmt.Errorf("ended sessions were last heard of %v ago", age.Round(time.Second))
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

// Poll asks the source once. A failure is made up for by the next look, which asks from the same time.
func (r *Revocations) Poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	r.mu.RLock()
	since, last := r.next, r.polled
	r.mu.RUnlock()
	ids, next, err := r.source(ctx, since)
	if err != nil {
		// Only while it is news: from staleAfter on, the health check tells of the outage until it is over.
		if !last.IsZero() && r.now().Sub(last) < staleAfter {
			r.log.WarnContext(ctx, "ended sessions can't be asked for", "error", err)
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for _, id := range ids {
		r.ended[id] = now
	}
	for id, heard := range r.ended {
		if now.Sub(heard) > rememberFor {
			delete(r.ended, id)
		}
	}
	r.next, r.polled = next, now
}
