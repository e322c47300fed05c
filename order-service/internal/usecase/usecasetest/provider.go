package usecasetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// The tokens that the FakeProvider knows. Any other makes the request invalid. All but TokLost are those of deploy/testpay.
const (
	TokOK           = "tok_ok"
	TokDeclined     = "tok_declined"
	TokInsufficient = "tok_insufficient_funds"
	TokError        = "tok_error"   // the provider fails, for good
	TokLate         = "tok_late"    // pending until the provider comes to a decision
	TokTimeout      = "tok_timeout" // the money is promised, but the first answer gets lost
	TokLost         = "tok_lost"    // no call with it ever gets through
)

// FakeProvider takes money as a provider does: once a key, and with a mark for keys that are not to be used.
type FakeProvider struct {
	mu       sync.Mutex
	payments map[string]*charge
	away     error
	keeps    bool
}

// NewFakeProvider returns a provider that knows no payment.
func NewFakeProvider() *FakeProvider { return &FakeProvider{payments: make(map[string]*charge)} }

type charge struct {
	usecase.ProviderPayment
	orderID  uuid.UUID
	amount   money.Money
	captured int64
	captures int
	refunded int64
	refunds  map[string]int64 // by key
}

// Name implements usecase.Payments.
func (p *FakeProvider) Name() string { return "fake" }

// Ready implements usecase.Payments.
func (p *FakeProvider) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

// Away sets what Ready answers from now on.
func (p *FakeProvider) Away(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = err
}

// Keep has the provider refuse every refund from now on, or not any more.
func (p *FakeProvider) Keep(keeps bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keeps = keeps
}

// Authorize implements usecase.Payments.
func (p *FakeProvider) Authorize(_ context.Context, key string, orderID uuid.UUID, amount money.Money, token string) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.payments[key]; ok {
		return known.ProviderPayment, nil
	}
	made := &charge{orderID: orderID, amount: amount}
	made.ID = "pay_" + key
	switch token {
	case TokOK, TokTimeout:
		made.Status = usecase.ProviderAuthorized
	case TokLate:
		made.Status = usecase.ProviderPending
	case TokDeclined:
		made.Status, made.Declined = usecase.ProviderDeclined, domain.ErrPaymentDeclined.WithAttribute("decline_code", "card_declined")
	case TokInsufficient:
		made.Status, made.Declined = usecase.ProviderDeclined, domain.ErrPaymentDeclined.WithAttribute("decline_code", "insufficient_funds")
	case TokError:
		made.Status, made.Declined = usecase.ProviderDeclined, domain.ErrPaymentFailed.WithAttribute("decline_code", "processing_failed")
	case TokLost:
		return usecase.ProviderPayment{}, context.DeadlineExceeded
	default:
		return usecase.ProviderPayment{}, apperr.InvalidField("payment.token", "is not a token of this provider")
	}
	p.payments[key] = made
	if token == TokTimeout {
		return usecase.ProviderPayment{}, context.DeadlineExceeded
	}
	return made.ProviderPayment, nil
}

// Find implements usecase.Payments.
func (p *FakeProvider) Find(_ context.Context, key string) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.find(key).ProviderPayment, nil
}

// find returns the payment under a key, which it forbids if there is none.
func (p *FakeProvider) find(key string) *charge {
	known, ok := p.payments[key]
	if !ok {
		known = &charge{ProviderPayment: usecase.ProviderPayment{Status: usecase.ProviderVoided}}
		p.payments[key] = known
	}
	return known
}

// Capture implements usecase.Payments.
func (p *FakeProvider) Capture(_ context.Context, key, paymentID string) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.payments[key]
	if !ok || known.ID != paymentID {
		return usecase.ProviderPayment{}, fmt.Errorf("there is no payment %s under %s", paymentID, key)
	}
	if known.Status == usecase.ProviderAuthorized {
		known.Status = usecase.ProviderCaptured
		known.captured += known.amount.Amount()
		known.captures++
	}
	return known.ProviderPayment, nil
}

// Reverse implements usecase.Payments.
func (p *FakeProvider) Reverse(_ context.Context, key string) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.find(key)
	switch known.Status {
	case usecase.ProviderPending, usecase.ProviderAuthorized:
		known.Status = usecase.ProviderVoided
	case usecase.ProviderCaptured:
		if p.keeps {
			return usecase.ProviderPayment{}, domain.ErrRefundFailed
		}
		known.giveBack(known.captured - known.refunded)
	}
	return known.ProviderPayment, nil
}

// DecideLate lets the pending payments become something.
func (p *FakeProvider) DecideLate(status usecase.ProviderStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.payments {
		if known.Status == usecase.ProviderPending {
			known.Status = status
			if status == usecase.ProviderDeclined {
				known.Declined = domain.ErrPaymentDeclined
			}
		}
	}
}

// SucceedAfterAll lets what was called off for an order become something, as a provider may whose bank is late.
func (p *FakeProvider) SucceedAfterAll(orderID uuid.UUID, status usecase.ProviderStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.payments {
		if known.orderID == orderID && (known.Status == usecase.ProviderVoided || known.Status == usecase.ProviderDeclined) {
			known.Status, known.Declined = status, nil
			if status == usecase.ProviderCaptured {
				known.captured += known.amount.Amount()
				known.captures++
			}
		}
	}
}

// Holds returns what the provider has taken for an order and not given back, and whether it holds a promise for more.
func (p *FakeProvider) Holds(orderID uuid.UUID) (taken int64, promised bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.payments {
		if known.orderID == orderID {
			taken += known.captured - known.refunded
			promised = promised || known.Status == usecase.ProviderAuthorized || known.Status == usecase.ProviderPending
		}
	}
	return taken, promised
}

// Captures returns how often money was taken, from anybody.
func (p *FakeProvider) Captures() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, known := range p.payments {
		n += known.captures
	}
	return n
}

// Calls returns how many keys the provider has heard of.
func (p *FakeProvider) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.payments)
}

// Payers returns the orders for which the provider has taken or promised something, at any time.
func (p *FakeProvider) Payers() []uuid.UUID {
	p.mu.Lock()
	defer p.mu.Unlock()
	payers := make(map[uuid.UUID]bool)
	for _, known := range p.payments {
		if known.orderID != uuid.Nil {
			payers[known.orderID] = true
		}
	}
	return slices.Collect(maps.Keys(payers))
}
