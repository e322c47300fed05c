package e2e

import (
	"net/http"
	"testing"

	"shop.example/e2e/internal/shop"
)

// TestTwentyRaceForThree: nothing is sold twice.
func TestTwentyRaceForThree(t *testing.T) {
	t.Parallel()
	const racers, pieces = 20, 3
	rare := shared.NewProduct(t, pieces, 2500)
	customers := make([]*shop.Customer, racers)
	for i := range customers {
		customers[i] = shared.NewCustomer(t)
		customers[i].Add(rare.ID, 1)
	}

	answers := atOnce(t, racers, func(i int) (*shop.Answer, error) {
		return customers[i].Try(http.MethodPost, "/orders", shop.ByCard("tok_ok"), shop.NewKey())
	})
	winners, paid := 0, int64(0)
	for i, a := range answers {
		ids := shared.OrderIDs(t, customers[i].ID)
		if a.Status == http.StatusCreated {
			winners++
			order := shop.Want[shop.Order](t, http.StatusCreated, a)
			if order.Status != "confirmed" || len(ids) != 1 {
				t.Errorf("a winner's order is %s; his orders: %v", order.Status, ids)
			}
			shared.WantPaid(t, order)
			paid += shared.Ledger(t, order.ID).Net
			continue
		}
		p := shop.WantProblem(t, http.StatusConflict, "out_of_stock", a)
		if len(p.Errors) != 1 || p.Errors[0].ProductID != rare.ID || p.Errors[0].Available == nil || *p.Errors[0].Available >= 1 {
			t.Errorf("the errors: %+v", p.Errors)
		}
		if len(ids) != 0 {
			t.Errorf("a loser has the orders %v", ids)
		}
		if cart := shop.Want[shop.Cart](t, http.StatusOK, customers[i].Get("/cart")); cart.ItemCount != 1 {
			t.Errorf("a loser's cart holds %d pieces", cart.ItemCount)
		}
	}
	if want := int64(pieces * (2500 + shop.StandardPrice)); winners != pieces || paid != want {
		t.Errorf("%d orders for %d pieces, %d cents paid, want %d", winners, pieces, paid, want)
	}
	shared.WantStock(t, rare.ID, 0)
}

// TestCancellingAndPayingAtOnce: whoever wins, the money and the pieces agree with the order.
func TestCancellingAndPayingAtOnce(t *testing.T) {
	t.Parallel()
	customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 5, 2500)
	for range 5 {
		order := shop.Want[shop.Order](t, http.StatusCreated, customer.Place(shop.ByCard("", shop.Item{ProductID: lamp.ID, Quantity: 1})))
		for _, a := range atOnce(t, 4, func(i int) (*shop.Answer, error) {
			if i%2 == 0 {
				return customer.Try(http.MethodPost, "/orders/"+order.ID+"/cancel", nil)
			}
			return customer.Try(http.MethodPost, "/orders/"+order.ID+"/pay", shop.Payment{Method: "card", Token: "tok_ok"})
		}) {
			if a.Status != http.StatusOK && a.Status != http.StatusConflict {
				t.Errorf("cancelled and paid at once: %s", a)
			}
		}
		if settled := customer.Settled(order.ID); settled.Status == "confirmed" {
			shop.Want[shop.Order](t, http.StatusOK, customer.Post("/orders/"+order.ID+"/cancel", nil))
		}
		shared.WantNothingTaken(t, order.ID)
		if got := shared.Ledger(t, order.ID); got.Captures > 1 {
			t.Errorf("captured %d times", got.Captures)
		}
	}
	shared.WantStock(t, lamp.ID, 5)
}

// TestPaymentsThatAreNotSettledAtOnce: the answer may be 202, the end is one capture or none.
func TestPaymentsThatAreNotSettledAtOnce(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"tok_timeout", "tok_late"} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			customer, lamp := shared.NewCustomer(t), shared.NewProduct(t, 3, 2500)
			customer.Add(lamp.ID, 1)
			key, wish := shop.NewKey(), shop.ByCard(token)
			first := customer.Post("/orders", wish, key)
			if first.Status != http.StatusCreated && first.Status != http.StatusAccepted {
				t.Fatalf("%s", first)
			}
			placed := shop.Want[shop.Order](t, first.Status, first)
			if first.Status == http.StatusAccepted && placed.Status != "pending" {
				t.Errorf("202 with an order that is %s", placed.Status)
			}
			left := int64(3)
			order := customer.Settled(placed.ID)
			switch order.Status {
			case "confirmed":
				shared.WantPaid(t, order)
				left = 2
			case "cancelled":
				shared.WantNothingTaken(t, order.ID)
			default:
				t.Errorf("the order is %s", order.Status)
			}
			shared.WantStock(t, lamp.ID, left)
			if ids := shared.OrderIDs(t, customer.ID); len(ids) != 1 {
				t.Errorf("orders: %v", ids)
			}
			// The key still answers the truth.
			if order.Status == "confirmed" {
				again := shop.Want[shop.Order](t, http.StatusCreated, customer.Post("/orders", wish, key))
				if again.ID != order.ID || again.Status != "confirmed" {
					t.Errorf("the key answers %+v", again)
				}
				if cart := shop.Want[shop.Cart](t, http.StatusOK, customer.Get("/cart")); cart.ItemCount != 0 {
					t.Errorf("the cart holds %d pieces", cart.ItemCount)
				}
			}
		})
	}
}
