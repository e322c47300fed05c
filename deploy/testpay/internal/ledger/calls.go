package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// maxAmount, ten thousand million in a currency with cents, is beyond any order and keeps the totals of nine million
// payments within an int64.
const maxAmount = 1_000_000_000_000

// maxReference is plenty for an order id, and keeps a line of the journal short.
const maxReference = 255

// AuthorizeRequest asks for an authorization.
type AuthorizeRequest struct {
	Amount    int64  `json:"amount"` // minor units
	Currency  string `json:"currency"`
	Token     string `json:"token"`
	Reference string `json:"reference"` // the shop's order id
}

func (r AuthorizeRequest) validate() *Refusal {
	switch {
	case r.Amount <= 0 || r.Amount > maxAmount:
		return invalid("amount must be 1 to %d minor units", int64(maxAmount))
	case !isCurrency(r.Currency):
		return invalid("currency must be an ISO 4217 code, such as EUR")
	case r.Reference == "" || len(r.Reference) > maxReference:
		return invalid("reference must be 1 to %d bytes", maxReference)
	}
	if _, ok := outcomes[r.Token]; !ok {
		return &Refusal{Kind: Invalid, Code: CodeInvalidToken, Message: "unknown token"}
	}
	return nil
}

// Authorize makes the one payment of its key. A declined payment is an answer, not an error.
// Under a key that VoidByKey closed it is refused for ever.
func (l *Ledger) Authorize(key string, request AuthorizeRequest) (Answer, error) {
	if r := request.validate(); r != nil {
		return Answer{}, r
	}
	mark := fingerprint("authorize", request)
	return l.do(func(now time.Time) (Answer, error) {
		// The closed key comes first: not even the kept answer of a payment that was made is given again, as it would
		// say "authorized" of one that is not.
		if l.state.closed[key] {
			return Answer{}, conflict(CodeVoided, "this key was closed: no payment can be made under it", l.underKey(key))
		}
		if answer, seen, err := l.seen(key, mark); seen {
			return answer, err
		}
		does := outcomes[request.Token]
		e := Entry{
			Type: does.entry, PaymentID: "pay_" + strings.ToLower(rand.Text()), Reference: request.Reference,
			Amount: request.Amount, Currency: request.Currency, FailureCode: does.failureCode, NoRefunds: does.keeps,
			Key: key, Fingerprint: mark,
		}
		if does.entry == Pending {
			due := now.Add(l.options.LateAfter)
			e.DueAt = &due
			defer signal(l.dueChanged)
		}
		answer, err := l.write(e, now)
		answer.Silent = does.silent
		return answer, err
	})
}

// Capture takes the money of an authorized payment, once: all of it, or the given part, which releases the rest.
func (l *Ledger) Capture(key, paymentID string, amount *int64) (Answer, error) {
	if amount != nil && *amount <= 0 {
		return Answer{}, invalid("amount must be positive")
	}
	return l.change(key, paymentID, fingerprint("capture", paymentID, amount), func(p *account) (Entry, error) {
		take := p.Amount
		if amount != nil {
			take = *amount
		}
		switch {
		case p.Status != StatusAuthorized:
			return Entry{}, stateConflict(p.ref())
		case take > p.Amount:
			return Entry{}, conflict(CodeExceedsAuthorization, "more than was authorized", p.ref())
		}
		e := entryOf(Captured, p, take)
		e.Released = p.Amount - take
		return e, nil
	})
}

// Void gives an authorization up, or one that is still pending.
func (l *Ledger) Void(key, paymentID string) (Answer, error) {
	return l.change(key, paymentID, fingerprint("void", paymentID), func(p *account) (Entry, error) {
		if p.Status != StatusAuthorized && p.Status != StatusPending {
			return Entry{}, stateConflict(p.ref())
		}
		return entryOf(Voided, p, p.Amount), nil
	})
}

// Refund gives back a part of what was captured, or all.
func (l *Ledger) Refund(key, paymentID string, amount int64) (Answer, error) {
	if amount <= 0 {
		return Answer{}, invalid("amount must be positive")
	}
	return l.change(key, paymentID, fingerprint("refund", paymentID, amount), func(p *account) (Entry, error) {
		switch {
		case p.Captured == 0:
			return Entry{}, stateConflict(p.ref())
		case p.noRefunds:
			return Entry{}, conflict(CodeRefundRefused, "the bank does not take the money back", p.ref())
		case amount > p.Captured-p.Refunded:
			return Entry{}, conflict(CodeRefundExceedsPayment, "more than is left of the captured amount", p.ref())
		}
		return entryOf(Refunded, p, amount), nil
	})
}

