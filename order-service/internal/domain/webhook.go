package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// MaxEndpoints is how many endpoints there may be: each makes one more row and one more call of every event.
const MaxEndpoints = 100

// EndpointStatus says whether an endpoint is sent anything.
type EndpointStatus string

// The states of an endpoint.
const (
	EndpointActive   EndpointStatus = "active"
	EndpointDisabled EndpointStatus = "disabled"
)

// EndpointTerms are what an admin says of an endpoint.
type EndpointTerms struct {
	URL string
	// Events are the types that it is sent; none for all.
	Events []EventType
	Status EndpointStatus
}

// Endpoint is where events are sent to. Change it by its methods only.
type Endpoint struct {
	ID uuid.UUID
	EndpointTerms
	Version              int64
	CreatedAt, UpdatedAt time.Time
	// DeletedAt is when it was deleted, zero if it was not. A deleted one stays until its deliveries are forgotten.
	DeletedAt time.Time
}

// NewEndpoint returns an endpoint. Whether anything may be sent to its URL is not looked at.
func NewEndpoint(terms EndpointTerms, at time.Time) (Endpoint, error) {
	terms, err := terms.checked()
	if err != nil {
		return Endpoint{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Endpoint{}, fmt.Errorf("make endpoint id: %w", err)
	}
	return Endpoint{ID: id, EndpointTerms: terms, Version: 1, CreatedAt: at, UpdatedAt: at}, nil
}

// Change replaces the terms.
func (e *Endpoint) Change(terms EndpointTerms, at time.Time) error {
	terms, err := terms.checked()
	if err != nil {
		return err
	}
	e.EndpointTerms = terms
	e.touch(at)
	return nil
}

// Disable ends sending, because the receiver has said that it is gone.
func (e *Endpoint) Disable(at time.Time) {
	if e.Status != EndpointDisabled {
		e.Status = EndpointDisabled
		e.touch(at)
	}
}

// Delete ends the endpoint.
func (e *Endpoint) Delete(at time.Time) {
	e.DeletedAt = at
	e.touch(at)
}

func (e *Endpoint) touch(at time.Time) {
	e.UpdatedAt = at
	e.Version++
}

// Wants reports whether the endpoint is sent events of a type.
func (e *Endpoint) Wants(t EventType) bool {
	return e.Receives() && (len(e.Events) == 0 || slices.Contains(e.Events, t))
}

// Receives reports whether the endpoint is sent anything at all.
func (e *Endpoint) Receives() bool { return e.Status == EndpointActive && e.DeletedAt.IsZero() }

func (t EndpointTerms) checked() (EndpointTerms, error) {
	var wrong []apperr.Violation
	for i, event := range t.Events {
		location := fmt.Sprintf("events[%d]", i)
		switch {
		case !slices.Contains(EventTypes, event):
			wrong = append(wrong, apperr.Violation{Location: location, Message: "is not a type of event"})
		case slices.Contains(t.Events[:i], event):
			wrong = append(wrong, apperr.Violation{Location: location, Message: "is there twice"})
		}
	}
	if t.Status != EndpointActive && t.Status != EndpointDisabled {
		wrong = append(wrong, apperr.Violation{Location: "status", Message: "is not known"})
	}
	if len(wrong) > 0 {
		return EndpointTerms{}, apperr.ValidationFailed(wrong...)
	}
	t.Events = slices.Clone(t.Events)
	return t, nil
}

// DeliveryStatus is how far a delivery is.
type DeliveryStatus string

// The states of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed" // nobody tries any more, unless it is begun again
)

// retries are the pauses after failed attempts: a receiver that restarts misses a few seconds, one that is repaired in the
// course of three days nothing. The first is 4 s because with its jitter it stays below the 5 s up to which the queue hands out
// a job the moment it is due; one that waits for longer is looked for every 5 s only, which may be added to all others.
var retries = []time.Duration{
	4 * time.Second, 30 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 20 * time.Hour,
}

// Delivery is an event on its way to an endpoint. Change it by its methods only.
type Delivery struct {
	ID         uuid.UUID
	EndpointID uuid.UUID
	EventID    uuid.UUID
	EventType  EventType
	OrderID    uuid.UUID
	Status     DeliveryStatus
	// Attempts counts all of them, and Tries those of this round. A round begins with the event and each time that somebody
	// wants it sent again: whoever works for an earlier round has nothing to do any more.
	Attempts, Tries, Round int
	// LastStatus is what the last attempt was answered; 0 if it was not.
	LastStatus int
	// LastError is why the last attempt did not succeed, in words of ours: never those of the receiver.
	LastError string
	// LastAttemptAt and NextAttemptAt are zero if there is none.
	LastAttemptAt, NextAttemptAt time.Time
	CreatedAt                    time.Time
}

// NewDelivery returns the delivery of an event, which is due at once.
func NewDelivery(e Event, endpointID uuid.UUID) (Delivery, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Delivery{}, fmt.Errorf("make delivery id: %w", err)
	}
	return Delivery{
		ID: id, EndpointID: endpointID, EventID: e.ID, EventType: e.Type, OrderID: e.OrderID, Status: DeliveryPending, Round: 1,
		NextAttemptAt: e.CreatedAt, CreatedAt: e.CreatedAt,
	}, nil
}

// Succeed records that the receiver has taken the event.
func (d *Delivery) Succeed(status int, at time.Time) {
	d.tried(status, "", at)
	d.Status, d.NextAttemptAt = DeliveryDelivered, time.Time{}
}

// Fail records an attempt that failed: status is 0 if there was no answer. Jitter, from 0 up to 1, spreads the next attempts
// of many deliveries over a tenth of the pause.
func (d *Delivery) Fail(status int, reason string, jitter float64, at time.Time) {
	d.tried(status, reason, at)
	if d.Tries > len(retries) {
		d.Status, d.NextAttemptAt = DeliveryFailed, time.Time{}
		return
	}
	pause := retries[d.Tries-1]
	d.NextAttemptAt = at.Add(pause + time.Duration(jitter*float64(pause)/10)).Truncate(time.Microsecond)
}

// GiveUp ends a delivery that need not be tried.
func (d *Delivery) GiveUp(reason string) {
	d.Status, d.LastError, d.NextAttemptAt = DeliveryFailed, reason, time.Time{}
}

// Again begins a new round, at once.
func (d *Delivery) Again(at time.Time) {
	d.Round++
	d.Tries = 0
	d.Status, d.NextAttemptAt = DeliveryPending, at
}

func (d *Delivery) tried(status int, reason string, at time.Time) {
	d.Attempts++
	d.Tries++
	d.LastStatus, d.LastError, d.LastAttemptAt = status, reason, at
}

// What can be wrong with endpoints and deliveries.
var (
	ErrEndpointMissing  = apperr.Missing("webhook endpoint")
	ErrEndpointVersion  = apperr.New(apperr.VersionMismatch, "version_mismatch", "The webhook endpoint was changed by somebody else. Read it again.")
	ErrEndpointLimit    = apperr.New(apperr.Invalid, "webhook_endpoint_limit", "There are as many webhook endpoints as there may be. Delete one first.")
	ErrEndpointDisabled = apperr.New(apperr.Conflict, "webhook_endpoint_disabled", "The webhook endpoint is disabled, so nothing is sent to it.")
	ErrDeliveryMissing  = apperr.Missing("delivery")
)
