package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/auth"
)

// foundWithin is how soon what does not agree is a finding: twice the time to settle, and what audits take on a busy machine.
const foundWithin = 90 * time.Second

// TestAudit plants every kind of discrepancy in a shop that has seen ordinary days, and in which nothing was found until then.
func TestAudit(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, shop.WithAudits())
	if !t.Run("nothing is found in a healthy shop", func(t *testing.T) { healthyShop(t, s) }) {
		return
	}
	planted := plant(t, s)
	open := awaitFindings(t, s, planted)
	t.Run("repairs", func(t *testing.T) {
		for _, p := range planted {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				repairTwice(t, s, p, open[p.reference])
			})
		}
	})
	s.Audited(t)
	for _, f := range s.Findings(t, "open") {
		if f.Repairable {
			t.Errorf("still open: %+v", f)
		}
	}
	// What takes a human stays until that has done it.
	for _, p := range planted {
		if p.mend != nil {
			p.mend(t)
		}
	}
	shop.Await(t, foundWithin, func() error {
		if left := s.Findings(t, "open"); len(left) > 0 {
			return fmt.Errorf("still open: %+v", left)
		}
		return nil
	})
	s.Audited(t)
}

// healthyShop does all that people do, and then nothing is found and nothing suspected, nor was anything at any time.
func healthyShop(t *testing.T, s *shop.Shop) {
	staff := s.NewUser(t, auth.Staff)
	lamp := s.NewProduct(t, 500, 2500)
	item := shop.Item{ProductID: lamp.ID, Quantity: 2}
	t.Run("ordinary days", func(t *testing.T) { // which ends when all that runs in it has
		for name, do := range map[string]func(*testing.T, *shop.Customer){
			"paid": func(t *testing.T, c *shop.Customer) {
				shop.Want[shop.Order](t, http.StatusCreated, c.Place(shop.ByCard("tok_ok", item)))
			},
			"from the cart, on delivery, delivered": func(t *testing.T, c *shop.Customer) {
				c.Add(lamp.ID, 1)
				wish := shop.ByCard("")
				wish.Payment = shop.Payment{Method: "cash_on_delivery"}
				o := shop.Want[shop.Order](t, http.StatusCreated, c.Place(wish))
				for _, next := range []string{"processing", "shipped", "delivered"} {
					shop.Want[shop.Order](t, http.StatusOK, staff.For(t).Do(http.MethodPatch, "/orders/"+o.ID+"/status", map[string]string{"status": next}))
				}
			},
			"cancelled when it was paid": func(t *testing.T, c *shop.Customer) {
				o := shop.Want[shop.Order](t, http.StatusCreated, c.Place(shop.ByCard("tok_ok", item)))
				shop.Want[shop.Order](t, http.StatusOK, c.Post("/orders/"+o.ID+"/cancel", map[string]string{}))
			},
			"refunded in part, with the pieces and without": func(t *testing.T, c *shop.Customer) {
				o := shop.Want[shop.Order](t, http.StatusCreated, c.Place(shop.ByCard("tok_ok", item)))
				back := []shop.Returned{{ItemID: o.Items[0].ID, Quantity: 1}}
				for _, refund := range []shop.Refund{{Items: back, Reason: "broken", Restock: true}, {Amount: 7, Reason: "late"}} {
					shop.Want[shop.Order](t, http.StatusCreated, staff.For(t).Post("/orders/"+o.ID+"/refunds", refund))
				}
			},
			"refunded in full": func(t *testing.T, c *shop.Customer) {
				for _, restock := range []bool{true, false} {
					o := shop.Want[shop.Order](t, http.StatusCreated, c.Place(shop.ByCard("tok_ok", item)))
					shop.Want[shop.Order](t, http.StatusCreated, staff.For(t).Post("/orders/"+o.ID+"/refunds", shop.Refund{Reason: "all", Restock: restock}))
				}
			},
			"edited, and paid at the second try": func(t *testing.T, c *shop.Customer) {
				o := shop.Want[shop.Order](t, http.StatusCreated, c.Place(shop.ByCard("", item)))
				other := s.NewProduct(t, 5, 100)
				o = shop.Want[shop.Order](t, http.StatusOK, c.Post("/orders/"+o.ID+"/items", shop.Item{ProductID: other.ID, Quantity: 3}))
				shop.Want[shop.Order](t, http.StatusOK, c.Do(http.MethodDelete, "/orders/"+o.ID+"/items/"+o.Items[0].ID, nil))
				pay := func(token string) *shop.Answer {
					return c.Post("/orders/"+o.ID+"/pay", shop.Payment{Method: "card", Token: token})
				}
				shop.WantProblem(t, http.StatusPaymentRequired, "payment_declined", pay("tok_declined"))
				shop.Want[shop.Order](t, http.StatusOK, pay("tok_ok"))
			},
			"declined": func(t *testing.T, c *shop.Customer) {
				shop.WantProblem(t, http.StatusPaymentRequired, "payment_declined", c.Place(shop.ByCard("tok_declined", item)))
			},
			"out of stock": func(t *testing.T, c *shop.Customer) {
				shop.WantProblem(t, http.StatusConflict, "out_of_stock", c.Place(shop.ByCard("tok_ok", shop.Item{ProductID: lamp.ID, Quantity: 999})))
			},
			"unpaid": func(t *testing.T, c *shop.Customer) {
				shop.Want[shop.Order](t, http.StatusCreated, c.Place(shop.ByCard("", item)))
			},
			"late": func(t *testing.T, c *shop.Customer) {
				c.Settled(shop.Want[shop.Order](t, http.StatusAccepted, c.Place(shop.ByCard("tok_late", item))).ID)
			},
			"cancelled while the money is on its way": func(t *testing.T, c *shop.Customer) {
				o := shop.Want[shop.Order](t, http.StatusAccepted, c.Place(shop.ByCard("tok_late", item)))
				shop.Want[shop.Order](t, http.StatusOK, c.Post("/orders/"+o.ID+"/cancel", map[string]string{}))
			},
			"the answer is lost": func(t *testing.T, c *shop.Customer) {
				a := c.Place(shop.ByCard("tok_timeout", item))
				if a.Status != http.StatusCreated && a.Status != http.StatusAccepted {
					t.Fatalf("%s", a)
				}
				c.Settled(shop.Want[shop.Order](t, a.Status, a).ID)
			},
		} {
			for range 3 {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					do(t, s.NewCustomer(t))
				})
			}
		}
	})
	s.Audited(t)
	if found := shop.Want[shop.Page[shop.Finding]](t, http.StatusOK, s.Admin(t).Get("/audit/findings")).Items; len(found) > 0 {
		t.Errorf("found: %+v", found)
	}
}

