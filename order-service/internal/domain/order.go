// Package domain is what an order is and what may become of it.
package domain

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// MaxLines is how many lines an order may have: as many as a cart, and as many products as one batch call answers.
const MaxLines = 100

// PaymentWindow is how long a pending order waits for somebody to pay it.
const PaymentWindow = 30 * time.Minute

// System is who did what no person did.
const System = "system"

// Item is a line of an order: what was bought, as it was named and priced then.
type Item struct {
	ID        uuid.UUID
	ProductID uuid.UUID
	SKU       string
	Name      string
	Quantity  int64
	UnitPrice money.Money
	LineTotal money.Money
}

// HistoryEntry is one change of state.
type HistoryEntry struct {
	Status Status
	At     time.Time
	By     string // a user's id, or System
	Note   string
}

// Snapshot is an order laid open, for stores and for those who show it. It has no rules: change an Order instead.
type Snapshot struct {
	ID              uuid.UUID
	Number          string
	UserID          uuid.UUID
	Status          Status
	Items           []Item
	Subtotal        money.Money
	Discount        money.Money
	Shipping        money.Money
	Total           money.Money
	ShippingAddress Address
	ShippingMethod  string
	CouponCode      string
	Payment         Payment
	// FromCart says that the items were taken from the customer's cart, which is to lose them once they are bought.
	FromCart  bool
	History   []HistoryEntry
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Order is what a customer buys. Its state changes only by its methods, which keep the rules.
type Order struct {
	s Snapshot
}

// Draft is what an order is made of. Names and prices are those of the product service, never those of a client.
type Draft struct {
	UserID   uuid.UUID
	Items    []Item // without ids and totals
	Shipping ShippingMethod
	Address  Address
	Method   PaymentMethod
	FromCart bool
}

// NewOrder returns a pending order with its totals. It refuses no items, too many, quantities below one, and amounts that
// do not add up to one that can be paid.
func NewOrder(d Draft, at time.Time) (*Order, error) {
	if len(d.Items) == 0 {
		return nil, ErrCartEmpty
	}
	if len(d.Items) > MaxLines {
		return nil, apperr.InvalidField("items", fmt.Sprintf("has %d lines; an order has at most %d", len(d.Items), MaxLines))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make order id: %w", err)
	}
	s := Snapshot{
		ID: id, Number: NewNumber(), UserID: d.UserID, Status: Pending,
		Subtotal: d.Shipping.Price.Zero(), Discount: d.Shipping.Price.Zero(), Shipping: d.Shipping.Price,
		ShippingAddress: d.Address, ShippingMethod: d.Shipping.ID, FromCart: d.FromCart,
		Payment: Payment{Status: PaymentNone, Method: d.Method},
		History: []HistoryEntry{{Status: Pending, At: at, By: d.UserID.String()}},
		Version: 1, CreatedAt: at, UpdatedAt: at,
	}
	for i, item := range d.Items {
		if item.Quantity < 1 {
			return nil, apperr.InvalidField(fmt.Sprintf("items[%d].quantity", i), "must be at least 1")
		}
		if item.UnitPrice.IsNegative() {
			return nil, fmt.Errorf("product %s costs %v", item.ProductID, item.UnitPrice)
		}
		if item.ID, err = uuid.NewV7(); err != nil {
			return nil, fmt.Errorf("make item id: %w", err)
		}
		if item.LineTotal, err = item.UnitPrice.Mul(item.Quantity); err == nil {
			s.Subtotal, err = s.Subtotal.Add(item.LineTotal)
		}
		if err != nil {
			return nil, amountError(i, err)
		}
		s.Items = append(s.Items, item)
	}
	if s.Total, err = s.Subtotal.Add(s.Shipping); err != nil {
		return nil, amountError(len(s.Items)-1, err)
	}
	return &Order{s}, nil
}

// amountError tells a customer who asks for more than there is money in the world from a catalogue that mixes currencies.
func amountError(line int, err error) error {
	if errors.Is(err, money.ErrOverflow) {
		return apperr.InvalidField(fmt.Sprintf("items[%d].quantity", line), "makes the total too large")
	}
	return fmt.Errorf("add up line %d: %w", line, err)
}

// RestoreOrder returns the order that a store has kept.
func RestoreOrder(s Snapshot) *Order { return &Order{s} }

// Snapshot lays the order open.
func (o *Order) Snapshot() Snapshot { return o.s }

// ID returns the order's id.
func (o *Order) ID() uuid.UUID { return o.s.ID }

// Status returns where the order stands.
func (o *Order) Status() Status { return o.s.Status }

// Payment returns how far the order is paid.
func (o *Order) Payment() Payment { return o.s.Payment }

// Free reports whether there is nothing to pay.
func (o *Order) Free() bool { return o.s.Total.IsZero() }

// VisibleTo reports whether a user may see the order: its owner, and staff.
func (o *Order) VisibleTo(userID string, staff bool) bool {
	return staff || o.s.UserID.String() == userID
}

// PaymentUnderWay reports whether an attempt to pay has begun and its outcome is not recorded.
func (o *Order) PaymentUnderWay() bool {
	return o.s.Status == Pending && o.s.Payment.Status == PaymentPending
}

// PaymentDue is when an order that nobody has begun to pay is given up; false for one that need not be.
func (o *Order) PaymentDue() (time.Time, bool) {
	return o.s.CreatedAt.Add(PaymentWindow), o.s.Status == Pending && !o.PaymentUnderWay()
}

// PaymentKey names the current attempt to pay at the provider, where it makes every call repeatable.
func (o *Order) PaymentKey() string {
	return fmt.Sprintf("%s:%d", o.s.ID, o.s.Payment.Attempt)
}

// BeginPayment opens an attempt to pay, at checkout or later.
func (o *Order) BeginPayment(method PaymentMethod, provider string, atCheckout bool, at time.Time) error {
	if o.s.Status != Pending || o.PaymentUnderWay() {
		return ErrNotPayable
	}
	o.s.Payment = Payment{
		Status: PaymentPending, Method: method, Provider: provider,
		Attempt: o.s.Payment.Attempt + 1, AtCheckout: atCheckout,
	}
	o.touch(at)
	return nil
}

// Confirm records that the order is paid for, or is to be paid on delivery.
func (o *Order) Confirm(reference string, at time.Time) error {
	if !o.PaymentUnderWay() {
		return errTransition(o.s.Status, Confirmed)
	}
	if err := o.become(Confirmed, System, "", at); err != nil {
		return err
	}
	o.s.Payment.Reference = reference
	switch {
	case o.Free():
		o.s.Payment.Status = PaymentNone
	case o.s.Payment.Method == CashOnDelivery:
		o.s.Payment.Status = PaymentPending
	default:
		o.s.Payment.Status = PaymentCaptured
	}
	return nil
}

// Decline records that the provider refused the attempt. An order whose checkout it was is cancelled with it; any other
// stays pending and may be paid in another way.
func (o *Order) Decline(reference string, at time.Time) error {
	if !o.PaymentUnderWay() {
		return errTransition(o.s.Status, Cancelled)
	}
	o.s.Payment.Status, o.s.Payment.Reference = PaymentFailed, reference
	if o.s.Payment.AtCheckout {
		return o.become(Cancelled, System, "the payment was declined", at)
	}
	o.touch(at)
	return nil
}

// Cancel ends an order that has not shipped. What was taken for it is to be given back after that: see Reversed.
func (o *Order) Cancel(by, reason string, at time.Time) error {
	return o.become(Cancelled, by, reason, at)
}

// Reversed records that the provider holds nothing for a cancelled order any more.
func (o *Order) Reversed(status PaymentStatus, at time.Time) {
	if o.s.Payment.Status != status {
		o.s.Payment.Status = status
		o.touch(at)
	}
}

// become is the only place where the state changes.
func (o *Order) become(next Status, by, note string, at time.Time) error {
	if !o.s.Status.CanBecome(next) {
		return errTransition(o.s.Status, next)
	}
	o.s.Status = next
	o.s.History = append(o.s.History, HistoryEntry{Status: next, At: at, By: by, Note: note})
	o.touch(at)
	return nil
}

func (o *Order) touch(at time.Time) {
	o.s.UpdatedAt = at
	o.s.Version++
}
