package usecase_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// operation is something that is done with an order under a key.
type operation struct {
	name string
	// prepare returns the order that it is done with.
	prepare func(*testing.T, *shop) domain.Snapshot
	// do does it; other is the same with another body.
	do    func(ctx context.Context, c *usecase.Checkout, s *shop, o domain.Snapshot, key string, other bool) (usecase.Placed, error)
	calls string // a call that it makes while it is at it
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

func operations() []operation {
	pending := func(t *testing.T, s *shop) domain.Snapshot { return s.place(t, s.wish("")).Order }
	paid := func(t *testing.T, s *shop) domain.Snapshot { return s.placedAs(t, domain.Card, domain.Confirmed) }
	return []operation{
		{"pay", pending, func(ctx context.Context, c *usecase.Checkout, s *shop, o domain.Snapshot, key string, other bool) (usecase.Placed, error) {
			return c.Pay(ctx, s.principal(), usecase.PayOrder{Key: key, OrderID: o.ID, Method: domain.Card, Token: pick(other, tokDeclined, tokOK)})
		}, "payments.Authorize"},
		{"cancel", paid, func(ctx context.Context, c *usecase.Checkout, s *shop, o domain.Snapshot, key string, other bool) (usecase.Placed, error) {
			return c.Cancel(ctx, s.principal(), usecase.Cancellation{Key: key, OrderID: o.ID, Reason: pick(other, "too green", "too blue")})
		}, "payments.Refund"},
		{"refund", paid, func(ctx context.Context, c *usecase.Checkout, s *shop, o domain.Snapshot, key string, other bool) (usecase.Placed, error) {
			by := staff
			by.UserID = s.customer.String() // who is staff, too, so that all the keys are of one user
			return c.Refund(ctx, by, usecase.RefundOrder{Key: key, OrderID: o.ID, Amount: pick(other, int64(200), int64(100)), Reason: "late"})
		}, "payments.Refund"},
		{"add item", pending, func(ctx context.Context, c *usecase.Checkout, s *shop, o domain.Snapshot, key string, other bool) (usecase.Placed, error) {
			return c.AddItem(ctx, s.principal(), usecase.AddItem{Key: key, OrderID: o.ID, ProductID: s.cup, Quantity: pick[int64](other, 2, 1)})
		}, "stock.Reserve"},
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := op.prepare(t, s)
			first, err := op.do(s.ctx(t), s.healthy(), s, o, "k", false)
			if err != nil || first.Replayed {
				t.Fatalf("%v, replayed %v", err, first.Replayed)
			}
			s.work(t, s.healthy(), time.Minute)
			again, err := op.do(s.ctx(t), s.healthy(), s, o, "k", false)
			if err != nil || !again.Replayed {
				t.Fatalf("again: %v, replayed %v", err, again.Replayed)
			}
			if diff := cmp.Diff(first.Order, again.Order, moneyIsAValue); diff != "" {
				t.Errorf("again (-first +second):\n%s", diff)
			}
			_, err = op.do(s.ctx(t), s.healthy(), s, o, "k", true)
			refused(t, err, domain.ErrKeyReused)
			for _, other := range operations() {
				if other.name != op.name {
					_, err := other.do(s.ctx(t), s.healthy(), s, o, "k", false)
					refused(t, err, domain.ErrKeyReused)
				}
			}
			wish := s.wish(tokOK)
			wish.Key = "k"
			wish.Items = []usecase.Line{{ProductID: s.pot, Quantity: 1}}
			_, err = s.healthy().Place(s.ctx(t), wish)
			refused(t, err, domain.ErrKeyReused)
			_, err = op.do(s.ctx(t), s.healthy(), s, o, "key", false) // the one that made the order
			refused(t, err, domain.ErrKeyReused)
			s.agrees(t)
		})
	}
}

func TestKeyOfARunningRequest(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := op.prepare(t, s)
			asked := false
			var same, other error
			slow := s.process(Faults{Before: func(call string) error {
				if call == op.calls && !asked {
					asked = true
					_, same = op.do(s.ctx(t), s.healthy(), s, o, "k", false)
					_, other = op.do(s.ctx(t), s.healthy(), s, o, "k", true)
				}
				return nil
			}})
			if _, err := op.do(s.ctx(t), slow, s, o, "k", false); err != nil {
				t.Fatal(err)
			}
			refused(t, same, domain.ErrKeyInProgress)
			refused(t, other, domain.ErrKeyReused)
		})
	}
}

