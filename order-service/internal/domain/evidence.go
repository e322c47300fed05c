package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// stuckAfter is for how long what is under way may be without a plan, or behind its time. It is twice the minute within which
// everything is settled once its dependencies are back.
const stuckAfter = 2 * time.Minute

// StuckBefore returns since when an order must not have changed to be worth a look: what is open, and what is open though a
// plan is made for it. A bank may take a payment window for its word.
func StuckBefore(now time.Time) (open, planned time.Time) {
	return now.Add(-stuckAfter), now.Add(-stuckAfter - PaymentWindow)
}

// AuditedOrder is an order, and whether a look at it is planned.
type AuditedOrder struct {
	Snapshot
	Planned bool
}

// ReservationStatus is what became of the pieces of an order.
type ReservationStatus string

// The states of a reservation. The zero status is that of none.
const (
	ReservationActive    ReservationStatus = "active"    // promised
	ReservationConfirmed ReservationStatus = "confirmed" // taken off the shelf
	ReservationReleased  ReservationStatus = "released"
	ReservationExpired   ReservationStatus = "expired"
)

// Reservation is what product-service keeps for an order.
type Reservation struct {
	OrderID uuid.UUID
	Status  ReservationStatus
	// Pieces are the quantities by product.
	Pieces map[uuid.UUID]int64
}

func (r Reservation) holds() bool {
	return r.Status == ReservationActive || r.Status == ReservationConfirmed
}

func (r Reservation) String() string {
	if r.Status == "" {
		return "it has no reservation"
	}
	return "its reservation is " + string(r.Status)
}

// PaymentRecord is a payment as its provider tells of it.
type PaymentRecord struct {
	Provider string
	ID       string
	// Key is that of the attempt to pay that made it.
	Key string
	// OrderID is the order that it names; zero if it names none.
	OrderID  uuid.UUID
	Currency string
	// Promised is what is held and not taken, or may come to be; the others are what was taken, and what of it was given
	// back. Minor units.
	Promised, Captured, Refunded int64
}

// Holds reports whether the provider has money, or a promise, for it.
func (p PaymentRecord) Holds() bool { return p.Promised > 0 || p.Captured > p.Refunded }

func (p PaymentRecord) String() string {
	return fmt.Sprintf("the provider has promised %d, captured %d and refunded %d %s", p.Promised, p.Captured, p.Refunded, p.Currency)
}

// Evidence is what all sides know of one order.
type Evidence struct {
	OrderID uuid.UUID
	Order   *AuditedOrder // nil if there is none
	// Reservation is what product-service says, if it was asked.
	Reservation *Reservation
	// Payments are some of what providers have for the order.
	Payments []PaymentRecord
	// ProviderGone says that the provider of the order's payment is not one that this shop uses.
	ProviderGone bool
	// CaptureSought says that the payment which the order names was asked for: it is among the payments, or there is none.
	CaptureSought bool
}

// Discrepancy is something that does not agree.
type Discrepancy struct {
	Kind       FindingKind
	OrderID    uuid.UUID // zero for none
	Reference  string    // with the kind, what it is: the order's id, or the payment's
	Provider   string    // of the payment that it is about; empty for none
	Detail     string
	Repairable bool
}

// Judge returns what does not agree at a time. It allows for all that is under way: what takes too long is order_stuck.
func (e Evidence) Judge(now time.Time) []Discrepancy {
	var found []Discrepancy
	if e.Reservation != nil {
		found = append(found, e.judgeStock()...)
	}
	if e.Order != nil {
		found = append(found, e.judgeProgress(now)...)
		found = append(found, e.judgeSale()...)
		if e.CaptureSought {
			found = append(found, e.judgeCapture()...)
		}
	}
	for _, p := range e.Payments {
		found = append(found, e.judgeMoney(p)...)
	}
	return found
}

// ofOrder is a discrepancy about the order as a whole.
func (e Evidence) ofOrder(kind FindingKind, repairable bool, format string, args ...any) []Discrepancy {
	return []Discrepancy{{
		Kind: kind, OrderID: e.OrderID, Reference: e.OrderID.String(), Repairable: repairable, Detail: fmt.Sprintf(format, args...),
	}}
}

