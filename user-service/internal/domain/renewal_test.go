package domain_test

import (
	"bytes"
	"testing"
	"time"

	"shop.example/user-service/internal/domain"
)

// spent is a renewal whose token "first" was spent for "second" at noon, with the key "key".
func spent(t *testing.T) *domain.Renewal {
	t.Helper()
	r := renewal(t)
	sealed, err := domain.SealSuccessor("second", "first", "key")
	if err != nil {
		t.Fatal(err)
	}
	r.Presented.SpentAt, r.Presented.Successor = noon, sealed
	return r
}

// Only who has the token and its key is given the successor, soon, and while the session lives.
func TestRepeat(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		given          func(*domain.Renewal)
		presented, key string
		after          time.Duration
		want           bool
	}{
		"at once":               {presented: "first", key: "key", want: true},
		"just in time":          {presented: "first", key: "key", after: domain.RepeatLifetime - time.Microsecond, want: true},
		"by a clock behind":     {presented: "first", key: "key", after: -time.Second, want: true},
		"too late":              {presented: "first", key: "key", after: domain.RepeatLifetime},
		"without the key":       {presented: "first"},
		"with another key":      {presented: "first", key: "Key"},
		"with another token":    {presented: "second", key: "key"},
		"after the logout":      {given: func(r *domain.Renewal) { r.Session.End(domain.EndedByLogout, noon) }, presented: "first", key: "key"},
		"by a disabled user":    {given: func(r *domain.Renewal) { r.User = user(t, domain.Disabled) }, presented: "first", key: "key"},
		"once it was forgotten": {given: func(r *domain.Renewal) { r.Presented.Successor = nil }, presented: "first", key: "key"},
		"of a good token":       {given: func(r *domain.Renewal) { r.Presented.SpentAt = time.Time{} }, presented: "first", key: "key"},
		"with a damaged seal":   {given: func(r *domain.Renewal) { r.Presented.Successor[20] ^= 1 }, presented: "first", key: "key"},
		"with half a seal":      {given: func(r *domain.Renewal) { r.Presented.Successor = r.Presented.Successor[:9] }, presented: "first", key: "key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := spent(t)
			if tt.given != nil {
				tt.given(r)
			}
			before := r.Session.Snapshot()
			got, ok := r.Repeat(tt.presented, tt.key, noon.Add(tt.after))
			if ok != tt.want || (ok && got != "second") || (!ok && got != "") {
				t.Errorf("Repeat = %q, %v; want ok to be %v", got, ok, tt.want)
			}
			if r.Next != nil || r.Session.Snapshot() != before {
				t.Error("a repetition changes something")
			}
		})
	}
}

// What is kept of a successor neither shows it nor is twice the same.
func TestSealSuccessor(t *testing.T) {
	t.Parallel()
	var seals [2][]byte
	for i := range seals {
		sealed, err := domain.SealSuccessor("successor-token", "first", "key")
		if err != nil {
			t.Fatal(err)
		}
		seals[i] = sealed
		if bytes.Contains(sealed, []byte("successor")) {
			t.Error("the seal shows the token")
		}
	}
	if bytes.Equal(seals[0], seals[1]) {
		t.Error("two seals are the same: a nonce was used twice")
	}
}
