package repositorytest

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
)

// Whoever decides at the same time, no more is promised back than was paid.
func refundsNeverExceed(t *testing.T, s Store) {
	const racers, amount = 40, 500
	o := newOrder(t, uuid.New(), noon) // of 2990
	begin(t, s, o)
	if _, _, err := s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
		if err := o.BeginPayment(domain.Card, "test", true, noon); err != nil {
			return usecase.Change{}, err
		}
		return usecase.Change{}, o.Confirm("pay_1", noon)
	}); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, racers)
	together(racers, func(i int) {
		_, _, errs[i] = s.Decide(t.Context(), o.ID(), usecase.Lease{}, func(o *domain.Order) (usecase.Change, error) {
			id := uuid.New()
			if _, err := o.Refund(domain.RefundWish{ID: id, Amount: amount, Reason: "broken", By: "staff"}, noon); err != nil {
				return usecase.Change{}, err
			}
			if i%2 == 0 {
				return usecase.Change{}, nil // it stays under way
			}
			return usecase.Change{}, o.FinishRefund(id, noon)
		})
	})
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, domain.ErrRefundExceeds):
			t.Errorf("racer %d: %v, want %v", i, err, domain.ErrRefundExceeds)
		}
	}
	if got := read(t, s, o.ID()); won != 2990/amount || got.Promised() != eur(int64(won*amount)) || len(got.Refunds) != won {
		t.Errorf("%d were promised, %v by %d refunds", won, got.Promised(), len(got.Refunds))
	}
}
