package sweep_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"shop.example/product-service/internal/delivery/sweep"
)

func TestGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	calls := make(chan int)
	work := func(context.Context) (int, error) {
		if <-calls == 0 {
			return 0, errors.New("away")
		}
		return 0, nil
	}
	c := sweep.Component("sweeper", work, slog.New(slog.DiscardHandler), time.Millisecond)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		select {
		case calls <- i:
		case <-time.After(5 * time.Second):
			t.Fatal("it stopped looking")
		}
	}
	close(calls)
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
