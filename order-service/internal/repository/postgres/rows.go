package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/money"
)

const orderColumns = `id, number, user_id, status, currency, subtotal, discount, shipping, total, address, shipping_method,
	coupon_code, coupon, payment_status, payment_method, payment_provider, payment_reference, payment_attempt, payment_checkout,
	from_cart, version, created_at, updated_at, tracking, payment_request, stock_missing_since`

// amounts are an order's sums as columns.
type amounts struct {
	currency                            string
	subtotal, discount, shipping, total int64
}

// orderFields returns where the columns of orderColumns are scanned to.
func orderFields(s *domain.Snapshot, a *amounts, address *[]byte) []any {
	return []any{
		&s.ID, &s.Number, &s.UserID, &s.Status, &a.currency, &a.subtotal, &a.discount, &a.shipping, &a.total, address,
		&s.ShippingMethod, &s.CouponCode, &s.Benefit, &s.Payment.Status, &s.Payment.Method, &s.Payment.Provider, &s.Payment.Reference,
		&s.Payment.Attempt, &s.Payment.AtCheckout, &s.FromCart, &s.Version, &s.CreatedAt, &s.UpdatedAt, &s.Tracking,
		(*zeronull.UUID)(&s.Payment.Request), (*zeronull.Timestamptz)(&s.StockMissingSince),
	}
}

// restore sets what the columns hold in another form.
func restore(s *domain.Snapshot, a amounts, address []byte) error {
	if err := json.Unmarshal(address, &s.ShippingAddress); err != nil {
		return fmt.Errorf("read the address of order %s: %w", s.ID, err)
	}
	if err := a.set(s); err != nil {
		return err
	}
	s.CreatedAt, s.UpdatedAt, s.StockMissingSince = s.CreatedAt.UTC(), s.UpdatedAt.UTC(), s.StockMissingSince.UTC()
	return nil
}

// set puts the amounts into an order.
func (a amounts) set(s *domain.Snapshot) error {
	for _, m := range []struct {
		to     *money.Money
		amount int64
	}{{&s.Subtotal, a.subtotal}, {&s.Discount, a.discount}, {&s.Shipping, a.shipping}, {&s.Total, a.total}} {
		var err error
		if *m.to, err = money.New(m.amount, a.currency); err != nil {
			return fmt.Errorf("read the amounts of order %s: %w", s.ID, err)
		}
	}
	return nil
}

// selectOrders returns the orders of a query with their items and history, in two round trips.
func (s *Store) selectOrders(ctx context.Context, clause string, args ...any) ([]domain.Snapshot, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+orderColumns+` FROM orders `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("select orders: %w", err)
	}
	orders, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (domain.Snapshot, error) {
		var (
			o       domain.Snapshot
			a       amounts
			address []byte
		)
		if err := row.Scan(orderFields(&o, &a, &address)...); err != nil {
			return o, err
		}
		return o, restore(&o, a, address)
	})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	if len(orders) == 0 {
		return nil, nil
	}
	return orders, fill(ctx, s.pool, orders)
}

// querier is a pool or a transaction.
type querier interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// fill adds items, history and refunds to orders, in one round trip.
func fill(ctx context.Context, db querier, orders []domain.Snapshot) error {
	ids := make([]uuid.UUID, len(orders))
	byID := make(map[uuid.UUID]*domain.Snapshot, len(orders))
	for i := range orders {
		ids[i] = orders[i].ID
		byID[orders[i].ID] = &orders[i]
	}
	var batch pgx.Batch
	batch.Queue(`
		SELECT order_id, id, product_id, sku, name, quantity, grams, unit_price, line_total
		FROM order_items WHERE order_id = ANY ($1) ORDER BY order_id, position`, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var (
				orderID          uuid.UUID
				item             domain.Item
				unitPrice, total int64
				err              error
			)
			if err = rows.Scan(&orderID, &item.ID, &item.ProductID, &item.SKU, &item.Name, &item.Quantity, &item.Grams, &unitPrice, &total); err != nil {
				return err
			}
			o := byID[orderID]
			if item.UnitPrice, err = money.New(unitPrice, o.Total.Currency()); err != nil {
				return err
			}
			if item.LineTotal, err = money.New(total, o.Total.Currency()); err != nil {
				return err
			}
			o.Items = append(o.Items, item)
		}
		return rows.Err()
	})
	batch.Queue(`
		SELECT order_id, status, at, by, note FROM order_history
		WHERE order_id = ANY ($1) ORDER BY order_id, position`, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var (
				orderID uuid.UUID
				entry   domain.HistoryEntry
			)
			if err := rows.Scan(&orderID, &entry.Status, &entry.At, &entry.By, &entry.Note); err != nil {
				return err
			}
			entry.At = entry.At.UTC()
			o := byID[orderID]
			o.History = append(o.History, entry)
		}
		return rows.Err()
	})
	queueReadRefunds(&batch, ids, byID)
	if err := db.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("read items and history: %w", err)
	}
	return nil
}

// lockedOrder is an order that nobody else can change until the transaction ends.
type lockedOrder struct {
	snapshot domain.Snapshot
	epoch    int64
	leased   bool
	job      *int64
}

