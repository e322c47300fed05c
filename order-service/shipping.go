package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/money"
)

// shippingSetting is a way of delivery in SHIPPING_METHODS. Amounts are minor units of the shop's currency.
type shippingSetting struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Price   int64          `json:"price"`
	MinDays int32          `json:"min_days"`
	MaxDays int32          `json:"max_days"`
	By      domain.Measure `json:"by"`
	Bands   []struct {
		From  int64 `json:"from"`
		Price int64 `json:"price"`
	} `json:"bands"`
	FreeFrom int64 `json:"free_from"`
}

// shippingMethods reads the ways of delivery from SHIPPING_METHODS, a JSON list; empty for the default ones.
func shippingMethods(setting, currency string) (domain.ShippingMethods, error) {
	if _, err := money.New(0, currency); err != nil {
		return nil, fmt.Errorf("CURRENCY: %w", err)
	}
	if strings.TrimSpace(setting) == "" {
		return domain.DefaultShippingMethods(currency)
	}
	decoder := json.NewDecoder(strings.NewReader(setting))
	decoder.DisallowUnknownFields()
	var settings []shippingSetting
	if err := decoder.Decode(&settings); err != nil {
		return nil, fmt.Errorf("SHIPPING_METHODS: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("SHIPPING_METHODS: there is something after the list")
	}
	amount := func(n int64) money.Money { return money.MustNew(n, currency) } // checked above
	methods := make([]domain.ShippingMethod, len(settings))
	for i, s := range settings {
		m := domain.ShippingMethod{
			ID: s.ID, Name: s.Name, Price: amount(s.Price), MinDays: s.MinDays, MaxDays: s.MaxDays, By: s.By, FreeFrom: s.FreeFrom,
		}
		for _, b := range s.Bands {
			m.Bands = append(m.Bands, domain.Band{From: b.From, Price: amount(b.Price)})
		}
		methods[i] = m
	}
	offer, err := domain.NewShippingMethods(methods...)
	if err != nil {
		return nil, fmt.Errorf("SHIPPING_METHODS: %w", err)
	}
	return offer, nil
}
