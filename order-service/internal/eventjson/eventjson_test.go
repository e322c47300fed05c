package eventjson_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/eventjson"
	"shop.example/platform/money"
)

// schema is what the API's document says of an object.
type schema struct {
	Properties map[string]struct {
		Ref   string `json:"$ref"`
		Items struct {
			Ref string `json:"$ref"`
		} `json:"items"`
	} `json:"properties"`
	Required []string `json:"required"`
}

// full is an order in which nothing is empty.
func full() domain.Snapshot {
	noon, euro := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), func(n int64) money.Money { return money.MustNew(n, "EUR") }
	item := domain.Item{ID: uuid.New(), ProductID: uuid.New(), SKU: "CUP-1", Name: "<A> cup & saucer", Quantity: 2, UnitPrice: euro(1250), LineTotal: euro(2500)}
	refund := domain.Refund{
		ID: uuid.New(), Status: domain.RefundDone, Amount: euro(1250), Items: []domain.RefundedItem{{ItemID: item.ID, Quantity: 1}},
		Reason: "broken", Restock: true, By: "staff", At: noon,
	}
	pending := refund
	pending.ID, pending.Status = uuid.New(), domain.RefundPending
	return domain.Snapshot{
		ID: uuid.New(), Number: "AB12-CD34", UserID: uuid.New(), Status: domain.Delivered, Items: []domain.Item{item},
		Subtotal: euro(2500), Discount: euro(100), Shipping: euro(490), Total: euro(2890), ShippingMethod: "standard", CouponCode: "TEN",
		ShippingAddress: domain.Address{
			Recipient: "Zoë", Line1: "1", Line2: "2", City: "Köln", Region: "NRW", PostalCode: "50667", Country: "DE", Phone: "+49",
		},
		Payment: domain.Payment{Status: domain.PaymentPartiallyRefunded, Method: domain.Card, Provider: "test", Reference: "pay_1"},
		Refunds: []domain.Refund{pending, refund}, Tracking: "https://carrier.example/1",
		History: []domain.HistoryEntry{{Status: domain.Pending, At: noon, By: "me", Note: "hm"}}, Version: 7, CreatedAt: noon, UpdatedAt: noon.Add(time.Hour),
	}
}

func body(t *testing.T, s domain.Snapshot) map[string]any {
	t.Helper()
	event, err := domain.NewEvent(domain.OrderDelivered, s)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := eventjson.Body(event, s)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if got["id"] != event.ID.String() || got["type"] != "order.delivered" || got["created_at"] != "2026-03-01T13:00:00.123456Z" || len(got) != 4 {
		t.Errorf("the event is %s", raw)
	}
	return got["data"].(map[string]any)["order"].(map[string]any)
}

// An order in an event has the members that the API's document gives an order, all the way down: what is added there and
// forgotten here fails.
func TestMembersAreThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	var compare func(path, name string, full, empty map[string]any)
	compare = func(path, name string, full, empty map[string]any) {
		s := document.Components.Schemas[name]
		var want, got, least []string
		for member := range s.Properties {
			if member != "$schema" {
				want = append(want, member)
			}
		}
		for member := range full {
			got = append(got, member)
		}
		for member := range empty {
			least = append(least, member)
		}
		slices.Sort(want)
		slices.Sort(got)
		slices.Sort(least)
		slices.Sort(s.Required)
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("%s (-API +event):\n%s", path, diff)
		}
		if diff := cmp.Diff(s.Required, least); diff != "" && empty != nil {
			t.Errorf("%s, what is always there (-API +event):\n%s", path, diff)
		}
		for member, p := range s.Properties {
			ref, value, none := p.Ref, full[member], empty[member]
			if list, ok := value.([]any); ok && p.Items.Ref != "" {
				ref, value, none = p.Items.Ref, list[0], nil
			}
			if object, ok := value.(map[string]any); ok && ref != "" {
				nothing, _ := none.(map[string]any)
				compare(path+"."+member, ref[len("#/components/schemas/"):], object, nothing)
			}
		}
	}
	none := domain.Snapshot{ID: uuid.New(), Total: money.MustNew(0, "EUR"), UpdatedAt: full().UpdatedAt}
	compare("order", "Order", body(t, full()), body(t, none))
}

// A refund whose money is not back yet does not count, and lists that are empty are lists.
func TestWhatCounts(t *testing.T) {
	t.Parallel()
	got := body(t, full())
	if refunds := got["refunds"].([]any); len(refunds) != 1 {
		t.Errorf("refunds: %v", refunds)
	}
	want := map[string]any{"status": "partially_refunded", "method": "card", "provider": "test", "reference": "pay_1", "refunded": map[string]any{"amount": 1250.0, "currency": "EUR"}}
	if diff := cmp.Diff(want, got["payment"]); diff != "" {
		t.Errorf("payment (-want +got):\n%s", diff)
	}
	if name := got["items"].([]any)[0].(map[string]any)["name"]; name != "<A> cup & saucer" {
		t.Errorf("name %q", name)
	}
}
