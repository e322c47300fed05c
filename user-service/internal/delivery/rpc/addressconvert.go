package rpc

import (
	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

func toAddressText(r *userv1.CreateAddressRequest) domain.AddressText {
	return domain.AddressText{
		Label: r.GetLabel(), Recipient: r.GetRecipient(), Line1: r.GetLine1(), Line2: r.GetLine2(), City: r.GetCity(),
		Region: r.GetRegion(), PostalCode: r.GetPostalCode(), Country: r.GetCountry(), Phone: r.GetPhone(),
	}
}

// toAddressChange takes what is set; the getters can't tell.
func toAddressChange(r *userv1.UpdateAddressRequest) domain.AddressChange {
	return domain.AddressChange{
		Label: r.Label, Recipient: r.Recipient, Line1: r.Line1, Line2: r.Line2, City: r.City, Region: r.Region,
		PostalCode: r.PostalCode, Country: r.Country, Phone: r.Phone, IsDefault: r.IsDefault,
	}
}

func fromAddress(address *domain.Address) *userv1.Address {
	a := address.Snapshot()
	return &userv1.Address{
		Id: a.ID.String(), Label: a.Label, Recipient: a.Recipient, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region,
		PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone, IsDefault: a.IsDefault,
	}
}

func fromAddressPage(page usecase.PageOf[*domain.Address]) *userv1.ListAddressesResponse {
	answer := &userv1.ListAddressesResponse{NextPageToken: page.NextPageToken, TotalSize: page.Total}
	for _, a := range page.Items {
		answer.Addresses = append(answer.Addresses, fromAddress(a))
	}
	return answer
}
