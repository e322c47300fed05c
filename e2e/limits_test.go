package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/auth"
)

// TestLimits is about a shop that limits sign-ins, as in production, and about its last admin, for which nobody else may be there.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := shop.StartFor(t, shop.WithLimits())
	t.Run("guessing", func(t *testing.T) { guessing(t, s) })
	t.Run("equal times", func(t *testing.T) { equalTimes(t, s) })
	t.Run("the last admin", func(t *testing.T) { lastAdmin(t, s) })
}

// from says where a request comes from, as a trusted proxy does. The addresses are those that are set aside for tests of networks.
func from(network, host int) string {
	return fmt.Sprintf("X-Forwarded-For: 198.%d.%d.%d", 18+network/256, network%256, host)
}

// Networks, of which no two tests use the same.
const (
	home = iota
	thief
	secondThief
	abroad
	nowhere
	session
	crowd  = 20  // and 60 more
	timing = 100 // and 60 more
	admins = 200 // and 40 more
)

// login tries a password from somewhere.
func login(t *testing.T, s *shop.Shop, email, password, where string) *shop.Answer {
	t.Helper()
	return s.Stranger(t).Post("/auth/login", map[string]string{"email": email, "password": password}, where)
}

// wantThrottled checks a refusal of a guess, which must tell when it makes sense to try again, and soon enough for a person.
func wantThrottled(t *testing.T, a *shop.Answer) shop.Problem {
	t.Helper()
	p := shop.WantProblem(t, http.StatusTooManyRequests, "rate_limited", a)
	const longest = 15 * time.Minute // a customer who mistyped ten times waits; one who is locked out calls
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || after < 1 || after > int(longest/time.Second) {
		t.Errorf("Retry-After: %q", a.Header.Get("Retry-After"))
	}
	return p
}

// guess tries wrong passwords until that is refused, and returns how many were looked at and how the shop answered the first and the
// last.
func guess(t *testing.T, s *shop.Shop, email, where string) (looked int, wrong, refused shop.Problem) {
	t.Helper()
	const most = 20 // guesses that nobody needs who knows the password
	for looked = range most {
		a := login(t, s, email, shop.NewPassword(), where)
		if a.Status == http.StatusTooManyRequests {
			return looked, wrong, wantThrottled(t, a)
		}
		wrong = shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", a)
	}
	t.Fatalf("%d guesses and no end", most)
	return 0, shop.Problem{}, shop.Problem{}
}

func guessing(t *testing.T, s *shop.Shop) {
	customer := s.NewCustomer(t, from(home, 1))
	email, password := customer.Email, customer.Password
	customer.SignIn(from(home, 1))

	looked, wrong, refused := guess(t, s, email, from(thief, 1))
	const least = 3 // attempts that a person needs who has to think
	if looked < least {
		t.Errorf("refused after %d attempts", looked)
	}
	// There is no oracle: what is refused is not looked at, be it right.
	wantThrottled(t, login(t, s, email, password, from(thief, 1)))
	// An address can be written in many ways, and is one.
	wantThrottled(t, login(t, s, " "+email+" ", password, from(thief, 1)))
	// What a client says of itself is not believed: only the last hop is the proxy's word.
	wantThrottled(t, login(t, s, email, password, "X-Forwarded-For: 198.51.100.7, 198.18.1.1"))
	// The customer gets in from elsewhere.
	shop.Want[shop.Session](t, http.StatusOK, login(t, s, email, password, from(home, 1)))
	shop.Want[shop.Session](t, http.StatusOK, login(t, s, email, password, from(abroad, 1)))

	// An account that does not exist is treated alike.
	unknownLooked, unknownWrong, unknownRefused := guess(t, s, shop.NewEmail(), from(secondThief, 1))
	for _, p := range []*shop.Problem{&wrong, &refused, &unknownWrong, &unknownRefused} {
		p.RequestID = ""
	}
	if looked != unknownLooked || fmt.Sprint(wrong) != fmt.Sprint(unknownWrong) || fmt.Sprint(refused) != fmt.Sprint(unknownRefused) {
		t.Errorf("after %d: %+v, %+v; of an unknown account after %d: %+v, %+v",
			looked, wrong, refused, unknownLooked, unknownWrong, unknownRefused)
	}

	// Guesses from many networks are refused too, in the end, and yet the customer gets in where he has signed in before.
	const networks, each = 60, 5
	spread := 0
	for ; spread < networks; spread++ {
		refused := false
		for range each {
			a := login(t, s, email, shop.NewPassword(), from(crowd+spread, 1))
			if refused = a.Status == http.StatusTooManyRequests; refused {
				wantThrottled(t, a)
				break
			}
			shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", a)
		}
		if refused {
			break
		}
	}
	if spread == networks {
		t.Errorf("%d guesses from %d networks are all looked at", networks*each, networks)
	}
	wantThrottled(t, login(t, s, email, password, from(nowhere, 1)))
	shop.Want[shop.Session](t, http.StatusOK, login(t, s, email, password, from(home, 1)))

	// Who has stolen a session can't guess the password by way of changing it, nor by deleting the account.
	victim := s.NewCustomer(t, from(session, 1))
	var last *shop.Answer
	for range 20 {
		body := map[string]string{"current_password": shop.NewPassword(), "new_password": shop.NewPassword()}
		if last = victim.Do(http.MethodPut, "/users/me/password", body, from(session, 2)); last.Status == http.StatusTooManyRequests {
			break
		}
		shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", last)
	}
	wantThrottled(t, last)
	wantThrottled(t, victim.Do(http.MethodDelete, "/users/me", map[string]string{"password": victim.Password}, from(session, 2)))
}

