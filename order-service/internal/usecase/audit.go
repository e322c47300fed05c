package usecase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/order-service/internal/domain"
)

const (
	// auditPage is how many orders are compared at once, which bounds what an audit holds in memory: as many as a batch call
	// answers.
	auditPage = 100
	// auditBudget is how long one run goes on. What is left goes on soon (what is recent) or with the next run (the full pass),
	// so that the full pass of a large shop takes some of the day, and never the provider's or the database's attention.
	auditBudget = 8 * time.Second
	auditAgain  = time.Second
	// auditOverlap is how much of what was compared is compared once more: more than clocks differ. What commits late is
	// covered by the settling time.
	auditOverlap = 30 * time.Second
	// fullEvery is how often everything is compared, for what changed without leaving a trace where it did.
	fullEvery = 24 * time.Hour
	// fullHorizon bounds that: what nobody has touched for longer has been compared ninety times.
	fullHorizon = 90 * 24 * time.Hour
	// lookups is how many payments are looked up at once: a provider allows some 25 calls a second at least, and each takes
	// some 100 ms.
	lookups = 4
)

// AuditPlace is where an order stands among those that have changed. The zero place is before all.
type AuditPlace struct {
	At time.Time
	ID uuid.UUID
}

// AuditedOrders reads orders for the auditor.
type AuditedOrders interface {
	// ChangedOrders returns up to limit orders that last changed in a span of time, whose end is not included, in the order of
	// their changes, after a place.
	ChangedOrders(ctx context.Context, from, to time.Time, after AuditPlace, limit int) ([]AuditPlace, error)
	// StuckOrders returns up to limit orders, by their ids, after one: those that are open and have not changed since open, if
	// no look at them is planned, else (only if they are pending) since planned; and those of refunds that are under way since
	// before open.
	StuckOrders(ctx context.Context, open, planned time.Time, after uuid.UUID, limit int) ([]uuid.UUID, error)
	// AuditedOrders returns orders by their ids; those that there are not are left out.
	AuditedOrders(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]domain.AuditedOrder, error)
}

// Reservations reads what product-service keeps for orders.
type Reservations interface {
	// ListReservations returns a page of those that last changed in a span of time, whose end is not included. The cursor of
	// the first page is empty, and so is next on the last one.
	ListReservations(ctx context.Context, from, to time.Time, cursor string, limit int) (page []domain.Reservation, next string, err error)
	// Reservations returns those of some orders; what there is not is left out.
	Reservations(ctx context.Context, orders []uuid.UUID) (map[uuid.UUID]domain.Reservation, error)
}

// PaymentLister reads what a provider has of this shop, whoever made it.
type PaymentLister interface {
	// Name is that of the provider, as orders show it.
	Name() string
	// ListPayments returns a page of payments that came to be in a span of time, whose end is not included, or changed in it as
	// far as the provider can tell. The cursor of the first page is empty, and so is next on the last one.
	ListPayments(ctx context.Context, from, to time.Time, cursor string) (page []domain.PaymentRecord, next string, err error)
	// LookUp returns a payment by its id, and whether the provider knows it.
	LookUp(ctx context.Context, id string) (p domain.PaymentRecord, known bool, err error)
}

// FindingStore keeps findings, and how far audits have come.
type FindingStore interface {
	// Watch has decide change the watched finding of a kind and reference, or nil if there is none, which nobody else can
	// change meanwhile, and keeps what it returns; nil removes it. decide may be called again.
	Watch(ctx context.Context, kind domain.FindingKind, reference string, decide func(*domain.Finding) (*domain.Finding, error)) error
	// WatchedFindings returns up to limit of them by id, after one.
	WatchedFindings(ctx context.Context, after uuid.UUID, limit int) ([]domain.Finding, error)
	// Progress returns how far audits have come.
	Progress(ctx context.Context) (AuditProgress, error)
	// SaveProgress keeps that, unless somebody else has meanwhile: then it is ErrOvertaken.
	SaveProgress(ctx context.Context, p AuditProgress) (AuditProgress, error)
}

// ErrOvertaken is the error of an audit beside which another one runs.
var ErrOvertaken = errors.New("another audit has come further")

// AuditProgress is how far audits have come.
type AuditProgress struct {
	// Revision counts how often it was saved.
	Revision int64 `json:"-"`
	// Until is the time up to which everything was compared, and FullSince that at which the last full pass began.
	Until, FullSince time.Time
	// Recent and Full are the passes that are under way; nil for none.
	Recent, Full *AuditPass
}

// AuditPass is a comparison of all that changed in a span of time.
type AuditPass struct {
	From, To time.Time
	// Stage counts what was gone through in the span: the orders, the reservations, the payments of each provider.
	Stage  int
	Cursor string
}

