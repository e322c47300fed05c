package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// The first sweep comes a minute or two after the start, the others every hour, failures or not.
func TestSweeper(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var swept []time.Duration
		c := sweeper(slog.New(slog.DiscardHandler), func(context.Context) error {
			swept = append(swept, time.Since(begin))
			return errors.New("the database is away")
		})
		done := make(chan error, 1)
		go func() { done <- c.Serve() }()
		<-time.After(2*sweepEvery + 2*firstSweep)
		if err := errors.Join(c.Stop(t.Context()), <-done); err != nil {
			t.Error(err)
		}
		if len(swept) != 3 || swept[0] < firstSweep || swept[0] > 2*firstSweep || swept[2]-swept[0] != 2*sweepEvery {
			t.Errorf("swept at %v after the start", swept)
		}
	})
}
