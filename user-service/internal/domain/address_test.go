package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/domain"
)

func home() domain.AddressText {
	return domain.AddressText{
		Label: "Home", Recipient: "Zoë Ångström", Line1: "Hauptstraße 1", Line2: "2. Stock", City: "Köln", Region: "NRW",
		PostalCode: "50667", Country: "DE", Phone: "+49 (221) 12-34/5.6",
	}
}

// locations are where an error says that something is wrong.
func locations(t *testing.T, err error) (all []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	if !errors.Is(err, apperr.ValidationFailed()) {
		t.Errorf("error %v, want that it is not valid", err)
	}
	for _, v := range apperr.From(err).Violations {
		all = append(all, v.Location)
	}
	return all
}

func TestAddressText(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("ä", n) }
	for _, tc := range []struct {
		name   string
		change func(*domain.AddressText)
		want   []string
	}{
		{"as it should be", func(*domain.AddressText) {}, nil},
		{"the least", func(a *domain.AddressText) {
			*a = domain.AddressText{Recipient: "李", Line1: "1", City: "Å", Country: "HK"}
		}, nil},
		{"the most", func(a *domain.AddressText) {
			*a = domain.AddressText{
				Label: long(100), Recipient: long(200), Line1: long(200), Line2: long(200), City: long(100), Region: long(100),
				PostalCode: strings.Repeat("1", 20), Country: "AE", Phone: strings.Repeat("1", 40),
			}
		}, nil},
		{"one more", func(a *domain.AddressText) {
			*a = domain.AddressText{
				Label: long(101), Recipient: long(201), Line1: long(201), Line2: long(201), City: long(101), Region: long(101),
				PostalCode: strings.Repeat("1", 21), Country: "AE", Phone: strings.Repeat("1", 41),
			}
		}, []string{"label", "recipient", "line1", "line2", "city", "region", "postal_code", "phone"}},
		{"nothing", func(a *domain.AddressText) { *a = domain.AddressText{} }, []string{"recipient", "line1", "city", "country"}},
		{"nothing that can be seen", func(a *domain.AddressText) { a.Recipient, a.Line1, a.City = " ", "\u00a0", "\u200b" },
			[]string{"recipient", "line1", "city"}},
		{"control characters", func(a *domain.AddressText) {
			a.Label, a.Recipient, a.Line1, a.Line2 = "a\x00b", "a\nb", "a\u2028b", "\u202Enna"
			a.City, a.Region, a.PostalCode, a.Phone = "a\xffb", "a\u2066b", "506\t67", "1\r2"
		}, []string{"label", "recipient", "line1", "line2", "city", "region", "postal_code", "phone"}},
		{"a country that is none", func(a *domain.AddressText) { a.Country = "ZZ" }, []string{"country"}},
		{"small letters", func(a *domain.AddressText) { a.Country = "de" }, []string{"country"}},
		{"space around a country", func(a *domain.AddressText) { a.Country = "DE " }, []string{"country"}},
		{"another country's postal code", func(a *domain.AddressText) { a.PostalCode = "1010" }, []string{"postal_code"}},
		{"no postal code where there must be one", func(a *domain.AddressText) { a.PostalCode = "" }, []string{"postal_code"}},
		{"a phone with letters", func(a *domain.AddressText) { a.Phone = "0800-CALL-ANN" }, []string{"phone"}},
		{"a phone without a digit", func(a *domain.AddressText) { a.Phone = "+" }, []string{"phone"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := home()
			tc.change(&text)
			book := domain.RestoreAddressBook(uuid.New(), nil)
			_, err := book.Add(text, false)
			if diff := cmp.Diff(tc.want, locations(t, err)); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			if kept := len(book.Snapshot()); (err == nil) != (kept == 1) {
				t.Errorf("error %v, and %d are in the book", err, kept)
			}
		})
	}
}