// AuditParts are what an Audit works with.
type AuditParts struct {
	Orders       AuditedOrders
	Reservations Reservations
	Payments     []PaymentLister
	Findings     FindingStore
	// Settle is for how long what is under way may look as if it did not agree.
	Settle time.Duration
	Now    func() time.Time
	Log    *slog.Logger
}

// Audit compares the orders with what product-service and the payment providers know of them. It only looks: see Repairs.
type Audit struct {
	AuditParts
}

// NewAudit returns an auditor.
func NewAudit(p AuditParts) *Audit { return &Audit{p} }

// Run looks once more at what was found before and at what is open for too long, and then goes on with what has changed since
// the last time, and with the full pass. It may stop at any time and run again on any replica. It returns how long to wait
// before it should run again, or 0 if that has time.
func (a *Audit) Run(ctx context.Context) (time.Duration, error) {
	began := a.Now()
	progress, err := a.Findings.Progress(ctx)
	if err != nil {
		return 0, fmt.Errorf("read how far audits have come: %w", err)
	}
	if err := a.lookAgain(ctx); err != nil {
		return 0, fmt.Errorf("look again at what was found: %w", err)
	}
	if err := a.lookForStuck(ctx); err != nil {
		return 0, fmt.Errorf("look for what is stuck: %w", err)
	}
	a.plan(&progress)
	for a.Now().Sub(began) < auditBudget {
		pass := progress.Recent
		if pass == nil {
			pass = progress.Full
		}
		if pass == nil {
			return 0, nil
		}
		if err := a.step(ctx, pass); err != nil {
			return 0, err
		}
		if progress.Recent != nil && progress.Recent.Stage == a.stages() {
			progress.Until, progress.Recent = progress.Recent.To, nil
		}
		if progress.Full != nil && progress.Full.Stage == a.stages() {
			progress.Full = nil
		}
		if progress, err = a.Findings.SaveProgress(ctx, progress); err != nil {
			return 0, fmt.Errorf("save how far this audit has come: %w", err)
		}
	}
	if progress.Recent != nil {
		return auditAgain, nil
	}
	return 0, nil
}

// plan begins the passes whose time has come.
func (a *Audit) plan(progress *AuditProgress) {
	settled := a.Now().Add(-a.Settle)
	if progress.FullSince.IsZero() { // the first audit of all: the full pass has what came before
		progress.Until = settled
	}
	if progress.Recent == nil && settled.After(progress.Until) {
		progress.Recent = &AuditPass{From: progress.Until.Add(-auditOverlap), To: settled}
	}
	if progress.Full == nil && a.Now().Sub(progress.FullSince) >= fullEvery {
		progress.FullSince, progress.Full = a.Now(), &AuditPass{From: settled.Add(-fullHorizon), To: settled}
	}
}

// stages is how many stages a pass has.
func (a *Audit) stages() int { return 2 + len(a.Payments) }

// step goes through one page of a pass, and moves it on.
func (a *Audit) step(ctx context.Context, pass *AuditPass) error {
	var (
		next string
		err  error
	)
	switch {
	case pass.Stage == 0:
		if next, err = a.stepOrders(ctx, pass); err != nil {
			return fmt.Errorf("audit the orders: %w", err)
		}
	case pass.Stage == 1:
		if next, err = a.stepReservations(ctx, pass); err != nil {
			return fmt.Errorf("audit the reservations: %w", err)
		}
	case pass.Stage < a.stages(): // else there was one provider more when the pass began
		provider := a.Payments[pass.Stage-2]
		if next, err = a.stepPayments(ctx, provider, pass); err != nil {
			return fmt.Errorf("audit the payments of provider %s: %w", provider.Name(), err)
		}
	}
	if pass.Cursor = next; next == "" {
		pass.Stage = min(pass.Stage+1, a.stages())
	}
	return nil
}

func (a *Audit) stepOrders(ctx context.Context, pass *AuditPass) (next string, err error) {
	after, err := parsePlace(pass.Cursor)
	if err != nil {
		return "", err
	}
	places, err := a.Orders.ChangedOrders(ctx, pass.From, pass.To, after, auditPage)
	if err != nil || len(places) == 0 {
		return "", err
	}
	ids := make([]uuid.UUID, len(places))
	for i, place := range places {
		ids[i] = place.ID
	}
	if len(places) == auditPage {
		next = places[auditPage-1].String()
	}
	return next, a.compare(ctx, ids)
}

