package domain_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
)

// What is under way is no discrepancy, whichever of its outcomes the provider knows already, until it takes too long.
func TestJudgeAllowsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	// seen is evidence of a time: orders are made at noon.
	type seen struct {
		domain.Evidence
		now time.Time
	}
	evidence := func(age time.Duration, do func(o *domain.Order, at time.Time) error) seen {
		t.Helper()
		o := newOrder(t, item(2, 1250), item(1, 99))
		if err := do(o, noon); err != nil {
			t.Fatal(err)
		}
		pieces := make(map[uuid.UUID]int64)
		for _, item := range o.Snapshot().Items {
			pieces[item.ProductID] = item.Quantity
		}
		return seen{domain.Evidence{
			OrderID: o.ID(), Order: &domain.AuditedOrder{Snapshot: o.Snapshot(), Planned: true},
			Reservation: &domain.Reservation{OrderID: o.ID(), Status: domain.ReservationActive, Pieces: pieces},
		}, noon.Add(age)}
	}
	paying := func(o *domain.Order, at time.Time) error { return o.BeginPayment(domain.Card, "test", true, at) }
	record := func(e domain.Evidence, promised, captured, refunded int64) domain.PaymentRecord {
		return domain.PaymentRecord{
			Provider: "test", ID: "pay_1", Key: domain.RestoreOrder(e.Order.Snapshot).PaymentKey(), OrderID: e.OrderID,
			Currency: e.Order.Total.Currency(), Promised: promised, Captured: captured, Refunded: refunded,
		}
	}
	paid := func(o *domain.Order, at time.Time) error {
		if err := paying(o, at); err != nil {
			return err
		}
		return o.Confirm("pay_1", at)
	}
	refunding := func(o *domain.Order, at time.Time) error {
		if err := paid(o, at); err != nil {
			return err
		}
		_, err := o.Refund(domain.RefundWish{ID: uuid.New(), Amount: 100, Reason: "x", By: domain.System}, at)
		return err
	}
	for name, tc := range map[string]struct {
		e    seen
		with func(e *domain.Evidence)
		want domain.FindingKind // empty for none
	}{
		"unpaid": {evidence(time.Minute, func(*domain.Order, time.Time) error { return nil }), func(*domain.Evidence) {}, ""},
		"being paid, nothing reserved yet": {evidence(time.Minute, paying), func(e *domain.Evidence) {
			e.Reservation = &domain.Reservation{}
		}, ""},
		"being paid, money taken": {evidence(time.Minute, paying), func(e *domain.Evidence) {
			e.Payments = []domain.PaymentRecord{record(*e, 0, e.Order.Total.Amount(), 0)}
		}, ""},
		"being paid for as long as a bank takes": {evidence(29*time.Minute, paying), func(*domain.Evidence) {}, ""},
		"being paid for longer":                  {evidence(33*time.Minute, paying), func(*domain.Evidence) {}, domain.OrderStuck},
		"being paid, and nobody looks": {evidence(3*time.Minute, paying), func(e *domain.Evidence) {
			e.Order.Planned = false
		}, domain.OrderStuck},
		"being paid, and nobody looks yet": {evidence(time.Minute, paying), func(e *domain.Evidence) { e.Order.Planned = false }, ""},
		"money promised under another key": {evidence(time.Minute, paying), func(e *domain.Evidence) {
			p := record(*e, 100, 0, 0)
			p.Key = e.OrderID.String() + ":7"
			e.Payments = []domain.PaymentRecord{p}
		}, domain.CaptureWithoutOrder},
		"a refund that the provider has not done": {evidence(time.Minute, refunding), func(e *domain.Evidence) {
			e.Payments, e.CaptureSought = []domain.PaymentRecord{record(*e, 0, e.Order.Total.Amount(), 0)}, true
			e.Reservation.Status = domain.ReservationConfirmed
		}, ""},
		"a refund that the provider has done": {evidence(time.Minute, refunding), func(e *domain.Evidence) {
			e.Payments, e.CaptureSought = []domain.PaymentRecord{record(*e, 0, e.Order.Total.Amount(), 100)}, true
			e.Reservation.Status = domain.ReservationConfirmed
		}, ""},
		"more refunded than is promised": {evidence(time.Minute, refunding), func(e *domain.Evidence) {
			e.Payments, e.CaptureSought = []domain.PaymentRecord{record(*e, 0, e.Order.Total.Amount(), 101)}, true
			e.Reservation.Status = domain.ReservationConfirmed
		}, domain.AmountDiffers},
		"another currency": {evidence(time.Minute, paid), func(e *domain.Evidence) {
			p := record(*e, 0, e.Order.Total.Amount(), 0)
			p.Currency = "USD"
			e.Payments, e.CaptureSought = []domain.PaymentRecord{p}, true
			e.Reservation.Status = domain.ReservationConfirmed
		}, domain.AmountDiffers},
		"more captured than it costs": {evidence(time.Minute, paid), func(e *domain.Evidence) {
			e.Payments, e.CaptureSought = []domain.PaymentRecord{record(*e, 0, e.Order.Total.Amount()+1, 0)}, true
			e.Reservation.Status = domain.ReservationConfirmed
		}, domain.AmountDiffers},
		"less captured than it costs": {evidence(time.Minute, paid), func(e *domain.Evidence) {
			e.Payments, e.CaptureSought = []domain.PaymentRecord{record(*e, 0, e.Order.Total.Amount()-1, 0)}, true
			e.Reservation.Status = domain.ReservationConfirmed
		}, domain.OrderWithoutCapture},
		"a provider that can't be asked": {evidence(time.Minute, paid), func(e *domain.Evidence) {
			e.Reservation.Status = domain.ReservationConfirmed
		}, ""},
		"paid, and its promise has expired": {evidence(time.Minute, paid), func(e *domain.Evidence) {
			e.Reservation.Status = domain.ReservationExpired
		}, domain.OrderWithoutReservation},
	} {
		tc.with(&tc.e.Evidence)
		found := tc.e.Judge(tc.e.now)
		switch {
		case tc.want == "" && len(found) > 0:
			t.Errorf("%s: %+v", name, found)
		case tc.want != "" && (len(found) != 1 || found[0].Kind != tc.want):
			t.Errorf("%s: %+v, want one %s", name, found, tc.want)
		}
	}
}
