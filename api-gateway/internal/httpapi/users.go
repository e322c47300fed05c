package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	userv1 "shop.example/proto/user/v1"
)

// User is a person who has an account.
type User struct {
	ID        string    `json:"id" format:"uuid"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      string    `json:"role" enum:"customer,staff,admin"`
	Status    string    `json:"status" enum:"active,disabled"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

type userOutput struct{ Body User }

type listUsersInput struct {
	Query  string `query:"q" maxLength:"254" example:"ada" doc:"Part of a name or of an e-mail address."`
	Role   string `query:"role" enum:"customer,staff,admin"`
	Status string `query:"status" enum:"active,disabled"`
	Paging
}

type listUsersOutput struct{ Body Page[User] }

type updateUserInput struct {
	ByID
	Body struct {
		Role   *string `json:"role,omitempty" enum:"customer,staff,admin" example:"staff"`
		Status *string `json:"status,omitempty" enum:"active,disabled" example:"active"`
	} `nameHint:"UserAccess"`
}

func (s *Server) registerUsers() {
	tags := []string{"users"}
	register(s, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: base + "/users",
		Summary: "Find users, newest first", Tags: tags,
	}, s.listUsers)
	register(s, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: base + "/users/{id}",
		Summary: "A user", Tags: tags,
	}, s.getUser)
	register(s, huma.Operation{
		OperationID: "update-user", Method: http.MethodPatch, Path: base + "/users/{id}",
		Summary: "Change what a user may do", Tags: tags,
		Description: "What is left out stays as it is. A new role holds within 5 seconds, for tokens that are out already too; a user " +
			"who is disabled is signed out everywhere. The last active admin can be neither demoted nor disabled: 409 `last_admin`.",
		Metadata: map[string]any{metaExample: exampleStaff},
	}, s.updateUser, "last_admin")
	register(s, huma.Operation{
		OperationID: "delete-user", Method: http.MethodDelete, Path: base + "/users/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Delete a user", Tags: tags,
		Description: "Profile, addresses and sessions are erased; orders keep what they were placed with. The last active admin can't be " +
			"deleted: 409 `last_admin`.",
	}, s.deleteUser, "last_admin")
}

func (s *Server) listUsers(ctx context.Context, in *listUsersInput) (*listUsersOutput, error) {
	answer, err := s.services.Users.ListUsers(ctx, &userv1.ListUsersRequest{
		Query: in.Query, Role: role(in.Role), Status: userStatus(in.Status),
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listUsersOutput{Body: Page[User]{
		Items: convertAll(answer.GetUsers(), userOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) getUser(ctx context.Context, in *ByID) (*userOutput, error) {
	answer, err := s.services.Users.GetUser(ctx, &userv1.GetUserRequest{UserId: in.ID})
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: userOf(answer.GetUser())}, nil
}

func (s *Server) updateUser(ctx context.Context, in *updateUserInput) (*userOutput, error) {
	request := &userv1.SetUserAccessRequest{UserId: in.ID}
	if in.Body.Role != nil {
		request.Role = role(*in.Body.Role).Enum()
	}
	if in.Body.Status != nil {
		request.Status = userStatus(*in.Body.Status).Enum()
	}
	answer, err := s.services.Users.SetUserAccess(ctx, request)
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: userOf(answer.GetUser())}, nil
}

func (s *Server) deleteUser(ctx context.Context, in *ByID) (*noOutput, error) {
	_, err := s.services.Users.DeleteUser(ctx, &userv1.DeleteUserRequest{UserId: in.ID})
	return &noOutput{}, err
}

func role(name string) userv1.Role { return enumValue[userv1.Role](userv1.Role_value, "ROLE_", name) }

func userStatus(name string) userv1.UserStatus {
	return enumValue[userv1.UserStatus](userv1.UserStatus_value, "USER_STATUS_", name)
}

func userOf(u *userv1.User) User {
	return User{
		ID: u.GetId(), Email: u.GetEmail(), Name: u.GetName(),
		Role: enumName(u.GetRole(), "ROLE_"), Status: enumName(u.GetStatus(), "USER_STATUS_"),
		CreatedAt: instant(u.GetCreatedAt()), UpdatedAt: instant(u.GetUpdatedAt()),
	}
}
