// Package invariants checks from outside, in the databases and in the payment provider's ledger, what must hold of every order of
// a running shop, whatever has happened to its processes. It knows nothing of how the services see to that: it reads what is
// written, and counts.
package invariants

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is something that must not be.
type Finding struct {
	OrderID   string // empty if it is about a product alone
	ProductID string // empty if it is about an order as a whole
	Detail    string
}

func (f Finding) String() string {
	switch {
	case f.OrderID == "":
		return fmt.Sprintf("product %s: %s", f.ProductID, f.Detail)
	case f.ProductID == "":
		return fmt.Sprintf("order %s: %s", f.OrderID, f.Detail)
	default:
		return fmt.Sprintf("order %s, product %s: %s", f.OrderID, f.ProductID, f.Detail)
	}
}

// State is what the shop has written down.
type State struct {
	Orders       map[string]*Order
	Money        map[string]Money        // by order, in the provider's ledger
	Reservations map[string]*Reservation // by order, in product-service
	Products     map[string]Product
}

// Order is what order-service knows of an order. Lines are pieces by product.
type Order struct {
	UserID        string
	Status        string
	Payment       string // its status
	Method        string
	Total         int64
	Refunded      int64 // by refunds that are done
	Lines         map[string]int64
	Restock       map[string]int64 // by refunds that are done and put pieces back
	Kept          map[string]int64 // by refunds that are done, put no pieces back, and came before the order was cancelled
	OpenRefunds   int              // that are under way, or whose pieces are not back yet
	FailedRefunds int              // that the provider refuses, and staff look after
	StockMissing  bool             // by what staff are told: it was paid, and its pieces are gone
	// Planned says that a job looks at the order at some time, and Soon that it is not the end of the time to pay that it waits for.
	Planned, Soon bool
	// Checks counts the looks at its payments that are planned, and Deliveries the events of it that are not with their receivers.
	Checks, Deliveries int
	// Keys counts the uses of keys that made it.
	Keys int
}

// Money is what moved for an order.
type Money struct {
	Open     int64 // held, neither taken nor given back
	Net      int64 // taken and not given back
	MostHeld int64 // the most that was ever taken and not given back at once
	Captures int
}

// Reservation is what product-service has set aside for an order. Moved is what the stock's ledger says left the shelf for it.
type Reservation struct {
	Status string
	Lines  map[string]int64
	Moved  map[string]int64
}

// Product is the stock of one.
type Product struct {
	OnHand, Reserved int64
	Ledger           int64 // the sum of all changes of what is on hand
}

// InBetween returns the orders that are being worked on, or wait for somebody to do it.
func (s State) InBetween() []Finding {
	var found findings
	for id, o := range s.Orders {
		switch {
		case o.underWay():
			found.order(id, "it is %s, and its payment %s", o.Status, o.Payment)
		case o.OpenRefunds > 0:
			found.order(id, "%d refunds are under way", o.OpenRefunds)
		case o.Soon && !o.StockMissing: // that one is asked after for as long as there is no delivery, and a finding of its own
			found.order(id, "it is %s, and a job is to look at it", o.Status)
		case o.Checks > 0:
			found.order(id, "%d looks at its payments are planned", o.Checks)
		case o.Deliveries > 0:
			found.order(id, "%d events of it are to be delivered", o.Deliveries)
		}
	}
	return found.sorted()
}

// Findings returns what must not be once nothing is in between any more. What is left to staff is a finding, too: who checks has
// pieces enough, and cards that take refunds, so a shop that calls for help has gone wrong.
func (s State) Findings() []Finding {
	found := findings(s.InBetween())
	for id, o := range s.Orders {
		s.checkOrder(&found, id, o)
	}
	for id, m := range s.Money {
		if s.Orders[id] == nil && (m.Net != 0 || m.Open != 0) {
			found.order(id, "there is no such order, and its payment holds %d and has taken %d", m.Open, m.Net)
		}
	}
	for id, r := range s.Reservations {
		if s.Orders[id] == nil && (r.Status == "active" || r.Status == "confirmed") {
			found.order(id, "there is no such order, and its reservation is %s", r.Status)
		}
		s.checkMoved(&found, id, r)
	}
	s.checkProducts(&found)
	return found.sorted()
}

