package domain

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// RefundStatus is how far a refund is.
type RefundStatus string

// The states of a refund.
const (
	RefundPending RefundStatus = "pending" // written down; whether the provider has done it is not known
	RefundDone    RefundStatus = "done"
	RefundFailed  RefundStatus = "failed" // the provider refused it for good: what it was to give back is still paid
)

// RefundedItem is how many pieces of a line are given back.
type RefundedItem struct {
	ItemID   uuid.UUID
	Quantity int64
}

// Refund is money that goes back to the customer.
type Refund struct {
	ID     uuid.UUID
	Status RefundStatus
	Amount money.Money
	// Items are what it is given back for; none when it is for an amount.
	Items   []RefundedItem
	Reason  string
	Restock bool
	// Restocked says that the pieces are back on the shelf.
	Restocked bool
	By        string // a user's id, or System
	At        time.Time
}

// Open reports whether something is left to do for the refund.
func (r Refund) Open() bool {
	return r.Status == RefundPending || r.Status == RefundDone && r.Restock && !r.Restocked
}

// RefundWish is what somebody wants to give back: an amount, or what was paid for some items, or else all that is left.
type RefundWish struct {
	ID     uuid.UUID
	Amount int64 // minor units; 0 for none
	// Currency is that of the amount; empty for the order's, and nothing else will do.
	Currency string
	Items    []RefundedItem
	Reason   string
	Restock  bool
	By       string
}

// Refund writes down a refund, before anybody asks the provider for it: from now on its amount and its pieces can't be
// given back once more. It is pending, but for an order that was paid on delivery, where no provider has the money: who gives
// it back says so with this. It refuses more than was paid and not given back yet.
func (o *Order) Refund(wish RefundWish, at time.Time) (Refund, error) {
	switch o.s.Payment.Status {
	case PaymentCaptured, PaymentPartiallyRefunded, PaymentRefunded:
	default:
		return Refund{}, ErrRefundExceeds.WithAttribute("refundable", int64(0)) // nothing was paid yet, or it went back
	}
	left := o.refundable()
	if wish.Restock && wish.Amount == left && len(wish.Items) == 0 && o.refundsNameItems() {
		wish.Amount = 0 // all that is left, in figures: then it is known which pieces come back
	}
	r := Refund{
		ID: wish.ID, Status: RefundPending, Items: slices.Clone(wish.Items), Reason: wish.Reason, Restock: wish.Restock,
		By: wish.By, At: at,
	}
	amount := left
	switch {
	case wish.Currency != "" && wish.Currency != o.s.Total.Currency():
		return Refund{}, apperr.InvalidField("amount.currency", "must be "+o.s.Total.Currency()+", as the order's")
	case wish.Amount > 0 && len(wish.Items) > 0:
		return Refund{}, apperr.InvalidField("amount", "expected either an amount or items")
	case wish.Amount > 0 && wish.Restock:
		return Refund{}, apperr.InvalidField("restock", "needs items: an amount does not say which pieces come back")
	case wish.Amount > 0:
		amount = wish.Amount
	case len(wish.Items) > 0:
		var err error
		if amount, err = o.worth(wish.Items); err != nil {
			return Refund{}, err
		}
		if amount == 0 {
			return Refund{}, apperr.InvalidField("items", "nothing was paid for them")
		}
	default:
		r.Items = o.itemsLeft()
		r.Restock = r.Restock && len(r.Items) > 0 // it may be only the delivery
	}
	if amount == 0 || amount > left {
		return Refund{}, ErrRefundExceeds.WithAttribute("refundable", left)
	}
	var err error
	if r.Amount, err = money.New(amount, o.s.Total.Currency()); err != nil {
		return Refund{}, err
	}
	o.s.Refunds = append(slices.Clone(o.s.Refunds), r)
	o.touch(at)
	if o.s.Payment.Method == CashOnDelivery {
		if err := o.FinishRefund(r.ID, at); err != nil {
			return Refund{}, err
		}
	}
	return o.s.Refunds[len(o.s.Refunds)-1], nil
}

