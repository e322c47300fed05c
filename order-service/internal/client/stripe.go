package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v85"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// What the objects at Stripe are marked with.
const (
	keyMark    = "shop_key"   // the key of the attempt, on its PaymentIntent
	orderMark  = "order_id"   // on the PaymentIntent; events tell it
	refundMark = "refund_key" // on a Refund
)

// openingAmount stands for the amount of a PaymentIntent until it is confirmed: Stripe wants one, at least half a euro, and
// those who only ask what became of a key don't know the true one.
const (
	openingAmount   = 1000
	openingCurrency = "eur"
)

// Stripe takes money with PaymentIntents. Each attempt to pay is one intent, opened under the attempt's key before there is
// any money in it: Stripe answers every opening under the same key with the same intent, so whoever asks first, to authorize
// or to find, decides what becomes of the key, and nothing depends on a search that lags behind. Only an intent
// that is confirmed can hold money, and one that was cancelled can't be confirmed.
//
// Stripe forgets idempotency keys after a day or more. An intent that is older than that is found by its mark: the search
// lags behind by minutes, and an hour at worst.
type Stripe struct {
	*door
	api     *stripe.Client
	timeout time.Duration
}

// NewStripe returns a client of Stripe, or of what answers as Stripe does at base. timeout bounds what each of its methods
// takes, which is some calls. Nothing that it returns or logs holds the key.
func NewStripe(base, apiKey string, timeout time.Duration, log *slog.Logger) *Stripe {
	door, client := newDoor("stripe", timeout, log)
	config := &stripe.BackendConfig{
		HTTPClient: client, EnableTelemetry: stripe.Bool(false),
		// The saga asks again by itself, with pauses, and knows what for.
		MaxNetworkRetries: stripe.Int64(0),
		// Its own log repeats what Stripe says of cards; the errors tell what is needed.
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	if base != "" {
		config.URL = stripe.String(base)
	}
	return &Stripe{door: door, api: stripe.NewClient(apiKey, stripe.WithBackends(stripe.NewBackendsWithConfig(config))), timeout: timeout}
}

// Name implements usecase.Payments.
func (*Stripe) Name() string { return "stripe" }

// Authorize implements usecase.Payments. The token is the id of a PaymentMethod.
func (s *Stripe) Authorize(ctx context.Context, key string, orderID uuid.UUID, amount money.Money, token string) (usecase.ProviderPayment, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	intent, err := s.open(ctx, key)
	if err != nil {
		return usecase.ProviderPayment{}, unknown(err, "open the payment")
	}
	if !untouched(intent) {
		return stateOf(intent)
	}
	if token == "" {
		return usecase.ProviderPayment{}, errNoSuchToken
	}
	intent, err = s.fill(ctx, key, intent.ID, orderID, amount)
	if err == nil {
		intent, err = s.confirm(ctx, key, intent.ID, token)
	}
	refused := refusalOf(err)
	switch {
	case err == nil:
		return stateOf(intent)
	case refused == nil:
		return usecase.ProviderPayment{}, unknown(err, "authorize the payment")
	case refused.Type == stripe.ErrorTypeCard && refused.PaymentIntent != nil:
		return stateOf(refused.PaymentIntent)
	case refused.Code == stripe.ErrorCodeResourceMissing && refused.Param == "payment_method":
		return usecase.ProviderPayment{}, errNoSuchToken.Wrap(told(refused))
	case refused.Code == stripe.ErrorCodeAmountTooSmall || refused.Code == stripe.ErrorCodeAmountTooLarge:
		return usecase.ProviderPayment{}, apperr.InvalidField("payment", "this amount can't be paid by card").Wrap(told(refused))
	default:
		return usecase.ProviderPayment{}, unknown(err, "authorize the payment")
	}
}

var errNoSuchToken = apperr.InvalidField("payment.token", "is not a token of the payment provider")

// Find implements usecase.Payments.
func (s *Stripe) Find(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	intent, err := s.locate(ctx, key)
	if err == nil && untouched(intent) {
		intent, err = s.cancel(ctx, key, intent)
	}
	if err != nil {
		return usecase.ProviderPayment{}, unknown(err, "find the payment")
	}
	return stateOf(intent)
}

// Capture implements usecase.Payments.
func (s *Stripe) Capture(ctx context.Context, key, paymentID string) (usecase.ProviderPayment, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	intent, err := s.change(ctx, key+":capture", paymentID, func(key string) (*stripe.PaymentIntent, error) {
		params := &stripe.PaymentIntentCaptureParams{}
		params.SetIdempotencyKey(key)
		return s.api.V1PaymentIntents.Capture(ctx, paymentID, params)
	})
	if err != nil {
		return usecase.ProviderPayment{}, unknown(err, "capture the payment")
	}
	return stateOf(intent)
}

// Reverse implements usecase.Payments. What was captured is refunded as far as it has not been.
func (s *Stripe) Reverse(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	intent, err := s.locate(ctx, key)
	if err != nil {
		return usecase.ProviderPayment{}, unknown(err, "find the payment")
	}
	if mayHold(intent) {
		if intent, err = s.cancel(ctx, key, intent); err != nil {
			return usecase.ProviderPayment{}, unknown(err, "void the payment")
		}
	}
	switch left := intent.AmountReceived - refundedOf(intent); {
	case mayHold(intent): // the bank is at it, and won't be disturbed
		return usecase.ProviderPayment{}, apperr.DependencyUnavailable(fmt.Errorf("void the payment: it is %s", intent.Status))
	case left > 0: // it was captured, perhaps a moment ago
		// The key names the amount: what is left may be less than when a refund was tried before.
		return s.refund(ctx, intent, key+":reverse:"+strconv.FormatInt(left, 10), left)
	default:
		return stateOf(intent)
	}
}

// Refund implements usecase.Payments.
func (s *Stripe) Refund(ctx context.Context, key, refundKey string, amount money.Money) (usecase.ProviderPayment, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	intent, err := s.locate(ctx, key)
	if err != nil {
		return usecase.ProviderPayment{}, unknown(err, "find the payment")
	}
	return s.refund(ctx, intent, refundKey, amount.Amount())
}

// refund gives a part back, once a key. It looks at what was given back before: the state of an intent does not stand in the
// way of a second refund, and Stripe forgets its idempotency keys.
func (s *Stripe) refund(ctx context.Context, intent *stripe.PaymentIntent, key string, amount int64) (usecase.ProviderPayment, error) {
	list := &stripe.RefundListParams{PaymentIntent: stripe.String(intent.ID)}
	for known, err := range s.api.V1Refunds.List(ctx, list).All(ctx) {
		if err != nil {
			return usecase.ProviderPayment{}, unknown(err, "list the refunds")
		}
		if known.Metadata[refundMark] == key {
			return s.refunded(ctx, known, intent.ID)
		}
	}
	made, err := once(ctx, key, func(idempotencyKey string) (*stripe.Refund, error) {
		params := &stripe.RefundCreateParams{PaymentIntent: stripe.String(intent.ID), Amount: stripe.Int64(amount)}
		params.AddMetadata(refundMark, key)
		params.AddMetadata(orderMark, intent.Metadata[orderMark])
		params.SetIdempotencyKey(idempotencyKey)
		return s.api.V1Refunds.Create(ctx, params)
	})
	if refused := refusalOf(err); refused != nil && refused.HTTPStatusCode == http.StatusBadRequest && refused.Type == stripe.ErrorTypeInvalidRequest {
		return usecase.ProviderPayment{}, domain.ErrRefundFailed.Wrap(told(refused))
	}
	if err != nil {
		return usecase.ProviderPayment{}, unknown(err, "refund the payment")
	}
	return s.refunded(ctx, made, intent.ID)
}

// refunded is the payment after a refund, unless the bank would not have the money back.
func (s *Stripe) refunded(ctx context.Context, refund *stripe.Refund, id string) (usecase.ProviderPayment, error) {
	if refund.Status == stripe.RefundStatusFailed || refund.Status == stripe.RefundStatusCanceled {
		return usecase.ProviderPayment{}, domain.ErrRefundFailed.Wrap(fmt.Errorf("refund %s is %s", refund.ID, refund.Status))
	}
	return s.present(ctx, id)
}

// locate returns the intent under a key, opening one if there is none.
func (s *Stripe) locate(ctx context.Context, key string) (*stripe.PaymentIntent, error) {
	search := &stripe.PaymentIntentSearchParams{SearchParams: stripe.SearchParams{Query: fmt.Sprintf(`metadata["%s"]:"%s"`, keyMark, key)}}
	for found, err := range s.api.V1PaymentIntents.Search(ctx, search).All(ctx) {
		if err != nil {
			return nil, err
		}
		// What the search tells of it may be old, but money in an intent leaves a trace that stays. One without may be the
		// remains of an opening that Stripe has failed, beside the true one.
		if found.LatestCharge != nil || found.LastPaymentError != nil {
			return s.look(ctx, found.ID)
		}
	}
	return s.open(ctx, key)
}

// open returns the intent under a key, as it stands now.
func (s *Stripe) open(ctx context.Context, key string) (*stripe.PaymentIntent, error) {
	intent, err := once(ctx, key, func(idempotencyKey string) (*stripe.PaymentIntent, error) {
		// The same for all who open it: Stripe refuses another wish under the same idempotency key.
		params := &stripe.PaymentIntentCreateParams{
			Amount: stripe.Int64(openingAmount), Currency: stripe.String(openingCurrency),
			CaptureMethod: stripe.String(string(stripe.PaymentIntentCaptureMethodManual)), PaymentMethodTypes: []*string{stripe.String("card")},
		}
		params.AddMetadata(keyMark, key)
		params.SetIdempotencyKey(idempotencyKey)
		return s.api.V1PaymentIntents.Create(ctx, params)
	})
	if err == nil && replayed(intent.LastResponse) {
		return s.look(ctx, intent.ID)
	}
	return intent, err
}

// fill tells an open intent what it is for.
func (s *Stripe) fill(ctx context.Context, key, id string, orderID uuid.UUID, amount money.Money) (*stripe.PaymentIntent, error) {
	return s.change(ctx, key+":fill", id, func(key string) (*stripe.PaymentIntent, error) {
		params := &stripe.PaymentIntentUpdateParams{Amount: stripe.Int64(amount.Amount()), Currency: stripe.String(strings.ToLower(amount.Currency()))}
		params.AddMetadata(orderMark, orderID.String())
		params.SetIdempotencyKey(key)
		return s.api.V1PaymentIntents.Update(ctx, id, params)
	})
}

// confirm has the bank promise the money. The idempotency key names the token: another one may follow one that is none.
func (s *Stripe) confirm(ctx context.Context, key, id, token string) (*stripe.PaymentIntent, error) {
	hash := sha256.Sum256([]byte(token))
	return s.change(ctx, key+":confirm:"+hex.EncodeToString(hash[:8]), id, func(key string) (*stripe.PaymentIntent, error) {
		params := &stripe.PaymentIntentConfirmParams{
			PaymentMethod: stripe.String(token),
			// There is no page to send the customer to, so a card that wants one is declined, with that reason.
			ErrorOnRequiresAction: stripe.Bool(true),
		}
		params.SetIdempotencyKey(key)
		return s.api.V1PaymentIntents.Confirm(ctx, id, params)
	})
}

// cancel closes an intent for good. The idempotency key names the state, for a payment that can't be called off while the bank
// is at it can be when the bank is done.
func (s *Stripe) cancel(ctx context.Context, key string, intent *stripe.PaymentIntent) (*stripe.PaymentIntent, error) {
	return s.change(ctx, key+":cancel:"+string(intent.Status), intent.ID, func(key string) (*stripe.PaymentIntent, error) {
		params := &stripe.PaymentIntentCancelParams{}
		params.SetIdempotencyKey(key)
		return s.api.V1PaymentIntents.Cancel(ctx, intent.ID, params)
	})
}

// change changes an intent and returns it as it stands then. One whose state forbids the change is returned as it stands.
func (s *Stripe) change(ctx context.Context, key, id string, call func(key string) (*stripe.PaymentIntent, error)) (*stripe.PaymentIntent, error) {
	intent, err := once(ctx, key, call)
	refused := refusalOf(err)
	if err == nil && replayed(intent.LastResponse) || refused != nil && refused.Code == stripe.ErrorCodePaymentIntentUnexpectedState {
		return s.look(ctx, id)
	}
	return intent, err
}

// look returns an intent as it stands now.
func (s *Stripe) look(ctx context.Context, id string) (*stripe.PaymentIntent, error) {
	params := &stripe.PaymentIntentRetrieveParams{}
	params.AddExpand("latest_charge") // it knows the refunds
	return s.api.V1PaymentIntents.Retrieve(ctx, id, params)
}

func (s *Stripe) present(ctx context.Context, id string) (usecase.ProviderPayment, error) {
	intent, err := s.look(ctx, id)
	if err != nil {
		return usecase.ProviderPayment{}, unknown(err, "look at the payment")
	}
	return stateOf(intent)
}
