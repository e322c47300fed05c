package repositorytest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

var accountTests = map[string]func(*testing.T, Store){
	"changes a profile":                        changesProfile,
	"gives a changed address once in a race":   givesChangedAddressOnce,
	"keeps nothing of a refused update":        keepsNothingOfRefusedUpdate,
	"finds users":                              findsUsers,
	"lists users in pages":                     listsUsers,
	"tells of roles that changed":              tellsOfChangedRoles,
	"disables a user and ends its sessions":    disablesUser,
	"erases a user":                            erasesUser,
	"keeps one admin when all go at once":      keepsOneAdmin,
	"counts the admins who are active":         countsActiveAdmins,
	"erases a user in a race":                  erasesUserInRace,
	"forgets who was deleted long ago":         forgetsTombstones,
	"lists who was deleted":                    listsDeletions,
	"lets sign-ins and deletions pass at once": erasesWhileSigningIn,
}

// admins makes active admins.
func admins(t *testing.T, s Store, n int) []*domain.User {
	t.Helper()
	made := make([]*domain.User, n)
	for i := range made {
		made[i] = newUser(t, fmt.Sprintf("admin%d@example.com", i), domain.Admin)
		if err := s.CreateUser(t.Context(), made[i]); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

func setAccess(t *testing.T, s Store, id uuid.UUID, role domain.Role, status domain.Status, at time.Time) error {
	t.Helper()
	return s.UpdateAccess(t.Context(), id, func(u *domain.User, admins domain.Admins) (*domain.SessionsEnd, error) {
		if err := u.SetAccess(role, status, admins.Beside(id), at); err != nil || u.MaySignIn() {
			return nil, err
		}
		return &domain.SessionsEnd{Reason: domain.EndedByDisable, At: at}, nil
	})
}

func erase(t *testing.T, s Store, id uuid.UUID, at time.Time) error {
	t.Helper()
	return s.DeleteUser(t.Context(), id, func(u *domain.User, admins domain.Admins) (time.Time, error) {
		return at, u.MayLeave(admins.Beside(id))
	})
}

func email(t *testing.T, raw string) domain.Email {
	t.Helper()
	e, err := domain.ParseEmail(raw)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func changesProfile(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	bob := newUser(t, "bob@example.com", domain.Customer)
	if err := s.CreateUser(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	at := noon.Add(time.Hour)
	err := s.UpdateUser(t.Context(), u.ID(), func(u *domain.User) (*domain.SessionsEnd, error) {
		u.UpdateProfile("Ann Other", email(t, "other@example.com"), at)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := u.Snapshot()
	want.Name, want.Email, want.UpdatedAt = "Ann Other", "other@example.com", at
	got, err := s.User(t.Context(), u.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Snapshot()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	err = s.UpdateUser(t.Context(), u.ID(), func(u *domain.User) (*domain.SessionsEnd, error) {
		u.UpdateProfile("Ann", bob.Email(), at)
		return &domain.SessionsEnd{Reason: domain.EndedFromElsewhere, At: at}, nil
	})
	wantErr(t, "the address of somebody else", err, domain.ErrEmailTaken)
	if n, err := s.CountSessions(t.Context(), usecase.LivingSessions{UserID: u.ID(), At: at}); n != 1 || err != nil {
		t.Errorf("%d sessions live after a change that failed, error %v; want 1", n, err)
	}
}

func givesChangedAddressOnce(t *testing.T, s Store) {
	users := admins(t, s, racers)
	wanted := email(t, "wanted@example.com")
	errs := race(func(i int) error {
		return s.UpdateUser(t.Context(), users[i].ID(), func(u *domain.User) (*domain.SessionsEnd, error) {
			u.UpdateProfile(u.Name(), wanted, noon)
			return nil, nil
		})
	})
	if won, taken := count(t, errs, domain.ErrEmailTaken); won != 1 || taken != racers-1 {
		t.Errorf("%d have the address and %d were refused, want 1 and %d", won, taken, racers-1)
	}
}

func keepsNothingOfRefusedUpdate(t *testing.T, s Store) {
	u, opened, _ := signedIn(t, s)
	failure := errors.New("no")
	change := func(u *domain.User) (*domain.SessionsEnd, error) {
		u.UpdateProfile("Nobody", u.Email(), noon.Add(time.Hour))
		return &domain.SessionsEnd{Reason: domain.EndedByDisable, At: noon}, failure
	}
	wantErr(t, "update", s.UpdateUser(t.Context(), u.ID(), change), failure)
	err := s.UpdateAccess(t.Context(), u.ID(), func(u *domain.User, _ domain.Admins) (*domain.SessionsEnd, error) { return change(u) })
	wantErr(t, "update access", err, failure)
	err = s.DeleteUser(t.Context(), u.ID(), func(*domain.User, domain.Admins) (time.Time, error) { return noon, failure })
	wantErr(t, "delete", err, failure)
	got, err := s.User(t.Context(), u.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u.Snapshot(), got.Snapshot()); diff != "" || !kept(t, s, opened.ID()).EndedAt.IsZero() {
		t.Errorf("something was kept (-want +got):\n%s", diff)
	}
	if changed, err := s.UsersChangedSince(t.Context(), noon.Add(-time.Hour), 10); len(changed) != 0 || err != nil {
		t.Errorf("changed users %v, error %v; want none", changed, err)
	}
}

func findsUsers(t *testing.T, s Store) {
	people := []struct {
		name, email string
		role        domain.Role
		status      domain.Status
	}{
		{"Ann Example", "ann@example.com", domain.Customer, domain.Active},
		{"Zoë Ångström", "zoe@example.org", domain.Staff, domain.Active},
		{"100% Bob_Builder", "bob.builder@example.com", domain.Customer, domain.Disabled},
		{`Back\slash`, "back@shop.example", domain.Admin, domain.Active},
	}
	for _, p := range people {
		snapshot := newUser(t, p.email, p.role).Snapshot()
		snapshot.Name, snapshot.Status = p.name, p.status
		if err := s.CreateUser(t.Context(), domain.RestoreUser(snapshot)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		filter usecase.UserFilter
		want   []string
	}{
		{usecase.UserFilter{}, []string{"back@shop.example", "bob.builder@example.com", "zoe@example.org", "ann@example.com"}},
		{usecase.UserFilter{Text: "ANN"}, []string{"ann@example.com"}},
		{usecase.UserFilter{Text: "ÅNG"}, []string{"zoe@example.org"}},
		{usecase.UserFilter{Text: "xample.c"}, []string{"bob.builder@example.com", "ann@example.com"}},
		{usecase.UserFilter{Text: "n"}, []string{"zoe@example.org", "ann@example.com"}},
		{usecase.UserFilter{Text: "%"}, []string{"bob.builder@example.com"}},
		{usecase.UserFilter{Text: "_"}, []string{"bob.builder@example.com"}},
		{usecase.UserFilter{Text: `\`}, []string{"back@shop.example"}},
		{usecase.UserFilter{Text: "a%e"}, nil},
		{usecase.UserFilter{Text: "' OR 1=1 --"}, nil},
		{usecase.UserFilter{Role: domain.Customer}, []string{"bob.builder@example.com", "ann@example.com"}},
		{usecase.UserFilter{Status: domain.Disabled}, []string{"bob.builder@example.com"}},
		{usecase.UserFilter{Text: "example", Role: domain.Customer, Status: domain.Active}, []string{"ann@example.com"}},
	} {
		users, err := s.Users(t.Context(), tt.filter, uuid.Nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range users {
			got = append(got, u.Email().String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tt.filter, diff)
		}
		if n, err := s.CountUsers(t.Context(), tt.filter); err != nil || n != int64(len(tt.want)) {
			t.Errorf("%+v: counted %d, error %v; want %d", tt.filter, n, err, len(tt.want))
		}
	}
}

func listsUsers(t *testing.T, s Store) {
	var want []uuid.UUID
	for _, u := range admins(t, s, 7) {
		want = append(want, u.ID())
	}
	slices.Reverse(want)
	var (
		got   []uuid.UUID
		after uuid.UUID
	)
	for range 4 {
		page, err := s.Users(t.Context(), usecase.UserFilter{Text: "admin", Role: domain.Admin}, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page {
			got, after = append(got, u.ID()), u.ID()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

func tellsOfChangedRoles(t *testing.T, s Store) {
	all := admins(t, s, 3)
	at := noon.Add(time.Hour)
	if err := setAccess(t, s, all[0].ID(), domain.Staff, domain.Active, at); err != nil {
		t.Fatal(err)
	}
	if err := setAccess(t, s, all[1].ID(), domain.Admin, domain.Disabled, at); err != nil { // its role is the same
		t.Fatal(err)
	}
	gone := newUser(t, "gone@example.com", domain.Customer)
	if err := s.CreateUser(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := erase(t, s, gone.ID(), at); err != nil {
		t.Fatal(err)
	}
	changed := map[uuid.UUID]domain.Role{all[0].ID(): domain.Staff, gone.ID(): ""}
	for since, want := range map[time.Time]map[uuid.UUID]domain.Role{
		noon: changed, at: changed, at.Add(time.Microsecond): nil,
	} {
		found, err := s.UsersChangedSince(t.Context(), since, 10)
		got := make(map[uuid.UUID]domain.Role)
		for _, u := range found {
			got[u.ID] = u.Role
			if !u.At.Equal(at) {
				t.Errorf("changed at %v, want %v", u.At, at)
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("changed since %v, error %v (-want +got):\n%s", since, err, diff)
		}
	}
}

func disablesUser(t *testing.T, s Store) {
	u, opened, token := signedIn(t, s)
	at := noon.Add(time.Hour)
	if err := setAccess(t, s, u.ID(), domain.Customer, domain.Disabled, at); err != nil {
		t.Fatal(err)
	}
	if got := kept(t, s, opened.ID()); got.EndedAt != at || got.EndReason != domain.EndedByDisable {
		t.Errorf("the session ended at %v because of %q", got.EndedAt, got.EndReason)
	}
	if err := setAccess(t, s, u.ID(), domain.Customer, domain.Active, at); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "renew", renew(t.Context(), s, token, newHash(), at), domain.ErrSessionOver)
	wantErr(t, "nobody", setAccess(t, s, uuid.New(), domain.Staff, domain.Active, at), domain.ErrNoUser)
}

func erasesUser(t *testing.T, s Store) {
	u, opened, token := signedIn(t, s)
	meters := domain.LoginMeters(domain.UserKey(u.ID()), phone)
	if _, err := s.ChargeMeters(t.Context(), meters.All(), noon); err != nil {
		t.Fatal(err)
	}
	at := noon.Add(time.Hour)
	if err := erase(t, s, u.ID(), at); err != nil {
		t.Fatal(err)
	}
	_, err := s.User(t.Context(), u.ID())
	wantErr(t, "user", err, domain.ErrNoUser)
	_, err = s.UserByEmail(t.Context(), u.Email())
	wantErr(t, "by e-mail", err, domain.ErrNoUser)
	err = s.UpdateSession(t.Context(), opened.ID(), func(*domain.Session) error { return nil })
	wantErr(t, "session", err, domain.ErrSessionOver)
	wantErr(t, "token", renew(t.Context(), s, token, newHash(), at), domain.ErrSessionOver)
	readings, err := s.ReadMeters(t.Context(), meters.All())
	if err != nil || !readings[0].FreeAt.IsZero() || !readings[1].FreeAt.IsZero() || readings[2].FreeAt.IsZero() || !readings[3].FreeAt.IsZero() {
		t.Errorf("meters %+v, error %v; want those of the account gone", readings, err)
	}
	wantErr(t, "again", erase(t, s, u.ID(), at), domain.ErrNoUser)
	again := newUser(t, u.Email().String(), domain.Customer)
	if err := s.CreateUser(t.Context(), again); err != nil {
		t.Errorf("the address is not free: %v", err)
	}
}

// All admins go at once, each in one of the three ways: one of them stays.
func keepsOneAdmin(t *testing.T, s Store) {
	all := admins(t, s, racers)
	errs := race(func(i int) error {
		switch i % 3 {
		case 0:
			return erase(t, s, all[i].ID(), noon)
		case 1:
			return setAccess(t, s, all[i].ID(), domain.Customer, domain.Active, noon)
		default:
			return setAccess(t, s, all[i].ID(), domain.Admin, domain.Disabled, noon)
		}
	})
	if left, stayed := count(t, errs, domain.ErrLastAdmin); left != racers-1 || stayed != 1 {
		t.Errorf("%d left and %d stayed, want %d and 1", left, stayed, racers-1)
	}
	if n, err := s.CountUsers(t.Context(), usecase.UserFilter{Role: domain.Admin, Status: domain.Active}); err != nil || n != 1 {
		t.Errorf("%d active admins, error %v; want 1", n, err)
	}
}

func countsActiveAdmins(t *testing.T, s Store) {
	all := admins(t, s, 3)
	if err := setAccess(t, s, all[2].ID(), domain.Admin, domain.Disabled, noon); err != nil {
		t.Fatal(err)
	}
	customer, _, _ := signedIn(t, s)
	for u, want := range map[*domain.User]int{all[0]: 1, all[1]: 1, all[2]: 2, customer: 2} {
		err := s.UpdateAccess(t.Context(), u.ID(), func(u *domain.User, admins domain.Admins) (*domain.SessionsEnd, error) {
			if admins.Beside(u.ID()) != want || len(admins) != 2 || !admins.Include(all[0].ID()) || !admins.Include(all[1].ID()) {
				t.Errorf("admins %v, want the first two, %d of them others", admins, want)
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func erasesUserInRace(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	errs := race(func(int) error { return erase(t, s, u.ID(), noon) })
	if done, gone := count(t, errs, domain.ErrNoUser); done != 1 || gone != racers-1 {
		t.Errorf("%d erased the user and %d found none, want 1 and %d", done, gone, racers-1)
	}
}

// Sign-ins, renewals and sign-outs run into the deletion: each is done or refused, and nothing stays behind.
func erasesWhileSigningIn(t *testing.T, s Store) {
	u, opened, token := signedIn(t, s)
	errs := race(func(i int) error {
		var err error
		switch i % 4 {
		case 0:
			err = erase(t, s, u.ID(), noon)
		case 1:
			err = renew(t.Context(), s, token, newHash(), noon)
		case 2:
			err = s.UpdateSession(t.Context(), opened.ID(), func(*domain.Session) error { return nil })
		default:
			err = s.OpenSession(t.Context(), u.ID(), func(u *domain.User) (*domain.Session, domain.RefreshToken, error) {
				return domain.OpenSession(u, phone, newHash(), noon)
			})
		}
		for _, expected := range []error{domain.ErrNoUser, domain.ErrSessionOver, domain.ErrRefreshTokenReused} {
			if errors.Is(err, expected) {
				return nil
			}
		}
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if n, err := s.CountSessions(t.Context(), usecase.LivingSessions{UserID: u.ID(), At: noon}); n != 0 || err != nil {
		t.Errorf("%d sessions of nobody, error %v", n, err)
	}
}

func forgetsTombstones(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	if err := erase(t, s, u.ID(), noon); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		before time.Time
		want   int64
	}{{noon, 0}, {noon.Add(time.Second), 1}, {noon.Add(time.Second), 0}} {
		if n, err := s.DeleteTombstonesOlderThan(t.Context(), tt.before, 10); err != nil || n != tt.want {
			t.Errorf("sweep %d: %d forgotten, error %v; want %d", i, n, err, tt.want)
		}
	}
}

// Two are deleted in each of three moments: every page begins right behind the last one, also between the two.
func listsDeletions(t *testing.T, s Store) {
	want := make([]usecase.Deletion, 6)
	for i := range want {
		u := newUser(t, fmt.Sprintf("u%d@example.com", i), domain.Customer)
		if err := s.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		want[i] = usecase.Deletion{UserID: u.ID(), At: noon.Add(time.Duration(i/2) * time.Microsecond)}
		if err := erase(t, s, u.ID(), want[i].At); err != nil {
			t.Fatal(err)
		}
	}
	// The ids of one moment are in order too: they are made one after the other.
	for limit := 1; limit <= len(want)+1; limit++ {
		var after usecase.Deletion
		for rest := want; ; {
			got, err := s.DeletionsAfter(t.Context(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			page := rest[:min(limit, len(rest))]
			if diff := cmp.Diff(page, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%d at a time, after %v (-want +got):\n%s", limit, after, diff)
			}
			if len(got) == 0 {
				break
			}
			rest, after = rest[len(got):], got[len(got)-1]
		}
	}
}
