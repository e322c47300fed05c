package usecase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

const (
	// auditPage is how many reservations or payments are compared at once, which bounds what an audit holds in memory: as many
	// as a batch call answers. comparePage is how many where each may have to be looked up at a provider.
	auditPage   = 100
	comparePage = 20
	// againShare, stuckShare and passShare are how long the parts of one run go on, each for one page at least, so that none
	// keeps the others from moving on. What is left goes on soon (what is recent) or with the next run, so that the full pass of
	// a large shop takes its time, and never the provider's or the database's attention.
	againShare = 2 * time.Second
	stuckShare = 2 * time.Second
	passShare  = 4 * time.Second
	auditAgain = time.Second
	// auditOverlap is how much of what was compared is compared once more: more than clocks differ. What commits late is
	// covered by the settling time.
	auditOverlap = 30 * time.Second
	// fullEvery is how often everything is compared, for what changed without leaving a trace where it did.
	fullEvery = 24 * time.Hour
	// fullHorizon bounds that: what nobody has touched for longer has been compared ninety times, or as often as there was time.
	fullHorizon = 90 * 24 * time.Hour
	// lookups is how many payments are looked up at once: a provider allows some 25 calls a second at least, and each takes
	// some 100 ms.
	lookups = 4
	// lookupTimeout is ten times as long as one takes: with it, a page of lookups that all hang takes 5 s.
	lookupTimeout = time.Second
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
	// Behind is the time from which on the payments of a provider were not compared, because it was away when it was its turn.
	Behind map[string]time.Time `json:",omitempty"`
	// Again and Stuck are the last finding and the last stuck order that were looked at; zero where that is to begin anew.
	Again, Stuck uuid.UUID
	// LookedAt is when what was found was last looked at, and SeeingSince since when that was never long ago.
	LookedAt, SeeingSince time.Time
	// Recent and Full are the passes that are under way; nil for none.
	Recent, Full *AuditPass
}

// Age is how long ago is the time up to which everything was compared, at every provider.
func (p AuditProgress) Age(now time.Time) time.Duration {
	until := p.Until
	for _, behind := range p.Behind {
		if behind.Before(until) {
			until = behind
		}
	}
	return now.Sub(until)
}

// AuditPass is a comparison of all that changed in a span of time.
type AuditPass struct {
	From, To time.Time
	// Stage is what is gone through: the orders, the reservations, the payments of each provider.
	Stage int
	// Provider is the one whose payments are gone through. Its place among the others may change while a pass is under way.
	Provider string `json:",omitempty"`
	Cursor   string
}

// The stages of a pass.
const (
	stageOrders = iota
	stageReservations
	stagePayments
)

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
// before it should run again, or 0 if that has time. What can't be asked does not keep it from the rest: its errors come last.
func (a *Audit) Run(ctx context.Context) (time.Duration, error) {
	progress, err := a.Findings.Progress(ctx)
	if err != nil {
		return 0, fmt.Errorf("read how far audits have come: %w", err)
	}
	r := run{Audit: a, AuditProgress: progress}
	var failed []error
	if err := r.lookAgain(ctx); err != nil {
		failed = append(failed, fmt.Errorf("look again at what was found: %w", err))
	}
	if err := r.lookForStuck(ctx); err != nil {
		failed = append(failed, fmt.Errorf("look for what is stuck: %w", err))
	}
	r.plan()
	for until, more := r.Now().Add(passShare), true; more; {
		if more, err = r.step(ctx); err != nil {
			failed = append(failed, err)
		}
		if r.AuditProgress, err = a.Findings.SaveProgress(ctx, r.AuditProgress); err != nil {
			failed, more = append(failed, fmt.Errorf("save how far this audit has come: %w", err)), false
		}
		more = more && r.Now().Before(until)
	}
	if r.missed > 0 {
		failed = append(failed, fmt.Errorf("%d lookups came to nothing, the first one: %w", r.missed, r.firstMiss))
	}
	if err := errors.Join(failed...); err != nil {
		return 0, err
	}
	if r.Recent != nil {
		return auditAgain, nil
	}
	return 0, nil
}

// run is one run of an audit.
type run struct {
	*Audit
	AuditProgress
	// missed counts the payments that could not be looked up, which leaves their orders untold; firstMiss is why.
	missed    int
	firstMiss error
}

func (r *run) miss(err error) {
	if r.missed++; r.missed == 1 {
		r.firstMiss = err
	}
}

