package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

const (
	// ProviderTimeout bounds one call of the provider: the rest of a checkout's 10 s must do for the stock, and for writing
	// down that the outcome is not known.
	ProviderTimeout = 4 * time.Second
	// maxAnswer is a hundred times what the provider answers of one payment, and more than twice a page of them.
	maxAnswer = 128 << 10
)

// TestPay is the test payment provider (deploy/testpay), a process with an HTTP API as real providers have.
type TestPay struct {
	*door
	base   string
	apiKey string
	http   *http.Client
}

// NewTestPay returns a client of the provider at base, such as http://127.0.0.1:8090. timeout bounds each call.
func NewTestPay(base, apiKey string, timeout time.Duration, log *slog.Logger) *TestPay {
	door, client := newDoor("test", timeout, log)
	return &TestPay{door: door, base: strings.TrimSuffix(base, "/"), apiKey: apiKey, http: client}
}

// payment is the provider's answer.
type payment struct {
	ID          string `json:"id"`
	Status      string `json:"status"`
	FailureCode string `json:"failure_code"`
	Captured    int64  `json:"captured"` // minor units, as Refunded
	Refunded    int64  `json:"refunded"`
	// replayed says that this is the answer to an earlier call under the same key. The payment may have gone on since.
	replayed bool
}

// refusal is the provider's answer to what it does not do.
type refusal struct {
	status int
	Detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Payment *payment `json:"payment"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("the provider answers %d %s: %s", r.status, r.Detail.Code, r.Detail.Message)
}

// Name implements usecase.Payments.
func (*TestPay) Name() string { return "test" }

// Authorize implements usecase.Payments.
func (p *TestPay) Authorize(ctx context.Context, key string, orderID uuid.UUID, amount money.Money, token string) (usecase.ProviderPayment, error) {
	answer, err := p.post(ctx, "/v1/payments", key, map[string]any{
		"amount": amount.Amount(), "currency": amount.Currency(), "token": token, "reference": orderID.String(),
	})
	var refused *refusal
	if errors.As(err, &refused) && refused.Detail.Code == "invalid_token" {
		return usecase.ProviderPayment{}, apperr.InvalidField("payment.token", "is not a token of the payment provider").Wrap(err)
	}
	if err != nil {
		return settled(err, "authorize the payment")
	}
	return p.present(ctx, key, answer)
}

// Capture implements usecase.Payments.
func (p *TestPay) Capture(ctx context.Context, key, paymentID string) (usecase.ProviderPayment, error) {
	answer, err := p.post(ctx, "/v1/payments/"+url.PathEscape(paymentID)+"/capture", key+":capture", map[string]any{})
	if err != nil {
		return settled(err, "capture the payment")
	}
	return p.present(ctx, key, answer)
}

// Find implements usecase.Payments.
func (p *TestPay) Find(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	found, err := p.byKey(ctx, key)
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return p.voidByKey(ctx, key)
	}
	return found, err
}

// Reverse implements usecase.Payments. What was captured is refunded as far as it has not been.
func (p *TestPay) Reverse(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	reversed, err := p.voidByKey(ctx, key)
	if err != nil || reversed.Status != usecase.ProviderCaptured {
		return reversed, err
	}
	held, err := p.call(ctx, http.MethodGet, "/v1/payments/by-key/"+url.PathEscape(key), "", nil)
	if err != nil {
		return usecase.ProviderPayment{}, fmt.Errorf("look at the payment: %w", err)
	}
	// The key names the amount: what is left may be less than when a refund was tried before.
	left := held.Captured - held.Refunded
	return p.refund(ctx, key, held.ID, key+":reverse:"+strconv.FormatInt(left, 10), left)
}

// present is the payment as it stands now.
func (p *TestPay) present(ctx context.Context, key string, answer payment) (usecase.ProviderPayment, error) {
	if answer.replayed {
		return p.byKey(ctx, key)
	}
	return toPayment(answer)
}

func (p *TestPay) byKey(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	answer, err := p.call(ctx, http.MethodGet, "/v1/payments/by-key/"+url.PathEscape(key), "", nil)
	if err != nil {
		return settled(err, "find the payment")
	}
	return toPayment(answer)
}

// voidByKey voids what is held under a key, and closes the key.
func (p *TestPay) voidByKey(ctx context.Context, key string) (usecase.ProviderPayment, error) {
	_, err := p.post(ctx, "/v1/payments/void-by-key", key+":void", map[string]any{"key": key})
	if err != nil {
		return settled(err, "void the payment")
	}
	return usecase.ProviderPayment{Status: usecase.ProviderVoided}, nil
}

// settled makes a payment of a refusal that tells the state of one, which is what was asked for; any other error stays one.
func settled(err error, doing string) (usecase.ProviderPayment, error) {
	var refused *refusal
	if errors.As(err, &refused) {
		if refused.Payment != nil {
			return toPayment(*refused.Payment)
		}
		if refused.Detail.Code == "payment_voided" {
			return usecase.ProviderPayment{Status: usecase.ProviderVoided}, nil
		}
	}
	return usecase.ProviderPayment{}, fmt.Errorf("%s: %w", doing, err)
}

func toPayment(p payment) (usecase.ProviderPayment, error) {
	out := usecase.ProviderPayment{ID: p.ID, Status: usecase.ProviderStatus(p.Status)}
	switch out.Status {
	case usecase.ProviderPending, usecase.ProviderAuthorized, usecase.ProviderCaptured, usecase.ProviderVoided, usecase.ProviderRefunded:
	case "partially_refunded":
		out.Status = usecase.ProviderCaptured
	case usecase.ProviderDeclined:
		out.Declined = domain.ErrPaymentDeclined
		if p.FailureCode == "processing_failed" {
			out.Declined = domain.ErrPaymentFailed
		}
		out.Declined = out.Declined.WithAttribute("decline_code", p.FailureCode)
	default:
		return out, fmt.Errorf("the provider answers a payment that is %q", p.Status)
	}
	return out, nil
}

func (p *TestPay) post(ctx context.Context, path, key string, body any) (payment, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return payment{}, err
	}
	return p.call(ctx, http.MethodPost, path, key, raw)
}

func (p *TestPay) call(ctx context.Context, method, path, key string, body []byte) (payment, error) {
	var answer payment
	header, err := p.exchange(ctx, method, path, key, body, &answer)
	if err != nil {
		return payment{}, err
	}
	answer.replayed = header.Get("Idempotency-Replayed") == "true"
	return answer, nil
}

// exchange makes a call and reads its answer.
func (p *TestPay) exchange(ctx context.Context, method, path, key string, body []byte, answer any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.apiKey)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, apperr.DependencyUnavailable(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, apperr.DependencyUnavailable(err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		refused := &refusal{status: resp.StatusCode}
		if err := json.Unmarshal(raw, refused); err != nil || resp.StatusCode >= http.StatusInternalServerError {
			return nil, apperr.DependencyUnavailable(fmt.Errorf("the provider answers %d", resp.StatusCode))
		}
		return nil, refused
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return nil, apperr.DependencyUnavailable(fmt.Errorf("read the provider's answer: %w", err))
	}
	return resp.Header, nil
}
