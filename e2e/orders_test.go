package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
)

// aPurchase is a paid order of so many pieces for 25.00 each, and the product.
func aPurchase(t *testing.T, customer *shop.Customer, quantity, stock int64) (shop.Order, shop.Product) {
	t.Helper()
	lamp := shared.NewProduct(t, stock, 2500)
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: quantity})))
	shared.WantStock(t, lamp.ID, stock-quantity)
	return order, lamp
}

// wantGivenBack checks what an order says of refunds against the provider's own ledger.
func wantGivenBack(t *testing.T, order shop.Order, want int64) {
	t.Helper()
	total := order.Total.Amount
	ledger := shop.Totals{Payments: 1, Captures: 1, Captured: total, Refunded: want, Net: total - want}
	if got := shared.Ledger(t, order.ID); got != ledger {
		t.Errorf("ledger of order %s: got %+v, want %+v", order.ID, got, ledger)
	}
	sum := int64(0)
	for _, refund := range order.Refunds {
		sum += refund.Amount.Amount
	}
	if sum != want || order.Payment.Refunded.Amount != want {
		t.Errorf("the order's refunds come to %d and its payment says %+v, want %d", sum, order.Payment.Refunded, want)
	}
}

func TestTheWayOfAnOrder(t *testing.T) {
	t.Parallel()
	customer, admin := shared.NewCustomer(t), shared.Admin(t)
	order, _ := aPurchase(t, customer, 1, 2)
	path := "/orders/" + order.ID + "/status"
	move := func(change map[string]string, headers ...string) *shop.Answer {
		return admin.Do(http.MethodPatch, path, change, headers...)
	}
	for _, wrong := range []string{"pending", "shipped", "delivered", "refunded"} {
		shop.WantProblem(t, http.StatusConflict, "invalid_transition", move(map[string]string{"status": wrong}))
	}
	shop.WantInvalid(t, "body.status", move(map[string]string{"status": "lost"}))
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch", move(map[string]string{"status": "processing"}, `If-Match: "999"`))

	answer := move(map[string]string{"status": "processing"}, `If-Match: "`+fmt.Sprint(customer.Order(order.ID).Version)+`"`)
	packed := shop.Want[shop.Order](t, http.StatusOK, answer)
	shipped := shop.Want[shop.Order](t, http.StatusOK, move(map[string]string{
		"status": "shipped", "note": "handed over", "tracking": "https://carrier.example/1",
	}, "If-Match: "+answer.Header.Get("ETag")))
	if packed.Status != "processing" || shipped.Status != "shipped" || shipped.Tracking != "https://carrier.example/1" || shipped.Version <= packed.Version {
		t.Errorf("packed: %+v, shipped: %+v", packed, shipped)
	}
	if last := shipped.History[len(shipped.History)-1]; last.Note != "handed over" || last.By == customer.ID {
		t.Errorf("the history says %+v", last)
	}
	shop.WantProblem(t, http.StatusConflict, "invalid_transition", customer.Post("/orders/"+order.ID+"/cancel", nil))
	delivered := shop.Want[shop.Order](t, http.StatusOK, move(map[string]string{"status": "delivered"}))
	shop.WantProblem(t, http.StatusConflict, "invalid_transition", move(map[string]string{"status": "delivered"})) // no step leads where it is
	shop.WantStates(t, delivered, "pending", "confirmed", "processing", "shipped", "delivered")
	shared.WantPaid(t, order)

	back := shop.Want[shop.Order](t, http.StatusOK, move(map[string]string{"status": "refunded", "note": "sent back"}))
	if back.Status != "refunded" || back.Payment.Status != "refunded" {
		t.Errorf("taken back: %s, %+v", back.Status, back.Payment)
	}
	wantGivenBack(t, back, order.Total.Amount)
}

