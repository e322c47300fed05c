package domain

import (
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// ShippingMethod is a way of delivery.
type ShippingMethod struct {
	ID               string
	Name             string
	Price            money.Money
	MinDays, MaxDays int32
}

// ShippingMethods are the ways of delivery on offer.
type ShippingMethods []ShippingMethod

// DefaultShippingMethods returns what a new shop offers, priced in its currency.
func DefaultShippingMethods(currency string) (ShippingMethods, error) {
	methods := ShippingMethods{
		{ID: "standard", Name: "Standard delivery", MinDays: 3, MaxDays: 5},
		{ID: "express", Name: "Express delivery", MinDays: 1, MaxDays: 2},
		{ID: "pickup", Name: "Pick-up in the shop", MinDays: 0, MaxDays: 1},
	}
	for i, amount := range []int64{490, 1290, 0} {
		price, err := money.New(amount, currency)
		if err != nil {
			return nil, err
		}
		methods[i].Price = price
	}
	return methods, nil
}

// Find returns the method with an id, or what is wrong with the request.
func (m ShippingMethods) Find(id string) (ShippingMethod, error) {
	for _, method := range m {
		if method.ID == id {
			return method, nil
		}
	}
	return ShippingMethod{}, apperr.InvalidField("shipping_method", "is not one of those that GET /shipping-methods offers")
}
