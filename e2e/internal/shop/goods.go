package shop

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Money is an amount in minor units.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// Euro is an amount of cents.
func Euro(cents int64) Money { return Money{cents, "EUR"} }

// Product is what the shop sells.
type Product struct {
	ID          string    `json:"id"`
	SKU         string    `json:"sku"`
	Slug        string    `json:"slug"`
	Name        string    `json:"name"`
	Price       Money     `json:"price"`
	SalePrice   *Money    `json:"sale_price"`
	Discount    *Discount `json:"discount"`
	CategoryIDs []string  `json:"category_ids"`
	Status      string    `json:"status"`
	Stock       Stock     `json:"stock"`
	Version     int64     `json:"version"`
}

// Discount lowers a price for a time.
type Discount struct {
	Type     string     `json:"type"`
	Value    int64      `json:"value"`
	StartsAt *time.Time `json:"starts_at,omitempty"`
	EndsAt   *time.Time `json:"ends_at,omitempty"`
}

// Stock is how many there are. Only staff is told OnHand and Reserved.
type Stock struct {
	Available int64  `json:"available"`
	OnHand    *int64 `json:"on_hand,omitempty"`
	Reserved  *int64 `json:"reserved,omitempty"`
}

// Category is a node of the catalogue.
type Category struct {
	ID           string     `json:"id"`
	Slug         string     `json:"slug"`
	Name         string     `json:"name"`
	ParentID     *string    `json:"parent_id"`
	Version      int64      `json:"version"`
	ProductCount int64      `json:"product_count"`
	Children     []Category `json:"children"`
}

// Page is a part of a list.
type Page[T any] struct {
	Items         []T    `json:"items"`
	NextPageToken string `json:"next_page_token"`
	TotalSize     *int64 `json:"total_size"`
}

// NewProduct puts a product on sale: so many pieces, for so many cents each.
func (s *Shop) NewProduct(t testing.TB, stock, price int64) Product {
	t.Helper()
	admin, mark := s.Admin(t), uuid.NewString()
	product := Want[Product](t, http.StatusCreated, admin.Post("/products", map[string]any{
		"sku": "E2E-" + mark, "name": "Thing " + mark, "price": Euro(price), "status": "active",
	}))
	if stock > 0 {
		Want[Stock](t, http.StatusCreated, admin.Post("/products/"+product.ID+"/stock-adjustments", map[string]any{"delta": stock, "reason": "first delivery"}))
	}
	return product
}

// stock is what there is of a product, as staff sees it.
func (s *Shop) stock(t testing.TB, productID string) (onHand, reserved, available int64) {
	t.Helper()
	stock := Want[Product](t, http.StatusOK, s.Admin(t).Get("/products/"+productID)).Stock
	if stock.OnHand == nil || stock.Reserved == nil {
		t.Fatalf("staff is not told what is on hand: %+v", stock)
	}
	return *stock.OnHand, *stock.Reserved, stock.Available
}

// WantAvailable checks at once how many a customer can buy.
func (s *Shop) WantAvailable(t testing.TB, productID string, want int64) {
	t.Helper()
	if _, _, available := s.stock(t, productID); available != want {
		t.Errorf("available: got %d, want %d", available, want)
	}
}

// WantStock checks that so many pieces are on hand, with none reserved any more, as soon as all follow-up work is done.
func (s *Shop) WantStock(t testing.TB, productID string, want int64) {
	t.Helper()
	// Follow-up work is done within seconds, or an order is settled within a minute.
	Await(t, settleWithin, func() error {
		onHand, reserved, available := s.stock(t, productID)
		if onHand != want || reserved != 0 || available != want {
			return fmt.Errorf("on hand %d, reserved %d, available %d; want %d, 0, %d", onHand, reserved, available, want, want)
		}
		return nil
	})
}

// settleWithin is the promise of the design: no order stays in between for longer, once what it depends on is there.
const settleWithin = time.Minute
