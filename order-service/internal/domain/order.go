// Package domain is what an order is and what may become of it.
package domain

import (
	"cmp"
	"fmt"
	"slices"
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
	// Grams is what one piece weighs; 0 if nobody has said.
	Grams int64
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
	Benefit         Benefit // of the coupon
	Payment         Payment
	// Tracking is where the parcel can be followed; empty before it ships.
	Tracking string
	Refunds  []Refund
	// StockMissingSince is since when a paid order waits for pieces that there are not; zero if it does not.
	StockMissingSince time.Time
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
	// CouponCode and Benefit are those of the coupon, if there is one.
	CouponCode string
	Benefit    Benefit
}

// NewOrder returns a pending order with its totals. It refuses no items, too many, quantities that are too small or too
// large, and what Price refuses.
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
	items := slices.Clone(d.Items)
	for i, item := range items {
		switch {
		case item.Quantity < 1:
			return nil, apperr.InvalidField(fmt.Sprintf("items[%d].quantity", i), "must be at least 1")
		case item.Quantity > MaxQuantity:
			return nil, apperr.InvalidField(fmt.Sprintf("items[%d].quantity", i), fmt.Sprintf("must be at most %d", MaxQuantity))
		}
		if items[i].ID, err = uuid.NewV7(); err != nil {
			return nil, fmt.Errorf("make item id: %w", err)
		}
	}
	prices, err := Price(items, d.Shipping, d.Benefit)
	if err != nil {
		return nil, err
	}
	s := Snapshot{
		ID: id, Number: NewNumber(), UserID: d.UserID, Status: Pending,
		ShippingAddress: d.Address, ShippingMethod: d.Shipping.ID, CouponCode: d.CouponCode, Benefit: d.Benefit, FromCart: d.FromCart,
		Payment: Payment{Status: PaymentNone, Method: d.Method},
		History: []HistoryEntry{{Status: Pending, At: at, By: d.UserID.String()}},
		Version: 1, CreatedAt: at, UpdatedAt: at,
	}
	s.apply(prices)
	return &Order{s}, nil
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
func (o *Order) PaymentKey() string { return o.paymentKey(o.s.Payment.Attempt) }

// PastPaymentKeys names the attempts to pay before the current one. All of them came to nothing.
func (o *Order) PastPaymentKeys() []string {
	var keys []string
	for attempt := 1; attempt < o.s.Payment.Attempt; attempt++ {
		keys = append(keys, o.paymentKey(attempt))
	}
	return keys
}

func (o *Order) paymentKey(attempt int) string { return fmt.Sprintf("%s:%d", o.s.ID, attempt) }

// PaymentGivenUp reports whether the current attempt to pay came to nothing too: the provider is to hold nothing for it.
func (o *Order) PaymentGivenUp() bool {
	return o.s.Payment.Status == PaymentVoided || o.s.Payment.Status == PaymentFailed
}

// BeginPayment opens an attempt to pay, at checkout or later. A provider has to do only with what is paid by card.
func (o *Order) BeginPayment(method PaymentMethod, provider string, atCheckout bool, at time.Time) error {
	if o.s.Status != Pending || o.PaymentUnderWay() {
		return ErrNotPayable
	}
	if method != Card {
		provider = ""
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

// BegunBy names the request, by its key, that has begun the current attempt to pay.
func (o *Order) BegunBy(request uuid.UUID) { o.s.Payment.Request = request }

// Abandon records that the attempt to pay came to nothing: the provider holds nothing for it, as status says. An order whose
// checkout it was is cancelled with it; any other stays pending and may be paid again.
func (o *Order) Abandon(status PaymentStatus, at time.Time) error {
	if !o.PaymentUnderWay() {
		return errTransition(o.s.Status, Cancelled)
	}
	o.Reversed(status, at)
	if o.s.Payment.AtCheckout {
		return o.become(Cancelled, System, "the checkout was interrupted", at)
	}
	return nil
}

// Cancel ends an order that has not shipped. What was paid and not given back yet becomes a refund; what may have been taken
// without being recorded is to be given back after that: see Reversed. The pieces come back by the release of the reservation,
// but for those that Kept says.
func (o *Order) Cancel(by, reason string, at time.Time) error {
	if err := o.become(Cancelled, by, reason, at); err != nil {
		return err
	}
	switch o.s.Payment.Status {
	case PaymentCaptured, PaymentPartiallyRefunded:
	default:
		return nil
	}
	if o.refundable() == 0 {
		return nil
	}
	_, err := o.refundRest(by, reason, at)
	return err
}

// refundRest makes what is left of the money of a cancelled order a refund, and returns its id.
func (o *Order) refundRest(by, reason string, at time.Time) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make refund id: %w", err)
	}
	if _, err = o.Refund(RefundWish{ID: id, Reason: cmp.Or(reason, "the order was cancelled"), Restock: true, By: by}, at); err != nil {
		return uuid.Nil, err
	}
	return id, o.Restocked(id) // by the release
}

