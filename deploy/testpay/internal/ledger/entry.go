package ledger

import "time"

// EntryType names what an entry did.
type EntryType string

// The types. Authorized without a key is a late authorization: the provider's own doing, not a caller's.
const (
	Authorized EntryType = "authorized"
	Pending    EntryType = "pending"
	Declined   EntryType = "declined"
	Captured   EntryType = "captured"
	Voided     EntryType = "voided"
	Refunded   EntryType = "refunded"
	KeyClosed  EntryType = "key_closed" // a tombstone: no authorization may happen under ClosedKey any more
	Notified   EntryType = "notified"   // the webhook about a late authorization was accepted
)

// Entry is one line of the ledger. The state is what replaying all entries gives, and nothing else.
type Entry struct {
	Seq       int64     `json:"seq"` // 1, 2, 3 … without gaps
	At        time.Time `json:"at"`
	Type      EntryType `json:"type"`
	PaymentID string    `json:"payment_id,omitempty"`
	Reference string    `json:"reference,omitempty"`
	Amount    int64     `json:"amount"` // minor units: of the payment, of the capture, of this refund
	Currency  string    `json:"currency,omitempty"`
	// Key is the Idempotency-Key of the call that caused the entry; Fingerprint tells that call from another one
	// under the same key.
	Key         string     `json:"key,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"`
	Released    int64      `json:"released,omitempty"` // the part of an authorization that a smaller capture gave up
	FailureCode string     `json:"failure_code,omitempty"`
	DueAt       *time.Time `json:"due_at,omitempty"`     // when a pending payment becomes authorized
	NoRefunds   bool       `json:"no_refunds,omitempty"` // of an authorization: every refund of it is refused
	ClosedKey   string     `json:"closed_key,omitempty"` // the authorization key that a void-by-key closed
}

// Status is where a payment stands.
type Status string

// The statuses of a payment.
const (
	StatusAuthorized        Status = "authorized"
	StatusPending           Status = "pending"
	StatusDeclined          Status = "declined"
	StatusCaptured          Status = "captured"
	StatusVoided            Status = "voided"
	StatusPartiallyRefunded Status = "partially_refunded"
	StatusRefunded          Status = "refunded"
)

// Payment is a value: what a caller is handed never changes under its hands.
type Payment struct {
	ID          string    `json:"id"`
	Reference   string    `json:"reference"`
	Amount      int64     `json:"amount"` // minor units
	Currency    string    `json:"currency"`
	Status      Status    `json:"status"`
	Captured    int64     `json:"captured"`
	Refunded    int64     `json:"refunded"`
	Key         string    `json:"key"` // of the call that made it
	FailureCode string    `json:"failure_code,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
}

// Totals sums up the entries of one reference in one currency; with them a test proves that money moved once.
type Totals struct {
	Reference  string `json:"reference"`
	Currency   string `json:"currency"`
	Payments   int    `json:"payments"`   // attempts, declined ones included
	Captures   int    `json:"captures"`   // how often money was taken
	Authorized int64  `json:"authorized"` // all that was ever authorized
	Open       int64  `json:"open"`       // authorized or pending, neither captured nor voided
	Captured   int64  `json:"captured"`
	Voided     int64  `json:"voided"`
	Refunded   int64  `json:"refunded"`
	Declined   int64  `json:"declined"`
	Net        int64  `json:"net"` // captured − refunded: what the customer has paid
}

// Sum adds entries up, in the order in which references first appear.
func Sum(entries []Entry) []Totals {
	type account struct{ reference, currency string }
	index := map[account]int{}
	totals := []Totals{}
	for _, e := range entries {
		if e.Type == KeyClosed || e.Type == Notified {
			continue // no money in them
		}
		of := account{e.Reference, e.Currency}
		i, ok := index[of]
		if !ok {
			i = len(totals)
			index[of] = i
			totals = append(totals, Totals{Reference: e.Reference, Currency: e.Currency})
		}
		t := &totals[i]
		switch e.Type {
		case Authorized:
			t.Authorized += e.Amount
			if e.Key != "" { // a late one was counted when it was pending
				t.Payments++
				t.Open += e.Amount
			}
		case Pending:
			t.Payments++
			t.Open += e.Amount
		case Declined:
			t.Payments++
			t.Declined += e.Amount
		case Voided:
			t.Voided += e.Amount
			t.Open -= e.Amount
		case Captured:
			t.Captures++
			t.Captured += e.Amount
			t.Net += e.Amount
			t.Open -= e.Amount + e.Released
		case Refunded:
			t.Refunded += e.Amount
			t.Net -= e.Amount
		}
	}
	return totals
}
