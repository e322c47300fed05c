package domain

import "github.com/google/uuid"

// PaymentMethod is how an order is paid.
type PaymentMethod string

// The methods of payment.
const (
	Card           PaymentMethod = "card"
	CashOnDelivery PaymentMethod = "cash_on_delivery"
)

// PaymentStatus is where the money is.
type PaymentStatus string

// The states of a payment.
const (
	PaymentNone              PaymentStatus = "none"       // nobody has tried to pay
	PaymentPending           PaymentStatus = "pending"    // an attempt is under way, or the money is due on delivery
	PaymentAuthorized        PaymentStatus = "authorized" // promised
	PaymentCaptured          PaymentStatus = "captured"   // ours
	PaymentVoided            PaymentStatus = "voided"     // the promise was given back, or never used
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentFailed            PaymentStatus = "failed" // the last attempt was declined
)

// Payment is how and how far an order is paid.
type Payment struct {
	Status   PaymentStatus
	Method   PaymentMethod
	Provider string
	// Reference is the provider's name for the payment, empty before there is one.
	Reference string
	// Attempt counts the tries to pay. Each has keys of its own at the provider, so that a declined card does not stand in
	// the way of the next one.
	Attempt int
	// AtCheckout says that the attempt is the one that the order was placed with: if it is declined, the order is cancelled.
	AtCheckout bool
	// Request is the request whose key began the attempt; zero if it had none.
	Request uuid.UUID
}
