package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/deploy/local/invariants"
	"shop.example/e2e/internal/shop"
)

// saga is a request that takes several steps.
type saga struct {
	name string
	// points are the steps at whose borders it is held, as order-service's failpoints name them.
	points []string
	// token pays; "cash" on delivery.
	token    string
	fromCart bool
	// scarce is that there is one piece, which is gone when the order is about to be reserved for.
	scarce bool
	// about is what the request is about: an order that is "paid" or "unpaid"; "" for a new one.
	about string
	// doing is what is done with it: pay, cancel or refund.
	doing string
	// anew is that it is paid with a better card and another key once the first request was overtaken, and that one goes on in
	// the middle of it.
	anew bool
	// ends are the states in which the order may be when all is over, "" for none.
	ends []string
}

// around are the points before and after calls.
func around(calls ...string) []string {
	var points []string
	for _, call := range calls {
		points = append(points, call+" before", call+" after")
	}
	return points
}

var sagas = []saga{
	{
		name: "checkout", token: "tok_ok", fromCart: true, ends: []string{"confirmed", "cancelled"},
		points: append(around("Begin/1", "Reserve/1"), "Authorize/1 before"),
	},
	{
		// Once the provider holds the money, the way is forward, whoever goes it.
		name: "checkout, authorized", token: "tok_ok", fromCart: true, ends: []string{"confirmed"},
		points: append(around("Capture/1", "Decide/1", "Confirm/1", "RemovePurchased/1", "Unplan/1"), "Authorize/1 after", "Decide/1 within"),
	},
	{
		name: "checkout, declined", token: "tok_declined", ends: []string{"cancelled"},
		points: append(around("Decide/1", "Release/1"), "Authorize/1 after"),
	},
	{
		name: "checkout, no answer", token: "tok_timeout", ends: []string{"confirmed"},
		points: []string{"Authorize/1 after", "Find/1 before", "Find/1 after", "Reserve/2 after", "Capture/1 before", "Capture/1 after"},
	},
	{
		name: "checkout, late answer", token: "tok_late", ends: []string{"confirmed"},
		points: []string{"Authorize/1 after", "Find/1 after", "Capture/1 before", "Capture/1 after"},
	},
	{
		name: "checkout, out of stock", token: "tok_ok", scarce: true, ends: []string{"", "cancelled"},
		points: append(around("Reserve/1", "Decide/1"), "Decide/1 within"),
	},
	{
		name: "checkout, cash", token: "cash", ends: []string{"confirmed"}, // as nothing can be taken too much
		points: around("Reserve/1", "Decide/1", "Confirm/1"),
	},
	{
		name: "pay", token: "tok_ok", about: "unpaid", doing: "pay", ends: []string{"confirmed"},
		points: around("Claim/1", "Decide/1", "Reserve/1", "Authorize/1", "Capture/1", "Decide/2", "Confirm/1", "EndClaim/1"),
	},
	{
		name: "pay, declined", token: "tok_declined", about: "unpaid", doing: "pay", anew: true, ends: []string{"pending", "confirmed"},
		points: []string{"Authorize/1 after"},
	},
	{
		name: "cancel", about: "paid", doing: "cancel", ends: []string{"cancelled"},
		points: append(around("Claim/1", "Decide/1", "Release/1", "Refund/1", "Decide/2", "Decide/3", "EndClaim/1"), "Decide/1 within"),
	},
	{
		name: "cancel, unpaid", about: "unpaid", doing: "cancel", ends: []string{"cancelled"},
		points: around("Decide/1", "Release/1", "Decide/2"),
	},
	{
		name: "refund", about: "paid", doing: "refund", ends: []string{"confirmed"},
		points: append(around("Claim/1", "Decide/1", "Refund/1", "Decide/2", "Restock/1", "Decide/3", "EndClaim/1"), "Decide/2 within"),
	},
}

func uniqueKey() string { return uuid.NewString() }

// stock is how many pieces there are at first: enough for all rounds.
func (s saga) stock() int64 {
	if s.scarce {
		return 0
	}
	return 100
}

// stops are the points at which a request is held, of which the last one is the cell's.
func (c *crashCell) stops() []string {
	if c.scarce {
		return []string{"Begin/1 before", c.point}
	}
	return []string{c.point}
}

// between is done between the stops: the last piece goes to somebody else.
func (c *crashCell) between() error {
	return c.adjust(-1, "sold over the counter")
}