// FinishRefund records that the money of a refund is back. When all of it is, the order is refunded. A refund that counted as
// failed is done, too, if the provider says so, as long as nothing else was given back in its stead.
func (o *Order) FinishRefund(id uuid.UUID, at time.Time) error {
	r, err := o.refund(id)
	switch {
	case err != nil:
		return err
	case r.Status == RefundDone:
		return nil
	case r.Status == RefundFailed && r.Amount.Amount() > o.refundable():
		return fmt.Errorf("refund %s was given back after all, and what it was to give back is promised to another", id)
	}
	r.Status = RefundDone
	o.s.Payment.Status = PaymentPartiallyRefunded
	if o.GivenBack() == o.s.Total {
		o.s.Payment.Status = PaymentRefunded
		if o.s.Status.CanBecome(Refunded) {
			return o.become(Refunded, r.By, r.Reason, at)
		}
	}
	o.touch(at)
	return nil
}

// FailRefund records that the provider refused a refund for good, which frees its amount and its pieces.
func (o *Order) FailRefund(id uuid.UUID, at time.Time) error {
	r, err := o.refund(id)
	if err != nil || r.Status != RefundPending {
		return err
	}
	r.Status = RefundFailed
	o.touch(at)
	return nil
}

// Restocked records that the pieces of a refund are back on the shelf. Nobody sees that of an order, so its version stays.
func (o *Order) Restocked(id uuid.UUID) error {
	r, err := o.refund(id)
	if err == nil {
		r.Restocked = true
	}
	return err
}

// RestockAgain has the pieces put back once more that were put back already, and returns the refunds that they are of: the shelf has
// forgotten them.
func (o *Order) RestockAgain() (ids []uuid.UUID) {
	for i, r := range o.s.Refunds {
		if !r.Restocked {
			continue
		}
		if len(ids) == 0 {
			o.s.Refunds = slices.Clone(o.s.Refunds)
		}
		o.s.Refunds[i].Restocked = false
		ids = append(ids, r.ID)
	}
	return ids
}

// Kept are the pieces of a cancelled order that do not come back, one entry a line: they were refunded before, and staff did not say
// that they go back on the shelf.
func (o *Order) Kept() []RefundedItem {
	cancelled := slices.IndexFunc(o.s.History, func(e HistoryEntry) bool { return e.Status == Cancelled })
	if cancelled < 0 {
		return nil
	}
	pieces := make(map[uuid.UUID]int64)
	for _, r := range o.s.Refunds {
		if !r.Restock && r.Status != RefundFailed && !r.At.After(o.s.History[cancelled].At) {
			for _, item := range r.Items {
				pieces[item.ItemID] += item.Quantity
			}
		}
	}
	var kept []RefundedItem
	for _, item := range o.s.Items {
		if n := pieces[item.ID]; n > 0 {
			kept = append(kept, RefundedItem{item.ID, n})
		}
	}
	return kept
}

// RefundOf returns a refund of the order, and whether there is one with the id.
func (o *Order) RefundOf(id uuid.UUID) (Refund, bool) {
	i := slices.IndexFunc(o.s.Refunds, func(r Refund) bool { return r.ID == id })
	if i < 0 {
		return Refund{}, false
	}
	return o.s.Refunds[i], true
}

// OpenRefunds are those for which something is left to do.
func (o *Order) OpenRefunds() []Refund {
	var open []Refund
	for _, r := range o.s.Refunds {
		if r.Open() {
			open = append(open, r)
		}
	}
	return open
}

// GivenBack is how much of the money is back at the customer.
func (o *Order) GivenBack() money.Money { return o.s.GivenBack() }

// GivenBack is how much of the money is back at the customer.
func (s Snapshot) GivenBack() money.Money {
	if s.Payment.Status == PaymentRefunded {
		return s.Total // also what was taken and given back before it counted as paid
	}
	sum := int64(0)
	for _, r := range s.Refunds {
		if r.Status == RefundDone {
			sum += r.Amount.Amount()
		}
	}
	return s.amount(sum)
}

// Promised is how much of the money refunds have given back, or are about to.
func (s Snapshot) Promised() money.Money {
	sum := int64(0)
	for _, r := range s.Refunds {
		if r.Status != RefundFailed {
			sum += r.Amount.Amount()
		}
	}
	return s.amount(sum)
}

