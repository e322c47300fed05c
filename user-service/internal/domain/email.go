package domain

import (
	"regexp"
	"strings"

	"shop.example/platform/apperr"
)

// maxEmailLength is what SMTP can carry between < and > (RFC 5321, 4.5.3.1.3, with erratum 1690).
const maxEmailLength = 254

// emailForm is the form that browsers accept in <input type="email">, with at least one dot in the domain: an address
// without one can't be reached from outside. ASCII only, so lower case is unambiguous, in Go and in SQL, in every locale.
var emailForm = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~` + "`" + `-]{1,64}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// Email is an address in its one normalised form: trimmed and in lower case. The zero value is no address.
//
// RFC 5321 lets a host tell Ann@ from ann@, but none that matters does. Told apart here, they would be two accounts for one
// inbox: a customer who types a capital would not find the account, and a stranger could take the twin of a known address.
// Dots and +tags are kept: to drop them is right for some hosts and joins different people on others.
type Email struct{ address string }

// ParseEmail returns the normalised address. Its error is a violation at "email".
func ParseEmail(raw string) (Email, error) {
	address := strings.TrimSpace(raw)
	if len(address) > maxEmailLength || !emailForm.MatchString(address) {
		return Email{}, apperr.InvalidField("email", "must be an e-mail address of at most 254 characters")
	}
	return Email{strings.ToLower(address)}, nil
}

// String returns the address.
func (e Email) String() string { return e.address }

// localPart is what stands before the @.
func (e Email) localPart() string {
	local, _, _ := strings.Cut(e.address, "@")
	return local
}
