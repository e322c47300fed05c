package domain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/country"
)

// Address is an entry of an address book.
type Address struct{ s AddressSnapshot }

// AddressSnapshot is an address as a store keeps it and as its owner sees it.
type AddressSnapshot struct {
	// ID is a UUIDv7, so ids stand in the order of adding.
	ID     uuid.UUID
	UserID uuid.UUID
	AddressText
	IsDefault bool
}

// AddressText is what an address says. Label, Line2, Region and Phone may be empty, and in some countries PostalCode.
type AddressText struct {
	Label      string // what its owner calls it
	Recipient  string
	Line1      string
	Line2      string
	City       string
	Region     string
	PostalCode string
	Country    string // ISO 3166-1 alpha-2, in capitals
	Phone      string
}

// AddressChange says what to change of an address. Nil leaves it as it is.
type AddressChange struct {
	Label, Recipient, Line1, Line2, City, Region, PostalCode, Country, Phone *string
	IsDefault                                                                *bool
}

// ID is the address's id.
func (a *Address) ID() uuid.UUID { return a.s.ID }

// Snapshot returns what a store must keep of the address.
func (a *Address) Snapshot() AddressSnapshot { return a.s }

// RestoreAddress returns the address that a store kept.
func RestoreAddress(s AddressSnapshot) *Address { return &Address{s} }

// rewritten returns what the address says after a change, and what is wrong with that. A text that stays the same is not
// judged again: rules may have grown since.
func (a *Address) rewritten(c AddressChange) (AddressText, []apperr.Violation) {
	text := a.s.AddressText
	for _, f := range []struct{ part, to *string }{
		{&text.Label, c.Label}, {&text.Recipient, c.Recipient}, {&text.Line1, c.Line1}, {&text.Line2, c.Line2}, {&text.City, c.City},
		{&text.Region, c.Region}, {&text.PostalCode, c.PostalCode}, {&text.Country, c.Country}, {&text.Phone, c.Phone},
	} {
		if f.to != nil {
			*f.part = *f.to
		}
	}
	if text == a.s.AddressText {
		return text, nil
	}
	return text.parse()
}

// phoneForm is how people write telephone numbers all over the world; there is a digit in each.
var phoneForm = regexp.MustCompile(`^[0-9 +().\-/]*[0-9][0-9 +().\-/]*$`)

// parse returns the text without the space around each part, and the postal code as its country writes it, with all that is
// wrong, by the names of the contract.
func (t AddressText) parse() (_ AddressText, violations []apperr.Violation) {
	refuse := func(location, message string) {
		violations = append(violations, apperr.Violation{Location: location, Message: message})
	}
	// part trims a part and says whether it is fit for storage and for a parcel's label. Lengths are in characters.
	part := func(value *string, location string, required bool, longest int) bool {
		*value = strings.TrimSpace(*value)
		switch {
		case !utf8.ValidString(*value) || strings.ContainsFunc(*value, isUnprintable):
			refuse(location, "must not contain control characters")
		case required && !strings.ContainsFunc(*value, isVisible):
			refuse(location, "is required")
		case utf8.RuneCountInString(*value) > longest:
			refuse(location, fmt.Sprintf("must have at most %d characters", longest))
		default:
			return true
		}
		return false
	}
	// The longest names and streets of real people are well below these, and they still fit a page and a label.
	part(&t.Label, "label", false, 100)
	part(&t.Recipient, "recipient", true, 200)
	part(&t.Line1, "line1", true, 200)
	part(&t.Line2, "line2", false, 200)
	part(&t.City, "city", true, 100)
	part(&t.Region, "region", false, 100)
	printable := part(&t.PostalCode, "postal_code", false, country.MaxPostalCodeLength)
	if !country.Known(t.Country) {
		refuse("country", "must be an ISO 3166-1 alpha-2 code, in capitals")
	} else if printable {
		code, ok := country.PostalCode(t.Country, t.PostalCode)
		if !ok {
			refuse("postal_code", fmt.Sprintf("must be a postal code of %s, such as %s", t.Country, country.PostalCodeExample(t.Country)))
		}
		t.PostalCode = code
	}
	if part(&t.Phone, "phone", false, 40) && t.Phone != "" && !phoneForm.MatchString(t.Phone) {
		refuse("phone", "must be a telephone number: digits, spaces and + ( ) - . /")
	}
	return t, violations
}