func TestRefunds(t *testing.T) {
	t.Parallel()
	customer, admin := shared.NewCustomer(t), shared.Admin(t)
	order, lamp := aPurchase(t, customer, 3, 5)
	path, item := "/orders/"+order.ID+"/refunds", order.Items[0].ID
	total := order.Total.Amount // 3 × 25.00 and the delivery

	part := shop.Want[shop.Order](t, http.StatusCreated, admin.Post(path, map[string]any{"amount": shop.Euro(100), "reason": "late"}))
	if part.Payment.Status != "partially_refunded" || part.Status != "confirmed" {
		t.Errorf("after a part: %s, %+v", part.Status, part.Payment)
	}
	wantGivenBack(t, part, 100)
	shared.WantStock(t, lamp.ID, 2)

	one := shop.Want[shop.Order](t, http.StatusCreated, admin.Post(path, shop.Refund{Items: []shop.Returned{{ItemID: item, Quantity: 1}}, Reason: "broken"}))
	wantGivenBack(t, one, 2600)
	shared.WantStock(t, lamp.ID, 2)
	shelf := shop.Want[shop.Order](t, http.StatusCreated, admin.Post(path, shop.Refund{Items: []shop.Returned{{ItemID: item, Quantity: 1}}, Reason: "unused", Restock: true}))
	wantGivenBack(t, shelf, 5100)
	shared.WantStock(t, lamp.ID, 3)

	// What is more than was paid, by money or by pieces, and what makes no sense.
	for _, tooMuch := range []shop.Refund{
		{Amount: total - 5100 + 1, Reason: "greed"}, {Items: []shop.Returned{{ItemID: item, Quantity: 2}}, Reason: "greed"},
	} {
		shop.WantProblem(t, http.StatusConflict, "refund_exceeds_payment", admin.Post(path, tooMuch))
	}
	shop.WantInvalid(t, "body.amount", admin.Post(path, shop.Refund{Amount: 1, Items: []shop.Returned{{ItemID: item, Quantity: 1}}, Reason: "both"}))
	shop.WantInvalid(t, "body.restock", admin.Post(path, shop.Refund{Amount: 1, Reason: "which?", Restock: true}))
	shop.WantInvalid(t, "body.items[0].item_id", admin.Post(path, shop.Refund{Items: []shop.Returned{{ItemID: uuid.NewString(), Quantity: 1}}, Reason: "whose?"}))
	shop.WantInvalid(t, "body.amount.currency", admin.Post(path, map[string]any{"amount": shop.Money{Amount: 1, Currency: "USD"}, "reason": "which?"}))
	wantGivenBack(t, customer.Order(order.ID), 5100)

	rest := shop.Want[shop.Order](t, http.StatusCreated, admin.Post(path, shop.Refund{Reason: "all of it", Restock: true}))
	if rest.Status != "refunded" || rest.Payment.Status != "refunded" || len(rest.Refunds) != 4 {
		t.Errorf("after the rest: %s, %+v, %d refunds", rest.Status, rest.Payment, len(rest.Refunds))
	}
	wantGivenBack(t, rest, total)
	shared.WantStock(t, lamp.ID, 4) // one is broken
	shop.WantProblem(t, http.StatusConflict, "refund_exceeds_payment", admin.Post(path, shop.Refund{Amount: 1, Reason: "more"}))

	unpaid := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	shop.WantProblem(t, http.StatusConflict, "refund_exceeds_payment", admin.Post("/orders/"+unpaid.ID+"/refunds", shop.Refund{Reason: "nothing"}))
}

