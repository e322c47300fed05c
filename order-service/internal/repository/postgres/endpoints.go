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

const endpointColumns = `id, url, events, status, version, created_at, updated_at, deleted_at`

// endpointRow is what endpointColumns are scanned into.
type endpointRow struct {
	is        domain.Endpoint
	deletedAt *time.Time
}

func (r *endpointRow) columns() []any {
	e := &r.is
	return []any{&e.ID, &e.URL, &e.Events, &e.Status, &e.Version, &e.CreatedAt, &e.UpdatedAt, &r.deletedAt}
}

func (r *endpointRow) endpoint() domain.Endpoint {
	e := r.is
	e.CreatedAt, e.UpdatedAt, e.DeletedAt = e.CreatedAt.UTC(), e.UpdatedAt.UTC(), moment(r.deletedAt)
	if len(e.Events) == 0 {
		e.Events = nil
	}
	return e
}

func scanEndpoint(row pgx.CollectableRow) (domain.Endpoint, error) {
	var r endpointRow
	err := row.Scan(r.columns()...)
	return r.endpoint(), err
}

// oneEndpoint returns the endpoint of a query, or domain.ErrEndpointMissing.
func oneEndpoint(ctx context.Context, db selector, clause string, args ...any) (domain.Endpoint, error) {
	rows, err := db.Query(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoints `+clause, args...)
	if err != nil {
		return domain.Endpoint{}, fmt.Errorf("select endpoint: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEndpoint)
	if errors.Is(err, pgx.ErrNoRows) {
		return domain.Endpoint{}, domain.ErrEndpointMissing
	}
	if err != nil {
		return domain.Endpoint{}, fmt.Errorf("read endpoint: %w", err)
	}
	return e, nil
}

// AddEndpoint implements usecase.EndpointStore. Who adds one counts them, so one at a time does; orders, which read them, don't
// wait for that.
func (s *Store) AddEndpoint(ctx context.Context, e domain.Endpoint, limit int) error {
	_, err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (struct{}, error) {
		if _, err := tx.Exec(ctx, `LOCK TABLE webhook_endpoints IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return struct{}{}, fmt.Errorf("lock endpoints: %w", err)
		}
		tag, err := tx.Exec(ctx, `INSERT INTO webhook_endpoints (`+endpointColumns+`)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE (SELECT count(*) FROM webhook_endpoints WHERE deleted_at IS NULL) < $9`,
			e.ID, e.URL, append([]domain.EventType{}, e.Events...), e.Status, e.Version, e.CreatedAt, e.UpdatedAt, known(e.DeletedAt), limit)
		if err != nil {
			return struct{}{}, fmt.Errorf("insert endpoint: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return struct{}{}, domain.ErrEndpointLimit
		}
		return struct{}{}, nil
	})
	return err
}

// UpdateEndpoint implements usecase.EndpointStore.
func (s *Store) UpdateEndpoint(ctx context.Context, id uuid.UUID, change func(*domain.Endpoint) error) (domain.Endpoint, error) {
	return postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (domain.Endpoint, error) {
		e, err := oneEndpoint(ctx, tx, `WHERE id = $1 AND deleted_at IS NULL FOR UPDATE`, id)
		if err != nil {
			return e, err
		}
		if err := change(&e); err != nil {
			return e, err
		}
		if _, err := tx.Exec(ctx, `UPDATE webhook_endpoints SET url = $2, events = $3, status = $4, version = $5, updated_at = $6, deleted_at = $7
			WHERE id = $1`, e.ID, e.URL, append([]domain.EventType{}, e.Events...), e.Status, e.Version, e.UpdatedAt, known(e.DeletedAt)); err != nil {
			return e, fmt.Errorf("update endpoint: %w", err)
		}
		return e, nil
	})
}

// Endpoint implements usecase.EndpointReader.
func (s *Store) Endpoint(ctx context.Context, id uuid.UUID) (domain.Endpoint, error) {
	return oneEndpoint(ctx, s.pool, `WHERE id = $1 AND deleted_at IS NULL`, id)
}

// ListEndpoints implements usecase.EndpointReader. Ids are UUIDv7, so the newest come first by id alone.
func (s *Store) ListEndpoints(ctx context.Context, after uuid.UUID, limit int) ([]domain.Endpoint, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+endpointColumns+` FROM webhook_endpoints
		WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2`,
		uuid.NullUUID{UUID: after, Valid: after != uuid.Nil}, limit)
	if err != nil {
		return nil, fmt.Errorf("select endpoints: %w", err)
	}
	all, err := pgx.CollectRows(rows, scanEndpoint)
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	return all, nil
}

// CountEndpoints implements usecase.EndpointReader.
func (s *Store) CountEndpoints(ctx context.Context) (int64, error) {
	var n int64
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM webhook_endpoints WHERE deleted_at IS NULL`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count endpoints: %w", err)
	}
	return n, nil
}
