package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	userv1 "shop.example/proto/user/v1"
)

// Address is an entry of an address book.
type Address struct {
	ID         string `json:"id" format:"uuid"`
	Label      string `json:"label"`
	Recipient  string `json:"recipient"`
	Line1      string `json:"line1"`
	Line2      string `json:"line2"`
	City       string `json:"city"`
	Region     string `json:"region"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country" doc:"ISO 3166-1 alpha-2."`
	Phone      string `json:"phone"`
	IsDefault  bool   `json:"is_default" doc:"One address of a book is the default one."`
}

type createAddressInput struct {
	Body struct {
		Label      string `json:"label,omitempty" maxLength:"100" doc:"What its owner calls it." example:"Home"`
		Recipient  string `json:"recipient" minLength:"1" maxLength:"200" example:"Ada Lovelace"`
		Line1      string `json:"line1" minLength:"1" maxLength:"200" example:"12 St James's Square"`
		Line2      string `json:"line2,omitempty" maxLength:"200"`
		City       string `json:"city" minLength:"1" maxLength:"100" example:"London"`
		Region     string `json:"region,omitempty" maxLength:"100"`
		PostalCode string `json:"postal_code,omitempty" maxLength:"20" doc:"As its country writes it." example:"SW1Y 4JH"`
		Country    string `json:"country" pattern:"^[A-Z]{2}$" doc:"ISO 3166-1 alpha-2." example:"GB"`
		Phone      string `json:"phone,omitempty" maxLength:"40" example:"+44 20 7930 0000"`
		IsDefault  bool   `json:"is_default,omitempty" doc:"The first address is the default one in any case." example:"true"`
	} `nameHint:"NewAddress"`
}

type updateAddressInput struct {
	ByID
	Body struct {
		Label      *string `json:"label,omitempty" maxLength:"100" example:"Office"`
		Recipient  *string `json:"recipient,omitempty" minLength:"1" maxLength:"200"`
		Line1      *string `json:"line1,omitempty" minLength:"1" maxLength:"200"`
		Line2      *string `json:"line2,omitempty" maxLength:"200" example:"2nd floor"`
		City       *string `json:"city,omitempty" minLength:"1" maxLength:"100"`
		Region     *string `json:"region,omitempty" maxLength:"100"`
		PostalCode *string `json:"postal_code,omitempty" maxLength:"20"`
		Country    *string `json:"country,omitempty" pattern:"^[A-Z]{2}$" doc:"ISO 3166-1 alpha-2."`
		Phone      *string `json:"phone,omitempty" maxLength:"40"`
		IsDefault  *bool   `json:"is_default,omitempty" doc:"true makes it the default one in place of the other; false is refused for the default one, because another must take its place."`
	} `nameHint:"AddressChange"`
}

type addressOutput struct{ Body Address }

type createAddressOutput struct {
	Location string `header:"Location"`
	Body     Address
}

type listAddressesOutput struct{ Body Page[Address] }

func (s *Server) registerAddresses() {
	tags, path := []string{"addresses"}, base+"/users/me/addresses"
	register(s, huma.Operation{
		OperationID: "list-addresses", Method: http.MethodGet, Path: path,
		Summary: "My address book, in the order in which it was written", Tags: tags,
	}, s.listAddresses)
	register(s, huma.Operation{
		OperationID: "create-address", Method: http.MethodPost, Path: path, DefaultStatus: http.StatusCreated,
		Summary: "Add an address", Tags: tags,
		Description: "A book holds at most 20: one more is 422 `address_limit`.",
	}, s.createAddress, "address_limit")
	register(s, huma.Operation{
		OperationID: "get-address", Method: http.MethodGet, Path: path + "/{id}",
		Summary: "An address", Tags: tags,
	}, s.getAddress)
	register(s, huma.Operation{
		OperationID: "update-address", Method: http.MethodPatch, Path: path + "/{id}",
		Summary: "Change an address", Tags: tags,
		Description: "What is left out stays as it is. Orders keep the address that they were placed with.",
		Metadata:    map[string]any{metaExample: exampleOffice},
	}, s.updateAddress)
	register(s, huma.Operation{
		OperationID: "delete-address", Method: http.MethodDelete, Path: path + "/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Remove an address", Tags: tags,
		Description: "If it was the default one, the oldest of the others takes its place.",
	}, s.deleteAddress)
}

func (s *Server) listAddresses(ctx context.Context, in *Paging) (*listAddressesOutput, error) {
	answer, err := s.services.Addresses.ListAddresses(ctx, &userv1.ListAddressesRequest{
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listAddressesOutput{Body: Page[Address]{
		Items: convertAll(answer.GetAddresses(), addressOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) createAddress(ctx context.Context, in *createAddressInput) (*createAddressOutput, error) {
	b := in.Body
	answer, err := s.services.Addresses.CreateAddress(ctx, &userv1.CreateAddressRequest{
		Label: b.Label, Recipient: b.Recipient, Line1: b.Line1, Line2: b.Line2, City: b.City, Region: b.Region,
		PostalCode: b.PostalCode, Country: b.Country, Phone: b.Phone, IsDefault: b.IsDefault,
	})
	if err != nil {
		return nil, err
	}
	a := addressOf(answer.GetAddress())
	return &createAddressOutput{Location: locationOf("users/me/addresses", a.ID), Body: a}, nil
}

func (s *Server) getAddress(ctx context.Context, in *ByID) (*addressOutput, error) {
	answer, err := s.services.Addresses.GetAddress(ctx, &userv1.GetAddressRequest{AddressId: in.ID})
	if err != nil {
		return nil, err
	}
	return &addressOutput{Body: addressOf(answer.GetAddress())}, nil
}

func (s *Server) updateAddress(ctx context.Context, in *updateAddressInput) (*addressOutput, error) {
	b := in.Body
	answer, err := s.services.Addresses.UpdateAddress(ctx, &userv1.UpdateAddressRequest{
		AddressId: in.ID,
		Label:     b.Label, Recipient: b.Recipient, Line1: b.Line1, Line2: b.Line2, City: b.City, Region: b.Region,
		PostalCode: b.PostalCode, Country: b.Country, Phone: b.Phone, IsDefault: b.IsDefault,
	})
	if err != nil {
		return nil, err
	}
	return &addressOutput{Body: addressOf(answer.GetAddress())}, nil
}

func (s *Server) deleteAddress(ctx context.Context, in *ByID) (*noOutput, error) {
	_, err := s.services.Addresses.DeleteAddress(ctx, &userv1.DeleteAddressRequest{AddressId: in.ID})
	return &noOutput{}, err
}

func addressOf(a *userv1.Address) Address {
	return Address{
		ID: a.GetId(), Label: a.GetLabel(), Recipient: a.GetRecipient(), Line1: a.GetLine1(), Line2: a.GetLine2(),
		City: a.GetCity(), Region: a.GetRegion(), PostalCode: a.GetPostalCode(), Country: a.GetCountry(), Phone: a.GetPhone(),
		IsDefault: a.GetIsDefault(),
	}
}
