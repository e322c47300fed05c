//go:build !failpoints

package main

import "shop.example/order-service/internal/usecase"

// withFailpoints does nothing in what is shipped; see failpoints.go.
func withFailpoints(parts usecase.CheckoutParts) usecase.CheckoutParts { return parts }
