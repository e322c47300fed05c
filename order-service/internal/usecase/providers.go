package usecase

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// providers are those that orders are, or were, paid at.
type providers struct {
	// primary is where payments begin.
	primary Payments
	others  []Payments
}

// of returns the provider at which the current attempt to pay an order was begun. That is the only one to be asked about it,
// whatever has become the primary one since.
func (p providers) of(o *domain.Order) Payments {
	name := o.Payment().Provider
	for _, provider := range p.all() {
		if provider.Name() == name {
			return provider
		}
	}
	return absent{name}
}

// all are the providers, the primary one first.
func (p providers) all() []Payments { return append([]Payments{p.primary}, p.others...) }

// absent stands for a provider that this process was not told how to reach. What it holds for an order is not known, and waits
// until it is: any other provider would answer that there is nothing under the key, and an order that was paid would end as one
// that was not.
type absent struct{ name string }

// errNotConfigured is what all of them fail with.
var errNotConfigured = errors.New("the payment provider is not configured")

func (a absent) err() error {
	return apperr.DependencyUnavailable(fmt.Errorf("%w: %q", errNotConfigured, a.name))
}

func (a absent) Name() string { return a.name }
func (a absent) Ready() error { return a.err() }

func (a absent) Authorize(context.Context, string, uuid.UUID, money.Money, string) (ProviderPayment, error) {
	return ProviderPayment{}, a.err()
}

func (a absent) Find(context.Context, string) (ProviderPayment, error) {
	return ProviderPayment{}, a.err()
}

func (a absent) Capture(context.Context, string, string) (ProviderPayment, error) {
	return ProviderPayment{}, a.err()
}

func (a absent) Reverse(context.Context, string) (ProviderPayment, error) {
	return ProviderPayment{}, a.err()
}

func (a absent) Refund(context.Context, string, string, money.Money) (ProviderPayment, error) {
	return ProviderPayment{}, a.err()
}
