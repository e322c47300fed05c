package domain

import (
	"slices"

	"shop.example/platform/apperr"
)

// Status is where an order stands.
type Status string

// The states of an order.
const (
	Pending    Status = "pending"    // not paid yet, or the payment is not settled
	Confirmed  Status = "confirmed"  // paid, or to be paid on delivery
	Processing Status = "processing" // being packed
	Shipped    Status = "shipped"
	Delivered  Status = "delivered"
	Cancelled  Status = "cancelled" // it will not happen; stock and money go back
	Refunded   Status = "refunded"  // it happened, and the money went back
)

// transitions is the whole state machine. An order may be cancelled until it ships.
var transitions = map[Status][]Status{
	Pending:    {Confirmed, Cancelled},
	Confirmed:  {Processing, Cancelled, Refunded},
	Processing: {Shipped, Cancelled, Refunded},
	Shipped:    {Delivered, Refunded},
	Delivered:  {Refunded},
	Cancelled:  nil,
	Refunded:   nil,
}

// CanBecome reports whether an order may go from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(transitions[s], next) }

// Valid reports whether s is a state at all.
func (s Status) Valid() bool {
	_, ok := transitions[s]
	return ok
}

// errTransition is what every forbidden change of state is refused with.
func errTransition(from, to Status) error {
	return apperr.New(apperr.Conflict, "invalid_transition", "An order that is "+string(from)+" can't become "+string(to)+".").
		WithAttribute("order_status", string(from))
}
