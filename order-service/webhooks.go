package main

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"

	"shop.example/order-service/internal/client"
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
	return usecase.NewWebhooks(usecase.WebhookParts{
			Endpoints: store, Reader: store, Deliveries: store, Log: store, Targets: sender, Secrets: sender, Now: now,
		}), usecase.NewDeliverer(usecase.DelivererParts{
			Store: store, Endpoints: store, Receivers: sender, Jitter: rand.Float64, Count: count, Now: now, Log: log,
		}), nil
}
