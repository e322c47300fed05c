package sweep_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"shop.example/product-service/internal/delivery/sweep"
	"shop.example/product-service/internal/repository/memory"
	"shop.example/product-service/internal/usecase"
)

// failsFirst is a store that is away at the first look.
type failsFirst struct{ calls chan int }

func (f failsFirst) ExpireReservations(context.Context, time.Time, int) (int, error) {
	n := <-f.calls
	if n == 0 {
		return 0, errors.New("away")
	}
	return 0, nil
}

func TestGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	store, overdue := memory.New(), failsFirst{make(chan int)}
	c := sweep.Component(usecase.NewStock(store, store, overdue, time.Now), slog.New(slog.DiscardHandler), time.Millisecond)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		select {
		case overdue.calls <- i:
		case <-time.After(5 * time.Second):
			t.Fatal("it stopped looking")
		}
	}
	close(overdue.calls)
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