// TestRefundsAtOnce: twenty wishes for a third of the money each end in three refunds.
func TestRefundsAtOnce(t *testing.T) {
	t.Parallel()
	customer, admin := shared.NewCustomer(t), shared.Admin(t)
	order, _ := aPurchase(t, customer, 1, 1)
	third := order.Total.Amount / 3
	given := int64(0)
	for _, a := range atOnce(t, 20, func(i int) (*shop.Answer, error) {
		return admin.Try(http.MethodPost, "/orders/"+order.ID+"/refunds", shop.Refund{Amount: third, Reason: fmt.Sprint("wish ", i)})
	}) {
		if a.Status == http.StatusCreated {
			given++
			continue
		}
		p := a.Problem(t)
		if a.Status != http.StatusConflict || p.Code != "refund_exceeds_payment" && p.Code != "order_busy" {
			t.Errorf("a refund that was refused: %s", a)
		}
	}
	if given < 1 || given > 3 {
		t.Errorf("%d refunds of a third", given)
	}
	wantGivenBack(t, customer.Order(order.ID), given*third)
}

// TestOneKeyFromTwentyConnections: what is done with an order under one key is done once, and everybody has the same answer or
// is told that it is still running.
func TestOneKeyFromTwentyConnections(t *testing.T) {
	t.Parallel()
	admin := shared.Admin(t)
	for _, c := range []struct {
		name, token, action string
		status              int
		body                any
		staff               bool
		want                func(total int64) shop.Totals
	}{
		{"pay", "", "pay", http.StatusOK, shop.Payment{Method: "card", Token: "tok_ok"}, false, func(total int64) shop.Totals {
			return shop.Totals{Payments: 1, Captures: 1, Captured: total, Net: total}
		}},
		{"cancel", "tok_ok", "cancel", http.StatusOK, map[string]string{"reason": "twenty times"}, false, func(total int64) shop.Totals {
			return shop.Totals{Payments: 1, Captures: 1, Captured: total, Refunded: total}
		}},
		{"refund", "tok_ok", "refunds", http.StatusCreated, shop.Refund{Amount: 700, Reason: "once"}, true, func(total int64) shop.Totals {
			return shop.Totals{Payments: 1, Captures: 1, Captured: total, Refunded: 700, Net: total - 700}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 2, 2500)
			order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard(c.token, shop.Item{ProductID: lamp.ID, Quantity: 1})))
			client, key, path := customer.Client, shop.NewKey(), "/orders/"+order.ID+"/"+c.action
			if c.staff {
				client = admin.For(t)
			}
			done := 0
			for _, a := range atOnce(t, 20, func(int) (*shop.Answer, error) { return client.Try(http.MethodPost, path, c.body, key) }) {
				if a.Status == c.status {
					done++
					continue
				}
				shop.WantProblem(t, http.StatusConflict, "idempotency_in_progress", a)
			}
			if done == 0 {
				t.Error("nobody was told that it is done")
			}
			again := client.Post(path, c.body, key)
			shop.Want[shop.Order](t, c.status, again)
			if again.Header.Get("Idempotency-Replayed") != "true" {
				t.Errorf("the answer is not marked as a replay: %v", again.Header)
			}
			if got, want := shared.Ledger(t, order.ID), c.want(order.Total.Amount); got != want {
				t.Errorf("ledger: got %+v, want %+v", got, want)
			}
			shop.WantProblem(t, http.StatusUnprocessableEntity, "idempotency_key_reused",
				client.Post("/orders/"+order.ID+"/cancel", map[string]string{"reason": "another wish"}, key))
		})
	}
}

