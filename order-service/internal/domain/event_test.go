package domain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/money"
)

// told is an order that waits to be paid, of 2 cups at 12.50 with delivery for 4.90.
func told(t *testing.T) *Order {
	t.Helper()
	o, err := NewOrder(Draft{
		UserID: uuid.New(), Method: Card, Shipping: ShippingMethod{ID: "standard", Price: money.MustNew(490, "EUR")},
		Items: []Item{{ProductID: uuid.New(), SKU: "CUP-1", Name: "A cup", Quantity: 2, UnitPrice: money.MustNew(1250, "EUR")}},
	}, eventTime)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var eventTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Each step of an order's life is told by its own events, and what nobody sees by none.
func TestEventsOf(t *testing.T) {
	t.Parallel()
	type step struct {
		name string
		does func(*Order) error
		want []EventType
	}
	refund := uuid.New()
	begin := func(method PaymentMethod, atCheckout bool) func(*Order) error {
		return func(o *Order) error { return o.BeginPayment(method, "test", atCheckout, eventTime) }
	}
	confirm := func(o *Order) error { return o.Confirm("pay_1", eventTime) }
	advance := func(next Status) func(*Order) error {
		return func(o *Order) error { return o.Advance(next, "staff", "", "", eventTime) }
	}
	cancel := func(o *Order) error { return o.Cancel("me", "why not", eventTime) }
	item := Item{ProductID: uuid.New(), SKU: "POT-1", Name: "A pot", Quantity: 1, UnitPrice: money.MustNew(3999, "EUR")}
	for name, steps := range map[string][]step{
		"paid and delivered": {
			{"nothing", func(*Order) error { return nil }, nil},
			{"an edit", func(o *Order) error {
				return o.AddItem(item, ShippingMethod{ID: "standard", Price: money.MustNew(490, "EUR")}, eventTime)
			}, []EventType{OrderUpdated}},
			{"a payment begins", begin(Card, false), nil},
			{"declined", func(o *Order) error { return o.Decline("pay_0", eventTime) }, []EventType{PaymentHasFailed}},
			{"declined again", func(o *Order) error {
				if err := begin(Card, false)(o); err != nil {
					return err
				}
				return o.Decline("pay_0", eventTime)
			}, []EventType{PaymentHasFailed}},
			{"another payment begins", begin(Card, false), nil},
			{"paid", confirm, []EventType{PaymentWasCaptured, OrderConfirmed}},
			{"no pieces", func(o *Order) error { o.MissStock(eventTime); return nil }, nil},
			{"packed", advance(Processing), []EventType{OrderProcessing}},
			{"shipped", advance(Shipped), []EventType{OrderShipped}},
			{"delivered", advance(Delivered), []EventType{OrderDelivered}},
			{"a refund is asked for", func(o *Order) error {
				_, err := o.Refund(RefundWish{ID: refund, Amount: 100, Reason: "sorry"}, eventTime)
				return err
			}, nil},
			{"the money is back", func(o *Order) error { return o.FinishRefund(refund, eventTime) }, []EventType{PaymentWasRefunded}},
			{"the rest, too", func(o *Order) error {
				if err := o.TakeBack(RefundWish{ID: uuid.New(), Reason: "sorry"}, eventTime); err != nil {
					return err
				}
				return o.FinishRefund(o.OpenRefunds()[0].ID, eventTime)
			}, []EventType{PaymentWasRefunded, OrderRefunded}},
		},
		"declined at checkout": {
			{"the payment begins", begin(Card, true), nil},
			{"declined", func(o *Order) error { return o.Decline("pay_1", eventTime) }, []EventType{PaymentHasFailed, OrderCancelled}},
		},
		"cancelled while it is paid": {
			{"the payment begins", begin(Card, false), nil},
			{"cancelled", cancel, []EventType{OrderCancelled}},
			{"voided", func(o *Order) error { o.Reversed(PaymentVoided, eventTime); return nil }, []EventType{PaymentWasVoided}},
			{"voided again", func(o *Order) error { o.Reversed(PaymentVoided, eventTime); return nil }, nil},
			{"it was taken after all", func(o *Order) error { o.Reversed(PaymentRefunded, eventTime); return nil }, []EventType{PaymentWasRefunded}},
		},
		"cancelled when it was paid": {
			{"paid", func(o *Order) error {
				if err := begin(Card, false)(o); err != nil {
					return err
				}
				return confirm(o)
			}, []EventType{PaymentWasCaptured, OrderConfirmed}},
			{"cancelled", cancel, []EventType{OrderCancelled}},
			{"the money is back", func(o *Order) error { return o.FinishRefund(o.OpenRefunds()[0].ID, eventTime) }, []EventType{PaymentWasRefunded}},
		},
		"cash": {
			{"confirmed", func(o *Order) error {
				if err := begin(CashOnDelivery, true)(o); err != nil {
					return err
				}
				return confirm(o)
			}, []EventType{OrderConfirmed}},
			{"on its way", func(o *Order) error {
				if err := advance(Processing)(o); err != nil {
					return err
				}
				return advance(Shipped)(o)
			}, []EventType{OrderProcessing, OrderShipped}},
			{"paid at the door", advance(Delivered), []EventType{PaymentWasCaptured, OrderDelivered}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := told(t)
			for _, step := range steps {
				before := o.Snapshot()
				if err := step.does(o); err != nil {
					t.Fatalf("%s: %v", step.name, err)
				}
				if diff := cmp.Diff(step.want, EventsOf(before, o.Snapshot())); diff != "" {
					t.Errorf("%s (-want +got):\n%s", step.name, diff)
				}
			}
		})
	}
}

// Of an order that nobody was told of, all that has happened is told with its creation.
func TestFirstEvents(t *testing.T) {
	t.Parallel()
	o := told(t)
	if diff := cmp.Diff([]EventType{OrderCreated}, EventsOf(Snapshot{}, o.Snapshot())); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	if err := o.BeginPayment(Card, "test", true, eventTime); err != nil {
		t.Fatal(err)
	}
	if err := o.Confirm("pay_1", eventTime); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]EventType{OrderCreated, PaymentWasCaptured, OrderConfirmed}, EventsOf(Snapshot{}, o.Snapshot())); diff != "" {
		t.Errorf("confirmed at once (-want +got):\n%s", diff)
	}
}
