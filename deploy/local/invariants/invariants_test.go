package invariants

import (
	"strings"
	"testing"
)

// sound is a shop at rest, with an order of each kind.
func sound() State {
	lines := func(n int64) map[string]int64 { return map[string]int64{"lamp": n} }
	return State{
		Orders: map[string]*Order{
			"paid":      {Status: "confirmed", Payment: "captured", Method: "card", Total: 5490, Lines: lines(2), Keys: 1},
			"cash":      {Status: "confirmed", Payment: "pending", Method: "cash_on_delivery", Total: 2990, Lines: lines(1), Keys: 1},
			"refunded":  {Status: "delivered", Payment: "partially_refunded", Method: "card", Total: 5490, Refunded: 2500, Lines: lines(2), Restock: lines(1), Keys: 1},
			"unpaid":    {Status: "pending", Payment: "none", Method: "card", Total: 2990, Lines: lines(1), Planned: true, Keys: 1},
			"cancelled": {Status: "cancelled", Payment: "refunded", Method: "card", Total: 2990, Refunded: 2990, Lines: lines(1), Keys: 1},
			"broken":    {Status: "cancelled", Payment: "refunded", Method: "card", Total: 5490, Refunded: 5490, Lines: lines(2), Restock: lines(1), Kept: lines(1), Keys: 1},
		},
		Money: map[string]Money{
			"paid": {Net: 5490, MostHeld: 5490, Captures: 1}, "refunded": {Net: 2990, MostHeld: 5490, Captures: 1},
			"cancelled": {MostHeld: 2990, Captures: 1}, "never came to be": {},
		},
		Reservations: map[string]*Reservation{
			"paid":      {Status: "confirmed", Lines: lines(2), Moved: lines(2)},
			"cash":      {Status: "confirmed", Lines: lines(1), Moved: lines(1)},
			"refunded":  {Status: "confirmed", Lines: lines(2), Moved: lines(1)},
			"unpaid":    {Status: "active", Lines: lines(1)},
			"broken":    {Status: "released", Lines: lines(2), Moved: lines(1)},
			"cancelled": {Status: "released", Lines: lines(1), Moved: lines(0)}, "never came to be": {Status: "released"},
		},
		Products: map[string]Product{"lamp": {OnHand: 6, Reserved: 1, Ledger: 6}},
	}
}

func TestSound(t *testing.T) {
	t.Parallel()
	if found := sound().Findings(); len(found) != 0 {
		t.Errorf("findings in a sound shop: %v", found)
	}
}

