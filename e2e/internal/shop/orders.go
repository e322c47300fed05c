package shop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Order is a purchase.
type Order struct {
	ID             string  `json:"id"`
	Number         string  `json:"number"`
	UserID         string  `json:"user_id"`
	Status         string  `json:"status"`
	Items          []Line  `json:"items"`
	Subtotal       Money   `json:"subtotal"`
	Discount       Money   `json:"discount"`
	Shipping       Money   `json:"shipping"`
	Total          Money   `json:"total"`
	Currency       string  `json:"currency"`
	Address        Address `json:"shipping_address"`
	ShippingMethod string  `json:"shipping_method"`
	Payment        struct {
		Status    string `json:"status"`
		Method    string `json:"method"`
		Provider  string `json:"provider"`
		Reference string `json:"reference"`
	} `json:"payment"`
	History []struct {
		Status string    `json:"status"`
		At     time.Time `json:"at"`
		By     string    `json:"by"`
		Note   string    `json:"note"`
	} `json:"history"`
	Version int64 `json:"version"`
}

// States are the states that the order came through.
func (o Order) States() []string {
	var states []string
	for _, h := range o.History {
		states = append(states, h.Status)
	}
	return states
}

// Line is what was bought of one product.
type Line struct {
	ID        string `json:"id"`
	ProductID string `json:"product_id"`
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice Money  `json:"unit_price"`
	LineTotal Money  `json:"line_total"`
}

// Cart is what somebody means to buy.
type Cart struct {
	Items []struct {
		ProductID          string `json:"product_id"`
		SKU                string `json:"sku"`
		Name               string `json:"name"`
		Quantity           int64  `json:"quantity"`
		UnitPrice          Money  `json:"unit_price"`
		LineTotal          Money  `json:"line_total"`
		UnitPriceWhenAdded Money  `json:"unit_price_when_added"`
		PriceChanged       bool   `json:"price_changed"`
		Available          bool   `json:"available"`
	} `json:"items"`
	ItemCount int64  `json:"item_count"`
	Subtotal  Money  `json:"subtotal"`
	Currency  string `json:"currency"`
	Version   int64  `json:"version"`
	Stale     bool   `json:"stale"`
}

// Address is where an order goes.
type Address struct {
	Recipient  string `json:"recipient"`
	Line1      string `json:"line1"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"`
}

// Home is where all test customers live.
var Home = Address{Recipient: "Erika Test", Line1: "1 " + streetMark, City: "Berlin", PostalCode: "10115", Country: "DE"}

// Standard is the cheapest delivery, which all orders of the tests come by.
const Standard, StandardPrice = "standard", 490

// Item is a wish for some of a product.
type Item struct {
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
}

// Payment is how an order is to be paid.
type Payment struct {
	Method string `json:"method"`
	Token  string `json:"token,omitempty"`
}

// Wish is a request for an order: of the cart, unless it has items.
type Wish struct {
	Items          []Item  `json:"items,omitempty"`
	AddressID      string  `json:"address_id,omitempty"` // or Address
	Address        Address `json:"shipping_address,omitzero"`
	ShippingMethod string  `json:"shipping_method"`
	Payment        Payment `json:"payment"`
	ExpectedTotal  *Money  `json:"expected_total,omitempty"`
}

// ByCard is a wish to be paid by a token of the test provider; "" for later.
func ByCard(token string, items ...Item) Wish {
	return Wish{Items: items, Address: Home, ShippingMethod: Standard, Payment: Payment{Method: "card", Token: token}}
}

// Key is the header field of an Idempotency-Key.
func Key(key string) string { return "Idempotency-Key: " + key }

// NewKey is the header field of an Idempotency-Key that nobody has used.
func NewKey() string { return Key(uuid.NewString()) }

// Place sends a wish under a new key.
func (c *Client) Place(wish Wish) *Answer {
	c.t.Helper()
	return c.Post("/orders", wish, NewKey())
}

// Add puts pieces of a product into the cart.
func (c *Client) Add(productID string, quantity int64) Cart {
	c.t.Helper()
	return Want[Cart](c.t, http.StatusOK, c.Post("/cart/items", Item{productID, quantity}))
}

// Orders are the newest of the client's own (or, for staff, everybody's).
func (c *Client) Orders() []Order {
	c.t.Helper()
	return Want[Page[Order]](c.t, http.StatusOK, c.Get("/orders?page_size=100")).Items
}

