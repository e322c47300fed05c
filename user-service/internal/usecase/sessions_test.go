package usecase_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/password"
	"shop.example/user-service/internal/repository/memory"
	"shop.example/user-service/internal/usecase"
)

// cheap are parameters that make tests fast; nothing here depends on the cost.
var cheap = password.Params{MemoryKiB: 64, Time: 1, Threads: 1}

const (
	address = "ann@example.com"
	secret  = "kettle-omnibus"
)

// countsChecks is a real hasher that says against what passwords were checked.
type countsChecks struct {
	*password.Hasher
	mu      sync.Mutex
	against []string
}

func (c *countsChecks) Verify(ctx context.Context, phc, password string) (bool, error) {
	c.mu.Lock()
	c.against = append(c.against, phc)
	c.mu.Unlock()
	return c.Hasher.Verify(ctx, phc, password)
}

// tells is a signer whose tokens say what they stand for.
type tells struct{}

func (tells) Sign(p auth.Principal) (string, error) {
	raw, err := json.Marshal(p)
	return string(raw), err
}

type shop struct {
	sessions  *usecase.Sessions
	users     *usecase.Users
	profiles  *usecase.Profiles
	admins    *usecase.Administration
	store     *memory.Store
	passwords *countsChecks
	log       *bytes.Buffer
	now       time.Time
}

func setup(t *testing.T) *shop {
	t.Helper()
	s := &shop{
		store:     memory.New(),
		passwords: &countsChecks{Hasher: password.NewHasher(cheap)},
		log:       new(bytes.Buffer),
		now:       time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC),
	}
	s.use(s.passwords)
	s.users = usecase.NewUsers(s.store)
	return s
}

func (s *shop) use(passwords usecase.Passwords) {
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := func() time.Time { return s.now }
	throttle := usecase.NewThrottle(s.store, now)
	s.sessions = usecase.NewSessions(s.store, s.store, passwords, throttle, tells{}, log, now)
	s.profiles = usecase.NewProfiles(s.store, passwords, throttle, log, now)
	s.admins = usecase.NewAdministration(s.store, log, now)
}

func (s *shop) register(t *testing.T) usecase.Grant {
	t.Helper()
	return s.registerAs(t, address)
}

func (s *shop) registerAs(t *testing.T, email string) usecase.Grant {
	t.Helper()
	grant, err := s.sessions.Register(t.Context(), usecase.Register{Email: email, Password: secret, Name: "Ann"})
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	return grant
}

func (s *shop) login(t *testing.T, email, password string) (usecase.Grant, error) {
	t.Helper()
	return s.sessions.Login(t.Context(), usecase.Login{Email: email, Password: password})
}

func (s *shop) refresh(t *testing.T, refreshToken, key string) (usecase.Grant, error) {
	t.Helper()
	return s.sessions.Refresh(t.Context(), usecase.Refresh{RefreshToken: refreshToken, IdempotencyKey: key})
}

// as returns a context whose calls are made with an access token.
func as(t *testing.T, g usecase.Grant) context.Context {
	t.Helper()
	return auth.NewContext(t.Context(), principal(t, g.AccessToken))
}

// change changes a user in the store, as an admin would.
func (s *shop) change(t *testing.T, id uuid.UUID, f func(*domain.UserSnapshot)) {
	t.Helper()
	failed := s.store.UpdateUser(t.Context(), id, func(u *domain.User) (*domain.SessionsEnd, error) {
		snapshot := u.Snapshot()
		f(&snapshot)
		*u = *domain.RestoreUser(snapshot)
		return nil, nil
	})
	if failed != nil {
		t.Fatal(failed)
	}
}

// boss returns a context whose calls are made by an admin.
func (s *shop) boss(t *testing.T) context.Context {
	t.Helper()
	const email = "boss@shop.example"
	if _, err := usecase.BootstrapAdmin(t.Context(), s.store, s.passwords, email, secret, func() time.Time { return s.now }); err != nil {
		t.Fatal(err)
	}
	grant, err := s.login(t, email, secret)
	if err != nil {
		t.Fatal(err)
	}
	return as(t, grant)
}

