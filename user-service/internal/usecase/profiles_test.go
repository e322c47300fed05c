package usecase_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/password"
	"shop.example/user-service/internal/usecase"
)

const another = "teapot-tramway"

func TestUpdateProfile(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	if _, err := s.sessions.Register(t.Context(), usecase.Register{Email: "bob@example.com", Password: secret, Name: "Bob"}); err != nil {
		t.Fatal(err)
	}
	want := grant.User.Snapshot()
	update := func(name, email *string) {
		t.Helper()
		s.now = s.now.Add(time.Hour)
		got, err := s.profiles.Update(as(t, grant), usecase.UpdateProfile{Name: name, Email: email})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Snapshot()); diff != "" {
			t.Errorf("user (-want +got):\n%s", diff)
		}
	}
	update(nil, nil)
	update(new(" Ann "), new(" ANN@example.com")) // the same already
	want.Name, want.UpdatedAt = "Ann Other", s.now.Add(time.Hour).Truncate(time.Microsecond)
	update(new("Ann Other"), nil)
	want.Email, want.UpdatedAt = "other@example.com", s.now.Add(time.Hour).Truncate(time.Microsecond)
	update(nil, new("Other@Example.com"))
	if _, err := s.login(t, "other@example.com", secret); err != nil {
		t.Errorf("sign in with the new address: %v", err)
	}
	_, err := s.profiles.Update(as(t, grant), usecase.UpdateProfile{Email: new("BOB@example.com")})
	wantErr(t, "the address of somebody else", err, domain.ErrEmailTaken)
	_, err = s.profiles.Update(as(t, grant), usecase.UpdateProfile{Name: new("\u200B"), Email: new("bob")})
	if e := apperr.From(err); e.Kind != apperr.Invalid || len(e.Violations) != 2 {
		t.Errorf("error %v, violations %+v; want both fields refused", err, e.Violations)
	}
	_, err = s.profiles.Update(t.Context(), usecase.UpdateProfile{})
	if apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("anonymous: %v", err)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	other, err := s.login(t, address, secret)
	if err != nil {
		t.Fatal(err)
	}
	change := func(current, next string) error {
		return s.profiles.ChangePassword(as(t, grant), usecase.ChangePassword{Current: current, New: next})
	}
	wantErr(t, "wrong current password", change("wrong", another), domain.ErrInvalidCredentials)
	for _, bad := range []string{"short", "password123", address, "Ann"} {
		e := apperr.From(change(secret, bad))
		if e == nil || e.Kind != apperr.Invalid || len(e.Violations) != 1 || e.Violations[0].Location != "new_password" {
			t.Errorf("%q: error %v, want a violation at new_password", bad, e)
		}
	}
	if _, err := s.login(t, address, secret); err != nil {
		t.Fatalf("the password changed, though it was refused: %v", err)
	}
	if err := change(secret, another); err != nil {
		t.Fatal(err)
	}
	_, err = s.login(t, address, secret)
	wantErr(t, "the old password", err, domain.ErrInvalidCredentials)
	if _, err := s.login(t, address, another); err != nil {
		t.Errorf("the new password: %v", err)
	}
	_, err = s.refresh(t, other.RefreshToken, "")
	wantErr(t, "the other session", err, domain.ErrSessionOver)
	if _, err := s.refresh(t, grant.RefreshToken, ""); err != nil {
		t.Errorf("the current session: %v", err)
	}
	u, err := s.store.User(t.Context(), grant.User.ID())
	if err != nil || u.UpdatedAt() != grant.User.UpdatedAt() {
		t.Errorf("updated at %v (error %v): nothing changed that anybody sees", u.UpdatedAt(), err)
	}
}

// Two changes at once: the one that was proved with the password of before is refused.
func TestChangePasswordSeesWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	s.use(changesMeanwhile{s.passwords.Hasher, func() {
		s.change(t, grant.User.ID(), func(u *domain.UserSnapshot) { u.PasswordHash += "+" })
	}})
	err := s.profiles.ChangePassword(as(t, grant), usecase.ChangePassword{Current: secret, New: another})
	wantErr(t, "change", err, domain.ErrInvalidCredentials)
	s.change(t, grant.User.ID(), func(u *domain.UserSnapshot) { u.PasswordHash = grant.User.PasswordHash() })
	err = s.profiles.Delete(as(t, grant), usecase.DeleteAccount{Password: secret})
	wantErr(t, "delete", err, domain.ErrInvalidCredentials)
}

