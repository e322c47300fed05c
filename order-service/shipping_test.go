package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/money"
)

func TestShippingMethods(t *testing.T) {
	t.Parallel()
	eur := func(n int64) money.Money { return money.MustNew(n, "EUR") }
	moneyIsAValue := cmp.Comparer(func(a, b money.Money) bool { return a == b })
	fallback, err := domain.DefaultShippingMethods("EUR")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, setting string
		want          domain.ShippingMethods
	}{
		{"none", " ", fallback},
		{"one", `[{"id": "post", "name": "Post", "price": 490, "min_days": 1, "max_days": 3}]`,
			domain.ShippingMethods{{ID: "post", Name: "Post", Price: eur(490), MinDays: 1, MaxDays: 3}}},
		{"all that there is to say", `[
			{"id": "post", "name": "Post", "price": 490, "by": "weight", "bands": [{"from": 2000, "price": 690}, {"from": 5000, "price": 990}], "free_from": 5000},
			{"id": "bike", "name": "By bicycle", "price": 300, "by": "subtotal", "bands": [{"from": 1000, "price": 100}]}
		]`, domain.ShippingMethods{
			{ID: "post", Name: "Post", Price: eur(490), By: domain.ByWeight, FreeFrom: 5000,
				Bands: []domain.Band{{From: 2000, Price: eur(690)}, {From: 5000, Price: eur(990)}}},
			{ID: "bike", Name: "By bicycle", Price: eur(300), By: domain.BySubtotal, Bands: []domain.Band{{From: 1000, Price: eur(100)}}},
		}},
	} {
		got, err := shippingMethods(tc.setting, "EUR")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, got, moneyIsAValue); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	for name, setting := range map[string]string{
		"no JSON": "post", "no list": "{}", "an empty list": "[]", "an unknown member": `[{"id": "a", "name": "A", "cost": 1}]`,
		"a fraction": `[{"id": "a", "name": "A", "price": 4.9}]`, "what makes no sense": `[{"id": "a", "name": "A", "price": -1}]`,
		"two lists": `[{"id": "a", "name": "A"}] []`,
	} {
		if _, err := shippingMethods(setting, "EUR"); err == nil || !strings.Contains(err.Error(), "SHIPPING_METHODS") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := shippingMethods("", "EURO"); err == nil || !strings.Contains(err.Error(), "CURRENCY") {
		t.Errorf("no such currency: %v", err)
	}
}
