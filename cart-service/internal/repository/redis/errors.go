package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
	"merged":           domain.ErrCartGone,
}

// away are the answers of a server that is there and can't do its work just now.
var away = []string{"LOADING", "MASTERDOWN", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "OOM", "MISCONF", "NOREPLICAS"}

// failure returns the error of a command that did not take place, or of which that isn't known.
func failure(ctx context.Context, doing string, err error) error {
	var answer redis.Error
	switch {
	case over(ctx):
		return fmt.Errorf("%s: %w (%w)", doing, cmp.Or(ctx.Err(), context.DeadlineExceeded), err)
	case errors.As(err, &answer) && !slices.ContainsFunc(away, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) }):
		return fmt.Errorf("%s: %w", doing, err) // a mistake of ours
	default:
		return fmt.Errorf("%s: %w", doing, apperr.DependencyUnavailable(err))
	}
}

// over reports whether the caller's time is up or the caller gone. The connection has the same deadline and may be a moment
// faster than the context. A time limit of the client's own, which looks the same in the error, is not the caller's.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}