// amount is a part of the total, which therefore is an amount that there can be.
func (s Snapshot) amount(minor int64) money.Money { return money.MustNew(minor, s.Total.Currency()) }

// refund returns the refund with an id, to change it.
func (o *Order) refund(id uuid.UUID) (*Refund, error) {
	i := slices.IndexFunc(o.s.Refunds, func(r Refund) bool { return r.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("order %s has no refund %s", o.s.ID, id)
	}
	o.s.Refunds = slices.Clone(o.s.Refunds)
	return &o.s.Refunds[i], nil
}

// refundable is what was paid and is not promised to be given back, in minor units.
func (o *Order) refundable() int64 {
	if o.s.Payment.Status == PaymentRefunded {
		return 0
	}
	return o.s.Total.Amount() - o.s.Promised().Amount()
}

// piecesBack is how many pieces of a line were given back, or are to be.
func (o *Order) piecesBack(itemID uuid.UUID) (n int64) {
	for _, r := range o.s.Refunds {
		if r.Status == RefundFailed {
			continue
		}
		for _, item := range r.Items {
			if item.ItemID == itemID {
				n += item.Quantity
			}
		}
	}
	return n
}

// refundsNameItems reports whether it is known of all money that was given back which pieces it was for.
func (o *Order) refundsNameItems() bool {
	return !slices.ContainsFunc(o.s.Refunds, func(r Refund) bool { return r.Status != RefundFailed && len(r.Items) == 0 })
}

// itemsLeft are all pieces that were not given back.
func (o *Order) itemsLeft() []RefundedItem {
	var left []RefundedItem
	for _, item := range o.s.Items {
		if n := item.Quantity - o.piecesBack(item.ID); n > 0 {
			left = append(left, RefundedItem{item.ID, n})
		}
	}
	return left
}

// worth is what was paid for some pieces, in minor units.
func (o *Order) worth(items []RefundedItem) (sum int64, _ error) {
	seen := make(map[uuid.UUID]bool, len(items))
	for i, wanted := range items {
		location := fmt.Sprintf("items[%d]", i)
		line := slices.IndexFunc(o.s.Items, func(item Item) bool { return item.ID == wanted.ItemID })
		switch {
		case line < 0:
			return 0, apperr.InvalidField(location+".item_id", "is not an item of this order")
		case seen[wanted.ItemID]:
			return 0, apperr.InvalidField(location+".item_id", "is there twice")
		case wanted.Quantity < 1:
			return 0, apperr.InvalidField(location+".quantity", "must be at least 1")
		}
		seen[wanted.ItemID] = true
		item, back := o.s.Items[line], o.piecesBack(wanted.ItemID)
		if left := item.Quantity - back; wanted.Quantity > left {
			return 0, ErrRefundExceeds.With(apperr.Violation{
				Location: location + ".quantity", Message: fmt.Sprintf("only %d were bought and not refunded", left),
				Attributes: map[string]any{"item_id": wanted.ItemID.String(), "refundable": left},
			})
		}
		paid := o.paidFor(line)
		sum += share(paid, back+wanted.Quantity, item.Quantity) - share(paid, back, item.Quantity)
	}
	return sum, nil
}

// paidFor is what was paid for a line: its total less its share of the discount. The shares are cut from the discount one
// after the other, in the order of the lines, so that all lines together come to the subtotal less the discount exactly.
func (o *Order) paidFor(line int) int64 {
	before := int64(0)
	for _, item := range o.s.Items[:line] {
		before += item.LineTotal.Amount()
	}
	total := o.s.Items[line].LineTotal.Amount()
	discount, subtotal := o.s.Discount.Amount(), o.s.Subtotal.Amount()
	return total - (share(discount, before+total, subtotal) - share(discount, before, subtotal))
}

// share is the part of an amount that falls to the first n of all, rounded down: 0 <= n <= all.
func share(amount, n, all int64) int64 {
	if all == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(amount), uint64(n)) //nolint:gosec // neither is negative
	part, _ := bits.Div64(hi, lo, uint64(all))      //nolint:gosec // n <= all, so the quotient is at most amount
	return int64(part)                              //nolint:gosec // as said
}