func lockOrder(ctx context.Context, tx pgx.Tx, id uuid.UUID) (lockedOrder, error) {
	var (
		l       lockedOrder
		a       amounts
		address []byte
	)
	fields := append(orderFields(&l.snapshot, &a, &address), &l.epoch, &l.leased, &l.job)
	// clock_timestamp, for the row may have been waited for: now() is when the transaction began.
	err := tx.QueryRow(ctx, `SELECT `+orderColumns+`, lease_epoch, coalesce(lease_until > clock_timestamp(), false), settle_job
		FROM orders WHERE id = $1 FOR UPDATE`, id).Scan(fields...)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, domain.ErrOrderMissing
	}
	if err != nil {
		return l, fmt.Errorf("lock order: %w", err)
	}
	if err := restore(&l.snapshot, a, address); err != nil {
		return l, err
	}
	one := []domain.Snapshot{l.snapshot}
	err = fill(ctx, tx, one)
	l.snapshot = one[0]
	return l, err
}

func insertOrder(ctx context.Context, tx pgx.Tx, s domain.Snapshot, keep time.Duration, jobID int64) error {
	address, err := json.Marshal(s.ShippingAddress)
	if err != nil {
		return fmt.Errorf("write the address: %w", err)
	}
	var batch pgx.Batch
	batch.Queue(`
		INSERT INTO orders (`+orderColumns+`, lease_epoch, lease_until, settle_job, refunded)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
			$24, $25, $26, $29, clock_timestamp() + $27, $28, $30)`,
		s.ID, s.Number, s.UserID, s.Status, s.Total.Currency(), s.Subtotal.Amount(), s.Discount.Amount(), s.Shipping.Amount(),
		s.Total.Amount(), address, s.ShippingMethod, s.CouponCode, s.Benefit, s.Payment.Status, s.Payment.Method, s.Payment.Provider,
		s.Payment.Reference, s.Payment.Attempt, s.Payment.AtCheckout, s.FromCart, s.Version, s.CreatedAt, s.UpdatedAt,
		s.Tracking, zeronull.UUID(s.Payment.Request), zeronull.Timestamptz(s.StockMissingSince),
		keep, jobID, usecase.FirstLease.Epoch, s.Promised().Amount())
	queueItems(&batch, s)
	queueRefunds(&batch, domain.Snapshot{}, s)
	queueHistory(&batch, s, 0)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("insert order: %w", err)
	}
	return nil
}

// updateOrder stores what can change of an order. Its history only grows.
func updateOrder(ctx context.Context, tx pgx.Tx, before, after domain.Snapshot, epoch int64, keep time.Duration, jobID *int64) error {
	var batch pgx.Batch
	batch.Queue(`
		UPDATE orders SET status = $2, payment_status = $3, payment_method = $4, payment_provider = $5,
			payment_reference = $6, payment_attempt = $7, payment_checkout = $8, version = $9, updated_at = $10,
			lease_epoch = $11, lease_until = clock_timestamp() + $12, settle_job = $13,
			tracking = $14, payment_request = $15, stock_missing_since = $16, refunded = $17
		WHERE id = $1`,
		after.ID, after.Status, after.Payment.Status, after.Payment.Method, after.Payment.Provider, after.Payment.Reference,
		after.Payment.Attempt, after.Payment.AtCheckout, after.Version, after.UpdatedAt, epoch, keep, jobID,
		after.Tracking, zeronull.UUID(after.Payment.Request), zeronull.Timestamptz(after.StockMissingSince), after.Promised().Amount())
	if !slices.Equal(before.Items, after.Items) {
		batch.Queue(`UPDATE orders SET subtotal = $2, discount = $3, shipping = $4, total = $5 WHERE id = $1`,
			after.ID, after.Subtotal.Amount(), after.Discount.Amount(), after.Shipping.Amount(), after.Total.Amount())
		batch.Queue(`DELETE FROM order_items WHERE order_id = $1`, after.ID)
		queueItems(&batch, after)
	}
	queueRefunds(&batch, before, after)
	queueHistory(&batch, after, len(before.History))
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("update order: %w", err)
	}
	return nil
}

// queueItems inserts the lines.
func queueItems(batch *pgx.Batch, s domain.Snapshot) {
	for i, item := range s.Items {
		batch.Queue(`
			INSERT INTO order_items (order_id, position, id, product_id, sku, name, quantity, grams, unit_price, line_total)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			s.ID, i, item.ID, item.ProductID, item.SKU, item.Name, item.Quantity, item.Grams, item.UnitPrice.Amount(), item.LineTotal.Amount())
	}
}

// queueHistory inserts the entries from the one at first on.
func queueHistory(batch *pgx.Batch, s domain.Snapshot, first int) {
	for i, entry := range s.History[first:] {
		batch.Queue(`INSERT INTO order_history (order_id, position, status, at, by, note) VALUES ($1, $2, $3, $4, $5, $6)`,
			s.ID, first+i, entry.Status, entry.At, entry.By, entry.Note)
	}
}

func deleteOrder(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM orders WHERE id = $1`, id); err != nil {
		return fmt.Errorf("delete order: %w", err)
	}
	return nil
}
