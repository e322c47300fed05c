package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/product-service/internal/domain"
	"shop.example/product-service/internal/usecase"
)

// ChangedReservations implements usecase.ReservationReader.
func (s *Store) ChangedReservations(ctx context.Context, q usecase.ReservationQuery, limit int) (_ []domain.ReservationSnapshot, err error) {
	at, id := q.From, uuid.Nil // no order has the zero id, so this is before the first
	if q.After != nil {
		at, id = q.After.At, q.After.OrderID
	}
	return s.selectReservations(ctx, `WHERE (updated_at, order_id) > ($1, $2) AND updated_at < $3 ORDER BY updated_at, order_id LIMIT $4`, at, id, q.To, limit)
}

// ReservationsOf implements usecase.ReservationReader.
func (s *Store) ReservationsOf(ctx context.Context, orders []uuid.UUID) ([]domain.ReservationSnapshot, error) {
	return s.selectReservations(ctx, `WHERE order_id = ANY ($1)`, orders)
}

// selectReservations returns the reservations of a query with their lines, in one statement, which sees one moment.
func (s *Store) selectReservations(ctx context.Context, clause string, args ...any) (found []domain.ReservationSnapshot, err error) {
	defer translate(&err)
	rows, err := s.pool.Query(ctx, `SELECT order_id, status, expires_at, created_at, updated_at, revision,
			ARRAY(SELECT product_id FROM reservation_lines l WHERE l.order_id = r.order_id ORDER BY position),
			ARRAY(SELECT quantity FROM reservation_lines l WHERE l.order_id = r.order_id ORDER BY position)
		FROM reservations r `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("select reservations: %w", err)
	}
	found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (domain.ReservationSnapshot, error) {
		var (
			r          domain.ReservationSnapshot
			products   []uuid.UUID
			quantities []int64
		)
		if err := row.Scan(&r.OrderID, &r.Status, &r.ExpiresAt, &r.CreatedAt, &r.UpdatedAt, &r.Revision, &products, &quantities); err != nil {
			return r, err
		}
		for _, at := range []*time.Time{&r.ExpiresAt, &r.CreatedAt, &r.UpdatedAt} {
			*at = at.UTC()
		}
		for i, id := range products {
			r.Lines = append(r.Lines, domain.Line{ProductID: id, Quantity: quantities[i]})
		}
		return r, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	return found, nil
}
