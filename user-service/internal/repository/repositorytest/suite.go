// Package repositorytest is what every store of user-service must do, races included.
package repositorytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

// Store is all that the use cases need of a store.
type Store interface {
	usecase.Accounts
	usecase.SessionStore
	usecase.UserSearch
	usecase.AccessStore
	usecase.AdminStore
	usecase.MeterStore
	usecase.OldSessions
	usecase.DeletionReader
}

// racers is how many do the same thing at once in the tests of races.
const racers = 20

var (
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	phone = domain.Device{UserAgent: "Phone/1.0", IP: "192.0.2.7"}
)

// Run tests the stores that open makes, one for each test.
func Run(t *testing.T, open func(*testing.T) Store) {
	tests := map[string]func(*testing.T, Store){
		"keeps a user":                              keepsUser,
		"knows no strangers":                        knowsNoStrangers,
		"gives an address once":                     givesAddressOnce,
		"gives an address once in a race":           givesAddressOnceInRace,
		"registers all or nothing":                  registersAllOrNothing,
		"opens a session and keeps the rehash":      opensSession,
		"keeps nothing when open refuses":           keepsNothingOnRefusal,
		"renews a session":                          renewsSession,
		"keeps the end of a reused session":         keepsEndOfReusedSession,
		"lets one renewal win in a race":            letsOneRenewalWin,
		"rolls a failed renewal back":               rollsFailedRenewalBack,
		"ends a session":                            endsSession,
		"ends or renews a session in a race":        endsOrRenewsInRace,
		"deletes sessions that nobody used":         deletesOldSessions,
		"deletes tokens that were spent long ago":   deletesOldTokens,
		"stores every role, status and end reason":  storesEveryEnum,
		"does nothing for a caller who went away":   doesNothingWhenCancelled,
		"opens sessions of one user at once":        opensSessionsAtOnce,
		"keeps times to the microsecond and in UTC": keepsTimes,
	}
	maps.Copy(tests, accountTests)
	maps.Copy(tests, sessionTests)
	maps.Copy(tests, throttleTests)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func newUser(t *testing.T, address string, role domain.Role) *domain.User {
	t.Helper()
	email, err := domain.ParseEmail(address)
	if err != nil {
		t.Fatal(err)
	}
	u, err := domain.NewUser(email, "Ann Example", role, "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5", noon)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// signedIn registers a user and returns it with its session and that's first token.
func signedIn(t *testing.T, s Store) (*domain.User, *domain.Session, domain.TokenHash) {
	t.Helper()
	u := newUser(t, "ann@example.com", domain.Customer)
	hash := newHash()
	session, token := session(t, u, hash, noon)
	if err := s.Register(t.Context(), u, session, token); err != nil {
		t.Fatal(err)
	}
	return u, session, hash
}

func session(t *testing.T, u *domain.User, first domain.TokenHash, at time.Time) (*domain.Session, domain.RefreshToken) {
	t.Helper()
	session, token, err := domain.OpenSession(u, phone, first, at)
	if err != nil {
		t.Fatal(err)
	}
	return session, token
}

func newHash() domain.TokenHash { return domain.HashRefreshToken(domain.NewRefreshSecret()) }

// kept returns the session as the store has it.
func kept(t *testing.T, s Store, id uuid.UUID) domain.SessionSnapshot {
	t.Helper()
	var found domain.SessionSnapshot
	err := s.UpdateSession(t.Context(), id, func(session *domain.Session) error {
		found = session.Snapshot()
		return nil
	})
	if err != nil {
		t.Fatalf("read session: %v", err)
	}
	return found
}

// renew presents a token as the use case does, and returns the refusal, if any.
func renew(ctx context.Context, s Store, presented, next domain.TokenHash, at time.Time) error {
	var refused error
	err := s.RenewSession(ctx, presented, func(r *domain.Renewal) error {
		refused = r.Renew(next, phone, at)
		return nil
	})
	return errors.Join(err, refused)
}

// race runs f in all racers at once and returns their errors.
func race(f func(i int) error) []error {
	var (
		errs  = make([]error, racers)
		start = make(chan struct{})
		wg    sync.WaitGroup
	)
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// count returns how many errors are which, and fails for those that are neither nil nor that.
func count(t *testing.T, errs []error, which error) (succeeded, expected int) {
	t.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			succeeded++
		case errors.Is(err, which):
			expected++
		default:
			t.Errorf("unexpected error: %v", err)
		}
	}
	return succeeded, expected
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func keepsUser(t *testing.T, s Store) {
	u := newUser(t, "ann@example.com", domain.Customer)
	if err := s.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	byID, err := s.User(t.Context(), u.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u.Snapshot(), byID.Snapshot()); diff != "" {
		t.Errorf("by id (-want +got):\n%s", diff)
	}
	byEmail, err := s.UserByEmail(t.Context(), u.Email())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u.Snapshot(), byEmail.Snapshot()); diff != "" {
		t.Errorf("by e-mail (-want +got):\n%s", diff)
	}
}

func knowsNoStrangers(t *testing.T, s Store) {
	stranger := newUser(t, "nobody@example.com", domain.Customer)
	_, err := s.User(t.Context(), stranger.ID())
	wantErr(t, "user", err, domain.ErrNoUser)
	_, err = s.UserByEmail(t.Context(), stranger.Email())
	wantErr(t, "by e-mail", err, domain.ErrNoUser)
	err = s.OpenSession(t.Context(), stranger.ID(), func(*domain.User) (*domain.Session, domain.RefreshToken, error) {
		t.Error("open was called without a user")
		return nil, domain.RefreshToken{}, errors.New("no")
	})
	wantErr(t, "open session", err, domain.ErrNoUser)
	wantErr(t, "renew", renew(t.Context(), s, newHash(), newHash(), noon), domain.ErrSessionOver)
	err = s.UpdateSession(t.Context(), uuid.New(), func(*domain.Session) error { return nil })
	wantErr(t, "update session", err, domain.ErrSessionOver)
}

func givesAddressOnce(t *testing.T, s Store) {
	if err := s.CreateUser(t.Context(), newUser(t, "ann@example.com", domain.Customer)); err != nil {
		t.Fatal(err)
	}
	err := s.CreateUser(t.Context(), newUser(t, " ANN@Example.COM ", domain.Customer))
	wantErr(t, "the same address", err, domain.ErrEmailTaken)
}

func givesAddressOnceInRace(t *testing.T, s Store) {
	errs := race(func(int) error {
		u := newUser(t, "ann@example.com", domain.Customer)
		session, token := session(t, u, newHash(), noon)
		return s.Register(t.Context(), u, session, token)
	})
	if won, taken := count(t, errs, domain.ErrEmailTaken); won != 1 || taken != racers-1 {
		t.Errorf("%d registered and %d were refused, want 1 and %d", won, taken, racers-1)
	}
}

func registersAllOrNothing(t *testing.T, s Store) {
	signedIn(t, s)
	u := newUser(t, "ann@example.com", domain.Customer)
	hash := newHash()
	session, token := session(t, u, hash, noon)
	wantErr(t, "register", s.Register(t.Context(), u, session, token), domain.ErrEmailTaken)
	_, err := s.User(t.Context(), u.ID())
	wantErr(t, "user", err, domain.ErrNoUser)
	wantErr(t, "renew", renew(t.Context(), s, hash, newHash(), noon), domain.ErrSessionOver)
}

func opensSession(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	const stronger = "$argon2id$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5"
	hash := newHash()
	var opened *domain.Session
	err := s.OpenSession(t.Context(), u.ID(), func(u *domain.User) (*domain.Session, domain.RefreshToken, error) {
		u.SetPassword(stronger)
		session, token, err := domain.OpenSession(u, phone, hash, noon.Add(time.Hour))
		opened = session
		return session, token, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(opened.Snapshot(), kept(t, s, opened.ID())); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	after, err := s.User(t.Context(), u.ID())
	if err != nil {
		t.Fatal(err)
	}
	if got := after.PasswordHash(); got != stronger {
		t.Errorf("password hash: got %q, want the new one", got)
	}
	if err := renew(t.Context(), s, hash, newHash(), noon.Add(2*time.Hour)); err != nil {
		t.Errorf("renew with the first token: %v", err)
	}
}

func keepsNothingOnRefusal(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	err := s.OpenSession(t.Context(), u.ID(), func(u *domain.User) (*domain.Session, domain.RefreshToken, error) {
		u.SetPassword("$argon2id$other")
		return nil, domain.RefreshToken{}, domain.ErrInvalidCredentials
	})
	wantErr(t, "open", err, domain.ErrInvalidCredentials)
	after, err := s.User(t.Context(), u.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u.Snapshot(), after.Snapshot()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

func renewsSession(t *testing.T, s Store) {
	u, opened, first := signedIn(t, s)
	second, third := newHash(), newHash()
	laptop := domain.Device{UserAgent: "Laptop/2.0", IP: "2001:db8::1"}
	later := noon.Add(24 * time.Hour)
	err := s.RenewSession(t.Context(), first, func(r *domain.Renewal) error {
		if diff := cmp.Diff(u.Snapshot(), r.User.Snapshot()); diff != "" {
			t.Errorf("user (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(opened.Snapshot(), r.Session.Snapshot()); diff != "" {
			t.Errorf("session (-want +got):\n%s", diff)
		}
		want := domain.RefreshToken{Hash: first, SessionID: opened.ID(), IssuedAt: noon}
		if diff := cmp.Diff(want, r.Presented); diff != "" {
			t.Errorf("token (-want +got):\n%s", diff)
		}
		return r.Renew(second, laptop, later)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := opened.Snapshot()
	want.LastUsedAt, want.Device = later, laptop
	if diff := cmp.Diff(want, kept(t, s, opened.ID())); diff != "" {
		t.Errorf("session afterwards (-want +got):\n%s", diff)
	}
	if err := renew(t.Context(), s, second, third, later.Add(time.Hour)); err != nil {
		t.Errorf("renew with the second token: %v", err)
	}
}

func keepsEndOfReusedSession(t *testing.T, s Store) {
	_, opened, first := signedIn(t, s)
	second := newHash()
	if err := renew(t.Context(), s, first, second, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	reused := noon.Add(2 * time.Hour)
	wantErr(t, "the spent token", renew(t.Context(), s, first, newHash(), reused), domain.ErrRefreshTokenReused)
	wantErr(t, "the good token", renew(t.Context(), s, second, newHash(), reused), domain.ErrSessionOver)
	wantErr(t, "the spent token again", renew(t.Context(), s, first, newHash(), reused.Add(time.Hour)), domain.ErrRefreshTokenReused)
	got := kept(t, s, opened.ID())
	if got.EndedAt != reused || got.EndReason != domain.EndedByReuse {
		t.Errorf("ended at %v because of %q, want %v, %q", got.EndedAt, got.EndReason, reused, domain.EndedByReuse)
	}
}

func letsOneRenewalWin(t *testing.T, s Store) {
	_, opened, first := signedIn(t, s)
	next := make([]domain.TokenHash, racers)
	for i := range next {
		next[i] = newHash()
	}
	errs := race(func(i int) error { return renew(t.Context(), s, first, next[i], noon.Add(time.Hour)) })
	if won, reused := count(t, errs, domain.ErrRefreshTokenReused); won != 1 || reused != racers-1 {
		t.Errorf("%d won and %d were refused, want 1 and %d", won, reused, racers-1)
	}
	if got := kept(t, s, opened.ID()).EndReason; got != domain.EndedByReuse {
		t.Errorf("end reason: got %q, want %q", got, domain.EndedByReuse)
	}
	// Nobody is left with a good token: neither the winner, whose session is over, nor those whose token was never kept.
	for i, hash := range next {
		if err := renew(t.Context(), s, hash, newHash(), noon.Add(2*time.Hour)); !errors.Is(err, domain.ErrSessionOver) {
			t.Errorf("token of racer %d: got error %v, want %v", i, err, domain.ErrSessionOver)
		}
	}
}

func rollsFailedRenewalBack(t *testing.T, s Store) {
	_, opened, first := signedIn(t, s)
	before := kept(t, s, opened.ID())
	failure := errors.New("no")
	err := s.RenewSession(t.Context(), first, func(r *domain.Renewal) error {
		return errors.Join(failure, r.Renew(newHash(), phone, noon.Add(time.Hour)))
	})
	wantErr(t, "renew", err, failure)
	if diff := cmp.Diff(before, kept(t, s, opened.ID())); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	if err := renew(t.Context(), s, first, newHash(), noon.Add(time.Hour)); err != nil {
		t.Errorf("the token is spent: %v", err)
	}
}

func endsSession(t *testing.T, s Store) {
	_, opened, first := signedIn(t, s)
	end := noon.Add(time.Minute)
	for _, at := range []time.Time{end, end.Add(time.Hour)} { // the second time changes nothing
		err := s.UpdateSession(t.Context(), opened.ID(), func(session *domain.Session) error {
			session.End(domain.EndedByLogout, at)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := opened.Snapshot()
	want.EndedAt, want.EndReason = end, domain.EndedByLogout
	if diff := cmp.Diff(want, kept(t, s, opened.ID())); diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
	wantErr(t, "renew", renew(t.Context(), s, first, newHash(), end.Add(time.Second)), domain.ErrSessionOver)
	for since, want := range map[time.Time][]uuid.UUID{
		end.Add(-time.Hour): {opened.ID()}, end: {opened.ID()}, end.Add(time.Microsecond): nil,
	} {
		ended, err := s.SessionsEndedSince(t.Context(), since, 10)
		var got []uuid.UUID
		for _, e := range ended {
			got = append(got, e.ID)
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ended since %v, error %v (-want +got):\n%s", since, err, diff)
		}
	}

	failure := errors.New("no")
	err := s.UpdateSession(t.Context(), opened.ID(), func(*domain.Session) error { return failure })
	wantErr(t, "update", err, failure)
}

func endsOrRenewsInRace(t *testing.T, s Store) {
	_, opened, first := signedIn(t, s)
	errs := race(func(i int) error {
		if i%2 == 0 {
			return s.UpdateSession(t.Context(), opened.ID(), func(session *domain.Session) error {
				session.End(domain.EndedByLogout, noon.Add(time.Hour))
				return nil
			})
		}
		err := renew(t.Context(), s, first, newHash(), noon.Add(time.Hour))
		if errors.Is(err, domain.ErrRefreshTokenReused) || errors.Is(err, domain.ErrSessionOver) {
			return nil
		}
		return err
	})
	if err := errors.Join(errs...); err != nil {
		t.Errorf("unexpected: %v", err)
	}
	if kept(t, s, opened.ID()).EndedAt.IsZero() {
		t.Error("the session lives, though it was ended")
	}
}

func deletesOldSessions(t *testing.T, s Store) {
	u, old, oldToken := signedIn(t, s)
	fresh, freshToken := session(t, u, newHash(), noon.Add(48*time.Hour))
	err := s.OpenSession(t.Context(), u.ID(), func(*domain.User) (*domain.Session, domain.RefreshToken, error) {
		return fresh, freshToken, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{1, 0} {
		got, err := s.DeleteSessionsUnusedSince(t.Context(), noon.Add(24*time.Hour), 10)
		if err != nil || got != want {
			t.Errorf("sweep %d: deleted %d (error %v), want %d", i, got, err, want)
		}
	}
	err = s.UpdateSession(t.Context(), old.ID(), func(*domain.Session) error { return nil })
	wantErr(t, "the old session", err, domain.ErrSessionOver)
	wantErr(t, "its token", renew(t.Context(), s, oldToken, newHash(), noon), domain.ErrSessionOver)
	if err := renew(t.Context(), s, freshToken.Hash, newHash(), noon.Add(49*time.Hour)); err != nil {
		t.Errorf("the fresh session: %v", err)
	}
}

func deletesOldTokens(t *testing.T, s Store) {
	_, _, hash := signedIn(t, s)
	for i := range 5 {
		next := newHash()
		if err := renew(t.Context(), s, hash, next, noon.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
		hash = next
	}
	// Spent at noon, 13:00, … 16:00; the last one is not.
	for i, want := range []int64{2, 1, 0} {
		got, err := s.DeleteTokensSpentBefore(t.Context(), noon.Add(150*time.Minute), 2)
		if err != nil || got != want {
			t.Errorf("sweep %d: deleted %d (error %v), want %d", i, got, err, want)
		}
	}
	if err := renew(t.Context(), s, hash, newHash(), noon.Add(24*time.Hour)); err != nil {
		t.Errorf("the good token: %v", err)
	}
}

func storesEveryEnum(t *testing.T, s Store) {
	for i, role := range []domain.Role{domain.Customer, domain.Staff, domain.Admin} {
		for j, status := range []domain.Status{domain.Active, domain.Disabled} {
			snapshot := newUser(t, fmt.Sprintf("u%d%d@example.com", i, j), role).Snapshot()
			snapshot.Status = status
			if err := s.CreateUser(t.Context(), domain.RestoreUser(snapshot)); err != nil {
				t.Fatal(err)
			}
			got, err := s.User(t.Context(), snapshot.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(snapshot, got.Snapshot()); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		}
	}
	u, _, _ := signedIn(t, s)
	for _, reason := range []domain.EndReason{domain.EndedByLogout, domain.EndedByReuse, domain.EndedByDisable, domain.EndedFromElsewhere, domain.EndedByPasswordChange, domain.EndedByLimit} {
		opened, token := session(t, u, newHash(), noon)
		err := s.OpenSession(t.Context(), u.ID(), func(*domain.User) (*domain.Session, domain.RefreshToken, error) {
			return opened, token, nil
		})
		if err == nil {
			err = s.UpdateSession(t.Context(), opened.ID(), func(session *domain.Session) error {
				session.End(reason, noon)
				return nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := kept(t, s, opened.ID()).EndReason; got != reason {
			t.Errorf("end reason: got %q, want %q", got, reason)
		}
	}
}

func doesNothingWhenCancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u := newUser(t, "ann@example.com", domain.Customer)
	session, token := session(t, u, newHash(), noon)
	wantErr(t, "register", s.Register(ctx, u, session, token), context.Canceled)
	wantErr(t, "create", s.CreateUser(ctx, u), context.Canceled)
	_, err := s.User(t.Context(), u.ID())
	wantErr(t, "user", err, domain.ErrNoUser)
}

func opensSessionsAtOnce(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	hashes := make([]domain.TokenHash, racers)
	errs := race(func(i int) error {
		hashes[i] = newHash()
		return s.OpenSession(t.Context(), u.ID(), func(u *domain.User) (*domain.Session, domain.RefreshToken, error) {
			u.SetPassword(u.PasswordHash() + "+") // lost, unless each sees what the one before has done
			return domain.OpenSession(u, phone, hashes[i], noon)
		})
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	after, err := s.User(t.Context(), u.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u.PasswordHash()+strings.Repeat("+", racers), after.PasswordHash()); diff != "" {
		t.Errorf("what the racers wrote (-want +got):\n%s", diff)
	}
	for i, hash := range hashes {
		if err := renew(t.Context(), s, hash, newHash(), noon.Add(time.Hour)); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
}

func keepsTimes(t *testing.T, s Store) {
	u, _, _ := signedIn(t, s)
	at := time.Date(2026, 10, 25, 3, 30, 0, 123456000, time.FixedZone("CEST", 2*60*60))
	opened, token := session(t, u, newHash(), at)
	err := s.OpenSession(t.Context(), u.ID(), func(*domain.User) (*domain.Session, domain.RefreshToken, error) {
		return opened, token, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := kept(t, s, opened.ID()).OpenedAt; got != at.UTC() {
		t.Errorf("opened at: got %v, want %v", got, at.UTC())
	}
}
