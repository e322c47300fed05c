package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shop.example/platform/postgres"
	"shop.example/product-service/internal/domain"
)

// allLines checks that a statement has met every line.
func allLines(lines []domain.Line) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(len(lines)) {
			return fmt.Errorf("stock changed for %d of %d lines", tag.RowsAffected(), len(lines))
		}
		return nil
	}
}

// Reserve implements usecase.ReservationStore, for a new order in three statements and two round trips, not counting
// those that begin and end the transaction.
func (s *Store) Reserve(ctx context.Context, request *domain.Reservation, now time.Time) (_ *domain.Reservation, err error) {
	defer translate(&err)
	r := request.Snapshot()
	products, quantities := split(r.Lines)
	return postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (*domain.Reservation, error) {
		var (
			batch pgx.Batch
			isNew bool
			stock map[uuid.UUID]domain.Availability
		)
		// A second caller for the same order waits here for the first. The update changes nothing but locks the row: the
		// reservation's lock comes before those of the stock, here as everywhere. xmax is 0 in rows that were just inserted.
		batch.Queue(`INSERT INTO reservations (order_id, status, expires_at, created_at, updated_at, revision) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT ON CONSTRAINT reservations_pkey DO UPDATE SET status = reservations.status
			RETURNING xmax = 0`, r.OrderID, string(r.Status), r.ExpiresAt, r.CreatedAt, r.UpdatedAt, r.Revision).
			QueryRow(func(row pgx.Row) error { return row.Scan(&isNew) })
		// With the products of the lines that the request may replace: all locks in one order.
		batch.Queue(lockStockOfBoth, products, r.OrderID).Query(func(rows pgx.Rows) (err error) {
			stock, err = scanStock(rows)
			return err
		})
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
		if !isNew {
			return reserveAgain(ctx, tx, request, stock, now)
		}
		if err := request.Promise().Check(r.Lines, stock); err != nil {
			return nil, err
		}
		tag, err := tx.Exec(ctx, `WITH l AS (
				INSERT INTO reservation_lines (order_id, position, product_id, quantity)
				SELECT $1, w.position, w.product_id, w.quantity
				FROM unnest($2::uuid[], $3::bigint[]) WITH ORDINALITY AS w(product_id, quantity, position)
				RETURNING product_id, quantity)
			UPDATE stock s SET reserved = s.reserved + l.quantity FROM l
			WHERE s.product_id = l.product_id AND s.on_hand - s.reserved >= l.quantity`, r.OrderID, products, quantities)
		if err == nil {
			err = allLines(r.Lines)(tag)
		}
		if err != nil {
			return nil, fmt.Errorf("promise: %w", err)
		}
		return request, nil
	})
}

// reserveAgain lets the reservation that is there answer. The stock is that of the request's lines, which are the
// reservation's too if ReserveAgain accepts them.
func reserveAgain(ctx context.Context, tx pgx.Tx, request *domain.Reservation, stock map[uuid.UUID]domain.Availability, now time.Time) (*domain.Reservation, error) {
	existing, err := lockReservation(ctx, tx, request.Snapshot().OrderID)
	if err != nil {
		return nil, err
	}
	if existing.YieldsTo(request) {
		return existing, replaceLines(ctx, tx, existing, request, stock, now)
	}
	before := existing.Snapshot()
	effect, err := existing.ReserveAgain(request, now)
	if err != nil {
		return nil, err
	}
	if after := existing.Snapshot(); effect.IsNone() && after.UpdatedAt.Equal(before.UpdatedAt) && after.Revision == before.Revision {
		return existing, nil
	}
	// The request's lines, so that a shortage is told in its order.
	if err := effect.Check(request.Snapshot().Lines, stock); err != nil {
		return nil, err
	}
	return existing, save(ctx, tx, existing, effect, "", now)
}

// UpdateReservation implements usecase.ReservationStore.
func (s *Store) UpdateReservation(ctx context.Context, orderID uuid.UUID, actor string, now time.Time, change func(*domain.Reservation) (domain.Effect, error)) (err error) {
	defer translate(&err)
	return postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
		r, err := lockReservation(ctx, tx, orderID)
		if err != nil {
			return err
		}
		before := r.Snapshot().Status
		effect, err := change(r)
		if err != nil {
			return err
		}
		if effect.IsNone() && r.Snapshot().Status == before {
			return nil
		}
		if !effect.IsNone() {
			products, _ := split(r.Snapshot().Lines)
			rows, err := tx.Query(ctx, lockStock, products)
			if err != nil {
				return fmt.Errorf("lock stock: %w", err)
			}
			stock, err := scanStock(rows)
			if err != nil {
				return fmt.Errorf("lock stock: %w", err)
			}
			if err := effect.Check(r.Snapshot().Lines, stock); err != nil {
				return err
			}
		}
		if before == domain.ReservationConfirmed { // what was put back already does not go back once more
			done, err := restocksOf(ctx, tx, orderID)
			if err != nil {
				return err
			}
			return saveLines(ctx, tx, r, r.Out(done), effect, actor, now)
		}
		return save(ctx, tx, r, effect, actor, now)
	})
}