// principal returns whom an access token stands for.
func principal(t *testing.T, accessToken string) auth.Principal {
	t.Helper()
	var p auth.Principal
	if err := json.Unmarshal([]byte(accessToken), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant, err := s.sessions.Register(t.Context(), usecase.Register{Email: " Ann@Example.com", Password: secret, Name: " Ann "})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := s.store.User(t.Context(), grant.User.ID())
	if err != nil {
		t.Fatal(err)
	}
	at := s.now.Truncate(time.Microsecond)
	want := domain.UserSnapshot{
		ID: grant.User.ID(), Email: address, Name: "Ann", Role: domain.Customer, Status: domain.Active,
		PasswordHash: kept.PasswordHash(), CreatedAt: at, UpdatedAt: at,
	}
	if diff := cmp.Diff(want, kept.Snapshot()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if strings.Contains(kept.PasswordHash(), secret) || !strings.HasPrefix(kept.PasswordHash(), "$argon2id$") {
		t.Errorf("the password is kept as %q", kept.PasswordHash())
	}
	p := principal(t, grant.AccessToken)
	if p.UserID != kept.ID().String() || p.Role != auth.Customer || uuid.Validate(p.SessionID) != nil {
		t.Errorf("the access token stands for %+v", p)
	}
	if _, err := s.refresh(t, grant.RefreshToken, ""); err != nil {
		t.Errorf("the refresh token does not work: %v", err)
	}
	_, err = s.sessions.Register(t.Context(), usecase.Register{Email: "ANN@example.com", Password: secret, Name: "Another Ann"})
	wantErr(t, "the same address", err, domain.ErrEmailTaken)
}

func TestRegisterNamesEveryMistake(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, err := s.sessions.Register(t.Context(), usecase.Register{Email: "ann", Password: "password", Name: "\x00"})
	var got []string
	for _, v := range apperr.From(err).Violations {
		got = append(got, v.Location)
	}
	if diff := cmp.Diff([]string{"email", "password", "name"}, got); diff != "" || apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("error %v, violations (-want +got):\n%s", err, diff)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := setup(t)
	registered := s.register(t)
	grant, err := s.login(t, " ANN@example.com ", secret)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(registered.User.Snapshot(), grant.User.Snapshot()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if principal(t, grant.AccessToken).SessionID == principal(t, registered.AccessToken).SessionID {
		t.Error("two sign-ins share a session")
	}
}

// Whoever fails to sign in learns nothing: the answer is the same, and so is the work.
func TestLoginFailuresAreAlike(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.register(t).User.ID()
	ann, err := s.store.User(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	disabled, err := s.sessions.Register(t.Context(), usecase.Register{Email: "bob@example.com", Password: secret, Name: "Bob"})
	if err != nil {
		t.Fatal(err)
	}
	s.change(t, disabled.User.ID(), func(u *domain.UserSnapshot) { u.Status = domain.Disabled })

	tests := []struct{ name, email, password, against string }{
		{"wrong password", address, "kettle-omnibuss", ann.PasswordHash()},
		{"empty password", address, "", ann.PasswordHash()},
		{"unknown address", "nobody@example.com", secret, s.passwords.Absent()},
		{"no address", "\x00'; DROP TABLE users", secret, s.passwords.Absent()},
		{"disabled, right password", "bob@example.com", secret, disabled.User.PasswordHash()},
	}
	for _, tt := range tests {
		s.passwords.against = nil
		_, err := s.login(t, tt.email, tt.password)
		if diff := cmp.Diff(domain.ErrInvalidCredentials.Error(), err.Error()); diff != "" || !errors.Is(err, domain.ErrInvalidCredentials) {
			t.Errorf("%s: error (-want +got):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff([]string{tt.against}, s.passwords.against); diff != "" {
			t.Errorf("%s: passwords were checked against (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestLoginRehashes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.register(t).User.ID()
	s.now = s.now.Add(time.Hour)
	stronger := password.NewHasher(password.Params{MemoryKiB: 128, Time: 1, Threads: 1})
	s.use(stronger)
	for range 2 { // with the old hash, then with the new one
		if _, err := s.login(t, address, secret); err != nil {
			t.Fatal(err)
		}
		u, err := s.store.User(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if stronger.NeedsRehash(u.PasswordHash()) {
			t.Errorf("the hash is still %q", u.PasswordHash())
		}
		if u.UpdatedAt() != u.CreatedAt() {
			t.Error("a rehash changes nothing that anybody sees, but the user counts as updated")
		}
	}
	s.use(s.passwords) // parameters that shrank again
	if _, err := s.login(t, address, "kettle-omnibuss"); !errors.Is(err, domain.ErrInvalidCredentials) {
		t.Errorf("error %v, want %v", err, domain.ErrInvalidCredentials)
	}
}

// changesMeanwhile is a hasher during whose work something else happens.
type changesMeanwhile struct {
	*password.Hasher
	change func()
}

func (c changesMeanwhile) Verify(ctx context.Context, phc, password string) (bool, error) {
	defer c.change()
	return c.Hasher.Verify(ctx, phc, password)
}

// A password that was changed, or a user who was disabled, while the old password was being checked: no session.
func TestLoginSeesWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*domain.UserSnapshot){
		"password": func(u *domain.UserSnapshot) { u.PasswordHash = "$argon2id$another" },
		"status":   func(u *domain.UserSnapshot) { u.Status = domain.Disabled },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			id := s.register(t).User.ID()
			s.use(changesMeanwhile{s.passwords.Hasher, func() { s.change(t, id, change) }})
			_, err := s.login(t, address, secret)
			wantErr(t, "login", err, domain.ErrInvalidCredentials)
		})
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.register(t)
	s.change(t, first.User.ID(), func(u *domain.UserSnapshot) { u.Role = domain.Staff })
	s.now = s.now.Add(20 * 24 * time.Hour)
	second, err := s.refresh(t, first.RefreshToken, "")
	if err != nil {
		t.Fatal(err)
	}
	before, after := principal(t, first.AccessToken), principal(t, second.AccessToken)
	if after.SessionID != before.SessionID || after.Role != auth.Staff {
		t.Errorf("the new token stands for %+v, want the session of %+v and the new role", after, before)
	}
	// Another 20 days: more than 30 since the sign-in, but not since the last use.
	s.now = s.now.Add(20 * 24 * time.Hour)
	third, err := s.refresh(t, second.RefreshToken, "")
	if err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(domain.SessionIdleLifetime)
	_, err = s.refresh(t, third.RefreshToken, "")
	wantErr(t, "after 30 idle days", err, domain.ErrSessionOver)
	_, err = s.refresh(t, "made up", "")
	wantErr(t, "made up", err, domain.ErrSessionOver)
}

func TestRefreshTokenReuseEndsSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.register(t)
	other, err := s.login(t, address, secret)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.refresh(t, first.RefreshToken, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.refresh(t, first.RefreshToken, "")
	wantErr(t, "the spent token", err, domain.ErrRefreshTokenReused)
	_, err = s.refresh(t, second.RefreshToken, "")
	wantErr(t, "its successor", err, domain.ErrSessionOver)
	if _, err := s.refresh(t, other.RefreshToken, ""); err != nil {
		t.Errorf("the user's other session is over too: %v", err)
	}
}

func TestRefreshOfDisabledUser(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	s.change(t, grant.User.ID(), func(u *domain.UserSnapshot) { u.Status = domain.Disabled })
	_, err := s.refresh(t, grant.RefreshToken, "")
	wantErr(t, "refresh", err, domain.ErrSessionOver)
}

func TestLogout(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	for range 2 {
		if err := s.sessions.Logout(as(t, grant)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.refresh(t, grant.RefreshToken, "")
	wantErr(t, "refresh", err, domain.ErrSessionOver)

	changes, err := s.sessions.Changes(t.Context(), time.Time{})
	if ended, want := changes.EndedSessions, principal(t, grant.AccessToken).SessionID; err != nil || len(ended) != 1 || ended[0] != want {
		t.Errorf("ended sessions are %v, error %v, want %s", ended, err, want)
	}
	if again, err := s.sessions.Changes(t.Context(), changes.Next); err != nil || len(again.EndedSessions) != 1 {
		t.Errorf("an ending of just now is missed by the next look: %v, %v", again, err)
	}
	if got := apperr.KindOf(s.sessions.Logout(t.Context())); got != apperr.Unauthenticated {
		t.Errorf("logout of nobody: kind %v, want %v", got, apperr.Unauthenticated)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.register(t).User.ID()
	tests := map[string]struct {
		caller auth.Principal
		want   error
	}{
		"itself":           {auth.Principal{UserID: id.String(), Role: auth.Customer}, nil},
		"another customer": {auth.Principal{UserID: uuid.NewString(), Role: auth.Customer}, domain.ErrNoUser},
		"staff":            {auth.Principal{UserID: uuid.NewString(), Role: auth.Staff}, domain.ErrNoUser},
		"admin":            {auth.Principal{UserID: uuid.NewString(), Role: auth.Admin}, nil},
		"an unknown role":  {auth.Principal{UserID: uuid.NewString(), Role: "root"}, domain.ErrNoUser},
	}
	for name, tt := range tests {
		u, err := s.users.User(auth.NewContext(t.Context(), tt.caller), id)
		if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) || (err == nil && u.ID() != id) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
	if _, err := s.users.User(t.Context(), id); apperr.KindOf(err) != apperr.Unauthenticated {
		t.Errorf("anonymous: error %v, want unauthenticated", err)
	}
	admin := auth.NewContext(t.Context(), auth.Principal{UserID: uuid.NewString(), Role: auth.Admin})
	_, err := s.users.User(admin, uuid.New())
	wantErr(t, "no such user", err, domain.ErrNoUser)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.register(t).User.ID()
	if got, err := s.users.Status(t.Context(), id); got != domain.Active || err != nil {
		t.Errorf("status %q, error %v; want %q", got, err, domain.Active)
	}
	s.change(t, id, func(u *domain.UserSnapshot) { u.Status = domain.Disabled })
	if got, err := s.users.Status(t.Context(), id); got != domain.Disabled || err != nil {
		t.Errorf("status %q, error %v; want %q", got, err, domain.Disabled)
	}
	_, err := s.users.Status(t.Context(), uuid.New())
	wantErr(t, "no such user", err, domain.ErrNoUser)
}

func TestBootstrapAdmin(t *testing.T) {
	t.Parallel()
	s := setup(t)
	bootstrap := func(email, password string) (bool, error) {
		return usecase.BootstrapAdmin(t.Context(), s.store, s.passwords, email, password, func() time.Time { return s.now })
	}
	if created, err := bootstrap("admin@shop.example", secret); !created || err != nil {
		t.Fatalf("created %v, error %v; want it created", created, err)
	}
	if created, err := bootstrap("Admin@shop.example", "another-password"); created || err != nil {
		t.Errorf("created %v, error %v; want nothing to do", created, err)
	}
	grant, err := s.login(t, "admin@shop.example", secret)
	if err != nil {
		t.Fatalf("the first password does not work anymore: %v", err)
	}
	if got := principal(t, grant.AccessToken).Role; got != auth.Admin {
		t.Errorf("role %q, want %q", got, auth.Admin)
	}

	s.register(t)
	if _, err := bootstrap(address, secret); apperr.KindOf(err) != apperr.Conflict {
		t.Errorf("the address of a customer: error %v, want a conflict", err)
	}
	if _, err := bootstrap("second@shop.example", "password"); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("a common password: error %v, want it refused", err)
	}
	if _, err := bootstrap("second", secret); apperr.KindOf(err) != apperr.Invalid {
		t.Errorf("no address: error %v, want it refused", err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.register(t)
	second, err := s.refresh(t, first.RefreshToken, "")
	if err != nil {
		t.Fatal(err)
	}
	housekeeping := usecase.NewHousekeeping(s.store, slog.New(slog.DiscardHandler), func() time.Time { return s.now })
	sweepAfter := func(d time.Duration) {
		t.Helper()
		s.now = s.now.Add(d)
		if err := housekeeping.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sweepAfter(29 * 24 * time.Hour)
	third, err := s.refresh(t, second.RefreshToken, "")
	if err != nil {
		t.Fatalf("a session in use was swept: %v", err)
	}
	sweepAfter(2 * 24 * time.Hour) // the first token was spent 31 days ago
	_, err = s.refresh(t, first.RefreshToken, "")
	wantErr(t, "a token spent long ago", err, domain.ErrSessionOver)
	_, err = s.refresh(t, second.RefreshToken, "")
	wantErr(t, "a token spent lately", err, domain.ErrRefreshTokenReused)
	sweepAfter(60 * 24 * time.Hour)
	_, err = s.refresh(t, second.RefreshToken, "")
	wantErr(t, "after the session was swept", err, domain.ErrSessionOver)
	_, err = s.refresh(t, third.RefreshToken, "")
	wantErr(t, "after the session was swept", err, domain.ErrSessionOver)
}

// What nobody may repeat, wait for or ask about any more is cleared away in its time, and not before.
func TestSweepForgets(t *testing.T) {
	t.Parallel()
	s := setup(t)
	gone, grant := s.registerAs(t, "gone@example.com"), s.register(t)
	if err := s.admins.Delete(s.boss(t), gone.User.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.refresh(t, grant.RefreshToken, "key"); err != nil {
		t.Fatal(err)
	}
	_, err := s.login(t, "nobody@example.com", "wrong")
	wantErr(t, "guess", err, domain.ErrInvalidCredentials)
	guessed := domain.LoginMeters(domain.AddressKey("nobody@example.com"), domain.Device{}).All()
	housekeeping := usecase.NewHousekeeping(s.store, slog.New(slog.DiscardHandler), func() time.Time { return s.now })
	begin := s.now
	for _, tt := range []struct {
		after                   time.Duration
		repeatable, met, buried bool
	}{
		{0, true, true, true}, {30 * time.Second, true, true, true}, {61 * time.Second, false, false, true},
		{59 * 24 * time.Hour, false, false, true}, {61 * 24 * time.Hour, false, false, false},
	} {
		s.now = begin.Add(tt.after)
		if err := housekeeping.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		repeatable := false
		_ = s.store.RenewSession(t.Context(), domain.HashRefreshToken(grant.RefreshToken), func(r *domain.Renewal) error {
			repeatable = r.Presented.Successor != nil
			return nil
		})
		readings, err := s.store.ReadMeters(t.Context(), guessed)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := s.store.UsersChangedSince(t.Context(), time.Time{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		if met := !readings[1].FreeAt.IsZero(); repeatable != tt.repeatable || met != tt.met || (len(changed) == 1) != tt.buried {
			t.Errorf("after %v: repeatable %v, met %v, buried %v; want %+v", tt.after, repeatable, met, len(changed) == 1, tt)
		}
	}
}

// Commands and grants can be logged by mistake without giving anything away.
func TestSecretsAreNotLoggable(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("oops",
		"register", usecase.Register{Email: address, Password: secret, Name: "Ann"},
		"login", usecase.Login{Email: address, Password: secret}, "grant", grant,
		"refresh", usecase.Refresh{RefreshToken: grant.RefreshToken}, "change", usecase.ChangePassword{Current: secret, New: secret},
		"delete", usecase.DeleteAccount{Password: secret}, "update", usecase.UpdateProfile{Email: new(address)})
	for _, leak := range []string{secret, address, grant.AccessToken, grant.RefreshToken} {
		if strings.Contains(out.String()+s.log.String(), leak) {
			t.Errorf("%q was logged", leak)
		}
	}
}
