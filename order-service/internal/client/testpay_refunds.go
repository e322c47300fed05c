package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/money"
)

// Refund implements usecase.Payments.
func (p *TestPay) Refund(ctx context.Context, key, refundKey string, amount money.Money) (usecase.ProviderPayment, error) {
	found, err := p.byKey(ctx, key)
	if err != nil {
		return usecase.ProviderPayment{}, err
	}
	if found.ID == "" { // the key was closed before there was a payment
		return usecase.ProviderPayment{}, domain.ErrRefundFailed.Wrap(errors.New("there is no payment under the key"))
	}
	return p.refund(ctx, key, found.ID, refundKey, amount.Amount())
}

// refund gives a part of a payment back, once a refundKey. key is that of the payment.
func (p *TestPay) refund(ctx context.Context, key, paymentID, refundKey string, amount int64) (usecase.ProviderPayment, error) {
	answer, err := p.post(ctx, "/v1/payments/"+url.PathEscape(paymentID)+"/refunds", refundKey, map[string]any{"amount": amount})
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusConflict:
		return usecase.ProviderPayment{}, domain.ErrRefundFailed.Wrap(err)
	case err != nil:
		return usecase.ProviderPayment{}, err
	default:
		return p.present(ctx, key, answer)
	}
}
