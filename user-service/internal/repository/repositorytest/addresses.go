package repositorytest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

// AddressStore is all that address books need of a store, and whom they belong to.
type AddressStore interface {
	usecase.AddressStore
	CreateUser(context.Context, *domain.User) error
}

// RunAddresses tests the stores that open makes, one for each test, as keepers of address books.
func RunAddresses(t *testing.T, open func(*testing.T) AddressStore) {
	tests := map[string]func(*testing.T, AddressStore){
		"keeps addresses":                       keepsAddresses,
		"lists addresses in pages":              listsAddresses,
		"changes a book":                        changesBook,
		"keeps nothing of a refused change":     keepsNothingOfRefusedChange,
		"shows nobody the addresses of others":  showsNoAddressesOfOthers,
		"keeps no book without a user":          keepsNoBookWithoutUser,
		"fills a book in a race":                fillsBookInRace,
		"moves the default address in a race":   movesDefaultInRace,
		"has one default after all in a race":   keepsOneDefaultInRace,
		"lets users change their books at once": changesBooksAtOnce,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func text(label string) domain.AddressText {
	return domain.AddressText{
		Label: label, Recipient: "Zoë Ångström", Line1: "Hauptstraße 1", Line2: "2. Stock", City: "Köln", Region: "NRW",
		PostalCode: "50667", Country: "DE", Phone: "+49 221 1234",
	}
}

// owner makes a user without addresses.
func owner(t *testing.T, s AddressStore, email string) uuid.UUID {
	t.Helper()
	u := newUser(t, email, domain.Customer)
	if err := s.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u.ID()
}

// add adds an address to a user's book.
func add(ctx context.Context, s AddressStore, user uuid.UUID, label string, isDefault bool) (domain.AddressSnapshot, error) {
	var added domain.AddressSnapshot
	err := s.UpdateAddressBook(ctx, user, func(b *domain.AddressBook) error {
		a, err := b.Add(text(label), isDefault)
		if err == nil {
			added = a.Snapshot()
		}
		return err
	})
	return added, err
}

// fill adds n addresses, labelled 0, 1, ….
func fill(t *testing.T, s AddressStore, user uuid.UUID, n int) []domain.AddressSnapshot {
	t.Helper()
	all := make([]domain.AddressSnapshot, n)
	for i := range all {
		var err error
		if all[i], err = add(t.Context(), s, user, fmt.Sprint(i), false); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// bookOf returns a user's book as the store has it.
func bookOf(t *testing.T, s AddressStore, user uuid.UUID) []domain.AddressSnapshot {
	t.Helper()
	found, err := s.ListAddresses(t.Context(), user, uuid.Nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]domain.AddressSnapshot, len(found))
	for i, a := range found {
		all[i] = a.Snapshot()
	}
	return all
}

// wantOneDefault checks the rule that must hold whatever happens.
func wantOneDefault(t *testing.T, book []domain.AddressSnapshot) {
	t.Helper()
	n := 0
	for _, a := range book {
		if a.IsDefault {
			n++
		}
	}
	if len(book) > 0 && n != 1 {
		t.Errorf("%d of %d addresses are the default one", n, len(book))
	}
}

func keepsAddresses(t *testing.T, s AddressStore) {
	user := owner(t, s, "ann@example.com")
	all := fill(t, s, user, 2)
	want := domain.AddressSnapshot{ID: all[0].ID, UserID: user, AddressText: text("0"), IsDefault: true}
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	for _, want := range all {
		got, err := s.Address(t.Context(), user, want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Snapshot()); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(all, bookOf(t, s, user)); diff != "" {
		t.Errorf("book (-want +got):\n%s", diff)
	}
	_, err := s.Address(t.Context(), user, uuid.New())
	wantErr(t, "no such address", err, domain.ErrNoAddress)
}

func listsAddresses(t *testing.T, s AddressStore) {
	user := owner(t, s, "ann@example.com")
	if got := bookOf(t, s, user); len(got) != 0 {
		t.Errorf("a new book has %v", got)
	}
	all := fill(t, s, user, 5)
	var (
		got   []domain.AddressSnapshot
		sizes []int
		after uuid.UUID
	)
	for range 4 {
		page, err := s.ListAddresses(t.Context(), user, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range page {
			got, after = append(got, a.Snapshot()), a.ID()
		}
		sizes = append(sizes, len(page))
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("in pages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 2, 1, 0}, sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	if n, err := s.CountAddresses(t.Context(), user); err != nil || n != 5 {
		t.Errorf("count %d, error %v; want 5", n, err)
	}
}

// Several changes at once, in one unit of work.
func changesBook(t *testing.T, s AddressStore) {
	user := owner(t, s, "ann@example.com")
	all := fill(t, s, user, 4)
	err := s.UpdateAddressBook(t.Context(), user, func(b *domain.AddressBook) error {
		if diff := cmp.Diff(all, b.Snapshot()); diff != "" {
			t.Errorf("book (-want +got):\n%s", diff)
		}
		_, changed := b.Change(all[1].ID, domain.AddressChange{City: new("Wien"), Country: new("AT"), PostalCode: new("1010"), Line2: new("")})
		_, moved := b.Change(all[3].ID, domain.AddressChange{IsDefault: new(true)})
		_, added := b.Add(text("4"), true)
		return errors.Join(changed, moved, added, b.Remove(all[0].ID))
	})
	if err != nil {
		t.Fatal(err)
	}
	got := bookOf(t, s, user)
	want := []domain.AddressSnapshot{all[1], all[2], all[3], {ID: got[len(got)-1].ID, UserID: user, AddressText: text("4"), IsDefault: true}}
	want[0].City, want[0].Country, want[0].PostalCode, want[0].Line2 = "Wien", "AT", "1010", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("book (-want +got):\n%s", diff)
	}
	err = s.UpdateAddressBook(t.Context(), user, func(b *domain.AddressBook) error { return b.Remove(got[3].ID) })
	if err != nil {
		t.Fatal(err)
	}
	want[0].IsDefault = true
	if diff := cmp.Diff(want[:3], bookOf(t, s, user)); diff != "" {
		t.Errorf("without the default one (-want +got):\n%s", diff)
	}
}

func keepsNothingOfRefusedChange(t *testing.T, s AddressStore) {
	user := owner(t, s, "ann@example.com")
	all := fill(t, s, user, 2)
	failure := errors.New("no")
	err := s.UpdateAddressBook(t.Context(), user, func(b *domain.AddressBook) error {
		_, changed := b.Change(all[1].ID, domain.AddressChange{City: new("Bonn"), IsDefault: new(true)})
		_, added := b.Add(text("2"), false)
		return errors.Join(failure, changed, added, b.Remove(all[0].ID))
	})
	wantErr(t, "update", err, failure)
	if diff := cmp.Diff(all, bookOf(t, s, user)); diff != "" {
		t.Errorf("book (-want +got):\n%s", diff)
	}
}

func showsNoAddressesOfOthers(t *testing.T, s AddressStore) {
	ann, bob := owner(t, s, "ann@example.com"), owner(t, s, "bob@example.com")
	all := fill(t, s, ann, 2)
	_, err := s.Address(t.Context(), bob, all[0].ID)
	wantErr(t, "read", err, domain.ErrNoAddress)
	if got := bookOf(t, s, bob); len(got) != 0 {
		t.Errorf("list: %v", got)
	}
	if n, err := s.CountAddresses(t.Context(), bob); err != nil || n != 0 {
		t.Errorf("count %d, error %v; want 0", n, err)
	}
	err = s.UpdateAddressBook(t.Context(), bob, func(b *domain.AddressBook) error { return b.Remove(all[0].ID) })
	wantErr(t, "remove", err, domain.ErrNoAddress)
	if first := fill(t, s, bob, 1)[0]; !first.IsDefault {
		t.Error("another's default address counts")
	}
	if diff := cmp.Diff(all, bookOf(t, s, ann)); diff != "" {
		t.Errorf("Ann's book (-want +got):\n%s", diff)
	}
}

func keepsNoBookWithoutUser(t *testing.T, s AddressStore) {
	_, err := add(t.Context(), s, uuid.New(), "0", false)
	wantErr(t, "add", err, domain.ErrNoUser)
}

// Twice as many as fit, all at once, each of them wishing to be the default one.
func fillsBookInRace(t *testing.T, s AddressStore) {
	user := owner(t, s, "ann@example.com")
	var added, refused atomic.Int64
	errs := race(func(int) error {
		for range 2 {
			switch _, err := add(t.Context(), s, user, "race", true); {
			case err == nil:
				added.Add(1)
			case errors.Is(err, domain.ErrAddressLimit):
				refused.Add(1)
			default:
				return err
			}
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("unexpected: %v", err)
	}
	if added.Load() != domain.MaxAddresses || refused.Load() != 2*racers-domain.MaxAddresses {
		t.Errorf("%d were added and %d refused, want %d and %d", added.Load(), refused.Load(), domain.MaxAddresses, 2*racers-domain.MaxAddresses)
	}
	book := bookOf(t, s, user)
	if len(book) != domain.MaxAddresses {
		t.Errorf("%d are in the book, want %d", len(book), domain.MaxAddresses)
	}
	wantOneDefault(t, book)
}

func movesDefaultInRace(t *testing.T, s AddressStore) {
	user := owner(t, s, "ann@example.com")
	all := fill(t, s, user, domain.MaxAddresses)
	errs := race(func(i int) error {
		return s.UpdateAddressBook(t.Context(), user, func(b *domain.AddressBook) error {
			_, err := b.Change(all[i%len(all)].ID, domain.AddressChange{IsDefault: new(true)})
			return err
		})
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("unexpected: %v", err)
	}
	book := bookOf(t, s, user)
	if len(book) != domain.MaxAddresses {
		t.Errorf("%d are in the book, want %d", len(book), domain.MaxAddresses)
	}
	wantOneDefault(t, book)
}

// Some add, some remove, some move the default one.
func keepsOneDefaultInRace(t *testing.T, s AddressStore) {
	user := owner(t, s, "ann@example.com")
	all := fill(t, s, user, 12)
	errs := race(func(i int) error {
		return s.UpdateAddressBook(t.Context(), user, func(b *domain.AddressBook) (err error) {
			switch i % 3 {
			case 0:
				_, err = b.Add(text("race"), i%2 == 0)
			case 1:
				err = b.Remove(all[i/3].ID)
			case 2:
				_, err = b.Change(all[i/3].ID, domain.AddressChange{IsDefault: new(true)})
			}
			if errors.Is(err, domain.ErrNoAddress) { // removed by another
				return nil
			}
			return err
		})
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("unexpected: %v", err)
	}
	book := bookOf(t, s, user)
	if len(book) != 12 { // 7 were added and 7 removed
		t.Errorf("%d are in the book, want 12", len(book))
	}
	wantOneDefault(t, book)
}

func changesBooksAtOnce(t *testing.T, s AddressStore) {
	users := make([]uuid.UUID, racers)
	for i := range users {
		users[i] = owner(t, s, fmt.Sprintf("u%d@example.com", i))
	}
	errs := race(func(i int) error {
		_, err := add(t.Context(), s, users[i], fmt.Sprint(i), false)
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("unexpected: %v", err)
	}
	for i, user := range users {
		book := bookOf(t, s, user)
		if len(book) != 1 || !book[0].IsDefault || book[0].Label != fmt.Sprint(i) {
			t.Errorf("book %d has %v", i, book)
		}
	}
}