func TestEachFinding(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		plant func(State)
		want  string
	}{
		"payment under way":       {func(s State) { s.Orders["unpaid"].Payment = "pending" }, "order unpaid: it is pending, and its payment pending"},
		"money held, no decision": {func(s State) { s.Orders["unpaid"].Payment = "authorized" }, "order unpaid: it is pending, and its payment authorized"},
		"cancelled, payment not called off": {func(s State) { s.Orders["cancelled"].Payment = "pending" },
			"order cancelled: it is cancelled, and its payment pending"},
		"cancelled, money not let go": {func(s State) { s.Orders["cancelled"].Payment = "authorized" },
			"order cancelled: it is cancelled, and its payment authorized"},
		"refund under way": {func(s State) { s.Orders["paid"].OpenRefunds = 1 }, "order paid: 1 refunds are under way"},
		"work left":        {func(s State) { s.Orders["paid"].Soon = true }, "order paid: it is confirmed, and a job is to look at it"},
		"look planned":     {func(s State) { s.Orders["paid"].Checks = 1 }, "order paid: 1 looks at its payments are planned"},
		"not told":         {func(s State) { s.Orders["paid"].Deliveries = 2 }, "order paid: 2 events of it are to be delivered"},
		"pieces missing":   {func(s State) { s.Orders["paid"].StockMissing = true }, "order paid: it is confirmed, and its pieces are missing"},
		"pieces of a paid order released": {func(s State) {
			s.Orders["paid"].StockMissing = true
			s.Reservations["paid"].Status = "released"
		}, "order paid: it is confirmed, and its reservation released"},
		"pieces of a paid order gone": {func(s State) {
			s.Orders["paid"].StockMissing = true
			s.Reservations["paid"].Moved = nil
		}, "order paid, product lamp: 2 are bought and kept, 0 have left the shelf"},
		"refund of a cancelled order failed": {func(s State) { s.Orders["cancelled"].FailedRefunds = 1 },
			"order cancelled: it is cancelled, and 1 refunds have failed"},
		"refund of a cancelled order failed, money kept": {func(s State) {
			s.Orders["cancelled"].FailedRefunds, s.Orders["cancelled"].Refunded = 1, 0
			s.Money["cancelled"] = Money{Net: 2990, MostHeld: 2990, Captures: 1}
		}, "order cancelled: it is cancelled, its payment refunded: 2990 was taken, want 0"},
		"refund of a living order failed": {func(s State) { s.Orders["refunded"].FailedRefunds = 1 },
			"order refunded: it is delivered, and 1 refunds have failed"},
		"stranded":              {func(s State) { s.Orders["unpaid"].Planned = false }, "order unpaid: it is pending, and nobody will ever look at it"},
		"no key":                {func(s State) { s.Orders["paid"].Keys = 0 }, "order paid: 0 keys have made it"},
		"not taken":             {func(s State) { delete(s.Money, "paid") }, "order paid: it is confirmed, its payment captured: 0 was taken, want 5490"},
		"taken twice, and kept": {func(s State) { s.Money["paid"] = Money{Net: 10980, MostHeld: 10980} }, "order paid: it is confirmed, its payment captured: 10980 was taken, want 5490"},
		"taken twice, and given back": {func(s State) { s.Money["paid"] = Money{Net: 5490, MostHeld: 10980} },
			"order paid: it cost 5490, and at one time 10980 was taken"},
		"taken for a cancelled order": {func(s State) { s.Money["cancelled"] = Money{Net: 2990, MostHeld: 2990} }, "order cancelled: it is cancelled, its payment refunded: 2990 was taken, want 0"},
		"still held":                  {func(s State) { s.Money["paid"] = Money{Net: 5490, Open: 5490} }, "order paid: it is confirmed, and 5490 is still held"},
		"taken for no order":          {func(s State) { s.Money["never came to be"] = Money{Net: 1} }, "order never came to be: there is no such order, and its payment holds 0 and has taken 1"},
		"confirmed unpaid":            {func(s State) { s.Orders["paid"].Payment = "none"; delete(s.Money, "paid") }, "order paid: it is confirmed, and its payment none"},
		"not confirmed":               {func(s State) { s.Reservations["paid"].Status = "active" }, "order paid: it is confirmed, and its reservation active"},
		"not released":                {func(s State) { s.Reservations["cancelled"].Status = "active" }, "order cancelled: it is cancelled, and its reservation active"},
		"absent":                      {func(s State) { delete(s.Reservations, "unpaid") }, "order unpaid: it is pending, and its reservation absent"},
		"other lines":                 {func(s State) { s.Reservations["unpaid"].Lines["lamp"] = 2 }, "order unpaid, product lamp: 1 are bought, 2 reserved"},
		"reserved for no order":       {func(s State) { s.Reservations["never came to be"].Status = "active" }, "order never came to be: there is no such order, and its reservation is active"},
		"restocked twice":             {func(s State) { s.Reservations["refunded"].Moved["lamp"] = 0 }, "order refunded, product lamp: 1 are bought and kept, 0 have left the shelf"},
		"back though it was kept":     {func(s State) { s.Reservations["broken"].Moved["lamp"] = 0 }, "order broken, product lamp: 1 are bought and kept, 0 have left the shelf"},
		"left for a cancelled order":  {func(s State) { s.Reservations["cancelled"].Moved["lamp"] = 1 }, "order cancelled, product lamp: 0 are bought and kept, 1 have left the shelf"},
		"reserved by nobody":          {func(s State) { s.Products["lamp"] = Product{OnHand: 6, Reserved: 2, Ledger: 6} }, "product lamp: 2 are reserved, by reservations 1"},
		"moved by nobody":             {func(s State) { s.Products["lamp"] = Product{OnHand: 7, Reserved: 1, Ledger: 6} }, "product lamp: 7 are on hand, by the ledger 6"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sound()
			tc.plant(s)
			for _, f := range s.Findings() {
				if strings.HasPrefix(f.String(), tc.want) {
					return
				}
			}
			t.Errorf("findings: %v, want %q", s.Findings(), tc.want)
		})
	}
}
