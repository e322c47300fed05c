package domain

import (
	"fmt"
	"strings"
	"unicode"

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
// without a name, street or city, in no country, or with a postal code that is none there, and one with what can't be printed:
// a line break would make two lines of one on a label or an invoice.
func (a Address) Deliverable() (Address, error) {
	var violations []apperr.Violation
	for _, f := range []struct {
		name, value string
		required    bool
	}{
		{"recipient", a.Recipient, true}, {"line1", a.Line1, true}, {"line2", a.Line2, false}, {"city", a.City, true},
		{"region", a.Region, false}, {"postal_code", a.PostalCode, false}, {"phone", a.Phone, false},
	} {
		location := "shipping_address." + f.name
		switch {
		case strings.ContainsFunc(f.value, breaksALine):
			violations = append(violations, apperr.Violation{Location: location, Message: "must not contain control characters"})
		case f.required && strings.TrimSpace(f.value) == "":
			violations = append(violations, apperr.Violation{Location: location, Message: "must not be blank"})
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

// breaksALine finds control characters and the separators of lines and paragraphs.
func breaksALine(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) }
