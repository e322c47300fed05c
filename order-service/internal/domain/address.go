package domain

import (
	"fmt"
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

// Deliverable returns the address with its postal code as its country writes it. It refuses one that a parcel can't go to:
// without a name, street or city, in no country, or with a postal code that is none there.
func (a Address) Deliverable() (Address, error) {
	var violations []apperr.Violation
	for _, f := range []struct{ name, value string }{{"recipient", a.Recipient}, {"line1", a.Line1}, {"city", a.City}} {
		if strings.TrimSpace(f.value) == "" {
			violations = append(violations, apperr.Violation{Location: "shipping_address." + f.name, Message: "must not be blank"})
		}
	}
	code, ok := country.PostalCode(a.Country, a.PostalCode)
	switch {
	case !country.Known(a.Country):
		violations = append(violations, apperr.Violation{Location: "shipping_address.country", Message: "is not an ISO 3166-1 alpha-2 code"})
	case !ok:
		violations = append(violations, apperr.Violation{
			Location: "shipping_address.postal_code",
			Message:  fmt.Sprintf("must be a postal code of %s, such as %s", a.Country, country.PostalCodeExample(a.Country)),
		})
	}
	if len(violations) > 0 {
		return Address{}, apperr.ValidationFailed(violations...)
	}
	a.PostalCode = code
	return a, nil
}
