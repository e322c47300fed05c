package memory

import (
	"time"

	"shop.example/product-service/internal/domain"
)

// replaceLines gives a reservation the lines of a request that it yields to.
func (s *Store) replaceLines(r, request *domain.Reservation, now time.Time) error {
	stock := s.availability(append(r.Snapshot().Lines, request.Snapshot().Lines...))
	moved, err := r.Replace(request, stock, now)
	if err != nil {
		return err
	}
	for _, l := range moved {
		p := s.products[l.ProductID]
		p.Stock.Reserved += l.Quantity
		s.products[l.ProductID] = p
	}
	s.reservations[r.Snapshot().OrderID] = r.Snapshot()
	return nil
}
