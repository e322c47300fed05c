package usecase

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"shop.example/product-service/internal/domain"
)

// RestockStore keeps what was put back on the shelf of what orders have taken.
type RestockStore interface {
	// Restock lets the reservation decide by its verb of that name, keeps the restock and moves the stock, all or nothing.
	// What was put back does not go back once more when the reservation is released. Errors: ErrReservationMissing, and those
	// of the verb.
	Restock(ctx context.Context, r domain.Restock) error
}

// Restock puts pieces that an order has taken back on the shelf, for a refund. It is idempotent by the refund's id.
func (s *Stock) Restock(ctx context.Context, orderID, refundID uuid.UUID, lines []domain.Line) error {
	restock, err := domain.NewRestock(orderID, refundID, lines, actor(ctx), s.now())
	if err != nil {
		return err
	}
	if err := s.reservations.Restock(ctx, restock); err != nil {
		return fmt.Errorf("restock for refund %s of order %s: %w", refundID, orderID, err)
	}
	return nil
}