func (c *crashCell) adjust(delta int64, reason string) error {
	_, err := c.until(http.StatusCreated, func() (*shop.Answer, error) {
		return c.round.staff.Try(http.MethodPost, "/products/"+c.product.ID+"/stock-adjustments", map[string]any{"delta": delta, "reason": reason}, shop.NewKey())
	})
	return err
}

// until asks until the answer has a status: what was broken in the last round is just coming back.
func (c *crashCell) until(status int, ask func() (*shop.Answer, error)) (*shop.Answer, error) {
	for begin := time.Now(); ; c.round.pause(100 * time.Millisecond) {
		a, err := ask()
		if err == nil && a.Status == status {
			return a, nil
		}
		if time.Since(begin) > 20*time.Second {
			return nil, errors.Join(err, fmt.Errorf("want %d, got %v", status, a))
		}
	}
}

// pieces is how many are bought: two, where one of them is given back.
func (s saga) pieces() int64 {
	if s.doing == "refund" {
		return 2
	}
	return 1
}

// wish is what is bought.
func (c *crashCell) wish(token string) shop.Wish {
	items := []shop.Item{{ProductID: c.product.ID, Quantity: c.pieces()}}
	if c.fromCart {
		items = nil
	}
	wish := shop.ByCard(token, items...)
	if token == "cash" {
		wish.Payment = shop.Payment{Method: "cash_on_delivery"}
	}
	return wish
}

// setUp makes what the request is about.
func (c *crashCell) setUp() error {
	if c.scarce {
		return c.adjust(1, "the last one")
	}
	if c.fromCart {
		// What the last round left goes first.
		_, err := c.until(http.StatusNoContent, func() (*shop.Answer, error) { return c.customer.Try(http.MethodDelete, "/cart", nil) })
		if err != nil {
			return err
		}
		_, err = c.until(http.StatusOK, func() (*shop.Answer, error) {
			return c.customer.Try(http.MethodPost, "/cart/items", shop.Item{ProductID: c.product.ID, Quantity: c.pieces()})
		})
		return err
	}
	if c.about == "" {
		return nil
	}
	token, key := "tok_ok", shop.NewKey()
	if c.about == "unpaid" {
		token = ""
	}
	a, err := c.until(http.StatusCreated, func() (*shop.Answer, error) {
		return c.customer.Try(http.MethodPost, "/orders", c.wish(token), key)
	})
	if err != nil {
		return err
	}
	c.order, err = shop.Read[shop.Order](a)
	return err
}

// payAnew pays an order whose first payment is still held, and whose decline was written down by who took it over. When the
// money is taken but not written down, the first request goes on: what it was told is not about this payment.
func (c *crashCell) payAnew() error {
	first := c.round.file("held", c)
	for begin := time.Now(); ; c.round.pause(100 * time.Millisecond) {
		a, err := c.customer.Try(http.MethodGet, "/orders/"+c.order.ID, nil)
		if err != nil {
			return err
		}
		if o, err := shop.Read[shop.Order](a); err == nil && o.Status == "pending" && o.Payment.Status == "failed" {
			break
		}
		if time.Since(begin) > settleWithin {
			return fmt.Errorf("nobody has noticed that the first payment was declined: %s", a)
		}
	}
	c.key += "-anew"
	better := *c.slot
	better.token = "tok_ok"
	c.slot = &better
	if err := c.round.arm("key-"+c.key, "Capture/1 after"); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.answer()
		done <- err
	}()
	if _, err := c.round.awaitHeld(c); err != nil {
		return err
	}
	if err := os.Remove(first); err != nil {
		return err
	}
	<-c.answered
	err := os.Remove(c.round.file("held", c))
	c.held = false
	return errors.Join(err, <-done)
}

// ask sends the request.
func (c *crashCell) ask() (*shop.Answer, error) {
	key := shop.Key(c.key)
	switch c.doing {
	case "pay":
		return c.customer.Try(http.MethodPost, "/orders/"+c.order.ID+"/pay", shop.Payment{Method: "card", Token: c.token}, key)
	case "cancel":
		return c.customer.Try(http.MethodPost, "/orders/"+c.order.ID+"/cancel", nil, key)
	case "refund":
		return c.round.staff.Try(http.MethodPost, "/orders/"+c.order.ID+"/refunds", shop.Refund{
			Items: []shop.Returned{{ItemID: c.order.Items[0].ID, Quantity: 1}}, Reason: "broken", Restock: true,
		}, key)
	default:
		return c.customer.Try(http.MethodPost, "/orders", c.wish(c.token), key)
	}
}

