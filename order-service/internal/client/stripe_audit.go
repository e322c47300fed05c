package client

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v85"

	"shop.example/order-service/internal/domain"
)

const (
	// stripePage is the largest page that Stripe answers.
	stripePage = 100
	// ofRefunds begins the cursors of the second half of a list.
	ofRefunds = "refunds:"
)

// ListPayments implements usecase.PaymentLister. Stripe lists by the time when something came to be: first the intents of the
// span, then those of the refunds of the span. What is captured later than the span of its intent is for the full pass. What
// does not bear this shop's mark is not this shop's.
func (s *Stripe) ListPayments(ctx context.Context, from, to time.Time, cursor string) (page []domain.PaymentRecord, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	span := &stripe.RangeQueryParams{GreaterThanOrEqual: from.Unix(), LesserThan: to.Unix()}
	after, refunds := strings.CutPrefix(cursor, ofRefunds)
	paging := stripe.ListParams{Single: true, Limit: stripe.Int64(stripePage)}
	if after != "" {
		paging.StartingAfter = stripe.String(after)
	}
	var (
		n    int
		last string
	)
	if refunds {
		params := &stripe.RefundListParams{ListParams: paging, CreatedRange: span}
		params.AddExpand("data.payment_intent.latest_charge")
		for refund, err := range s.api.V1Refunds.List(ctx, params).All(ctx) {
			if err != nil {
				return nil, "", unknown(err, "list the refunds")
			}
			n, last = n+1, refund.ID
			page = appendRecord(page, refund.PaymentIntent)
		}
		if n == stripePage {
			next = ofRefunds + last
		}
		return page, next, nil
	}
	params := &stripe.PaymentIntentListParams{ListParams: paging, CreatedRange: span}
	params.AddExpand("data.latest_charge")
	for intent, err := range s.api.V1PaymentIntents.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, "", unknown(err, "list the payments")
		}
		n, last = n+1, intent.ID
		page = appendRecord(page, intent)
	}
	if next = ofRefunds; n == stripePage {
		next = last
	}
	return page, next, nil
}

// LookUp implements usecase.PaymentLister.
func (s *Stripe) LookUp(ctx context.Context, id string) (found domain.PaymentRecord, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	intent, err := s.look(ctx, id)
	if refused := refusalOf(err); refused != nil && refused.HTTPStatusCode == http.StatusNotFound {
		return domain.PaymentRecord{}, false, nil
	}
	if err != nil {
		return domain.PaymentRecord{}, false, unknown(err, "look up the payment")
	}
	page := appendRecord(nil, intent)
	if len(page) == 0 {
		return domain.PaymentRecord{}, false, nil
	}
	return page[0], true, nil
}

// appendRecord appends an intent as an auditor needs it, if it is this shop's.
func appendRecord(page []domain.PaymentRecord, intent *stripe.PaymentIntent) []domain.PaymentRecord {
	if intent == nil || intent.Metadata[keyMark] == "" {
		return page
	}
	p := domain.PaymentRecord{
		Provider: "stripe", ID: intent.ID, Key: intent.Metadata[keyMark], Currency: strings.ToUpper(string(intent.Currency)),
		Captured: intent.AmountReceived, Refunded: refundedOf(intent),
	}
	if intent.Status == stripe.PaymentIntentStatusRequiresCapture || intent.Status == stripe.PaymentIntentStatusProcessing {
		p.Promised = intent.Amount
	}
	order, _, _ := strings.Cut(p.Key, ":")
	p.OrderID, _ = uuid.Parse(order) // what is not the key of an attempt is of no order, and still money
	return append(page, p)
}
