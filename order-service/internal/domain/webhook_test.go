package domain

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// A delivery is tried for three days, soon at first, and is a dead end then, from which it can be begun again.
func TestDeliveryIsTriedForThreeDays(t *testing.T) {
	t.Parallel()
	for _, jitter := range []float64{0, 0.999} {
		now := eventTime
		d := Delivery{Status: DeliveryPending, Round: 1, NextAttemptAt: now}
		var last time.Duration
		for d.Status == DeliveryPending {
			before := now
			d.Fail(503, "no", jitter, now)
			if d.Status == DeliveryFailed {
				break
			}
			pause := d.NextAttemptAt.Sub(before)
			// Up to 5 s the queue adds nothing.
			if d.Attempts == 1 && (pause < 4*time.Second || pause > 5*time.Second) {
				t.Errorf("the first retry comes after %v", pause)
			}
			if pause < last {
				t.Errorf("pause %d is %v, the one before was %v", d.Attempts, pause, last)
			}
			last, now = pause, d.NextAttemptAt
		}
		if took := now.Sub(eventTime); took < 71*time.Hour || took > 80*time.Hour {
			t.Errorf("it is given up after %v", took)
		}
		want := Delivery{Status: DeliveryFailed, Round: 1, Attempts: 11, Tries: 11, LastStatus: 503, LastError: "no", LastAttemptAt: now}
		if diff := cmp.Diff(want, d); diff != "" {
			t.Errorf("in the end (-want +got):\n%s", diff)
		}
		d.Again(now)
		d.Fail(0, "no answer", 0, now)
		if d.Status != DeliveryPending || d.Round != 2 || d.Attempts != 12 || d.NextAttemptAt != now.Add(4*time.Second) || d.LastStatus != 0 {
			t.Errorf("begun again: %+v", d)
		}
		d.Succeed(204, now)
		if d.Status != DeliveryDelivered || !d.NextAttemptAt.IsZero() || d.LastError != "" || d.LastStatus != 204 {
			t.Errorf("delivered: %+v", d)
		}
	}
}

func TestEndpointTerms(t *testing.T) {
	t.Parallel()
	good := EndpointTerms{URL: "https://receiver.example", Events: []EventType{OrderShipped}, Status: EndpointActive}
	e, err := NewEndpoint(good, eventTime)
	if err != nil || e.Version != 1 || e.ID == uuid.Nil {
		t.Fatalf("%+v, %v", e, err)
	}
	for location, bad := range map[string]EndpointTerms{
		"events[1]": {Events: []EventType{OrderShipped, "order.lost"}, Status: EndpointActive},
		"events[2]": {Events: []EventType{OrderShipped, OrderCreated, OrderShipped}, Status: EndpointActive},
		"status":    {Status: "gone"},
	} {
		_, err := NewEndpoint(bad, eventTime)
		if v := apperr.From(err); apperr.KindOf(err) != apperr.Invalid || len(v.Violations) != 1 || v.Violations[0].Location != location {
			t.Errorf("%+v: %v, want %s", bad, err, location)
		}
		before := e
		if err := e.Change(bad, eventTime); err == nil || !cmp.Equal(e, before) {
			t.Errorf("changed to %+v: %v", bad, err)
		}
	}
}

func TestWants(t *testing.T) {
	t.Parallel()
	some := Endpoint{EndpointTerms: EndpointTerms{Status: EndpointActive, Events: []EventType{OrderShipped}}}
	all := Endpoint{EndpointTerms: EndpointTerms{Status: EndpointActive}}
	deleted, disabled := all, all
	deleted.Delete(eventTime)
	disabled.Disable(eventTime)
	for _, tt := range []struct {
		endpoint Endpoint
		event    EventType
		want     bool
	}{
		{some, OrderShipped, true}, {some, OrderCreated, false}, {all, OrderShipped, true}, {all, PaymentHasFailed, true},
		{deleted, OrderShipped, false}, {disabled, OrderShipped, false},
	} {
		if got := tt.endpoint.Wants(tt.event); got != tt.want {
			t.Errorf("%+v wants %s: %v", tt.endpoint, tt.event, got)
		}
	}
	version := disabled.Version
	if disabled.Disable(eventTime); disabled.Version != version {
		t.Error("disabling a disabled endpoint is a change")
	}
}
