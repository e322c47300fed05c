package domain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// ReservationStatus is the state of a promise.
type ReservationStatus string

// The states of a reservation:
//
//	(none) ── reserve ──▶ active ── confirm ──▶ confirmed
//	   │                  │    │                    │
//	   │               expire  └─── release ──▶ released ◀── release
//	   │                  ▼                        ▲
//	   │               expired ──── release ───────┤
//	   └──────────────────────── release ──────────┘
//
// From expired, reserve leads to active and confirm to confirmed, if the stock allows. Released is final: what comes after
// it comes too late.
const (
	ReservationActive    ReservationStatus = "active"
	ReservationConfirmed ReservationStatus = "confirmed"
	ReservationReleased  ReservationStatus = "released"
	ReservationExpired   ReservationStatus = "expired"
)

// Line is a quantity of a product.
type Line struct {
	ProductID uuid.UUID
	Quantity  int64
}

// Effect is what a change of a reservation does to the stock, for each piece of its lines.
type Effect struct {
	OnHand   int64
	Reserved int64
	// Reason is that of the ledger entries. Only a change of what is on hand has them.
	Reason string
}

// The effects. Take is promise and sell in one.
var (
	none     = Effect{}
	promise  = Effect{Reserved: 1}
	withdraw = Effect{Reserved: -1}
	sell     = Effect{OnHand: -1, Reserved: -1, Reason: "order_confirmed"}
	take     = Effect{OnHand: -1, Reason: "order_confirmed"}
	giveBack = Effect{OnHand: 1, Reason: "order_released"}
)

// IsNone reports whether the stock stays as it is.
func (e Effect) IsNone() bool { return e.OnHand == 0 && e.Reserved == 0 }

// Availability is what an order line meets: the locked stock of its product, and whether that is on sale.
type Availability struct {
	Stock
	Sellable bool
}

// Check returns nil if the effect on all lines is possible, else conflict out_of_stock with a violation for each line that
// is short. A product that is unknown or not on sale has nothing to promise; but what was sold already, and only lost its
// promise, may be taken of a product that is not on sale any more.
func (e Effect) Check(lines []Line, stock map[uuid.UUID]Availability) error {
	if takesAvailable := e.OnHand < e.Reserved; !takesAvailable {
		return nil
	}
	var short []apperr.Violation
	for i, l := range lines {
		a := stock[l.ProductID]
		available := a.Available()
		if e == promise && !a.Sellable {
			available = 0
		}
		if available < l.Quantity {
			short = append(short, apperr.Violation{
				Location: fmt.Sprintf("items[%d]", i), Message: "There is not enough in stock.",
				Attributes: map[string]any{"product_id": l.ProductID.String(), "available": available},
			})
		}
	}
	if len(short) > 0 {
		return ErrOutOfStock.With(short...)
	}
	return nil
}