// Advance moves the order on at the word of staff: it is packed, shipped, delivered. What is paid on delivery is paid then.
func (o *Order) Advance(next Status, by, note, tracking string, at time.Time) error {
	switch next {
	case Processing, Shipped, Delivered:
	default: // payments, cancellations and refunds have verbs of their own
		return errTransition(o.s.Status, next)
	}
	if err := o.become(next, by, note, at); err != nil {
		return err
	}
	o.s.Tracking = cmp.Or(tracking, o.s.Tracking)
	if next == Delivered && o.s.Payment.Method == CashOnDelivery && o.s.Payment.Status == PaymentPending {
		o.s.Payment.Status = PaymentCaptured
	}
	return nil
}

// TakeBack makes a delivered order refunded: all that is left of the money goes back, and no pieces. If there is no money, it
// is refunded at once, else when the money is back.
func (o *Order) TakeBack(wish RefundWish, at time.Time) error {
	switch {
	case o.s.Status != Delivered:
		return errTransition(o.s.Status, Refunded)
	case o.s.Payment.Status == PaymentNone:
		return o.become(Refunded, wish.By, wish.Reason, at)
	case o.refundable() == 0:
		return nil // it is on its way
	}
	_, err := o.Refund(RefundWish{ID: wish.ID, Reason: wish.Reason, By: wish.By}, at)
	return err
}

// MissStock records that pieces which were paid for are not there, and reports whether that is news. It is for the shop, not
// for the customer, so the version stays.
func (o *Order) MissStock(at time.Time) bool {
	if !o.s.StockMissingSince.IsZero() || !o.NeedsPieces() {
		return false
	}
	o.s.StockMissingSince = at
	return true
}

// NeedsPieces reports whether a paid order takes its pieces off the shelf.
func (o *Order) NeedsPieces() bool { return o.s.NeedsPieces() }

// NeedsPieces reports whether a paid order takes its pieces off the shelf: unless its end came before a parcel had left.
func (s Snapshot) NeedsPieces() bool {
	switch s.Status {
	case Cancelled:
		return false
	case Refunded:
		return slices.ContainsFunc(s.History, func(e HistoryEntry) bool { return e.Status == Shipped })
	default:
		return true
	}
}

// FindStock records that the pieces are there after all, or that nobody waits for them any more.
func (o *Order) FindStock() { o.s.StockMissingSince = time.Time{} }

// Reversed records that the provider holds nothing for the attempt to pay any more.
func (o *Order) Reversed(status PaymentStatus, at time.Time) {
	if o.s.Payment.Status != status {
		o.s.Payment.Status = status
		o.touch(at)
	}
}

// ReversalRefused records that the provider has taken the money of a cancelled order, under a reference, and refuses for good to
// give it back: a refund that failed, which staff may try once more.
func (o *Order) ReversalRefused(reference string, at time.Time) error {
	o.s.Payment.Status, o.s.Payment.Reference = PaymentCaptured, reference
	id, err := o.refundRest(System, "", at)
	if err != nil {
		return err
	}
	return o.FailRefund(id, at)
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
