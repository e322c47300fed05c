package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/platform/postgres"
	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// AdjustStock implements usecase.StockStore.
func (s *Store) AdjustStock(ctx context.Context, a domain.Adjustment) (after domain.Stock, replayed bool, err error) {
	defer translate(&err)
	var refusal error
	after, err = postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (domain.Stock, error) {
		// First, so that of two uses of one key, for whatever products, the second finds what became of the first.
		if a.Key != "" {
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1::text || ' ' || $2::text, 0))`, a.Actor, a.Key); err != nil {
				return domain.Stock{}, fmt.Errorf("lock idempotency key: %w", err)
			}
		}
		var current domain.Stock
		err := tx.QueryRow(ctx, `SELECT on_hand, reserved FROM stock WHERE product_id = $1 FOR UPDATE`, a.ProductID).
			Scan(&current.OnHand, &current.Reserved)
		if errors.Is(err, pgx.ErrNoRows) {
			return domain.Stock{}, domain.ErrProductMissing
		}
		if err != nil {
			return domain.Stock{}, fmt.Errorf("lock stock: %w", err)
		}
		if a.Key != "" {
			first, err := keyUse(ctx, tx, a.Actor, a.Key)
			switch {
			case err == nil && !first.Held(a.At):
				if err := freeKey(ctx, tx, a.Actor, a.Key); err != nil {
					return domain.Stock{}, err
				}
			case err == nil:
				replayed = true
				return first.Again(a)
			case !errors.Is(err, pgx.ErrNoRows):
				return domain.Stock{}, fmt.Errorf("find idempotency key: %w", err)
			}
		}
		next, err := current.Adjust(a.Delta)
		if errors.Is(err, domain.ErrInsufficientStock) && a.Key != "" {
			refusal = err
			return domain.Stock{}, keepRefusal(ctx, tx, a, current)
		}
		if err != nil {
			return domain.Stock{}, err
		}
		entry := a.Entry(next)
		_, err = tx.Exec(ctx, `WITH moved AS (UPDATE stock SET on_hand = $3 WHERE product_id = $2)
			INSERT INTO stock_ledger (id, product_id, delta, reason, reference, actor, idempotency_key, on_hand_after, reserved_after, at)
			VALUES ($1, $2, $4, $5, $6, $7, NULLIF($8, ''), $3, $9, $10)`,
			entry.ID, entry.ProductID, entry.After.OnHand, entry.Delta, entry.Reason, entry.Reference, entry.Actor, entry.Key, entry.After.Reserved, entry.At)
		if err != nil {
			return domain.Stock{}, fmt.Errorf("change stock: %w", err)
		}
		return next, nil
	})
	if err == nil {
		err = refusal
	}
	return after, replayed && err == nil, err
}

// keyUse returns what a key was used for, or pgx.ErrNoRows.
func keyUse(ctx context.Context, tx pgx.Tx, actor, key string) (u domain.KeyUse, err error) {
	err = tx.QueryRow(ctx, `
		SELECT at, product_id, delta, reason, on_hand_after, reserved_after, false FROM stock_ledger WHERE actor = $1 AND idempotency_key = $2
		UNION ALL
		SELECT at, product_id, delta, reason, on_hand, reserved, true FROM refused_adjustments WHERE actor = $1 AND idempotency_key = $2`,
		actor, key).
		Scan(&u.At, &u.ProductID, &u.Delta, &u.Reason, &u.After.OnHand, &u.After.Reserved, &u.Refused)
	return u, err
}

func freeKey(ctx context.Context, tx pgx.Tx, actor, key string) error {
	if _, err := tx.Exec(ctx, `UPDATE stock_ledger SET idempotency_key = NULL WHERE actor = $1 AND idempotency_key = $2`, actor, key); err != nil {
		return fmt.Errorf("free idempotency key: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM refused_adjustments WHERE actor = $1 AND idempotency_key = $2`, actor, key); err != nil {
		return fmt.Errorf("free idempotency key: %w", err)
	}
	return nil
}

// keepRefusal keeps that a stock did not allow an adjustment, for who asks again under its key.
func keepRefusal(ctx context.Context, tx pgx.Tx, a domain.Adjustment, current domain.Stock) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO refused_adjustments (actor, idempotency_key, product_id, delta, reason, on_hand, reserved, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, a.Actor, a.Key, a.ProductID, a.Delta, a.Reason, current.OnHand, current.Reserved, a.At)
	if err != nil {
		return fmt.Errorf("keep refusal: %w", err)
	}
	return nil
}

// ForgetRefusals implements usecase.OverdueStore.
func (s *Store) ForgetRefusals(ctx context.Context, before time.Time, limit int) (_ int, err error) {
	defer translate(&err)
	tag, err := s.pool.Exec(ctx, `DELETE FROM refused_adjustments WHERE (actor, idempotency_key) IN (
		SELECT actor, idempotency_key FROM refused_adjustments WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)`, before, limit)
	return int(tag.RowsAffected()), err
}

