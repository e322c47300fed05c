package domain

import (
	"strings"

	"shop.example/platform/apperr"
	"shop.example/platform/country"
)

// Address is where an order goes, as it was when the order was placed. Its form is checked at the door.
type Address struct {
	Recipient  string
	Line1      string
	Line2      string
	City       string
	Region     string
	PostalCode string
	Country    string // ISO 3166-1 alpha-2
	Phone      string
}

// Deliverable refuses an address that a parcel can't go to: without a name, street or city, or in no country.
func (a Address) Deliverable() error {
	var violations []apperr.Violation
	for _, f := range []struct{ name, value string }{{"recipient", a.Recipient}, {"line1", a.Line1}, {"city", a.City}} {
		if strings.TrimSpace(f.value) == "" {
			violations = append(violations, apperr.Violation{Location: "shipping_address." + f.name, Message: "must not be blank"})
		}
	}
	if !country.Known(a.Country) {
		violations = append(violations, apperr.Violation{Location: "shipping_address.country", Message: "is not an ISO 3166-1 alpha-2 code"})
	}
	if len(violations) == 0 {
		return nil
	}
	return apperr.ValidationFailed(violations...)
}
