package rpc

import (
	"context"

	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/usecase"
)

type addressServer struct {
	userv1.UnimplementedAddressServiceServer
	addresses *usecase.Addresses
}

func (s *addressServer) ListAddresses(ctx context.Context, r *userv1.ListAddressesRequest) (*userv1.ListAddressesResponse, error) {
	page, err := s.addresses.List(ctx, usecase.Page{Size: int(r.GetPageSize()), Token: r.GetPageToken(), IncludeTotal: r.GetIncludeTotal()})
	if err != nil {
		return nil, err
	}
	return fromAddressPage(page), nil
}

func (s *addressServer) GetAddress(ctx context.Context, r *userv1.GetAddressRequest) (*userv1.GetAddressResponse, error) {
	id, err := toID("address_id", r.GetAddressId())
	if err != nil {
		return nil, err
	}
	address, err := s.addresses.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return &userv1.GetAddressResponse{Address: fromAddress(address)}, nil
}

func (s *addressServer) CreateAddress(ctx context.Context, r *userv1.CreateAddressRequest) (*userv1.CreateAddressResponse, error) {
	address, err := s.addresses.Create(ctx, toAddressText(r), r.GetIsDefault())
	if err != nil {
		return nil, err
	}
	return &userv1.CreateAddressResponse{Address: fromAddress(address)}, nil
}

func (s *addressServer) UpdateAddress(ctx context.Context, r *userv1.UpdateAddressRequest) (*userv1.UpdateAddressResponse, error) {
	id, err := toID("address_id", r.GetAddressId())
	if err != nil {
		return nil, err
	}
	address, err := s.addresses.Update(ctx, id, toAddressChange(r))
	if err != nil {
		return nil, err
	}
	return &userv1.UpdateAddressResponse{Address: fromAddress(address)}, nil
}

func (s *addressServer) DeleteAddress(ctx context.Context, r *userv1.DeleteAddressRequest) (*userv1.DeleteAddressResponse, error) {
	id, err := toID("address_id", r.GetAddressId())
	if err != nil {
		return nil, err
	}
	if err := s.addresses.Delete(ctx, id); err != nil {
		return nil, err
	}
	return &userv1.DeleteAddressResponse{}, nil
}