// Ledger implements usecase.LedgerReader.
func (s *Store) Ledger(ctx context.Context, q usecase.LedgerQuery) (page usecase.LedgerPage, err error) {
	defer translate(&err)
	var total int64
	err = s.pool.QueryRow(ctx, `SELECT CASE WHEN $2 THEN (SELECT count(*) FROM stock_ledger l WHERE l.product_id = p.id) ELSE 0 END
		FROM products p WHERE p.id = $1`, q.ProductID, q.IncludeTotal).Scan(&total)
	if errors.Is(err, pgx.ErrNoRows) {
		return usecase.LedgerPage{}, domain.ErrProductMissing
	}
	if err != nil {
		return usecase.LedgerPage{}, fmt.Errorf("count: %w", err)
	}
	if q.IncludeTotal {
		page.Total = &total
	}
	after := uuid.NullUUID{UUID: q.After, Valid: q.After != uuid.Nil}
	rows, err := s.pool.Query(ctx, `SELECT id, product_id, delta, reason, reference, actor, coalesce(idempotency_key, ''), on_hand_after, reserved_after, at
		FROM stock_ledger
		WHERE product_id = $1 AND position < CASE WHEN $2::uuid IS NULL THEN $4 ELSE (SELECT position FROM stock_ledger WHERE id = $2) END
		ORDER BY position DESC LIMIT $3`, q.ProductID, after, q.PageSize+1, int64(math.MaxInt64)) // one more tells whether there is a next page
	if err != nil {
		return usecase.LedgerPage{}, err
	}
	page.Entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e domain.LedgerEntry, err error) {
		err = row.Scan(&e.ID, &e.ProductID, &e.Delta, &e.Reason, &e.Reference, &e.Actor, &e.Key, &e.After.OnHand, &e.After.Reserved, &e.At)
		e.At = e.At.UTC()
		return e, err
	})
	if len(page.Entries) > q.PageSize {
		page.Entries = page.Entries[:q.PageSize]
		page.Next = page.Entries[q.PageSize-1].ID
	}
	return page, err
}

// lockStock locks the stock of products and returns it as it is then. The ORDER BY is the order of the locks: they are
// taken after the sort.
const lockStock = `SELECT s.product_id, s.on_hand, s.reserved, p.status FROM stock s JOIN products p ON p.id = s.product_id
	WHERE s.product_id = ANY($1) ORDER BY s.product_id FOR UPDATE OF s`

// lockStockOfBoth is lockStock for some products and those of an order's reservation.
const lockStockOfBoth = `SELECT s.product_id, s.on_hand, s.reserved, p.status FROM stock s JOIN products p ON p.id = s.product_id
	WHERE s.product_id = ANY($1 || ARRAY(SELECT l.product_id FROM reservation_lines l WHERE l.order_id = $2))
	ORDER BY s.product_id FOR UPDATE OF s`

func scanStock(rows pgx.Rows) (map[uuid.UUID]domain.Availability, error) {
	stock := make(map[uuid.UUID]domain.Availability)
	var (
		id     uuid.UUID
		a      domain.Availability
		status string
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &a.OnHand, &a.Reserved, &status}, func() error {
		a.Sellable = domain.ProductStatus(status).Sellable()
		stock[id] = a
		return nil
	})
	return stock, err
}

// split returns lines as columns, for unnest.
func split(lines []domain.Line) (products []uuid.UUID, quantities []int64) {
	for _, l := range lines {
		products, quantities = append(products, l.ProductID), append(quantities, l.Quantity)
	}
	return products, quantities
}

// moveStock queues an effect on stock that is locked already, with the entries in the ledger if what is on hand changes.
// Each line must be met: the condition and the check constraint are nets below Effect.Check.
func moveStock(batch *pgx.Batch, orderID uuid.UUID, lines []domain.Line, e domain.Effect, actor string, at time.Time) error {
	products, quantities := split(lines)
	const moved = `UPDATE stock s SET on_hand = s.on_hand + $3 * l.quantity, reserved = s.reserved + $4 * l.quantity
		FROM unnest($1::uuid[], $2::bigint[]) AS l(product_id, quantity)
		WHERE s.product_id = l.product_id AND s.on_hand + $3 * l.quantity >= s.reserved + $4 * l.quantity AND s.reserved + $4 * l.quantity >= 0`
	if e.OnHand == 0 {
		batch.Queue(moved, products, quantities, e.OnHand, e.Reserved).Exec(allLines(lines))
		return nil
	}
	entries := make([]uuid.UUID, len(lines))
	for i := range entries {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make ledger id: %w", err)
		}
		entries[i] = id
	}
	batch.Queue(`WITH moved AS (`+moved+` RETURNING s.product_id, l.quantity, s.on_hand, s.reserved)
		INSERT INTO stock_ledger (id, product_id, delta, reason, reference, actor, on_hand_after, reserved_after, at)
		SELECT e.id, m.product_id, $3 * m.quantity, $6, $7, $8, m.on_hand, m.reserved, $9
		FROM moved m JOIN unnest($5::uuid[], $1::uuid[]) AS e(id, product_id) ON e.product_id = m.product_id`,
		products, quantities, e.OnHand, e.Reserved, entries, e.Reason, orderID.String(), actor, at).Exec(allLines(lines))
	return nil
}
