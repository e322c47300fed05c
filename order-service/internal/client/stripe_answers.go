package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v85"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

const (
	// inUsePause is the pause before a key is tried again that is in use: a call takes some hundred milliseconds.
	inUsePause = 50 * time.Millisecond
	// failedKeys is how many keys may be used up by failures of Stripe.
	failedKeys = 3
)

// once makes a call under an idempotency key. While another call under the key runs, it waits for the end of that. Stripe
// keeps its own failures too and repeats them under the key, so the call goes on under the next one then: all who make it
// walk the same way. What the failed call may have done is for the caller to bear: an intent that nobody knows of is never
// confirmed, and what changes an intent is refused by its state when it is made twice.
func once[T any](ctx context.Context, key string, call func(key string) (T, error)) (T, error) {
	tried := key
	for n := 2; ; {
		answer, err := call(tried)
		refused := refusalOf(err)
		switch {
		case refused != nil && refused.HTTPStatusCode == http.StatusConflict && refused.Code == stripe.ErrorCodeIdempotencyKeyInUse:
			select {
			case <-time.After(inUsePause):
			case <-ctx.Done():
				return answer, err
			}
		case refused != nil && refused.HTTPStatusCode >= http.StatusInternalServerError && replayed(refused.LastResponse) && n <= failedKeys:
			tried = key + ":" + strconv.Itoa(n)
			n++
		default:
			return answer, err
		}
	}
}

// replayed reports whether an answer is that of an earlier call under the same key. Things may have gone on since.
func replayed(answer *stripe.APIResponse) bool {
	return answer != nil && answer.Header.Get("Idempotent-Replayed") == "true"
}

// untouched reports whether nobody has tried to pay with an intent yet.
func untouched(intent *stripe.PaymentIntent) bool {
	switch intent.Status {
	case stripe.PaymentIntentStatusRequiresPaymentMethod, stripe.PaymentIntentStatusRequiresConfirmation:
		return intent.LastPaymentError == nil
	default:
		return false
	}
}

// mayHold reports whether an intent holds a promise, or may come to.
func mayHold(intent *stripe.PaymentIntent) bool {
	switch intent.Status {
	case stripe.PaymentIntentStatusProcessing, stripe.PaymentIntentStatusRequiresAction, stripe.PaymentIntentStatusRequiresCapture:
		return true
	default:
		return untouched(intent)
	}
}

func refundedOf(intent *stripe.PaymentIntent) int64 {
	if intent.LatestCharge == nil {
		return 0
	}
	return intent.LatestCharge.AmountRefunded
}

// stateOf says where a payment stands.
func stateOf(intent *stripe.PaymentIntent) (usecase.ProviderPayment, error) {
	out := usecase.ProviderPayment{ID: intent.ID}
	switch intent.Status {
	case stripe.PaymentIntentStatusProcessing:
		out.Status = usecase.ProviderPending
	case stripe.PaymentIntentStatusRequiresCapture:
		out.Status = usecase.ProviderAuthorized
	case stripe.PaymentIntentStatusSucceeded:
		out.Status = usecase.ProviderCaptured
		if intent.AmountReceived > 0 && refundedOf(intent) >= intent.AmountReceived {
			out.Status = usecase.ProviderRefunded
		}
	case stripe.PaymentIntentStatusCanceled:
		return usecase.ProviderPayment{Status: usecase.ProviderVoided}, nil
	case stripe.PaymentIntentStatusRequiresAction:
		out.Status, out.Declined = usecase.ProviderDeclined, declined(stripe.ErrorCodeAuthenticationRequired, "")
	case stripe.PaymentIntentStatusRequiresPaymentMethod, stripe.PaymentIntentStatusRequiresConfirmation:
		if intent.LastPaymentError == nil {
			return usecase.ProviderPayment{}, apperr.DependencyUnavailable(fmt.Errorf("nobody has tried to pay payment %s", intent.ID))
		}
		out.Status, out.Declined = usecase.ProviderDeclined, declined(intent.LastPaymentError.Code, intent.LastPaymentError.DeclineCode)
	default:
		return usecase.ProviderPayment{}, fmt.Errorf("the provider answers a payment that is %q", intent.Status)
	}
	return out, nil
}

// declined is what a customer is told. What the bank says beyond a lack of funds, such as that a card was stolen, is not for
// whoever holds the card.
func declined(code stripe.ErrorCode, bank stripe.DeclineCode) *apperr.Error {
	switch {
	case code == stripe.ErrorCodeProcessingError:
		return domain.ErrPaymentFailed.WithAttribute("decline_code", "processing_failed")
	case bank == stripe.DeclineCodeInsufficientFunds:
		return domain.ErrPaymentDeclined.WithAttribute("decline_code", string(bank))
	default:
		return domain.ErrPaymentDeclined.WithAttribute("decline_code", string(code))
	}
}

// refusalOf returns what Stripe says in an error, nil if it is not Stripe that says something.
func refusalOf(err error) *stripe.Error {
	var refused *stripe.Error
	if errors.As(err, &refused) {
		return refused
	}
	return nil
}

// told is what a log may know of a refusal. The text of Stripe's own holds tokens, and the secret of the intent.
func told(refused *stripe.Error) error {
	return fmt.Errorf("stripe answers %d %s %s, request %s", refused.HTTPStatusCode, refused.Type, refused.Code, refused.RequestID)
}

// unknown is the error for a call that has failed in whichever way: what became of it is to be asked. It is unavailable if
// asking again may help, and else a mistake of ours.
func unknown(err error, doing string) error {
	refused := refusalOf(err)
	if refused != nil {
		told := fmt.Errorf("%s: %w", doing, told(refused))
		if refused.HTTPStatusCode >= http.StatusInternalServerError || refused.HTTPStatusCode == http.StatusConflict ||
			refused.HTTPStatusCode == http.StatusTooManyRequests {
			return apperr.DependencyUnavailable(told)
		}
		return told
	}
	var network *url.Error
	if !errors.As(err, &network) {
		return apperr.DependencyUnavailable(fmt.Errorf("%s: stripe's answer can't be read", doing)) // its text is in the error
	}
	return apperr.DependencyUnavailable(fmt.Errorf("%s: %w", doing, network.Err))
}