func (a *Audit) stepReservations(ctx context.Context, pass *AuditPass) (next string, err error) {
	page, next, err := a.Reservations.ListReservations(ctx, pass.From, pass.To, pass.Cursor, auditPage)
	if err != nil {
		return "", err
	}
	ids := make([]uuid.UUID, len(page))
	for i, r := range page {
		ids[i] = r.OrderID
	}
	orders, err := a.orders(ctx, ids)
	if err != nil {
		return "", err
	}
	for _, r := range page {
		e := domain.Evidence{OrderID: r.OrderID, Order: orders[r.OrderID], Reservation: &r}
		if err := a.judge(ctx, e); err != nil {
			return "", err
		}
	}
	return next, nil
}

func (a *Audit) stepPayments(ctx context.Context, provider PaymentLister, pass *AuditPass) (next string, err error) {
	page, next, err := provider.ListPayments(ctx, pass.From, pass.To, pass.Cursor)
	if err != nil {
		return "", err
	}
	var ids []uuid.UUID
	for _, p := range page {
		if p.OrderID != uuid.Nil && !slices.Contains(ids, p.OrderID) {
			ids = append(ids, p.OrderID)
		}
	}
	orders, err := a.orders(ctx, ids)
	if err != nil {
		return "", err
	}
	for _, p := range page {
		e := domain.Evidence{OrderID: p.OrderID, Order: orders[p.OrderID], Payments: []domain.PaymentRecord{p}}
		e.CaptureSought = e.Order != nil && e.Order.Payment.Reference == p.ID
		if err := a.judge(ctx, e); err != nil {
			return "", err
		}
	}
	return next, nil
}

// orders returns orders by their ids.
func (a *Audit) orders(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]*domain.AuditedOrder, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	known, err := a.Orders.AuditedOrders(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	orders := make(map[uuid.UUID]*domain.AuditedOrder, len(known))
	for id, o := range known {
		orders[id] = &o
	}
	return orders, nil
}

