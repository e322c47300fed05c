package usecase_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
)

// An order keeps the address as it was at purchase, and so does the answer to its key, whatever becomes of the address book.
func TestPlaceByAddressID(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	first := s.place(t, s.wishByID(tokOK))
	if first.Order.Status != domain.Confirmed || first.Order.ShippingAddress != officeAddress {
		t.Errorf("%s, to %+v; want it confirmed, to %+v", first.Order.Status, first.Order.ShippingAddress, officeAddress)
	}
	for _, step := range []struct {
		name   string
		change func()
	}{
		{"changed", func() { s.books.Put(s.customer, s.office, domain.Address{Recipient: "Bob"}) }},
		{"removed", func() { s.books.Remove(s.customer, s.office) }},
	} {
		step.change()
		if got := s.order(t, first.Order.ID).ShippingAddress; got != officeAddress {
			t.Errorf("%s: the order goes to %+v", step.name, got)
		}
		want := first
		want.Replayed = true
		if diff := cmp.Diff(want, s.place(t, s.wishByID(tokOK)), moneyIsAValue); diff != "" {
			t.Errorf("%s: the second answer (-want +got):\n%s", step.name, diff)
		}
	}
	again := s.wishByID(tokOK)
	again.Key, again.Items = "another", []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	if _, err := s.healthy().Place(s.ctx(t), again); !errors.Is(err, domain.ErrAddressMissing) {
		t.Errorf("a new order: %v, want %v", err, domain.ErrAddressMissing)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

func TestOneDestination(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*shop, *usecase.PlaceOrder)
		want   []string
	}{
		{"none", func(_ *shop, w *usecase.PlaceOrder) { w.AddressID = uuid.Nil }, []string{"shipping_address"}},
		{"given, with a postal code that is none there", func(_ *shop, w *usecase.PlaceOrder) {
			w.AddressID, w.Address = uuid.Nil, officeAddress
			w.Address.PostalCode = "10115"
		}, []string{"shipping_address.postal_code"}},
		{"two", func(_ *shop, w *usecase.PlaceOrder) { w.Address = officeAddress }, []string{"address_id", "shipping_address"}},
		{"unknown", func(_ *shop, w *usecase.PlaceOrder) { w.AddressID = uuid.New() }, []string{"address_id"}},
		{"another customer's", func(s *shop, w *usecase.PlaceOrder) {
			w.AddressID = uuid.New()
			s.books.Put(uuid.New(), w.AddressID, officeAddress)
		}, []string{"address_id"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			wish := s.wishByID(tokOK)
			tc.change(s, &wish)
			_, err := s.healthy().Place(s.ctx(t), wish)
			var locations []string
			for _, v := range refused(t, err, apperr.ValidationFailed()).Violations {
				locations = append(locations, v.Location)
			}
			if diff := cmp.Diff(tc.want, locations); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			s.untouched(t, wish.Key)
		})
	}
}

// untouched checks that a refused wish has left nothing: no order, no promise, and a key that can be used.
func (s *shop) untouched(t *testing.T, key string) {
	t.Helper()
	s.nothingBought(t)
	if _, err := s.store.FindAttempt(t.Context(), s.customer, key); !errors.Is(err, usecase.ErrNoAttempt) {
		t.Errorf("the key: %v, want %v", err, usecase.ErrNoAttempt)
	}
}

func (s *shop) nothingBought(t *testing.T) {
	t.Helper()
	if n := len(s.orders(t)); n != 0 {
		t.Errorf("it left %d orders", n)
	}
	if s.provider.Calls() != 0 || len(s.stock.Orders()) != 0 {
		t.Error("it asked for money or pieces")
	}
}

// Without user-service an order needs an address of its own. One that names an entry of the address book is refused before
// anything is done, and goes through under the same key when user-service is back.
func TestAddressBookAway(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	away := s.process(CantReach(errAway, "users.Active", "addresses.Address"))
	_, err := away.Place(s.ctx(t), s.wishByID(tokOK))
	if apperr.KindOf(err) != apperr.Unavailable || apperr.ReasonOf(err) != "dependency_unavailable" {
		t.Errorf("error %v (%v, %s), want that something is away", err, apperr.KindOf(err), apperr.ReasonOf(err))
	}
	s.untouched(t, "key")

	given := s.wish(tokOK)
	given.Key, given.Items = "given", []usecase.Line{{ProductID: s.cup, Quantity: 1}}
	if placed, err := away.Place(s.ctx(t), given); err != nil || placed.Order.Status != domain.Confirmed {
		t.Errorf("with an address in the request: %v, %s", err, placed.Order.Status)
	}
	if placed := s.place(t, s.wishByID(tokOK)); placed.Order.Status != domain.Confirmed || placed.Replayed {
		t.Errorf("when it is back: %s, replayed %v", placed.Order.Status, placed.Replayed)
	}
	s.work(t, s.healthy(), time.Minute)
	s.agrees(t)
}

// The address is asked for beside the other questions, not before or after them: each waits here until all are asked.
func TestAddressIsAskedForInParallel(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	var asked sync.WaitGroup
	questions := map[string]bool{"users.Active": true, "addresses.Address": true, "carts.Lines": true}
	asked.Add(len(questions))
	patient := s.process(Faults{Before: func(call string) error {
		if !questions[call] {
			return nil
		}
		asked.Done()
		all := make(chan struct{})
		go func() { asked.Wait(); close(all) }()
		select {
		case <-all:
			return nil
		case <-time.After(10 * time.Second): // many times what a start of three goroutines takes
			return errors.New(call + " waits for the others")
		}
	}})
	if _, err := patient.Place(s.ctx(t), s.wishByID(tokOK)); err != nil {
		t.Error(err)
	}
}

// An address in the request is nothing to ask for.
func TestGivenAddressIsNotAskedFor(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	placed, err := s.process(CantReach(errors.New("nobody should ask"), "addresses.Address")).Place(s.ctx(t), s.wish(tokOK))
	if err != nil || placed.Order.Status != domain.Confirmed {
		t.Errorf("%v, %s", err, placed.Order.Status)
	}
}

// A key that was used before orders could name an address is still known by the fingerprint of then.
func TestFingerprintOfGivenAddressStays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.place(t, s.wish(tokOK))
	attempt, err := s.store.FindAttempt(t.Context(), s.customer, "key")
	if err != nil {
		t.Fatal(err)
	}
	const before = "b33e9512b59c2020787edcc7891159c3d2ba7f8e1cf29a49d10473679c6f76e0"
	if attempt.Fingerprint != before {
		t.Errorf("fingerprint %s, want %s", attempt.Fingerprint, before)
	}
}

// Given or named, an address is kept as the address book would keep it.
func TestPostalCodeIsWrittenAsItsCountryDoes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	wish := s.wish(tokOK)
	wish.Address = officeAddress
	wish.Address.PostalCode = "sw1a  1aa"
	if got := s.order(t, s.place(t, wish).Order.ID).ShippingAddress; got != officeAddress {
		t.Errorf("it goes to %+v, want %+v", got, officeAddress)
	}
}
