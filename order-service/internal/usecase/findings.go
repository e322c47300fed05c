package usecase

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/pagetoken"
)

// FindingFilter chooses findings. Its zero value chooses all but suspects, which nobody is shown.
type FindingFilter struct {
	Status domain.FindingStatus
	Kind   domain.FindingKind
}

// FindingReader reads findings.
type FindingReader interface {
	// Finding returns a finding, or domain.ErrFindingMissing.
	Finding(ctx context.Context, id uuid.UUID) (domain.Finding, error)
	// ListFindings returns up to limit findings, newest first, after the one with the id after unless that is zero.
	ListFindings(ctx context.Context, f FindingFilter, after uuid.UUID, limit int) ([]domain.Finding, error)
	// CountFindings returns how many there are.
	CountFindings(ctx context.Context, f FindingFilter) (int64, error)
	// OpenFindings returns how many are open, by kind.
	OpenFindings(ctx context.Context) (map[domain.FindingKind]int64, error)
}

// ListFindings is a wish for a page of findings.
type ListFindings struct {
	Filter       FindingFilter
	PageSize     int // 0 is defaultPage
	PageToken    string
	IncludeTotal bool
}

// FindingPage is a page of findings.
type FindingPage struct {
	Findings      []domain.Finding
	NextPageToken string
	Total         *int64
}

// Findings are what admins do with findings. Who may is decided at the door.
type Findings struct {
	audit  *Audit
	reader FindingReader
	stock  Stock
	orders OrderStore
	checks CheckPlanner
}

// NewFindings returns the use cases of findings, which look at them once more as an audit does.
func NewFindings(audit *Audit, reader FindingReader, stock Stock, orders OrderStore, checks CheckPlanner) *Findings {
	return &Findings{audit: audit, reader: reader, stock: stock, orders: orders, checks: checks}
}

// List returns a page of findings, newest first.
func (f *Findings) List(ctx context.Context, list ListFindings) (FindingPage, error) {
	var after uuid.UUID
	if list.PageToken != "" {
		if err := pagetoken.Decode(list.PageToken, list.Filter, &after); err != nil {
			return FindingPage{}, err
		}
	}
	size := cmp.Or(list.PageSize, defaultPage)
	found, err := f.reader.ListFindings(ctx, list.Filter, after, size+1)
	if err != nil {
		return FindingPage{}, err
	}
	var page FindingPage
	if len(found) > size {
		found = found[:size]
		if page.NextPageToken, err = pagetoken.Encode(list.Filter, found[size-1].ID); err != nil {
			return FindingPage{}, err
		}
	}
	page.Findings = found
	if list.IncludeTotal {
		total, err := f.reader.CountFindings(ctx, list.Filter)
		if err != nil {
			return FindingPage{}, err
		}
		page.Total = &total
	}
	return page, nil
}

// Repair has an open finding repaired, by what repairs orders anyway, if it is still so; the next audits see to it that it was.
// It may be done again, and by many at once: every repair is one that has one effect.
func (f *Findings) Repair(ctx context.Context, id uuid.UUID) (domain.Finding, error) {
	finding, err := f.reader.Finding(ctx, id)
	if err != nil || finding.Status != domain.FindingOpen {
		return finding, err
	}
	looks, err := f.audit.lookAt(ctx, []domain.Finding{finding})
	if err == nil {
		err = looks[0].missed
	}
	if err != nil {
		return domain.Finding{}, fmt.Errorf("look at finding %s: %w", id, err)
	}
	seen := looks[0].seen
	switch {
	case !looks[0].told, seen != nil && !seen.Repairable:
		return domain.Finding{}, finding.NotRepairable()
	case seen == nil:
		if err := f.audit.gone(ctx, finding); err != nil {
			return domain.Finding{}, err
		}
		return f.reader.Finding(ctx, id)
	}
	if err := f.repair(ctx, *seen); err != nil {
		return domain.Finding{}, fmt.Errorf("repair %s of %s: %w", seen.Kind, seen.Reference, err)
	}
	f.audit.Log.InfoContext(ctx, "a finding is being repaired", "finding_id", id, "kind", seen.Kind, "reference", seen.Reference)
	err = f.audit.Findings.Watch(ctx, finding.Kind, finding.Reference, func(known *domain.Finding) (*domain.Finding, error) {
		if known != nil && known.ID == id {
			known.Repaired(f.audit.Now())
		}
		return known, nil
	})
	if err != nil {
		return domain.Finding{}, fmt.Errorf("write down that finding %s is being repaired: %w", id, err)
	}
	return f.reader.Finding(ctx, id)
}

// repair begins what repairs a discrepancy.
func (f *Findings) repair(ctx context.Context, d domain.Discrepancy) error {
	settle := func() error {
		_, _, err := f.orders.Decide(ctx, d.OrderID, Lease{}, func(*domain.Order) (Change, error) {
			return Change{Settle: Plan{At: f.audit.Now()}}, nil
		})
		return err
	}
	switch d.Kind {
	case domain.ReservationWithoutOrder:
		err := settle() // a cancelled order knows which pieces do not come back
		if errors.Is(err, domain.ErrOrderMissing) {
			return f.stock.Release(ctx, d.OrderID)
		}
		return err
	case domain.OrderWithoutReservation, domain.OrderStuck:
		return settle()
	case domain.CaptureWithoutOrder:
		return f.checks.PlanCheck(ctx, d.OrderID)
	default:
		return domain.ErrFindingNotRepairable
	}
}
