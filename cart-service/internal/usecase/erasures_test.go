package usecase_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/repository/memory"
	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/money"
)

// deletions answers two users at a time, and after any cursor begins with the one before it once more.
type deletions struct {
	users []uuid.UUID
	fails bool // the next question
}

func (d *deletions) DeletedUsers(_ context.Context, cursor string) ([]uuid.UUID, string, bool, error) {
	if d.fails {
		d.fails = false
		return nil, "", false, away
	}
	from := 0
	if cursor != "" {
		n, err := strconv.Atoi(cursor)
		if err != nil {
			return nil, "", false, err
		}
		from = n
	}
	to := min(from+2, len(d.users))
	return d.users[max(0, from-1):to], strconv.Itoa(to), to < len(d.users), nil
}

func TestCatchUp(t *testing.T) {
	t.Parallel()
	s := memory.New(func() time.Time { return now })
	var owners []domain.Owner
	users := &deletions{}
	for i := range 6 {
		id := uuid.New()
		owners = append(owners, domain.UserOwner(id))
		if i < 5 {
			users.users = append(users.users, id)
		}
		_, err := s.Add(t.Context(), owners[i], domain.Line{ProductID: uuid.New(), Quantity: 1, AddedAt: now, AddedPrice: money.MustNew(1, "EUR")}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func() (n int) {
		for _, owner := range owners {
			if c, err := s.Get(t.Context(), owner); err != nil || len(c.Lines()) > 0 {
				n++
			}
		}
		return n
	}
	erasures := usecase.NewErasures(users, s)
	users.fails = true
	if n, err := erasures.CatchUp(t.Context()); !errors.Is(err, away) || n != 0 {
		t.Errorf("CatchUp without user-service = %d, %v", n, err)
	}
	for _, want := range []int{5, 0} {
		if n, err := erasures.CatchUp(t.Context()); err != nil || n != want {
			t.Errorf("CatchUp = %d, %v, want %d", n, err, want)
		}
	}
	if n := left(); n != 1 {
		t.Errorf("%d carts are left, want that of the user who is there", n)
	}
	// One more is deleted; another replica's cursor was older.
	last := uuid.MustParse(owners[5].String()[len("user:"):])
	users.users = append(slices.Clip(users.users), last)
	if err := s.KeepErasedUpTo(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if n, err := erasures.CatchUp(t.Context()); err != nil || n != 1 || left() != 0 {
		t.Errorf("CatchUp = %d, %v, and %d carts are left", n, err, left())
	}
}
