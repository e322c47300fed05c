package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

func TestSetAccess(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                  string
		role, newRole         domain.Role
		status, newStatus     domain.Status
		others                int
		want                  error
		updated, roleRecorded bool
	}{
		{"promote", domain.Customer, domain.Staff, domain.Active, domain.Active, 1, nil, true, true},
		{"nothing new", domain.Customer, domain.Customer, domain.Active, domain.Active, 1, nil, false, false},
		{"nothing new for the last admin", domain.Admin, domain.Admin, domain.Active, domain.Active, 0, nil, false, false},
		{"disable", domain.Customer, domain.Customer, domain.Active, domain.Disabled, 1, nil, true, false},
		{"disable and demote", domain.Staff, domain.Customer, domain.Active, domain.Disabled, 1, nil, true, true},
		{"enable", domain.Customer, domain.Customer, domain.Disabled, domain.Active, 1, nil, true, false},
		{"demote one of two admins", domain.Admin, domain.Customer, domain.Active, domain.Active, 1, nil, true, true},
		{"demote the last admin", domain.Admin, domain.Staff, domain.Active, domain.Active, 0, domain.ErrLastAdmin, false, false},
		{"disable the last admin", domain.Admin, domain.Admin, domain.Active, domain.Disabled, 0, domain.ErrLastAdmin, false, false},
		{"demote a disabled admin", domain.Admin, domain.Customer, domain.Disabled, domain.Disabled, 0, nil, true, true},
		{"enable an admin", domain.Admin, domain.Admin, domain.Disabled, domain.Active, 0, nil, true, false},
	}
	later := noon.Add(time.Hour)
	for _, tt := range tests {
		before := domain.UserSnapshot{ID: uuid.New(), Role: tt.role, Status: tt.status, UpdatedAt: noon}
		u := domain.RestoreUser(before)
		if err := u.SetAccess(tt.newRole, tt.newStatus, tt.others, later); !errors.Is(err, tt.want) || (tt.want == nil && err != nil) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		want := before
		if tt.want == nil {
			want.Role, want.Status = tt.newRole, tt.newStatus
		}
		if tt.updated {
			want.UpdatedAt = later
		}
		if tt.roleRecorded {
			want.RoleChangedAt = later
		}
		if got := u.Snapshot(); got != want {
			t.Errorf("%s: user %+v, want %+v", tt.name, got, want)
		}
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	ann := user(t, domain.Active)
	session, _, err := domain.OpenSession(ann, domain.Device{}, domain.TokenHash{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		by, from uuid.UUID
		at       time.Duration
		want     error
		reason   domain.EndReason
	}{
		"from itself":       {ann.ID(), session.ID(), time.Hour, nil, domain.EndedByLogout},
		"from another":      {ann.ID(), uuid.New(), time.Hour, nil, domain.EndedFromElsewhere},
		"by somebody else":  {uuid.New(), session.ID(), time.Hour, domain.ErrNoSession, ""},
		"when it is over":   {ann.ID(), session.ID(), domain.SessionIdleLifetime, domain.ErrNoSession, ""},
		"long after it was": {ann.ID(), uuid.New(), 2 * domain.SessionIdleLifetime, domain.ErrNoSession, ""},
	}
	for name, tt := range tests {
		s := domain.RestoreSession(session.Snapshot())
		err := s.SignOut(tt.by, tt.from, noon.Add(tt.at))
		if !errors.Is(err, tt.want) || (tt.want == nil && err != nil) || s.Snapshot().EndReason != tt.reason {
			t.Errorf("%s: error %v, end reason %q; want %v, %q", name, err, s.Snapshot().EndReason, tt.want, tt.reason)
		}
	}
}
