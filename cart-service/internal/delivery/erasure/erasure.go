// Package erasure deletes the carts of deleted users, in the background.
package erasure

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/lifecycle"
)

// Interval is how often each replica asks who was deleted. What is in a cart is no secret worth a minute, and a question a
// minute is nothing to user-service, with thirty replicas too.
const Interval = time.Minute

// Component deletes from its start to its stop. A failure is logged and tried again at the next tick: user-service may be
// away for a while.
func Component(erasures *usecase.Erasures, log *slog.Logger, interval time.Duration) lifecycle.Component {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	return lifecycle.Component{
		Name: "erasure of deleted users' carts",
		Start: func(context.Context) error {
			working.Go(func() { loop(ctx, erasures, log, interval) })
			return nil
		},
		Stop: func(context.Context) error {
			cancel() // another replica or the next start goes on
			working.Wait()
			return nil
		},
	}
}

func loop(ctx context.Context, erasures *usecase.Erasures, log *slog.Logger, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		n, err := erasures.CatchUp(ctx)
		if n > 0 {
			log.InfoContext(ctx, "carts of deleted users erased", "count", n)
		}
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "carts of deleted users were not erased", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
