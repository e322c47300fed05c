//go:build failpoints

package main

import (
	"os"

	"shop.example/order-service/internal/failpoint"
	"shop.example/order-service/internal/usecase"
)

// withFailpoints lets the tests of e2e stop what is done for an order at any step, if FAILPOINTS names a folder.
func withFailpoints(parts usecase.CheckoutParts) usecase.CheckoutParts {
	folder := os.Getenv("FAILPOINTS")
	if folder == "" {
		return parts
	}
	return failpoint.In(folder).Around(parts)
}
