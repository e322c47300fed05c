package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// Restock puts pieces of a confirmed reservation back on the shelf, for a refund.
type Restock struct {
	OrderID  uuid.UUID
	RefundID uuid.UUID
	Lines    []Line
	Actor    string
	At       time.Time
}

// NewRestock returns a restock that makes sense: of at least one line, with one line a product.
func NewRestock(orderID, refundID uuid.UUID, lines []Line, actor string, at time.Time) (Restock, error) {
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
	if len(v) > 0 {
		return Restock{}, apperr.ValidationFailed(v...)
	}
	return Restock{OrderID: orderID, RefundID: refundID, Lines: byProduct(lines), Actor: actor, At: at}, nil
}

// putBack is the effect of a restock on its lines.
var putBack = Effect{OnHand: 1, Reason: "order_refunded"}

// Restock answers a restock, where done are those that the reservation has seen. The same again changes nothing, and so does
// one of a reservation that was released: all that it took is back.
func (r *Reservation) Restock(request Restock, done []Restock) (Effect, error) {
	switch r.s.Status {
	case ReservationConfirmed:
	case ReservationReleased:
		return none, nil
	default:
		return none, ErrReservationNotConfirmed
	}
	for _, d := range done {
		if d.RefundID == request.RefundID {
			if !sameLines(d.Lines, request.Lines) {
				return none, ErrRestockDiffers
			}
			return none, nil
		}
	}
	out := make(map[uuid.UUID]int64)
	for _, l := range r.Out(done) {
		out[l.ProductID] = l.Quantity
	}
	for i, l := range request.Lines {
		if l.Quantity > out[l.ProductID] {
			return none, ErrRestockExceeds.With(apperr.Violation{
				Location: fmt.Sprintf("lines[%d].quantity", i), Message: fmt.Sprintf("The order has %d.", out[l.ProductID]),
				Attributes: map[string]any{"product_id": l.ProductID.String()},
			})
		}
	}
	return putBack, nil
}

// Out are the reservation's lines less what was put back already, and what its release keeps.
func (r *Reservation) Out(done []Restock) []Line {
	back := make(map[uuid.UUID]int64)
	for _, l := range r.kept {
		back[l.ProductID] += l.Quantity
	}
	for _, d := range done {
		for _, l := range d.Lines {
			back[l.ProductID] += l.Quantity
		}
	}
	var out []Line
	for _, l := range r.s.Lines {
		if n := l.Quantity - back[l.ProductID]; n > 0 {
			out = append(out, Line{ProductID: l.ProductID, Quantity: n})
		}
	}
	return out
}
