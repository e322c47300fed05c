package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// YieldsTo reports whether a request replaces the lines of the reservation: it asks for others, under a higher revision, and
// nothing has been sold or given up yet.
func (r *Reservation) YieldsTo(request *Reservation) bool {
	return (r.s.Status == ReservationActive || r.s.Status == ReservationExpired) &&
		request.s.Revision > r.s.Revision && !sameLines(r.s.Lines, request.s.Lines)
}

// Replace gives the reservation, which yields to the request, its lines, and returns by how many pieces more of each product
// are reserved, or fewer; all lines or, when something is short, none. stock is that of the old products and the new ones.
func (r *Reservation) Replace(request *Reservation, stock map[uuid.UUID]Availability, now time.Time) ([]Line, error) {
	held := make(map[uuid.UUID]int64, len(r.s.Lines))
	if r.s.Status == ReservationActive {
		for _, l := range r.s.Lines {
			held[l.ProductID] = l.Quantity
		}
	}
	var (
		moved []Line
		short []apperr.Violation
	)
	for i, l := range request.s.Lines {
		has := held[l.ProductID]
		delete(held, l.ProductID)
		more := l.Quantity - has
		if more == 0 {
			continue
		}
		moved = append(moved, Line{l.ProductID, more})
		a := stock[l.ProductID]
		available := a.Available() + has
		if !a.Sellable {
			available = has
		}
		if available < l.Quantity {
			short = append(short, apperr.Violation{
				Location: fmt.Sprintf("items[%d]", i), Message: "There is not enough in stock.",
				Attributes: map[string]any{"product_id": l.ProductID.String(), "available": available},
			})
		}
	}
	if len(short) > 0 {
		return nil, ErrOutOfStock.With(short...)
	}
	for id, has := range held { // what the request does not name
		moved = append(moved, Line{id, -has})
	}
	if r.s.Status == ReservationExpired || r.Overdue(now) {
		r.s.ExpiresAt = request.s.ExpiresAt
	}
	r.become(ReservationActive, now)
	r.s.Lines, r.s.Revision = slices.Clone(request.s.Lines), request.s.Revision
	return byProduct(moved), nil
}
