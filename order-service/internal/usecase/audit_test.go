package usecase_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/memory"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// settle is the settling time of the auditor here, and round is how often it runs.
const (
	settle = 2 * time.Minute
	round  = time.Minute
)

// auditor audits a shop, and has its findings repaired.
type auditor struct {
	*shop
	audit    *usecase.Audit
	findings *usecase.Findings
	log      *bytes.Buffer
}

func (s *shop) auditor(f Faults) auditor {
	var log bytes.Buffer
	audit := usecase.NewAudit(usecase.AuditParts{
		Orders: s.store, Reservations: s.stock, Payments: []usecase.PaymentLister{s.provider}, Findings: s.store,
		Settle: settle, Now: s.clock.Now, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	return auditor{s, audit, usecase.NewFindings(audit, s.store, faultyStock{f, s.stock}, faultyOrders{f, s.store}, s.store), &log}
}

// run audits, all that there is.
func (a auditor) run(t *testing.T) {
	t.Helper()
	if again, err := a.audit.Run(t.Context()); err != nil || again != 0 {
		t.Fatalf("again in %v, error %v", again, err)
	}
}

// rounds audits for a time, as the queue does.
func (a auditor) rounds(t *testing.T, span time.Duration) {
	t.Helper()
	for end := a.clock.Now().Add(span); ; a.clock.Advance(round) {
		a.run(t)
		if !a.clock.Now().Before(end) {
			return
		}
	}
}

// open returns the open findings.
func (a auditor) open(t *testing.T) []domain.Finding {
	t.Helper()
	page, err := a.findings.List(t.Context(), usecase.ListFindings{Filter: usecase.FindingFilter{Status: domain.FindingOpen}, PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	return page.Findings
}

func (a auditor) finding(t *testing.T, id uuid.UUID) domain.Finding {
	t.Helper()
	f, err := a.store.Finding(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// nothingFound checks that an audit of everything, to the last moment, does not as much as suspect anything.
func (s *shop) nothingFound(t tester) {
	t.Helper()
	notes := memory.New(s.clock.Now) // so that the shop's own stay as they are
	audit := usecase.NewAudit(usecase.AuditParts{
		Orders: s.store, Reservations: s.stock, Payments: []usecase.PaymentLister{s.provider}, Findings: notes,
		Settle: -time.Hour, Now: s.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	if _, err := audit.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	watched, err := notes.WatchedFindings(t.Context(), uuid.Nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range watched {
		t.Errorf("an audit suspects %s of %s: %s", f.Kind, f.Reference, f.Detail)
	}
}

// paidOrder is one that is confirmed, and of which all agree.
func (s *shop) paidOrder(t *testing.T) domain.Snapshot {
	t.Helper()
	o := s.place(t, s.wish(tokOK)).Order
	s.work(t, s.healthy(), time.Minute)
	return s.order(t, o.ID)
}

// forget loses the reservation of an order that was sold, as a restored backup does: its pieces are on the shelf again.
func (s *shop) forget(o domain.Snapshot) {
	s.stock.Lose(o.ID)
	for _, item := range o.Items {
		s.stock.Set(item.ProductID, s.stock.Available(item.ProductID)+item.Quantity)
	}
}

func (s *shop) unpaidOrder(t *testing.T) domain.Snapshot {
	t.Helper()
	return s.place(t, s.wish("")).Order
}

func (s *shop) cancelledOrder(t *testing.T, token string) domain.Snapshot {
	t.Helper()
	o := s.place(t, s.wish(token)).Order
	if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
		t.Fatal(err)
	}
	s.work(t, s.healthy(), time.Minute)
	return s.order(t, o.ID)
}

// change changes an order past all rules but its own.
func (s *shop) change(t *testing.T, id uuid.UUID, plan usecase.Plan, do func(*domain.Order) error) {
	t.Helper()
	if _, _, err := s.store.Decide(t.Context(), id, usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		return usecase.Change{Settle: plan}, do(o)
	}); err != nil {
		t.Fatal(err)
	}
}

// plants are ways in which a shop comes not to agree. Each returns what the finding is about.
var plants = map[string]struct {
	kind       domain.FindingKind
	repairable bool
	plant      func(*testing.T, *shop) (reference string)
	// after is the state that the order is in when it was repaired; empty if there is none.
	after domain.Status
}{
	"pieces are promised to an order that is not there": {kind: domain.ReservationWithoutOrder, repairable: true,
		plant: func(t *testing.T, s *shop) string {
			id := uuid.New()
			if err := s.stock.Reserve(t.Context(), id, 1, []usecase.Line{{ProductID: s.cup, Quantity: 1}}, 10*time.Hour); err != nil {
				t.Fatal(err)
			}
			return id.String()
		}},
	"pieces are taken for an order that is not there, and may be shipped": {kind: domain.ReservationWithoutOrder,
		plant: func(t *testing.T, s *shop) string {
			id := uuid.New()
			if err := s.stock.Reserve(t.Context(), id, 1, []usecase.Line{{ProductID: s.cup, Quantity: 1}}, 10*time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := s.stock.Confirm(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			return id.String()
		}},
	"pieces are taken for an order that is cancelled": {kind: domain.ReservationWithoutOrder, repairable: true, after: domain.Cancelled,
		plant: func(t *testing.T, s *shop) string {
			o := s.cancelledOrder(t, "")
			s.stock.Lose(o.ID)
			if err := s.stock.Reserve(t.Context(), o.ID, 9, []usecase.Line{{ProductID: s.cup, Quantity: 2}}, 10*time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := s.stock.Confirm(t.Context(), o.ID); err != nil {
				t.Fatal(err)
			}
			return o.ID.String()
		}},
	"the pieces of a paid order are only promised, and nobody is to take them": {kind: domain.OrderWithoutReservation, repairable: true, after: domain.Confirmed,
		plant: func(t *testing.T, s *shop) string {
			o := s.unpaidOrder(t)
			s.change(t, o.ID, usecase.Plan{Never: true}, func(o *domain.Order) error {
				if err := o.BeginPayment(domain.CashOnDelivery, "", false, s.clock.Now()); err != nil {
					return err
				}
				return o.Confirm("", s.clock.Now())
			})
			return o.ID.String()
		}},
	"product-service knows nothing of the pieces of a paid order": {kind: domain.OrderWithoutReservation, repairable: true, after: domain.Confirmed,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.forget(o)
			return o.ID.String()
		}},
	"an order that waits to be paid has no pieces": {kind: domain.OrderWithoutReservation, repairable: true, after: domain.Pending,
		plant: func(t *testing.T, s *shop) string {
			o := s.unpaidOrder(t)
			s.stock.Lose(o.ID)
			return o.ID.String()
		}},
	"a paid order has other pieces": {kind: domain.ReservationDiffers,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.stock.Lose(o.ID)
			if err := s.stock.Reserve(t.Context(), o.ID, 9, []usecase.Line{{ProductID: s.cup, Quantity: 1}}, 10*time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := s.stock.Confirm(t.Context(), o.ID); err != nil {
				t.Fatal(err)
			}
			return o.ID.String()
		}},
	"the pieces of a paid order are gone, as is known": {kind: domain.StockMissing,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			if err := s.stock.Release(t.Context(), o.ID); err != nil {
				t.Fatal(err)
			}
			s.change(t, o.ID, usecase.Plan{}, func(o *domain.Order) error { o.MissStock(s.clock.Now()); return nil })
			return o.ID.String()
		}},
	"the provider does not know the payment of an order": {kind: domain.OrderWithoutCapture,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.provider.Lose(o.Payment.Reference)
			return o.ID.String()
		}},
	"the provider has not captured the payment of an order": {kind: domain.OrderWithoutCapture,
		plant: func(t *testing.T, s *shop) string {
			o := s.unpaidOrder(t)
			s.change(t, o.ID, usecase.Plan{}, func(o *domain.Order) error {
				if err := o.BeginPayment(domain.Card, s.provider.Name(), false, s.clock.Now()); err != nil {
					return err
				}
				p, err := s.provider.Authorize(t.Context(), o.PaymentKey(), o.ID(), o.Snapshot().Total, tokOK)
				if err != nil {
					return err
				}
				return o.Confirm(p.ID, s.clock.Now())
			})
			if err := s.stock.Confirm(t.Context(), o.ID); err != nil {
				t.Fatal(err)
			}
			return o.ID.String()
		}},
	"an order is sold and says itself that it was not paid": {kind: domain.OrderWithoutCapture,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.provider.Lose(o.Payment.Reference)
			s.change(t, o.ID, usecase.Plan{}, func(o *domain.Order) error {
				o.Reversed(domain.PaymentVoided, s.clock.Now())
				return nil
			})
			return o.ID.String()
		}},
	"money was taken for an order that is not there": {kind: domain.CaptureWithoutOrder,
		plant: func(t *testing.T, s *shop) string { return s.taken(t, uuid.New(), "1") }},
	"money is promised under a key that the order never had": {kind: domain.CaptureWithoutOrder,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			p, err := s.provider.Authorize(t.Context(), o.ID.String()+":9", o.ID, o.Total, tokOK)
			if err != nil {
				t.Fatal(err)
			}
			return p.ID
		}},
	"money turned up for an order that is cancelled": {kind: domain.CaptureWithoutOrder, repairable: true, after: domain.Cancelled,
		plant: func(t *testing.T, s *shop) string {
			o := unsettled(t, s, tokLate)
			if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{OrderID: o.ID}); err != nil {
				t.Fatal(err)
			}
			s.work(t, s.healthy(), time.Minute)
			s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
			return "pay_" + o.ID.String() + ":1"
		}},
	"money turned up for a first attempt, of an order that is paid on delivery": {kind: domain.CaptureWithoutOrder, repairable: true, after: domain.Confirmed,
		plant: func(t *testing.T, s *shop) string {
			o := s.unpaidOrder(t)
			if _, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: tokDeclined}); err == nil {
				t.Fatal("it was not declined")
			}
			if _, err := s.healthy().Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: o.ID, Method: domain.CashOnDelivery}); err != nil {
				t.Fatal(err)
			}
			s.work(t, s.healthy(), time.Minute)
			s.provider.SucceedAfterAll(o.ID, usecase.ProviderCaptured)
			return "pay_" + o.ID.String() + ":1"
		}},
	"money went back at the provider": {kind: domain.AmountDiffers,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.provider.RefundElsewhere(o.ID, 1)
			return o.ID.String()
		}},
	"a refund is done that the provider does not know": {kind: domain.AmountDiffers,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.change(t, o.ID, usecase.Plan{}, func(o *domain.Order) error {
				r, err := o.Refund(domain.RefundWish{ID: uuid.New(), Amount: 5, Reason: "x", By: domain.System}, s.clock.Now())
				if err != nil {
					return err
				}
				return o.FinishRefund(r.ID, s.clock.Now())
			})
			return o.ID.String()
		}},
	"the money of a cancelled order can't go back": {kind: domain.RefundRefused,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.change(t, o.ID, usecase.Plan{Never: true}, func(o *domain.Order) error {
				if err := o.Cancel(domain.System, "", s.clock.Now()); err != nil {
					return err
				}
				return o.FailRefund(o.OpenRefunds()[0].ID, s.clock.Now())
			})
			if err := s.stock.Release(t.Context(), o.ID); err != nil {
				t.Fatal(err)
			}
			return o.ID.String()
		}},
	"nobody is to look at a checkout": {kind: domain.OrderStuck, repairable: true, after: domain.Confirmed,
		plant: func(t *testing.T, s *shop) string {
			o := unsettled(t, s, tokTimeout)
			s.change(t, o.ID, usecase.Plan{Never: true}, func(*domain.Order) error { return nil })
			s.clock.Advance(time.Hour)
			return o.ID.String()
		}},
	"nobody is to look at an order that nobody pays": {kind: domain.OrderStuck, repairable: true, after: domain.Cancelled,
		plant: func(t *testing.T, s *shop) string {
			o := s.unpaidOrder(t)
			s.change(t, o.ID, usecase.Plan{Never: true}, func(*domain.Order) error { return nil })
			s.clock.Advance(domain.PaymentWindow)
			return o.ID.String()
		}},
	"nobody is to look at a refund": {kind: domain.OrderStuck, repairable: true, after: domain.Confirmed,
		plant: func(t *testing.T, s *shop) string {
			o := s.paidOrder(t)
			s.change(t, o.ID, usecase.Plan{Never: true}, func(o *domain.Order) error {
				_, err := o.Refund(domain.RefundWish{ID: uuid.New(), Amount: 5, Reason: "x", By: domain.System}, s.clock.Now())
				return err
			})
			s.clock.Advance(time.Hour)
			return o.ID.String()
		}},
	"what a cancelled order's payment took is not known": {kind: domain.OrderStuck, repairable: true, after: domain.Cancelled,
		plant: func(t *testing.T, s *shop) string {
			o := unsettled(t, s, tokTimeout)
			s.change(t, o.ID, usecase.Plan{Never: true}, func(o *domain.Order) error { return o.Cancel(domain.System, "", s.clock.Now()) })
			if err := s.stock.Release(t.Context(), o.ID); err != nil {
				t.Fatal(err)
			}
			s.clock.Advance(time.Hour)
			return o.ID.String()
		}},
}

