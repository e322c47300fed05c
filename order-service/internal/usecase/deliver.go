package usecase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
)

// Outgoing is a delivery with all that it takes to send it.
type Outgoing struct {
	Delivery domain.Delivery
	Endpoint domain.Endpoint // a deleted one too
	Body     []byte
}

// PlannedDelivery is a delivery that is to be sent, in a round.
type PlannedDelivery struct {
	ID         uuid.UUID
	EndpointID uuid.UUID
	Round      int
}

// OutgoingStore keeps what is to be sent.
type OutgoingStore interface {
	DeliveryStore
	// Outgoing returns a delivery, or domain.ErrDeliveryMissing.
	Outgoing(ctx context.Context, deliveryID uuid.UUID) (Outgoing, error)
}

// EndpointChanger changes endpoints; see EndpointStore.
type EndpointChanger interface {
	UpdateEndpoint(ctx context.Context, id uuid.UUID, change func(*domain.Endpoint) error) (domain.Endpoint, error)
}

// Receivers take events.
type Receivers interface {
	// Send sends an event, signed for its endpoint, and returns the HTTP status of the answer: one attempt, no redirects. An
	// error means that there was no answer; ReasonOf tells an admin why, in a few words.
	Send(ctx context.Context, o Outgoing, at time.Time) (status int, err error)
	ReasonOf(err error) string
}

// What became of an attempt, for metrics.
const (
	Delivered  = "delivered"
	ToBeAgain  = "retry"
	DeliverEnd = "failed"
)

// DelivererParts is what a Deliverer needs.
type DelivererParts struct {
	Store     OutgoingStore
	Endpoints EndpointChanger
	Receivers Receivers
	// Jitter returns a number from 0 up to 1.
	Jitter func() float64
	// Count counts what became of an attempt: Delivered, ToBeAgain or DeliverEnd.
	Count func(ctx context.Context, result string)
	Now   func() time.Time
	Log   *slog.Logger
}

// Deliverer sends events.
type Deliverer struct{ DelivererParts }

// NewDeliverer returns a deliverer.
func NewDeliverer(parts DelivererParts) *Deliverer { return &Deliverer{parts} }

const (
	// clocksDiffer is how much sooner than planned a delivery may be sent: the replica that planned it may be ahead.
	clocksDiffer = time.Second
	// statusGone is what a receiver answers that wants nothing more, ever.
	statusGone = 410
)

// Deliver makes an attempt to send a delivery if it is due, for the round in which that was planned. It returns how long to
// wait before it must run again, or 0 when nothing is left; after an error it must run again, too: what was sent and could not
// be written down is sent twice.
func (d *Deliverer) Deliver(ctx context.Context, deliveryID uuid.UUID, round int) (time.Duration, error) {
	out, err := d.Store.Outgoing(ctx, deliveryID)
	switch {
	case errors.Is(err, domain.ErrDeliveryMissing):
		return 0, nil // it is forgotten
	case err != nil:
		return 0, err
	case out.Delivery.Status != domain.DeliveryPending || out.Delivery.Round != round:
		return 0, nil
	}
	if wait := out.Delivery.NextAttemptAt.Sub(d.Now()); wait > clocksDiffer {
		return wait, nil
	}
	if !out.Endpoint.Receives() {
		return d.record(ctx, out, round, func(delivery *domain.Delivery) { delivery.GiveUp("the endpoint is disabled") })
	}
	status, err := d.Receivers.Send(ctx, out, d.Now())
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return 0, ctx.Err() // this process ends, which is not the receiver's fault; that the job's time is up is
	}
	// What came of it is written down whatever the context says: what the receiver has taken is not sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	gone := false
	if status == statusGone {
		if gone, err = d.disable(ctx, out.Endpoint); err != nil {
			return 0, err
		}
	}
	return d.record(ctx, out, round, func(delivery *domain.Delivery) {
		switch {
		case err != nil:
			delivery.Fail(0, d.Receivers.ReasonOf(err), d.Jitter(), d.Now())
		case status >= 200 && status < 300:
			delivery.Succeed(status, d.Now())
		case gone:
			delivery.Fail(status, "", 0, d.Now())
			delivery.GiveUp("the receiver is gone for good, so the endpoint was disabled")
		case status >= 300 && status < 400:
			delivery.Fail(status, "redirects are not followed", d.Jitter(), d.Now())
		default:
			delivery.Fail(status, "the receiver did not accept it", d.Jitter(), d.Now())
		}
	})
}

// record writes down what became of a delivery, unless somebody has begun a new round meanwhile.
func (d *Deliverer) record(ctx context.Context, out Outgoing, round int, change func(*domain.Delivery)) (time.Duration, error) {
	after, err := d.Store.UpdateDelivery(ctx, out.Delivery.ID, func(delivery *domain.Delivery) error {
		if delivery.Round == round && delivery.Status == domain.DeliveryPending {
			change(delivery)
		}
		return nil
	})
	switch {
	case errors.Is(err, domain.ErrDeliveryMissing):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("write down what became of it: %w", err)
	case after.Round != round:
		return 0, nil // its own job goes on
	case after.Status == domain.DeliveryPending:
		d.Count(ctx, ToBeAgain)
		return max(after.NextAttemptAt.Sub(d.Now()), time.Millisecond), nil
	case after.Status == domain.DeliveryDelivered:
		d.Count(ctx, Delivered)
	default:
		d.Count(ctx, DeliverEnd)
		d.Log.WarnContext(ctx, "an event is not sent any more", "delivery_id", after.ID, "endpoint_id", after.EndpointID,
			"event_type", after.EventType, "attempts", after.Attempts, "last_status", after.LastStatus, "reason", after.LastError)
	}
	return 0, nil
}

// disable disables an endpoint and reports whether it did: not if somebody has changed it since it was sent to, as the answer
// may be that of the URL before.
func (d *Deliverer) disable(ctx context.Context, sentTo domain.Endpoint) (done bool, err error) {
	_, err = d.Endpoints.UpdateEndpoint(ctx, sentTo.ID, func(e *domain.Endpoint) error {
		if done = e.Version == sentTo.Version; done {
			e.Disable(d.Now())
		}
		return nil
	})
	switch {
	case errors.Is(err, domain.ErrEndpointMissing):
		return false, nil // it is deleted, as the next turn will find
	case err != nil:
		return false, fmt.Errorf("disable the endpoint: %w", err)
	case done:
		d.Log.WarnContext(ctx, "a webhook endpoint says that it is gone, and is disabled", "endpoint_id", sentTo.ID)
	}
	return done, nil
}
