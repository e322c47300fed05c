package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"shop.example/platform/lifecycle"
)

const (
	// sweepEvery is how often old sessions are deleted: often enough that each time is short, and nothing waits for it.
	sweepEvery = time.Hour
	// firstSweep is when it is done first, at the earliest, and at twice that at the latest: after the start, which has enough
	// to do, and also in a process that is restarted every hour. Replicas that start together don't sweep together.
	firstSweep = time.Minute
)

// sweeper calls sweep soon after the start and then now and then, until it is stopped. A sweep that fails is made up for by
// the next.
func sweeper(log *slog.Logger, sweep func(context.Context) error) lifecycle.Component {
	ctx, cancel := context.WithCancel(context.Background())
	return lifecycle.Component{
		Name: "housekeeping",
		Serve: func() error {
			next := time.NewTimer(firstSweep + rand.N(firstSweep)) //nolint:gosec // G404: the moment of a sweep is no secret
			defer next.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-next.C:
				}
				if err := sweep(ctx); err != nil && ctx.Err() == nil {
					log.WarnContext(ctx, "housekeeping failed", "error", err)
				}
				next.Reset(sweepEvery)
			}
		},
		Stop: func(context.Context) error { cancel(); return nil },
	}
}
