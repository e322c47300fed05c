package rpc_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/password"
	"shop.example/user-service/internal/usecase"
)

const another = "teapot-tramway"

// admin makes the first admin and signs it in.
func (s *service) admin(t *testing.T, auth userv1.AuthServiceClient) *userv1.LoginResponse {
	t.Helper()
	hasher := password.NewHasher(password.Params{MemoryKiB: 64, Time: 1, Threads: 1})
	if _, err := usecase.BootstrapAdmin(t.Context(), s.store, hasher, "admin@shop.example", secret, time.Now); err != nil {
		t.Fatal(err)
	}
	return login(t, auth, "admin@shop.example")
}

func login(t *testing.T, auth userv1.AuthServiceClient, email string) *userv1.LoginResponse {
	t.Helper()
	answer, err := auth.Login(t.Context(), &userv1.LoginRequest{
		Email: email, Password: secret, Device: &userv1.Device{UserAgent: "Laptop/2.0", Ip: "198.51.100.4"},
	})
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	return answer
}

func TestSessionsOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, _ := s.as(t, "api-gateway")
	first := register(t, auth, address)
	second, third := login(t, auth, address), login(t, auth, address)
	ctx := with(t.Context(), second.GetTokens().GetAccessToken())

	var (
		all   []*userv1.Session
		token string
	)
	for {
		page, err := auth.ListSessions(ctx, &userv1.ListSessionsRequest{PageSize: 2, PageToken: token, IncludeTotal: true})
		if err != nil || page.GetTotalSize() != 3 {
			t.Fatalf("%d sessions in all, error %v; want 3", page.GetTotalSize(), err)
		}
		all = append(all, page.GetSessions()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(all) != 3 || all[0].GetCurrent() || !all[1].GetCurrent() || all[2].GetCurrent() {
		t.Fatalf("sessions %v, want three, of which the second is the current one", all)
	}
	if d := all[2].GetDevice(); d.GetUserAgent() != "Test/1.0" || d.GetIp() != "192.0.2.7" {
		t.Errorf("the oldest session is on %v", d)
	}
	if got := all[0].GetExpiresAt().AsTime().Sub(all[0].GetLastUsedAt().AsTime()); got != 30*24*time.Hour {
		t.Errorf("a session lives for %v after its last use", got)
	}

	end := func(id string) error {
		_, err := auth.EndSession(ctx, &userv1.EndSessionRequest{SessionId: id})
		return err
	}
	bob := register(t, auth, "bob@example.com")
	bobs, err := auth.ListSessions(with(t.Context(), bob.GetTokens().GetAccessToken()), &userv1.ListSessionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "another's", end(bobs.GetSessions()[0].GetId()), apperr.NotFound, "not_found")
	wantErr(t, "unknown", end(uuid.NewString()), apperr.NotFound, "not_found")
	wantErr(t, "no id", end("1"), apperr.Invalid, "validation_failed")
	if err := end(all[2].GetId()); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "one that is over", end(all[2].GetId()), apperr.NotFound, "not_found")
	_, err = auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: first.GetTokens().GetRefreshToken()})
	wantErr(t, "refresh of the ended one", err, apperr.Unauthenticated, "unauthenticated")

	if _, err := auth.EndOtherSessions(ctx, &userv1.EndOtherSessionsRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: third.GetTokens().GetRefreshToken()})
	wantErr(t, "refresh of the other", err, apperr.Unauthenticated, "unauthenticated")
	if err := end(all[1].GetId()); err != nil {
		t.Errorf("the current session: %v", err)
	}
	s.revocations.Poll(t.Context())
	_, err = auth.ListSessions(ctx, &userv1.ListSessionsRequest{})
	wantErr(t, "with the token of an ended session", err, apperr.Unauthenticated, "unauthenticated")
}

func TestRefreshAfterALostAnswer(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, _ := s.as(t, "api-gateway")
	request := &userv1.RefreshRequest{RefreshToken: register(t, auth, address).GetTokens().GetRefreshToken(), IdempotencyKey: "key"}
	lost, err := auth.Refresh(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := auth.Refresh(t.Context(), request)
	if err != nil || again.GetTokens().GetRefreshToken() != lost.GetTokens().GetRefreshToken() {
		t.Fatalf("the repetition: error %v, want the same refresh token", err)
	}
	next, err := auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: again.GetTokens().GetRefreshToken()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = auth.Refresh(t.Context(), request)
	wantErr(t, "once the successor was used", err, apperr.Unauthenticated, "refresh_token_reused")
	_, err = auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: next.GetTokens().GetRefreshToken()})
	wantErr(t, "after the reuse", err, apperr.Unauthenticated, "unauthenticated")
}

