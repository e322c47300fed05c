package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/platform/postgres"
	"shop.example/product-service/internal/domain"
)

// Restock implements usecase.RestockStore. The lock of the reservation comes before those of the stock, as everywhere.
func (s *Store) Restock(ctx context.Context, request domain.Restock) (err error) {
	defer translate(&err)
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		r, err := lockReservation(ctx, tx, request.OrderID)
		if err != nil {
			return err
		}
		done, err := restocksOf(ctx, tx, request.OrderID)
		if err != nil {
			return err
		}
		effect, err := r.Restock(request, done)
		if err != nil || effect.IsNone() {
			return err
		}
		products, quantities := split(request.Lines)
		var batch pgx.Batch
		batch.Queue(lockStock, products)
		batch.Queue(`INSERT INTO restocks (order_id, refund_id, product_id, quantity)
			SELECT $1, $2, l.product_id, l.quantity FROM unnest($3::uuid[], $4::bigint[]) AS l(product_id, quantity)`,
			request.OrderID, request.RefundID, products, quantities)
		if err := moveStock(&batch, request.OrderID, request.Lines, effect, request.Actor, request.At); err != nil {
			return err
		}
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("restock: %w", err)
		}
		return nil
	})
}

// restocksOf returns what was put back of an order's reservation, which is locked.
func restocksOf(ctx context.Context, tx pgx.Tx, orderID uuid.UUID) ([]domain.Restock, error) {
	rows, err := tx.Query(ctx, `SELECT refund_id, product_id, quantity FROM restocks WHERE order_id = $1 ORDER BY refund_id, product_id`, orderID)
	if err != nil {
		return nil, fmt.Errorf("select restocks: %w", err)
	}
	var (
		done   []domain.Restock
		refund uuid.UUID
		line   domain.Line
	)
	_, err = pgx.ForEachRow(rows, []any{&refund, &line.ProductID, &line.Quantity}, func() error {
		if len(done) == 0 || done[len(done)-1].RefundID != refund {
			done = append(done, domain.Restock{OrderID: orderID, RefundID: refund})
		}
		last := &done[len(done)-1]
		last.Lines = append(last.Lines, line)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read restocks: %w", err)
	}
	return done, nil
}
