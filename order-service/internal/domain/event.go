package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// EventType says what happened to an order.
type EventType string

// The types of events.
const (
	OrderCreated    EventType = "order.created"
	OrderUpdated    EventType = "order.updated" // its items, and with them what it costs
	OrderConfirmed  EventType = "order.confirmed"
	OrderProcessing EventType = "order.processing"
	OrderShipped    EventType = "order.shipped"
	OrderDelivered  EventType = "order.delivered"
	OrderCancelled  EventType = "order.cancelled"
	OrderRefunded   EventType = "order.refunded"

	PaymentWasCaptured EventType = "payment.captured"
	PaymentHasFailed   EventType = "payment.failed"
	PaymentWasVoided   EventType = "payment.voided"
	PaymentWasRefunded EventType = "payment.refunded" // in full or in part
)

// EventTypes are all that there are.
var EventTypes = []EventType{
	OrderCreated, OrderUpdated, OrderConfirmed, OrderProcessing, OrderShipped, OrderDelivered, OrderCancelled, OrderRefunded,
	PaymentWasCaptured, PaymentHasFailed, PaymentWasVoided, PaymentWasRefunded,
}

// statusEvents are what an order that comes into a state is an event of. The first state is OrderCreated.
var statusEvents = map[Status]EventType{
	Confirmed: OrderConfirmed, Processing: OrderProcessing, Shipped: OrderShipped, Delivered: OrderDelivered,
	Cancelled: OrderCancelled, Refunded: OrderRefunded,
}

// EventsOf returns what a change of an order tells the world, in the order in which it came about. The zero Snapshot as before
// is for an order of which the world was told nothing yet.
func EventsOf(before, after Snapshot) []EventType {
	var events []EventType
	switch {
	case before.ID == uuid.Nil:
		events = append(events, OrderCreated)
	case !slices.Equal(before.Items, after.Items):
		events = append(events, OrderUpdated)
	}
	events = append(events, paymentEvents(before, after)...)
	for _, entry := range after.History[len(before.History):] {
		if event, ok := statusEvents[entry.Status]; ok {
			events = append(events, event)
		}
	}
	return events
}

func paymentEvents(before, after Snapshot) []EventType {
	var events []EventType
	// Another attempt may end as the one before it did, and is news all the same.
	if is, was := after.Payment, before.Payment; is.Status != was.Status || is.Attempt != was.Attempt {
		switch is.Status {
		case PaymentCaptured:
			events = append(events, PaymentWasCaptured)
		case PaymentFailed:
			events = append(events, PaymentHasFailed)
		case PaymentVoided:
			events = append(events, PaymentWasVoided)
		}
	}
	if after.GivenBack().Amount() > givenBackBefore(before) {
		events = append(events, PaymentWasRefunded)
	}
	return events
}

// givenBackBefore is nothing, in no currency, for an order that was not.
func givenBackBefore(s Snapshot) int64 {
	if s.ID == uuid.Nil {
		return 0
	}
	return s.GivenBack().Amount()
}

// Event is something that happened to an order, told as it is sent: its body is made once and never changes.
type Event struct {
	ID        uuid.UUID
	Type      EventType
	OrderID   uuid.UUID
	CreatedAt time.Time
	Body      []byte
}

// NewEvent returns an event of a change that led to the order as it is, without its body.
func NewEvent(eventType EventType, order Snapshot) (Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Event{}, fmt.Errorf("make event id: %w", err)
	}
	return Event{ID: id, Type: eventType, OrderID: order.ID, CreatedAt: order.UpdatedAt}, nil
}