// A sign-in that is under way with the old password when it changes: no session.
func TestLoginDuringPasswordChange(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	changing := s.profiles
	changed := false
	s.use(changesMeanwhile{s.passwords.Hasher, func() {
		if changed {
			return
		}
		changed = true
		if err := changing.ChangePassword(as(t, grant), usecase.ChangePassword{Current: secret, New: another}); err != nil {
			t.Error(err)
		}
	}})
	_, err := s.login(t, address, secret)
	wantErr(t, "login", err, domain.ErrInvalidCredentials)
}

func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	remove := func(password string) error {
		return s.profiles.Delete(as(t, grant), usecase.DeleteAccount{Password: password})
	}
	wantErr(t, "wrong password", remove("wrong"), domain.ErrInvalidCredentials)
	if err := remove(secret); err != nil {
		t.Fatal(err)
	}
	_, err := s.login(t, address, secret)
	wantErr(t, "login", err, domain.ErrInvalidCredentials)
	_, err = s.refresh(t, grant.RefreshToken, "")
	wantErr(t, "refresh", err, domain.ErrSessionOver)
	// The access token lives on for some seconds. It is good for nothing.
	for name, err := range map[string]error{
		"delete": remove(secret), "others": s.sessions.EndOthers(as(t, grant)),
		"password": s.profiles.ChangePassword(as(t, grant), usecase.ChangePassword{Current: secret, New: another}),
		"profile":  second(s.profiles.Update(as(t, grant), usecase.UpdateProfile{Name: new("Ann")})),
	} {
		if got := apperr.KindOf(err); got != apperr.Unauthenticated {
			t.Errorf("%s: error %v, want unauthenticated", name, err)
		}
	}
	changes, err := s.sessions.Changes(t.Context(), time.Time{})
	role, told := changes.Users[grant.User.ID().String()]
	if err != nil || !told || role != "" {
		t.Errorf("changes %+v, error %v; want the user without a role", changes, err)
	}
	if _, err := s.sessions.Register(t.Context(), usecase.Register{Email: address, Password: secret, Name: "Ann"}); err != nil {
		t.Errorf("the address is not free again: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestLastAdminStays(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if _, err := usecase.BootstrapAdmin(t.Context(), s.store, s.passwords, "admin@shop.example", secret, func() time.Time { return s.now }); err != nil {
		t.Fatal(err)
	}
	admin, err := s.login(t, "admin@shop.example", secret)
	if err != nil {
		t.Fatal(err)
	}
	id := admin.User.ID()
	wantErr(t, "deletes itself", s.profiles.Delete(as(t, admin), usecase.DeleteAccount{Password: secret}), domain.ErrLastAdmin)
	wantErr(t, "is deleted", s.admins.Delete(as(t, admin), id), domain.ErrLastAdmin)
	for _, c := range []usecase.SetAccess{{UserID: id, Role: domain.Staff}, {UserID: id, Status: domain.Disabled}} {
		_, err := s.admins.SetAccess(as(t, admin), c)
		wantErr(t, "access", err, domain.ErrLastAdmin)
	}
	if _, err := s.refresh(t, admin.RefreshToken, ""); err != nil {
		t.Errorf("a refusal has ended the session: %v", err)
	}
	ann := s.register(t)
	if _, err := s.admins.SetAccess(as(t, admin), usecase.SetAccess{UserID: ann.User.ID(), Role: domain.Admin}); err != nil {
		t.Fatal(err)
	}
	if err := s.profiles.Delete(as(t, admin), usecase.DeleteAccount{Password: secret}); err != nil {
		t.Errorf("one of two admins can't leave: %v", err)
	}
}