// Order reads one.
func (c *Client) Order(id string) Order {
	c.t.Helper()
	return Want[Order](c.t, http.StatusOK, c.Get("/orders/"+id))
}

// Settled waits until an order is no longer being worked on, and returns it.
func (c *Client) Settled(id string) Order {
	c.t.Helper()
	var order Order
	Await(c.t, settleWithin, func() error {
		if order = c.Order(id); order.Status == "pending" {
			return fmt.Errorf("order %s is pending, its payment %s", id, order.Payment.Status)
		}
		return nil
	})
	return order
}

// Totals are the money that moved for an order, by the provider's own ledger.
type Totals struct {
	Payments int   `json:"payments"`
	Captures int   `json:"captures"`
	Open     int64 `json:"open"` // held, neither captured nor given back
	Captured int64 `json:"captured"`
	Refunded int64 `json:"refunded"`
	Voided   int64 `json:"voided"`
	Net      int64 `json:"net"`
}

// Ledger asks the payment provider what moved for an order.
func (s *Shop) Ledger(t testing.TB, orderID string) Totals {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ledgerURL+"?reference="+orderID, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.ledgerKey)
	response, err := connections.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var ledger struct {
		Totals []Totals `json:"totals"`
	}
	if err := json.NewDecoder(response.Body).Decode(&ledger); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the ledger answers %d: %v", response.StatusCode, err)
	}
	switch len(ledger.Totals) {
	case 0:
		return Totals{}
	case 1:
		return ledger.Totals[0]
	default:
		t.Fatalf("money in several currencies moved for order %s: %+v", orderID, ledger.Totals)
		return Totals{}
	}
}

// WantPaid checks that an order was paid exactly once, in full.
func (s *Shop) WantPaid(t testing.TB, order Order) {
	t.Helper()
	total := order.Total.Amount
	if got, want := s.Ledger(t, order.ID), (Totals{Payments: 1, Captures: 1, Captured: total, Net: total}); got != want {
		t.Errorf("ledger of order %s: got %+v, want %+v", order.ID, got, want)
	}
}

// WantNothingTaken checks that, in the end, an order cost nothing and nothing is held for it. What was taken must have gone back.
func (s *Shop) WantNothingTaken(t testing.TB, orderID string) {
	t.Helper()
	Await(t, settleWithin, func() error {
		if got := s.Ledger(t, orderID); got.Net != 0 || got.Open != 0 {
			return fmt.Errorf("order %s: money is held or was kept: %+v", orderID, got)
		}
		return nil
	})
}

// Reserved counts the pieces that reservations of a product hold, and the reservations that are not over.
func (s *Shop) Reserved(t testing.TB, productID string) (pieces, reservations int64) {
	t.Helper()
	err := s.products.QueryRow(t.Context(), `SELECT coalesce(sum(l.quantity), 0), count(*) FROM reservations r
		JOIN reservation_lines l USING (order_id) WHERE r.status = 'active' AND l.product_id = $1`, productID).Scan(&pieces, &reservations)
	if err != nil {
		t.Fatal(err)
	}
	return pieces, reservations
}

// OrderIDs are the orders that a user has in the database, whatever the API shows of them.
func (s *Shop) OrderIDs(t testing.TB, userID string) []string {
	t.Helper()
	var ids []string
	err := s.orders.QueryRow(t.Context(), `SELECT coalesce(array_agg(id::text ORDER BY id), '{}') FROM orders WHERE user_id = $1`, userID).Scan(&ids)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// WantNoOrder checks that a customer has no order, and that nothing is held of a product of which there are so many.
func (s *Shop) WantNoOrder(t testing.TB, customer *Customer, productID string, stock int64) {
	t.Helper()
	if ids := s.OrderIDs(t, customer.ID); len(ids) > 0 {
		t.Errorf("orders came to be: %v", ids)
	}
	if pieces, _ := s.Reserved(t, productID); pieces != 0 {
		t.Errorf("%d pieces are still reserved", pieces)
	}
	s.WantStock(t, productID, stock)
}

// WantStates checks the states that an order came through.
func WantStates(t testing.TB, order Order, want ...string) {
	t.Helper()
	if got := order.States(); !slices.Equal(got, want) {
		t.Errorf("order %s came through %v, want %v", order.ID, got, want)
	}
}
