package ledger

import "fmt"

// Kind says what sort of mistake a refused call was.
type Kind int

// The kinds of refusals.
const (
	Invalid  Kind = iota + 1 // the request makes no sense, whatever the state
	NotFound                 // there is no such payment
	Conflict                 // it makes sense, but not in this state
)

// The codes of refusals.
const (
	CodeInvalidRequest       = "invalid_request"
	CodeInvalidToken         = "invalid_token"
	CodeKeyReused            = "idempotency_key_reused"
	CodeNotFound             = "not_found"
	CodePending              = "payment_pending"
	CodeDeclined             = "payment_declined"
	CodeVoided               = "payment_voided"
	CodeCaptured             = "payment_captured"
	CodeNotCaptured          = "payment_not_captured"
	CodeExceedsAuthorization = "capture_exceeds_authorization"
	CodeRefundExceedsPayment = "refund_exceeds_payment"
	CodeRefundRefused        = "refund_refused"
)

// Refusal is the error of a call that changed nothing. It is not kept under the call's key: the same call is judged
// anew next time, so a capture that came too early can be sent again as it was.
type Refusal struct {
	Kind    Kind
	Code    string
	Message string
	Payment *Payment // as it stands now, for conflicts
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

func invalid(format string, args ...any) *Refusal {
	return &Refusal{Kind: Invalid, Code: CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}

func notFound() *Refusal {
	return &Refusal{Kind: NotFound, Code: CodeNotFound, Message: "no such payment"}
}

func conflict(code, message string, p *Payment) *Refusal {
	r := &Refusal{Kind: Conflict, Code: code, Message: message}
	if p != nil {
		now := *p
		r.Payment = &now
	}
	return r
}

// stateConflict explains why a payment is not in the state that a call needs.
func stateConflict(p *Payment) *Refusal {
	switch p.Status {
	case StatusPending:
		return conflict(CodePending, "the payment is not authorized yet", p)
	case StatusDeclined:
		return conflict(CodeDeclined, "the payment was declined", p)
	case StatusVoided:
		return conflict(CodeVoided, "the payment was voided", p)
	case StatusAuthorized:
		return conflict(CodeNotCaptured, "the payment was not captured", p)
	default:
		return conflict(CodeCaptured, "the payment was captured already", p)
	}
}
