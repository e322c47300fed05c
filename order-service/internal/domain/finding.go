package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// FindingKind is what does not agree.
type FindingKind string

// The kinds of findings.
const (
	ReservationWithoutOrder FindingKind = "reservation_without_order"
	OrderWithoutReservation FindingKind = "order_without_reservation"
	ReservationDiffers      FindingKind = "reservation_differs"
	StockMissing            FindingKind = "stock_missing"
	OrderWithoutCapture     FindingKind = "order_without_capture"
	CaptureWithoutOrder     FindingKind = "capture_without_order"
	AmountDiffers           FindingKind = "amount_differs"
	RefundRefused           FindingKind = "refund_refused"
	OrderStuck              FindingKind = "order_stuck"
)

// advice is what to do about a finding that is not repaired by the shop.
var advice = map[FindingKind]string{
	ReservationWithoutOrder: "Find out whether the pieces were shipped, and if they were not, adjust the stock of the products.",
	ReservationDiffers:      "Count the products of the order, and adjust their stock.",
	StockMissing:            "Restock its products, or cancel the order.",
	OrderWithoutCapture:     "Ask the payment provider what became of the payment; then cancel the order, or have it paid again.",
	CaptureWithoutOrder:     "Look the payment up at the provider, and give the money back there if it is nobody's.",
	AmountDiffers:           "Compare the payment at the provider with the refunds of the order, and make up for the difference there.",
	OrderStuck:              "Configure the payment provider of the order again, or look its payment up there.",
	RefundRefused:           "Refund the order once more, or give the money back in another way.",
}

// FindingKinds are all kinds.
var FindingKinds = []FindingKind{
	ReservationWithoutOrder, OrderWithoutReservation, ReservationDiffers, StockMissing, OrderWithoutCapture, CaptureWithoutOrder,
	AmountDiffers, RefundRefused, OrderStuck,
}

// FindingStatus is where a finding stands.
type FindingStatus string

// The states of a finding. What is suspected is shown to nobody: it may be under way, and is a finding if it stays.
const (
	FindingSuspected FindingStatus = "suspected"
	FindingOpen      FindingStatus = "open"
	FindingResolved  FindingStatus = "resolved" // an audit did not find it any more
	FindingRepaired  FindingStatus = "repaired" // its repair was begun
)

// Finding is a discrepancy that stays.
type Finding struct {
	ID uuid.UUID
	Discrepancy
	Status FindingStatus
	// Watched says that audits look at it once more: there is one such finding of a kind and reference.
	Watched     bool
	FirstSeenAt time.Time
	LastSeenAt  time.Time
	ResolvedAt  time.Time // zero while it is open
}

// Suspect returns a finding of what was seen for the first time.
func Suspect(d Discrepancy, at time.Time) (Finding, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Finding{}, fmt.Errorf("make finding id: %w", err)
	}
	return Finding{ID: id, Discrepancy: d, Status: FindingSuspected, Watched: true, FirstSeenAt: at, LastSeenAt: at}, nil
}

// blindAtMost is how long the auditor may not have looked at suspects, and still know that they were there all the time: at those
// whose turn it was, for with many it takes more than one run to come to all. When a service was away, audits failed and jobs were not done, and these have as long as always to do them.
const blindAtMost = 30 * time.Second

// Blind reports whether audits that did not look for so long do not know any more what was there all the time.
func Blind(gap, settle time.Duration) bool { return gap > max(settle, blindAtMost) }

// Seen records that an audit has seen it again, by one of the audits that look without a gap since a time, and reports whether that opens it: a suspect that has been there for the time
// in which all that is under way settles, and what was repaired as long ago and is still there.
func (f *Finding) Seen(d Discrepancy, at, seeingSince time.Time, settle time.Duration) (opened bool) {
	if f.LastSeenAt.Before(seeingSince) {
		f.Unseen(at)
	}
	f.Discrepancy, f.LastSeenAt = d, at
	switch {
	case f.Status == FindingSuspected && at.Sub(f.FirstSeenAt) < settle, f.Status == FindingRepaired && at.Sub(f.ResolvedAt) < settle:
		return false
	case f.Status == FindingOpen:
		return false
	}
	f.Status, f.ResolvedAt = FindingOpen, time.Time{}
	return true
}

// Unseen records that an audit could not look at it: how long a suspect has been there counts from now on.
func (f *Finding) Unseen(at time.Time) {
	if f.Status == FindingSuspected {
		f.FirstSeenAt = at
	}
}

// Gone records that an audit has not seen it any more, and reports whether it was nothing, which is to be forgotten. What was
// repaired stays watched until it has been gone for the time in which all that is under way settles.
func (f *Finding) Gone(at time.Time, settle time.Duration) (nothing bool) {
	switch f.Status {
	case FindingSuspected:
		return true
	case FindingOpen:
		f.Status, f.ResolvedAt, f.Watched = FindingResolved, at, false
	case FindingRepaired:
		f.Watched = at.Sub(f.ResolvedAt) < settle
	}
	return false
}

// Repaired records that the repair of an open finding was begun.
func (f *Finding) Repaired(at time.Time) {
	if f.Status == FindingOpen {
		f.Status, f.ResolvedAt = FindingRepaired, at
	}
}

// ErrFindingMissing is the error for a finding that there is not.
var ErrFindingMissing = apperr.Missing("finding")

// ErrFindingNotRepairable is what a repair is refused with that the shop can't do.
var ErrFindingNotRepairable = apperr.New(apperr.Conflict, "finding_not_repairable", "The shop can't repair this by itself.")

// NotRepairable says what to do about the finding instead.
func (f Finding) NotRepairable() error {
	return apperr.New(ErrFindingNotRepairable.Kind, ErrFindingNotRepairable.Reason, ErrFindingNotRepairable.Message+" "+advice[f.Kind])
}
