package domain

import "shop.example/platform/apperr"

// What can be wrong with an order, for its customer.
var (
	ErrOrderMissing    = apperr.Missing("order")
	ErrAddressMissing  = apperr.InvalidField("address_id", "there is no such address")
	ErrCartEmpty       = apperr.New(apperr.Invalid, "cart_empty", "There is nothing in the cart.")
	ErrTotalChanged    = apperr.New(apperr.Conflict, "total_changed", "The total is not the expected one any more. Ask for a new quote.")
	ErrNotPayable      = apperr.New(apperr.Conflict, "order_not_payable", "Only a pending order that is not being paid can be paid.")
	ErrBusy            = apperr.New(apperr.Conflict, "order_busy", "The order is being worked on. Try again in a moment.")
	ErrVersion         = apperr.New(apperr.VersionMismatch, "version_mismatch", "The order was changed by somebody else. Read it again.")
	ErrPaymentDeclined = apperr.New(apperr.PaymentFailed, "payment_declined", "The payment was declined.")
	ErrPaymentFailed   = apperr.New(apperr.PaymentFailed, "payment_failed", "The payment provider could not take the payment.")
	ErrInterrupted     = apperr.New(apperr.Conflict, "checkout_interrupted", "The checkout was interrupted and the order cancelled; nothing was charged. Order again, with a new Idempotency-Key.")
	ErrCouponInvalid   = apperr.New(apperr.Invalid, "coupon_invalid", "The coupon can't be used.")
	ErrCouponExhausted = apperr.New(apperr.Conflict, "coupon_exhausted", "The coupon has been used up.")
	ErrCouponMissing   = apperr.Missing("coupon")
	ErrCouponVersion   = apperr.New(apperr.VersionMismatch, "version_mismatch", "The coupon was changed by somebody else. Read it again.")
	ErrCodeTaken       = apperr.New(apperr.Conflict, "code_taken", "Another coupon has this code.")
	ErrNotEditable     = apperr.New(apperr.Conflict, "order_not_editable", "Only a pending order that is not being paid can be changed.")
	ErrLastItem        = apperr.New(apperr.Conflict, "order_not_editable", "This is the last line of the order. Cancel the order instead.")
	ErrItemMissing     = apperr.Missing("item")
	ErrPayInterrupted  = apperr.New(apperr.Conflict, "payment_interrupted", "The payment was interrupted, and nothing was charged. Pay again.")
	ErrRefundExceeds   = apperr.New(apperr.Conflict, "refund_exceeds_payment", "This is more than was paid and not given back yet.")
	ErrRefundFailed    = apperr.New(apperr.Conflict, "refund_failed", "The payment provider refuses this refund, and its amount was not given back.")
	ErrKeyReused       = apperr.New(apperr.Invalid, "idempotency_key_reused", "This Idempotency-Key was used for another request. Use a new one.")
	ErrKeyInProgress   = apperr.New(apperr.Conflict, "idempotency_in_progress", "The first request with this Idempotency-Key is still running. Try again in a moment.")
	ErrProductMissing  = apperr.New(apperr.Invalid, "product_unavailable", "A product is not on sale.")
	ErrOutOfStock      = apperr.New(apperr.Conflict, "out_of_stock", "There is not enough in stock.")
	// ErrReservationMissing says that product-service knows nothing of an order's pieces.
	ErrReservationMissing = apperr.Missing("reservation")
	ErrReservationEnded   = apperr.New(apperr.Conflict, "reservation_released", "The order was given up.")
)
