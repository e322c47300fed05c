package postgres

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/job"
)

// PlanCheck implements usecase.CheckPlanner. The order is not locked: whoever works on it now is not to be waited for, and one
// that is discarded meanwhile makes the job find nothing.
func (s *Store) PlanCheck(ctx context.Context, orderID uuid.UUID) error {
	var known bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM orders WHERE id = $1)`, orderID).Scan(&known); err != nil {
		return fmt.Errorf("look for the order: %w", err)
	}
	if !known {
		return domain.ErrOrderMissing
	}
	if _, err := s.jobs.Insert(ctx, job.CheckPayments{OrderID: orderID}, nil); err != nil {
		return fmt.Errorf("insert the check: %w", err)
	}
	return nil
}

// Checks returns how many looks at the payments of an order are planned: for tests and operators.
func (s *Store) Checks(ctx context.Context, orderID uuid.UUID) (int, error) {
	var n int
	err := s.pool.QueryRow(ctx, `
		SELECT count(*) FROM river_job
		WHERE kind = $1 AND args->>'order_id' = $2::text AND state NOT IN ('completed', 'cancelled', 'discarded')`,
		job.CheckPayments{}.Kind(), orderID.String()).Scan(&n)
	return n, err
}
