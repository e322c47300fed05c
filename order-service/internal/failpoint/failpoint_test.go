package failpoint_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/failpoint"
	"shop.example/order-service/internal/usecase"
)

// counts is a stock that counts what it is asked.
type counts struct {
	usecase.Stock
	reserved chan struct{}
}

func (c counts) Reserve(context.Context, uuid.UUID, int64, []usecase.Line, time.Duration) error {
	c.reserved <- struct{}{}
	return nil
}

// opens is a store of keys that knows none.
type opens struct{ usecase.KeyStore }

func (opens) Claim(_ context.Context, a usecase.Attempt, _ time.Duration) (usecase.Attempt, error) {
	return a, nil
}

type scene struct {
	folder string
	parts  usecase.CheckoutParts
	calls  chan struct{}
	order  uuid.UUID
}

// setup is an order for which a key was claimed, at whose point something is to stop.
func setup(t *testing.T, point string) scene {
	t.Helper()
	s := scene{folder: t.TempDir(), calls: make(chan struct{}, 10), order: uuid.New()}
	s.parts = failpoint.In(s.folder).Around(usecase.CheckoutParts{Stock: counts{reserved: s.calls}, Keys: opens{}})
	if err := os.WriteFile(filepath.Join(s.folder, "key-mine"), []byte(point), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.parts.Keys.Claim(t.Context(), usecase.Attempt{ID: uuid.New(), Key: "mine", OrderID: s.order}, 0); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s scene) reserve(t *testing.T) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.parts.Stock.Reserve(t.Context(), s.order, 1, nil, 0) }()
	return done
}

func (s scene) awaitHeld(t *testing.T) string {
	t.Helper()
	held := filepath.Join(s.folder, "held-mine")
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(10 * time.Second); ; {
		if id, err := os.ReadFile(held); err == nil {
			if string(id) != s.order.String() {
				t.Fatalf("held is %q, want the order's id", id)
			}
			return held
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("nothing is held")
		}
	}
}

func TestHeldUntilLetGo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		point       string
		callsBefore int // of the held call being let go
	}{{"Reserve/1 before", 0}, {"Reserve/1 after", 1}} {
		t.Run(tc.point, func(t *testing.T) {
			t.Parallel()
			s := setup(t, tc.point)
			done := s.reserve(t)
			held := s.awaitHeld(t)
			if got := len(s.calls); got != tc.callsBefore {
				t.Errorf("%d calls were made, want %d", got, tc.callsBefore)
			}
			if err := os.Remove(held); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil || len(s.calls) != 1 {
				t.Errorf("let go: %v, %d calls", err, len(s.calls))
			}
			if err := <-s.reserve(t); err != nil { // a point fires once
				t.Error(err)
			}
		})
	}
}

func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for point, calls := range map[string]int{"Reserve/1 before": 0, "Reserve/1 after": 1} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := setup(t, point)
			done := s.reserve(t)
			if err := os.Rename(s.awaitHeld(t), filepath.Join(s.folder, "lost-mine")); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err == nil || len(s.calls) != calls {
				t.Errorf("error %v and %d calls, want an error and %d", err, len(s.calls), calls)
			}
		})
	}
}

// The second call is another point than the first, and other orders are none of it.
func TestOnlyItsOwnCall(t *testing.T) {
	t.Parallel()
	s := setup(t, "Reserve/2 before")
	if err := s.parts.Stock.Reserve(t.Context(), uuid.New(), 1, nil, 0); err != nil {
		t.Error(err)
	}
	if err := <-s.reserve(t); err != nil {
		t.Error(err)
	}
	done := s.reserve(t)
	if err := os.Remove(s.awaitHeld(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
