package postgres

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/money"
)

// queueRefunds stores the refunds that are new, and how far the others are: nothing else of a refund ever changes.
func queueRefunds(batch *pgx.Batch, before, after domain.Snapshot) {
	for i, r := range after.Refunds {
		if i < len(before.Refunds) {
			if was := before.Refunds[i]; was.Status != r.Status || was.Restocked != r.Restocked {
				batch.Queue(`UPDATE order_refunds SET status = $3, restocked = $4 WHERE order_id = $1 AND position = $2`,
					after.ID, i, r.Status, r.Restocked)
			}
			continue
		}
		items := append([]domain.RefundedItem{}, r.Items...) // none is an empty list, not null
		batch.Queue(`
			INSERT INTO order_refunds (order_id, position, id, status, amount, items, reason, restock, restocked, by, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			after.ID, i, r.ID, r.Status, r.Amount.Amount(), items, r.Reason, r.Restock, r.Restocked, r.By, r.At)
	}
}

// queueReadRefunds reads the refunds of orders into them.
func queueReadRefunds(batch *pgx.Batch, ids []uuid.UUID, byID map[uuid.UUID]*domain.Snapshot) {
	batch.Queue(`
		SELECT order_id, id, status, amount, items, reason, restock, restocked, by, at FROM order_refunds
		WHERE order_id = ANY ($1) ORDER BY order_id, position`, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var (
				orderID uuid.UUID
				amount  int64
				r       domain.Refund
				err     error
			)
			if err = rows.Scan(&orderID, &r.ID, &r.Status, &amount, &r.Items, &r.Reason, &r.Restock, &r.Restocked, &r.By, &r.At); err != nil {
				return err
			}
			o := byID[orderID]
			if r.Amount, err = money.New(amount, o.Total.Currency()); err != nil {
				return err
			}
			if len(r.Items) == 0 {
				r.Items = nil
			}
			r.At = r.At.UTC()
			o.Refunds = append(o.Refunds, r)
		}
		return rows.Err()
	})
}
