package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/auth"
	userv1 "shop.example/proto/user/v1"
)

type updateCurrentUserInput struct {
	Body struct {
		Name  *string `json:"name,omitempty" minLength:"1" maxLength:"200" example:"Ada King"`
		Email *string `json:"email,omitempty" format:"email" maxLength:"254" example:"ada.king@example.com"`
	} `nameHint:"ProfileChange"`
}

type deleteCurrentUserInput struct {
	UserAgent
	Body struct {
		Password string `json:"password" maxLength:"128" example:"correct horse battery"`
	} `nameHint:"AccountDeletion"`
}

type changePasswordInput struct {
	UserAgent
	Body struct {
		CurrentPassword string `json:"current_password" maxLength:"128" example:"correct horse battery"`
		NewPassword     string `json:"new_password" minLength:"8" maxLength:"128" doc:"Not one of the well-known ones." example:"staple correct horse"`
	} `nameHint:"PasswordChange"`
}

func (s *Server) registerAccount() {
	tags, path := []string{"identity"}, base+"/users/me"
	register(s, huma.Operation{
		OperationID: "get-current-user", Method: http.MethodGet, Path: path,
		Summary: "Who am I", Tags: tags,
	}, s.currentUser)
	register(s, huma.Operation{
		OperationID: "update-current-user", Method: http.MethodPatch, Path: path,
		Summary: "Change my name or e-mail address", Tags: tags,
		Description: "What is left out stays as it is.",
		Metadata:    map[string]any{metaExample: exampleRenamedUser},
	}, s.updateCurrentUser, "email_taken")
	register(s, huma.Operation{
		OperationID: "delete-current-user", Method: http.MethodDelete, Path: path, DefaultStatus: http.StatusNoContent,
		Summary: "Delete my account", Tags: tags,
		Description: "Profile, addresses and sessions are erased; orders keep what they were placed with. The password is asked for once " +
			"more; too many wrong ones are 429.",
		Metadata: map[string]any{metaProof: proofPassword},
	}, s.deleteCurrentUser, "invalid_credentials", "last_admin")
	register(s, huma.Operation{
		OperationID: "change-password", Method: http.MethodPut, Path: path + "/password", DefaultStatus: http.StatusNoContent,
		Summary: "Change my password", Tags: tags,
		Description: "All my other sessions end. Too many wrong current passwords are 429.",
		Metadata:    map[string]any{metaProof: proofPassword},
	}, s.changePassword, "invalid_credentials")
}

func (s *Server) currentUser(ctx context.Context, _ *noInput) (*userOutput, error) {
	p, _ := auth.FromContext(ctx) // the table lets nobody in without one
	answer, err := s.services.Users.GetUser(ctx, &userv1.GetUserRequest{UserId: p.UserID})
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: userOf(answer.GetUser())}, nil
}

func (s *Server) updateCurrentUser(ctx context.Context, in *updateCurrentUserInput) (*userOutput, error) {
	request := &userv1.UpdateProfileRequest{Name: in.Body.Name}
	if in.Body.Email != nil {
		email := strings.TrimSpace(*in.Body.Email) // as when registering
		request.Email = &email
	}
	answer, err := s.services.Users.UpdateProfile(ctx, request)
	if err != nil {
		return nil, err
	}
	return &userOutput{Body: userOf(answer.GetUser())}, nil
}

func (s *Server) deleteCurrentUser(ctx context.Context, in *deleteCurrentUserInput) (*noOutput, error) {
	_, err := s.services.Users.DeleteAccount(ctx, &userv1.DeleteAccountRequest{Password: in.Body.Password, Device: in.device(ctx)})
	return &noOutput{}, err
}

func (s *Server) changePassword(ctx context.Context, in *changePasswordInput) (*noOutput, error) {
	_, err := s.services.Users.ChangePassword(ctx, &userv1.ChangePasswordRequest{
		CurrentPassword: in.Body.CurrentPassword, NewPassword: in.Body.NewPassword, Device: in.device(ctx),
	})
	return &noOutput{}, err
}