// plan begins the passes whose time has come.
func (r *run) plan() {
	settled := r.Now().Add(-r.Settle)
	if r.FullSince.IsZero() { // the first audit of all: the full pass has what came before
		r.Until = settled
	}
	if r.Recent == nil && settled.After(r.Until) {
		r.Recent = &AuditPass{From: r.Until.Add(-auditOverlap), To: settled}
	}
	if r.Full == nil && r.Now().Sub(r.FullSince) >= fullEvery {
		r.FullSince, r.Full = r.Now(), &AuditPass{From: settled.Add(-fullHorizon), To: settled}
	}
	// Nobody waits for a provider that was taken away.
	maps.DeleteFunc(r.Behind, func(name string, _ time.Time) bool { return r.lister(name) == nil })
}

// step goes through one page of the pass whose turn it is, moves it on, and reports whether there is more to do now.
func (r *run) step(ctx context.Context) (more bool, err error) {
	recent := r.Recent != nil
	pass := r.Recent
	if !recent {
		pass = r.Full
	}
	if pass == nil {
		return false, nil
	}
	next, err := r.goThrough(ctx, pass)
	provider := pass.Stage == stagePayments
	switch {
	case err == nil && next != "":
		pass.Cursor = next
		return true, nil
	case err == nil && recent && provider:
		delete(r.Behind, pass.Provider)
	case err == nil:
	case recent && provider:
		r.fallBehind(pass) // the stock does not wait for a provider, whose turn comes again with the next pass
	case provider && r.Now().Sub(r.FullSince) >= fullEvery: // the full pass has waited for its day
	default:
		pass.Cursor = next
		return false, err
	}
	if r.moveOn(pass) {
		if recent {
			r.Until, r.Recent = pass.To, nil
		} else {
			r.Full = nil
		}
	}
	return true, err
}

// fallBehind notes that the payments of a provider are still to be compared from the beginning of a pass on, or from before.
func (p *AuditProgress) fallBehind(pass *AuditPass) {
	if _, ok := p.Behind[pass.Provider]; ok {
		return
	}
	if p.Behind == nil {
		p.Behind = make(map[string]time.Time)
	}
	p.Behind[pass.Provider] = pass.From
}

// goThrough compares one page of a pass and returns where the next one begins, empty for the end of the stage. After an error
// that is where this one began, unless it may be the cursor that is refused: then the stage begins anew.
func (r *run) goThrough(ctx context.Context, pass *AuditPass) (next string, err error) {
	switch provider := r.lister(pass.Provider); {
	case pass.Stage == stageOrders:
		if next, err = r.stepOrders(ctx, pass, pass == r.Full); err != nil {
			err = fmt.Errorf("audit the orders: %w", err)
		}
	case pass.Stage == stageReservations:
		if next, err = r.stepReservations(ctx, pass); err != nil {
			err = fmt.Errorf("audit the reservations: %w", err)
		}
	case provider != nil: // else there is none, or it was taken away
		from := pass.From
		if behind, ok := r.Behind[pass.Provider]; ok && pass == r.Recent {
			from = behind
		}
		if next, err = r.stepPayments(ctx, provider, from, pass); err != nil {
			err = fmt.Errorf("audit the payments of provider %s: %w", pass.Provider, err)
		}
	}
	switch kind := apperr.KindOf(err); {
	case err == nil:
		return next, nil
	case kind == apperr.Unavailable || kind == apperr.DeadlineExceeded:
		return pass.Cursor, err
	default:
		return "", err
	}
}

// moveOn moves a pass on to its next stage, and reports whether there is none.
func (r *run) moveOn(pass *AuditPass) (done bool) {
	pass.Cursor = ""
	if pass.Stage < stagePayments {
		pass.Stage++
	}
	if pass.Stage < stagePayments {
		return false
	}
	at := 1 + slices.IndexFunc(r.Payments, func(p PaymentLister) bool { return p.Name() == pass.Provider })
	if at == len(r.Payments) {
		return true
	}
	pass.Provider = r.Payments[at].Name()
	return false
}

func (r *run) stepOrders(ctx context.Context, pass *AuditPass, full bool) (next string, err error) {
	after, err := parsePlace(pass.Cursor)
	if err != nil {
		return "", err
	}
	places, err := r.Orders.ChangedOrders(ctx, pass.From, pass.To, after, comparePage)
	if err != nil || len(places) == 0 {
		return "", err
	}
	ids := make([]uuid.UUID, len(places))
	for i, place := range places {
		ids[i] = place.ID
	}
	if len(places) == comparePage {
		next = places[comparePage-1].String()
	}
	var listed time.Time
	if full {
		listed = pass.From
	}
	return next, r.compare(ctx, ids, listed)
}

