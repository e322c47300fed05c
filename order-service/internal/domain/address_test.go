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
		{"blank lines", func(a *domain.Address) { a.Recipient, a.Line1, a.City = " ", "\t", "\u00a0" },
			[]string{"shipping_address.recipient", "shipping_address.line1", "shipping_address.city"}},
		{"a country that is none", func(a *domain.Address) { a.Country = "ZZ" }, []string{"shipping_address.country"}},
		{"a code that is not the one", func(a *domain.Address) { a.Country = "UK" }, []string{"shipping_address.country"}},
		{"small letters", func(a *domain.Address) { a.Country = "de" }, []string{"shipping_address.country"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			address := domain.Address{Recipient: "Zoë", Line1: "1 Main St", City: "Köln", PostalCode: "50667", Country: "DE"}
			tc.change(&address)
			var got []string
			if err := address.Deliverable(); err != nil {
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
