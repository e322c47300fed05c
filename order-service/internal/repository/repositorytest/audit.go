package repositorytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// auditTests are the part of the contract that auditors rely on.
var auditTests = map[string]func(*testing.T, Store){
	"audit: orders by their last change":     changedOrders,
	"audit: orders that are stuck":           stuckOrders,
	"audit: orders with their plans":         auditedOrders,
	"finding: every field comes back":        findingFields,
	"finding: one is watched":                oneIsWatched,
	"finding: many see the same":             watchTogether,
	"finding: an error changes nothing":      watchError,
	"finding: pages, filters and counts":     findingLists,
	"audit: one of many saves how far it is": progress,
}

// begun stores a new order without a plan that does not come due.
func begun(t *testing.T, s Store, at time.Time) uuid.UUID {
	t.Helper()
	o := newOrder(t, uuid.New(), at)
	begin(t, s, o)
	return o.ID()
}

// change changes an order and its plan.
func changeAndPlan(t *testing.T, s Store, id uuid.UUID, plan usecase.Plan, do func(*domain.Order) error) {
	t.Helper()
	if _, _, err := s.Decide(t.Context(), id, usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		return usecase.Change{Settle: plan}, do(o)
	}); err != nil {
		t.Fatal(err)
	}
}

func unchanged(*domain.Order) error { return nil }

// paid makes an order confirmed, by card, at a time.
func paid(t *testing.T, s Store, id uuid.UUID, at time.Time) {
	t.Helper()
	changeAndPlan(t, s, id, usecase.Plan{Never: true}, func(o *domain.Order) error {
		return errors.Join(o.BeginPayment(domain.Card, "test", true, at), o.Confirm("pay_1", at))
	})
}

func changedOrders(t *testing.T, s Store) {
	// Ids grow, so those of one moment are in the order of the list.
	first, second, third := begun(t, s, noon), begun(t, s, noon), begun(t, s, noon)
	late := begun(t, s, noon)
	paid(t, s, late, noon.Add(time.Minute))
	all := []uuid.UUID{first, second, third, late}
	list := func(from, to time.Duration, limit int) (ids []uuid.UUID) {
		t.Helper()
		for after := (usecase.AuditPlace{}); ; {
			page, err := s.ChangedOrders(t.Context(), noon.Add(from), noon.Add(to), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				ids = append(ids, p.ID)
			}
			if len(page) < limit {
				return ids
			}
			after = page[len(page)-1]
		}
	}
	expect(t, "all", list(0, time.Hour, 100), all)
	expect(t, "in pages", list(0, time.Hour, 2), all)
	expect(t, "one by one", list(0, time.Hour, 1), all)
	expect(t, "the end is not included", list(0, time.Minute, 2), all[:3])
	expect(t, "the beginning is", list(time.Minute, time.Hour, 2), all[3:])
	expect(t, "nothing", list(time.Hour, 2*time.Hour, 2), []uuid.UUID(nil))
}

