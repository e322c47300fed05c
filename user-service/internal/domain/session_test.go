package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func user(t *testing.T, status domain.Status) *domain.User {
	t.Helper()
	return domain.RestoreUser(domain.UserSnapshot{ID: uuid.New(), Email: "ann@example.com", Role: domain.Customer, Status: status})
}

func renewal(t *testing.T) *domain.Renewal {
	t.Helper()
	u := user(t, domain.Active)
	session, token, err := domain.OpenSession(u, domain.Device{}, domain.HashRefreshToken("first"), noon)
	if err != nil {
		t.Fatal(err)
	}
	return &domain.Renewal{User: u, Session: session, Presented: token}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		given   func(*domain.Renewal)
		at      time.Time
		want    error
		endedBy domain.EndReason
	}{
		"at once":             {at: noon},
		"before it expires":   {at: noon.Add(domain.SessionIdleLifetime - time.Microsecond)},
		"when it has expired": {at: noon.Add(domain.SessionIdleLifetime), want: domain.ErrSessionOver},
		"after the logout": {
			given: func(r *domain.Renewal) { r.Session.End(domain.EndedByLogout, noon) }, at: noon.Add(time.Hour),
			want: domain.ErrSessionOver, endedBy: domain.EndedByLogout,
		},
		"spent": {
			given: func(r *domain.Renewal) { r.Presented.SpentAt = noon }, at: noon.Add(time.Hour),
			want: domain.ErrRefreshTokenReused, endedBy: domain.EndedByReuse,
		},
		"spent, after the logout": {
			given: func(r *domain.Renewal) { r.Presented.SpentAt = noon; r.Session.End(domain.EndedByLogout, noon) },
			at:    noon.Add(time.Hour), want: domain.ErrRefreshTokenReused, endedBy: domain.EndedByLogout,
		},
		"disabled meanwhile": {
			given: func(r *domain.Renewal) { r.User = user(t, domain.Disabled) }, at: noon.Add(time.Hour),
			want: domain.ErrSessionOver, endedBy: domain.EndedByDisable,
		},
		"by a clock that is behind": {at: noon.Add(-time.Second)},
		"once before too often":     {given: func(r *domain.Renewal) { r.Spent = domain.MaxSpentTokens - 1 }, at: noon},
		"too often": {
			given: func(r *domain.Renewal) { r.Spent = domain.MaxSpentTokens }, at: noon,
			want: domain.ErrSessionOver, endedBy: domain.EndedByLimit,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := renewal(t)
			if tt.given != nil {
				tt.given(r)
			}
			err := r.Renew(domain.HashRefreshToken("second"), domain.Device{UserAgent: "New/1"}, tt.at)
			if !errors.Is(err, tt.want) || (tt.want == nil && err != nil) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			after := r.Session.Snapshot()
			if after.EndReason != tt.endedBy {
				t.Errorf("ended by %q, want %q", after.EndReason, tt.endedBy)
			}
			if tt.want != nil {
				if r.Next != nil {
					t.Error("there is a next token, though the renewal was refused")
				}
				return
			}
			if r.Next == nil || r.Next.Hash != domain.HashRefreshToken("second") || r.Presented.SpentAt != tt.at {
				t.Errorf("next %+v, spent at %v; want the second token, and the first one spent", r.Next, r.Presented.SpentAt)
			}
			if after.LastUsedAt.Before(after.OpenedAt) || !r.Session.Alive(tt.at.Add(domain.SessionIdleLifetime-time.Microsecond)) {
				t.Errorf("last used at %v, want the session to live for another 30 days", after.LastUsedAt)
			}
			if after.Device.UserAgent != "New/1" {
				t.Errorf("device %+v, want the new one", after.Device)
			}
		})
	}
}

func TestOpenSessionRefusesDisabledUser(t *testing.T) {
	t.Parallel()
	_, _, err := domain.OpenSession(user(t, domain.Disabled), domain.Device{}, domain.TokenHash{}, noon)
	if !errors.Is(err, domain.ErrInvalidCredentials) {
		t.Errorf("error %v, want %v", err, domain.ErrInvalidCredentials)
	}
}

func TestRefreshSecretsDiffer(t *testing.T) {
	t.Parallel()
	a, b := domain.NewRefreshSecret(), domain.NewRefreshSecret()
	if a == b || len(a) != 43 { // 256 bits in base64url
		t.Errorf("secrets of %d and %d characters, equal: %v; want two of 43", len(a), len(b), a == b)
	}
}