// equalTimes: who measures how long a refusal takes learns nothing. Without the hash, an unknown account would be answered in a tenth of
// the time or less; noise of a busy machine stays within the factor that is allowed here, because all kinds take turns and the middle of
// many counts.
func equalTimes(t *testing.T, s *shop.Shop) {
	const rounds, factor = 15, 2
	customer, disabled := s.NewCustomer(t, from(timing, 1)), s.NewCustomer(t, from(timing, 1))
	shop.Want[shop.User](t, http.StatusOK, s.Admin(t).Do(http.MethodPatch, "/users/"+disabled.ID, map[string]string{"status": "disabled"}))
	kinds := map[string]func() (email, password string){
		"a wrong password":   func() (string, string) { return customer.Email, shop.NewPassword() },
		"an unknown account": func() (string, string) { return shop.NewEmail(), shop.NewPassword() },
		"what is no address": func() (string, string) { return "nobody", shop.NewPassword() },
		"a disabled account": func() (string, string) { return disabled.Email, disabled.Password },
		"no password":        func() (string, string) { return shop.NewEmail(), "" },
	}
	times := map[string][]time.Duration{}
	for round := range rounds {
		for kind, credentials := range kinds {
			email, password := credentials()
			begin := time.Now()
			a := login(t, s, email, password, from(timing+1+round, 1)) // each round from elsewhere: none is a guess too many
			times[kind] = append(times[kind], time.Since(begin))
			shop.WantProblem(t, http.StatusUnauthorized, "invalid_credentials", a)
		}
	}
	median := func(kind string) time.Duration {
		slices.Sort(times[kind])
		return times[kind][rounds/2]
	}
	want := median("a wrong password")
	for kind := range kinds {
		got := median(kind)
		t.Logf("%s: %s in the middle of %d", kind, got, rounds)
		if got > want*factor || got < want/factor {
			t.Errorf("%s takes %s, a wrong password %s", kind, got, want)
		}
	}
}

// lastAdmin: of all admins who resign at the same moment, whichever way, one stays.
func lastAdmin(t *testing.T, s *shop.Shop) {
	account := s.Accounts()[0]
	session := shop.Want[shop.Session](t, http.StatusOK, login(t, s, account.Email, account.Password, from(admins, 1)))
	boss := &shop.Customer{Client: s.Stranger(t).With(session.AccessToken), ID: session.User.ID, Email: account.Email, Password: account.Password}
	ways := []func(*shop.Customer) (*shop.Answer, error){
		func(a *shop.Customer) (*shop.Answer, error) {
			return a.Try(http.MethodPatch, "/users/"+a.ID, map[string]string{"role": "staff"})
		},
		func(a *shop.Customer) (*shop.Answer, error) {
			return a.Try(http.MethodPatch, "/users/"+a.ID, map[string]string{"status": "disabled"})
		},
		func(a *shop.Customer) (*shop.Answer, error) {
			return a.Try(http.MethodDelete, "/users/me", map[string]string{"password": a.Password})
		},
		func(a *shop.Customer) (*shop.Answer, error) {
			return a.Try(http.MethodDelete, "/users/"+a.ID, nil)
		},
	}
	active := func() []shop.User {
		return shop.Want[shop.Page[shop.User]](t, http.StatusOK, boss.Get("/users?role=admin&status=active")).Items
	}
	const rounds = 4 // each admin has another way to go each time
	for round := range rounds {
		all := []*shop.Customer{boss}
		for i := range len(ways) - 1 {
			where := from(admins+1+round, i)
			next := s.NewCustomer(t, where)
			shop.Want[shop.User](t, http.StatusOK, boss.Do(http.MethodPatch, "/users/"+next.ID, map[string]auth.Role{"role": auth.Admin}))
			next.Token = next.SignIn(where).AccessToken
			all = append(all, next)
		}
		if got := active(); len(got) != len(all) {
			t.Fatalf("%d admins, want %d", len(got), len(all))
		}
		answers := atOnce(t, len(all), func(i int) (*shop.Answer, error) { return ways[(i+round)%len(ways)](all[i]) })
		var stayed []*shop.Customer
		for i, a := range answers {
			if a.Status >= http.StatusBadRequest {
				shop.WantProblem(t, http.StatusConflict, "last_admin", a)
				stayed = append(stayed, all[i])
			}
		}
		if len(stayed) != 1 {
			t.Fatalf("round %d: %d admins stayed", round, len(stayed))
		}
		boss = stayed[0]
		if got := active(); len(got) != 1 || got[0].ID != boss.ID {
			t.Fatalf("round %d: the admins are %+v, want %s", round, got, boss.ID)
		}
	}
	for _, way := range ways {
		a, err := way(boss)
		if err != nil {
			t.Fatal(err)
		}
		shop.WantProblem(t, http.StatusConflict, "last_admin", a)
	}
}
