package usecase_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/pagetoken"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/repository/memory"
	"shop.example/user-service/internal/usecase"
)

// book is the address books, and a customer who is signed in.
type book struct {
	*usecase.Addresses
	store *memory.Store
	ann   context.Context
	annID uuid.UUID
}

func newBook(t *testing.T) *book {
	t.Helper()
	store := memory.New()
	b := &book{Addresses: usecase.NewAddresses(store), store: store}
	b.annID, b.ann = b.customer(t, "ann@example.com")
	return b
}

// customer returns a new customer and a context in which the customer is signed in.
func (b *book) customer(t *testing.T, address string) (uuid.UUID, context.Context) {
	t.Helper()
	email, err := domain.ParseEmail(address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := domain.NewUser(email, "Ann", domain.Customer, "$argon2id$x", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u.ID(), auth.NewContext(t.Context(), auth.Principal{UserID: u.ID().String(), Role: auth.Customer, SessionID: uuid.NewString()})
}

func home(label string) domain.AddressText {
	return domain.AddressText{Label: label, Recipient: "Ann", Line1: "1 Main St", City: "Bonn", PostalCode: "53111", Country: "DE"}
}

func (b *book) add(t *testing.T, label string) domain.AddressSnapshot {
	t.Helper()
	a, err := b.Create(b.ann, home(label), false)
	if err != nil {
		t.Fatal(err)
	}
	return a.Snapshot()
}

// labels returns what is on a page.
func labels(page usecase.PageOf[*domain.Address]) (all []string) {
	for _, a := range page.Items {
		all = append(all, a.Snapshot().Label)
	}
	return all
}

func TestAddressBook(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	first, second := b.add(t, "0"), b.add(t, "1")
	want := domain.AddressSnapshot{ID: first.ID, UserID: b.annID, AddressText: home("0"), IsDefault: true}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	changed, err := b.Update(b.ann, second.ID, domain.AddressChange{Label: new("Office"), IsDefault: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	second.Label, second.IsDefault = "Office", true
	if diff := cmp.Diff(second, changed.Snapshot()); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	read, err := b.Get(b.ann, second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(second, read.Snapshot()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if err := b.Delete(b.ann, second.ID); err != nil {
		t.Fatal(err)
	}
	_, err = b.Get(b.ann, second.ID)
	wantErr(t, "read what was deleted", err, domain.ErrNoAddress)
	if err := b.Delete(b.ann, second.ID); apperr.KindOf(err) != apperr.NotFound || apperr.From(err).Message != domain.ErrNoAddress.Message {
		t.Errorf("delete again: error %v, want %v", err, domain.ErrNoAddress)
	}
	_, err = b.Update(b.ann, second.ID, domain.AddressChange{})
	wantErr(t, "change what was deleted", err, domain.ErrNoAddress)
	if read, err := b.Get(b.ann, first.ID); err != nil || !read.Snapshot().IsDefault {
		t.Errorf("the other is not the default one: error %v", err)
	}
}

func TestAddressRefusals(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	_, err := b.Create(b.ann, domain.AddressText{PostalCode: "1", Country: "DE", Phone: "x"}, true)
	var got []string
	for _, v := range apperr.From(err).Violations {
		got = append(got, v.Location)
	}
	if diff := cmp.Diff([]string{"recipient", "line1", "city", "postal_code", "phone"}, got); diff != "" || apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("error %v, violations (-want +got):\n%s", err, diff)
	}
	for range domain.MaxAddresses {
		b.add(t, "x")
	}
	_, err = b.Create(b.ann, home("21st"), false)
	wantErr(t, "one too many", err, domain.ErrAddressLimit)
	if apperr.KindOf(err) != apperr.Invalid || apperr.ReasonOf(err) != "address_limit" {
		t.Errorf("one too many: %v, %s; want invalid, address_limit", apperr.KindOf(err), apperr.ReasonOf(err))
	}
}

func TestListAddresses(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for _, label := range []string{"0", "1", "2", "3", "4"} {
		b.add(t, label)
	}
	var got [][]string
	list := usecase.Page{Size: 2}
	for range 3 {
		page, err := b.List(b.ann, list)
		if err != nil {
			t.Fatal(err)
		}
		if page.Total != nil {
			t.Error("nobody asked for the total")
		}
		got, list.Token = append(got, labels(page)), page.NextPageToken
	}
	if diff := cmp.Diff([][]string{{"0", "1"}, {"2", "3"}, {"4"}}, got); diff != "" || list.Token != "" {
		t.Errorf("next %q, pages (-want +got):\n%s", list.Token, diff)
	}
	all, err := b.List(b.ann, usecase.Page{IncludeTotal: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Items) != 5 || all.Total == nil || *all.Total != 5 || all.NextPageToken != "" {
		t.Errorf("all are %v of %v, next %q", labels(all), all.Total, all.NextPageToken)
	}
	if exact, err := b.List(b.ann, usecase.Page{Size: 5}); err != nil || exact.NextPageToken != "" {
		t.Errorf("a page that holds all: next %q, error %v", exact.NextPageToken, err)
	}

	first, err := b.List(b.ann, usecase.Page{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, bob := b.customer(t, "bob@example.com")
	for name, l := range map[string]usecase.Page{
		"another's": {Token: first.NextPageToken}, "made up": {Token: "Zm9v"},
	} {
		_, err := b.List(bob, l)
		if !errors.Is(err, pagetoken.ErrInvalid) || apperr.From(err).Violations[0].Location != "page_token" {
			t.Errorf("a token that is %s: %v", name, err)
		}
	}
}

// To everybody else an address is as one that is not there: also to staff and admins.
func TestAddressesOfOthers(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	id := b.add(t, "0").ID
	for _, role := range []auth.Role{auth.Customer, auth.Staff, auth.Admin} {
		other, _ := b.customer(t, string(role)+"@example.com")
		ctx := auth.NewContext(t.Context(), auth.Principal{UserID: other.String(), Role: role, SessionID: uuid.NewString()})
		_, err := b.Get(ctx, id)
		wantErr(t, "get", err, domain.ErrNoAddress)
		_, err = b.Update(ctx, id, domain.AddressChange{Label: new("mine")})
		wantErr(t, "update", err, domain.ErrNoAddress)
		wantErr(t, "delete", b.Delete(ctx, id), domain.ErrNoAddress)
		page, err := b.List(ctx, usecase.Page{IncludeTotal: true})
		if err != nil || len(page.Items) != 0 || *page.Total != 0 {
			t.Errorf("list: %v of %v, error %v; want none", labels(page), page.Total, err)
		}
	}
	if a, err := b.Get(b.ann, id); err != nil || a.Snapshot().AddressText != home("0") {
		t.Errorf("Ann's address: %+v, error %v", a, err)
	}

	for name, ctx := range map[string]context.Context{
		"nobody": t.Context(), "no user": auth.NewContext(t.Context(), auth.Principal{UserID: "ann"}),
	} {
		_, list := b.List(ctx, usecase.Page{})
		_, get := b.Get(ctx, id)
		_, create := b.Create(ctx, home("0"), false)
		_, update := b.Update(ctx, id, domain.AddressChange{})
		for call, err := range map[string]error{
			"list": list, "get": get, "create": create, "update": update, "delete": b.Delete(ctx, id),
		} {
			if apperr.KindOf(err) != apperr.Unauthenticated {
				t.Errorf("%s by %s: error %v, want unauthenticated", call, name, err)
			}
		}
	}
	gone := auth.NewContext(t.Context(), auth.Principal{UserID: uuid.NewString(), Role: auth.Customer, SessionID: uuid.NewString()})
	if _, err := b.Create(gone, home("0"), false); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("a user who was deleted just now: error %v, want unauthenticated", err)
	}
}
