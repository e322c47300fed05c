package erasure_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/delivery/erasure"
	"shop.example/cart-service/internal/repository/memory"
	"shop.example/cart-service/internal/usecase"
)

// failsFirst is a user-service that is away at the first question.
type failsFirst struct{ calls chan int }

func (f failsFirst) DeletedUsers(_ context.Context, cursor string) ([]uuid.UUID, string, bool, error) {
	if n := <-f.calls; n == 0 {
		return nil, "", false, errors.New("away")
	}
	return nil, cursor, false, nil
}

func TestGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	users := failsFirst{make(chan int)}
	c := erasure.Component(usecase.NewErasures(users, memory.New(time.Now)), slog.New(slog.DiscardHandler), time.Millisecond)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		select {
		case users.calls <- i:
		case <-time.After(5 * time.Second):
			t.Fatal("it stopped asking")
		}
	}
	close(users.calls)
	if err := c.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
