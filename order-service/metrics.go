package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
)

// stockMissing returns what counts the paid orders whose pieces are gone: each is one that a human has to look after.
func stockMissing() (func(context.Context), error) {
	counter, err := otel.Meter("shop.example/order-service").Int64Counter("orders_stock_missing")
	if err != nil {
		return nil, fmt.Errorf("make counter: %w", err)
	}
	return func(ctx context.Context) { counter.Add(ctx, 1) }, nil
}
