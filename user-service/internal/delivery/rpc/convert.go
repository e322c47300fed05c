package rpc

import (
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/token"
	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

func toDevice(d *userv1.Device) domain.Device { return domain.NewDevice(d.GetUserAgent(), d.GetIp()) }

func toUserID(raw string) (uuid.UUID, error) {
	id, err := uuid.Parse(raw)
	if err != nil {
		return uuid.Nil, apperr.InvalidField("user_id", "must be a UUID")
	}
	return id, nil
}

func fromUser(u *domain.User) *userv1.User {
	return &userv1.User{
		Id:        u.ID().String(),
		Email:     u.Email().String(),
		Name:      u.Name(),
		Role:      fromRole(u.Role()),
		Status:    fromStatus(u.Status()),
		CreatedAt: timestamppb.New(u.CreatedAt()),
		UpdatedAt: timestamppb.New(u.UpdatedAt()),
	}
}

func fromGrant(g usecase.Grant) *userv1.Tokens {
	return &userv1.Tokens{
		AccessToken:  g.AccessToken,
		RefreshToken: g.RefreshToken,
		ExpiresIn:    int64(token.Lifetime.Seconds()),
	}
}

func fromRole(r domain.Role) userv1.Role {
	switch r {
	case domain.Customer:
		return userv1.Role_ROLE_CUSTOMER
	case domain.Staff:
		return userv1.Role_ROLE_STAFF
	case domain.Admin:
		return userv1.Role_ROLE_ADMIN
	default:
		return userv1.Role_ROLE_UNSPECIFIED
	}
}

func fromStatus(s domain.Status) userv1.UserStatus {
	switch s {
	case domain.Active:
		return userv1.UserStatus_USER_STATUS_ACTIVE
	case domain.Disabled:
		return userv1.UserStatus_USER_STATUS_DISABLED
	default:
		return userv1.UserStatus_USER_STATUS_UNSPECIFIED
	}
}

// toTime returns the zero time for a timestamp that is not there.
func toTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
