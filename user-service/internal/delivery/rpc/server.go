// Package rpc is the door of user-service for other services.
package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/usecase"
)

// KeySet answers the public keys as a JSON Web Key Set.
type KeySet interface{ KeySet() ([]byte, error) }

// Register adds the services of user-service to a server.
func Register(r grpc.ServiceRegistrar, sessions *usecase.Sessions, users *usecase.Users, keys KeySet) {
	userv1.RegisterAuthServiceServer(r, &authServer{sessions: sessions, keys: keys})
	userv1.RegisterUserServiceServer(r, &userServer{users: users})
}

type authServer struct {
	userv1.UnimplementedAuthServiceServer
	sessions *usecase.Sessions
	keys     KeySet
}

func (s *authServer) Register(ctx context.Context, r *userv1.RegisterRequest) (*userv1.RegisterResponse, error) {
	grant, err := s.sessions.Register(ctx, usecase.Register{
		Email: r.GetEmail(), Password: r.GetPassword(), Name: r.GetName(), Device: toDevice(r.GetDevice()),
	})
	if err != nil {
		return nil, err
	}
	return &userv1.RegisterResponse{User: fromUser(grant.User), Tokens: fromGrant(grant)}, nil
}

func (s *authServer) Login(ctx context.Context, r *userv1.LoginRequest) (*userv1.LoginResponse, error) {
	grant, err := s.sessions.Login(ctx, usecase.Login{
		Email: r.GetEmail(), Password: r.GetPassword(), Device: toDevice(r.GetDevice()),
	})
	if err != nil {
		return nil, err
	}
	return &userv1.LoginResponse{User: fromUser(grant.User), Tokens: fromGrant(grant)}, nil
}

func (s *authServer) Refresh(ctx context.Context, r *userv1.RefreshRequest) (*userv1.RefreshResponse, error) {
	grant, err := s.sessions.Refresh(ctx, r.GetRefreshToken(), toDevice(r.GetDevice()))
	if err != nil {
		return nil, err
	}
	return &userv1.RefreshResponse{User: fromUser(grant.User), Tokens: fromGrant(grant)}, nil
}

func (s *authServer) Logout(ctx context.Context, _ *userv1.LogoutRequest) (*userv1.LogoutResponse, error) {
	if err := s.sessions.Logout(ctx); err != nil {
		return nil, err
	}
	return &userv1.LogoutResponse{}, nil
}

func (s *authServer) GetSigningKeys(context.Context, *userv1.GetSigningKeysRequest) (*userv1.GetSigningKeysResponse, error) {
	jwks, err := s.keys.KeySet()
	if err != nil {
		return nil, err
	}
	return &userv1.GetSigningKeysResponse{Jwks: jwks}, nil
}

func (s *authServer) ListEndedSessions(ctx context.Context, r *userv1.ListEndedSessionsRequest) (*userv1.ListEndedSessionsResponse, error) {
	ended, next, err := s.sessions.Ended(ctx, toTime(r.GetSince()))
	if err != nil {
		return nil, err
	}
	return &userv1.ListEndedSessionsResponse{SessionIds: ended, NextSince: timestamppb.New(next)}, nil
}

type userServer struct {
	userv1.UnimplementedUserServiceServer
	users *usecase.Users
}

func (s *userServer) GetUser(ctx context.Context, r *userv1.GetUserRequest) (*userv1.GetUserResponse, error) {
	id, err := toUserID(r.GetUserId())
	if err != nil {
		return nil, err
	}
	user, err := s.users.User(ctx, id)
	if err != nil {
		return nil, err
	}
	return &userv1.GetUserResponse{User: fromUser(user)}, nil
}

func (s *userServer) GetUserStatus(ctx context.Context, r *userv1.GetUserStatusRequest) (*userv1.GetUserStatusResponse, error) {
	id, err := toUserID(r.GetUserId())
	if err != nil {
		return nil, err
	}
	status, err := s.users.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	return &userv1.GetUserStatusResponse{Status: fromStatus(status)}, nil
}