// AddTombstone implements usecase.ReservationStore.
func (s *Store) AddTombstone(ctx context.Context, tombstone *domain.Reservation) (_ bool, err error) {
	defer translate(&err)
	r := tombstone.Snapshot()
	tag, err := s.pool.Exec(ctx, `INSERT INTO reservations (order_id, status, expires_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT ON CONSTRAINT reservations_pkey DO NOTHING`, r.OrderID, string(r.Status), r.ExpiresAt, r.CreatedAt, r.UpdatedAt)
	return tag.RowsAffected() == 1, err
}

// ExpireReservations implements usecase.OverdueStore. What another replica has in hand, or an order is just confirming, is
// skipped; the stock of the whole batch is locked in the one order.
func (s *Store) ExpireReservations(ctx context.Context, now time.Time, limit int) (_ int, err error) {
	defer translate(&err)
	return postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (int, error) {
		rows, err := tx.Query(ctx, `SELECT order_id FROM reservations WHERE status = 'active' AND expires_at <= $1
			ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED`, now, limit)
		if err != nil {
			return 0, err
		}
		orders, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil || len(orders) == 0 {
			return 0, err
		}
		// A statement of its own: the update below must begin when the locks are held, to see the stock as it is then.
		_, err = tx.Exec(ctx, `SELECT FROM stock WHERE product_id IN (SELECT product_id FROM reservation_lines WHERE order_id = ANY($1))
			ORDER BY product_id FOR UPDATE`, orders)
		if err != nil {
			return 0, fmt.Errorf("lock stock: %w", err)
		}
		_, err = tx.Exec(ctx, `WITH expired AS (UPDATE reservations SET status = 'expired', updated_at = $2 WHERE order_id = ANY($1))
			UPDATE stock s SET reserved = s.reserved - l.quantity
			FROM (SELECT product_id, sum(quantity)::bigint AS quantity FROM reservation_lines WHERE order_id = ANY($1) GROUP BY product_id) l
			WHERE s.product_id = l.product_id`, orders, now)
		if err != nil {
			return 0, fmt.Errorf("give back: %w", err)
		}
		return len(orders), nil
	})
}

// ForgetReservations implements usecase.OverdueStore.
func (s *Store) ForgetReservations(ctx context.Context, before time.Time, limit int) (_ int, err error) {
	defer translate(&err)
	tag, err := s.pool.Exec(ctx, `WITH over AS (
			SELECT order_id FROM reservations WHERE status IN ('released', 'expired') AND updated_at < $1
			ORDER BY updated_at LIMIT $2 FOR UPDATE SKIP LOCKED),
		back AS (DELETE FROM restocks b USING over WHERE b.order_id = over.order_id),
		lines AS (DELETE FROM reservation_lines l USING over WHERE l.order_id = over.order_id)
		DELETE FROM reservations r USING over WHERE r.order_id = over.order_id`, before, limit)
	return int(tag.RowsAffected()), err
}

// lockReservation locks an order's reservation and returns it with its lines, which change only under the lock.
func lockReservation(ctx context.Context, tx pgx.Tx, orderID uuid.UUID) (*domain.Reservation, error) {
	var (
		status     string
		products   []uuid.UUID
		quantities []int64
		r          = domain.ReservationSnapshot{OrderID: orderID}
	)
	// Two statements, for the second begins when the lock is held: the lines are those that the last one who held it has left.
	var batch pgx.Batch
	batch.Queue(`SELECT status, expires_at, created_at, updated_at, revision FROM reservations WHERE order_id = $1 FOR UPDATE`, orderID).
		QueryRow(func(row pgx.Row) error {
			return row.Scan(&status, &r.ExpiresAt, &r.CreatedAt, &r.UpdatedAt, &r.Revision)
		})
	batch.Queue(`SELECT ARRAY(SELECT product_id FROM reservation_lines WHERE order_id = $1 ORDER BY position),
			ARRAY(SELECT quantity FROM reservation_lines WHERE order_id = $1 ORDER BY position)`, orderID).
		QueryRow(func(row pgx.Row) error { return row.Scan(&products, &quantities) })
	err := tx.SendBatch(ctx, &batch).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, domain.ErrReservationMissing
	}
	if err != nil {
		return nil, fmt.Errorf("lock reservation: %w", err)
	}
	r.Status = domain.ReservationStatus(status)
	r.ExpiresAt, r.CreatedAt, r.UpdatedAt = r.ExpiresAt.UTC(), r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	for i, id := range products {
		r.Lines = append(r.Lines, domain.Line{ProductID: id, Quantity: quantities[i]})
	}
	return domain.RestoreReservation(r), nil
}

// save keeps a changed reservation and applies its effect to the stock, which is locked.
func save(ctx context.Context, tx pgx.Tx, reservation *domain.Reservation, e domain.Effect, actor string, now time.Time) error {
	return saveLines(ctx, tx, reservation, reservation.Snapshot().Lines, e, actor, now)
}

// saveLines is save with an effect on some lines only.
func saveLines(ctx context.Context, tx pgx.Tx, reservation *domain.Reservation, lines []domain.Line, e domain.Effect, actor string, now time.Time) error {
	r := reservation.Snapshot()
	var batch pgx.Batch
	queueReservation(&batch, r)
	if !e.IsNone() && len(lines) > 0 {
		if err := moveStock(&batch, r.OrderID, lines, e, actor, now); err != nil {
			return err
		}
	}
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("save reservation: %w", err)
	}
	return nil
}