func TestSetAccess(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	id, boss := grant.User.ID(), s.boss(t)
	set := func(role domain.Role, status domain.Status) *domain.User {
		t.Helper()
		s.now = s.now.Add(time.Minute)
		u, err := s.admins.SetAccess(boss, usecase.SetAccess{UserID: id, Role: role, Status: status})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := set("", ""); u.UpdatedAt() != grant.User.UpdatedAt() {
		t.Error("nothing was asked for, but the user counts as updated")
	}
	if u := set(domain.Staff, ""); u.Role() != domain.Staff || u.Status() != domain.Active {
		t.Errorf("role %q, status %q", u.Role(), u.Status())
	}
	changes, err := s.sessions.Changes(t.Context(), time.Time{})
	if role := changes.Users[id.String()]; err != nil || role != "staff" || len(changes.EndedSessions) != 0 {
		t.Errorf("changes %+v, error %v", changes, err)
	}
	refreshed, err := s.refresh(t, grant.RefreshToken, "")
	if err != nil || principal(t, refreshed.AccessToken).Role != "staff" {
		t.Errorf("the session does not go on with the new role: %v", err)
	}
	set("", domain.Disabled)
	changes, err = s.sessions.Changes(t.Context(), time.Time{})
	if err != nil || len(changes.EndedSessions) != 1 {
		t.Errorf("changes %+v, error %v; want the session of the disabled user", changes, err)
	}
	set("", domain.Active)
	_, err = s.refresh(t, refreshed.RefreshToken, "")
	wantErr(t, "a session of before", err, domain.ErrSessionOver)
	if _, err := s.login(t, address, secret); err != nil {
		t.Errorf("a user who is enabled again can't sign in: %v", err)
	}
}

// A change whose transaction commits after its time, while the verifiers go on asking, is told of nevertheless.
func TestChangesMissNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant, other := s.register(t), s.registerAs(t, "bob@example.com")
	at, boss := s.now, s.boss(t)
	changes, err := s.sessions.Changes(t.Context(), time.Time{})
	for range 5 { // they ask every 2 s
		s.now = s.now.Add(2 * time.Second)
		if err == nil {
			changes, err = s.sessions.Changes(t.Context(), changes.Next)
		}
	}
	asked := s.now
	s.now = at // what happened ten seconds ago becomes visible now
	err = errors.Join(err, s.sessions.Logout(as(t, grant)), s.admins.Delete(boss, other.User.ID()),
		second(s.admins.SetAccess(boss, usecase.SetAccess{UserID: grant.User.ID(), Role: domain.Staff})))
	if err != nil {
		t.Fatal(err)
	}
	s.now = asked.Add(2 * time.Second)
	changes, err = s.sessions.Changes(t.Context(), changes.Next)
	if err != nil || len(changes.EndedSessions) != 1 || len(changes.Users) != 2 {
		t.Errorf("changes %+v, error %v; want one session and two users", changes, err)
	}
	s.now = s.now.Add(time.Hour)
	if changes, err = s.sessions.Changes(t.Context(), time.Time{}); err != nil || len(changes.EndedSessions)+len(changes.Users) != 0 {
		t.Errorf("changes %+v, error %v; want none that no token can still contradict", changes, err)
	}
}