// VoidByKey makes sure that the authorize call with the given key takes no money, whether it has arrived, is on its way,
// or never will: its payment is voided if there is one, and the key is closed. It asks for a final state, so to ask
// again is no error. A captured payment is the one refusal: that money must be refunded.
func (l *Ledger) VoidByKey(key, authorizeKey string) (Answer, error) {
	if key == authorizeKey {
		return Answer{}, invalid("the Idempotency-Key must not be the key that is to be closed")
	}
	mark := fingerprint("void-by-key", authorizeKey)
	return l.do(func(now time.Time) (Answer, error) {
		if answer, seen, err := l.seen(key, mark); seen {
			return answer, err
		}
		if l.state.closed[key] {
			return Answer{}, keyReused()
		}
		p := l.underKey(authorizeKey)
		if l.state.closed[authorizeKey] {
			return Answer{Payment: copyOf(p), ClosedKey: authorizeKey}, nil
		}
		e := Entry{Type: KeyClosed}
		switch {
		case p == nil:
			if _, used := l.state.calls[authorizeKey]; used {
				return Answer{}, keyReused() // by a capture, say: no authorization can happen under it anyway
			}
		case p.Status == StatusAuthorized || p.Status == StatusPending:
			e = entryOf(Voided, l.state.payments[p.ID], p.Amount)
		case p.Status == StatusVoided || p.Status == StatusDeclined:
			e = entryOf(KeyClosed, l.state.payments[p.ID], 0)
		default:
			return Answer{}, stateConflict(p)
		}
		e.Key, e.Fingerprint, e.ClosedKey = key, mark, authorizeKey
		return l.write(e, now)
	})
}

// Payment returns one payment as it stands now.
func (l *Ledger) Payment(id string) (Payment, error) {
	answer, err := l.do(func(time.Time) (Answer, error) {
		p := l.state.payments[id]
		if p == nil {
			return Answer{}, notFound()
		}
		return Answer{Payment: copyOf(p.ref())}, nil
	})
	if err != nil {
		return Payment{}, err
	}
	return *answer.Payment, nil
}

// ByKey returns the payment that an authorize call made, as it stands now. Under a closed key without a payment the
// answer is a conflict, not NotFound: there is none, and there never will be.
func (l *Ledger) ByKey(key string) (Payment, error) {
	answer, err := l.do(func(time.Time) (Answer, error) {
		p := l.underKey(key)
		switch {
		case p != nil:
			return Answer{Payment: copyOf(p)}, nil
		case l.state.closed[key]:
			return Answer{}, conflict(CodeVoided, "this key was closed before a payment was made under it", nil)
		default:
			return Answer{}, notFound()
		}
	})
	if err != nil {
		return Payment{}, err
	}
	return *answer.Payment, nil
}

// ByReference returns all payments of an order, oldest first.
func (l *Ledger) ByReference(reference string) ([]Payment, error) {
	payments := []Payment{}
	_, err := l.do(func(time.Time) (Answer, error) {
		for _, id := range l.state.byReference[reference] {
			payments = append(payments, l.state.payments[id].Payment)
		}
		return Answer{}, nil
	})
	return payments, err
}

// Entries returns the whole ledger. The slice is the caller's to read, not to change.
func (l *Ledger) Entries() ([]Entry, error) {
	var entries []Entry
	_, err := l.do(func(time.Time) (Answer, error) {
		n := len(l.state.entries)
		entries = l.state.entries[:n:n] // entries are only ever added behind these
		return Answer{}, nil
	})
	return entries, err
}

// change runs a call on an existing payment.
func (l *Ledger) change(key, paymentID, mark string, decide func(p *account) (Entry, error)) (Answer, error) {
	return l.do(func(now time.Time) (Answer, error) {
		if answer, seen, err := l.seen(key, mark); seen {
			return answer, err
		}
		if l.state.closed[key] {
			return Answer{}, keyReused()
		}
		p := l.state.payments[paymentID]
		if p == nil {
			return Answer{}, notFound()
		}
		e, err := decide(p)
		if err != nil {
			return Answer{}, err
		}
		e.Key, e.Fingerprint = key, mark
		return l.write(e, now)
	})
}

// seen answers a call whose key has had its effect.
func (l *Ledger) seen(key, mark string) (answer Answer, seen bool, err error) {
	before, ok := l.state.calls[key]
	switch {
	case !ok:
		return Answer{}, false, nil
	case before.fingerprint != mark:
		return Answer{}, true, keyReused()
	default:
		answer = before.answer
		answer.Payment = copyOf(answer.Payment)
		answer.Replayed = true
		return answer, true, nil
	}
}

// underKey is the payment that the authorize call with this key made, or nil.
func (l *Ledger) underKey(key string) *Payment {
	made := l.state.calls[key].answer.Payment
	if made == nil {
		return nil
	}
	if p := l.state.payments[made.ID]; p.Key == key { // else the key belongs to a capture, void or refund
		return p.ref()
	}
	return nil
}

func keyReused() *Refusal {
	return &Refusal{Kind: Invalid, Code: CodeKeyReused, Message: "this key was used for another request"}
}

func (a *account) ref() *Payment { return &a.Payment }

func copyOf(p *Payment) *Payment {
	if p == nil {
		return nil
	}
	now := *p
	return &now
}

// fingerprint tells two requests under one key apart. It holds the meaning, not the bytes, so white space in a body is
// no difference; and it is a hash, so the journal holds no card token.
func fingerprint(parts ...any) string {
	// Marshalling strings, integers and a struct of them cannot fail.
	meaning, _ := json.Marshal(parts)
	sum := sha256.Sum256(meaning)
	return hex.EncodeToString(sum[:])
}

func isCurrency(s string) bool {
	if len(s) != 3 {
		return false
	}
	for _, c := range s {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}
