package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/apperr"
)

// outcomes are what the scripts answer, as the domain's errors.
var outcomes = map[string]error{
	"ok":               nil,
	"version_mismatch": domain.ErrVersionMismatch,
	"quantity_limit":   domain.ErrQuantityLimit,
	"line_limit":       domain.ErrLineLimit,
}

// away are the answers of a server that is there and can't do its work just now.
var away = []string{"LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "MISCONF", "NOREPLICAS"}

// failure returns the error of a command that did not take place, or of which that isn't known.
func failure(doing string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	var answer redis.Error
	if errors.As(err, &answer) {
		for _, prefix := range away {
			if redis.HasErrorPrefix(err, prefix) {
				return fmt.Errorf("%s: %w", doing, apperr.DependencyUnavailable(err))
			}
		}
		return fmt.Errorf("%s: %w", doing, err) // a mistake of ours
	}
	return fmt.Errorf("%s: %w", doing, apperr.DependencyUnavailable(err))
}
