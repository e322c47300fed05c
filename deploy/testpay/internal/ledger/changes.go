package ledger

import (
	"sort"
	"time"
)

// Changes returns the payments that something happened to from a time on and before another one, as they stand now, in the
// order of the ledger: each once a page, and once more on the next one if more happened to it. It looks at limit entries,
// from the one after the number after on; next is the number to go on after, 0 at the end.
func (l *Ledger) Changes(from, to time.Time, after int64, limit int) (payments []Payment, next int64, err error) {
	payments = []Payment{}
	_, err = l.do(func(time.Time) (Answer, error) {
		entries := l.state.entries
		// Numbers are indices plus one, and times never fall but by a step of the clock, which is the reader's to allow for.
		first := max(int(after), sort.Search(len(entries), func(i int) bool { return !entries[i].At.Before(from) }))
		seen := make(map[string]bool)
		for i, e := range entries[min(first, len(entries)):] {
			if !e.At.Before(to) {
				break
			}
			if i == limit {
				next = e.Seq - 1
				break
			}
			if e.PaymentID == "" || e.Type == Notified || seen[e.PaymentID] {
				continue
			}
			seen[e.PaymentID] = true
			payments = append(payments, l.state.payments[e.PaymentID].Payment)
		}
		return Answer{}, nil
	})
	return payments, next, err
}