// taken has the provider take money for an order under the key of an attempt.
func (s *shop) taken(t *testing.T, order uuid.UUID, attempt string) (id string) {
	t.Helper()
	key := order.String() + ":" + attempt
	p, err := s.provider.Authorize(t.Context(), key, order, money.MustNew(100, "EUR"), tokOK)
	if err == nil {
		p, err = s.provider.Capture(t.Context(), key, p.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.ID
}

// do works all that was planned.
func (s *shop) do(t *testing.T) {
	t.Helper()
	for _, id := range s.store.DueChecks() {
		if err := s.healthy().CheckPayments(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	s.work(t, s.healthy(), 10*time.Second)
}

// Each kind of discrepancy is suspected first, is a finding when it stays, exactly one, is told of once, and repaired if that is
// safe, however often and by however many; and then it is gone.
func TestAuditFindsAndRepairs(t *testing.T) {
	t.Parallel()
	for name, tc := range plants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			other := s.wish(tokOK) // of another customer, of whom nothing is found
			other.UserID, other.Key, other.Items = uuid.New(), "other", []usecase.Line{{ProductID: s.pot, Quantity: 1}}
			s.place(t, other)
			a := s.auditor(Faults{})
			a.rounds(t, 3*settle) // the first audits are over when it happens
			reference := tc.plant(t, s)
			a.clock.Advance(time.Second)
			a.rounds(t, settle-round)
			if found := a.open(t); len(found) > 0 {
				t.Fatalf("found at once: %+v", found)
			}
			a.rounds(t, 2*settle)
			found := a.open(t)
			if len(found) != 1 || found[0].Kind != tc.kind || found[0].Reference != reference || found[0].Repairable != tc.repairable || found[0].Detail == "" {
				t.Fatalf("found %+v, want one %s of %s, repairable: %v", found, tc.kind, reference, tc.repairable)
			}
			f := found[0]
			if want := uuid.Nil; f.OrderID == want || !strings.Contains(reference, f.OrderID.String()) {
				t.Errorf("it is about order %s", f.OrderID)
			}
			if n := strings.Count(a.log.String(), "an audit finds what does not agree"); n != 1 {
				t.Errorf("it is told %d times", n)
			}

			if !tc.repairable {
				for range 2 {
					_, err := a.findings.Repair(t.Context(), f.ID)
					refusal := refused(t, err, domain.ErrFindingNotRepairable)
					if len(refusal.Message) <= len(domain.ErrFindingNotRepairable.Message) {
						t.Errorf("it does not say what to do: %q", refusal.Message)
					}
				}
				if got := a.finding(t, f.ID); got.Status != domain.FindingOpen {
					t.Errorf("it is %s", got.Status)
				}
				return
			}
			for range 2 {
				got, err := a.findings.Repair(t.Context(), f.ID)
				if err != nil || got.Status != domain.FindingRepaired || got.ID != f.ID {
					t.Fatalf("repair: %+v, error %v", got, err)
				}
				s.do(t)
			}
			s.agrees(t)
			a.rounds(t, 4*settle)
			if got := a.finding(t, f.ID); got.Status != domain.FindingRepaired || got.Watched || len(a.open(t)) > 0 {
				t.Errorf("afterwards: %+v, open: %v", got, a.open(t))
			}
			if id, err := uuid.Parse(reference); tc.after != "" && err == nil {
				if got := s.order(t, id).Status; got != tc.after {
					t.Errorf("the order is %s, want %s", got, tc.after)
				}
			}
		})
	}
}

// A repair that comes to nothing opens the finding again.
func TestRepairInVain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	plants["an order that waits to be paid has no pieces"].plant(t, s)
	a.rounds(t, 3*settle)
	f := a.open(t)[0]
	if _, err := a.findings.Repair(t.Context(), f.ID); err != nil {
		t.Fatal(err)
	}
	a.rounds(t, settle-round) // nobody does what was planned, which may take a while
	if got := a.finding(t, f.ID); got.Status != domain.FindingRepaired {
		t.Fatalf("it is %s", got.Status)
	}
	a.rounds(t, 2*round)
	if got := a.finding(t, f.ID); got.Status != domain.FindingOpen || !got.ResolvedAt.IsZero() {
		t.Errorf("it is %+v, want it open again", got)
	}
}