func TestOwnAccount(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, users := s.as(t, "api-gateway")
	ann := register(t, auth, address)
	register(t, auth, "bob@example.com")
	other := login(t, auth, address)
	ctx := with(t.Context(), ann.GetTokens().GetAccessToken())

	updated, err := users.UpdateProfile(ctx, &userv1.UpdateProfileRequest{Name: new("Ann Other"), Email: new("Other@example.com")})
	if err != nil || updated.GetUser().GetName() != "Ann Other" || updated.GetUser().GetEmail() != "other@example.com" {
		t.Errorf("user %v, error %v", updated.GetUser(), err)
	}
	_, err = users.UpdateProfile(ctx, &userv1.UpdateProfileRequest{Email: new("BOB@example.com")})
	wantErr(t, "another's address", err, apperr.Conflict, "email_taken")
	_, err = users.UpdateProfile(ctx, &userv1.UpdateProfileRequest{Name: new("\u200b")})
	wantErr(t, "an invisible name", err, apperr.Invalid, "validation_failed")

	_, err = users.ChangePassword(ctx, &userv1.ChangePasswordRequest{CurrentPassword: "wrong", NewPassword: another})
	wantErr(t, "wrong current password", err, apperr.Unauthenticated, "invalid_credentials")
	_, err = users.ChangePassword(ctx, &userv1.ChangePasswordRequest{CurrentPassword: secret, NewPassword: "password123"})
	if v := apperr.From(err).Violations; len(v) != 1 || v[0].Location != "new_password" {
		t.Errorf("a common password: %v, violations %+v", err, v)
	}
	if _, err := users.ChangePassword(ctx, &userv1.ChangePasswordRequest{CurrentPassword: secret, NewPassword: another}); err != nil {
		t.Fatal(err)
	}
	_, err = auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: other.GetTokens().GetRefreshToken()})
	wantErr(t, "the other session", err, apperr.Unauthenticated, "unauthenticated")
	_, err = auth.Login(t.Context(), &userv1.LoginRequest{Email: "other@example.com", Password: secret})
	wantErr(t, "the old password", err, apperr.Unauthenticated, "invalid_credentials")

	_, err = users.DeleteAccount(ctx, &userv1.DeleteAccountRequest{Password: secret})
	wantErr(t, "the old password", err, apperr.Unauthenticated, "invalid_credentials")
	if _, err := users.DeleteAccount(ctx, &userv1.DeleteAccountRequest{Password: another}); err != nil {
		t.Fatal(err)
	}
	s.revocations.Poll(t.Context())
	_, err = users.GetUser(ctx, &userv1.GetUserRequest{UserId: ann.GetUser().GetId()})
	wantErr(t, "the token of a deleted user", err, apperr.Unauthenticated, "unauthenticated")
}

func TestAdministrationOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, users := s.as(t, "api-gateway")
	ann := register(t, auth, address)
	admin := s.admin(t, auth)
	annsToken, adminsToken := with(t.Context(), ann.GetTokens().GetAccessToken()), with(t.Context(), admin.GetTokens().GetAccessToken())

	list := func(r *userv1.ListUsersRequest) string {
		t.Helper()
		r.IncludeTotal = true
		page, err := users.ListUsers(adminsToken, r)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, u := range page.GetUsers() {
			found = append(found, u.GetEmail())
		}
		return fmt.Sprint(page.GetTotalSize(), found)
	}
	for want, r := range map[string]*userv1.ListUsersRequest{
		"2 [admin@shop.example ann@example.com]": {},
		"1 [ann@example.com]":                    {Query: "ANN"},
		"1 [admin@shop.example]":                 {Role: userv1.Role_ROLE_ADMIN},
		"0 []":                                   {Status: userv1.UserStatus_USER_STATUS_DISABLED},
		"2 [admin@shop.example]":                 {PageSize: 1},
	} {
		if got := list(r); got != want {
			t.Errorf("%v: found %s, want %s", r, got, want)
		}
	}

	setRole := func(id string, role userv1.Role) error {
		_, err := users.SetUserAccess(adminsToken, &userv1.SetUserAccessRequest{UserId: id, Role: &role})
		return err
	}
	wantErr(t, "demote the last admin", setRole(admin.GetUser().GetId(), userv1.Role_ROLE_CUSTOMER), apperr.Conflict, "last_admin")
	_, err := users.DeleteUser(adminsToken, &userv1.DeleteUserRequest{UserId: admin.GetUser().GetId()})
	wantErr(t, "delete the last admin", err, apperr.Conflict, "last_admin")
	wantErr(t, "no role", setRole(ann.GetUser().GetId(), userv1.Role_ROLE_UNSPECIFIED), apperr.Invalid, "validation_failed")
	wantErr(t, "no such role", setRole(ann.GetUser().GetId(), 9), apperr.Invalid, "validation_failed")
	wantErr(t, "nobody", setRole(uuid.NewString(), userv1.Role_ROLE_STAFF), apperr.NotFound, "not_found")
	_, err = users.DeleteUser(adminsToken, &userv1.DeleteUserRequest{UserId: uuid.NewString()})
	wantErr(t, "delete nobody", err, apperr.NotFound, "not_found")

	// Customers and staff may do none of it; who was promoted may, with the token of before.
	refused := func(who string) {
		t.Helper()
		for what, err := range map[string]error{
			"list":   second(users.ListUsers(annsToken, &userv1.ListUsersRequest{})),
			"access": second(users.SetUserAccess(annsToken, &userv1.SetUserAccessRequest{UserId: ann.GetUser().GetId(), Role: new(userv1.Role_ROLE_ADMIN)})),
			"delete": second(users.DeleteUser(annsToken, &userv1.DeleteUserRequest{UserId: admin.GetUser().GetId()})),
		} {
			wantErr(t, who+", "+what, err, apperr.PermissionDenied, "permission_denied")
		}
	}
	refused("customer")
	for _, role := range []userv1.Role{userv1.Role_ROLE_STAFF, userv1.Role_ROLE_ADMIN} {
		if err := setRole(ann.GetUser().GetId(), role); err != nil {
			t.Fatal(err)
		}
		s.revocations.Poll(t.Context())
		if role == userv1.Role_ROLE_STAFF {
			refused("staff")
		}
	}
	if _, err := users.ListUsers(annsToken, &userv1.ListUsersRequest{}); err != nil {
		t.Errorf("a new admin with the token of before: %v", err)
	}

	disabled := userv1.UserStatus_USER_STATUS_DISABLED
	if _, err := users.SetUserAccess(adminsToken, &userv1.SetUserAccessRequest{UserId: ann.GetUser().GetId(), Status: &disabled}); err != nil {
		t.Fatal(err)
	}
	s.revocations.Poll(t.Context())
	_, err = users.ListUsers(annsToken, &userv1.ListUsersRequest{})
	wantErr(t, "a disabled admin", err, apperr.Unauthenticated, "unauthenticated")
	if _, err := users.DeleteUser(adminsToken, &userv1.DeleteUserRequest{UserId: ann.GetUser().GetId()}); err != nil {
		t.Fatal(err)
	}
	changes, err := auth.ListEndedSessions(t.Context(), &userv1.ListEndedSessionsRequest{})
	if err != nil || len(changes.GetChangedUsers()) != 1 || changes.GetChangedUsers()[0].GetRole() != userv1.Role_ROLE_UNSPECIFIED {
		t.Errorf("changes %v, error %v; want one deleted user", changes.GetChangedUsers(), err)
	}
}

func second[T any](_ T, err error) error { return err }

// The wait travels with the refusal, and what was guessed reaches no log.
func TestThrottleOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, _ := s.as(t, "api-gateway")
	register(t, auth, address)
	guess := func() error {
		_, err := auth.Login(t.Context(), &userv1.LoginRequest{
			Email: address, Password: "a-wrong-guess", Device: &userv1.Device{Ip: "203.0.113.77"},
		})
		return err
	}
	for range 10 {
		wantErr(t, "guess", guess(), apperr.Unauthenticated, "invalid_credentials")
	}
	err := guess()
	wantErr(t, "one too many", err, apperr.TooMany, "rate_limited")
	if wait, ok := apperr.From(err).Attributes["retry_after"].(int64); !ok || wait < 1 || wait > 900 {
		t.Errorf("retry_after %v, want 1 to 900 s", apperr.From(err).Attributes["retry_after"])
	}
	for _, leak := range []string{"a-wrong-guess", "203.0.113.77", address} {
		if strings.Contains(s.log.String(), leak) {
			t.Errorf("%q was logged", leak)
		}
	}
}

// cart-service is told who was deleted: without a user, since it asks in the background.
func TestDeletedUsersOverTheWire(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, users := s.as(t, "api-gateway")
	ann := register(t, auth, address)
	_, err := users.DeleteUser(with(t.Context(), s.admin(t, auth).GetTokens().GetAccessToken()), &userv1.DeleteUserRequest{UserId: ann.GetUser().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	_, carts := s.as(t, "cart-service")
	answer, err := carts.ListDeletedUsers(t.Context(), &userv1.ListDeletedUsersRequest{PageSize: 10})
	if err != nil || len(answer.GetUserIds()) != 1 || answer.GetUserIds()[0] != ann.GetUser().GetId() || answer.GetCursor() == "" {
		t.Errorf("%v, error %v; want the one user", answer, err)
	}
	_, err = carts.ListDeletedUsers(t.Context(), &userv1.ListDeletedUsersRequest{PageSize: 10, Cursor: "made up"})
	wantErr(t, "a made up cursor", err, apperr.Invalid, "validation_failed")
	_, err = carts.ListDeletedUsers(t.Context(), &userv1.ListDeletedUsersRequest{})
	wantErr(t, "no page size", err, apperr.Invalid, "validation_failed")
}
