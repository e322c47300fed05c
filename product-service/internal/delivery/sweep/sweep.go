// Package sweep ends what is overdue, in the background.
package sweep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"shop.example/platform/lifecycle"
	"shop.example/product-service/internal/usecase"
)

// Interval is how often each replica looks for overdue reservations. A promise holds for minutes, so five seconds more keep
// nobody from buying; and one look at an index each five seconds is nothing to the database, with thirty replicas too.
const Interval = 5 * time.Second

// Component ends overdue reservations from its start to its stop. A failure is logged and tried again at the next tick:
// the database may be away for a while.
func Component(stock *usecase.Stock, log *slog.Logger, interval time.Duration) lifecycle.Component {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	return lifecycle.Component{
		Name: "reservation sweeper",
		Start: func(context.Context) error {
			working.Go(func() { loop(ctx, stock, log, interval) })
			return nil
		},
		Stop: func(context.Context) error {
			cancel() // its transaction is rolled back, and another replica or the next start does it
			working.Wait()
			return nil
		},
	}
}

func loop(ctx context.Context, stock *usecase.Stock, log *slog.Logger, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		n, err := stock.ExpireOverdue(ctx)
		if n > 0 {
			log.InfoContext(ctx, "reservations expired", "count", n)
		}
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "sweep failed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
