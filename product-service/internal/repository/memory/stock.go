package memory

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// AdjustStock implements usecase.StockStore.
func (s *Store) AdjustStock(_ context.Context, a domain.Adjustment) (domain.Stock, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.products[a.ProductID]
	if !ok {
		return domain.Stock{}, false, domain.ErrProductMissing
	}
	if first, ok := s.keyUse(a); ok {
		after, err := first.Again(a)
		return after, err == nil, err
	}
	next, err := p.Stock.Adjust(a.Delta)
	if errors.Is(err, domain.ErrInsufficientStock) && a.Key != "" {
		s.refused = append(s.refused, a.Entry(p.Stock))
	}
	if err != nil {
		return domain.Stock{}, false, err
	}
	p.Stock = next
	s.products[p.ID] = p
	s.ledger = append(s.ledger, a.Entry(next))
	return next, false, nil
}

// keyUse returns what the key of an adjustment was used for, if it still belongs to that.
func (s *Store) keyUse(a domain.Adjustment) (domain.KeyUse, bool) {
	if a.Key == "" {
		return domain.KeyUse{}, false
	}
	ofKey := func(e domain.LedgerEntry) bool { return e.Actor == a.Actor && e.Key == a.Key }
	if i := slices.IndexFunc(s.ledger, ofKey); i >= 0 {
		if use := (domain.KeyUse{LedgerEntry: s.ledger[i]}); use.Held(a.At) {
			return use, true
		}
		s.ledger[i].Key = ""
	}
	if i := slices.IndexFunc(s.refused, ofKey); i >= 0 {
		if use := (domain.KeyUse{LedgerEntry: s.refused[i], Refused: true}); use.Held(a.At) {
			return use, true
		}
		s.refused = slices.Delete(s.refused, i, i+1)
	}
	return domain.KeyUse{}, false
}

// ForgetRefusals implements usecase.OverdueStore.
func (s *Store) ForgetRefusals(_ context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	s.refused = slices.DeleteFunc(s.refused, func(e domain.LedgerEntry) bool {
		old := n < limit && e.At.Before(before)
		if old {
			n++
		}
		return old
	})
	return n, nil
}

// Reserve implements usecase.ReservationStore.
func (s *Store) Reserve(_ context.Context, request *domain.Reservation, now time.Time) (*domain.Reservation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := request.Snapshot().Lines
	r, effect := request, request.Promise()
	if kept, ok := s.reservations[request.Snapshot().OrderID]; ok {
		r = domain.RestoreReservation(kept)
		if r.YieldsTo(request) {
			return r, s.replaceLines(r, request, now)
		}
		var err error
		if effect, err = r.ReserveAgain(request, now); err != nil {
			return nil, err
		}
	}
	if err := effect.Check(lines, s.availability(lines)); err != nil {
		return nil, err
	}
	return r, s.save(r, effect, "", now)
}

// UpdateReservation implements usecase.ReservationStore.
func (s *Store) UpdateReservation(_ context.Context, orderID uuid.UUID, actor string, now time.Time, change func(*domain.Reservation) (domain.Effect, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.reservations[orderID]
	if !ok {
		return domain.ErrReservationMissing
	}
	r := domain.RestoreReservation(kept)
	effect, err := change(r)
	if err != nil {
		return err
	}
	if err := effect.Check(kept.Lines, s.availability(kept.Lines)); err != nil {
		return err
	}
	return s.save(r, effect, actor, now)
}

// AddTombstone implements usecase.ReservationStore.
func (s *Store) AddTombstone(_ context.Context, tombstone *domain.Reservation) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := tombstone.Snapshot()
	if _, ok := s.reservations[r.OrderID]; ok {
		return false, nil
	}
	s.reservations[r.OrderID] = r
	return true, nil
}

// ExpireReservations implements usecase.OverdueStore.
func (s *Store) ExpireReservations(_ context.Context, now time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, kept := range s.reservations {
		if n == limit {
			break
		}
		r := domain.RestoreReservation(kept)
		if effect := r.Expire(now); !effect.IsNone() {
			n++
			if err := s.save(r, effect, "", now); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// ForgetReservations implements usecase.OverdueStore.
func (s *Store) ForgetReservations(_ context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, r := range s.reservations {
		if n < limit && r.UpdatedAt.Before(before) && (r.Status == domain.ReservationReleased || r.Status == domain.ReservationExpired) {
			delete(s.reservations, id)
			delete(s.restocks, id)
			n++
		}
	}
	return n, nil
}

// Ledger implements usecase.LedgerReader.
func (s *Store) Ledger(_ context.Context, q usecase.LedgerQuery) (page usecase.LedgerPage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.products[q.ProductID]; !ok {
		return page, domain.ErrProductMissing
	}
	total, begun := int64(0), q.After == uuid.Nil
	for _, e := range slices.Backward(s.ledger) {
		if e.ProductID != q.ProductID {
			continue
		}
		total++
		switch {
		case !begun:
			begun = e.ID == q.After
		case len(page.Entries) < q.PageSize:
			page.Entries = append(page.Entries, e)
		default:
			page.Next = page.Entries[q.PageSize-1].ID
		}
	}
	if q.IncludeTotal {
		page.Total = &total
	}
	return page, nil
}

// Promised returns how many pieces of a product active reservations hold, for tests.
func (s *Store) Promised(_ context.Context, productID uuid.UUID) (promised int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reservations {
		for _, l := range r.Lines {
			if r.Status == domain.ReservationActive && l.ProductID == productID {
				promised += l.Quantity
			}
		}
	}
	return promised, nil
}

func (s *Store) availability(lines []domain.Line) map[uuid.UUID]domain.Availability {
	stock := make(map[uuid.UUID]domain.Availability, len(lines))
	for _, l := range lines {
		if p, ok := s.products[l.ProductID]; ok {
			stock[p.ID] = domain.Availability{Stock: p.Stock, Sellable: p.Status.Sellable()}
		}
	}
	return stock
}

func (s *Store) save(reservation *domain.Reservation, e domain.Effect, actor string, now time.Time) error {
	r := reservation.Snapshot()
	s.reservations[r.OrderID] = r
	return s.move(r.OrderID, reservation.Out(s.restocks[r.OrderID]), e, actor, now)
}

// move applies an effect to the stock of lines, and enters it in the ledger if what is on hand changes.
func (s *Store) move(orderID uuid.UUID, lines []domain.Line, e domain.Effect, actor string, now time.Time) error {
	for _, l := range lines {
		p := s.products[l.ProductID]
		p.Stock = p.Stock.Apply(e, l.Quantity)
		s.products[l.ProductID] = p
		if e.OnHand == 0 {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		s.ledger = append(s.ledger, domain.LedgerEntry{
			ID: id, ProductID: l.ProductID, Delta: e.OnHand * l.Quantity, Reason: e.Reason, Reference: orderID.String(),
			Actor: actor, After: p.Stock, At: now,
		})
	}
	return nil
}
