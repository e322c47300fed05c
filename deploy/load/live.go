package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"shop.example/deploy/load/internal/customer"
	"shop.example/deploy/local/invariants"
)

// The kinds of requests with a key.
const (
	payOrder    = "pay order"
	cancelOrder = "cancel order"
)

const (
	// insist is how long a customer asks again under the same key for what became of it: longer than a dead request holds its
	// key (15 s), and an order is in between (a minute).
	insist = 2 * time.Minute
	// askAgain is how soon.
	askAgain = 500 * time.Millisecond
)

// tokens are what orders are paid with: mostly what works. "" is paid later, and "cash" on delivery.
var tokens = []string{
	"tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok", "tok_ok",
	"", "", "", "cash", "cash", "tok_declined", "tok_insufficient_funds", "tok_error", "tok_timeout", "tok_late",
}

// live is one turn of a customer: some look around, some fill a cart, and some buy, pay later or cancel.
func live(ctx context.Context, c *customer.Customer, goods []product, b *book) {
	switch at := rand.IntN(10); {
	case at < 3:
		browse(ctx, c, some(goods, 1)[0])
	case at < 5:
		fillCart(ctx, c, some(goods, 2))
	default:
		buy(ctx, c, some(goods, 2), tokens[rand.IntN(len(tokens))], b)
	}
}

func buy(ctx context.Context, c *customer.Customer, goods []product, token string, b *book) {
	wish := order{Address: home, ShippingMethod: "standard", Payment: payment{"card", token}}
	if token == "cash" {
		wish.Payment = payment{Method: "cash_on_delivery"}
	}
	if rand.IntN(2) == 0 {
		for _, p := range goods {
			wish.Items = append(wish.Items, item{p.ID, 1})
		}
	} else {
		for _, p := range goods {
			if !c.Do(ctx, customer.Request{Kind: addToCart, Method: http.MethodPost, Path: "/cart/items", Body: item{p.ID, 1}}).OK() {
				return
			}
		}
	}
	placed := b.insist(ctx, c, customer.Request{Kind: placeOrder, Method: http.MethodPost, Path: "/orders", Body: wish})
	if placed.ID == "" {
		return
	}
	path := "/orders/" + placed.ID
	c.Do(ctx, customer.Request{Kind: readOrder, Method: http.MethodGet, Path: path})
	if placed.Status == "pending" && rand.IntN(4) > 0 {
		b.insist(ctx, c, customer.Request{Kind: payOrder, Method: http.MethodPost, Path: path + "/pay", Body: payment{"card", "tok_ok"}})
	}
	if rand.IntN(4) == 0 {
		b.insist(ctx, c, customer.Request{Kind: cancelOrder, Method: http.MethodPost, Path: path + "/cancel"})
	}
}

// book is what customers were told in the end of what they asked for under a key.
type book struct {
	mu      sync.Mutex
	entries []told
}

// told is the last answer under a key.
type told struct {
	kind   string
	ID     string `json:"id"`
	Status string `json:"status"` // of the order
	code   int    // of the answer; 0 for none
}

// passing are the answers that say that there is no answer yet.
var passing = []string{"idempotency_in_progress", "order_busy", "payment_interrupted"}

// insist asks under a new key until the answer is final. What else the shop says in the meantime is counted by the recorder.
func (b *book) insist(ctx context.Context, c *customer.Customer, r customer.Request) told {
	r.Key = uuid.NewString()
	entry := told{kind: r.Kind}
	for begin := time.Now(); time.Since(begin) < insist; {
		a := c.Do(ctx, r)
		if final(a) {
			entry.code = a.Status
			if a.OK() {
				_ = json.Unmarshal(a.Body, &entry) // what is not an order has no id, which is told as a contradiction
			}
			break
		}
		if wait(ctx, askAgain) != nil {
			break
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entry)
	return entry
}

// final reports whether an answer is one that stays. 401 says that nobody could tell whether the session has ended.
func final(a customer.Answer) bool {
	if a.Err != nil || a.Status >= http.StatusInternalServerError || a.Status == http.StatusAccepted ||
		a.Status == http.StatusTooManyRequests || a.Status == http.StatusUnauthorized {
		return false
	}
	return a.OK() || !slices.Contains(passing, a.Field("code"))
}

func (b *book) told() int { return len(b.entries) - b.untold() }

func (b *book) untold() (n int) {
	for _, e := range b.entries {
		if e.code == 0 {
			n++
		}
	}
	return n
}

// contradictions are the answers that are not what is written down.
func (b *book) contradictions(state invariants.State) []string {
	var found []string
	placed := map[string]bool{}
	cancelled := map[string]bool{}
	for _, e := range b.entries {
		if e.kind == cancelOrder && e.code == http.StatusOK {
			cancelled[e.ID] = true
		}
	}
	for _, e := range b.entries {
		if e.code < 200 || e.code > 299 {
			continue
		}
		o := state.Orders[e.ID]
		switch {
		case o == nil:
			found = append(found, fmt.Sprintf("%s: the customer was told of order %q, which there is not", e.kind, e.ID))
			continue
		case e.kind == placeOrder && placed[e.ID]:
			found = append(found, fmt.Sprintf("order %s was the answer to two keys", e.ID))
		case e.kind == cancelOrder && o.Status != "cancelled":
			found = append(found, fmt.Sprintf("order %s is %s, and its customer was told that it is cancelled", e.ID, o.Status))
		case e.Status == "confirmed" && o.Status != "confirmed" && !cancelled[e.ID]:
			found = append(found, fmt.Sprintf("order %s is %s, and its customer was told that it is confirmed", e.ID, o.Status))
		}
		placed[e.ID] = placed[e.ID] || e.kind == placeOrder
	}
	return found
}

// openFindings asks the shop's auditor how much it has found.
func openFindings(ctx context.Context, s shop) (int, error) {
	account, err := s.account("admin")
	if err != nil {
		return 0, err
	}
	admin, err := customer.SignIn(ctx, s.Gateway, account.Email, account.Password)
	if err != nil {
		return 0, err
	}
	a := admin.Do(ctx, customer.Request{Method: http.MethodGet, Path: "/audit/findings?status=open"})
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if a.Err != nil {
		return 0, a.Err
	}
	if !a.OK() {
		return 0, fmt.Errorf("%d %s", a.Status, a.Body)
	}
	err = json.Unmarshal(a.Body, &list)
	return len(list.Items), err
}
