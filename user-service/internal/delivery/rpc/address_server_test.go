package rpc_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"

	"shop.example/platform/apperr"
	userv1 "shop.example/proto/user/v1"
)

// addressBook returns a client with the certificate of a service.
func (s *service) addressBook(t *testing.T, caller string) userv1.AddressServiceClient {
	t.Helper()
	return userv1.NewAddressServiceClient(s.dial(t, caller))
}

// customer registers somebody and returns the access token.
func (s *service) customer(t *testing.T, email string) (accessToken string) {
	t.Helper()
	auth, _ := s.as(t, "api-gateway")
	return register(t, auth, email).GetTokens().GetAccessToken()
}

func home() *userv1.CreateAddressRequest {
	return &userv1.CreateAddressRequest{
		Label: "Home", Recipient: "Zoë Ångström", Line1: "Hauptstraße 1", Line2: "2. Stock", City: "Köln", Region: "NRW",
		PostalCode: "50667", Country: "DE", Phone: "+49 221 1234",
	}
}

// Every field of an address, there and back.
func TestAddressBook(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, book := with(t.Context(), s.customer(t, address)), s.addressBook(t, "api-gateway")
	created, err := book.CreateAddress(ctx, home())
	if err != nil {
		t.Fatal(err)
	}
	first := created.GetAddress()
	want := &userv1.Address{
		Id: first.GetId(), Label: "Home", Recipient: "Zoë Ångström", Line1: "Hauptstraße 1", Line2: "2. Stock", City: "Köln",
		Region: "NRW", PostalCode: "50667", Country: "DE", Phone: "+49 221 1234", IsDefault: true,
	}
	if diff := cmp.Diff(want, first, protocmp.Transform()); diff != "" || uuid.Validate(first.GetId()) != nil {
		t.Errorf("id %q, created (-want +got):\n%s", first.GetId(), diff)
	}
	second, err := book.CreateAddress(ctx, &userv1.CreateAddressRequest{
		Recipient: "Ann", Line1: "1 Main St", City: "Hong Kong", Country: "HK", IsDefault: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want = &userv1.Address{
		Id: second.GetAddress().GetId(), Recipient: "Ann", Line1: "1 Main St", City: "Hong Kong", Country: "HK", IsDefault: true,
	}
	if diff := cmp.Diff(want, second.GetAddress(), protocmp.Transform()); diff != "" {
		t.Errorf("created, the least (-want +got):\n%s", diff)
	}
	updated, err := book.UpdateAddress(ctx, &userv1.UpdateAddressRequest{
		AddressId: want.GetId(), Label: new("Office"), Recipient: new("Bob"), Line1: new("10 Downing St"), Line2: new("Flat 1"),
		City: new("London"), Region: new("England"), PostalCode: new("sw1a 2aa"), Country: new("GB"), Phone: new("020 1"),
		IsDefault: new(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	want = &userv1.Address{
		Id: want.GetId(), Label: "Office", Recipient: "Bob", Line1: "10 Downing St", Line2: "Flat 1", City: "London",
		Region: "England", PostalCode: "SW1A 2AA", Country: "GB", Phone: "020 1", IsDefault: true,
	}
	if diff := cmp.Diff(want, updated.GetAddress(), protocmp.Transform()); diff != "" {
		t.Errorf("updated (-want +got):\n%s", diff)
	}
	same, err := book.UpdateAddress(ctx, &userv1.UpdateAddressRequest{AddressId: want.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, same.GetAddress(), protocmp.Transform()); diff != "" {
		t.Errorf("updated with nothing (-want +got):\n%s", diff)
	}
	// An order-service asks with the customer's token.
	read, err := s.addressBook(t, "order-service").GetAddress(ctx, &userv1.GetAddressRequest{AddressId: want.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, read.GetAddress(), protocmp.Transform()); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}

	first.IsDefault = false
	listed, err := book.ListAddresses(ctx, &userv1.ListAddressesRequest{IncludeTotal: true})
	if err != nil {
		t.Fatal(err)
	}
	all := &userv1.ListAddressesResponse{Addresses: []*userv1.Address{first, want}, TotalSize: new(int64(2))}
	if diff := cmp.Diff(all, listed, protocmp.Transform()); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	page, err := book.ListAddresses(ctx, &userv1.ListAddressesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	next, err := book.ListAddresses(ctx, &userv1.ListAddressesRequest{PageSize: 1, PageToken: page.GetNextPageToken()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&userv1.ListAddressesResponse{Addresses: all.GetAddresses()[1:]}, next, protocmp.Transform()); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}

	if _, err := book.DeleteAddress(ctx, &userv1.DeleteAddressRequest{AddressId: want.GetId()}); err != nil {
		t.Fatal(err)
	}
	first.IsDefault = true
	left, err := book.ListAddresses(ctx, &userv1.ListAddressesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&userv1.ListAddressesResponse{Addresses: []*userv1.Address{first}}, left, protocmp.Transform()); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestAddressRefusals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, book := with(t.Context(), s.customer(t, address)), s.addressBook(t, "api-gateway")
	created, err := book.CreateAddress(ctx, home())
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetAddress().GetId()
	create := func(r *userv1.CreateAddressRequest) error { _, err := book.CreateAddress(ctx, r); return err }
	update := func(r *userv1.UpdateAddressRequest) error {
		r.AddressId = id
		_, err := book.UpdateAddress(ctx, r)
		return err
	}
	list := func(r *userv1.ListAddressesRequest) error { _, err := book.ListAddresses(ctx, r); return err }
	for _, tc := range []struct {
		name string
		err  error
		want []string
	}{
		{"nothing", create(&userv1.CreateAddressRequest{}), []string{"recipient", "line1", "city", "country"}},
		{"nonsense", create(&userv1.CreateAddressRequest{
			Recipient: "a\x00b", Line1: " ", City: "\u202Enna", Country: "DE", PostalCode: "ABC", Phone: "call me",
		}), []string{"recipient", "line1", "city", "postal_code", "phone"}},
		{"too much", create(&userv1.CreateAddressRequest{Label: strings.Repeat("ä", 101), Country: "DEU"}), []string{"label", "country"}},
		{"small letters", create(&userv1.CreateAddressRequest{Recipient: "A", Line1: "B", City: "C", Country: "de"}), []string{"country"}},
		{"a blank change", update(&userv1.UpdateAddressRequest{City: new(""), PostalCode: new("")}), []string{"city", "postal_code"}},
		{"no default", update(&userv1.UpdateAddressRequest{IsDefault: new(false)}), []string{"is_default"}},
		{"a page of too many", list(&userv1.ListAddressesRequest{PageSize: 101}), []string{"page_size"}},
		{"a page token that is none", list(&userv1.ListAddressesRequest{PageToken: "Zm9v"}), []string{"page_token"}},
	} {
		var got []string
		for _, v := range apperr.From(tc.err).Violations {
			got = append(got, v.Location)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: error %v, locations (-want +got):\n%s", tc.name, tc.err, diff)
		}
		wantErr(t, tc.name, tc.err, apperr.Invalid, "validation_failed")
	}
	_, err = book.GetAddress(ctx, &userv1.GetAddressRequest{AddressId: "1 OR 1=1"})
	wantErr(t, "no id", err, apperr.Invalid, "validation_failed")
	for range 19 {
		if err := create(home()); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "the 21st", create(home()), apperr.Invalid, "address_limit")
}

// Another's address is answered in the very words of one that is not there.
func TestAddressesOfOthers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	book := s.addressBook(t, "api-gateway")
	ann, bob := with(t.Context(), s.customer(t, address)), with(t.Context(), s.customer(t, "bob@example.com"))
	created, err := book.CreateAddress(ann, home())
	if err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func(id string) error{
		"get": func(id string) error {
			_, err := book.GetAddress(bob, &userv1.GetAddressRequest{AddressId: id})
			return err
		},
		"get for an order": func(id string) error {
			_, err := s.addressBook(t, "order-service").GetAddress(bob, &userv1.GetAddressRequest{AddressId: id})
			return err
		},
		"update": func(id string) error {
			_, err := book.UpdateAddress(bob, &userv1.UpdateAddressRequest{AddressId: id, Label: new("mine")})
			return err
		},
		"delete": func(id string) error {
			_, err := book.DeleteAddress(bob, &userv1.DeleteAddressRequest{AddressId: id})
			return err
		},
	} {
		there, absent := do(created.GetAddress().GetId()), do(uuid.NewString())
		wantErr(t, what, there, apperr.NotFound, "not_found")
		if there.Error() != absent.Error() {
			t.Errorf("%s: %q, but of no address %q", what, there, absent)
		}
	}
	if got, err := book.ListAddresses(bob, &userv1.ListAddressesRequest{IncludeTotal: true}); err != nil || len(got.GetAddresses()) != 0 || got.GetTotalSize() != 0 {
		t.Errorf("list: %v, error %v; want none", got, err)
	}
	got, err := book.GetAddress(ann, &userv1.GetAddressRequest{AddressId: created.GetAddress().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(created.GetAddress(), got.GetAddress(), protocmp.Transform()); diff != "" {
		t.Errorf("Ann's address (-want +got):\n%s", diff)
	}

	_, list := book.ListAddresses(t.Context(), &userv1.ListAddressesRequest{})
	wantErr(t, "anonymous list", list, apperr.Unauthenticated, "unauthenticated")
	_, get := s.addressBook(t, "order-service").GetAddress(t.Context(), &userv1.GetAddressRequest{AddressId: created.GetAddress().GetId()})
	wantErr(t, "anonymous get", get, apperr.Unauthenticated, "unauthenticated")
}

// At the most talkative level, nothing of an address reaches the log, neither of a good one nor of one that is refused.
func TestNoAddressesInLogs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, book := with(t.Context(), s.customer(t, address)), s.addressBook(t, "api-gateway")
	created, err := book.CreateAddress(ctx, home())
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetAddress().GetId()
	bad := home()
	bad.PostalCode, bad.City, bad.Phone = "QQ-SECRET", "Gotham\x00", "call-SECRET"
	_, err = book.CreateAddress(ctx, bad)
	wantErr(t, "create", err, apperr.Invalid, "validation_failed")
	for _, v := range apperr.From(err).Violations {
		if strings.Contains(v.Message, "SECRET") || strings.Contains(v.Message, "Gotham") {
			t.Errorf("the answer repeats what was sent: %+v", v)
		}
	}
	_, err = book.UpdateAddress(ctx, &userv1.UpdateAddressRequest{AddressId: id, Recipient: new(strings.Repeat("Gotham", 50))})
	wantErr(t, "update", err, apperr.Invalid, "validation_failed")
	if _, err := book.UpdateAddress(ctx, &userv1.UpdateAddressRequest{AddressId: id, City: new("Gotham")}); err != nil {
		t.Fatal(err)
	}
	if _, err := book.DeleteAddress(ctx, &userv1.DeleteAddressRequest{AddressId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = book.GetAddress(ctx, &userv1.GetAddressRequest{AddressId: id})
	wantErr(t, "get", err, apperr.NotFound, "not_found")

	log := s.log.String()
	if !strings.Contains(log, "CreateAddress") || !strings.Contains(log, "validation_failed") {
		t.Fatalf("the log is not the one that is meant:\n%s", log)
	}
	for _, leak := range []string{"Home", "Ångström", "Hauptstraße", "2. Stock", "Köln", "NRW", "50667", "+49 221", "SECRET", "Gotham"} {
		if strings.Contains(log, leak) {
			t.Errorf("%q was logged", leak)
		}
	}
}
