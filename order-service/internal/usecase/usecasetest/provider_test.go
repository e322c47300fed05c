package usecasetest_test

import (
	"testing"

	"shop.example/order-service/internal/usecase"
	"shop.example/order-service/internal/usecase/usecasetest"
)

func TestFakeProvider(t *testing.T) {
	t.Parallel()
	usecasetest.RunPayments(t, func(*testing.T) usecasetest.PaymentProvider {
		p := usecasetest.NewFakeProvider()
		return usecasetest.PaymentProvider{Payments: p, DecideLate: func() { p.DecideLate(usecase.ProviderAuthorized) }}
	})
}

func TestFakeProviderLists(t *testing.T) {
	t.Parallel()
	usecasetest.RunPaymentLister(t, func(*testing.T) usecasetest.ListedProvider {
		p := usecasetest.NewFakeProvider()
		return usecasetest.ListedProvider{Payments: p, PaymentLister: p}
	})
}
