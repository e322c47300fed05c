package client_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

func (f *fakeStripe) client() *client.Stripe {
	return client.NewStripe(f.url, stripeKey, impatient, quiet)
}

func TestStripe(t *testing.T) {
	t.Parallel()
	usecasetest.RunPayments(t, func(t *testing.T) usecasetest.PaymentProvider {
		f := newFakeStripe(t)
		return usecasetest.PaymentProvider{Payments: f.client(), DecideLate: f.decideLate}
	})
}

// stripeAttempt is an attempt to pay with Stripe.
type stripeAttempt struct {
	*fakeStripe
	pay   *client.Stripe
	order uuid.UUID
	key   string
}

func newStripeAttempt(t *testing.T) stripeAttempt {
	t.Helper()
	f, order := newFakeStripe(t), uuid.New()
	return stripeAttempt{f, f.client(), order, order.String() + ":1"}
}

// taken pays and captures, in as many tries as it takes.
func (a stripeAttempt) taken(t *testing.T) usecase.ProviderPayment {
	t.Helper()
	made := again(t, func() (usecase.ProviderPayment, error) {
		return a.pay.Authorize(t.Context(), a.key, a.order, price, usecasetest.TokOK)
	})
	if made.Status != usecase.ProviderAuthorized {
		t.Fatalf("payment %+v, want it authorized", made)
	}
	got := again(t, func() (usecase.ProviderPayment, error) { return a.pay.Capture(t.Context(), a.key, made.ID) })
	if got.Status != usecase.ProviderCaptured {
		t.Fatalf("payment %+v, want it captured", got)
	}
	return got
}

// again makes a call until its outcome is known, as the saga does.
func again(t *testing.T, call func() (usecase.ProviderPayment, error)) usecase.ProviderPayment {
	t.Helper()
	var errs []error
	for range 5 {
		got, err := call()
		if err == nil {
			return got
		}
		if kind := apperr.KindOf(err); kind == apperr.Invalid || kind == apperr.PaymentFailed {
			t.Fatalf("error %v says that the outcome is known", err)
		}
		errs = append(errs, err)
	}
	t.Fatalf("no outcome: %v", errs)
	return usecase.ProviderPayment{}
}

// Whatever befalls which call, the money is taken once and given back once.
func TestStripeFaults(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"/v1/payment_intents", "/v1/payment_intents/pi_1", "/confirm", "/capture"} {
		for _, fault := range []string{loseAnswer, failBefore, failAfter, failUnkept, tooMany, answersGarbage} {
			t.Run(fault+" of "+step, func(t *testing.T) {
				t.Parallel()
				a := newStripeAttempt(t)
				a.befall(fault, step, 1)
				a.taken(t)
				if taken, charges, promised := a.holds(); taken != price.Amount() || charges != 1 || promised != 0 {
					t.Errorf("%d is taken by %d charges, and %d promised; want the price, once", taken, charges, promised)
				}
			})
		}
	}
	for _, fault := range []string{loseAnswer, failBefore, failAfter, failUnkept, tooMany, answersGarbage} {
		t.Run(fault+" of a refund", func(t *testing.T) {
			t.Parallel()
			a := newStripeAttempt(t)
			a.taken(t)
			a.befall(fault, "/refunds", 1)
			part := money.MustNew(990, "EUR")
			again(t, func() (usecase.ProviderPayment, error) {
				return a.pay.Refund(t.Context(), a.key, a.key+":refund:1", part)
			})
			if taken, _, _ := a.holds(); taken != price.Amount()-990 {
				t.Errorf("%d is taken, want %d: one refund of 990", taken, price.Amount()-990)
			}
			got := again(t, func() (usecase.ProviderPayment, error) { return a.pay.Reverse(t.Context(), a.key) })
			if taken, _, _ := a.holds(); taken != 0 || got.Status != usecase.ProviderRefunded {
				t.Errorf("payment %+v with %d taken, want all given back", got, taken)
			}
		})
		t.Run(fault+" of a cancellation", func(t *testing.T) {
			t.Parallel()
			a := newStripeAttempt(t)
			again(t, func() (usecase.ProviderPayment, error) {
				return a.pay.Authorize(t.Context(), a.key, a.order, price, usecasetest.TokOK)
			})
			a.befall(fault, "/cancel", 1)
			got := again(t, func() (usecase.ProviderPayment, error) { return a.pay.Reverse(t.Context(), a.key) })
			if _, _, promised := a.holds(); promised != 0 || got.Status != usecase.ProviderVoided {
				t.Errorf("payment %+v with %d promises held, want it voided", got, promised)
			}
		})
	}
}

