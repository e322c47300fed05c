package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// state is what the entries add up to. It changes in apply only, both when a call is served and when the file is
// replayed, so a state that could not have come about by calls cannot be read from a file either.
type state struct {
	entries     []Entry
	payments    map[string]*account
	byReference map[string][]string // payment ids, oldest first
	calls       map[string]call     // by Idempotency-Key
	closed      map[string]bool     // authorization keys under which nothing may happen any more
	pending     map[string]time.Time
	nextDue     time.Time // the earliest of pending, zero if there is none
	unnotified  []string  // late authorizations whose webhook is outstanding, oldest first
}

// account is a payment as the ledger keeps it.
type account struct {
	Payment
	noRefunds bool
}

// call is a served call that had an effect: its answer is given again to whoever repeats it.
type call struct {
	fingerprint string
	answer      Answer
}

func newState() *state {
	return &state{
		payments:    map[string]*account{},
		byReference: map[string][]string{},
		calls:       map[string]call{},
		closed:      map[string]bool{},
		pending:     map[string]time.Time{},
	}
}

// apply checks an entry against the invariants and, if it holds them all, makes it part of the state.
func (s *state) apply(e Entry) (Answer, error) {
	if err := s.check(e); err != nil {
		return Answer{}, fmt.Errorf("entry %d (%s): %w", e.Seq, e.Type, err)
	}
	s.entries = append(s.entries, e)
	p := s.payments[e.PaymentID]
	switch e.Type {
	case Authorized, Pending, Declined:
		if p != nil {
			p.Status = StatusAuthorized
			s.settled(p.ID)
			s.unnotified = append(s.unnotified, p.ID)
			break
		}
		p = &account{noRefunds: e.NoRefunds, Payment: Payment{
			ID: e.PaymentID, Key: e.Key, Reference: e.Reference, Amount: e.Amount, Currency: e.Currency,
			Status: Status(e.Type), FailureCode: e.FailureCode, CreatedAt: e.At,
		}}
		s.payments[p.ID] = p
		s.byReference[p.Reference] = append(s.byReference[p.Reference], p.ID)
		if e.Type == Pending {
			s.pending[p.ID] = *e.DueAt
			if s.nextDue.IsZero() || e.DueAt.Before(s.nextDue) {
				s.nextDue = *e.DueAt
			}
		}
	case Captured:
		p.Status, p.Captured = StatusCaptured, e.Amount
	case Voided:
		p.Status = StatusVoided
		s.settled(p.ID)
	case Refunded:
		p.Refunded += e.Amount
		p.Status = StatusPartiallyRefunded
		if p.Refunded == p.Captured {
			p.Status = StatusRefunded
		}
	case Notified:
		s.notified(e.PaymentID)
	}
	answer := Answer{ClosedKey: e.ClosedKey}
	if p != nil {
		now := p.Payment
		answer.Payment = &now
	}
	if e.ClosedKey != "" {
		s.closed[e.ClosedKey] = true
	}
	if e.Key != "" {
		s.calls[e.Key] = call{fingerprint: e.Fingerprint, answer: answer}
	}
	return answer, nil
}

// check holds the invariants: gapless numbers, one effect per key, no effect under a closed key, at most one capture of
// at most the authorized amount, no refund of more than was captured, nothing after a void.
func (s *state) check(e Entry) error {
	if want := int64(len(s.entries)) + 1; e.Seq != want {
		return fmt.Errorf("number %d was to come", want)
	}
	if e.Key != "" {
		if _, used := s.calls[e.Key]; used {
			return errors.New("its key had an effect before")
		}
		if s.closed[e.Key] {
			return errors.New("its key is closed")
		}
	}
	p := s.payments[e.PaymentID]
	if p != nil && (e.Reference != p.Reference || e.Currency != p.Currency) {
		return errors.New("reference or currency differ from the payment's")
	}
	opens := e.Type == Declined || e.Type == Pending || e.Type == Authorized && e.Key != ""
	switch {
	case opens && p != nil:
		return errors.New("the payment exists already")
	case !opens && p == nil && (e.Type != KeyClosed || e.PaymentID != ""):
		return errors.New("there is no such payment")
	case e.Key == "" && (opens || e.Type != Authorized && e.Type != Notified):
		return errors.New("a call's entry bears no key")
	case (e.Type == KeyClosed) != (e.ClosedKey != "") && e.Type != Voided:
		return errors.New("it closes no key, or may not")
	case e.ClosedKey != "" && (s.closed[e.ClosedKey] || e.ClosedKey == e.Key):
		return errors.New("it closes a key that is closed already, or its own")
	}
	switch e.Type {
	case Authorized, Pending, Declined:
		switch {
		case e.PaymentID == "" || e.Reference == "" || e.Currency == "" || e.Amount <= 0:
			return errors.New("payment, reference, amount or currency is missing")
		case (e.Type == Pending) != (e.DueAt != nil):
			return errors.New("due time without being pending, or the reverse")
		case (e.Type == Declined) != (e.FailureCode != ""):
			return errors.New("failure code without a failure, or the reverse")
		case p != nil && (p.Status != StatusPending || e.Amount != p.Amount):
			return fmt.Errorf("late authorization of %d on a payment that is %s", e.Amount, p.Status)
		}
	case Captured:
		if p.Status != StatusAuthorized || e.Amount <= 0 || e.Amount > p.Amount || e.Released != p.Amount-e.Amount {
			return fmt.Errorf("capture of %d on a payment of %d that is %s", e.Amount, p.Amount, p.Status)
		}
	case Voided:
		if p.Status != StatusAuthorized && p.Status != StatusPending || e.Amount != p.Amount {
			return fmt.Errorf("void of a payment that is %s", p.Status)
		}
		if e.ClosedKey != "" && e.ClosedKey != p.Key {
			return errors.New("closes the key of another payment")
		}
	case Refunded:
		if p.noRefunds {
			return errors.New("refund of a payment that is never given back")
		}
		if e.Amount <= 0 || e.Amount > p.Captured-p.Refunded {
			return fmt.Errorf("refund of %d with %d captured and %d refunded", e.Amount, p.Captured, p.Refunded)
		}
	case KeyClosed:
		if p != nil && (p.Key != e.ClosedKey || p.Status != StatusVoided && p.Status != StatusDeclined) {
			return fmt.Errorf("closes the key of a payment that is %s", p.Status)
		}
	case Notified:
		if p.Status == StatusPending {
			return errors.New("announces what has not happened")
		}
	default:
		return errors.New("unknown type")
	}
	return nil
}

// settled takes a payment off the list of pending ones.
func (s *state) settled(id string) {
	delete(s.pending, id)
	s.nextDue = time.Time{}
	for _, due := range s.pending {
		if s.nextDue.IsZero() || due.Before(s.nextDue) {
			s.nextDue = due
		}
	}
}

func (s *state) notified(id string) {
	for i, waiting := range s.unnotified {
		if waiting == id {
			s.unnotified = append(s.unnotified[:i:i], s.unnotified[i+1:]...)
			return
		}
	}
}

// due lists the pending payments whose time has come, the longest due first.
func (s *state) due(now time.Time) []string {
	if s.nextDue.IsZero() || s.nextDue.After(now) {
		return nil
	}
	var ids []string
	for id, due := range s.pending {
		if !due.After(now) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(s.pending[a].Compare(s.pending[b]), cmp.Compare(a, b))
	})
	return ids
}
