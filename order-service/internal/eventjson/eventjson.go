// Package eventjson writes events as they are sent: an order stands in them exactly as the REST API shows it, at the time of the
// event. Members may be added together with those of the API; what a receiver reads today stays.
package eventjson

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/money"
)

type envelope struct {
	ID        uuid.UUID        `json:"id"`
	Type      domain.EventType `json:"type"`
	CreatedAt time.Time        `json:"created_at"`
	Data      data             `json:"data"`
}

type data struct {
	Order order `json:"order"`
}

type amount struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type item struct {
	ID        uuid.UUID `json:"id"`
	ProductID uuid.UUID `json:"product_id"`
	SKU       string    `json:"sku"`
	Name      string    `json:"name"`
	Quantity  int64     `json:"quantity"`
	UnitPrice amount    `json:"unit_price"`
	LineTotal amount    `json:"line_total"`
}

type address struct {
	Recipient  string `json:"recipient"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2"`
	City       string `json:"city"`
	Region     string `json:"region"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"`
	Phone      string `json:"phone"`
}

type payment struct {
	Status    domain.PaymentStatus `json:"status"`
	Method    domain.PaymentMethod `json:"method"`
	Provider  string               `json:"provider"`
	Reference string               `json:"reference"`
	Refunded  *amount              `json:"refunded,omitempty"`
}

type refund struct {
	ID      uuid.UUID      `json:"id"`
	Amount  amount         `json:"amount"`
	Items   []refundedItem `json:"items"`
	Reason  string         `json:"reason"`
	Restock bool           `json:"restock"`
	By      string         `json:"by"`
	At      time.Time      `json:"at"`
}

type refundedItem struct {
	ItemID   uuid.UUID `json:"item_id"`
	Quantity int64     `json:"quantity"`
}

type historyEntry struct {
	Status domain.Status `json:"status"`
	At     time.Time     `json:"at"`
	By     string        `json:"by"`
	Note   string        `json:"note"`
}

type order struct {
	ID              uuid.UUID      `json:"id"`
	Number          string         `json:"number"`
	UserID          uuid.UUID      `json:"user_id"`
	Status          domain.Status  `json:"status"`
	Items           []item         `json:"items"`
	Subtotal        amount         `json:"subtotal"`
	Discount        amount         `json:"discount"`
	Shipping        amount         `json:"shipping"`
	Total           amount         `json:"total"`
	Currency        string         `json:"currency"`
	ShippingAddress address        `json:"shipping_address"`
	ShippingMethod  string         `json:"shipping_method"`
	CouponCode      string         `json:"coupon_code"`
	Tracking        string         `json:"tracking,omitempty"`
	Payment         payment        `json:"payment"`
	Refunds         []refund       `json:"refunds,omitempty"`
	History         []historyEntry `json:"history"`
	Version         int64          `json:"version"`
	CreatedAt       time.Time      `json:"created_at"`
	UpdatedAt       time.Time      `json:"updated_at"`
}

// Body returns what is sent of an event that led to the order as it is.
func Body(e domain.Event, s domain.Snapshot) ([]byte, error) {
	body, err := json.Marshal(envelope{ID: e.ID, Type: e.Type, CreatedAt: e.CreatedAt, Data: data{Order: orderOf(s)}})
	if err != nil {
		return nil, fmt.Errorf("write event %s of order %s: %w", e.Type, s.ID, err)
	}
	return body, nil
}

func orderOf(s domain.Snapshot) order {
	o := order{
		ID: s.ID, Number: s.Number, UserID: s.UserID, Status: s.Status, Items: make([]item, 0, len(s.Items)),
		Subtotal: amountOf(s.Subtotal), Discount: amountOf(s.Discount), Shipping: amountOf(s.Shipping), Total: amountOf(s.Total),
		Currency: s.Total.Currency(), ShippingAddress: address(s.ShippingAddress), ShippingMethod: s.ShippingMethod,
		CouponCode: s.CouponCode, Tracking: s.Tracking,
		Payment: payment{
			Status: s.Payment.Status, Method: s.Payment.Method, Provider: s.Payment.Provider, Reference: s.Payment.Reference,
		},
		History: make([]historyEntry, 0, len(s.History)), Version: s.Version, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
	if back := s.GivenBack(); !back.IsZero() {
		refunded := amountOf(back)
		o.Payment.Refunded = &refunded
	}
	for _, i := range s.Items {
		o.Items = append(o.Items, item{
			ID: i.ID, ProductID: i.ProductID, SKU: i.SKU, Name: i.Name, Quantity: i.Quantity,
			UnitPrice: amountOf(i.UnitPrice), LineTotal: amountOf(i.LineTotal),
		})
	}
	for _, h := range s.History {
		o.History = append(o.History, historyEntry(h))
	}
	for _, r := range s.Refunds {
		if r.Status != domain.RefundDone { // one that is under way counts when the money is back
			continue
		}
		shown := refund{
			ID: r.ID, Amount: amountOf(r.Amount), Items: make([]refundedItem, 0, len(r.Items)), Reason: r.Reason, Restock: r.Restock,
			By: r.By, At: r.At,
		}
		for _, i := range r.Items {
			shown.Items = append(shown.Items, refundedItem(i))
		}
		o.Refunds = append(o.Refunds, shown)
	}
	return o
}

func amountOf(m money.Money) amount { return amount{Amount: m.Amount(), Currency: m.Currency()} }