// MaxAddresses is how many addresses a book may have. The contract says so; a book fits one page.
const MaxAddresses = 20

// What callers are told of addresses.
var (
	// ErrNoAddress means that there is no such address, or none of the caller's.
	ErrNoAddress = apperr.Missing("address")
	// ErrAddressLimit means that the book is full.
	ErrAddressLimit = apperr.New(apperr.Invalid, "address_limit",
		fmt.Sprintf("An address book has at most %d addresses. Delete one first.", MaxAddresses))
)

// AddressBook is all addresses of a user, the oldest first. Exactly one of them is the default one, unless there are none.
type AddressBook struct {
	userID    uuid.UUID
	addresses []*Address
}

// RestoreAddressBook returns the book that a store kept, its addresses in the order of their ids.
func RestoreAddressBook(userID uuid.UUID, kept []AddressSnapshot) *AddressBook {
	b := &AddressBook{userID: userID}
	for _, s := range kept {
		b.addresses = append(b.addresses, RestoreAddress(s))
	}
	return b
}

// Snapshot returns what a store must keep of the book.
func (b *AddressBook) Snapshot() []AddressSnapshot {
	all := make([]AddressSnapshot, len(b.addresses))
	for i, a := range b.addresses {
		all[i] = a.Snapshot()
	}
	return all
}

// Add adds an address, as the default one if it is wished or the book is empty. Errors: invalid, naming every part that is
// wrong; ErrAddressLimit.
func (b *AddressBook) Add(text AddressText, isDefault bool) (*Address, error) {
	text, violations := text.parse()
	if len(violations) > 0 {
		return nil, apperr.ValidationFailed(violations...)
	}
	if len(b.addresses) >= MaxAddresses {
		return nil, ErrAddressLimit
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an address id: %w", err)
	}
	added := &Address{AddressSnapshot{ID: id, UserID: b.userID, AddressText: text}}
	b.addresses = append(b.addresses, added)
	if isDefault || len(b.addresses) == 1 {
		b.prefer(added)
	}
	return added, nil
}

// Change changes an address. Errors: ErrNoAddress; invalid, naming every part that is wrong.
func (b *AddressBook) Change(id uuid.UUID, c AddressChange) (*Address, error) {
	i, err := b.find(id)
	if err != nil {
		return nil, err
	}
	a := b.addresses[i]
	text, violations := a.rewritten(c)
	if c.IsDefault != nil && !*c.IsDefault && a.s.IsDefault {
		violations = append(violations, apperr.Violation{Location: "is_default", Message: "make another address the default one instead"})
	}
	if len(violations) > 0 {
		return nil, apperr.ValidationFailed(violations...)
	}
	a.s.AddressText = text
	if c.IsDefault != nil && *c.IsDefault {
		b.prefer(a)
	}
	return a, nil
}

// Remove removes an address. If it was the default one, the oldest of the others takes its place. Error: ErrNoAddress.
func (b *AddressBook) Remove(id uuid.UUID) error {
	i, err := b.find(id)
	if err != nil {
		return err
	}
	wasDefault := b.addresses[i].s.IsDefault
	b.addresses = slices.Delete(b.addresses, i, i+1)
	if wasDefault && len(b.addresses) > 0 {
		b.prefer(b.addresses[0])
	}
	return nil
}

func (b *AddressBook) find(id uuid.UUID) (int, error) {
	i := slices.IndexFunc(b.addresses, func(a *Address) bool { return a.s.ID == id })
	if i < 0 {
		return 0, ErrNoAddress
	}
	return i, nil
}

// prefer makes an address of the book the default one, in place of the other.
func (b *AddressBook) prefer(preferred *Address) {
	for _, a := range b.addresses {
		a.s.IsDefault = a == preferred
	}
}
