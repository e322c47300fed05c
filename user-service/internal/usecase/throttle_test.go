package usecase_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/usecase"
)

func (s *shop) loginFrom(t *testing.T, ip, email, password string) (usecase.Grant, error) {
	t.Helper()
	return s.sessions.Login(t.Context(), usecase.Login{Email: email, Password: password, Device: domain.NewDevice("", ip)})
}

// retryAfter returns for how long an error says to wait, in seconds; zero for another error.
func retryAfter(err error) int64 {
	e := apperr.From(err)
	if e == nil || e.Kind != apperr.TooMany || e.Reason != "rate_limited" {
		return 0
	}
	seconds, _ := e.Attributes["retry_after"].(int64)
	return seconds
}

// Known or not, an account takes ten wrong passwords from one network, each after one hash, and then none, without a hash.
func TestThrottleIsAlikeForAll(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	disabled, err := s.sessions.Register(t.Context(), usecase.Register{Email: "bob@example.com", Password: secret, Name: "Bob"})
	if err != nil {
		t.Fatal(err)
	}
	s.change(t, disabled.User.ID(), func(u *domain.UserSnapshot) { u.Status = domain.Disabled })
	type answer struct {
		Text   string
		Hashes int
		Wait   int64
	}
	var first []answer
	for _, tt := range []struct{ name, ip, email, password string }{
		{"wrong password", "192.0.2.1", address, "wrong"},
		{"unknown account", "192.0.2.2", "nobody@example.com", secret},
		{"disabled account, right password", "192.0.2.3", "bob@example.com", secret},
		{"no address", "192.0.2.4", "\x00", secret},
	} {
		var got []answer
		for range 15 {
			s.passwords.against = nil
			_, err := s.loginFrom(t, tt.ip, tt.email, tt.password)
			if err == nil {
				t.Fatalf("%s: signed in", tt.name)
			}
			got = append(got, answer{err.Error(), len(s.passwords.against), retryAfter(err)})
		}
		if first == nil {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%s is answered otherwise (-want +got):\n%s", tt.name, diff)
		}
	}
	for i, a := range first {
		if want := i < 10; (a.Hashes == 1) != want || (a.Wait == 0) != want || (a.Wait != 0 && a.Wait != 900) {
			t.Errorf("guess %d: %d hashes, wait %d s", i+1, a.Hashes, a.Wait)
		}
	}
}

func TestThrottleEndsByItself(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	for range 1000 {
		_, _ = s.login(t, address, "wrong")
	}
	_, err := s.login(t, address, secret)
	wait := retryAfter(err)
	if wait != 900 {
		t.Fatalf("error %v, wait %d s; want 900 s, however many guesses there were", err, wait)
	}
	s.now = s.now.Add(time.Duration(wait) * time.Second)
	if _, err := s.login(t, address, secret); err != nil {
		t.Fatalf("after the wait: %v", err)
	}
	for i := range 10 { // the right password has cleared the meter
		_, err := s.login(t, address, "wrong")
		wantErr(t, fmt.Sprintf("guess %d", i), err, domain.ErrInvalidCredentials)
	}
}

// Someone elsewhere, in any number of networks, can't keep a customer out of the networks where it has signed in before; and
// a new network waits for a minute at most.
func TestNobodyIsLockedOut(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	const home, travelling = "2001:db8::7", "203.0.113.9"
	if _, err := s.loginFrom(t, home, address, secret); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 200 {
		_, err := s.loginFrom(t, fmt.Sprintf("198.51.100.%d", i), address, "wrong")
		if wait := retryAfter(err); wait > 0 {
			refused++
		}
	}
	if refused != 50 {
		t.Errorf("%d of 200 guesses from as many networks were refused, want 50", refused)
	}
	if _, err := s.loginFrom(t, "2001:db8::ffff", address, secret); err != nil { // the same /64
		t.Errorf("the customer is locked out at home: %v", err)
	}
	_, err := s.loginFrom(t, travelling, address, secret)
	wait := retryAfter(err)
	if wait < 1 || wait > 60 {
		t.Fatalf("error %v, wait %d s; want at most a minute", err, wait)
	}
	s.now = s.now.Add(time.Duration(wait) * time.Second)
	if _, err := s.loginFrom(t, travelling, address, secret); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	s.now = s.now.Add(domain.KnownNetworkLifetime)
	for i := range 200 {
		_, _ = s.loginFrom(t, fmt.Sprintf("198.51.100.%d", i), address, "wrong")
	}
	if _, err := s.loginFrom(t, home, address, secret); retryAfter(err) == 0 {
		t.Errorf("a network of 30 days ago counts as home: %v", err)
	}
}

