package job

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// WebhookQueue is apart from all other jobs: receivers may be slow, and orders must not wait for them.
const WebhookQueue = "webhooks"

// DeliverWebhook asks for usecase.Deliverer.Deliver.
type DeliverWebhook struct {
	DeliveryID uuid.UUID `json:"delivery_id"`
	EndpointID uuid.UUID `json:"endpoint_id"`
	Round      int       `json:"round"`
}

// Kind names the job in the database: it must stay as it is.
func (DeliverWebhook) Kind() string { return "deliver_webhook" }

// InsertOpts makes the job outlast any outage of ours: how often a receiver is tried is the delivery's to say.
func (DeliverWebhook) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: forever, Queue: WebhookQueue}
}

// SweepEvents asks to forget old events, and with them their deliveries.
type SweepEvents struct{}

// Kind names the job in the database: it must stay as it is.
func (SweepEvents) Kind() string { return "sweep_events" }
