package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/repository/postgres"
	"shop.example/order-service/internal/repository/repositorytest"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/pgtest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, func(t *testing.T) repositorytest.Store {
		store, err := postgres.New(pgtest.New(t, postgres.Migrate))
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}

// Old keys are forgotten a few at a time; one that makes an order and whose outcome is not known never is.
func TestSweepAttempts(t *testing.T) {
	t.Parallel()
	store, err := postgres.New(pgtest.New(t, postgres.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	begin := func(ended bool) usecase.Attempt {
		order := newOrder(t)
		attempt := attemptFor(order)
		lease, err := store.Begin(t.Context(), order, attempt, time.Hour, noon)
		if err != nil {
			t.Fatal(err)
		}
		if ended {
			snapshot := order.Snapshot()
			if _, _, err := store.Decide(t.Context(), order.ID(), lease, func(*domain.Order) (usecase.Change, error) {
				return usecase.Change{Outcome: &usecase.Outcome{Order: &snapshot}}, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		return attempt
	}
	open := begin(false)
	// A use of a key that was left half way is not kept for ever: the order itself tells what became of it.
	left := attemptFor(newOrder(t))
	left.ID, left.Key = uuid.New(), "left"
	if _, err := store.Claim(t.Context(), left, time.Minute); err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour)
	for range 3 {
		begin(true)
	}
	for _, sweep := range []struct {
		before time.Time
		want   int64
	}{{noon, 0}, {noon.Add(time.Second), 2}, {noon.Add(time.Second), 1}, {noon.Add(time.Second), 0}, {soon, 1}, {soon, 0}} {
		if n, err := store.SweepAttempts(t.Context(), sweep.before, 2); n != sweep.want || err != nil {
			t.Errorf("%d forgotten, %v; want %d", n, err, sweep.want)
		}
	}
	if _, err := store.FindAttempt(t.Context(), left.UserID, left.Key); !errors.Is(err, usecase.ErrNoAttempt) {
		t.Errorf("the one that was left: %v", err)
	}
	if _, err := store.FindAttempt(t.Context(), open.UserID, open.Key); err != nil {
		t.Errorf("the open one: %v", err)
	}
}
