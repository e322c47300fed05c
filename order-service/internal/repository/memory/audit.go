package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// ChangedOrders implements usecase.AuditedOrders.
func (s *Store) ChangedOrders(ctx context.Context, from, to time.Time, after usecase.AuditPlace, limit int) ([]usecase.AuditPlace, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	inOrder := func(a, b usecase.AuditPlace) int {
		return cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
	}
	var found []usecase.AuditPlace
	for id, r := range s.orders {
		place := usecase.AuditPlace{At: r.order.UpdatedAt, ID: id}
		if !place.At.Before(from) && place.At.Before(to) && inOrder(place, after) > 0 {
			found = append(found, place)
		}
	}
	slices.SortFunc(found, inOrder)
	return found[:min(limit, len(found))], nil
}

// StuckOrders implements usecase.AuditedOrders.
func (s *Store) StuckOrders(ctx context.Context, open, planned time.Time, after uuid.UUID, limit int) ([]uuid.UUID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []uuid.UUID
	for id, r := range s.orders {
		_, plan := s.plans[id]
		if bytes.Compare(id[:], after[:]) > 0 && stuck(r.order, plan, open, planned) {
			found = append(found, id)
		}
	}
	slices.SortFunc(found, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return found[:min(limit, len(found))], nil
}

func stuck(o domain.Snapshot, plan bool, open, planned time.Time) bool {
	for _, r := range o.Refunds {
		if r.Open() && r.At.Before(open) {
			return true
		}
	}
	switch {
	case o.Status == domain.Pending && plan:
		return o.UpdatedAt.Before(planned)
	case o.Status == domain.Pending,
		o.Status == domain.Cancelled && (o.Payment.Status == domain.PaymentPending || o.Payment.Status == domain.PaymentAuthorized):
		return o.UpdatedAt.Before(open)
	default:
		return false
	}
}

// AuditedOrders implements usecase.AuditedOrders.
func (s *Store) AuditedOrders(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]domain.AuditedOrder, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	audited := make(map[uuid.UUID]domain.AuditedOrder)
	for _, id := range ids {
		if r, ok := s.orders[id]; ok {
			_, planned := s.plans[id]
			audited[id] = domain.AuditedOrder{Snapshot: copySnapshot(r.order), Planned: planned}
		}
	}
	return audited, nil
}

// audits is what auditors write down.
type audits struct {
	findings map[uuid.UUID]domain.Finding
	progress usecase.AuditProgress
}

// Watch implements usecase.FindingStore. The decision must not call the store, which is locked meanwhile.
func (s *Store) Watch(ctx context.Context, kind domain.FindingKind, reference string, decide func(*domain.Finding) (*domain.Finding, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var known *domain.Finding
	for _, f := range s.audits.findings {
		if f.Watched && f.Kind == kind && f.Reference == reference {
			known = &f
		}
	}
	var was uuid.UUID
	if known != nil {
		was = known.ID
	}
	next, err := decide(known)
	switch {
	case err != nil:
		return err
	case next == nil:
		delete(s.audits.findings, was)
	default:
		s.audits.findings[next.ID] = *next
	}
	return nil
}

// WatchedFindings implements usecase.FindingStore.
func (s *Store) WatchedFindings(ctx context.Context, after uuid.UUID, limit int) ([]domain.Finding, error) {
	found, err := s.selectFindings(ctx, func(f domain.Finding) bool { return f.Watched && bytes.Compare(f.ID[:], after[:]) > 0 })
	slices.Reverse(found)
	return found[:min(limit, len(found))], err
}

// selectFindings returns the findings that are chosen, newest first.
func (s *Store) selectFindings(ctx context.Context, chosen func(domain.Finding) bool) ([]domain.Finding, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := slices.DeleteFunc(slices.Collect(maps.Values(s.audits.findings)), func(f domain.Finding) bool { return !chosen(f) })
	slices.SortFunc(found, func(a, b domain.Finding) int { return bytes.Compare(b.ID[:], a.ID[:]) })
	return found, nil
}

// Finding implements usecase.FindingReader.
func (s *Store) Finding(ctx context.Context, id uuid.UUID) (domain.Finding, error) {
	found, err := s.selectFindings(ctx, func(f domain.Finding) bool { return f.ID == id && f.Status != domain.FindingSuspected })
	if err == nil && len(found) == 0 {
		return domain.Finding{}, domain.ErrFindingMissing
	}
	if err != nil {
		return domain.Finding{}, err
	}
	return found[0], nil
}

// ListFindings implements usecase.FindingReader.
func (s *Store) ListFindings(ctx context.Context, filter usecase.FindingFilter, after uuid.UUID, limit int) ([]domain.Finding, error) {
	found, err := s.selectFindings(ctx, func(f domain.Finding) bool {
		return chooses(filter, f) && (after == uuid.Nil || bytes.Compare(f.ID[:], after[:]) < 0)
	})
	return found[:min(limit, len(found))], err
}

// CountFindings implements usecase.FindingReader.
func (s *Store) CountFindings(ctx context.Context, filter usecase.FindingFilter) (int64, error) {
	found, err := s.selectFindings(ctx, func(f domain.Finding) bool { return chooses(filter, f) })
	return int64(len(found)), err
}

// OpenFindings implements usecase.FindingReader.
func (s *Store) OpenFindings(ctx context.Context) (map[domain.FindingKind]int64, error) {
	found, err := s.selectFindings(ctx, func(f domain.Finding) bool { return f.Status == domain.FindingOpen })
	counts := make(map[domain.FindingKind]int64)
	for _, f := range found {
		counts[f.Kind]++
	}
	return counts, err
}

func chooses(filter usecase.FindingFilter, f domain.Finding) bool {
	return f.Status != domain.FindingSuspected && (filter.Status == "" || f.Status == filter.Status) && (filter.Kind == "" || f.Kind == filter.Kind)
}

// Progress implements usecase.FindingStore.
func (s *Store) Progress(ctx context.Context) (usecase.AuditProgress, error) {
	if err := ctx.Err(); err != nil {
		return usecase.AuditProgress{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return copyProgress(s.audits.progress), nil
}

// SaveProgress implements usecase.FindingStore.
func (s *Store) SaveProgress(ctx context.Context, p usecase.AuditProgress) (usecase.AuditProgress, error) {
	if err := ctx.Err(); err != nil {
		return p, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Revision != s.audits.progress.Revision {
		return p, usecase.ErrOvertaken
	}
	p.Revision++
	s.audits.progress = copyProgress(p)
	return p, nil
}

func copyProgress(p usecase.AuditProgress) usecase.AuditProgress {
	p.Behind = maps.Clone(p.Behind)
	for _, pass := range []**usecase.AuditPass{&p.Recent, &p.Full} {
		if *pass != nil {
			own := **pass
			*pass = &own
		}
	}
	return p
}