// One password tried on many accounts from one network.
func TestNetworkIsThrottled(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	for i := range 100 {
		_, err := s.login(t, fmt.Sprintf("user%d@example.com", i), secret)
		wantErr(t, "guess", err, domain.ErrInvalidCredentials)
	}
	_, err := s.login(t, address, secret)
	if wait := retryAfter(err); wait != 3 {
		t.Errorf("error %v, wait %d s; want 3", err, wait)
	}
	if _, err := s.loginFrom(t, "192.0.2.8", address, secret); err != nil {
		t.Errorf("another network: %v", err)
	}
}

// Many guesses at once don't slip through: what is judged is what was counted before.
func TestThrottleHoldsAtOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	s.passwords.against = nil
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { _, _ = s.login(t, address, "wrong") })
	}
	wg.Wait()
	if got := len(s.passwords.against); got != 10 {
		t.Errorf("%d of 50 guesses were judged, want 10", got)
	}
}

// alwaysBusy is a hasher that never has time.
type alwaysBusy struct{ *countsChecks }

var errBusy = apperr.New(apperr.TooMany, "rate_limited", "Busy.")

func (alwaysBusy) Verify(context.Context, string, string) (bool, error) { return false, errBusy }

// A password that could not be checked is no guess, also when its sender has gone.
func TestUnjudgedGuessesAreReturned(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	s.use(alwaysBusy{s.passwords})
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.sessions.Login(ctx, usecase.Login{Email: address, Password: secret})
		wantErr(t, "login", err, errBusy)
	}
	s.use(s.passwords)
	for range 10 {
		_, err := s.login(t, address, "wrong")
		wantErr(t, "guess", err, domain.ErrInvalidCredentials)
	}
}

func TestLiftedThrottle(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.register(t)
	lifted := usecase.NewSessions(s.store, s.store, s.passwords, usecase.LiftedThrottle(), tells{}, slog.New(slog.DiscardHandler), time.Now)
	for range 200 {
		_, err := lifted.Login(t.Context(), usecase.Login{Email: address, Password: "wrong"})
		wantErr(t, "guess", err, domain.ErrInvalidCredentials)
	}
	if _, err := lifted.Login(t.Context(), usecase.Login{Email: address, Password: secret}); err != nil {
		t.Error(err)
	}
}

// Whoever holds a session can't guess its password without end either, and those guesses count together with sign-ins.
func TestPasswordProofsAreThrottled(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	var judged int
	for i := range 12 {
		var err error
		switch i % 3 {
		case 0:
			err = s.profiles.ChangePassword(as(t, grant), usecase.ChangePassword{Current: "wrong", New: "kettle-omnibus-2"})
		case 1:
			err = s.profiles.Delete(as(t, grant), usecase.DeleteAccount{Password: "wrong"})
		default:
			_, err = s.login(t, address, "wrong")
		}
		if errors.Is(err, domain.ErrInvalidCredentials) {
			judged++
		} else if retryAfter(err) == 0 {
			t.Errorf("guess %d: %v", i, err)
		}
	}
	if judged != 10 {
		t.Errorf("%d guesses were judged, want 10", judged)
	}
}

