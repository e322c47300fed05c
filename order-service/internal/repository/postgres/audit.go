package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// hasPlan is whether a job looks at an order, whose row is o.
const hasPlan = `EXISTS (SELECT FROM river_job j WHERE j.id = o.settle_job AND j.state NOT IN ('completed', 'cancelled', 'discarded'))`

// ChangedOrders implements usecase.AuditedOrders.
func (s *Store) ChangedOrders(ctx context.Context, from, to time.Time, after usecase.AuditPlace, limit int) ([]usecase.AuditPlace, error) {
	if after.At.IsZero() {
		after.At = from // no order has the zero id, so this is before the first
	}
	rows, err := s.pool.Query(ctx, `SELECT updated_at, id FROM orders
		WHERE (updated_at, id) > ($1, $2) AND updated_at < $3 ORDER BY updated_at, id LIMIT $4`, after.At, after.ID, to, limit)
	if err != nil {
		return nil, fmt.Errorf("select changed orders: %w", err)
	}
	places, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p usecase.AuditPlace, err error) {
		err = row.Scan(&p.At, &p.ID)
		p.At = p.At.UTC()
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("read changed orders: %w", err)
	}
	return places, nil
}

// StuckOrders implements usecase.AuditedOrders. The conditions are those of the partial indexes.
func (s *Store) StuckOrders(ctx context.Context, open, planned time.Time, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id FROM orders o
		WHERE (status = 'pending' OR status = 'cancelled' AND payment_status IN ('pending', 'authorized')) AND id > $3
			AND updated_at < $1 AND (status <> 'pending' OR updated_at < $2 OR NOT `+hasPlan+`)
		UNION
		SELECT order_id FROM order_refunds
		WHERE (status = 'pending' OR status = 'done' AND restock AND NOT restocked) AND order_id > $3 AND at < $1
		ORDER BY 1 LIMIT $4`, open, planned, after, limit)
	if err != nil {
		return nil, fmt.Errorf("select stuck orders: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("read stuck orders: %w", err)
	}
	return ids, nil
}

// AuditedOrders implements usecase.AuditedOrders. Whether they are planned is read first: one that is changed in between is
// one that somebody looks after.
func (s *Store) AuditedOrders(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]domain.AuditedOrder, error) {
	rows, err := s.pool.Query(ctx, `SELECT id FROM orders o WHERE id = ANY ($1) AND `+hasPlan, ids)
	if err != nil {
		return nil, fmt.Errorf("select planned orders: %w", err)
	}
	planned := make(map[uuid.UUID]bool)
	var id uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error { planned[id] = true; return nil }); err != nil {
		return nil, fmt.Errorf("read planned orders: %w", err)
	}
	orders, err := s.selectOrders(ctx, `WHERE id = ANY ($1)`, ids)
	if err != nil {
		return nil, err
	}
	audited := make(map[uuid.UUID]domain.AuditedOrder, len(orders))
	for _, o := range orders {
		audited[o.ID] = domain.AuditedOrder{Snapshot: o, Planned: planned[o.ID]}
	}
	return audited, nil
}

// Progress implements usecase.FindingStore.
func (s *Store) Progress(ctx context.Context) (usecase.AuditProgress, error) {
	var (
		p        usecase.AuditProgress
		state    []byte
		revision int64
	)
	if err := s.pool.QueryRow(ctx, `SELECT revision, state FROM audit_progress`).Scan(&revision, &state); err != nil {
		return p, fmt.Errorf("select the progress: %w", err)
	}
	if err := json.Unmarshal(state, &p); err != nil {
		return p, fmt.Errorf("read the progress: %w", err)
	}
	p.Revision = revision
	return p, nil
}

// SaveProgress implements usecase.FindingStore.
func (s *Store) SaveProgress(ctx context.Context, p usecase.AuditProgress) (usecase.AuditProgress, error) {
	state, err := json.Marshal(p)
	if err != nil {
		return p, fmt.Errorf("write the progress: %w", err)
	}
	tag, err := s.pool.Exec(ctx, `UPDATE audit_progress SET revision = revision + 1, state = $2 WHERE revision = $1`, p.Revision, state)
	switch {
	case err != nil:
		return p, fmt.Errorf("update the progress: %w", err)
	case tag.RowsAffected() == 0:
		return p, usecase.ErrOvertaken
	}
	p.Revision++
	return p, nil
}
