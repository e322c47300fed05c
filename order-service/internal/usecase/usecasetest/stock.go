package usecasetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// FakeStock promises pieces as the product service does.
type FakeStock struct {
	mu           sync.Mutex
	onHand       map[uuid.UUID]int64
	reservations map[uuid.UUID]*reservation
}

type reservation struct {
	state    string
	revision int64
	lines    []usecase.Line
	restocks map[uuid.UUID][]usecase.Line // by refund
}

// The states of a reservation.
const (
	Active    = "active"
	Sold      = "confirmed"
	Released  = "released"
	Ended     = "expired"
	NoPromise = "" // of an order that is not known
)

// NewFakeStock returns empty shelves.
func NewFakeStock() *FakeStock {
	return &FakeStock{onHand: make(map[uuid.UUID]int64), reservations: make(map[uuid.UUID]*reservation)}
}

func (s *FakeStock) available(product uuid.UUID) int64 {
	free := s.onHand[product]
	for _, r := range s.reservations {
		for _, l := range r.lines {
			if l.ProductID == product && r.state == Active {
				free -= l.Quantity
			}
		}
	}
	return free
}

// Available returns how many pieces are neither sold nor promised.
func (s *FakeStock) Available(product uuid.UUID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.available(product)
}

// Set says how many pieces there are.
func (s *FakeStock) Set(product uuid.UUID, onHand int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onHand[product] = onHand
}

// State returns what became of an order's reservation.
func (s *FakeStock) State(orderID uuid.UUID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.reservations[orderID]; ok {
		return r.state
	}
	return NoPromise
}

// Orders returns the orders that have, or had, a reservation.
func (s *FakeStock) Orders() []uuid.UUID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.reservations))
}

// Expire ends all promises, as their time does.
func (s *FakeStock) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reservations {
		if r.state == Active {
			r.state = Ended
		}
	}
}

// Reserve implements usecase.Stock.
func (s *FakeStock) Reserve(_ context.Context, orderID uuid.UUID, revision int64, lines []usecase.Line, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ttl <= domain.PaymentWindow {
		return fmt.Errorf("a promise of %v ends before the customer has to pay", ttl)
	}
	r, known := s.reservations[orderID]
	if !known {
		r = &reservation{state: Ended}
	}
	differs := known && !sameLines(r.lines, lines)
	switch {
	case r.state == Released:
		return domain.ErrReservationEnded
	case differs && (revision <= r.revision || r.state == Sold):
		return domain.ErrBusy
	case r.state == Sold || r.state == Active && !differs:
		r.revision = max(r.revision, revision)
		return nil
	}
	was := r.state
	r.state = Ended // what it holds counts as available to itself
	if err := s.short(lines); err != nil {
		r.state = was
		return err
	}
	*r = reservation{state: Active, revision: max(r.revision, revision), lines: slices.Clone(lines)}
	s.reservations[orderID] = r
	return nil
}

func (s *FakeStock) short(lines []usecase.Line) error {
	var short []apperr.Violation
	for i, l := range lines {
		if free := s.available(l.ProductID); free < l.Quantity {
			short = append(short, apperr.Violation{Location: fmt.Sprintf("items[%d]", i), Message: "not enough",
				Attributes: map[string]any{"product_id": l.ProductID.String(), "available": free}})
		}
	}
	if len(short) > 0 {
		return domain.ErrOutOfStock.With(short...)
	}
	return nil
}

// sameLines compares lines whatever their order is.
func sameLines(a, b []usecase.Line) bool {
	count := func(lines []usecase.Line) map[uuid.UUID]int64 {
		n := make(map[uuid.UUID]int64)
		for _, l := range lines {
			n[l.ProductID] += l.Quantity
		}
		return n
	}
	return maps.Equal(count(a), count(b))
}

// Reserved returns how many pieces of a product are promised to an order, or sold to it.
func (s *FakeStock) Reserved(orderID, product uuid.UUID) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.reservations[orderID]; ok && (r.state == Active || r.state == Sold) {
		for _, l := range r.lines {
			if l.ProductID == product {
				n += l.Quantity
			}
		}
	}
	return n
}

// Confirm implements usecase.Stock.
func (s *FakeStock) Confirm(_ context.Context, orderID uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reservations[orderID]
	if !ok {
		return domain.ErrReservationMissing
	}
	switch r.state {
	case Sold:
		return nil
	case Released:
		return domain.ErrReservationEnded
	case Ended:
		if err := s.short(r.lines); err != nil {
			return err
		}
	}
	r.state = Sold
	for _, l := range r.lines {
		s.onHand[l.ProductID] -= l.Quantity
	}
	return nil
}

// Release implements usecase.Stock.
func (s *FakeStock) Release(ctx context.Context, orderID uuid.UUID, kept ...usecase.Line) error {
	if len(kept) > 0 {
		_ = s.Confirm(ctx, orderID) // what can't be taken is not kept
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reservations[orderID]
	if !ok {
		r = &reservation{}
		s.reservations[orderID] = r
	}
	if r.state == Sold {
		for _, l := range r.lines {
			s.onHand[l.ProductID] += max(0, l.Quantity-r.back(l.ProductID)-quantityOf(l.ProductID, kept))
		}
	}
	r.state = Released
	return nil
}

// back is how many pieces of a product were put back for refunds.
func (r *reservation) back(product uuid.UUID) (n int64) {
	for _, lines := range r.restocks {
		n += quantityOf(product, lines)
	}
	return n
}

func quantityOf(product uuid.UUID, lines []usecase.Line) (n int64) {
	for _, l := range lines {
		if l.ProductID == product {
			n += l.Quantity
		}
	}
	return n
}

// Restock implements usecase.Stock.
func (s *FakeStock) Restock(_ context.Context, orderID, refundID uuid.UUID, lines []usecase.Line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reservations[orderID]
	switch {
	case len(lines) == 0:
		return apperr.InvalidField("lines", "must have at least one")
	case !ok:
		return domain.ErrReservationMissing
	case r.state == Active || r.state == Ended:
		return apperr.New(apperr.Conflict, "reservation_not_confirmed", "nothing was taken")
	case r.state == Released:
		return nil
	}
	if done, ok := r.restocks[refundID]; ok {
		if !sameLines(done, lines) {
			return apperr.New(apperr.Conflict, "restock_differs", "other pieces were put back")
		}
		return nil
	}
	for _, l := range lines {
		taken := int64(0)
		for _, has := range r.lines {
			if has.ProductID == l.ProductID {
				taken = has.Quantity
			}
		}
		if l.Quantity > taken-r.back(l.ProductID) {
			return apperr.New(apperr.Conflict, "restock_exceeds_reservation", "so many were not taken")
		}
	}
	if r.restocks == nil {
		r.restocks = make(map[uuid.UUID][]usecase.Line)
	}
	r.restocks[refundID] = slices.Clone(lines)
	for _, l := range lines {
		s.onHand[l.ProductID] += l.Quantity
	}
	return nil
}