// When Stripe has forgotten the keys, the payment is still found: it is neither taken, nor given back, a second time.
func TestStripeForgetsKeys(t *testing.T) {
	t.Parallel()
	a := newStripeAttempt(t)
	made := a.taken(t)
	part := money.MustNew(990, "EUR")
	refund := func() (usecase.ProviderPayment, error) {
		return a.pay.Refund(t.Context(), a.key, a.key+":refund:1", part)
	}
	again(t, refund)
	a.forget()
	if got := again(t, func() (usecase.ProviderPayment, error) { return a.pay.Find(t.Context(), a.key) }); got != made {
		t.Errorf("found %+v, want %+v", got, made)
	}
	again(t, refund)
	if taken, _, _ := a.holds(); taken != price.Amount()-990 {
		t.Errorf("%d is taken, want %d: one refund of 990", taken, price.Amount()-990)
	}
	for range 2 {
		got := again(t, func() (usecase.ProviderPayment, error) { return a.pay.Reverse(t.Context(), a.key) })
		if taken, _, _ := a.holds(); taken != 0 || got.Status != usecase.ProviderRefunded {
			t.Errorf("payment %+v with %d taken, want all given back", got, taken)
		}
		a.forget()
	}

	declined := newStripeAttempt(t)
	first := again(t, func() (usecase.ProviderPayment, error) {
		return declined.pay.Authorize(t.Context(), declined.key, declined.order, price, usecasetest.TokDeclined)
	})
	declined.forget()
	got := again(t, func() (usecase.ProviderPayment, error) { return declined.pay.Find(t.Context(), declined.key) })
	if got.ID != first.ID || got.Status != usecase.ProviderDeclined {
		t.Errorf("found %+v, want %+v", got, first)
	}
}

// An opening that Stripe has failed may have left an intent behind. The search must not take it for the payment.
func TestStripeRemainsOfAnOpening(t *testing.T) {
	t.Parallel()
	a := newStripeAttempt(t)
	a.befall(failAfter, "/v1/payment_intents", 1)
	made := a.taken(t)
	if made.ID != "pi_2" {
		t.Fatalf("paid with %s, want the second opening", made.ID)
	}
	for range 2 { // by its key, and by the search
		if got := again(t, func() (usecase.ProviderPayment, error) { return a.pay.Find(t.Context(), a.key) }); got != made {
			t.Errorf("found %+v, want %+v", got, made)
		}
		a.forget()
	}
}

// Who comes second while the first call under the key is on its way waits for its end.
func TestStripeKeyInUse(t *testing.T) {
	t.Parallel()
	a := newStripeAttempt(t)
	a.pay = client.NewStripe(a.url, stripeKey, 30*time.Second, quiet) // the first is to wait, and not to give up
	arrived, proceed := make(chan struct{}), make(chan struct{})
	a.slow = func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/confirm") {
			close(arrived)
			<-proceed
		}
	}
	type result struct {
		payment usecase.ProviderPayment
		err     error
	}
	results := make(chan result, 2)
	authorize := func() {
		got, err := a.pay.Authorize(t.Context(), a.key, a.order, price, usecasetest.TokOK)
		results <- result{got, err}
	}
	go authorize()
	<-arrived
	go authorize()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(10 * time.Second); a.confirmations() < 3; { // the second was told to wait, and has asked again
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("nobody asks again for a key that is in use")
		}
	}
	close(proceed)
	one, two := <-results, <-results
	if one.err != nil || two.err != nil || one != two || one.payment.Status != usecase.ProviderAuthorized {
		t.Errorf("%+v and %+v, want one authorized payment", one, two)
	}
}