func TestEditingAnOrder(t *testing.T) {
	t.Parallel()
	customer := shared.NewCustomer(t)
	lamp, bulb := shared.NewProduct(t, 5, 2500), shared.NewProduct(t, 3, 200)
	placed := customer.Place(shop.ByCard("", shop.Item{ProductID: lamp.ID, Quantity: 1}))
	order := shop.Want[shop.Order](t, http.StatusCreated, placed)
	items := "/orders/" + order.ID + "/items"

	key := shop.NewKey()
	added := customer.Post(items, shop.Item{ProductID: bulb.ID, Quantity: 2}, key, "If-Match: "+placed.Header.Get("ETag"))
	more := shop.Want[shop.Order](t, http.StatusOK, added)
	if len(more.Items) != 2 || more.Total != shop.Euro(2500+400+shop.StandardPrice) {
		t.Errorf("after adding: %+v", more)
	}
	shared.WantAvailable(t, bulb.ID, 1)
	shared.WantAvailable(t, lamp.ID, 4)
	again := customer.Post(items, shop.Item{ProductID: bulb.ID, Quantity: 2}, key, "If-Match: "+placed.Header.Get("ETag"))
	if same := shop.Want[shop.Order](t, http.StatusOK, again); same.Total != more.Total || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same key again: %s", again)
	}
	shop.WantProblem(t, http.StatusPreconditionFailed, "version_mismatch",
		customer.Post(items, shop.Item{ProductID: bulb.ID, Quantity: 1}, "If-Match: "+placed.Header.Get("ETag")))
	short := shop.WantProblem(t, http.StatusConflict, "out_of_stock", customer.Post(items, shop.Item{ProductID: bulb.ID, Quantity: 2}))
	if len(short.Errors) != 1 || short.Errors[0].Location != "body.quantity" || short.Errors[0].Available == nil || *short.Errors[0].Available != 1 {
		t.Errorf("out of stock: %+v", short.Errors)
	}
	shop.WantProblem(t, http.StatusUnprocessableEntity, "product_unavailable", customer.Post(items, shop.Item{ProductID: uuid.NewString(), Quantity: 1}))

	line := order.Items[0].ID
	fewer := shop.Want[shop.Order](t, http.StatusOK, customer.Do(http.MethodDelete, items+"/"+line, nil, "If-Match: "+added.Header.Get("ETag")))
	if len(fewer.Items) != 1 || fewer.Total != shop.Euro(400+shop.StandardPrice) {
		t.Errorf("after removing: %+v", fewer)
	}
	shared.WantAvailable(t, lamp.ID, 5)
	shop.WantProblem(t, http.StatusNotFound, "not_found", customer.Do(http.MethodDelete, items+"/"+line, nil))
	shop.WantProblem(t, http.StatusConflict, "order_not_editable", customer.Do(http.MethodDelete, items+"/"+fewer.Items[0].ID, nil))

	paid := shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+order.ID+"/pay", shop.Payment{Method: "card", Token: "tok_ok"}))
	if paid.Total != fewer.Total {
		t.Errorf("paid %+v, want %+v", paid.Total, fewer.Total)
	}
	shared.WantPaid(t, paid)
	shared.WantStock(t, bulb.ID, 1)
	shared.WantStock(t, lamp.ID, 5)
	shop.WantProblem(t, http.StatusConflict, "order_not_editable", customer.Post(items, shop.Item{ProductID: bulb.ID, Quantity: 1}))
}

// TestTokens: what each token of the contract does, by the order and by the provider's ledger.
func TestTokens(t *testing.T) {
	t.Parallel()
	for token, code := range map[string]string{
		"tok_ok": "", "tok_declined": "payment_declined", "tok_insufficient_funds": "payment_declined", "tok_error": "payment_failed",
		"tok_timeout": "", "tok_late": "",
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 1, 2500)
			answer := customer.Place(shop.ByCard(token, shop.Item{ProductID: lamp.ID, Quantity: 1}))
			if code != "" {
				id := shop.WantProblem(t, http.StatusPaymentRequired, code, answer).OrderID
				if order := customer.Order(id); order.Status != "cancelled" || order.Payment.Status != "failed" {
					t.Errorf("declined: %s, %+v", order.Status, order.Payment)
				}
				if got := shared.Ledger(t, id); got.Captures != 0 || got.Net != 0 || got.Open != 0 {
					t.Errorf("declined, and the ledger says %+v", got)
				}
				shared.WantStock(t, lamp.ID, 1)
				return
			}
			if answer.Status != http.StatusCreated && answer.Status != http.StatusAccepted {
				t.Fatalf("%s", answer)
			}
			order := customer.Settled(shop.Want[shop.Order](t, answer.Status, answer).ID)
			if order.Status != "confirmed" || order.Payment.Status != "captured" {
				t.Errorf("the order is %s, its payment %+v", order.Status, order.Payment)
			}
			shared.WantPaid(t, order)
			shared.WantStock(t, lamp.ID, 0)
		})
	}
}