// planted is a discrepancy.
type planted struct {
	name, kind, reference string
	// check looks at what was repaired; mend does what a human is to do. A discrepancy has one of them.
	check, mend func(*testing.T)
}

// plant makes every kind of discrepancy, each of an order of its own.
func plant(t *testing.T, s *shop.Shop) (all []planted) {
	t.Helper()
	customer := s.NewCustomer(t)
	const stock = 9
	order := func(wish shop.Wish, status int) (shop.Order, string) {
		product := s.NewProduct(t, stock, 2500).ID
		wish.Items = []shop.Item{{ProductID: product, Quantity: 2}}
		return shop.Want[shop.Order](t, status, customer.Place(wish)), product
	}
	paid := func() (shop.Order, string) { return order(shop.ByCard("tok_ok"), http.StatusCreated) }
	add := func(name, kind, reference string, check, mend func(*testing.T)) {
		all = append(all, planted{name, kind, reference, check, mend})
	}

	// What was sold is on the shelf again, and only promised, as by a copy of the database from before; and the way back.
	const (
		unsell = `UPDATE reservations SET status = 'active', updated_at = now() WHERE order_id = $1;
			DELETE FROM stock_ledger WHERE reference = $1::text;
			UPDATE stock SET on_hand = on_hand + 2, reserved = reserved + 2 WHERE product_id = $2`
		giveBack = `UPDATE reservations SET status = 'released', updated_at = now() WHERE order_id = $1;
			DELETE FROM stock_ledger WHERE reference = $1::text;
			UPDATE stock SET on_hand = on_hand + 2 WHERE product_id = $2`
		takeAgain = `UPDATE reservations SET status = 'confirmed', updated_at = now() WHERE order_id = $1;
			UPDATE stock SET on_hand = on_hand - 2 WHERE product_id = $2`
	)

	lost, nobodys := uuid.NewString(), s.NewProduct(t, stock, 2500).ID
	s.Plant(t, "products", `INSERT INTO reservations (order_id, status, expires_at, created_at, updated_at) VALUES ($1, 'active', now() + interval '1 day', now(), now());
		INSERT INTO reservation_lines (order_id, position, product_id, quantity) VALUES ($1, 1, $2, 2);
		UPDATE stock SET reserved = reserved + 2 WHERE product_id = $2`, lost, nobodys)
	add("pieces of no order", "reservation_without_order", lost, func(t *testing.T) { s.WantStock(t, nobodys, stock) }, nil)

	cancelled, product := order(shop.ByCard(""), http.StatusCreated)
	shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+cancelled.ID+"/cancel", map[string]string{}))
	s.Plant(t, "products", `UPDATE reservations SET status = 'active', updated_at = now() WHERE order_id = $1;
		UPDATE stock SET reserved = reserved + 2 WHERE product_id = $2`, cancelled.ID, product)
	add("pieces of a cancelled order", "reservation_without_order", cancelled.ID, func(t *testing.T) { s.WantStock(t, product, stock) }, nil)

	unsold, unsoldProduct := paid()
	s.Plant(t, "products", unsell, unsold.ID, unsoldProduct)
	add("pieces that were not taken", "order_without_reservation", unsold.ID, func(t *testing.T) {
		shop.Await(t, foundWithin, func() error {
			if pieces, _ := s.Reserved(t, unsoldProduct); pieces > 0 {
				return fmt.Errorf("%d pieces are only promised", pieces)
			}
			return nil
		})
		s.WantStock(t, unsoldProduct, stock-2)
	}, nil)

	forgotten, forgottenProduct := paid()
	s.Plant(t, "products", `DELETE FROM reservation_lines WHERE order_id = $1; DELETE FROM reservations WHERE order_id = $1;
		DELETE FROM stock_ledger WHERE reference = $1::text;
		UPDATE stock SET on_hand = on_hand + 2 WHERE product_id = $2`, forgotten.ID, forgottenProduct)
	s.Plant(t, "orders", `UPDATE orders SET updated_at = now() WHERE id = $1`, forgotten.ID) // or nobody looks for it before the full pass
	add("pieces that product-service knows nothing of", "order_without_reservation", forgotten.ID, func(t *testing.T) {
		s.WantStock(t, forgottenProduct, stock-2)
	}, nil)

	other, _ := paid()
	more := func(n int) {
		s.Plant(t, "products", `UPDATE reservation_lines SET quantity = quantity + $2 WHERE order_id = $1;
			UPDATE reservations SET updated_at = now() WHERE order_id = $1`, other.ID, n)
	}
	more(1)
	add("other pieces", "reservation_differs", other.ID, nil, func(*testing.T) { more(-1) })

	missing, missingProduct := paid()
	s.Plant(t, "products", giveBack, missing.ID, missingProduct)
	s.Plant(t, "orders", `UPDATE orders SET stock_missing_since = now() WHERE id = $1`, missing.ID)
	add("no pieces, as is known", "stock_missing", missing.ID, nil, func(t *testing.T) {
		s.Plant(t, "products", takeAgain, missing.ID, missingProduct)
	})

	cash := shop.ByCard("")
	cash.Payment = shop.Payment{Method: "cash_on_delivery"}
	uncaptured, _ := order(cash, http.StatusCreated)
	s.Plant(t, "orders", `UPDATE orders SET payment_method = 'card', payment_status = 'captured', payment_provider = 'test',
		payment_reference = 'pay_gone', updated_at = now() WHERE id = $1`, uncaptured.ID)
	add("a payment that the provider does not know", "order_without_capture", uncaptured.ID, nil, func(t *testing.T) {
		s.Plant(t, "orders", `UPDATE orders SET payment_method = 'cash_on_delivery', payment_status = 'pending' WHERE id = $1`, uncaptured.ID)
	})

	take := func(orderID, key string) (paymentID string) {
		t.Helper()
		paymentID = s.Provider(t, "/payments", key, `{"amount":1500,"currency":"EUR","token":"tok_ok","reference":"`+orderID+`"}`)
		s.Provider(t, "/payments/"+paymentID+"/capture", uuid.NewString(), `{}`)
		return paymentID
	}
	refund := func(paymentID string, amount int64) {
		s.Provider(t, "/payments/"+paymentID+"/refunds", uuid.NewString(), fmt.Sprintf(`{"amount":%d}`, amount))
	}
	unknown := uuid.NewString()
	strange := take(unknown, unknown+":1")
	add("money of no order", "capture_without_order", strange, nil, func(*testing.T) { refund(strange, 1500) })

	declined := customer.Place(shop.ByCard("tok_declined", shop.Item{ProductID: s.NewProduct(t, stock, 1010).ID, Quantity: 1}))
	declinedID := declined.Problem(t).OrderID // 10.10 and the delivery are 15.00
	s.Plant(t, "orders", `UPDATE orders SET payment_attempt = 2, payment_reference = '' WHERE id = $1`, declinedID)
	late := take(declinedID, declinedID+":2")
	add("money of a cancelled order", "capture_without_order", late, func(t *testing.T) { s.WantNothingTaken(t, declinedID) }, nil)

	shortened, _ := paid()
	refund(shortened.Payment.Reference, 1)
	add("money that went back past the shop", "amount_differs", shortened.ID, nil, func(t *testing.T) {
		s.Plant(t, "orders", `INSERT INTO order_refunds (order_id, position, id, status, amount, items, reason, restock, restocked, by, at)
				VALUES ($1, 0, gen_random_uuid(), 'done', 1, '[]', 'mended', false, false, 'system', now());
			UPDATE orders SET refunded = 1, payment_status = 'partially_refunded' WHERE id = $1`, shortened.ID)
	})

	refused, refusedProduct := paid()
	s.Plant(t, "products", giveBack, refused.ID, refusedProduct)
	s.Plant(t, "orders", `UPDATE orders SET status = 'cancelled', updated_at = now() WHERE id = $1`, refused.ID)
	add("money of a cancelled order that did not go back", "refund_refused", refused.ID, nil, func(t *testing.T) {
		shop.Want[shop.Order](t, http.StatusCreated, s.Admin(t).Post("/orders/"+refused.ID+"/refunds", shop.Refund{Reason: "once more"}))
	})

	stuck, _ := order(shop.ByCard(""), http.StatusCreated)
	s.Plant(t, "orders", `DELETE FROM river_job WHERE id = (SELECT settle_job FROM orders WHERE id = $1);
		UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = $1`, stuck.ID)
	add("an order that nobody looks at", "order_stuck", stuck.ID, func(t *testing.T) {
		if got := customer.For(t).Order(stuck.ID); got.Status != "pending" {
			t.Errorf("the order is %s", got.Status)
		}
	}, nil)
	return all
}