// What is not any more when somebody wants it repaired is resolved, and nothing is done.
func TestRepairOfWhatIsGone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	quiet := s.auditor(Faults{Before: func(call string) error {
		t.Errorf("%s is called", call)
		return nil
	}})
	id := uuid.MustParse(plants["pieces are promised to an order that is not there"].plant(t, s))
	quiet.rounds(t, 3*settle)
	f := quiet.open(t)[0]
	if err := s.stock.Release(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := quiet.findings.Repair(t.Context(), f.ID)
		if err != nil || got.Status != domain.FindingResolved || got.ResolvedAt.IsZero() {
			t.Errorf("%+v, error %v; want it resolved", got, err)
		}
	}
	if _, err := quiet.findings.Repair(t.Context(), uuid.New()); apperr.KindOf(err) != apperr.NotFound {
		t.Errorf("one that there is not: %v", err)
	}
}

// A finding that is over by itself is resolved, and a suspect is forgotten.
func TestFindingsEndByThemselves(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	first := uuid.MustParse(plants["pieces are promised to an order that is not there"].plant(t, s))
	a.rounds(t, 3*settle)
	second := uuid.MustParse(plants["pieces are promised to an order that is not there"].plant(t, s))
	a.clock.Advance(time.Second)
	f := a.open(t)[0]
	for _, id := range []uuid.UUID{first, second} {
		if err := s.stock.Release(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	a.rounds(t, 3*settle)
	if got := a.finding(t, f.ID); got.Status != domain.FindingResolved || got.Watched {
		t.Errorf("it is %+v", got)
	}
	if all, err := a.findings.List(t.Context(), usecase.ListFindings{}); err != nil || len(all.Findings) != 1 {
		t.Errorf("findings %+v, error %v", all.Findings, err)
	}
	if watched, err := s.store.WatchedFindings(t.Context(), uuid.Nil, 10); err != nil || len(watched) > 0 {
		t.Errorf("watched: %+v, error %v", watched, err)
	}
}

// When services were away, and audits could not look, what they left half done has as long as always to be done.
func TestAuditAfterAnOutage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	id := uuid.MustParse(plants["pieces are promised to an order that is not there"].plant(t, s))
	a.rounds(t, round) // suspected
	s.clock.Advance(time.Hour)
	a.run(t)
	if found := a.open(t); len(found) > 0 {
		t.Fatalf("found by an audit that has just come to see again: %+v", found)
	}
	if err := s.stock.Release(t.Context(), id); err != nil { // by the job that was waiting
		t.Fatal(err)
	}
	a.rounds(t, 3*settle)
	if found := a.open(t); len(found) > 0 {
		t.Errorf("found %+v", found)
	}
}

// The payments of a provider that is not asked any more are not judged, and findings about them stay as they are.
func TestAuditOfAnotherProvider(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.paidOrder(t)
	s.provider.Lose(o.Payment.Reference)
	other := s.auditor(Faults{})
	other.audit.Payments = nil
	other.rounds(t, 4*settle)
	if found := other.open(t); len(found) > 0 {
		t.Fatalf("found %+v", found)
	}
	a := s.auditor(Faults{})
	s.change(t, o.ID, usecase.Plan{}, func(o *domain.Order) error { // so that it is met again
		return o.Advance(domain.Processing, "staff", "", "", s.clock.Now())
	})
	a.rounds(t, 4*settle)
	found := a.open(t)
	if len(found) != 1 || found[0].Kind != domain.OrderWithoutCapture {
		t.Fatalf("the one who can ask finds %+v", found)
	}
	other.rounds(t, 2*settle)
	_, err := other.findings.Repair(t.Context(), found[0].ID)
	refused(t, err, domain.ErrFindingNotRepairable)
	if got := other.finding(t, found[0].ID); got.Status != domain.FindingOpen {
		t.Errorf("it is %s", got.Status)
	}
}

// Lists come in pages, newest first, and a token is good for its own list.
func TestListFindings(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	const n = 3
	for range n {
		plants["pieces are promised to an order that is not there"].plant(t, s)
	}
	a.rounds(t, 3*settle)
	list := usecase.ListFindings{PageSize: 2, IncludeTotal: true}
	first, err := a.findings.List(t.Context(), list)
	if err != nil || len(first.Findings) != 2 || *first.Total != n || first.NextPageToken == "" {
		t.Fatalf("%+v, error %v", first, err)
	}
	list.PageToken = first.NextPageToken
	second, err := a.findings.List(t.Context(), list)
	if err != nil || len(second.Findings) != 1 || second.NextPageToken != "" {
		t.Fatalf("%+v, error %v", second, err)
	}
	if second.Findings[0].ID.String() > first.Findings[1].ID.String() {
		t.Error("the newest do not come first")
	}
	list.Filter.Kind = domain.OrderStuck
	if _, err := a.findings.List(t.Context(), list); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("the token of another list: %v", err)
	}
}