// judgeStock compares the order with its reservation.
func (e Evidence) judgeStock() []Discrepancy {
	o, r := e.Order, *e.Reservation
	switch {
	case o == nil && r.holds():
		// What was taken off the shelf may have been shipped, by an order that a restored backup does not have.
		return e.ofOrder(ReservationWithoutOrder, r.Status == ReservationActive, "There is no such order, and %s.", r)
	case o == nil:
		return nil
	case o.Status == Cancelled && r.holds():
		return e.ofOrder(ReservationWithoutOrder, true, "The order is cancelled, and %s.", r)
	case o.Status == Cancelled, RestoreOrder(o.Snapshot).PaymentUnderWay():
		return nil // nothing is held; or it is being worked on
	case o.Status == Pending:
		if r.Status != ReservationActive || !o.has(r.Pieces) {
			return e.ofOrder(OrderWithoutReservation, true, "The order waits to be paid, and %s%s.", r, o.differently(r))
		}
		return nil
	case !o.NeedsPieces() && !r.holds():
		return nil // its pieces were missing when the money went back, and nobody waits for them any more
	case r.holds() && !o.has(r.Pieces):
		return e.ofOrder(ReservationDiffers, false, "The order is %s, and %s%s.", o.Status, r, o.differently(r))
	case r.Status == ReservationConfirmed:
		return nil
	case !o.StockMissingSince.IsZero():
		return e.ofOrder(StockMissing, false, "The order is %s, and its pieces have been missing since %s.", o.Status, o.StockMissingSince.Format(time.RFC3339))
	default:
		return e.ofOrder(OrderWithoutReservation, true, "The order is %s, and %s.", o.Status, r)
	}
}

// has reports whether the pieces are those that the order says.
func (s Snapshot) has(pieces map[uuid.UUID]int64) bool {
	for _, item := range s.Items {
		if pieces[item.ProductID] != item.Quantity {
			return false
		}
	}
	return len(pieces) == len(s.Items) // an order has one line a product
}

// differently says, behind a reservation, that its pieces are others.
func (s Snapshot) differently(r Reservation) string {
	if !r.holds() || s.has(r.Pieces) {
		return ""
	}
	return " of other pieces than it says"
}

// judgeProgress finds what is in between for too long, and money that can't go back.
func (e Evidence) judgeProgress(now time.Time) []Discrepancy {
	o := RestoreOrder(e.Order.Snapshot)
	open, planned := StuckBefore(now)
	stuck := func(since, limit time.Time, what string) []Discrepancy {
		if !since.Before(limit) {
			return nil
		}
		return e.ofOrder(OrderStuck, true, "%s since %s; a look at it is planned: %t.", what, since.Format(time.RFC3339), e.Order.Planned)
	}
	// paying is stuck for what only the provider can tell or do: a look comes to nothing without it.
	paying := func(since, limit time.Time, what string) []Discrepancy {
		found := stuck(since, limit, what)
		if e.ProviderGone && found != nil {
			found[0].Repairable = false
			found[0].Detail += fmt.Sprintf(" The payment provider %q is not configured.", e.Order.Payment.Provider)
		}
		return found
	}
	limit := open
	if e.Order.Planned {
		limit = planned
	}
	switch payment := o.Payment().Status; {
	case o.PaymentUnderWay():
		return paying(e.Order.UpdatedAt, limit, "The order is being paid")
	case o.Status() == Pending:
		since := e.Order.UpdatedAt
		if due, _ := o.PaymentDue(); e.Order.Planned || due.Before(since) {
			since, limit = due, open
		}
		return stuck(since, limit, "The order is pending")
	case o.Status() == Cancelled && (payment == PaymentPending || payment == PaymentAuthorized):
		return paying(e.Order.UpdatedAt, open, "The order is cancelled, and what its payment took is not known,")
	}
	for _, r := range o.OpenRefunds() {
		if found := paying(r.At, open, "A refund is under way"); found != nil {
			return found
		}
	}
	left := e.Order.Total.Amount() - e.Order.Promised().Amount()
	if o.Status() == Cancelled && counted(o.Payment().Status) && o.Payment().Status != PaymentRefunded && left > 0 {
		return e.ofOrder(RefundRefused, false, "The order is cancelled, and the provider refused to give %d %s of its money back.", left, e.Order.Total.Currency())
	}
	return nil
}