func stuckOrders(t *testing.T, s Store) {
	const open, planned = 10 * time.Minute, 20 * time.Minute // ago
	now := noon.Add(time.Hour)
	at := func(ago time.Duration) time.Time { return now.Add(-ago) }
	never := usecase.Plan{Never: true}
	var want []uuid.UUID
	// old is stuck, young is not.
	each := func(limit time.Duration, begin func(at time.Time) uuid.UUID) {
		want = append(want, begin(at(limit+time.Second)))
		begin(at(limit - time.Second))
	}
	each(planned, func(at time.Time) uuid.UUID { return begun(t, s, at) })
	each(open, func(at time.Time) uuid.UUID {
		id := begun(t, s, at)
		changeAndPlan(t, s, id, never, unchanged)
		return id
	})
	each(open, func(at time.Time) uuid.UUID { // it is not known what its payment took
		id := begun(t, s, at)
		changeAndPlan(t, s, id, usecase.Plan{}, func(o *domain.Order) error {
			return errors.Join(o.BeginPayment(domain.Card, "test", true, at), o.Cancel(domain.System, "", at))
		})
		return id
	})
	each(open, func(at time.Time) uuid.UUID {
		id := begun(t, s, at)
		paid(t, s, id, at)
		changeAndPlan(t, s, id, never, func(o *domain.Order) error {
			_, err := o.Refund(domain.RefundWish{ID: uuid.New(), Amount: 1, By: domain.System}, at)
			return err
		})
		return id
	})
	each(open, func(at time.Time) uuid.UUID { // its pieces are not back
		id := begun(t, s, at)
		paid(t, s, id, at)
		changeAndPlan(t, s, id, never, func(o *domain.Order) error {
			r, err := o.Refund(domain.RefundWish{ID: uuid.New(), Items: []domain.RefundedItem{{ItemID: o.Snapshot().Items[0].ID, Quantity: 1}}, Restock: true, By: domain.System}, at)
			return errors.Join(err, o.FinishRefund(r.ID, at))
		})
		return id
	})
	// These are not in between, however old they are.
	for _, end := range []func(*domain.Order) error{
		func(o *domain.Order) error { return o.Cancel(domain.System, "", at(time.Hour)) },
		func(o *domain.Order) error {
			return errors.Join(o.BeginPayment(domain.CashOnDelivery, "", true, at(time.Hour)), o.Confirm("", at(time.Hour)))
		},
	} {
		changeAndPlan(t, s, begun(t, s, at(time.Hour)), never, end)
	}
	finished := begun(t, s, at(time.Hour))
	paid(t, s, finished, at(time.Hour))
	changeAndPlan(t, s, finished, never, func(o *domain.Order) error {
		r, err := o.Refund(domain.RefundWish{ID: uuid.New(), Amount: 1, By: domain.System}, at(time.Hour))
		return errors.Join(err, o.FinishRefund(r.ID, at(time.Hour)))
	})

	slices.SortFunc(want, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	var got []uuid.UUID
	for after := uuid.Nil; ; {
		page, err := s.StuckOrders(t.Context(), at(open), at(planned), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, page...)
		if len(page) < 2 {
			break
		}
		after = page[1]
	}
	expect(t, "stuck", got, want)
}

func auditedOrders(t *testing.T, s Store) {
	planned, left := begun(t, s, noon), begun(t, s, noon)
	changeAndPlan(t, s, left, usecase.Plan{Never: true}, unchanged)
	got, err := s.AuditedOrders(t.Context(), []uuid.UUID{planned, uuid.New(), left})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "orders", got, map[uuid.UUID]domain.AuditedOrder{
		planned: {Snapshot: read(t, s, planned), Planned: true}, left: {Snapshot: read(t, s, left)},
	})
}

