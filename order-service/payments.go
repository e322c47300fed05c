package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"

	"shop.example/order-service/internal/client"
	"shop.example/order-service/internal/usecase"
)

// PaymentSettings are those of the payment provider. Secrets are unset once they are read.
type PaymentSettings struct {
	Provider             string `env:"PAYMENT_PROVIDER" envDefault:"test"`
	TestPayURL           string `env:"TESTPAY_URL"`
	TestPayKey           string `env:"TESTPAY_API_KEY,unset"`
	TestPayWebhookSecret string `env:"TESTPAY_WEBHOOK_SECRET,unset"`
	StripeURL            string `env:"STRIPE_API_URL"`
	StripeKey            string `env:"STRIPE_API_KEY,unset"`
	StripeWebhookSecret  string `env:"STRIPE_WEBHOOK_SECRET,unset"`
}

// Validate asks for what the chosen payment provider needs.
func (s *PaymentSettings) Validate() error {
	switch s.Provider {
	case "test":
		if s.TestPayURL == "" || s.TestPayKey == "" {
			return errors.New("PAYMENT_PROVIDER=test needs TESTPAY_URL and TESTPAY_API_KEY")
		}
		if u, err := url.Parse(s.TestPayURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("TESTPAY_URL must be a URL such as http://127.0.0.1:8090")
		}
		if s.TestPayWebhookSecret != "" {
			if _, err := client.NewTestPayEvents(s.TestPayWebhookSecret); err != nil {
				return fmt.Errorf("TESTPAY_WEBHOOK_SECRET: %w", err)
			}
		}
	case "stripe":
		if s.StripeKey == "" || s.StripeWebhookSecret == "" {
			return errors.New("PAYMENT_PROVIDER=stripe needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET")
		}
		if s.StripeURL != "" && !private(s.StripeURL) {
			return errors.New("STRIPE_API_URL must be an https URL, or one of this machine such as http://127.0.0.1:12111")
		}
	default:
		return fmt.Errorf("PAYMENT_PROVIDER must be test or stripe, not %q", s.Provider)
	}
	return nil
}

// private reports whether nobody else can read what is sent to a URL.
func private(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && net.ParseIP(u.Hostname()).IsLoopback()
}

// open returns the provider, and who reads its events.
func (s *PaymentSettings) open(log *slog.Logger) (usecase.Payments, map[string]usecase.EventReader, error) {
	readers := make(map[string]usecase.EventReader)
	if s.Provider == "stripe" {
		provider := client.NewStripe(s.StripeURL, s.StripeKey, client.ProviderTimeout, log)
		readers[provider.Name()] = client.NewStripeEvents(s.StripeWebhookSecret)
		return provider, readers, nil
	}
	provider := client.NewTestPay(s.TestPayURL, s.TestPayKey, client.ProviderTimeout, log)
	// Without a secret nobody is believed, and late payments are noticed by asking for them.
	if s.TestPayWebhookSecret != "" {
		reader, err := client.NewTestPayEvents(s.TestPayWebhookSecret)
		if err != nil {
			return nil, nil, fmt.Errorf("read TESTPAY_WEBHOOK_SECRET: %w", err)
		}
		readers[provider.Name()] = reader
	}
	return provider, readers, nil
}
