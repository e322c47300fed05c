package rpc

import (
	"context"

	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/usecase"
)

type userServer struct {
	userv1.UnimplementedUserServiceServer
	users          *usecase.Users
	profiles       *usecase.Profiles
	administration *usecase.Administration
	deletions      *usecase.Deletions
}

func (s *userServer) GetUser(ctx context.Context, r *userv1.GetUserRequest) (*userv1.GetUserResponse, error) {
	id, err := toID("user_id", r.GetUserId())
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
	id, err := toID("user_id", r.GetUserId())
	if err != nil {
		return nil, err
	}
	status, err := s.users.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	return &userv1.GetUserStatusResponse{Status: fromStatus(status)}, nil
}

func (s *userServer) UpdateProfile(ctx context.Context, r *userv1.UpdateProfileRequest) (*userv1.UpdateProfileResponse, error) {
	user, err := s.profiles.Update(ctx, usecase.UpdateProfile{Name: r.Name, Email: r.Email})
	if err != nil {
		return nil, err
	}
	return &userv1.UpdateProfileResponse{User: fromUser(user)}, nil
}

func (s *userServer) ChangePassword(ctx context.Context, r *userv1.ChangePasswordRequest) (*userv1.ChangePasswordResponse, error) {
	err := s.profiles.ChangePassword(ctx, usecase.ChangePassword{
		Current: r.GetCurrentPassword(), New: r.GetNewPassword(), Device: toDevice(r.GetDevice()),
	})
	if err != nil {
		return nil, err
	}
	return &userv1.ChangePasswordResponse{}, nil
}

func (s *userServer) DeleteAccount(ctx context.Context, r *userv1.DeleteAccountRequest) (*userv1.DeleteAccountResponse, error) {
	err := s.profiles.Delete(ctx, usecase.DeleteAccount{Password: r.GetPassword(), Device: toDevice(r.GetDevice())})
	if err != nil {
		return nil, err
	}
	return &userv1.DeleteAccountResponse{}, nil
}

func (s *userServer) ListUsers(ctx context.Context, r *userv1.ListUsersRequest) (*userv1.ListUsersResponse, error) {
	page, err := s.users.List(ctx,
		usecase.UserFilter{Text: r.GetQuery(), Role: toRole(r.GetRole()), Status: toStatus(r.GetStatus())},
		usecase.Page{Size: int(r.GetPageSize()), Token: r.GetPageToken(), IncludeTotal: r.GetIncludeTotal()})
	if err != nil {
		return nil, err
	}
	return fromUserPage(page), nil
}

func (s *userServer) SetUserAccess(ctx context.Context, r *userv1.SetUserAccessRequest) (*userv1.SetUserAccessResponse, error) {
	id, err := toID("user_id", r.GetUserId())
	if err != nil {
		return nil, err
	}
	user, err := s.administration.SetAccess(ctx, usecase.SetAccess{UserID: id, Role: toRole(r.GetRole()), Status: toStatus(r.GetStatus())})
	if err != nil {
		return nil, err
	}
	return &userv1.SetUserAccessResponse{User: fromUser(user)}, nil
}

func (s *userServer) DeleteUser(ctx context.Context, r *userv1.DeleteUserRequest) (*userv1.DeleteUserResponse, error) {
	id, err := toID("user_id", r.GetUserId())
	if err != nil {
		return nil, err
	}
	if err := s.administration.Delete(ctx, id); err != nil {
		return nil, err
	}
	return &userv1.DeleteUserResponse{}, nil
}

func (s *userServer) ListDeletedUsers(ctx context.Context, r *userv1.ListDeletedUsersRequest) (*userv1.ListDeletedUsersResponse, error) {
	ids, cursor, err := s.deletions.After(ctx, r.GetCursor(), int(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	answer := &userv1.ListDeletedUsersResponse{UserIds: make([]string, len(ids)), Cursor: cursor}
	for i, id := range ids {
		answer.UserIds[i] = id.String()
	}
	return answer, nil
}
