// Package sweep ends what is overdue, and forgets what is over, in the background.
package sweep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"shop.example/platform/lifecycle"
)

const (
	// Interval is how often each replica looks for overdue reservations. A promise holds for minutes, so five seconds more
	// keep nobody from buying; and one look at an index each five seconds is nothing to the database, with thirty replicas too.
	Interval = 5 * time.Second
	// HousekeepingInterval is how often each replica looks for what is a month old: an hour later does no harm.
	HousekeepingInterval = time.Hour
)

// Component does its work at the start and at every interval until its stop. work returns how much it has done. A failure is
// logged and tried again at the next tick: the database may be away for a while.
func Component(name string, work func(context.Context) (int, error), log *slog.Logger, interval time.Duration) lifecycle.Component {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	return lifecycle.Component{
		Name: name,
		Start: func(context.Context) error {
			working.Go(func() { loop(ctx, work, log.With("sweeper", name), interval) })
			return nil
		},
		Stop: func(context.Context) error {
			cancel() // its transaction is rolled back, and another replica or the next start does it
			working.Wait()
			return nil
		},
	}
}

func loop(ctx context.Context, work func(context.Context) (int, error), log *slog.Logger, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		n, err := work(ctx)
		if n > 0 {
			log.InfoContext(ctx, "swept", "count", n)
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