// ListsNothing knows reservations, and has none to tell of by itself.
type ListsNothing struct{ *usecasetest.FakeStock }

func (ListsNothing) ListReservations(context.Context, time.Time, time.Time, string, int) ([]domain.Reservation, string, error) {
	return nil, "", nil
}

// What is stuck does not change, so it is looked for: also an order that is planned, and comes to nothing for longer than any
// bank takes.
func TestAuditLooksForWhatIsStuck(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	a.audit.Reservations, a.audit.Payments = ListsNothing{s.stock}, nil
	o := unsettled(t, s, tokLate)
	a.rounds(t, domain.PaymentWindow)
	if found := a.open(t); len(found) > 0 {
		t.Fatalf("found before it is late: %+v", found)
	}
	a.rounds(t, 4*settle)
	if found := a.open(t); len(found) != 1 || found[0].Kind != domain.OrderStuck || found[0].OrderID != o.ID {
		t.Errorf("found %+v, want that order %s is stuck", found, o.ID)
	}
}

// SlowLister is a provider of which each lookup takes a time.
type SlowLister struct {
	usecase.PaymentLister
	took func()
}

func (p SlowLister) LookUp(ctx context.Context, id string) (domain.PaymentRecord, bool, error) {
	p.took()
	return p.PaymentLister.LookUp(ctx, id)
}

