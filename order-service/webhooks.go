package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"

	"github.com/google/uuid"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/domain"
	postgresrepo "shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/usecase"
)

// WebhookSettings are those of outbound webhooks. The secret is unset once it is read.
type WebhookSettings struct {
	WebhookSecret       string `env:"WEBHOOK_SECRET,required,notEmpty,unset"`
	WebhookAllowPrivate bool   `env:"WEBHOOK_ALLOW_PRIVATE" envDefault:"false"` // for local runs only
}

// Validate checks the secret.
func (s *WebhookSettings) Validate() error {
	_, err := s.sender()
	return err
}

func (s *WebhookSettings) sender() (*client.Webhooks, error) {
	sender, err := client.NewWebhooks(s.WebhookSecret, s.WebhookAllowPrivate, net.DefaultResolver)
	if err != nil {
		return nil, fmt.Errorf("WEBHOOK_SECRET: %w", err)
	}
	return sender, nil
}

// webhooks returns what admins do with endpoints, and what sends events to them.
func (s *WebhookSettings) webhooks(store *postgresrepo.Store, log *slog.Logger) (*usecase.Webhooks, *usecase.Deliverer, error) {
	sender, err := s.sender()
	if err != nil {
		return nil, nil, err
	}
	count, err := deliveryResults()
	if err != nil {
		return nil, nil, err
	}
	if s.WebhookAllowPrivate {
		log.Warn("webhooks may be sent anywhere, and without TLS: WEBHOOK_ALLOW_PRIVATE is for local runs only")
	}
	sending := fewAtOnce{sendingStore: store, turns: make(chan struct{}, sendingConns)}
	return usecase.NewWebhooks(usecase.WebhookParts{
			Endpoints: store, Reader: store, Deliveries: store, Log: store, Targets: sender, Secrets: sender, Now: now,
		}), usecase.NewDeliverer(usecase.DelivererParts{
			Store: sending, Endpoints: sending, Receivers: sender, Jitter: rand.Float64, Count: count, Now: now, Log: log,
		}), nil
}

// sendingConns is how many database connections the sending of events holds at most. It shares a pool of 10 with checkouts, which
// must not wait for it; 3 are enough for some hundred attempts a second, of two calls each that take milliseconds. It bounds calls
// rather than having a pool of its own, which would take more connections of the database with every replica, mostly idle.
const sendingConns = 3

// sendingStore is what a deliverer asks of a store.
type sendingStore interface {
	usecase.OutgoingStore
	usecase.EndpointChanger
}

// fewAtOnce has only so many calls of a store under way at once. The others wait for their turns as long as their contexts let
// them.
type fewAtOnce struct {
	sendingStore // each of whose calls has to wait, below
	turns        chan struct{}
}

// Outgoing implements usecase.OutgoingStore.
func (f fewAtOnce) Outgoing(ctx context.Context, deliveryID uuid.UUID) (usecase.Outgoing, error) {
	return inTurn(ctx, f.turns, func() (usecase.Outgoing, error) { return f.sendingStore.Outgoing(ctx, deliveryID) })
}

// UpdateDelivery implements usecase.DeliveryStore.
func (f fewAtOnce) UpdateDelivery(ctx context.Context, id uuid.UUID, change func(*domain.Delivery) error) (domain.Delivery, error) {
	return inTurn(ctx, f.turns, func() (domain.Delivery, error) { return f.sendingStore.UpdateDelivery(ctx, id, change) })
}

// UpdateEndpoint implements usecase.EndpointChanger.
func (f fewAtOnce) UpdateEndpoint(ctx context.Context, id uuid.UUID, change func(*domain.Endpoint) error) (domain.Endpoint, error) {
	return inTurn(ctx, f.turns, func() (domain.Endpoint, error) { return f.sendingStore.UpdateEndpoint(ctx, id, change) })
}

func inTurn[T any](ctx context.Context, turns chan struct{}, call func() (T, error)) (T, error) {
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
		return call()
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("wait for a turn at the database: %w", ctx.Err())
	}
}