// TestTheProviderRefusesARefund: staff are told, nothing counts as given back, and a cancelled order does not pretend that it does.
func TestTheProviderRefusesARefund(t *testing.T) {
	t.Parallel()
	customer, admin, lamp := shared.NewCustomer(t), shared.Admin(t), shared.NewProduct(t, 2, 2500)
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("tok_refund_refused", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	refunds, key := "/orders/"+order.ID+"/refunds", shop.NewKey()
	part := shop.Refund{Amount: 700, Reason: "late"}
	for range 2 { // the second is the kept answer
		if p := shop.WantProblem(t, http.StatusConflict, "refund_failed", admin.Post(refunds, part, key)); p.OrderID != order.ID {
			t.Errorf("the refusal names the order %q", p.OrderID)
		}
	}
	shop.WantProblem(t, http.StatusConflict, "refund_failed", admin.Post(refunds, shop.Refund{
		Items: []shop.Returned{{ItemID: order.Items[0].ID, Quantity: 1}}, Reason: "broken", Restock: true,
	}))
	shop.WantProblem(t, http.StatusConflict, "refund_failed", admin.Post(refunds, part)) // a new wish is tried anew
	after := customer.Order(order.ID)
	if after.Status != "confirmed" || after.Payment.Status != "captured" || after.Payment.Refunded.Amount != 0 || len(after.Refunds) != 0 {
		t.Errorf("nothing was given back, and the order is %s: %+v, %+v", after.Status, after.Payment, after.Refunds)
	}
	shared.WantPaid(t, order)
	shared.WantStock(t, lamp.ID, 1) // nor does a piece come back without its money

	cancelled := shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+order.ID+"/cancel", nil))
	if cancelled.Status != "cancelled" || cancelled.Payment.Status != "captured" || cancelled.Payment.Refunded.Amount != 0 {
		t.Errorf("cancelled: %s, %+v", cancelled.Status, cancelled.Payment)
	}
	shared.WantStock(t, lamp.ID, 2)
	shared.WantPaid(t, order)
	shop.WantProblem(t, http.StatusConflict, "refund_failed", admin.Post(refunds, shop.Refund{Reason: "once more, by hand"}))
	shared.WantPaid(t, order)
}

