package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/postgres"
)

// A coupon's row is locked after that of the order that uses it, and nothing is locked after a coupon: so nobody who waits
// for one is waited for.

const couponColumns = `id, code, type, value, min_subtotal, max_uses, max_uses_per_customer, starts_at, ends_at, status, uses,
	version, created_at, updated_at, deleted_at`

func scanCoupon(row pgx.CollectableRow) (domain.Coupon, error) {
	var (
		c                           domain.Coupon
		startsAt, endsAt, deletedAt *time.Time
	)
	err := row.Scan(&c.ID, &c.Code, &c.Type, &c.Value, &c.MinSubtotal, &c.MaxUses, &c.MaxUsesPerCustomer, &startsAt, &endsAt, &c.Status,
		&c.Uses, &c.Version, &c.CreatedAt, &c.UpdatedAt, &deletedAt)
	c.StartsAt, c.EndsAt, c.DeletedAt = moment(startsAt), moment(endsAt), moment(deletedAt)
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return c, err
}

// moment returns a time that may be absent, and known is its inverse.
func moment(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return at.UTC()
}

func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}

// selector is a pool or a transaction.
type selector interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// oneCoupon returns the coupon of a query, or missing.
func oneCoupon(ctx context.Context, db selector, missing error, clause string, args ...any) (domain.Coupon, error) {
	rows, err := db.Query(ctx, `SELECT `+couponColumns+` FROM coupons `+clause, args...)
	if err != nil {
		return domain.Coupon{}, fmt.Errorf("select coupon: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCoupon)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.Coupon{}, missing
	}
	if err != nil {
		return domain.Coupon{}, fmt.Errorf("read coupon: %w", err)
	}
	return c, nil
}

// AddCoupon implements usecase.CouponStore.
func (s *Store) AddCoupon(ctx context.Context, c domain.Coupon) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO coupons (`+couponColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		c.ID, c.Code, c.Type, c.Value, c.MinSubtotal, c.MaxUses, c.MaxUsesPerCustomer, known(c.StartsAt), known(c.EndsAt), c.Status,
		c.Uses, c.Version, c.CreatedAt, c.UpdatedAt, known(c.DeletedAt))
	if err != nil {
		return fmt.Errorf("insert coupon: %w", translate(err))
	}
	return nil
}

// UpdateCoupon implements usecase.CouponStore.
func (s *Store) UpdateCoupon(ctx context.Context, id uuid.UUID, change func(*domain.Coupon) error) (domain.Coupon, error) {
	coupon, err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (domain.Coupon, error) {
		c, err := oneCoupon(ctx, tx, domain.ErrCouponMissing, `WHERE id = $1 AND deleted_at IS NULL FOR UPDATE`, id)
		if err != nil {
			return c, err
		}
		if err := change(&c); err != nil {
			return c, err
		}
		_, err = tx.Exec(ctx, `UPDATE coupons SET code = $2, value = $3, min_subtotal = $4, max_uses = $5, max_uses_per_customer = $6,
			starts_at = $7, ends_at = $8, status = $9, version = $10, updated_at = $11, deleted_at = $12 WHERE id = $1`,
			c.ID, c.Code, c.Value, c.MinSubtotal, c.MaxUses, c.MaxUsesPerCustomer, known(c.StartsAt), known(c.EndsAt), c.Status,
			c.Version, c.UpdatedAt, known(c.DeletedAt))
		if err != nil {
			return c, fmt.Errorf("update coupon: %w", err)
		}
		return c, nil
	})
	return coupon, translate(err)
}

// Coupon implements usecase.CouponReader.
func (s *Store) Coupon(ctx context.Context, id uuid.UUID) (domain.Coupon, error) {
	return oneCoupon(ctx, s.pool, domain.ErrCouponMissing, `WHERE id = $1 AND deleted_at IS NULL`, id)
}

// ListCoupons implements usecase.CouponReader. Ids are UUIDv7, so the newest come first by id alone.
func (s *Store) ListCoupons(ctx context.Context, after uuid.UUID, limit int) ([]domain.Coupon, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+couponColumns+` FROM coupons
		WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2`,
		uuid.NullUUID{UUID: after, Valid: after != uuid.Nil}, limit)
	if err != nil {
		return nil, fmt.Errorf("select coupons: %w", err)
	}
	coupons, err := pgx.CollectRows(rows, scanCoupon)
	if err != nil {
		return nil, fmt.Errorf("read coupons: %w", err)
	}
	return coupons, nil
}

// CountCoupons implements usecase.CouponReader.
func (s *Store) CountCoupons(ctx context.Context) (int64, error) {
	var n int64
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM coupons WHERE deleted_at IS NULL`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count coupons: %w", err)
	}
	return n, nil
}

// FindCoupon implements usecase.CouponFinder.
func (s *Store) FindCoupon(ctx context.Context, code string, userID uuid.UUID) (domain.Coupon, int64, error) {
	c, err := oneCoupon(ctx, s.pool, domain.ErrCouponUnknown, `WHERE code = $1 AND deleted_at IS NULL`, code)
	if err != nil || c.MaxUsesPerCustomer == 0 {
		return c, 0, err
	}
	var used int64
	if err := s.pool.QueryRow(ctx, countUses, c.ID, userID).Scan(&used); err != nil {
		return domain.Coupon{}, 0, fmt.Errorf("count uses: %w", err)
	}
	return c, used, nil
}

const countUses = `SELECT count(*) FROM coupon_uses WHERE coupon_id = $1 AND user_id = $2`

// takeCoupon counts the use of a new order's coupon. The count of the customer's uses is a statement of its own, which begins
// when the coupon is locked: it sees what those have done who held it before.
func takeCoupon(ctx context.Context, tx pgx.Tx, s domain.Snapshot) error {
	id := s.Benefit.CouponID
	if id == uuid.Nil {
		return nil
	}
	var (
		c     domain.Coupon
		used  int64
		batch pgx.Batch
	)
	batch.Queue(`SELECT `+couponColumns+` FROM coupons WHERE id = $1 FOR UPDATE`, id).Query(func(rows pgx.Rows) (err error) {
		c, err = pgx.CollectExactlyOneRow(rows, scanCoupon)
		return err
	})
	batch.Queue(countUses, id, s.UserID).QueryRow(func(row pgx.Row) error { return row.Scan(&used) })
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("lock coupon: %w", err)
	}
	if err := c.Take(used); err != nil {
		return err
	}
	batch = pgx.Batch{}
	batch.Queue(`UPDATE coupons SET uses = $2 WHERE id = $1`, id, c.Uses)
	batch.Queue(`INSERT INTO coupon_uses (order_id, coupon_id, user_id) VALUES ($1, $2, $3)`, s.ID, id, s.UserID)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("take coupon: %w", err)
	}
	return nil
}

// giveCouponBack ends the use of an order's coupon, if there still is one.
func giveCouponBack(ctx context.Context, tx pgx.Tx, s domain.Snapshot) error {
	if s.Benefit.CouponID == uuid.Nil {
		return nil
	}
	_, err := tx.Exec(ctx, `WITH given AS (DELETE FROM coupon_uses WHERE order_id = $1 RETURNING coupon_id)
		UPDATE coupons c SET uses = c.uses - 1 FROM given WHERE c.id = given.coupon_id`, s.ID)
	if err != nil {
		return fmt.Errorf("give coupon back: %w", err)
	}
	return nil
}