// confirmations is how many calls for one there were.
func (f *fakeStripe) confirmations() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(f.calls), func(c string) bool { return !strings.HasSuffix(c, "/confirm") }))
}

// What the bank won't let go is not called voided: it is asked again, and given back when the bank is done.
func TestStripeLateAndStubborn(t *testing.T) {
	t.Parallel()
	a := newStripeAttempt(t)
	a.stubborn = true
	if got, err := a.pay.Authorize(t.Context(), a.key, a.order, price, usecasetest.TokLate); err != nil || got.Status != usecase.ProviderPending {
		t.Fatalf("payment %+v, error %v; want it pending", got, err)
	}
	for range 2 {
		if got, err := a.pay.Reverse(t.Context(), a.key); apperr.KindOf(err) != apperr.Unavailable {
			t.Fatalf("payment %+v, error %v; want to be told to ask again", got, err)
		}
	}
	a.decideLate()
	if got, err := a.pay.Reverse(t.Context(), a.key); err != nil || got.Status != usecase.ProviderVoided {
		t.Errorf("payment %+v, error %v; want it voided", got, err)
	}
}

// A refund that the bank sends back is not one, whenever it is asked for; another one may be tried.
func TestStripeRefundFails(t *testing.T) {
	t.Parallel()
	a := newStripeAttempt(t)
	a.taken(t)
	part := money.MustNew(990, "EUR")
	a.refundsFail = true
	for range 2 {
		if got, err := a.pay.Refund(t.Context(), a.key, a.key+":refund:1", part); apperr.KindOf(err) != apperr.Conflict {
			t.Errorf("payment %+v, error %v; want a conflict", got, err)
		}
		a.refundsFail = false
	}
	if got, err := a.pay.Refund(t.Context(), a.key, a.key+":refund:2", part); err != nil || got.Status != usecase.ProviderCaptured {
		t.Errorf("payment %+v, error %v; want it refunded in part", got, err)
	}
	if taken, _, _ := a.holds(); taken != price.Amount()-990 {
		t.Errorf("%d is taken, want %d: one refund of 990", taken, price.Amount()-990)
	}
}

// There is no page to send a customer to, and what the bank says of a stolen card is not for whoever holds it.
func TestStripeDeclines(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{
		tokAction: "authentication_required", usecasetest.TokDeclined: "card_declined", usecasetest.TokInsufficient: "insufficient_funds",
	} {
		a := newStripeAttempt(t)
		got, err := a.pay.Authorize(t.Context(), a.key, a.order, price, token)
		if err != nil || got.Status != usecase.ProviderDeclined || got.Declined.Attributes["decline_code"] != want {
			t.Errorf("%s: payment %+v, error %v; want it declined with %s", token, got, err, want)
		}
	}
}

// Neither errors nor logs hold the key, the customer's token, or the secret of an intent.
func TestStripeKeepsSecrets(t *testing.T) {
	t.Parallel()
	f := newFakeStripe(t)
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	order := uuid.New()
	var texts []string
	for name, pay := range map[string]*client.Stripe{
		"good": client.NewStripe(f.url, stripeKey, impatient, logger), "bad": client.NewStripe(f.url, "sk_test_wrong", impatient, logger),
		"away": client.NewStripe("http://127.0.0.1:1", stripeKey, impatient, logger),
	} {
		key := order.String() + ":" + name
		_, err := pay.Authorize(t.Context(), key, order, price, "tok_secret")
		texts = append(texts, fmt.Sprint(err))
		f.befall(answersGarbage, "", 1)
		for _, call := range calls(pay, key, order, "pi_1") {
			_, err := call(t.Context())
			texts = append(texts, fmt.Sprint(err))
		}
		if name == "bad" && apperr.KindOf(err) != apperr.Internal {
			t.Errorf("a wrong key: error %v (%v), want internal", err, apperr.KindOf(err))
		}
	}
	for _, text := range append(texts, log.String()) {
		for _, secret := range []string{stripeKey, "sk_test_wrong", "tok_secret", "_secret_x"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is repeated: %s", secret, text)
			}
		}
	}
}