// Whatever stops a request, and wherever, the next try under its key has the effect if the first had none, and finds it if it
// had. Nothing is done twice.
func TestKeysSurviveAccidents(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		for _, watchdog := range []bool{false, true} {
			t.Run(op.name+pick(watchdog, ", the watchdog first", ""), func(t *testing.T) {
				t.Parallel()
				want := func(t *testing.T) domain.Snapshot { // an order to which it was done once
					s := newShop(t)
					placed, err := op.do(s.ctx(t), s.healthy(), s, op.prepare(t, s), "k", false)
					if err != nil {
						t.Fatal(err)
					}
					return placed.Order
				}(t)
				eachAccident(t, func(t *testing.T, f Faults) {
					s := newShop(t)
					o := op.prepare(t, s)
					_, _ = op.do(s.ctx(t), s.process(f), s, o, "k", false)
				}, func(t *testing.T, f Faults) {
					s := newShop(t)
					o := op.prepare(t, s)
					first, firstErr := op.do(s.ctx(t), s.process(f), s, o, "k", false)
					if _, err := op.do(s.ctx(t), s.healthy(), s, o, "k", true); err == nil && firstErr == nil {
						t.Error("another body is answered")
					} else if firstErr == nil {
						refused(t, err, domain.ErrKeyReused)
					} else if !errors.Is(err, domain.ErrKeyReused) {
						t.Skip("the key was never heard of, or its request refused: it was free for another one")
					}
					attempt, err := s.store.FindAttempt(t.Context(), s.customer, "k")
					kept := err == nil && attempt.Outcome != nil && firstErr == nil
					if watchdog {
						s.work(t, s.healthy(), time.Minute)
					}
					s.clock.Advance(20 * time.Second) // whoever held something is gone
					second, err := op.do(s.ctx(t), s.healthy(), s, o, "k", false)
					if err != nil {
						t.Fatalf("the next try: %v", err)
					}
					third, err := op.do(s.ctx(t), s.healthy(), s, o, "k", false)
					if err != nil || !third.Replayed {
						t.Errorf("the one after that: %v, replayed %v", err, third.Replayed)
					}
					s.work(t, s.healthy(), time.Minute)
					s.agrees(t)
					truth := map[string]domain.Snapshot{"order": s.order(t, o.ID)}
					if kept { // then each later answer is that one, though the money may have gone back since
						if diff := cmp.Diff(first.Order, second.Order, moneyIsAValue); diff != "" {
							t.Errorf("the next try (-first +second):\n%s", diff)
						}
					} else {
						truth["second"] = second.Order
					}
					if diff := cmp.Diff(second.Order, third.Order, moneyIsAValue); diff != "" {
						t.Errorf("the one after that (-second +third):\n%s", diff)
					}
					for what, got := range truth {
						if got.Status != want.Status || got.Payment.Status != want.Payment.Status || got.Total != want.Total || got.GivenBack() != want.GivenBack() {
							t.Errorf("%s: %s, paid: %s, %v, %v back; want %s, %s, %v, %v", what, got.Status, got.Payment.Status, got.Total, got.GivenBack(),
								want.Status, want.Payment.Status, want.Total, want.GivenBack())
						}
					}
					if s.provider.Captures() > 1 {
						t.Errorf("%d charges", s.provider.Captures())
					}
				})
			})
		}
	}
}

// The same key from twenty connections at once: one effect, and when the first is over, one answer for all.
func TestKeysFromManyConnections(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			o := op.prepare(t, s)
			const racers = 20
			answers, errs := make([]usecase.Placed, racers), make([]error, racers)
			together(racers, func(i int) { answers[i], errs[i] = op.do(s.ctx(t), s.healthy(), s, o, "k", false) })
			fresh := 0
			for i, err := range errs {
				switch {
				case errors.Is(err, domain.ErrKeyInProgress):
				case err != nil:
					t.Errorf("connection %d: %v", i, err)
				case !answers[i].Replayed:
					fresh++
				}
			}
			if fresh != 1 {
				t.Errorf("%d were the first", fresh)
			}
			want, err := op.do(s.ctx(t), s.healthy(), s, o, "k", false)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range answers {
				if errs[i] == nil && cmp.Diff(want.Order, got.Order, moneyIsAValue) != "" {
					t.Errorf("connection %d is answered otherwise", i)
				}
			}
			s.work(t, s.healthy(), time.Minute)
			s.agrees(t)
			if s.provider.Captures() > 1 {
				t.Errorf("%d charges", s.provider.Captures())
			}
		})
	}
}

