package domain_test

import (
	"testing"

	"shop.example/order-service/internal/domain"
)

var statuses = []domain.Status{
	domain.Pending, domain.Confirmed, domain.Processing, domain.Shipped, domain.Delivered, domain.Cancelled, domain.Refunded,
}

// allowed says the state machine once more, as the rules of the shop put it, not as the code does.
func allowed(from, to domain.Status) bool {
	next := map[domain.Status]domain.Status{
		domain.Pending: domain.Confirmed, domain.Confirmed: domain.Processing, domain.Processing: domain.Shipped, domain.Shipped: domain.Delivered,
	}
	switch to {
	case domain.Cancelled:
		return from == domain.Pending || from == domain.Confirmed || from == domain.Processing
	case domain.Refunded: // whatever was paid for
		return from == domain.Confirmed || from == domain.Processing || from == domain.Shipped || from == domain.Delivered
	default:
		return next[from] == to
	}
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, from := range append(statuses, "", "unknown") {
		for _, to := range append(statuses, "", "unknown") {
			want := from.Valid() && to.Valid() && allowed(from, to)
			if got := from.CanBecome(to); got != want {
				t.Errorf("from %q to %q: %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestValidStatus(t *testing.T) {
	t.Parallel()
	for _, s := range statuses {
		if !s.Valid() {
			t.Errorf("%q is not valid", s)
		}
	}
	for _, s := range []domain.Status{"", "PENDING", "paid"} {
		if s.Valid() {
			t.Errorf("%q is valid", s)
		}
	}
}
