package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// stockMissing returns what counts the paid orders whose pieces are gone: each is one that a human has to look after.
func stockMissing() (func(context.Context), error) {
	counter, err := otel.Meter("shop.example/order-service").Int64Counter("orders_stock_missing")
	if err != nil {
		return nil, fmt.Errorf("make counter: %w", err)
	}
	return func(ctx context.Context) { counter.Add(ctx, 1) }, nil
}

// deliveryResults returns what counts the attempts to send events, by what became of them.
func deliveryResults() (func(context.Context, string), error) {
	counter, err := otel.Meter("shop.example/order-service").Int64Counter("webhook_deliveries")
	if err != nil {
		return nil, fmt.Errorf("make counter: %w", err)
	}
	return func(ctx context.Context, result string) {
		counter.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
	}, nil
}
