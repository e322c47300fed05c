package httpapi

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	moneyv1 "shop.example/proto/money/v1"
)

// Money is an amount in minor units of a currency: never a float.
type Money struct {
	Amount   int64  `json:"amount" doc:"Minor units: 1999 EUR is 19.99 euros." example:"1999"`
	Currency string `json:"currency" pattern:"^[A-Z]{3}$" doc:"ISO 4217." example:"EUR"`
}

// money is m, or nothing in a currency if there is no m.
func money(m *moneyv1.Money, currency string) Money {
	if m == nil {
		return Money{Currency: currency}
	}
	return Money{Amount: m.GetAmount(), Currency: m.GetCurrency()}
}

func optionalMoney(m *moneyv1.Money) *Money {
	if m == nil {
		return nil
	}
	return &Money{Amount: m.GetAmount(), Currency: m.GetCurrency()}
}

func (m *Money) proto() *moneyv1.Money {
	if m == nil {
		return nil
	}
	return &moneyv1.Money{Amount: m.Amount, Currency: m.Currency}
}

// instant is a time as the contract writes it: RFC 3339 in UTC.
func instant(t *timestamppb.Timestamp) time.Time { return t.AsTime().UTC() }

func optionalInstant(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := instant(t)
	return &at
}

// timestamp is the inverse of optionalInstant.
func timestamp(at *time.Time) *timestamppb.Timestamp {
	if at == nil {
		return nil
	}
	return timestamppb.New(*at)
}
