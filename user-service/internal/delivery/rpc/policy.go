package rpc

import (
	"shop.example/platform/grpcserver"
	userv1 "shop.example/proto/user/v1"
)

// Policy is who may call what.
var Policy = grpcserver.Policy{
	userv1.AuthService_Register_FullMethodName: {Callers: []string{grpcserver.Gateway}},
	userv1.AuthService_Login_FullMethodName:    {Callers: []string{grpcserver.Gateway}},
	userv1.AuthService_Refresh_FullMethodName:  {Callers: []string{grpcserver.Gateway}},
	userv1.AuthService_Logout_FullMethodName:   {Callers: []string{grpcserver.Gateway}, User: true},
	// Everybody verifies access tokens.
	userv1.AuthService_GetSigningKeys_FullMethodName: {Callers: []string{
		grpcserver.Gateway, grpcserver.ProductService, grpcserver.CartService, grpcserver.OrderService,
	}},
	userv1.AuthService_ListEndedSessions_FullMethodName: {Callers: []string{
		grpcserver.Gateway, grpcserver.ProductService, grpcserver.CartService, grpcserver.OrderService,
	}},

	userv1.UserService_GetUser_FullMethodName:       {Callers: []string{grpcserver.Gateway}, User: true},
	userv1.UserService_GetUserStatus_FullMethodName: {Callers: []string{grpcserver.CartService, grpcserver.OrderService}},
}
