package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"shop.example/cart-service/internal/client"
	"shop.example/cart-service/internal/domain"
	"shop.example/platform/apperr"
	userv1 "shop.example/proto/user/v1"
)

// userService answers all the same, and counts.
type userService struct {
	userv1.UserServiceClient
	status userv1.UserStatus
	err    error
	calls  int
}

func (u *userService) GetUserStatus(context.Context, *userv1.GetUserStatusRequest, ...grpc.CallOption) (*userv1.GetUserStatusResponse, error) {
	u.calls++
	return &userv1.GetUserStatusResponse{Status: u.status}, u.err
}

func TestActiveUserIsTrustedForMoments(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	service := &userService{status: userv1.UserStatus_USER_STATUS_ACTIVE}
	users := client.NewUsers(service, func() time.Time { return clock })
	alice, bob := uuid.New(), uuid.New()
	check := func(user uuid.UUID, calls int) {
		t.Helper()
		if err := users.Check(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		if service.calls != calls {
			t.Errorf("%d calls, want %d", service.calls, calls)
		}
	}
	check(alice, 1)
	check(alice, 1)
	check(bob, 2)
	clock = clock.Add(4 * time.Second)
	check(alice, 3)

	// Disabled now: out before 5 s are over.
	service.status = userv1.UserStatus_USER_STATUS_DISABLED
	clock = clock.Add(4 * time.Second)
	if err := users.Check(t.Context(), alice); !errors.Is(err, domain.ErrUserDisabled) {
		t.Errorf("Check = %v, want disabled", err)
	}
}

func TestRefusalsAreNotRemembered(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		service userService
		want    error
	}{
		"disabled":    {userService{status: userv1.UserStatus_USER_STATUS_DISABLED}, domain.ErrUserDisabled},
		"unspecified": {userService{}, domain.ErrUserDisabled},
		"unknown":     {userService{err: apperr.Missing("user")}, domain.ErrUserUnknown},
		"away":        {userService{err: apperr.DependencyUnavailable(nil)}, apperr.DependencyUnavailable(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			users := client.NewUsers(&tt.service, time.Now)
			for range 2 {
				if err := users.Check(t.Context(), uuid.Nil); !errors.Is(err, tt.want) {
					t.Errorf("Check = %v, want %v", err, tt.want)
				}
			}
			if tt.service.calls != 2 {
				t.Errorf("%d calls, want 2", tt.service.calls)
			}
		})
	}
}