func parse(t *testing.T, id string) uuid.UUID {
	t.Helper()
	parsed, err := uuid.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestSessionsOfCaller(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.register(t)
	var grants []usecase.Grant
	for range 4 {
		s.now = s.now.Add(time.Minute)
		grant, err := s.login(t, address, secret)
		if err != nil {
			t.Fatal(err)
		}
		grants = append(grants, grant)
	}
	var (
		token string
		seen  int
	)
	for {
		page, err := s.sessions.List(as(t, grants[1]), usecase.Page{Size: 2, Token: token, IncludeTotal: true})
		if err != nil || *page.Total != 5 {
			t.Fatalf("page %+v, error %v", page, err)
		}
		seen += len(page.Items)
		if page.Current.String() != principal(t, grants[1].AccessToken).SessionID {
			t.Errorf("current is %v", page.Current)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if seen != 5 {
		t.Errorf("%d sessions on all pages, want 5", seen)
	}
	id := principal(t, first.AccessToken).SessionID
	stranger, err := s.sessions.Register(t.Context(), usecase.Register{Email: "bob@example.com", Password: secret, Name: "Bob"})
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a stranger", s.sessions.End(as(t, stranger), parse(t, id)), domain.ErrNoSession)
	if err := s.sessions.End(as(t, grants[0]), parse(t, id)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "once more", s.sessions.End(as(t, grants[0]), parse(t, id)), domain.ErrNoSession)
	_, err = s.refresh(t, first.RefreshToken, "")
	wantErr(t, "refresh", err, domain.ErrSessionOver)
	if err := s.sessions.EndOthers(as(t, grants[0])); err != nil {
		t.Fatal(err)
	}
	for i, grant := range grants {
		if _, err := s.refresh(t, grant.RefreshToken, ""); (i == 0) != (err == nil) {
			t.Errorf("session %d: refresh error %v", i, err)
		}
	}
	if _, err := s.refresh(t, stranger.RefreshToken, ""); err != nil {
		t.Errorf("the stranger's session: %v", err)
	}
	if err := s.sessions.End(as(t, grants[0]), parse(t, principal(t, grants[0].AccessToken).SessionID)); err != nil {
		t.Errorf("end the current session: %v", err)
	}
	_, err = s.sessions.List(as(t, grants[0]), usecase.Page{Token: "AAAA"})
	if apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("a made up page token: %v", err)
	}
}

// A lost answer: the client repeats its refresh and goes on; who does not know its key ends the session.
func TestRefreshIsRepeatable(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.register(t)
	second, err := s.refresh(t, first.RefreshToken, "key")
	if err != nil {
		t.Fatal(err)
	}
	s.change(t, first.User.ID(), func(u *domain.UserSnapshot) { u.Role = domain.Staff })
	s.now = s.now.Add(30 * time.Second)
	again, err := s.refresh(t, first.RefreshToken, "key")
	if err != nil || again.RefreshToken != second.RefreshToken || principal(t, again.AccessToken).Role != "staff" {
		t.Fatalf("the repetition: error %v, want the same refresh token and a fresh access token", err)
	}
	s.now = s.now.Add(31 * time.Second)
	_, err = s.refresh(t, first.RefreshToken, "key")
	wantErr(t, "a minute later", err, domain.ErrRefreshTokenReused)
	_, err = s.refresh(t, second.RefreshToken, "key")
	wantErr(t, "the successor", err, domain.ErrSessionOver)
}

// Parameters that grew: a rehash of the same password beside a change of it does not bring the old one back.
func TestRehashDoesNotUndoChange(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	stronger := password.NewHasher(password.Params{MemoryKiB: 128, Time: 1, Threads: 1})
	changing := s.profiles
	s.use(changesMeanwhile{stronger, func() {
		if err := changing.ChangePassword(as(t, grant), usecase.ChangePassword{Current: secret, New: another}); err != nil {
			t.Error(err)
		}
	}})
	_, err := s.login(t, address, secret)
	wantErr(t, "login", err, domain.ErrInvalidCredentials)
	s.use(s.passwords)
	if _, err := s.login(t, address, another); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	for _, name := range []string{"bob", "eve", "ann2"} {
		if _, err := s.sessions.Register(t.Context(), usecase.Register{Email: name + "@example.com", Password: secret, Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	filter := usecase.UserFilter{Text: " example.com "}
	page, err := s.users.List(t.Context(), filter, usecase.Page{Size: 3, IncludeTotal: true})
	if err != nil || len(page.Items) != 3 || *page.Total != 4 || page.Items[0].Name() != "ann2" {
		t.Fatalf("page %+v, error %v", page, err)
	}
	next, err := s.users.List(t.Context(), filter, usecase.Page{Size: 3, Token: page.NextPageToken})
	if err != nil || len(next.Items) != 1 || next.Items[0].Name() != "Ann" || next.NextPageToken != "" || next.Total != nil {
		t.Errorf("page %+v, error %v", next, err)
	}
	_, err = s.users.List(t.Context(), usecase.UserFilter{Text: "other"}, usecase.Page{Size: 3, Token: page.NextPageToken})
	if apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("the token of another search: %v", err)
	}
	_, err = s.users.List(t.Context(), usecase.UserFilter{Text: "a\x00"}, usecase.Page{})
	if apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("a NUL: %v", err)
	}
}

// A token says admin for some seconds after its owner was demoted. It is no way to undo that, nor to take others along.
func TestNoAdminAnyMore(t *testing.T) {
	t.Parallel()
	s := setup(t)
	boss, former, ann := s.boss(t), s.registerAs(t, "former@example.com"), s.register(t)
	p := principal(t, former.AccessToken)
	p.Role = auth.Admin
	stale := auth.NewContext(t.Context(), p)
	for _, c := range []usecase.SetAccess{{Role: domain.Customer}, {Role: domain.Admin, Status: domain.Disabled}} {
		s.change(t, former.User.ID(), func(u *domain.UserSnapshot) { u.Role, u.Status = domain.Admin, domain.Active })
		if _, err := s.admins.SetAccess(stale, usecase.SetAccess{UserID: ann.User.ID(), Role: domain.Staff}); err != nil {
			t.Fatalf("while it is an admin: %v", err)
		}
		c.UserID = former.User.ID()
		if _, err := s.admins.SetAccess(boss, c); err != nil {
			t.Fatal(err)
		}
		for _, id := range []uuid.UUID{former.User.ID(), ann.User.ID()} {
			_, err := s.admins.SetAccess(stale, usecase.SetAccess{UserID: id, Role: domain.Admin, Status: domain.Active})
			wantErr(t, "access", err, domain.ErrNoAdmin)
			wantErr(t, "delete", s.admins.Delete(stale, id), domain.ErrNoAdmin)
		}
	}
	u, err := s.store.User(t.Context(), ann.User.ID())
	if err != nil || u.Role() != domain.Staff {
		t.Errorf("user %+v, error %v; want it as it was", u, err)
	}
	if _, err := s.admins.SetAccess(t.Context(), usecase.SetAccess{UserID: ann.User.ID()}); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("anonymous: %v", err)
	}
	if err := s.admins.Delete(t.Context(), ann.User.ID()); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("anonymous: %v", err)
	}
}

// A signed-in user has named no address that could be wrong.
func TestWrongPasswordInside(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	for what, err := range map[string]error{
		"change": s.profiles.ChangePassword(as(t, grant), usecase.ChangePassword{Current: "wrong", New: another}),
		"delete": s.profiles.Delete(as(t, grant), usecase.DeleteAccount{Password: "wrong"}),
	} {
		e := apperr.From(err)
		if e.Kind != apperr.Unauthenticated || e.Reason != "invalid_credentials" || e.Message != "The password is wrong." {
			t.Errorf("%s: %v %s %q", what, e.Kind, e.Reason, e.Message)
		}
	}
}

// manyChanges is a store in which very many sessions have ended and roles have changed, many at a time.
type manyChanges struct {
	usecase.SessionStore
	ended []usecase.EndedSession
	users []usecase.ChangedUser
}

func (m manyChanges) SessionsEndedSince(_ context.Context, since time.Time, limit int) (part []usecase.EndedSession, _ error) {
	for _, e := range m.ended {
		if n := len(part); !e.At.Before(since) && (n < limit || e.At.Equal(part[n-1].At)) {
			part = append(part, e)
		}
	}
	return part, nil
}

func (m manyChanges) UsersChangedSince(_ context.Context, since time.Time, limit int) (part []usecase.ChangedUser, _ error) {
	for _, c := range m.users {
		if n := len(part); !c.At.Before(since) && (n < limit || c.At.Equal(part[n-1].At)) {
			part = append(part, c)
		}
	}
	return part, nil
}

// However much has changed, an answer is bounded, and who asks on hears of all of it: also when all of it is of just now.
func TestChangesComeInParts(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, age := range []time.Duration{10 * time.Minute, time.Second} {
		store := manyChanges{SessionStore: s.store}
		for i := range 35_000 {
			at := s.now.Add(-age).Truncate(time.Microsecond).Add(time.Duration(i/7) * time.Microsecond) // seven at a time
			store.ended = append(store.ended, usecase.EndedSession{ID: uuid.New(), At: at})
			if i%2 == 0 {
				store.users = append(store.users, usecase.ChangedUser{ID: uuid.New(), Role: domain.Staff, At: at})
			}
		}
		sessions := usecase.NewSessions(s.store, store, s.passwords, usecase.LiftedThrottle(), tells{}, slog.New(slog.DiscardHandler), func() time.Time { return s.now })
		ended, users := map[string]bool{}, map[string]bool{}
		var since time.Time
		asked := 0
		for more := true; more; asked++ {
			changes, err := sessions.Changes(t.Context(), since)
			if err != nil {
				t.Fatal(err)
			}
			if len(changes.EndedSessions) > 10_006 || len(changes.Users) > 10_006 {
				t.Fatalf("an answer of %d sessions and %d users", len(changes.EndedSessions), len(changes.Users))
			}
			for _, id := range changes.EndedSessions {
				ended[id] = true
			}
			for id := range changes.Users {
				users[id] = true
			}
			more = len(changes.EndedSessions) >= 10_000 || len(changes.Users) >= 10_000
			if more && !changes.Next.After(since) {
				t.Fatalf("no progress: from %v again", changes.Next)
			}
			if since = changes.Next; !more && !since.Equal(s.now.Add(-20*time.Second)) {
				t.Errorf("at the end the next question is from %v, want 20 s before now", since)
			}
		}
		if len(ended) != len(store.ended) || len(users) != len(store.users) || asked > 8 {
			t.Errorf("%d of %d sessions and %d of %d users after %d questions", len(ended), len(store.ended), len(users), len(store.users), asked)
		}
	}
}

func TestTooManySessions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.register(t)
	for range domain.MaxSessions {
		s.now = s.now.Add(time.Minute)
		if _, err := s.login(t, address, secret); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.refresh(t, first.RefreshToken, "")
	wantErr(t, "the oldest session", err, domain.ErrSessionOver)
	changes, err := s.sessions.Changes(t.Context(), time.Time{})
	if err != nil || len(changes.EndedSessions) != 1 || changes.EndedSessions[0] != principal(t, first.AccessToken).SessionID {
		t.Errorf("changes %+v, error %v; want the end of the oldest session", changes, err)
	}
}
