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

// PaymentSettings are those of the payment providers. Secrets are unset once they are read.
type PaymentSettings struct {
	// Provider is where payments begin. The other one is there for the orders that were paid there, if it is configured.
	Provider             string `env:"PAYMENT_PROVIDER" envDefault:"test"`
	TestPayURL           string `env:"TESTPAY_URL"`
	TestPayKey           string `env:"TESTPAY_API_KEY,unset"`
	TestPayWebhookSecret string `env:"TESTPAY_WEBHOOK_SECRET,unset"`
	StripeURL            string `env:"STRIPE_API_URL"`
	StripeKey            string `env:"STRIPE_API_KEY,unset"`
	StripeWebhookSecret  string `env:"STRIPE_WEBHOOK_SECRET,unset"`
}

// testPay reports whether the test provider is wanted.
func (s *PaymentSettings) testPay() bool {
	return s.Provider == "test" || s.TestPayURL != "" || s.TestPayKey != ""
}

// stripe reports whether Stripe is wanted.
func (s *PaymentSettings) stripe() bool {
	return s.Provider == "stripe" || s.StripeKey != "" || s.StripeWebhookSecret != ""
}

// Validate asks for what the payment providers need.
func (s *PaymentSettings) Validate() error {
	if s.Provider != "test" && s.Provider != "stripe" {
		return fmt.Errorf("PAYMENT_PROVIDER must be test or stripe, not %q", s.Provider)
	}
	return errors.Join(s.validateTestPay(), s.validateStripe())
}

func (s *PaymentSettings) validateTestPay() error {
	if !s.testPay() {
		return nil
	}
	if s.TestPayURL == "" || s.TestPayKey == "" {
		return errors.New("the payment provider test needs TESTPAY_URL and TESTPAY_API_KEY")
	}
	if u, err := url.Parse(s.TestPayURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("TESTPAY_URL must be a URL such as http://127.0.0.1:8090")
	}
	if s.TestPayWebhookSecret != "" {
		if _, err := client.NewTestPayEvents(s.TestPayWebhookSecret); err != nil {
			return fmt.Errorf("TESTPAY_WEBHOOK_SECRET: %w", err)
		}
	}
	return nil
}

func (s *PaymentSettings) validateStripe() error {
	switch {
	case !s.stripe():
		return nil
	case s.StripeKey == "" || s.StripeWebhookSecret == "":
		return errors.New("the payment provider stripe needs STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET")
	case s.StripeURL != "" && !private(s.StripeURL):
		return errors.New("STRIPE_API_URL must be an https URL, or one of this machine such as http://127.0.0.1:12111")
	default:
		return nil
	}
}

// private reports whether nobody else can read what is sent to a URL.
func private(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && net.ParseIP(u.Hostname()).IsLoopback()
}

// providers are the payment providers that are configured, and who reads their events by their names.
type providers struct {
	primary usecase.Payments
	others  []usecase.Payments
	readers map[string]usecase.EventReader
}

// open returns the providers.
func (s *PaymentSettings) open(log *slog.Logger) (providers, error) {
	p := providers{readers: make(map[string]usecase.EventReader)}
	add := func(provider usecase.Payments) {
		if provider.Name() == s.Provider {
			p.primary = provider
		} else {
			p.others = append(p.others, provider)
		}
	}
	if s.stripe() {
		provider := client.NewStripe(s.StripeURL, s.StripeKey, client.ProviderTimeout, log)
		p.readers[provider.Name()] = client.NewStripeEvents(s.StripeWebhookSecret)
		add(provider)
	}
	if s.testPay() {
		provider := client.NewTestPay(s.TestPayURL, s.TestPayKey, client.ProviderTimeout, log)
		// Without a secret nobody is believed, and late payments are noticed by asking for them.
		if s.TestPayWebhookSecret != "" {
			reader, err := client.NewTestPayEvents(s.TestPayWebhookSecret)
			if err != nil {
				return p, fmt.Errorf("read TESTPAY_WEBHOOK_SECRET: %w", err)
			}
			p.readers[provider.Name()] = reader
		}
		add(provider)
	}
	return p, nil
}