func (s State) checkOrder(found *findings, id string, o *Order) {
	if o.Keys != 1 {
		found.order(id, "%d keys have made it, want 1", o.Keys)
	}
	if o.Status == "pending" && !o.Planned {
		found.order(id, "it is pending, and nobody will ever look at it")
	}
	if o.StockMissing {
		found.order(id, "it is %s, and its pieces are missing", o.Status)
	}
	if o.FailedRefunds > 0 {
		found.order(id, "it is %s, and %d refunds have failed", o.Status, o.FailedRefunds)
	}
	money, due := s.Money[id], int64(0)
	if o.paidByCard() {
		due = o.Total - o.Refunded
	}
	if money.Net != due {
		found.order(id, "it is %s, its payment %s: %d was taken, want %d", o.Status, o.Payment, money.Net, due)
	}
	if money.Open != 0 {
		found.order(id, "it is %s, and %d is still held", o.Status, money.Open)
	}
	if money.MostHeld > o.Total {
		found.order(id, "it cost %d, and at one time %d was taken", o.Total, money.MostHeld)
	}
	if o.sold() && o.Method == "card" && o.Total > 0 && !o.paidByCard() {
		found.order(id, "it is %s, and its payment %s", o.Status, o.Payment)
	}

	r := s.Reservations[id]
	if r == nil {
		r = &Reservation{Status: "absent"}
	}
	switch want := o.reservation(); {
	case want == "" && r.Status != "active" && r.Status != "confirmed":
	case want != r.Status:
		found.order(id, "it is %s, and its reservation %s", o.Status, r.Status)
	default:
		for product, n := range union(o.Lines, r.Lines) {
			if n[0] != n[1] {
				found.line(id, product, "%d are bought, %d reserved", n[0], n[1])
			}
		}
	}
}

// checkMoved compares what left the shelf with what was bought and kept.
func (s State) checkMoved(found *findings, id string, r *Reservation) {
	kept := map[string]int64{}
	switch o := s.Orders[id]; {
	case o == nil:
	case o.Status == "cancelled":
		kept = o.Kept
	case o.sold():
		for product, n := range o.Lines {
			kept[product] = n - o.Restock[product]
		}
	}
	for product, n := range union(kept, r.Moved) {
		if n[0] != n[1] {
			found.line(id, product, "%d are bought and kept, %d have left the shelf", n[0], n[1])
		}
	}
}

func (s State) checkProducts(found *findings) {
	reserved := map[string]int64{}
	for _, r := range s.Reservations {
		if r.Status == "active" {
			for product, n := range r.Lines {
				reserved[product] += n
			}
		}
	}
	for id, p := range s.Products {
		if p.Reserved != reserved[id] {
			found.product(id, "%d are reserved, by reservations %d", p.Reserved, reserved[id])
		}
		if p.OnHand != p.Ledger {
			found.product(id, "%d are on hand, by the ledger %d", p.OnHand, p.Ledger)
		}
		if p.OnHand < p.Reserved || p.Reserved < 0 {
			found.product(id, "%d are on hand and %d reserved", p.OnHand, p.Reserved)
		}
	}
}

// underWay reports whether money may still come, or is still to go back.
func (o *Order) underWay() bool {
	return (o.Status == "pending" || o.Status == "cancelled") && (o.Payment == "pending" || o.Payment == "authorized")
}

// sold reports whether the pieces are the customer's.
func (o *Order) sold() bool { return o.Status != "pending" && o.Status != "cancelled" }

func (o *Order) paidByCard() bool {
	return o.Method == "card" && o.sold() && slices.Contains([]string{"captured", "partially_refunded", "refunded"}, o.Payment)
}

// reservation is the state that the order's must have; empty for none that holds anything.
func (o *Order) reservation() string {
	switch {
	case o.sold():
		return "confirmed"
	case o.Status == "pending":
		return "active"
	default:
		return ""
	}
}

// union pairs what two counts say of each product.
func union(a, b map[string]int64) map[string][2]int64 {
	both := map[string][2]int64{}
	for product, n := range a {
		both[product] = [2]int64{n, b[product]}
	}
	for product, n := range b {
		both[product] = [2]int64{a[product], n}
	}
	return both
}

type findings []Finding

func (f *findings) order(id, format string, args ...any) {
	*f = append(*f, Finding{OrderID: id, Detail: fmt.Sprintf(format, args...)})
}

func (f *findings) product(id, format string, args ...any) {
	*f = append(*f, Finding{ProductID: id, Detail: fmt.Sprintf(format, args...)})
}

func (f *findings) line(order, product, format string, args ...any) {
	*f = append(*f, Finding{OrderID: order, ProductID: product, Detail: fmt.Sprintf(format, args...)})
}

func (f findings) sorted() []Finding {
	slices.SortFunc(f, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.OrderID, b.OrderID), strings.Compare(a.ProductID, b.ProductID), strings.Compare(a.Detail, b.Detail))
	})
	return f
}