// The provider decides late: the answer is kept for the key by who learns of it.
func TestKeyOfAPaymentThatIsDecidedLate(t *testing.T) {
	t.Parallel()
	for _, decision := range []usecase.ProviderStatus{usecase.ProviderAuthorized, usecase.ProviderDeclined} {
		t.Run(string(decision), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := usecase.PayOrder{Key: "k", OrderID: s.place(t, s.wish("")).Order.ID, Method: domain.Card, Token: tokLate}
			for i := range 2 {
				placed, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
				if err != nil || !placed.Settling || placed.Replayed != (i > 0) {
					t.Fatalf("%v, settling %v, replayed %v", err, placed.Settling, placed.Replayed)
				}
			}
			s.provider.DecideLate(decision)
			s.work(t, s.healthy(), time.Minute)
			for range 2 {
				placed, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
				if decision == usecase.ProviderDeclined {
					if got := refused(t, err, domain.ErrPaymentDeclined); got.Attributes[usecase.ReplayedAttribute] != true {
						t.Errorf("attributes %v", got.Attributes)
					}
					if got := s.order(t, wish.OrderID); got.Status != domain.Pending {
						t.Errorf("the order is %s", got.Status)
					}
				} else if err != nil || !placed.Replayed || placed.Order.Status != domain.Confirmed {
					t.Errorf("%v, replayed %v, the order is %s", err, placed.Replayed, placed.Order.Status)
				}
			}
			s.agrees(t)
		})
	}
}

// A refusal that says something of the order is kept; one of the request is not, so that the corrected one may use the key.
func TestWhichRefusalsAreKept(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish("")).Order
	pay := func(c *usecase.Checkout, key, token string) error {
		_, err := c.Pay(s.ctx(t), s.principal(), usecase.PayOrder{Key: key, OrderID: o.ID, Method: domain.Card, Token: token})
		return err
	}
	for i := range 2 {
		got := refused(t, pay(s.healthy(), "declined", tokDeclined), domain.ErrPaymentDeclined)
		if (got.Attributes[usecase.ReplayedAttribute] == true) != (i > 0) {
			t.Errorf("try %d: attributes %v", i, got.Attributes)
		}
	}
	if got := s.order(t, o.ID); got.Status != domain.Pending || got.Payment.Attempt != 1 {
		t.Errorf("the order is %s, attempt %d", got.Status, got.Payment.Attempt)
	}
	if err := pay(s.healthy(), "no token", ""); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("without a token: %v", err)
	}
	away := s.process(CantReach(errAway, "orders.Decide"))
	if err := pay(away, "away", tokOK); apperr.KindOf(err) != apperr.Unavailable {
		t.Errorf("while the store is away: %v", err)
	}
	refused(t, pay(s.healthy(), "away", tokDeclined), domain.ErrKeyReused)
	if err := pay(s.healthy(), "no token", tokOK); err != nil {
		t.Errorf("the corrected request: %v", err)
	}
	for i := range 2 {
		got := refused(t, pay(s.healthy(), "away", tokOK), domain.ErrNotPayable)
		if (got.Attributes[usecase.ReplayedAttribute] == true) != (i > 0) {
			t.Errorf("paid twice, try %d: attributes %v", i, got.Attributes)
		}
	}
	_, err := s.healthy().Pay(s.ctx(t), stranger, usecase.PayOrder{Key: "x", OrderID: o.ID, Method: domain.Card, Token: tokOK})
	refused(t, err, domain.ErrOrderMissing)
	_, err = s.healthy().Cancel(s.ctx(t), stranger, usecase.Cancellation{Key: "x", OrderID: o.ID})
	refused(t, err, domain.ErrOrderMissing)
}