func (s *shop) progress(t *testing.T) usecase.AuditProgress {
	t.Helper()
	p, err := s.store.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Many findings, of which each takes longer than an audit has, do not keep it from what has changed, and all have their turn. That
// it takes long until one is looked at again does not make it new.
func TestAuditOfManyFindings(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	const many = 50 // three pages
	for range many {
		s.taken(t, uuid.New(), "1")
	}
	a.run(t) // suspects them
	began := s.clock.Now()
	a.audit.Payments = []usecase.PaymentLister{SlowLister{s.provider, func() { s.clock.Advance(10 * time.Second) }}}
	for range 12 {
		until := s.progress(t).Until
		for again := time.Second; again != 0; {
			var err error
			if again, err = a.audit.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.progress(t).Until; !got.After(until) {
			t.Fatalf("what changed is compared up to %v, as before", got)
		}
		s.clock.Advance(time.Second)
	}
	found := a.open(t)
	if len(found) != many {
		t.Errorf("%d of %d are found", len(found), many)
	}
	for _, f := range found {
		if f.FirstSeenAt.After(began) {
			t.Errorf("it counts as new at %v", f.FirstSeenAt)
		}
	}
}

// AwayLister is a provider that fails.
type AwayLister struct {
	usecase.PaymentLister
	list, lookUp error
}

func (p AwayLister) ListPayments(ctx context.Context, from, to time.Time, cursor string) ([]domain.PaymentRecord, string, error) {
	if p.list != nil {
		return nil, "", p.list
	}
	return p.PaymentLister.ListPayments(ctx, from, to, cursor)
}

func (p AwayLister) LookUp(ctx context.Context, id string) (domain.PaymentRecord, bool, error) {
	if p.lookUp != nil {
		return domain.PaymentRecord{}, false, p.lookUp
	}
	return p.PaymentLister.LookUp(ctx, id)
}

// A provider that is away does not keep the stock from being compared, nor other providers; that its payments were not compared
// is seen, and made up for.
func TestAuditWhileAProviderIsAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	a.rounds(t, 2*settle)
	o := s.paidOrder(t)
	a.audit.Payments = []usecase.PaymentLister{AwayLister{s.provider, errAway, errAway}}
	stray := uuid.MustParse(plants["pieces are promised to an order that is not there"].plant(t, s))
	began := s.clock.Now()
	for range 10 {
		if _, err := a.audit.Run(t.Context()); !errors.Is(err, errAway) {
			t.Fatalf("error %v, want %v", err, errAway)
		}
		s.clock.Advance(round)
	}
	if found := a.open(t); len(found) != 1 || found[0].OrderID != stray {
		t.Errorf("found %+v, want the stock of %s", found, stray)
	}
	p := s.progress(t)
	if age := p.Age(s.clock.Now()); p.Until.Before(began) || age < 10*round {
		t.Errorf("the stock is compared up to %v, and all %v ago", p.Until, age)
	}
	a.audit.Payments = []usecase.PaymentLister{s.provider}
	a.rounds(t, settle)
	if p := s.progress(t); len(p.Behind) > 0 || p.Age(s.clock.Now()) > 2*settle {
		t.Errorf("afterwards %+v", p)
	}
	if got := s.order(t, o.ID); got.Status != domain.Confirmed {
		t.Errorf("the order is %s", got.Status)
	}
}

// A payment that can't be looked up leaves its order untold and a finding about it as it is, and the audit goes on.
func TestAuditWithoutALookUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.auditor(Faults{})
	o := s.paidOrder(t)
	s.provider.Lose(o.Payment.Reference)
	s.change(t, o.ID, usecase.Plan{}, func(o *domain.Order) error {
		return o.Advance(domain.Processing, "staff", "", "", s.clock.Now())
	})
	a.rounds(t, 2*round+settle) // suspected
	a.audit.Payments = []usecase.PaymentLister{AwayLister{s.provider, nil, errAway}}
	until := s.progress(t).Until
	for range 5 {
		s.clock.Advance(round)
		if _, err := a.audit.Run(t.Context()); !errors.Is(err, errAway) {
			t.Fatalf("error %v, want %v", err, errAway)
		}
	}
	if got := s.progress(t).Until; !got.After(until) {
		t.Errorf("what changed is compared up to %v, as before", got)
	}
	watched, err := s.store.WatchedFindings(t.Context(), uuid.Nil, 10)
	if err != nil || len(watched) != 1 || watched[0].Status != domain.FindingSuspected {
		t.Fatalf("watched %+v, error %v; want one that is suspected still", watched, err)
	}
	a.audit.Payments = []usecase.PaymentLister{s.provider}
	s.clock.Advance(round)
	a.rounds(t, settle-2*round)
	if found := a.open(t); len(found) > 0 {
		t.Errorf("opened as if it had been seen all the time: %+v", found)
	}
	a.rounds(t, 2*settle)
	if found := a.open(t); len(found) != 1 || found[0].Kind != domain.OrderWithoutCapture {
		t.Errorf("found %+v", found)
	}
}

