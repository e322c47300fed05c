package rpc

import (
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	userv1 "shop.example/proto/user/v1"
)

// Policy is who may call what.
var Policy = grpcserver.Policy{
	userv1.AuthService_Register_FullMethodName:         {Callers: []string{grpcserver.Gateway}},
	userv1.AuthService_Login_FullMethodName:            {Callers: []string{grpcserver.Gateway}},
	userv1.AuthService_Refresh_FullMethodName:          {Callers: []string{grpcserver.Gateway}},
	userv1.AuthService_Logout_FullMethodName:           {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.AuthService_ListSessions_FullMethodName:     {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.AuthService_EndSession_FullMethodName:       {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.AuthService_EndOtherSessions_FullMethodName: {Callers: []string{grpcserver.Gateway}, User: true},
	// Everybody verifies access tokens, whatever flood there is.
	userv1.AuthService_GetSigningKeys_FullMethodName: {Vital: true, Callers: []string{
		grpcserver.Gateway, grpcserver.ProductService, grpcserver.CartService, grpcserver.OrderService,
	}},
	userv1.AuthService_ListEndedSessions_FullMethodName: {Vital: true, Callers: []string{
		grpcserver.Gateway, grpcserver.ProductService, grpcserver.CartService, grpcserver.OrderService,
	}},

	userv1.UserService_GetUser_FullMethodName:        {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.UserService_UpdateProfile_FullMethodName:  {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.UserService_ChangePassword_FullMethodName: {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.UserService_DeleteAccount_FullMethodName:  {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.UserService_ListUsers_FullMethodName:      {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	userv1.UserService_SetUserAccess_FullMethodName:  {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	userv1.UserService_DeleteUser_FullMethodName:     {Callers: []string{grpcserver.Gateway}, Role: auth.Admin},
	// Whoever keeps something by the ids of users.
	userv1.UserService_ListDeletedUsers_FullMethodName: {Callers: []string{grpcserver.CartService}},
	userv1.UserService_GetUserStatus_FullMethodName:    {Callers: []string{grpcserver.CartService, grpcserver.OrderService}},

	userv1.AddressService_ListAddresses_FullMethodName: {Callers: []string{grpcserver.Gateway}, User: true},
	// An order goes to an address that its customer names by the id.
	userv1.AddressService_GetAddress_FullMethodName:    {Callers: []string{grpcserver.Gateway, grpcserver.OrderService}, User: true},
	userv1.AddressService_CreateAddress_FullMethodName: {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.AddressService_UpdateAddress_FullMethodName: {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.AddressService_DeleteAddress_FullMethodName: {Callers: []string{grpcserver.Gateway}, User: true},
}