// passing are the answers that say that there is no answer yet.
var passing = []string{"idempotency_in_progress", "order_busy", "payment_interrupted", "dependency_unavailable"}

// askAgain is the client that asks again under the same key until it is told what became of it. It must be the truth, and the
// same when it asks once more.
func (c *crashCell) askAgain() {
	a, err := c.answer()
	if err != nil {
		c.fail("the client is never told what became of it: %v", err)
		return
	}
	again, err := c.answer()
	if err != nil || again.Status != a.Status || again.Code() != a.Code() {
		c.fail("the client is told %s, and then %s, %v", a, again, err)
	}
	if c.doing == "" {
		if c.order.ID, err = c.round.shop.OrderOfKey(c.round.t.Context(), c.customer.ID, c.key); err != nil {
			c.fail("find the order of the key: %v", err)
		}
	}
	c.told = a
}

// answer asks until the answer is one that stays.
func (c *crashCell) answer() (*shop.Answer, error) {
	for begin := time.Now(); ; c.round.pause(200 * time.Millisecond) {
		a, err := c.ask()
		if err == nil && a.Status < http.StatusInternalServerError && a.Status != http.StatusAccepted && !slices.Contains(passing, a.Code()) {
			return a, nil
		}
		if time.Since(begin) > sameAnswer {
			return nil, errors.Join(err, fmt.Errorf("after %s still %v", sameAnswer, a))
		}
	}
}

// lookIntoCart sees what is left of what was bought from it.
func (c *crashCell) lookIntoCart() error {
	if !c.fromCart {
		return nil
	}
	a, err := c.until(http.StatusOK, func() (*shop.Answer, error) { return c.customer.Try(http.MethodGet, "/cart", nil) })
	if err != nil {
		return err
	}
	cart, err := shop.Read[shop.Cart](a)
	c.inCart = cart.ItemCount
	return err
}

// conclude compares what the client was told with what there is.
func (c *crashCell) conclude(state invariants.State) {
	o := state.Orders[c.order.ID]
	c.outcome = "no order"
	status := ""
	if o != nil {
		status = o.Status
		c.outcome = status
	}
	if !slices.Contains(c.ends, status) {
		c.fail("it ended as %q, want one of %q", status, c.ends)
	}
	if c.told == nil {
		if len(c.failures) == 0 {
			c.fail("the client was never told anything")
		}
		return
	}
	money := state.Money[c.order.ID]
	if money.Captures > 1 {
		c.fail("money was taken %d times", money.Captures)
	}
	if status == "cancelled" && (money.Open != 0 || money.Net != 0) {
		c.fail("it is cancelled, and its payment holds %d and has kept %d", money.Open, money.Net)
	}
	switch told, err := shop.Read[shop.Order](c.told); {
	case c.told.Status >= http.StatusBadRequest:
		if unpaid := c.anew && status == "pending"; status != "" && status != "cancelled" && !unpaid {
			c.fail("the client is told %s, and the order is %s", c.told, status)
		}
	case err != nil:
		c.fail("the client is told %s: %v", c.told, err)
	case told.ID != c.order.ID || told.Status != status:
		c.fail("the client is told of order %s, which is %s; want %s, %s", told.ID, told.Status, c.order.ID, status)
	}
	if left := map[string]int64{"confirmed": 0, "cancelled": c.pieces()}[status]; c.fromCart && c.inCart != left {
		c.fail("it is %s, and %d pieces are in the cart, want %d", status, c.inCart, left)
	}
	if status == "confirmed" || status == "cancelled" {
		told := func(e shop.Event) bool { return e.Type == "order."+status }
		if !slices.ContainsFunc(c.round.receiver.Events(c.order.ID), told) {
			c.fail("it is %s, and its event has never come", status)
		}
	}
	if c.doing == "refund" && o != nil {
		if gave := o.Restock[c.product.ID]; o.Refunded != 2500 || gave != 1 {
			c.fail("%d were given back and %d pieces, want 2500 and 1", o.Refunded, gave)
		}
	}
}

// onceEach checks that each cell has one order.
func (c *crashShop) onceEach(cells []*crashCell, orders map[string]*invariants.Order) {
	known, of := map[string]bool{}, map[string]*crashCell{}
	for _, cell := range cells {
		known[cell.order.ID] = true
		of[cell.product.ID] = cell
	}
	for id, o := range orders {
		for product := range o.Lines {
			if !known[id] {
				of[product].fail("order %s is of no key that a client knows", id)
			}
		}
	}
}
