package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/postgres"
)

const findingColumns = `id, kind, reference, order_id, provider, detail, repairable, status, watched, first_seen_at, last_seen_at, resolved_at`

func scanFinding(row pgx.CollectableRow) (domain.Finding, error) {
	var f domain.Finding
	err := row.Scan(&f.ID, &f.Kind, &f.Reference, (*zeronull.UUID)(&f.OrderID), &f.Provider, &f.Detail, &f.Repairable, &f.Status, &f.Watched,
		&f.FirstSeenAt, &f.LastSeenAt, (*zeronull.Timestamptz)(&f.ResolvedAt))
	f.FirstSeenAt, f.LastSeenAt, f.ResolvedAt = f.FirstSeenAt.UTC(), f.LastSeenAt.UTC(), f.ResolvedAt.UTC()
	return f, err
}

func selectFindings(ctx context.Context, db selector, clause string, args ...any) ([]domain.Finding, error) {
	rows, err := db.Query(ctx, `SELECT `+findingColumns+` FROM findings `+clause, args...)
	if err != nil {
		return nil, fmt.Errorf("select findings: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanFinding)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return found, nil
}

// errWatched says that somebody else began to watch the same just now.
var errWatched = errors.New("the finding is watched already")

// Watch implements usecase.FindingStore.
func (s *Store) Watch(ctx context.Context, kind domain.FindingKind, reference string, decide func(*domain.Finding) (*domain.Finding, error)) error {
	for {
		err := translate(postgres.InTxDo(ctx, s.pool, func(tx pgx.Tx) error {
			found, err := selectFindings(ctx, tx, `WHERE kind = $1 AND reference = $2 AND watched FOR UPDATE`, kind, reference)
			if err != nil {
				return err
			}
			var known *domain.Finding
			if len(found) > 0 {
				known = &found[0]
			}
			var was uuid.UUID
			if known != nil {
				was = known.ID
			}
			next, err := decide(known)
			if err != nil {
				return err
			}
			return keepFinding(ctx, tx, was, next)
		}))
		if !errors.Is(err, errWatched) {
			return err
		}
	}
}

// keepFinding keeps a finding instead of the one with the id was, zero if there is none.
func keepFinding(ctx context.Context, tx pgx.Tx, was uuid.UUID, f *domain.Finding) error {
	switch {
	case f == nil:
		if _, err := tx.Exec(ctx, `DELETE FROM findings WHERE id = $1`, was); err != nil {
			return fmt.Errorf("delete finding: %w", err)
		}
	case was == uuid.Nil:
		if _, err := tx.Exec(ctx, `INSERT INTO findings (`+findingColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			f.ID, f.Kind, f.Reference, zeronull.UUID(f.OrderID), f.Provider, f.Detail, f.Repairable, f.Status, f.Watched,
			f.FirstSeenAt, f.LastSeenAt, zeronull.Timestamptz(f.ResolvedAt)); err != nil {
			return fmt.Errorf("insert finding: %w", err)
		}
	default:
		if _, err := tx.Exec(ctx, `UPDATE findings SET provider = $2, detail = $3, repairable = $4, status = $5, watched = $6,
				first_seen_at = $7, last_seen_at = $8, resolved_at = $9 WHERE id = $1`,
			was, f.Provider, f.Detail, f.Repairable, f.Status, f.Watched, f.FirstSeenAt, f.LastSeenAt, zeronull.Timestamptz(f.ResolvedAt)); err != nil {
			return fmt.Errorf("update finding: %w", err)
		}
	}
	return nil
}

// WatchedFindings implements usecase.FindingStore.
func (s *Store) WatchedFindings(ctx context.Context, after uuid.UUID, limit int) ([]domain.Finding, error) {
	return selectFindings(ctx, s.pool, `WHERE watched AND id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// Finding implements usecase.FindingReader.
func (s *Store) Finding(ctx context.Context, id uuid.UUID) (domain.Finding, error) {
	found, err := selectFindings(ctx, s.pool, `WHERE id = $1 AND status <> 'suspected'`, id)
	if err != nil {
		return domain.Finding{}, err
	}
	if len(found) == 0 {
		return domain.Finding{}, domain.ErrFindingMissing
	}
	return found[0], nil
}

// ListFindings implements usecase.FindingReader. Ids are UUIDv7, so the newest come first by id alone.
func (s *Store) ListFindings(ctx context.Context, f usecase.FindingFilter, after uuid.UUID, limit int) ([]domain.Finding, error) {
	where, args := findingConditions(f)
	if after != uuid.Nil {
		args = append(args, after)
		where += fmt.Sprintf(" AND id < $%d", len(args))
	}
	args = append(args, limit)
	return selectFindings(ctx, s.pool, fmt.Sprintf("%s ORDER BY id DESC LIMIT $%d", where, len(args)), args...)
}

// CountFindings implements usecase.FindingReader.
func (s *Store) CountFindings(ctx context.Context, f usecase.FindingFilter) (int64, error) {
	where, args := findingConditions(f)
	var n int64
	if err := s.pool.QueryRow(ctx, `SELECT count(*) FROM findings `+where, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count findings: %w", err)
	}
	return n, nil
}

// OpenFindings implements usecase.FindingReader.
func (s *Store) OpenFindings(ctx context.Context) (map[domain.FindingKind]int64, error) {
	rows, err := s.pool.Query(ctx, `SELECT kind, count(*) FROM findings WHERE status = 'open' GROUP BY kind`)
	if err != nil {
		return nil, fmt.Errorf("count open findings: %w", err)
	}
	var (
		counts = make(map[domain.FindingKind]int64)
		kind   domain.FindingKind
		n      int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&kind, &n}, func() error { counts[kind] = n; return nil }); err != nil {
		return nil, fmt.Errorf("read the counts: %w", err)
	}
	return counts, nil
}

// findingConditions makes a WHERE clause of a filter. It holds parameters only, no values.
func findingConditions(f usecase.FindingFilter) (where string, args []any) {
	where = "WHERE status <> 'suspected'"
	if f.Status != "" {
		args = append(args, f.Status)
		where += fmt.Sprintf(" AND status = $%d", len(args))
	}
	if f.Kind != "" {
		args = append(args, f.Kind)
		where += fmt.Sprintf(" AND kind = $%d", len(args))
	}
	return where, args
}