// Somebody with fourteen networks guesses as fast as the edge lets pass, day and night: an owner with the right password gets in
// each time, from networks that nobody knows.
func TestOwnerGetsInWhileOthersGuess(t *testing.T) {
	t.Parallel()
	for _, networks := range []int{1, 14} {
		s := setup(t)
		s.register(t)
		for second := range 4 * 3600 {
			s.now = s.now.Add(time.Second)
			_, _ = s.loginFrom(t, fmt.Sprintf("198.51.100.%d", second%networks), address, "wrong")
			if second%97 == 0 {
				if _, err := s.loginFrom(t, fmt.Sprintf("203.0.%d.%d", second/97/256, second/97%256), address, secret); err != nil {
					t.Fatalf("%d networks guess: the owner is kept out after %d s: %v", networks, second, err)
				}
			}
		}
	}
}

// Who holds a session and changes the address gets no more guesses by it, neither inside nor at the door.
func TestAnotherAddressTakesNoGuessBack(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant, email := s.register(t), address
	judged := 0
	for i := range 300 {
		from := fmt.Sprintf("198.51.100.%d", i%3)
		var err error
		if i%2 == 0 {
			err = s.profiles.ChangePassword(as(t, grant), usecase.ChangePassword{Current: "wrong", New: another, Device: domain.NewDevice("", from)})
		} else {
			_, err = s.loginFrom(t, from, email, "wrong")
		}
		if retryAfter(err) == 0 {
			judged++
		}
		email = fmt.Sprintf("ann%d@example.com", i)
		if _, err := s.profiles.Update(as(t, grant), usecase.UpdateProfile{Email: &email}); err != nil {
			t.Fatal(err)
		}
	}
	if judged != 30 {
		t.Errorf("%d of 300 guesses from three networks were judged, want 30", judged)
	}
}

// The networks of who had an address before are not those of who has it now.
func TestKnownNetworksAreTheUsers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	for i := range 20 {
		if _, err := s.loginFrom(t, fmt.Sprintf("198.51.100.%d", i), address, secret); err != nil {
			t.Fatal(err)
		}
	}
	const moved = "moved@example.com"
	if _, err := s.profiles.Update(as(t, grant), usecase.UpdateProfile{Email: new(moved)}); err != nil {
		t.Fatal(err)
	}
	s.register(t) // somebody else takes the address
	judged := 0
	for i := range 200 {
		if _, err := s.loginFrom(t, fmt.Sprintf("198.51.100.%d", i%20), address, "wrong"); retryAfter(err) == 0 {
			judged++
		}
	}
	if judged != 150 {
		t.Errorf("%d of 200 guesses were judged, want 150", judged)
	}
	for i := range 200 {
		_, _ = s.loginFrom(t, fmt.Sprintf("203.0.113.%d", i), moved, "wrong")
	}
	if _, err := s.loginFrom(t, "198.51.100.7", moved, secret); err != nil {
		t.Errorf("at home, under the new address: %v", err)
	}
}

// The right password is no way to make the shop hash, nor to open sessions, without end; and a wrong one does not use it up.
func TestRightPasswordsAreThrottled(t *testing.T) {
	t.Parallel()
	s := setup(t)
	grant := s.register(t)
	for i := range 100 {
		_, _ = s.loginFrom(t, fmt.Sprintf("198.51.100.%d", i), address, "wrong")
	}
	signedIn := 0
	for i := range 100 {
		_, err := s.loginFrom(t, fmt.Sprintf("203.0.113.%d", i%5), address, secret)
		if err == nil {
			signedIn++
		} else if wait := retryAfter(err); wait != 60 {
			t.Errorf("sign-in %d: error %v, wait %d s", i, err, wait)
		}
	}
	s.passwords.against = nil
	changed := 0
	for i := range 30 {
		err := s.profiles.ChangePassword(as(t, grant), usecase.ChangePassword{Current: secret, New: secret, Device: domain.NewDevice("", fmt.Sprintf("203.0.113.%d", i))})
		if err == nil {
			changed++
		} else if wait := retryAfter(err); wait != 300 {
			t.Errorf("change %d: error %v, wait %d s", i, err, wait)
		}
	}
	if hashes := len(s.passwords.against); signedIn != 60 || changed != 10 || hashes != 10 {
		t.Errorf("%d sign-ins, %d changes after %d hashes; want 60, 10, 10", signedIn, changed, hashes)
	}
	s.now = s.now.Add(time.Minute)
	if _, err := s.login(t, address, secret); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}
