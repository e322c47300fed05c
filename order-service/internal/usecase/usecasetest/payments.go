package usecasetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// PaymentProvider is a provider that is held to the contract of usecase.Payments. It knows the tokens above but TokLost.
type PaymentProvider struct {
	usecase.Payments
	// DecideLate lets what is pending become authorized; nil if it does so by itself, soon.
	DecideLate func()
}

// RunPayments holds a kind of provider to the contract. The tests use keys of their own, so they may share one provider.
func RunPayments(t *testing.T, newProvider func(t *testing.T) PaymentProvider) {
	for name, test := range map[string]func(*testing.T, PaymentProvider){
		"authorize: every kind of token":              everyToken,
		"authorize: again is the same payment":        authorizeAgain,
		"authorize: many at once are one payment":     authorizeTogether,
		"authorize: a lost answer can be found":       lostAnswer,
		"authorize: decided late":                     decidedLate,
		"authorize: tells what became of the payment": authorizeTellsThePresent,
		"find: an unknown key is closed":              findClosesTheKey,
		"capture: takes once":                         captureTwice,
		"capture: not what was voided":                captureVoided,
		"capture: tells of a refund":                  captureTellsThePresent,
		"reverse: nothing, and the key is closed":     reverseNothing,
		"reverse: what is promised":                   reversePromised,
		"reverse: what is pending":                    reversePending,
		"reverse: what was taken, in full":            reverseTaken,
		"reverse: what was declined":                  reverseDeclined,
		"two attempts of an order are two payments":   twoAttempts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newProvider(t))
		})
	}
	for name, test := range refundTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newProvider(t))
		})
	}
}

// price is what everything costs here.
var price = money.MustNew(3990, "EUR")

// patience bounds the wait for what must happen soon, on a machine that is busy with other tests.
const patience = 30 * time.Second

// attempt is one attempt to pay an order.
type attempt struct {
	PaymentProvider
	order uuid.UUID
	key   string
}

func newAttempt(p PaymentProvider) attempt {
	order := uuid.New()
	return attempt{PaymentProvider: p, order: order, key: order.String() + ":1"}
}

func (a attempt) authorize(t *testing.T, token string) usecase.ProviderPayment {
	t.Helper()
	return must(t)(a.Authorize(t.Context(), a.key, a.order, price, token))
}

func (a attempt) find(t *testing.T) usecase.ProviderPayment {
	t.Helper()
	return must(t)(a.Find(t.Context(), a.key))
}

func (a attempt) capture(t *testing.T, paymentID string) usecase.ProviderPayment {
	t.Helper()
	return must(t)(a.Capture(t.Context(), a.key, paymentID))
}

func (a attempt) reverse(t *testing.T) usecase.ProviderPayment {
	t.Helper()
	return must(t)(a.Reverse(t.Context(), a.key))
}

