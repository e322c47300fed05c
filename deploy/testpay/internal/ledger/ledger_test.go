package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"shop.example/deploy/testpay/internal/ledger"
)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const lateAfter = 5 * time.Second

func setup(t *testing.T) (path string, c *clock, l *ledger.Ledger) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ledger")
	c = &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return path, c, open(t, path, c)
}

func open(t *testing.T, path string, c *clock) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(path, ledger.Options{LateAfter: lateAfter, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // closing is tested in TestRandomCalls
	return l
}

func request(token string) ledger.AuthorizeRequest {
	return ledger.AuthorizeRequest{Amount: 1999, Currency: "EUR", Token: token, Reference: "order-1"}
}

func authorize(t *testing.T, l *ledger.Ledger, key, token string) ledger.Payment {
	t.Helper()
	answer, err := l.Authorize(key, request(token))
	if err != nil {
		t.Fatal(err)
	}
	return *answer.Payment
}

func code(err error) string {
	if r, ok := errors.AsType[*ledger.Refusal](err); ok {
		return r.Code
	}
	return fmt.Sprint(err)
}

func wantCode(t *testing.T, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	_, _, l := setup(t)
	for token, want := range map[string]ledger.Payment{
		"tok_ok":                 {Status: ledger.StatusAuthorized},
		"tok_timeout":            {Status: ledger.StatusAuthorized},
		"tok_late":               {Status: ledger.StatusPending},
		"tok_declined":           {Status: ledger.StatusDeclined, FailureCode: "card_declined"},
		"tok_insufficient_funds": {Status: ledger.StatusDeclined, FailureCode: "insufficient_funds"},
		"tok_error":              {Status: ledger.StatusDeclined, FailureCode: "processing_failed"},
	} {
		got := authorize(t, l, "k-"+token, token)
		if got.Status != want.Status || got.FailureCode != want.FailureCode {
			t.Errorf("%s: %+v", token, got)
		}
	}
	_, err := l.Authorize("k", request("tok_other"))
	wantCode(t, err, ledger.CodeInvalidToken)
}

func TestTheSameKeyIsTheSamePayment(t *testing.T) {
	t.Parallel()
	path, c, l := setup(t)
	first := authorize(t, l, "k", "tok_timeout")
	if _, err := l.Capture("c", first.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, c)
	again, err := l.Authorize("k", request("tok_timeout"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ledger.Answer{Payment: &first, Replayed: true}, again); diff != "" {
		t.Error(diff)
	}
	other := request("tok_timeout")
	other.Amount++
	_, err = l.Authorize("k", other)
	wantCode(t, err, ledger.CodeKeyReused)
	_, err = l.Void("k", first.ID)
	wantCode(t, err, ledger.CodeKeyReused)
}

func TestConcurrentCallsUnderOneKeyHaveOneEffect(t *testing.T) {
	t.Parallel()
	_, _, l := setup(t)
	var calls sync.WaitGroup
	answers := make([]ledger.Answer, 32)
	for i := range answers {
		calls.Go(func() { answers[i], _ = l.Authorize("k", request("tok_timeout")) })
	}
	calls.Wait()
	fresh := 0
	for _, a := range answers {
		if a.Payment.ID != answers[0].Payment.ID {
			t.Error("two payments")
		}
		if a.Silent == a.Replayed {
			t.Errorf("silent %v, replayed %v", a.Silent, a.Replayed)
		}
		if !a.Replayed {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d calls had an effect", fresh)
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	_, c, l := setup(t)
	p := authorize(t, l, "k", "tok_late")
	_, err := l.Capture("c", p.ID, nil)
	wantCode(t, err, ledger.CodePending)
	c.Advance(lateAfter)
	more := p.Amount + 1
	_, err = l.Capture("c", p.ID, &more)
	wantCode(t, err, ledger.CodeExceedsAuthorization)
	_, err = l.Refund("r", p.ID, 1)
	wantCode(t, err, ledger.CodeNotCaptured)
	if _, err := l.Capture("c", p.ID, nil); err != nil { // the refusals above do not stick to the key
		t.Fatal(err)
	}
	_, err = l.Capture("c2", p.ID, nil)
	wantCode(t, err, ledger.CodeCaptured)
	_, err = l.Void("v", p.ID)
	wantCode(t, err, ledger.CodeCaptured)
	if _, err := l.Refund("r", p.ID, 999); err != nil {
		t.Fatal(err)
	}
	_, err = l.Refund("r2", p.ID, 1001)
	wantCode(t, err, ledger.CodeRefundExceedsPayment)
	answer, err := l.Refund("r2", p.ID, 1000)
	if err != nil || answer.Payment.Status != ledger.StatusRefunded {
		t.Errorf("%+v, %v", answer.Payment, err)
	}
	voided := authorize(t, l, "k2", "tok_ok")
	if _, err := l.Void("v", voided.ID); err != nil {
		t.Fatal(err)
	}
	_, err = l.Capture("c3", voided.ID, nil)
	wantCode(t, err, ledger.CodeVoided)
	_, err = l.Void("v2", "pay_none")
	wantCode(t, err, ledger.CodeNotFound)
}

func TestRefundsThatAreRefusedForGood(t *testing.T) {
	t.Parallel()
	path, c, l := setup(t)
	p := authorize(t, l, "a", "tok_refund_refused")
	if _, err := l.Capture("c", p.ID, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also after a restart
		for _, amount := range []int64{1, p.Amount} {
			_, err := l.Refund("r", p.ID, amount)
			wantCode(t, err, ledger.CodeRefundRefused)
		}
		if got, err := l.Payment(p.ID); err != nil || got.Status != ledger.StatusCaptured || got.Refunded != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, path, c)
	}
}

func TestVoidByKey(t *testing.T) {
	t.Parallel()
	path, c, l := setup(t)
	made := authorize(t, l, "made", "tok_timeout")
	authorize(t, l, "declined", "tok_declined")
	captured := authorize(t, l, "captured", "tok_ok")
	if _, err := l.Capture("c", captured.ID, nil); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"made", "never", "declined"} {
		for _, under := range []string{"v-", "v-", "w-"} { // again under the same key, and under another
			if _, err := l.VoidByKey(under+key, key); err != nil {
				t.Errorf("%s%s: %v", under, key, err)
			}
		}
	}
	_, err := l.VoidByKey("v-captured", "captured")
	wantCode(t, err, ledger.CodeCaptured)
	_, err = l.VoidByKey("x", "x")
	wantCode(t, err, ledger.CodeInvalidRequest)
	_, err = l.VoidByKey("y", "c")
	wantCode(t, err, ledger.CodeKeyReused)

	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, c)
	for _, key := range []string{"made", "never", "declined"} {
		_, err := l.Authorize(key, request("tok_ok"))
		wantCode(t, err, ledger.CodeVoided)
	}
	_, err = l.ByKey("never")
	wantCode(t, err, ledger.CodeVoided)
	if p, err := l.ByKey("made"); err != nil || p.ID != made.ID || p.Status != ledger.StatusVoided {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestLateAuthorizationSurvivesARestart(t *testing.T) {
	t.Parallel()
	path, c, l := setup(t)
	p := authorize(t, l, "k", "tok_late")
	gone := authorize(t, l, "k2", "tok_late")
	if _, err := l.Void("v", gone.ID); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c.Advance(lateAfter - time.Millisecond)
	l = open(t, path, c)
	if got, err := l.Payment(p.ID); err != nil || got.Status != ledger.StatusPending {
		t.Errorf("before the time: %+v, %v", got, err)
	}
	c.Advance(time.Millisecond)
	if got, err := l.Payment(p.ID); err != nil || got.Status != ledger.StatusAuthorized {
		t.Errorf("at the time: %+v, %v", got, err)
	}
	if got, err := l.Payment(gone.ID); err != nil || got.Status != ledger.StatusVoided {
		t.Errorf("the voided one: %+v, %v", got, err)
	}
	notice, err := l.NextNotice(t.Context())
	if err != nil || notice.ID != p.ID {
		t.Errorf("%+v, %v", notice, err)
	}
}

func TestSettleActsWhenThePaymentFallsDue(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	synctest.Test(t, func(t *testing.T) {
		l, err := ledger.Open(path, ledger.Options{LateAfter: lateAfter, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		go l.Settle(t.Context())
		began := time.Now()
		p := authorize(t, l, "k", "tok_late")
		notice, err := l.NextNotice(t.Context()) // in the bubble, time moves on when all wait
		if err != nil || notice.ID != p.ID || time.Since(began) != lateAfter {
			t.Errorf("%+v, %v after %s", notice, err, time.Since(began))
		}
		if err := l.Notified(p.ID); err != nil {
			t.Error(err)
		}
	})
}

// model says what a payment may be, in the simplest terms: money in and out, by key.
type model struct {
	payments map[string]*modelPayment // by authorize key
	closed   map[string]bool
}

type modelPayment struct {
	id                 string
	state              string // open, closed or captured
	captured, refunded int64
}

// TestRandomCalls runs calls with few keys, in any order, with restarts between, against a model: each effect happens
// exactly when the model allows it, and the state after each restart is the state before it.
func TestRandomCalls(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			path, c, l := setup(t)
			dice := rand.New(rand.NewPCG(seed, 1))
			m := model{payments: map[string]*modelPayment{}, closed: map[string]bool{}}
			for step := range 200 {
				key := fmt.Sprint("k", dice.IntN(6))
				fresh := fmt.Sprint("step", step)
				p := m.payments[key]
				switch dice.IntN(7) {
				case 0, 1:
					answer, err := l.Authorize(key, request("tok_ok"))
					if (err == nil) == m.closed[key] || err == nil && answer.Replayed != (p != nil) {
						t.Fatalf("step %d: authorize %s: %+v, %v; model %+v", step, key, answer, err, p)
					}
					if err == nil && p == nil {
						m.payments[key] = &modelPayment{id: answer.Payment.ID, state: "open"}
					}
				case 2:
					if p == nil {
						continue
					}
					_, err := l.Capture(fresh, p.id, nil)
					if (err == nil) != (p.state == "open") {
						t.Fatalf("step %d: capture: %v; model %+v", step, err, p)
					}
					if err == nil {
						p.state, p.captured = "captured", 1999
					}
				case 3:
					if p == nil || dice.IntN(3) > 0 {
						continue
					}
					_, err := l.Void(fresh, p.id)
					if (err == nil) != (p.state == "open") {
						t.Fatalf("step %d: void: %v; model %+v", step, err, p)
					}
					if err == nil {
						p.state = "closed"
					}
				case 4:
					if dice.IntN(3) > 0 {
						continue
					}
					_, err := l.VoidByKey(fresh, key)
					if (err == nil) != (p == nil || p.state != "captured") {
						t.Fatalf("step %d: void by key: %v; model %+v", step, err, p)
					}
					if err == nil {
						m.closed[key] = true
						if p != nil {
							p.state = "closed"
						}
					}
				case 5:
					if p == nil {
						continue
					}
					amount := 1 + dice.Int64N(1200)
					_, err := l.Refund(fresh, p.id, amount)
					if (err == nil) != (amount <= p.captured-p.refunded) {
						t.Fatalf("step %d: refund %d: %v; model %+v", step, amount, err, p)
					}
					if err == nil {
						p.refunded += amount
						again, err := l.Refund(fresh, p.id, amount)
						if err != nil || !again.Replayed || again.Payment.Refunded != p.refunded {
							t.Fatalf("step %d: refund again: %+v, %v", step, again, err)
						}
					}
				case 6:
					before, err := l.Entries()
					if err != nil {
						t.Fatal(err)
					}
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					l = open(t, path, c)
					after, err := l.Entries()
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(before, after); diff != "" && len(before) > 0 {
						t.Fatal(diff)
					}
				}
			}
			entries, err := l.Entries()
			if err != nil {
				t.Fatal(err)
			}
			var want ledger.Totals
			for _, p := range m.payments {
				want.Captured += p.captured
				want.Refunded += p.refunded
				if p.state == "open" {
					want.Open += 1999
				}
			}
			for _, got := range ledger.Sum(entries) {
				if got.Captured != want.Captured || got.Refunded != want.Refunded || got.Open != want.Open || got.Payments != len(m.payments) {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
		})
	}
}