// awaitFindings waits until all that was planted is found, and returns the findings by what they are about: these and no other.
func awaitFindings(t *testing.T, s *shop.Shop, all []planted) map[string]shop.Finding {
	t.Helper()
	var want []string
	for _, p := range all {
		want = append(want, p.kind+" "+p.reference)
	}
	slices.Sort(want)
	var open []shop.Finding
	shop.Await(t, foundWithin, func() error {
		var got []string
		open = s.Findings(t, "open")
		for _, f := range open {
			got = append(got, f.Kind+" "+f.Reference)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
	byReference := map[string]shop.Finding{}
	for _, f := range open {
		byReference[f.Reference] = f
	}
	return byReference
}

// repairTwice repairs what can be repaired, which is harmless once more, and is told what to do about all else.
func repairTwice(t *testing.T, s *shop.Shop, p planted, f shop.Finding) {
	path := "/audit/findings/" + f.ID + "/repair"
	if f.Repairable != (p.check != nil) || f.Detail == "" || f.ResolvedAt != nil {
		t.Errorf("found as %+v", f)
	}
	if !f.Repairable {
		for range 2 {
			shop.WantProblem(t, http.StatusConflict, "finding_not_repairable", s.Admin(t).Post(path, nil))
		}
		return
	}
	for range 2 {
		got := shop.Want[shop.Finding](t, http.StatusOK, s.Admin(t).Post(path, nil))
		if got.ID != f.ID || got.Status != "repaired" || got.ResolvedAt == nil {
			t.Errorf("repaired: %+v", got)
		}
	}
	p.check(t)
}