// Keys belong to their users.
func TestKeysOfTwoUsers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.placedAs(t, domain.Card, domain.Confirmed)
	if _, err := s.healthy().Cancel(s.ctx(t), s.principal(), usecase.Cancellation{Key: "k", OrderID: o.ID, Reason: "mine"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.healthy().Cancel(t.Context(), staff, usecase.Cancellation{Key: "k", OrderID: o.ID, Reason: "theirs"})
	if err != nil || got.Replayed {
		t.Errorf("%v, replayed %v", err, got.Replayed)
	}
}

// An interrupted payment of a pending order leaves it pending, and it may be paid again, with the same key or another.
func TestInterruptedPayLeavesTheOrderPayable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, token string
		at          string // where the first process dies
		end         domain.PaymentStatus
	}{
		{"before the provider heard of it", tokOK, "payments.Authorize", domain.PaymentVoided},
		{"nothing gets through", tokLost, "orders.Decide", domain.PaymentVoided},
	} {
		for _, key := range []string{"", "k"} {
			t.Run(tc.name+" "+key, func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				o := s.place(t, s.wish("")).Order
				wish := usecase.PayOrder{Key: key, OrderID: o.ID, Method: domain.Card, Token: tc.token}
				begun := false
				dying := s.process(Faults{Before: func(call string) error {
					begun = begun || call == "stock.Reserve"
					if begun && (call == tc.at || call == "orders.Decide" || call == "keys.EndClaim") {
						return errDead
					}
					return nil
				}})
				_, _ = dying.Pay(s.ctx(t), s.principal(), wish)
				s.work(t, s.healthy(), time.Minute)
				if got := s.order(t, o.ID); got.Status != domain.Pending || got.Payment.Status != tc.end {
					t.Fatalf("the order is %s, its payment %s; want it pending, %s", got.Status, got.Payment.Status, tc.end)
				}
				s.agrees(t)
				wish.Token = tokOK
				if tc.token != tokOK && key != "" {
					wish.Key = "another"
				}
				placed, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
				if err != nil || placed.Order.Status != domain.Confirmed {
					t.Errorf("%v: the order is %s", err, placed.Order.Status)
				}
				s.work(t, s.healthy(), time.Minute)
				s.agrees(t)
				if s.provider.Captures() != 1 {
					t.Errorf("%d charges", s.provider.Captures())
				}
			})
		}
	}
}

// Nobody pays the order that was left pending: it is given up in time.
func TestInterruptedPayIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o := s.place(t, s.wish("")).Order
	wish := usecase.PayOrder{OrderID: o.ID, Method: domain.Card, Token: tokLost}
	if placed, err := s.healthy().Pay(s.ctx(t), s.principal(), wish); err != nil || !placed.Settling {
		t.Fatalf("%v, settling %v", err, placed.Settling)
	}
	s.work(t, s.healthy(), domain.PaymentWindow+time.Second)
	if got := s.order(t, o.ID); got.Status != domain.Cancelled {
		t.Errorf("the order is %s", got.Status)
	}
	s.agrees(t)
}

// The provider gave the money back by itself before anybody recorded that it was taken: that is what the order says.
func TestInterruptedPaymentThatWasRefunded(t *testing.T) {
	t.Parallel()
	for _, checkout := range []bool{true, false} {
		t.Run(pick(checkout, "checkout", "pay"), func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			var captured atomic.Bool
			dying := s.process(Faults{Before: func(string) error {
				if captured.Load() {
					return errDead
				}
				return nil
			}, After: func(call string) error {
				if call == "payments.Capture" {
					captured.Store(true)
				}
				return nil
			}})
			var id uuid.UUID
			if checkout {
				_, _ = dying.Place(s.ctx(t), s.wish(tokOK))
				id = s.orders(t)[0].ID
			} else {
				id = s.place(t, s.wish("")).Order.ID
				_, _ = dying.Pay(s.ctx(t), s.principal(), usecase.PayOrder{OrderID: id, Method: domain.Card, Token: tokOK})
			}
			s.provider.RefundElsewhere(id, cartTotal)
			s.work(t, s.healthy(), time.Minute)
			got := s.order(t, id)
			if got.Status != pick(checkout, domain.Cancelled, domain.Pending) || got.Payment.Status != domain.PaymentRefunded {
				t.Errorf("the order is %s, its payment %s", got.Status, got.Payment.Status)
			}
			s.agrees(t)
		})
	}
}

// Cash needs no token, a card does.
func TestPayWithoutAToken(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := usecase.PayOrder{OrderID: s.place(t, s.wish("")).Order.ID, Method: domain.Card}
	_, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
	if got := apperr.From(err); apperr.KindOf(err) != apperr.Invalid || got.Violations[0].Location != "payment.token" {
		t.Errorf("by card: %v", err)
	}
	wish.Method = domain.CashOnDelivery
	placed, err := s.healthy().Pay(s.ctx(t), s.principal(), wish)
	if err != nil || placed.Order.Status != domain.Confirmed {
		t.Errorf("on delivery: %v, %s", err, placed.Order.Status)
	}
}