// Refuses is a provider that refuses cursors that it has not given.
type Refuses struct{ usecase.PaymentLister }

func (p Refuses) ListPayments(ctx context.Context, from, to time.Time, cursor string) ([]domain.PaymentRecord, string, error) {
	if cursor != "" {
		return nil, "", apperr.InvalidField("cursor", "is none of ours")
	}
	_, _, err := p.PaymentLister.ListPayments(ctx, from, to, "")
	return nil, "", err
}

func (Refuses) Name() string { return "refuses" }

// The cursor of one provider never reaches another, whatever is configured meanwhile, and a cursor that is refused does not stop a
// pass for good.
func TestAuditAcrossAChangeOfProviders(t *testing.T) {
	t.Parallel()
	for name, pass := range map[string]usecase.AuditPass{
		"a provider was added before it": {Stage: 2, Provider: "fake", Cursor: "a cursor of fake"},
		"the provider was taken away":    {Stage: 2, Provider: "gone", Cursor: "a cursor of gone"},
		"a pass of the version before":   {Stage: 3, Cursor: "a cursor of somebody"},
		"a cursor that is refused":       {Stage: 2, Provider: "refuses", Cursor: "too old"},
		"a place of orders that is none": {Stage: 0, Cursor: "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			a := s.auditor(Faults{})
			a.run(t)
			p := s.progress(t)
			pass.From, pass.To = s.clock.Now(), s.clock.Now().Add(time.Second)
			p.Recent, p.Behind = &pass, map[string]time.Time{"gone": noon}
			if _, err := s.store.SaveProgress(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			a.audit.Payments = []usecase.PaymentLister{Refuses{s.provider}, s.provider}
			s.clock.Advance(settle + time.Minute)
			_, _ = a.audit.Run(t.Context()) // this one may be told that the cursor is refused
			a.rounds(t, 2*round)
			if got := s.progress(t); got.Recent != nil || got.Until.Before(pass.To) || len(got.Behind) > 0 {
				t.Errorf("it has come to %+v", got)
			}
		})
	}
}

// Full passes do not look up one by one what the provider's list has.
func TestFullPassDoesNotLookUp(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.paidOrder(t)
	s.provider.RefundElsewhere(o.ID, 1)
	s.clock.Advance(24 * time.Hour)
	a := s.auditor(Faults{})
	looked := 0
	a.audit.Payments = []usecase.PaymentLister{SlowLister{s.provider, func() { looked++ }}}
	a.run(t)
	if looked > 0 {
		t.Errorf("%d payments were looked up", looked)
	}
	watched, err := s.store.WatchedFindings(t.Context(), uuid.Nil, 10)
	if err != nil || len(watched) != 1 || watched[0].Kind != domain.AmountDiffers {
		t.Errorf("watched %+v, error %v; want that the amount differs", watched, err)
	}
}
