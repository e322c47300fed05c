// Package rpc is the door of user-service for other services.
package rpc

import (
	"context"

	"google.golang.org/grpc"

	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/usecase"
)

// KeySet answers the public keys as a JSON Web Key Set.
type KeySet interface{ KeySet() ([]byte, error) }

// UseCases are what stands behind the door.
type UseCases struct {
	Sessions       *usecase.Sessions
	Users          *usecase.Users
	Profiles       *usecase.Profiles
	Administration *usecase.Administration
	Addresses      *usecase.Addresses
	Deletions      *usecase.Deletions
}

// Register adds the services of user-service to a server.
func Register(r grpc.ServiceRegistrar, u UseCases, keys KeySet) {
	userv1.RegisterAuthServiceServer(r, &authServer{sessions: u.Sessions, keys: keys})
	userv1.RegisterUserServiceServer(r, &userServer{
		users: u.Users, profiles: u.Profiles, administration: u.Administration, deletions: u.Deletions,
	})
	userv1.RegisterAddressServiceServer(r, &addressServer{addresses: u.Addresses})
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
	grant, err := s.sessions.Refresh(ctx, usecase.Refresh{
		RefreshToken: r.GetRefreshToken(), IdempotencyKey: r.GetIdempotencyKey(), Device: toDevice(r.GetDevice()),
	})
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

func (s *authServer) ListSessions(ctx context.Context, r *userv1.ListSessionsRequest) (*userv1.ListSessionsResponse, error) {
	page, err := s.sessions.List(ctx, usecase.Page{Size: int(r.GetPageSize()), Token: r.GetPageToken(), IncludeTotal: r.GetIncludeTotal()})
	if err != nil {
		return nil, err
	}
	return fromSessionPage(page), nil
}

func (s *authServer) EndSession(ctx context.Context, r *userv1.EndSessionRequest) (*userv1.EndSessionResponse, error) {
	id, err := toID("session_id", r.GetSessionId())
	if err != nil {
		return nil, err
	}
	if err := s.sessions.End(ctx, id); err != nil {
		return nil, err
	}
	return &userv1.EndSessionResponse{}, nil
}

func (s *authServer) EndOtherSessions(ctx context.Context, _ *userv1.EndOtherSessionsRequest) (*userv1.EndOtherSessionsResponse, error) {
	if err := s.sessions.EndOthers(ctx); err != nil {
		return nil, err
	}
	return &userv1.EndOtherSessionsResponse{}, nil
}

func (s *authServer) GetSigningKeys(context.Context, *userv1.GetSigningKeysRequest) (*userv1.GetSigningKeysResponse, error) {
	jwks, err := s.keys.KeySet()
	if err != nil {
		return nil, err
	}
	return &userv1.GetSigningKeysResponse{Jwks: jwks}, nil
}

func (s *authServer) ListEndedSessions(ctx context.Context, r *userv1.ListEndedSessionsRequest) (*userv1.ListEndedSessionsResponse, error) {
	changes, err := s.sessions.Changes(ctx, toTime(r.GetSince()))
	if err != nil {
		return nil, err
	}
	return fromChanges(changes), nil
}
