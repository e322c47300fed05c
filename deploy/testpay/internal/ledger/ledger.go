// Package ledger decides about payments and remembers what it decided: every effect is an entry in a journal, the state
// is the replay of all entries, and no answer is given before the entry it rests on is on the disk.
package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"shop.example/deploy/testpay/internal/journal"
)

// Options are what a ledger is told from outside.
type Options struct {
	LateAfter time.Duration    // how long a tok_late payment stays pending
	Now       func() time.Time // the clock
}

// Ledger is safe for concurrent use.
type Ledger struct {
	options Options
	journal *journal.Journal

	mu    sync.Mutex
	state *state

	// Both hold at most one signal: that the background loops should look again.
	dueChanged chan struct{}
	newNotice  chan struct{}
}

// Answer is what a served call gets.
type Answer struct {
	Payment   *Payment // as it was right after the call; nil when a key without a payment was closed
	ClosedKey string   // of a void by key
	Replayed  bool     // an earlier call under the same key had this answer
	Silent    bool     // the caller must not hear of it (tok_timeout's first attempt)
}

// Open replays the file, which belongs to this ledger alone until Close.
func Open(path string, options Options) (*Ledger, error) {
	s := newState()
	j, err := journal.Open(path, func(record []byte) error {
		var e Entry
		if err := json.Unmarshal(record, &e); err != nil {
			return err
		}
		_, err := s.apply(e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l := &Ledger{
		options: options, journal: j, state: s,
		dueChanged: make(chan struct{}, 1), newNotice: make(chan struct{}, 1),
	}
	signal(l.newNotice)
	return l, nil
}

// Close makes all entries durable and gives the file up.
func (l *Ledger) Close() error { return l.journal.Close() }

// Failed is closed when the ledger can no longer write; the process should end then, Err says why.
func (l *Ledger) Failed() <-chan struct{} { return l.journal.Failed() }

// Err is why the ledger can no longer write, or nil.
func (l *Ledger) Err() error { return l.journal.Err() }

// do runs one decision under the lock and returns when all that it saw and wrote is durable: neither an effect nor a
// refusal may rest on an entry that a crash could take back. This is also what makes concurrent calls under one
// key end in one effect: the second finds the first's answer, and waits for the same fsync.
func (l *Ledger) do(decide func(now time.Time) (Answer, error)) (Answer, error) {
	answer, durable, err := l.locked(decide)
	if failure := durable.Wait(); failure != nil {
		return Answer{}, failure
	}
	return answer, err
}

func (l *Ledger) locked(decide func(now time.Time) (Answer, error)) (Answer, *journal.Commit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.options.Now().UTC().Truncate(time.Millisecond)
	if err := l.settle(now); err != nil {
		return Answer{}, l.journal.Tail(), err
	}
	answer, err := decide(now)
	return answer, l.journal.Tail(), err
}

// write makes an entry part of the state and of the journal. The caller holds the lock.
func (l *Ledger) write(e Entry, now time.Time) (Answer, error) {
	e.Seq = int64(len(l.state.entries)) + 1
	e.At = now
	record, err := json.Marshal(e)
	if err != nil {
		return Answer{}, err
	}
	answer, err := l.state.apply(e)
	if err != nil {
		return Answer{}, err // a decision broke an invariant: a bug, and nothing was written
	}
	l.journal.Append(record)
	return answer, nil
}

// settle authorizes the pending payments whose time has come. It runs before every decision and every read, so what a
// caller sees depends on the recorded due time and the clock, not on when a timer fired. The caller holds the lock.
func (l *Ledger) settle(now time.Time) error {
	for _, id := range l.state.due(now) {
		if _, err := l.write(entryOf(Authorized, l.state.payments[id], l.state.payments[id].Amount), now); err != nil {
			return err
		}
		signal(l.newNotice)
	}
	return nil
}

// Settle authorizes pending payments as they fall due, until ctx is done.
func (l *Ledger) Settle(ctx context.Context) {
	for {
		if _, err := l.do(func(time.Time) (Answer, error) { return Answer{}, nil }); err != nil {
			return // the journal failed, which ends the process
		}
		l.mu.Lock()
		next := l.state.nextDue
		l.mu.Unlock()
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(next.Sub(l.options.Now()))
		}
		select {
		case <-timer:
		case <-l.dueChanged:
		case <-ctx.Done():
			return
		}
	}
}

// NextNotice waits for a late authorization that was not announced yet.
func (l *Ledger) NextNotice(ctx context.Context) (Payment, error) {
	for {
		var found *Payment
		_, err := l.do(func(time.Time) (Answer, error) {
			if len(l.state.unnotified) > 0 {
				now := l.state.payments[l.state.unnotified[0]].Payment
				found = &now
			}
			return Answer{}, nil
		})
		if err != nil {
			return Payment{}, err
		}
		if found != nil {
			return *found, nil
		}
		select {
		case <-l.newNotice:
		case <-ctx.Done():
			return Payment{}, ctx.Err()
		}
	}
}

// Notified remembers that a late authorization was announced.
func (l *Ledger) Notified(paymentID string) error {
	_, err := l.do(func(now time.Time) (Answer, error) {
		p := l.state.payments[paymentID]
		if p == nil {
			return Answer{}, notFound()
		}
		return l.write(entryOf(Notified, p, 0), now)
	})
	return err
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal is waiting already
	}
}

func entryOf(t EntryType, p *account, amount int64) Entry {
	return Entry{Type: t, PaymentID: p.ID, Reference: p.Reference, Currency: p.Currency, Amount: amount}
}