func must(t *testing.T) func(usecase.ProviderPayment, error) usecase.ProviderPayment {
	t.Helper()
	return func(p usecase.ProviderPayment, err error) usecase.ProviderPayment {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func wantStatus(t *testing.T, what string, got usecase.ProviderPayment, want usecase.ProviderStatus) {
	t.Helper()
	if got.Status != want {
		t.Errorf("%s: the payment is %q, want %q", what, got.Status, want)
	}
}

func wantSame(t *testing.T, what string, got, want usecase.ProviderPayment) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(apperr.Error{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// closed checks that no money can be taken under the key any more.
func (a attempt) closed(t *testing.T) {
	t.Helper()
	wantStatus(t, "authorize under a closed key", a.authorize(t, TokOK), usecase.ProviderVoided)
	wantStatus(t, "find under a closed key", a.find(t), usecase.ProviderVoided)
}

func everyToken(t *testing.T, p PaymentProvider) {
	for _, tc := range []struct {
		token    string
		want     usecase.ProviderStatus
		declined *apperr.Error
	}{
		{TokOK, usecase.ProviderAuthorized, nil},
		{TokLate, usecase.ProviderPending, nil},
		{TokDeclined, usecase.ProviderDeclined, domain.ErrPaymentDeclined.WithAttribute("decline_code", "card_declined")},
		{TokInsufficient, usecase.ProviderDeclined, domain.ErrPaymentDeclined.WithAttribute("decline_code", "insufficient_funds")},
		{TokError, usecase.ProviderDeclined, domain.ErrPaymentFailed.WithAttribute("decline_code", "processing_failed")},
	} {
		a := newAttempt(p)
		got := a.authorize(t, tc.token)
		if got.ID == "" {
			t.Errorf("%s: the payment has no id", tc.token)
		}
		wantSame(t, tc.token, got, usecase.ProviderPayment{ID: got.ID, Status: tc.want, Declined: tc.declined})
		if tc.want != usecase.ProviderPending { // else it may be more by now
			wantSame(t, tc.token+" again", a.authorize(t, tc.token), got)
			wantSame(t, tc.token+" found", a.find(t), got)
		}
	}
	for _, token := range []string{"tok_of_another_provider", ""} {
		a := newAttempt(p)
		_, err := a.Authorize(t.Context(), a.key, a.order, price, token)
		refusal := apperr.From(err)
		if apperr.KindOf(err) != apperr.Invalid || len(refusal.Violations) != 1 || refusal.Violations[0].Location != "payment.token" {
			t.Errorf("token %q: error %v, want an invalid payment.token", token, err)
		}
		// It was refused, so the key is as good as new.
		wantStatus(t, "with a better token", a.authorize(t, TokOK), usecase.ProviderAuthorized)
	}
}

func authorizeAgain(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	first := a.authorize(t, TokOK)
	wantSame(t, "again", a.authorize(t, TokOK), first)
	wantSame(t, "found", a.find(t), first)
}

func authorizeTogether(t *testing.T, p PaymentProvider) {
	const racers = 8
	a := newAttempt(p)
	var (
		group    sync.WaitGroup
		start    = make(chan struct{})
		payments [racers]usecase.ProviderPayment
		errs     [racers]error
	)
	for i := range racers {
		group.Go(func() {
			<-start
			payments[i], errs[i] = a.Authorize(t.Context(), a.key, a.order, price, TokOK)
		})
	}
	close(start)
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for _, got := range payments {
		wantSame(t, "one of many", got, payments[0])
	}
}

func lostAnswer(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	got, err := a.Authorize(t.Context(), a.key, a.order, price, TokTimeout)
	if err == nil || apperr.KindOf(err) == apperr.Invalid || apperr.KindOf(err) == apperr.PaymentFailed {
		t.Fatalf("payment %+v, error %v; want one that says that the outcome is not known", got, err)
	}
	found := a.find(t)
	wantStatus(t, "found", found, usecase.ProviderAuthorized)
	wantSame(t, "authorized again", a.authorize(t, TokTimeout), found)
	wantStatus(t, "captured", a.capture(t, found.ID), usecase.ProviderCaptured)
}

func decidedLate(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	first := a.authorize(t, TokLate)
	wantStatus(t, "at first", first, usecase.ProviderPending)
	if p.DecideLate != nil {
		p.DecideLate()
	}
	found := a.find(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for found.Status == usecase.ProviderPending {
		select {
		case <-tick.C:
			found = a.find(t)
		case <-limit:
			t.Fatal("the payment stays pending")
		}
	}
	wantSame(t, "decided", found, usecase.ProviderPayment{ID: first.ID, Status: usecase.ProviderAuthorized})
	wantSame(t, "authorized again", a.authorize(t, TokLate), found)
	wantStatus(t, "captured", a.capture(t, found.ID), usecase.ProviderCaptured)
}

// A driver that begins anew must not take a payment for authorized that was taken, or given back, meanwhile.
func authorizeTellsThePresent(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	made := a.authorize(t, TokOK)
	captured := a.capture(t, made.ID)
	wantSame(t, "authorize after the capture", a.authorize(t, TokOK), captured)
	refunded := a.reverse(t)
	wantSame(t, "authorize after the refund", a.authorize(t, TokOK), refunded)
}

func findClosesTheKey(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	wantSame(t, "find", a.find(t), usecase.ProviderPayment{Status: usecase.ProviderVoided})
	wantSame(t, "find again", a.find(t), usecase.ProviderPayment{Status: usecase.ProviderVoided})
	a.closed(t)
}

func captureTwice(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	made := a.authorize(t, TokOK)
	first := a.capture(t, made.ID)
	wantSame(t, "capture", first, usecase.ProviderPayment{ID: made.ID, Status: usecase.ProviderCaptured})
	wantSame(t, "capture again", a.capture(t, made.ID), first)
	wantSame(t, "find", a.find(t), first)
}

// The driver that was overtaken is told what became of the payment, and takes nothing.
func captureVoided(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	made := a.authorize(t, TokOK)
	a.reverse(t)
	wantStatus(t, "capture", a.capture(t, made.ID), usecase.ProviderVoided)
	wantStatus(t, "find", a.find(t), usecase.ProviderVoided)
}

func captureTellsThePresent(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	made := a.authorize(t, TokOK)
	a.capture(t, made.ID)
	a.reverse(t)
	wantStatus(t, "capture after the refund", a.capture(t, made.ID), usecase.ProviderRefunded)
}

func reverseNothing(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	for _, what := range []string{"reverse", "reverse again"} {
		wantSame(t, what, a.reverse(t), usecase.ProviderPayment{Status: usecase.ProviderVoided})
	}
	a.closed(t)
}

func reversePromised(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	a.authorize(t, TokOK)
	for _, what := range []string{"reverse", "reverse again"} {
		wantStatus(t, what, a.reverse(t), usecase.ProviderVoided)
	}
	a.closed(t)
}

func reversePending(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	a.authorize(t, TokLate)
	wantStatus(t, "reverse", a.reverse(t), usecase.ProviderVoided)
	if p.DecideLate != nil {
		p.DecideLate()
	}
	a.closed(t)
}

func reverseTaken(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	made := a.authorize(t, TokOK)
	a.capture(t, made.ID)
	for _, what := range []string{"reverse", "reverse again"} {
		wantSame(t, what, a.reverse(t), usecase.ProviderPayment{ID: made.ID, Status: usecase.ProviderRefunded})
	}
	wantStatus(t, "find", a.find(t), usecase.ProviderRefunded)
}

func reverseDeclined(t *testing.T, p PaymentProvider) {
	a := newAttempt(p)
	a.authorize(t, TokDeclined)
	// Nothing was held, so either word is true.
	switch got := a.reverse(t); got.Status {
	case usecase.ProviderVoided, usecase.ProviderDeclined:
	default:
		t.Errorf("the payment is %q, want that nothing is held", got.Status)
	}
}

func twoAttempts(t *testing.T, p PaymentProvider) {
	first := newAttempt(p)
	first.authorize(t, TokDeclined)
	second := first
	second.key = first.order.String() + ":2"
	made := second.authorize(t, TokOK)
	wantStatus(t, "first", first.find(t), usecase.ProviderDeclined)
	first.reverse(t)
	wantStatus(t, "second", second.capture(t, made.ID), usecase.ProviderCaptured)
}
