package authz

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

var errBadToken = errors.New("expired")

func TestRules(t *testing.T) {
	t.Parallel()
	const in, unauthenticated, denied = "", "unauthenticated", "permission_denied"
	for name, c := range map[string]struct {
		rule                           Rule
		nobody, customer, staff, admin string
	}{
		"anonymous": {Anonymous, in, in, in, in},
		"guest":     {Guest, in, in, in, in},
		"signed in": {SignedIn, unauthenticated, in, in, in},
		"owner":     {Owner, unauthenticated, in, in, in},
		"staff":     {Staff, unauthenticated, denied, in, in},
		"admin":     {Admin, unauthenticated, denied, denied, in},
	} {
		for who, want := range map[auth.Role]string{"": c.nobody, auth.Customer: c.customer, auth.Staff: c.staff, auth.Admin: c.admin} {
			got := apperr.ReasonOf(c.rule.Check(auth.Principal{Role: who}, who != "", nil))
			if got != want {
				t.Errorf("%s, %q: got %q, want %q", name, who, got, want)
			}
		}
		if err := c.rule.Check(auth.Principal{}, false, errBadToken); !errors.Is(err, errBadToken) {
			t.Errorf("%s, with a bad token: %v", name, err)
		}
		if err := c.rule.Check(auth.Principal{Role: "root"}, true, nil); name != "anonymous" && name != "guest" && err == nil {
			t.Errorf("%s lets an unknown role in", name)
		}
	}
}

// TestRefusals asks as everybody: what the document says of a rule is what Check answers.
func TestRefusals(t *testing.T) {
	t.Parallel()
	expired := apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "It has expired.")
	for name, rule := range map[string]Rule{
		"anonymous": Anonymous, "credential": Credential, "guest": Guest, "signed in": SignedIn, "owner": Owner, "staff": Staff, "admin": Admin,
	} {
		var got []string
		refused := func(err error) {
			if reason := apperr.ReasonOf(err); reason != "" && !slices.Contains(got, reason) {
				got = append(got, reason)
			}
		}
		refused(rule.Check(auth.Principal{}, false, expired))
		refused(rule.Check(auth.Principal{}, false, nil))
		for _, role := range []auth.Role{auth.Customer, auth.Staff, auth.Admin} {
			refused(rule.Check(auth.Principal{Role: role}, true, nil))
		}
		if want := rule.Refusals(); !slices.Equal(got, want) {
			t.Errorf("%s refuses with %v, and says %v", name, got, want)
		}
	}
}

// Who sends an expired token along with a password or a refresh token is let in, to get a new one.
func TestCredentialsNeedNoToken(t *testing.T) {
	t.Parallel()
	if err := Credential.Check(auth.Principal{}, false, errBadToken); err != nil {
		t.Error(err)
	}
}

func TestTableMustBeComplete(t *testing.T) {
	t.Parallel()
	operations := slices.Collect(maps.Keys(Table))
	if err := Complete(Table, operations); err != nil {
		t.Error(err)
	}
	if err := Complete(Table, append(operations, "new-operation")); err == nil || !strings.Contains(err.Error(), "new-operation") {
		t.Errorf("an operation without an entry: %v", err)
	}
	if err := Complete(Table, operations[1:]); err == nil || !strings.Contains(err.Error(), operations[0]) {
		t.Errorf("an entry without an operation: %v", err)
	}
	if err := Complete(map[string]Rule{"empty": {}}, []string{"empty"}); err == nil {
		t.Error("an entry that says nothing is taken for a rule")
	}
}