// TestALatePaymentOfACancelledOrder: what the provider would have taken later it never takes.
func TestALatePaymentOfACancelledOrder(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 1, 2500)
	placed := shop.Want[shop.Order](t, http.StatusAccepted, customer.Place(shop.ByCard("tok_late", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	cancelled := shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+placed.ID+"/cancel", nil))
	if cancelled.Status != "cancelled" {
		t.Fatalf("the order is %s", cancelled.Status)
	}
	shared.WantNothingTaken(t, placed.ID)
	// It would have been authorized 5 s after it began: another one, begun now, has come to its end by then.
	other := shop.Want[shop.Order](t, http.StatusAccepted, customer.Place(shop.ByCard("tok_late", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	shared.WantPaid(t, customer.Settled(other.ID))
	if got, want := shared.Ledger(t, placed.ID), (shop.Totals{Payments: 1, Voided: placed.Total.Amount}); got != want {
		t.Errorf("ledger: got %+v, want %+v", got, want)
	}
	if order := customer.Order(placed.ID); order.Status != "cancelled" || order.Payment.Status != "voided" {
		t.Errorf("the order is %s, its payment %+v", order.Status, order.Payment)
	}
	shared.WantStock(t, lamp.ID, 0)
}

// TestPaymentEvents: the provider's word of a late payment comes through the door, and only the provider's.
func TestPaymentEvents(t *testing.T) {
	t.Parallel()
	const events = "/payments/events/"
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 1, 2500)
	answer := customer.Place(shop.ByCard("tok_late", shop.Item{ProductID: lamp.ID, Quantity: 1}))
	order := customer.Settled(shop.Want[shop.Order](t, http.StatusAccepted, answer).ID)
	shared.WantPaid(t, order)
	shop.Await(t, 15*time.Second, func() error {
		for name, file := range shared.Logs() {
			if !strings.HasPrefix(name, "api-gateway") {
				continue
			}
			log, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(log)) {
				if strings.Contains(line, `"path":"/api/v1`+events+`test"`) && strings.Contains(line, `"status":204`) {
					return nil
				}
			}
		}
		return errors.New("the gateway has taken no event")
	})

	stranger, now := shared.Stranger(t), time.Now()
	body := `{ "data" : {"payment":{"reference":"` + order.ID + `"}}}` // byte for byte: with the blanks
	signed := shared.SignedEvent(t, body, now)
	for range 2 { // a replay does no harm
		shop.WantNothing(t, stranger.Post(events+"test", shop.Raw(body), append(signed, "Content-Type: text/plain")...))
	}
	shop.WantNothing(t, stranger.With("garbage").Post(events+"test", shop.Raw(body), signed...)) // nobody looks at a token here
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", stranger.Post(events+"test", shop.Raw(body)))
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated", stranger.Post(events+"test", shop.Raw(body+" "), signed...))
	shop.WantProblem(t, http.StatusUnauthorized, "unauthenticated",
		stranger.Post(events+"test", shop.Raw(body), shared.SignedEvent(t, body, now.Add(-time.Hour))...))
	shop.WantProblem(t, http.StatusNotFound, "not_found", stranger.Post(events+"nobody", shop.Raw(body), signed...))
	shop.WantProblem(t, http.StatusRequestEntityTooLarge, "body_too_large", stranger.Post(events+"test", shop.Raw(strings.Repeat("x", 1<<20+1)), signed...))
	shared.WantPaid(t, customer.Order(order.ID))
}

func TestCashFromDoorToDoor(t *testing.T) {
	t.Parallel()
	customer, admin, lamp := shared.NewCustomer(t), shared.Admin(t), shared.NewProduct(t, 2, 2500)
	// It is placed without a choice being made for good, and then paid in cash: without a token.
	order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("", shop.Item{ProductID: lamp.ID, Quantity: 1})))
	shop.WantInvalid(t, "body.token", customer.Post("/orders/"+order.ID+"/pay", shop.Payment{Method: "card"}))
	order = shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+order.ID+"/pay", shop.Payment{Method: "cash_on_delivery"}))
	if order.Status != "confirmed" || order.Payment.Status != "pending" || order.Payment.Method != "cash_on_delivery" {
		t.Errorf("confirmed: %s, %+v", order.Status, order.Payment)
	}
	shop.WantProblem(t, http.StatusConflict, "refund_exceeds_payment", admin.Post("/orders/"+order.ID+"/refunds", shop.Refund{Reason: "nothing was paid"}))
	for _, status := range []string{"processing", "shipped", "delivered"} {
		order = shop.Want[shop.Order](t, http.StatusOK, admin.Do(http.MethodPatch, "/orders/"+order.ID+"/status", map[string]string{"status": status}))
	}
	if order.Payment.Status != "captured" {
		t.Errorf("paid at the door: %+v", order.Payment)
	}
	back := shop.Want[shop.Order](t, http.StatusCreated, admin.Post("/orders/"+order.ID+"/refunds", shop.Refund{Reason: "from hand to hand", Restock: true}))
	if back.Status != "refunded" || back.Payment.Refunded != order.Total {
		t.Errorf("given back: %s, %+v", back.Status, back.Payment)
	}
	if got := shared.Ledger(t, order.ID); got != (shop.Totals{}) {
		t.Errorf("the provider was asked: %+v", got)
	}
	shared.WantStock(t, lamp.ID, 2)
}
