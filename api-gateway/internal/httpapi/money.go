package httpapi

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
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

// Sum is a part of an amount whose currency is known: minor units alone, or money, in which its sender says what it is taken for.
type Sum struct {
	Minor *int64 // nil if it was not sent
	// Currency is empty for minor units alone.
	Currency string
}

// Schema is that of either form.
func (Sum) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf: []*huma.Schema{{Type: huma.TypeInteger, Format: "int64", Minimum: new(float64(1))}, r.Schema(reflect.TypeFor[Money](), true, "")},
	}
}

// UnmarshalJSON reads what has passed the schema.
func (s *Sum) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &s.Minor) == nil {
		return nil
	}
	var m Money
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	s.Minor, s.Currency = &m.Amount, m.Currency
	return nil
}
