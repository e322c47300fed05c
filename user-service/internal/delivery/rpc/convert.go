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

func toID(field, raw string) (uuid.UUID, error) {
	id, err := uuid.Parse(raw)
	if err != nil {
		return uuid.Nil, apperr.InvalidField(field, "must be a UUID")
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

func fromChanges(c usecase.AccessChanges) *userv1.ListEndedSessionsResponse {
	users := make([]*userv1.UserAccess, 0, len(c.Users))
	for id, role := range c.Users {
		users = append(users, &userv1.UserAccess{UserId: id, Role: fromRole(domain.Role(role))})
	}
	return &userv1.ListEndedSessionsResponse{SessionIds: c.EndedSessions, NextSince: timestamppb.New(c.Next), ChangedUsers: users}
}

// toRole returns none for a role that is not said.
func toRole(r userv1.Role) domain.Role {
	switch r {
	case userv1.Role_ROLE_CUSTOMER:
		return domain.Customer
	case userv1.Role_ROLE_STAFF:
		return domain.Staff
	case userv1.Role_ROLE_ADMIN:
		return domain.Admin
	default:
		return ""
	}
}

// toStatus returns none for a status that is not said.
func toStatus(s userv1.UserStatus) domain.Status {
	switch s {
	case userv1.UserStatus_USER_STATUS_ACTIVE:
		return domain.Active
	case userv1.UserStatus_USER_STATUS_DISABLED:
		return domain.Disabled
	default:
		return ""
	}
}

func fromUserPage(p usecase.PageOf[*domain.User]) *userv1.ListUsersResponse {
	answer := &userv1.ListUsersResponse{NextPageToken: p.NextPageToken, TotalSize: p.Total}
	for _, u := range p.Items {
		answer.Users = append(answer.Users, fromUser(u))
	}
	return answer
}

func fromSessionPage(p usecase.SessionPage) *userv1.ListSessionsResponse {
	answer := &userv1.ListSessionsResponse{NextPageToken: p.NextPageToken, TotalSize: p.Total}
	for _, s := range p.Items {
		answer.Sessions = append(answer.Sessions, &userv1.Session{
			Id:         s.ID().String(),
			Device:     &userv1.Device{UserAgent: s.Device().UserAgent, Ip: s.Device().IP},
			OpenedAt:   timestamppb.New(s.OpenedAt()),
			LastUsedAt: timestamppb.New(s.LastUsedAt()),
			ExpiresAt:  timestamppb.New(s.ExpiresAt()),
			Current:    s.ID() == p.Current,
		})
	}
	return answer
}

// toTime returns the zero time for a timestamp that is not there.
func toTime(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