// judgeSale finds an order that is sold, by card, and says itself that it was not paid.
func (e Evidence) judgeSale() []Discrepancy {
	switch e.Order.Status {
	case Confirmed, Processing, Shipped, Delivered:
	default:
		return nil
	}
	if p := e.Order.Payment; p.Method == Card && !e.Order.Total.IsZero() && !counted(p.Status) {
		return e.ofOrder(OrderWithoutCapture, false, "The order is %s, and its payment is %s.", e.Order.Status, p.Status)
	}
	return nil
}

// counted reports whether an order says that its money was taken.
func counted(s PaymentStatus) bool {
	return s == PaymentCaptured || s == PaymentPartiallyRefunded || s == PaymentRefunded
}

// SeeksCapture reports whether the provider must have taken the money of the order, by card and in full.
func (s Snapshot) SeeksCapture() bool {
	switch {
	case s.Payment.Method != Card || s.Total.IsZero() || !counted(s.Payment.Status):
		return false
	case s.Payment.Status == PaymentRefunded && s.Payment.Reference == "":
		return false // it was taken and given back before it counted as paid, which left no reference
	default:
		return true
	}
}

// judgeCapture compares a paid order with the payment that it names.
func (e Evidence) judgeCapture() []Discrepancy {
	if !e.Order.SeeksCapture() {
		return nil
	}
	differs := func(kind FindingKind, format string, args ...any) []Discrepancy {
		found := e.ofOrder(kind, false, format, args...)
		found[0].Provider = e.Order.Payment.Provider
		return found
	}
	at := slices.IndexFunc(e.Payments, func(p PaymentRecord) bool { return p.ID == e.Order.Payment.Reference })
	if at < 0 {
		return differs(OrderWithoutCapture, "The payment of the order is %s, and the provider does not know it.", e.Order.Payment.Status)
	}
	p, total, done := e.Payments[at], e.Order.Total.Amount(), e.Order.GivenBack().Amount()
	pending := e.Order.Promised().Amount() - done // what may be back by now
	said := fmt.Sprintf("The payment of the order is %s, of %v, of which %d went back and %d more are to; %s.", e.Order.Payment.Status, e.Order.Total, done, max(pending, 0), p)
	switch {
	case p.Currency != e.Order.Total.Currency(), p.Captured > total:
		return differs(AmountDiffers, "%s", said)
	case p.Captured < total:
		return differs(OrderWithoutCapture, "%s", said)
	case p.Refunded < done, p.Refunded > done+max(pending, 0):
		return differs(AmountDiffers, "%s", said)
	default:
		return nil
	}
}

// judgeMoney asks whether the order says that the provider holds money, or a promise, for it.
func (e Evidence) judgeMoney(p PaymentRecord) []Discrepancy {
	if !p.Holds() {
		return nil
	}
	found := Discrepancy{Kind: CaptureWithoutOrder, OrderID: e.OrderID, Reference: p.ID, Provider: p.Provider}
	if e.Order == nil {
		found.Detail = fmt.Sprintf("There is no such order, and %s.", p)
		return []Discrepancy{found}
	}
	o := RestoreOrder(e.Order.Snapshot)
	current, status := p.Key == o.PaymentKey(), o.Payment().Status
	switch {
	case current && o.PaymentUnderWay(), current && o.Status() == Cancelled && (status == PaymentPending || status == PaymentAuthorized):
		return nil // under way, or stuck
	case current && e.Order.SeeksCapture() && p.ID == e.Order.Payment.Reference:
		return nil // whether it is as much is for judgeCapture to say
	}
	found.Repairable = current && o.PaymentGivenUp() || slices.Contains(o.PastPaymentKeys(), p.Key)
	found.Detail = fmt.Sprintf("The order is %s, and does not count this payment; %s.", o.Status(), p)
	return []Discrepancy{found}
}