// lookForStuck compares the orders that are in between for too long. They do not change, so no pass meets them.
func (a *Audit) lookForStuck(ctx context.Context) error {
	open, planned := domain.StuckBefore(a.Now())
	for after := uuid.Nil; ; {
		ids, err := a.Orders.StuckOrders(ctx, open, planned, after, auditPage)
		if err != nil {
			return err
		}
		if err := a.compare(ctx, ids); err != nil {
			return err
		}
		if len(ids) < auditPage {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

// compare judges some orders by what all sides know of them now.
func (a *Audit) compare(ctx context.Context, ids []uuid.UUID) error {
	gathered, err := a.gather(ctx, ids)
	if err != nil {
		return err
	}
	for _, e := range gathered {
		if err := a.judge(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// gather asks all sides about some orders, at most auditPage.
func (a *Audit) gather(ctx context.Context, ids []uuid.UUID) ([]domain.Evidence, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	orders, err := a.orders(ctx, ids)
	if err != nil {
		return nil, err
	}
	reservations, err := a.Reservations.Reservations(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	gathered := make([]domain.Evidence, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for i, id := range ids {
		reservation := reservations[id] // of the zero status if there is none
		gathered[i] = domain.Evidence{OrderID: id, Order: orders[id], Reservation: &reservation}
		group.Go(func() error { return a.seekCapture(ctx, &gathered[i]) })
	}
	return gathered, group.Wait()
}

// seekCapture looks the payment of a paid order up, if its provider is one that can be asked.
func (a *Audit) seekCapture(ctx context.Context, e *domain.Evidence) error {
	if e.Order == nil || !e.Order.SeeksCapture() {
		return nil
	}
	return a.lookUp(ctx, e, e.Order.Payment.Provider, e.Order.Payment.Reference)
}

// lookUp adds a payment to the evidence, if its provider can be asked and knows it.
func (a *Audit) lookUp(ctx context.Context, e *domain.Evidence, provider, id string) error {
	lister := a.lister(provider)
	if lister == nil {
		return nil
	}
	if e.Order != nil && id == e.Order.Payment.Reference {
		e.CaptureSought = true
	}
	if id == "" {
		return nil
	}
	p, known, err := lister.LookUp(ctx, id)
	if err != nil {
		return fmt.Errorf("look up payment %s: %w", id, err)
	}
	if known {
		e.Payments = append(e.Payments, p)
	}
	return nil
}

func (a *Audit) lister(provider string) PaymentLister {
	for _, lister := range a.Payments {
		if lister.Name() == provider {
			return lister
		}
	}
	return nil
}

// judge writes down what does not agree.
func (a *Audit) judge(ctx context.Context, e domain.Evidence) error {
	for _, d := range e.Judge(a.Now()) {
		if err := a.seen(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// seen writes down that something was seen, and tells of it when it is a finding.
func (a *Audit) seen(ctx context.Context, d domain.Discrepancy) error {
	var (
		opened bool
		f      domain.Finding
	)
	err := a.Findings.Watch(ctx, d.Kind, d.Reference, func(known *domain.Finding) (*domain.Finding, error) {
		if known == nil {
			suspect, err := domain.Suspect(d, a.Now())
			opened = false
			return &suspect, err
		}
		opened = known.Seen(d, a.Now(), a.Settle)
		f = *known
		return known, nil
	})
	if err != nil {
		return fmt.Errorf("write down %s of %s: %w", d.Kind, d.Reference, err)
	}
	if opened {
		a.Log.ErrorContext(ctx, "an audit finds what does not agree", "finding_id", f.ID, "kind", f.Kind, "order_id", f.OrderID,
			"reference", f.Reference, "detail", f.Detail, "repairable", f.Repairable)
	}
	return nil
}

// lookAgain looks at everything that is watched.
func (a *Audit) lookAgain(ctx context.Context) error {
	for after := uuid.Nil; ; {
		watched, err := a.Findings.WatchedFindings(ctx, after, auditPage)
		if err != nil {
			return err
		}
		sides, err := a.sides(ctx, watched)
		if err != nil {
			return err
		}
		for _, f := range watched {
			seen, told, err := a.look(ctx, f, sides[f.OrderID])
			switch {
			case err != nil:
			case seen != nil:
				err = a.seen(ctx, *seen)
			case told:
				err = a.gone(ctx, f)
			}
			if err != nil {
				return fmt.Errorf("%s of %s: %w", f.Kind, f.Reference, err)
			}
		}
		if len(watched) < auditPage {
			return nil
		}
		after = watched[len(watched)-1].ID
	}
}

// sides returns what all sides know of the orders of some findings, by the order.
func (a *Audit) sides(ctx context.Context, findings []domain.Finding) (map[uuid.UUID]domain.Evidence, error) {
	var ids []uuid.UUID
	for _, f := range findings {
		if f.OrderID != uuid.Nil && !slices.Contains(ids, f.OrderID) {
			ids = append(ids, f.OrderID)
		}
	}
	gathered, err := a.gather(ctx, ids)
	if err != nil {
		return nil, err
	}
	sides := make(map[uuid.UUID]domain.Evidence, len(gathered))
	for _, e := range gathered {
		sides[e.OrderID] = e
	}
	return sides, nil
}

// look returns what a finding is now, nil if it is not any more, and whether that can be told: a provider that this shop does
// not use any more can't be asked.
func (a *Audit) look(ctx context.Context, f domain.Finding, e domain.Evidence) (seen *domain.Discrepancy, told bool, err error) {
	if f.Provider != "" && a.lister(f.Provider) == nil {
		return nil, false, nil
	}
	known := slices.ContainsFunc(e.Payments, func(p domain.PaymentRecord) bool { return p.ID == f.Reference })
	if f.Kind == domain.CaptureWithoutOrder && !known {
		if err := a.lookUp(ctx, &e, f.Provider, f.Reference); err != nil {
			return nil, false, err
		}
	}
	for _, d := range e.Judge(a.Now()) {
		if d.Kind == f.Kind && d.Reference == f.Reference {
			return &d, true, nil
		}
	}
	return nil, true, nil
}

// lookAt is look for one finding.
func (a *Audit) lookAt(ctx context.Context, f domain.Finding) (seen *domain.Discrepancy, told bool, err error) {
	sides, err := a.sides(ctx, []domain.Finding{f})
	if err != nil {
		return nil, false, err
	}
	return a.look(ctx, f, sides[f.OrderID])
}

// gone writes down that a finding is not any more.
func (a *Audit) gone(ctx context.Context, f domain.Finding) error {
	return a.Findings.Watch(ctx, f.Kind, f.Reference, func(known *domain.Finding) (*domain.Finding, error) {
		if known == nil || known.Gone(a.Now(), a.Settle) {
			return nil, nil
		}
		if !known.Watched {
			a.Log.InfoContext(ctx, "a finding is not any more", "finding_id", f.ID, "kind", f.Kind, "reference", f.Reference, "status", known.Status)
		}
		return known, nil
	})
}

// String is the place as a cursor.
func (p AuditPlace) String() string { return p.At.Format(time.RFC3339Nano) + "/" + p.ID.String() }

func parsePlace(cursor string) (p AuditPlace, err error) {
	if cursor == "" {
		return AuditPlace{}, nil
	}
	at, id, _ := strings.Cut(cursor, "/")
	if p.At, err = time.Parse(time.RFC3339Nano, at); err == nil {
		p.ID, err = uuid.Parse(id)
	}
	if err != nil {
		return AuditPlace{}, fmt.Errorf("read the place of an audit: %w", err)
	}
	return p, nil
}
