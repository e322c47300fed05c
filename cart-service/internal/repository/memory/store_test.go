package memory_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/repository/memory"
	"shop.example/cart-service/internal/repository/repositorytest"
	"shop.example/platform/money"
)

func TestStore(t *testing.T) {
	t.Parallel()
	repositorytest.Run(t, func(*testing.T) repositorytest.Store { return memory.New(time.Now) })
}

func TestCartsExpire(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := memory.New(func() time.Time { return clock })
	owner, price := domain.UserOwner(uuid.New()), money.MustNew(1, "EUR")
	if _, err := s.Add(t.Context(), owner, domain.Line{ProductID: uuid.New(), Quantity: 1, AddedAt: clock, AddedPrice: price}, nil); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		lines int
	}{{domain.Lifetime - time.Second, 1}, {time.Second, 0}} {
		clock = clock.Add(step.after)
		c, err := s.Get(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(c.Lines()); got != step.lines {
			t.Errorf("%d lines at %v, want %d", got, clock, step.lines)
		}
	}
}