// suspect returns a finding that nobody has stored.
func suspect(t *testing.T, kind domain.FindingKind, reference string) domain.Finding {
	t.Helper()
	f, err := domain.Suspect(domain.Discrepancy{
		Kind: kind, OrderID: uuid.New(), Reference: reference, Provider: "test", Detail: "It is so.", Repairable: true,
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// keep stores a finding.
func keep(t *testing.T, s Store, f domain.Finding) {
	t.Helper()
	if err := s.Watch(t.Context(), f.Kind, f.Reference, func(*domain.Finding) (*domain.Finding, error) { return &f, nil }); err != nil {
		t.Fatal(err)
	}
}

func findingFields(t *testing.T, s Store) {
	f := suspect(t, domain.AmountDiffers, "pay_1")
	keep(t, s, f)
	if _, err := s.Finding(t.Context(), f.ID); !errors.Is(err, domain.ErrFindingMissing) {
		t.Errorf("a suspect is shown: %v", err)
	}
	next := f
	next.Detail, next.Provider, next.Repairable, next.Status = "It is otherwise.", "stripe", false, domain.FindingRepaired
	next.FirstSeenAt, next.LastSeenAt, next.ResolvedAt = noon.Add(time.Second), noon.Add(time.Minute), noon.Add(time.Hour)
	if err := s.Watch(t.Context(), f.Kind, f.Reference, func(known *domain.Finding) (*domain.Finding, error) {
		if known == nil {
			return nil, errors.New("it is not known")
		}
		expect(t, "known", *known, f)
		return &next, nil
	}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Finding(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "changed", got, next)

	none := suspect(t, domain.CaptureWithoutOrder, "pay_2")
	none.OrderID, none.Provider, none.Status = uuid.Nil, "", domain.FindingOpen
	keep(t, s, none)
	if got, err = s.Finding(t.Context(), none.ID); err != nil {
		t.Fatal(err)
	}
	expect(t, "of no order", got, none)
	if _, err := s.Finding(t.Context(), uuid.New()); !errors.Is(err, domain.ErrFindingMissing) {
		t.Errorf("one that there is not: %v", err)
	}
}

// What is watched is one of its kind and reference; one that is over is not touched any more, and another may come.
func oneIsWatched(t *testing.T, s Store) {
	known := func(kind domain.FindingKind, reference string) (id uuid.UUID) {
		t.Helper()
		if err := s.Watch(t.Context(), kind, reference, func(f *domain.Finding) (*domain.Finding, error) {
			if f != nil {
				id = f.ID
			}
			return f, nil
		}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, otherKind, otherOrder := suspect(t, domain.OrderStuck, "a"), suspect(t, domain.AmountDiffers, "a"), suspect(t, domain.OrderStuck, "b")
	for _, f := range []domain.Finding{first, otherKind, otherOrder} {
		keep(t, s, f)
	}
	expect(t, "known", known(domain.OrderStuck, "a"), first.ID)
	first.Status, first.Watched, first.ResolvedAt = domain.FindingResolved, false, noon
	keep(t, s, first)
	expect(t, "when it is over", known(domain.OrderStuck, "a"), uuid.Nil)
	second := suspect(t, domain.OrderStuck, "a")
	keep(t, s, second)
	expect(t, "another", known(domain.OrderStuck, "a"), second.ID)

	watched := func() (ids []uuid.UUID) {
		t.Helper()
		for after := uuid.Nil; ; {
			page, err := s.WatchedFindings(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page {
				ids = append(ids, f.ID)
			}
			if len(page) < 2 {
				return ids
			}
			after = page[1].ID
		}
	}
	expect(t, "watched", watched(), []uuid.UUID{otherKind.ID, otherOrder.ID, second.ID})
	if err := s.Watch(t.Context(), domain.OrderStuck, "b", func(*domain.Finding) (*domain.Finding, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Watch(t.Context(), domain.OrderStuck, "b", func(*domain.Finding) (*domain.Finding, error) { return nil, nil }); err != nil {
		t.Errorf("removed once more: %v", err)
	}
	expect(t, "after one was removed", watched(), []uuid.UUID{otherKind.ID, second.ID})
	if got, err := s.Finding(t.Context(), first.ID); err != nil || got.Status != domain.FindingResolved {
		t.Errorf("the one that is over: %+v, %v", got, err)
	}
}

// Audits that see the same at once make one finding of it, and each sees what those before it have made of it.
func watchTogether(t *testing.T, s Store) {
	const racers = 8
	errs := make([]error, racers)
	together(racers, func(i int) {
		errs[i] = s.Watch(t.Context(), domain.OrderStuck, "a", func(known *domain.Finding) (*domain.Finding, error) {
			if known == nil {
				f := suspect(t, domain.OrderStuck, "a")
				return &f, nil
			}
			known.Detail += "+"
			return known, nil
		})
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	watched, err := s.WatchedFindings(t.Context(), uuid.Nil, 10)
	if err != nil || len(watched) != 1 {
		t.Fatalf("%d are watched, error %v; want 1", len(watched), err)
	}
	if got := strings.Count(watched[0].Detail, "+"); got != racers-1 {
		t.Errorf("%d changes are kept, want %d", got, racers-1)
	}
}

func watchError(t *testing.T, s Store) {
	f, oops := suspect(t, domain.OrderStuck, "a"), errors.New("oops")
	keep(t, s, f)
	err := s.Watch(t.Context(), f.Kind, f.Reference, func(known *domain.Finding) (*domain.Finding, error) {
		known.Detail = "changed"
		return known, oops
	})
	if !errors.Is(err, oops) {
		t.Errorf("error %v, want %v", err, oops)
	}
	watched, err := s.WatchedFindings(t.Context(), uuid.Nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "after an error", watched, []domain.Finding{f})
}

func findingLists(t *testing.T, s Store) {
	var all []uuid.UUID // newest first, but for the suspect
	for i, status := range []domain.FindingStatus{domain.FindingOpen, domain.FindingSuspected, domain.FindingResolved, domain.FindingRepaired, domain.FindingOpen} {
		kind := domain.OrderStuck
		if i == 0 {
			kind = domain.AmountDiffers
		}
		f := suspect(t, kind, fmt.Sprint(i))
		f.Status = status
		if status == domain.FindingResolved || status == domain.FindingRepaired {
			f.ResolvedAt, f.Watched = noon, false
		}
		keep(t, s, f)
		if status != domain.FindingSuspected {
			all = append([]uuid.UUID{f.ID}, all...)
		}
	}
	for name, tc := range map[string]struct {
		filter usecase.FindingFilter
		want   []uuid.UUID
	}{
		"all":      {usecase.FindingFilter{}, all},
		"open":     {usecase.FindingFilter{Status: domain.FindingOpen}, []uuid.UUID{all[0], all[3]}},
		"resolved": {usecase.FindingFilter{Status: domain.FindingResolved}, all[2:3]},
		"repaired": {usecase.FindingFilter{Status: domain.FindingRepaired}, all[1:2]},
		"a kind":   {usecase.FindingFilter{Kind: domain.OrderStuck}, all[:3]},
		"both":     {usecase.FindingFilter{Kind: domain.OrderStuck, Status: domain.FindingOpen}, all[:1]},
		"none":     {usecase.FindingFilter{Kind: domain.StockMissing}, nil},
		"suspects": {usecase.FindingFilter{Status: domain.FindingSuspected}, nil},
	} {
		var got []uuid.UUID
		for after := uuid.Nil; ; {
			page, err := s.ListFindings(t.Context(), tc.filter, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page {
				got = append(got, f.ID)
			}
			if len(page) < 2 {
				break
			}
			after = page[1].ID
		}
		expect(t, name, got, tc.want)
		if n, err := s.CountFindings(t.Context(), tc.filter); err != nil || n != int64(len(tc.want)) {
			t.Errorf("%s: %d are counted, error %v; want %d", name, n, err, len(tc.want))
		}
	}
	counts, err := s.OpenFindings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "open ones by kind", counts, map[domain.FindingKind]int64{domain.AmountDiffers: 1, domain.OrderStuck: 1})
}

func progress(t *testing.T, s Store) {
	first, err := s.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "at first", first, usecase.AuditProgress{})
	next := first
	next.Until, next.FullSince = noon, noon.Add(time.Hour)
	next.Recent = &usecase.AuditPass{From: noon, To: noon.Add(time.Minute), Stage: 2, Provider: "test", Cursor: "here"}
	next.Behind = map[string]time.Time{"test": noon.Add(-time.Hour)}
	next.Again, next.Stuck, next.LookedAt, next.SeeingSince = uuid.New(), uuid.New(), noon.Add(time.Second), noon.Add(-time.Second)
	saved, err := s.SaveProgress(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "saved", got, saved)
	next.Revision = saved.Revision
	expect(t, "what was saved", got, next)
	if _, err := s.SaveProgress(t.Context(), first); !errors.Is(err, usecase.ErrOvertaken) {
		t.Errorf("one that was overtaken: %v", err)
	}
	if _, err := s.SaveProgress(t.Context(), saved); err != nil {
		t.Errorf("the one that is ahead: %v", err)
	}
}