func (r *run) stepReservations(ctx context.Context, pass *AuditPass) (next string, err error) {
	page, next, err := r.Reservations.ListReservations(ctx, pass.From, pass.To, pass.Cursor, auditPage)
	if err != nil {
		return "", err
	}
	ids := make([]uuid.UUID, len(page))
	for i, held := range page {
		ids[i] = held.OrderID
	}
	orders, err := r.orders(ctx, ids)
	if err != nil {
		return "", err
	}
	for _, held := range page {
		e := r.evidence(held.OrderID, orders)
		e.Reservation = &held
		if err := r.judge(ctx, e); err != nil {
			return "", err
		}
	}
	return next, nil
}

func (r *run) stepPayments(ctx context.Context, provider PaymentLister, from time.Time, pass *AuditPass) (next string, err error) {
	page, next, err := provider.ListPayments(ctx, from, pass.To, pass.Cursor)
	if err != nil {
		return "", err
	}
	var ids []uuid.UUID
	for _, p := range page {
		if p.OrderID != uuid.Nil && !slices.Contains(ids, p.OrderID) {
			ids = append(ids, p.OrderID)
		}
	}
	orders, err := r.orders(ctx, ids)
	if err != nil {
		return "", err
	}
	for _, p := range page {
		e := r.evidence(p.OrderID, orders)
		e.Payments = []domain.PaymentRecord{p}
		e.CaptureSought = e.Order != nil && e.Order.Payment.Reference == p.ID
		if err := r.judge(ctx, e); err != nil {
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

// evidence is what order-service itself knows of an order.
func (a *Audit) evidence(id uuid.UUID, orders map[uuid.UUID]*domain.AuditedOrder) domain.Evidence {
	e := domain.Evidence{OrderID: id, Order: orders[id]}
	e.ProviderGone = e.Order != nil && e.Order.Payment.Provider != "" && a.lister(e.Order.Payment.Provider) == nil
	return e
}

// lookForStuck compares the orders that are in between for too long. They do not change, so no pass meets them.
func (r *run) lookForStuck(ctx context.Context) error {
	open, planned := domain.StuckBefore(r.Now())
	for until := r.Now().Add(stuckShare); ; {
		ids, err := r.Orders.StuckOrders(ctx, open, planned, r.Stuck, comparePage)
		if err != nil {
			return err
		}
		if err := r.compare(ctx, ids, time.Time{}); err != nil {
			return err
		}
		if len(ids) < comparePage {
			r.Stuck = uuid.Nil
			return nil
		}
		if r.Stuck = ids[len(ids)-1]; !r.Now().Before(until) {
			return nil
		}
	}
}

// compare judges some orders by what all sides know of them now. If listed is not zero, the payments of orders that were made
// since are compared by the lists of their providers, and not looked up one by one.
func (r *run) compare(ctx context.Context, ids []uuid.UUID, listed time.Time) error {
	gathered, err := r.gather(ctx, ids, listed)
	if err != nil {
		return err
	}
	for _, side := range gathered {
		if side.missed != nil {
			r.miss(side.missed)
		}
		if err := r.judge(ctx, side.Evidence); err != nil {
			return err
		}
	}
	return nil
}

// sides is what all sides know of an order. If missed is not nil, its payment could not be looked up.
type sides struct {
	domain.Evidence
	missed error
}

// gather asks all sides about some orders, at most auditPage. For listed see compare.
func (a *Audit) gather(ctx context.Context, ids []uuid.UUID, listed time.Time) ([]sides, error) {
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
	gathered := make([]sides, len(ids))
	var group errgroup.Group
	group.SetLimit(lookups)
	for i, id := range ids {
		reservation := reservations[id] // of the zero status if there is none
		gathered[i].Evidence = a.evidence(id, orders)
		gathered[i].Reservation = &reservation
		if o := orders[id]; o == nil || !o.SeeksCapture() || !listed.IsZero() && !o.CreatedAt.Before(listed) {
			continue
		}
		group.Go(func() error {
			gathered[i].lookUp(ctx, a.lister(orders[id].Payment.Provider), orders[id].Payment.Reference)
			return nil
		})
	}
	return gathered, errors.Join(group.Wait(), ctx.Err())
}

// lookUp adds a payment to what is known, if its provider can be asked and knows it.
func (s *sides) lookUp(ctx context.Context, lister PaymentLister, id string) {
	if lister == nil {
		return
	}
	var (
		p     domain.PaymentRecord
		known bool
	)
	if id != "" {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		var err error
		if p, known, err = lister.LookUp(ctx, id); err != nil {
			s.missed = fmt.Errorf("look up payment %s: %w", id, err)
			return
		}
	}
	s.CaptureSought = s.CaptureSought || s.Order != nil && id == s.Order.Payment.Reference
	if known {
		s.Payments = append(s.Payments, p)
	}
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
func (r *run) judge(ctx context.Context, e domain.Evidence) error {
	for _, d := range e.Judge(r.Now()) {
		if err := r.seen(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// seen writes down that something was seen, and tells of it when it is a finding.
func (r *run) seen(ctx context.Context, d domain.Discrepancy) error {
	var (
		opened bool
		f      domain.Finding
	)
	err := r.Findings.Watch(ctx, d.Kind, d.Reference, func(known *domain.Finding) (*domain.Finding, error) {
		if known == nil {
			suspect, err := domain.Suspect(d, r.Now())
			opened = false
			return &suspect, err
		}
		opened = known.Seen(d, r.Now(), r.SeeingSince, r.Settle)
		f = *known
		return known, nil
	})
	if err != nil {
		return fmt.Errorf("write down %s of %s: %w", d.Kind, d.Reference, err)
	}
	if opened {
		r.Log.ErrorContext(ctx, "an audit finds what does not agree", "finding_id", f.ID, "kind", f.Kind, "order_id", f.OrderID,
			"reference", f.Reference, "detail", f.Detail, "repairable", f.Repairable)
	}
	return nil
}

// lookAgain looks at what is watched.
func (r *run) lookAgain(ctx context.Context) error {
	if domain.Blind(r.Now().Sub(r.LookedAt), r.Settle) {
		r.SeeingSince = r.Now()
	}
	for until := r.Now().Add(againShare); ; {
		watched, err := r.Findings.WatchedFindings(ctx, r.Again, comparePage)
		if err != nil {
			return err
		}
		looks, err := r.lookAt(ctx, watched)
		if err != nil {
			return err
		}
		for i, f := range watched {
			if err := r.lookedAt(ctx, f, looks[i]); err != nil {
				return fmt.Errorf("%s of %s: %w", f.Kind, f.Reference, err)
			}
		}
		r.LookedAt = r.Now()
		if len(watched) < comparePage {
			r.Again = uuid.Nil
			return nil
		}
		if r.Again = watched[len(watched)-1].ID; !r.Now().Before(until) {
			return nil
		}
	}
}

// lookedAt writes down what became of a finding.
func (r *run) lookedAt(ctx context.Context, f domain.Finding, l look) error {
	switch {
	case l.missed != nil:
		r.miss(l.missed)
		return r.Findings.Watch(ctx, f.Kind, f.Reference, func(known *domain.Finding) (*domain.Finding, error) {
			if known != nil {
				known.Unseen(r.Now())
			}
			return known, nil
		})
	case l.seen != nil:
		return r.seen(ctx, *l.seen)
	case l.told:
		return r.gone(ctx, f)
	default:
		return nil
	}
}

// look is what a finding is now, nil if it is not any more, and whether that can be told: a provider that this shop does not use
// any more can't be asked, and one that is away was missed.
type look struct {
	seen   *domain.Discrepancy
	told   bool
	missed error
}

// lookAt looks at some findings, at most auditPage.
func (a *Audit) lookAt(ctx context.Context, findings []domain.Finding) ([]look, error) {
	var ids []uuid.UUID
	for _, f := range findings {
		if f.OrderID != uuid.Nil && !slices.Contains(ids, f.OrderID) {
			ids = append(ids, f.OrderID)
		}
	}
	gathered, err := a.gather(ctx, ids, time.Time{})
	if err != nil {
		return nil, err
	}
	known := make(map[uuid.UUID]sides, len(gathered))
	for _, s := range gathered {
		known[s.OrderID] = s
	}
	looks := make([]look, len(findings))
	var group errgroup.Group
	group.SetLimit(lookups)
	for i, f := range findings {
		group.Go(func() error {
			looks[i] = a.look(ctx, f, known[f.OrderID])
			return nil
		})
	}
	return looks, errors.Join(group.Wait(), ctx.Err())
}

func (a *Audit) look(ctx context.Context, f domain.Finding, s sides) look {
	if f.Provider != "" {
		lister := a.lister(f.Provider)
		if lister == nil {
			return look{}
		}
		known := slices.ContainsFunc(s.Payments, func(p domain.PaymentRecord) bool { return p.ID == f.Reference })
		if f.Kind == domain.CaptureWithoutOrder && !known {
			s.Payments = slices.Clip(s.Payments) // others look at the same order
			s.lookUp(ctx, lister, f.Reference)
		}
		if s.missed != nil {
			return look{missed: s.missed}
		}
	}
	for _, d := range s.Judge(a.Now()) {
		if d.Kind == f.Kind && d.Reference == f.Reference {
			return look{seen: &d, told: true}
		}
	}
	return look{told: true}
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
