package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/product-service/internal/domain"
)

// replaceLines gives a reservation the lines of a request that it yields to. The reservation is locked, and so is the stock
// of the old products and the new ones.
func replaceLines(ctx context.Context, tx pgx.Tx, r, request *domain.Reservation, stock map[uuid.UUID]domain.Availability, now time.Time) error {
	moved, err := r.Replace(request, stock, now)
	if err != nil {
		return err
	}
	kept := r.Snapshot()
	var batch pgx.Batch
	queueReservation(&batch, kept)
	products, quantities := split(moved)
	batch.Queue(`UPDATE stock s SET reserved = s.reserved + l.quantity FROM unnest($1::uuid[], $2::bigint[]) AS l(product_id, quantity)
		WHERE s.product_id = l.product_id AND s.reserved + l.quantity BETWEEN 0 AND s.on_hand`, products, quantities).Exec(allLines(moved))
	batch.Queue(`DELETE FROM reservation_lines WHERE order_id = $1`, kept.OrderID)
	products, quantities = split(kept.Lines)
	batch.Queue(`INSERT INTO reservation_lines (order_id, position, product_id, quantity)
		SELECT $1, w.position, w.product_id, w.quantity
		FROM unnest($2::uuid[], $3::bigint[]) WITH ORDINALITY AS w(product_id, quantity, position)`, kept.OrderID, products, quantities)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("replace lines: %w", err)
	}
	return nil
}

// queueReservation stores what can change of a reservation but for its lines.
func queueReservation(batch *pgx.Batch, r domain.ReservationSnapshot) {
	batch.Queue(`UPDATE reservations SET status = $2, expires_at = $3, updated_at = $4, revision = $5 WHERE order_id = $1`,
		r.OrderID, string(r.Status), r.ExpiresAt, r.UpdatedAt, r.Revision)
}
