package domain_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
)

func TestDeliverable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*domain.Address)
		want   []string
	}{
		{"as it should be", func(*domain.Address) {}, nil},
		{"without a postal code, as in Hong Kong", func(a *domain.Address) { a.PostalCode, a.Country = "", "HK" }, nil},
		{"blank lines", func(a *domain.Address) { a.Recipient, a.Line1, a.City = " ", " ", "\u00a0" },
			[]string{"shipping_address.recipient", "shipping_address.line1", "shipping_address.city"}},
		{"more than a line", func(a *domain.Address) { a.Recipient, a.Line2, a.Phone = "Zo\n\u00eb", "Flat 1\u2028", "0221\a" },
			[]string{"shipping_address.recipient", "shipping_address.line2", "shipping_address.phone"}},
		{"a country that is none", func(a *domain.Address) { a.Country = "ZZ" }, []string{"shipping_address.country"}},
		{"a code that is not the one", func(a *domain.Address) { a.Country = "UK" }, []string{"shipping_address.country"}},
		{"small letters", func(a *domain.Address) { a.Country = "de" }, []string{"shipping_address.country"}},
		{"another country's postal code", func(a *domain.Address) { a.Country = "GB" }, []string{"shipping_address.postal_code"}},
		{"no postal code where all have one", func(a *domain.Address) { a.PostalCode = " " }, []string{"shipping_address.postal_code"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			address := domain.Address{Recipient: "Zoë", Line1: "1 Main St", City: "Köln", PostalCode: "50667", Country: "DE"}
			tc.change(&address)
			var got []string
			if _, err := address.Deliverable(); err != nil {
				if apperr.KindOf(err) != apperr.Invalid {
					t.Error(err)
				}
				for _, v := range apperr.From(err).Violations {
					got = append(got, v.Location)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeliverableWritesThePostalCodeAsItsCountryDoes(t *testing.T) {
	t.Parallel()
	want := domain.Address{Recipient: "Zoë", Line1: "1 Main St", City: "London", PostalCode: "SW1A 1AA", Country: "GB"}
	given := want
	given.PostalCode = "  sw1a  1aa "
	got, err := given.Deliverable()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