// ReservationSnapshot is a reservation as plain values. Lines are in the order of the request.
type ReservationSnapshot struct {
	OrderID uuid.UUID
	Status  ReservationStatus
	// Revision is the highest under which it was reserved.
	Revision  int64
	Lines     []Line
	ExpiresAt time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Reservation is what is promised to an order until a time.
type Reservation struct {
	s ReservationSnapshot
	// kept is what does not come back by the release that was just decided.
	kept []Line
}

// NewReservation returns an active reservation of revision 0. Its effect on the stock is Promise.
func NewReservation(orderID uuid.UUID, lines []Line, now time.Time, ttl time.Duration) (*Reservation, error) {
	var v []apperr.Violation
	if len(lines) == 0 {
		v = append(v, violation("lines", "There must be at least one."))
	}
	seen := make(map[uuid.UUID]bool, len(lines))
	for i, l := range lines {
		if l.Quantity < 1 {
			v = append(v, violation(fmt.Sprintf("lines[%d].quantity", i), "It must be at least 1."))
		}
		if seen[l.ProductID] {
			v = append(v, violation(fmt.Sprintf("lines[%d].product_id", i), "There must be one line a product."))
		}
		seen[l.ProductID] = true
	}
	if ttl <= 0 {
		v = append(v, violation("ttl_seconds", "It must be at least 1."))
	}
	if len(v) > 0 {
		return nil, apperr.ValidationFailed(v...)
	}
	return &Reservation{s: ReservationSnapshot{
		OrderID: orderID, Status: ReservationActive, Lines: slices.Clone(lines), ExpiresAt: now.Add(ttl), CreatedAt: now, UpdatedAt: now,
	}}, nil
}

// WithRevision returns the reservation as one of a revision.
func (r *Reservation) WithRevision(revision int64) *Reservation {
	s := r.s
	s.Revision = revision
	return &Reservation{s: s}
}

// NewTombstone returns the mark of a release that came before the reservation: it makes a late reserve fail.
func NewTombstone(orderID uuid.UUID, now time.Time) *Reservation {
	return &Reservation{s: ReservationSnapshot{OrderID: orderID, Status: ReservationReleased, ExpiresAt: now, CreatedAt: now, UpdatedAt: now}}
}

// RestoreReservation returns the reservation that a store has kept.
func RestoreReservation(s ReservationSnapshot) *Reservation { return &Reservation{s: s} }

// Snapshot returns the reservation as plain values.
func (r *Reservation) Snapshot() ReservationSnapshot { return r.s }

// Promise is the effect of a new reservation.
func (r *Reservation) Promise() Effect { return promise }

// Overdue reports whether an active reservation has outlived its time.
func (r *Reservation) Overdue(now time.Time) bool {
	return r.s.Status == ReservationActive && !now.Before(r.s.ExpiresAt)
}

// ReserveAgain answers a repeated reserve for the same order. The same lines change nothing while the promise holds; when
// its time is over it is renewed, and what expired is promised anew. Other lines are refused, unless it yields to them: see
// YieldsTo and Replace.
func (r *Reservation) ReserveAgain(request *Reservation, now time.Time) (Effect, error) {
	switch {
	case r.s.Status == ReservationReleased:
		return none, ErrReservationReleased
	case !sameLines(r.s.Lines, request.s.Lines):
		return none, ErrReservationDiffers
	}
	r.s.Revision = max(r.s.Revision, request.s.Revision)
	switch {
	case r.s.Status == ReservationExpired:
		r.become(ReservationActive, now)
		r.s.ExpiresAt = request.s.ExpiresAt
		return promise, nil
	case r.Overdue(now):
		r.s.ExpiresAt, r.s.UpdatedAt = request.s.ExpiresAt, now
		return none, nil
	default:
		return none, nil
	}
}

// Confirm takes what was promised off the shelf.
func (r *Reservation) Confirm(now time.Time) (Effect, error) {
	switch r.s.Status {
	case ReservationActive:
		r.become(ReservationConfirmed, now)
		return sell, nil
	case ReservationExpired:
		r.become(ReservationConfirmed, now)
		return take, nil
	case ReservationReleased:
		return none, ErrReservationReleased
	default:
		return none, nil
	}
}

// Release gives back what was promised or already taken; of the latter, not what is kept.
func (r *Reservation) Release(now time.Time, kept ...Line) Effect {
	was := r.s.Status
	if was != ReservationReleased {
		r.become(ReservationReleased, now)
	}
	switch was {
	case ReservationActive:
		return withdraw
	case ReservationConfirmed:
		r.kept = kept
		return giveBack
	default:
		return none
	}
}

// Expire ends an overdue promise; others it leaves alone.
func (r *Reservation) Expire(now time.Time) Effect {
	if !r.Overdue(now) {
		return none
	}
	r.become(ReservationExpired, now)
	return withdraw
}

func (r *Reservation) become(status ReservationStatus, now time.Time) {
	r.s.Status, r.s.UpdatedAt = status, now
}

// sameLines compares lines whatever their order is.
func sameLines(a, b []Line) bool {
	return slices.Equal(byProduct(a), byProduct(b))
}

// byProduct returns the lines in the one order in which everybody locks stock.
func byProduct(lines []Line) []Line {
	return slices.SortedFunc(slices.Values(lines), func(a, b Line) int {
		return cmp.Or(slices.Compare(a.ProductID[:], b.ProductID[:]), cmp.Compare(a.Quantity, b.Quantity))
	})
}
