// Package lifecycle starts the parts of a process in order and stops them in reverse.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Component is a part of a process. Every function may be nil.
type Component struct {
	Name string
	// Start returns when the component is ready for those after it, or with the reason why it can't be.
	Start func(context.Context) error
	// Serve works until Stop. An error that it returns before ends the whole process.
	Serve func() error
	// Stop ends the component, gracefully until the context is done and hard after that.
	Stop func(context.Context) error
}

// Run starts the components in order, waits until ctx is done or one of them fails, and stops those that were started in
// reverse order, all within stopTimeout. It returns nil after a clean run and a clean stop, else every failure.
func Run(ctx context.Context, log *slog.Logger, stopTimeout time.Duration, components ...Component) error {
	var (
		started []Component
		serving sync.WaitGroup
		failed  = make(chan error, len(components))
		begin   = time.Now()
		failure error
	)
	for _, c := range components {
		if c.Start != nil {
			if err := c.Start(ctx); err != nil {
				// The start that a signal interrupted has not failed.
				if ctx.Err() == nil {
					failure = fmt.Errorf("start %s: %w", c.Name, err)
				}
				break
			}
		}
		started = append(started, c)
		if c.Serve == nil {
			continue
		}
		serving.Go(func() {
			if err := c.Serve(); err != nil {
				failed <- fmt.Errorf("run %s: %w", c.Name, err)
			}
		})
	}

	if failure == nil && ctx.Err() == nil {
		log.InfoContext(ctx, "started", "took", time.Since(begin).Round(time.Millisecond).String())
		select {
		case <-ctx.Done():
		case failure = <-failed:
		}
	}

	begin = time.Now()
	log.InfoContext(ctx, "stopping")
	// ctx is done already; the stop has a deadline of its own, one for all.
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	failures := []error{failure}
	for i := len(started) - 1; i >= 0; i-- {
		if c := started[i]; c.Stop != nil {
			if err := c.Stop(stopCtx); err != nil {
				failures = append(failures, fmt.Errorf("stop %s: %w", c.Name, err))
			}
		}
	}
	serving.Wait()
	close(failed)
	for err := range failed {
		failures = append(failures, err)
	}
	log.InfoContext(ctx, "stopped", "took", time.Since(begin).Round(time.Millisecond).String())
	return errors.Join(failures...)
}
