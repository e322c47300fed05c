package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
)

// testPayRecord is a payment as an auditor needs it.
type testPayRecord struct {
	ID        string `json:"id"`
	Key       string `json:"key"`
	Reference string `json:"reference"`
	Status    string `json:"status"`
	Currency  string `json:"currency"`
	Amount    int64  `json:"amount"`
	Captured  int64  `json:"captured"`
	Refunded  int64  `json:"refunded"`
}

func (r testPayRecord) record() domain.PaymentRecord {
	p := domain.PaymentRecord{Provider: "test", ID: r.ID, Key: r.Key, Currency: r.Currency, Captured: r.Captured, Refunded: r.Refunded}
	if r.Status == "pending" || r.Status == "authorized" {
		p.Promised = r.Amount
	}
	// What is not the id of an order is of none, and still money.
	p.OrderID, _ = uuid.Parse(r.Reference)
	return p
}

// ListPayments implements usecase.PaymentLister: by the provider's ledger, so all that ever happens to a payment is met.
func (p *TestPay) ListPayments(ctx context.Context, from, to time.Time, cursor string) (page []domain.PaymentRecord, next string, err error) {
	query := url.Values{"from": {from.UTC().Format(time.RFC3339Nano)}, "to": {to.UTC().Format(time.RFC3339Nano)}}
	if cursor != "" {
		query.Set("after", cursor)
	}
	var answer struct {
		Items     []testPayRecord `json:"items"`
		NextAfter int64           `json:"next_after"`
	}
	if _, err := p.exchange(ctx, http.MethodGet, "/v1/payments?"+query.Encode(), "", nil, &answer); err != nil {
		return nil, "", fmt.Errorf("list payments: %w", err)
	}
	for _, item := range answer.Items {
		page = append(page, item.record())
	}
	if answer.NextAfter > 0 {
		next = strconv.FormatInt(answer.NextAfter, 10)
	}
	return page, next, nil
}

// LookUp implements usecase.PaymentLister.
func (p *TestPay) LookUp(ctx context.Context, id string) (found domain.PaymentRecord, known bool, err error) {
	var answer testPayRecord
	_, err = p.exchange(ctx, http.MethodGet, "/v1/payments/"+url.PathEscape(id), "", nil, &answer)
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusNotFound:
		return domain.PaymentRecord{}, false, nil
	case err != nil:
		return domain.PaymentRecord{}, false, fmt.Errorf("look up the payment: %w", err)
	default:
		return answer.record(), true, nil
	}
}