func TestAddressIsTidied(t *testing.T) {
	t.Parallel()
	book := domain.RestoreAddressBook(uuid.New(), nil)
	added, err := book.Add(domain.AddressText{
		Label: " Home ", Recipient: "\u00a0Ann  Example ", Line1: " 1 Main St\t", Line2: "  ", City: " London ", Region: " ",
		PostalCode: " sw1a  1aa ", Country: "GB", Phone: " 020 1 ",
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := domain.AddressText{
		Label: "Home", Recipient: "Ann  Example", Line1: "1 Main St", City: "London", PostalCode: "SW1A 1AA", Country: "GB", Phone: "020 1",
	}
	if diff := cmp.Diff(want, added.Snapshot().AddressText); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// book returns a book with n addresses, labelled 0, 1, ….
func book(t *testing.T, n int) (*domain.AddressBook, []uuid.UUID) {
	t.Helper()
	b, ids := domain.RestoreAddressBook(uuid.New(), nil), make([]uuid.UUID, n)
	for i := range n {
		text := home()
		text.Label = string(rune('0' + i))
		a, err := b.Add(text, false)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = a.ID()
	}
	return b, ids
}

// labels names a book's addresses in order, the default one with a star.
func labels(b *domain.AddressBook) string {
	var all strings.Builder
	for _, a := range b.Snapshot() {
		all.WriteString(a.Label)
		if a.IsDefault {
			all.WriteString("*")
		}
	}
	return all.String()
}

func TestOneDefaultAddress(t *testing.T) {
	t.Parallel()
	b, ids := book(t, 3)
	want := func(what, want string) {
		t.Helper()
		if got := labels(b); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	change := func(id uuid.UUID, c domain.AddressChange) {
		t.Helper()
		if _, err := b.Change(id, c); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(id uuid.UUID) {
		t.Helper()
		if err := b.Remove(id); err != nil {
			t.Fatal(err)
		}
	}
	want("the first is the default one", "0*12")
	change(ids[2], domain.AddressChange{IsDefault: new(true)})
	want("moved", "012*")
	change(ids[2], domain.AddressChange{IsDefault: new(true)})
	want("set again", "012*")
	change(ids[0], domain.AddressChange{IsDefault: new(false)})
	want("not set where it is not", "012*")
	_, err := b.Change(ids[2], domain.AddressChange{IsDefault: new(false), City: new("")})
	if diff := cmp.Diff([]string{"city", "is_default"}, locations(t, err)); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	want("a refusal changes nothing", "012*")
	text := home()
	text.Label = "3"
	if _, err := b.Add(text, true); err != nil {
		t.Fatal(err)
	}
	want("added as the default one", "0123*")
	remove(ids[1])
	want("without another", "023*")
	remove(b.Snapshot()[2].ID)
	want("without the default one", "0*2")
	remove(ids[0])
	remove(ids[2])
	want("empty", "")
	text.Label = "4"
	if _, err := b.Add(text, false); err != nil {
		t.Fatal(err)
	}
	want("the first again", "4*")
}

func TestChangeAddress(t *testing.T) {
	t.Parallel()
	b, ids := book(t, 2)
	before := b.Snapshot()[1]
	same, err := b.Change(ids[1], domain.AddressChange{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, same.Snapshot()); diff != "" {
		t.Errorf("nothing set (-want +got):\n%s", diff)
	}
	changed, err := b.Change(ids[1], domain.AddressChange{Country: new("AT"), PostalCode: new(" 1010 "), Line2: new(""), Phone: new("")})
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Country, want.PostalCode, want.Line2, want.Phone = "AT", "1010", "", ""
	if diff := cmp.Diff(want, changed.Snapshot()); diff != "" {
		t.Errorf("address (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, b.Snapshot()[1]); diff != "" {
		t.Errorf("in the book (-want +got):\n%s", diff)
	}
	_, err = b.Change(ids[1], domain.AddressChange{Country: new("DE"), Recipient: new(" ")})
	if diff := cmp.Diff([]string{"recipient", "postal_code"}, locations(t, err)); diff != "" {
		t.Errorf("a country that the postal code is not of (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, b.Snapshot()[1]); diff != "" {
		t.Errorf("a refusal changes something (-want +got):\n%s", diff)
	}
	if _, err := b.Change(uuid.New(), domain.AddressChange{}); !errors.Is(err, domain.ErrNoAddress) {
		t.Errorf("no such address: %v", err)
	}
	if err := b.Remove(uuid.New()); !errors.Is(err, domain.ErrNoAddress) {
		t.Errorf("no such address to remove: %v", err)
	}
}

// An address that was accepted under older rules can still become the default one, and is judged when it is rewritten.
func TestOldAddressIsNotJudgedAgain(t *testing.T) {
	t.Parallel()
	old := domain.AddressSnapshot{ID: uuid.New(), AddressText: home()}
	old.PostalCode = "old"
	b := domain.RestoreAddressBook(uuid.New(), []domain.AddressSnapshot{old})
	if _, err := b.Change(old.ID, domain.AddressChange{IsDefault: new(true), City: new("Köln")}); err != nil {
		t.Errorf("the same text: %v", err)
	}
	_, err := b.Change(old.ID, domain.AddressChange{City: new("Bonn")})
	if diff := cmp.Diff([]string{"postal_code"}, locations(t, err)); diff != "" {
		t.Errorf("another text (-want +got):\n%s", diff)
	}
}

func TestAddressLimit(t *testing.T) {
	t.Parallel()
	b, ids := book(t, domain.MaxAddresses)
	if _, err := b.Add(home(), true); !errors.Is(err, domain.ErrAddressLimit) {
		t.Errorf("one too many: %v, want %v", err, domain.ErrAddressLimit)
	}
	if got := len(b.Snapshot()); got != domain.MaxAddresses || !b.Snapshot()[0].IsDefault {
		t.Errorf("%d are in the book, the first of them the default one: %v", got, b.Snapshot()[0].IsDefault)
	}
	if err := b.Remove(ids[3]); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(home(), false); err != nil {
		t.Errorf("after one was removed: %v", err)
	}
}
