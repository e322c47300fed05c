package usecasetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// Refund implements usecase.Payments.
func (p *FakeProvider) Refund(_ context.Context, key, refundKey string, amount money.Money) (usecase.ProviderPayment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.find(key)
	if done, ok := known.refunds[refundKey]; ok {
		if done != amount.Amount() {
			return usecase.ProviderPayment{}, fmt.Errorf("%s was used for another refund", refundKey)
		}
		return known.ProviderPayment, nil
	}
	if p.keeps || amount.Amount() > known.captured-known.refunded {
		return usecase.ProviderPayment{}, domain.ErrRefundFailed
	}
	if known.refunds == nil {
		known.refunds = make(map[string]int64)
	}
	known.refunds[refundKey] = amount.Amount()
	known.giveBack(amount.Amount())
	return known.ProviderPayment, nil
}

func (c *charge) giveBack(amount int64) {
	if c.refunded += amount; c.refunded == c.captured {
		c.Status = usecase.ProviderRefunded
	}
}

// RefundElsewhere gives money of an order back past the shop, as an operator does at the provider.
func (p *FakeProvider) RefundElsewhere(orderID uuid.UUID, amount int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.payments {
		if known.orderID == orderID && known.Status == usecase.ProviderCaptured {
			known.giveBack(amount)
		}
	}
}

// refundTests are the part of the contract that is about refunds.
var refundTests = map[string]func(*testing.T, PaymentProvider){
	"refund: in parts, each once":              refundInParts,
	"refund: many at once are one":             refundTogether,
	"refund: what is too much is refused":      refundTooMuch,
	"refund: what was not taken is refused":    refundOfNothing,
	"refund: a part, and it is still captured": refundThenCapture,
	"refund: a part, and reverse the rest":     refundThenReverse,
}

func (a attempt) captured(t *testing.T) usecase.ProviderPayment {
	t.Helper()
	return a.capture(t, a.authorize(t, TokOK).ID)
}

func (a attempt) refund(t *testing.T, name string, amount int64) usecase.ProviderPayment {
	t.Helper()
	return must(t)(a.Refund(t.Context(), a.key, a.key+":refund:"+name, money.MustNew(amount, "EUR")))
}

// refuses checks that a refund is refused for good, whether asked once or twice.
func (a attempt) refuses(t *testing.T, name string, amount int64) {
	t.Helper()
	for range 2 {
		got, err := a.Refund(t.Context(), a.key, a.key+":refund:"+name, money.MustNew(amount, "EUR"))
		if apperr.KindOf(err) != apperr.Conflict {
			t.Errorf("%s: payment %+v, error %v (%v), want a conflict", name, got, err, apperr.KindOf(err))
		}
	}
}

func refundInParts(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	taken := a.captured(t)
	for _, what := range []string{"a part", "the same part again"} {
		wantSame(t, what, a.refund(t, "1", 1000), taken)
	}
	wantSame(t, "another part of the same size", a.refund(t, "2", 1000), taken)
	rest := price.Amount() - 2000
	for _, what := range []string{"the rest", "the rest again"} {
		wantSame(t, what, a.refund(t, "3", rest), usecase.ProviderPayment{ID: taken.ID, Status: usecase.ProviderRefunded})
	}
	wantStatus(t, "the first part, when all is back", a.refund(t, "1", 1000), usecase.ProviderRefunded)
	wantStatus(t, "find", a.find(t), usecase.ProviderRefunded)
	a.refuses(t, "4", 1)
}

func refundTogether(t *testing.T, p PaymentProvider) {
	const racers = 8
	a := newAttempt(p)
	a.captured(t)
	var (
		group sync.WaitGroup
		start = make(chan struct{})
		errs  [racers]error
	)
	for i := range racers {
		group.Go(func() {
			<-start
			_, errs[i] = a.Refund(t.Context(), a.key, a.key+":refund:1", money.MustNew(1000, "EUR"))
		})
	}
	close(start)
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	a.refuses(t, "2", price.Amount()-999) // so it was given back
	wantStatus(t, "the rest", a.refund(t, "3", price.Amount()-1000), usecase.ProviderRefunded)
}

func refundTooMuch(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	taken := a.captured(t)
	a.refuses(t, "1", price.Amount()+1)
	wantSame(t, "find", a.find(t), taken)
	wantStatus(t, "all", a.refund(t, "2", price.Amount()), usecase.ProviderRefunded)
}

func refundOfNothing(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	made := a.authorize(t, TokOK)
	a.refuses(t, "1", 1000)
	wantStatus(t, "capture", a.capture(t, made.ID), usecase.ProviderCaptured)
	declined := newAttempt(p)
	declined.authorize(t, TokDeclined)
	declined.refuses(t, "1", 1000)
}

func refundThenCapture(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	taken := a.captured(t)
	a.refund(t, "1", 1000)
	wantSame(t, "capture again", a.capture(t, taken.ID), taken)
	wantSame(t, "authorize again", a.authorize(t, TokOK), taken)
	wantSame(t, "find", a.find(t), taken)
}

func refundThenReverse(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	a.captured(t)
	a.refund(t, "1", 1000)
	for range 2 {
		wantStatus(t, "reverse", a.reverse(t), usecase.ProviderRefunded)
	}
	a.refuses(t, "2", 1) // nothing is left
}
