package client_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/usecase/usecasetest"
)

// list answers a page of intents, or refunds, of a span of time, newest first.
func (f *fakeStripe) list(r *http.Request, path string) (int, any) {
	from, to := number(r.Form.Get("created[gte]")), number(r.Form.Get("created[lt]"))
	limit, after := int(number(r.Form.Get("limit"))), r.Form.Get("starting_after")
	expand := func(what string) bool { return slices.Contains(r.Form["expand[0]"], what) }
	page, more, begun := []any{}, false, after == ""
	each := func(id string, created int64, show func() map[string]any) {
		switch {
		case created < from || created >= to:
		case !begun:
			begun = id == after
		case len(page) == limit:
			more = true
		default:
			page = append(page, show())
		}
	}
	if path == "refunds" {
		for _, refund := range slices.Backward(f.refunds) {
			each(refund.id, refund.created, func() map[string]any {
				shown := refund.json()
				if expand("data.payment_intent.latest_charge") {
					shown["payment_intent"] = f.intent(refund.intent).json(true)
				}
				return shown
			})
		}
	} else {
		for _, intent := range slices.Backward(f.intents) {
			each(intent.id, intent.created, func() map[string]any { return intent.json(expand("data.latest_charge")) })
		}
	}
	return http.StatusOK, map[string]any{"object": "list", "data": page, "has_more": more, "url": r.URL.Path}
}

func TestStripeLists(t *testing.T) {
	t.Parallel()
	usecasetest.RunPaymentLister(t, func(t *testing.T) usecasetest.ListedProvider {
		pay := newFakeStripe(t).client()
		return usecasetest.ListedProvider{Payments: pay, PaymentLister: pay}
	})
}

func TestTestPayLists(t *testing.T) {
	t.Parallel()
	usecasetest.RunPaymentLister(t, func(*testing.T) usecasetest.ListedProvider {
		pay := shared.client()
		return usecasetest.ListedProvider{Payments: pay, PaymentLister: pay}
	})
}

// A refund of these days is met although its payment is old, and what others do with the account is none of this shop's.
func TestStripeListsOldPaymentsByTheirRefunds(t *testing.T) {
	t.Parallel()
	a := newStripeAttempt(t)
	taken := a.taken(t)
	if _, err := a.pay.Refund(t.Context(), a.key, a.key+":refund:1", price); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.intents[0].created -= 1000
	a.intents = append(a.intents, &fakeIntent{id: "pi_other", status: "succeeded", amount: 100, received: 100, currency: "eur", created: time.Now().Unix()})
	a.mu.Unlock()
	var found []string
	for cursor := ""; ; {
		page, next, err := a.pay.ListPayments(t.Context(), time.Now().Add(-time.Minute), time.Now().Add(time.Minute), cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			found = append(found, p.ID)
			if p.OrderID != a.order || p.Refunded != price.Amount() {
				t.Errorf("listed %+v", p)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(found, []string{taken.ID}) {
		t.Errorf("listed %v, want %s", found, taken.ID)
	}
	if got, known, err := a.pay.LookUp(t.Context(), "pi_other"); known || err != nil {
		t.Errorf("what is not this shop's: %+v, %v, %v", got, known, err)
	}
}

// A payment that names no order, and money that is promised, is told of as it is.
func TestTestPayListsStrangers(t *testing.T) {
	t.Parallel()
	pay, key := shared.client(), uuid.NewString()
	made, err := pay.Authorize(t.Context(), key, uuid.Nil, price, usecasetest.TokLate)
	if err != nil {
		t.Fatal(err)
	}
	got, known, err := pay.LookUp(t.Context(), made.ID)
	if err != nil || !known || got.OrderID != uuid.Nil || got.Key != key || got.Promised != price.Amount() {
		t.Errorf("%+v, %v, %v", got, known, err)
	}
}

// Every call that an audit makes is one that Stripe knows, with parameters that it takes.
func TestStripeMockLists(t *testing.T) {
	t.Parallel()
	pay := client.NewStripe(startStripeMock(t).String(), stripeKey, 30*time.Second, quiet)
	cursor, calls := "", 0
	for ; calls == 0 || cursor != ""; calls++ {
		var err error
		if _, cursor, err = pay.ListPayments(t.Context(), time.Now().Add(-time.Hour), time.Now(), cursor); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 2 {
		t.Errorf("%d calls, want one for the intents and one for the refunds", calls)
	}
	if _, _, err := pay.LookUp(t.Context(), "pi_123"); err != nil {
		t.Error(err)
	}
}
