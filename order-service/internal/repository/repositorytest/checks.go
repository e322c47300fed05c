package repositorytest

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
)

// A check is planned beside what else is, and beside whoever works on the order.
func checkIsPlanned(t *testing.T, s Store) {
	order := newOrder(t, uuid.New(), noon)
	at := later()
	if _, err := s.Begin(t.Context(), order, attemptFor(order), longLease, at); err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 2; want++ {
		if err := s.PlanCheck(t.Context(), order.ID()); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Checks(t.Context(), order.ID()); err != nil || got != want {
			t.Errorf("%d checks are planned, error %v; want %d", got, err, want)
		}
	}
	if got, planned, err := s.Planned(t.Context(), order.ID()); err != nil || !planned || !got.Equal(at) {
		t.Errorf("the order is looked at %v (%v), error %v; want %v", got, planned, err, at)
	}
}

func checkOfNothing(t *testing.T, s Store) {
	if err := s.PlanCheck(t.Context(), uuid.New()); !errors.Is(err, domain.ErrOrderMissing) {
		t.Errorf("error %v, want %v", err, domain.ErrOrderMissing)
	}
}
