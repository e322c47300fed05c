package main

// The parts of the REST contract that customers here use.

type money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type product struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

type item struct {
	ProductID string `json:"product_id"`
	Quantity  int64  `json:"quantity"`
}

type address struct {
	Recipient  string `json:"recipient"`
	Line1      string `json:"line1"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"`
}

// home is where all customers live.
var home = address{"Load Test", "1 Market Street", "Berlin", "10115", "DE"}

type payment struct {
	Method string `json:"method"`
	Token  string `json:"token,omitempty"`
}

type order struct {
	Items          []item  `json:"items,omitempty"`
	Address        address `json:"shipping_address"`
	ShippingMethod string  `json:"shipping_method"`
	Payment        payment `json:"payment"`
}
