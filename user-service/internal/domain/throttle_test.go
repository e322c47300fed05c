package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"shop.example/user-service/internal/domain"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	m := domain.Meter{Burst: 3, Every: 10 * time.Second}
	var state domain.MeterState
	take := func(at time.Duration) bool {
		t.Helper()
		next, charged := m.Charge(state, noon.Add(at))
		if !charged && next != state {
			t.Errorf("a guess that was refused was counted: %+v, before %+v", next, state)
		}
		state = next
		return charged
	}
	// Three at once, then one in 10 s, however many were refused in between; after a rest the burst is back.
	for i, tt := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true}, {0, true}, {0, true}, {0, false}, {9 * time.Second, false}, {10 * time.Second, true}, {10 * time.Second, false},
		{19 * time.Second, false}, {20 * time.Second, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, false},
	} {
		if got := take(tt.at); got != tt.want {
			t.Errorf("guess %d, at %v: counted %v, want %v", i, tt.at, got, tt.want)
		}
	}
	for range 1000 {
		take(time.Hour)
	}
	if wait := m.Wait(state, noon.Add(time.Hour)); wait != m.Every {
		t.Errorf("after 1000 guesses the wait is %v, want %v: nobody is locked out for good", wait, m.Every)
	}
}

func TestMeterKeys(t *testing.T) {
	t.Parallel()
	key := func(email, ip string) domain.MeterKey {
		return domain.LoginMeters(domain.AddressKey(email), domain.NewDevice("", ip)).Pair.Key
	}
	if a, b := key(" ANN@example.com", "192.0.2.7"), key("ann@example.com ", "::ffff:192.0.2.7"); a != b {
		t.Errorf("one account and one network have two meters: %+v, %+v", a, b)
	}
	if key("ann@example.com", "2001:db8::1") != key("ann@example.com", "2001:db8:0:ff::1") {
		t.Error("an IPv6 customer can choose among many networks")
	}
	ann := uuid.New()
	login, proof := domain.LoginMeters(domain.UserKey(ann), domain.Device{}), domain.ProofMeters(ann, domain.Device{})
	if login.Pair != proof.Pair || login.Account != proof.Account || login.Network != proof.Network || login.Right == proof.Right {
		t.Errorf("guesses at the door and inside don't count together: %+v, %+v", login, proof)
	}
	different := []domain.MeterKey{
		key("ann@example.com", "192.0.2.7"), key("ann@example.com", "192.0.2.8"), key("bob@example.com", "192.0.2.7"),
		key("ann@example.com", "2001:db8::1"), key("ann@example.com", "2001:db8:0:100::1"), key("ann@example.com", ""),
		login.Pair.Key, login.Account.Key, login.Network.Key, login.Right.Key, proof.Right.Key,
		key(ann.String(), ""), // what somebody typed who knows the id
	}
	for i, a := range different {
		for _, b := range different[i+1:] {
			if a == b {
				t.Errorf("%+v stands for two", a)
			}
		}
		if strings.Contains(a.Account, "ann") || (len(a.Account) != 64 && a.Account != "*") {
			t.Errorf("account key %q, want a SHA-256", a.Account)
		}
	}
}

// However long they go on, guesses from fewer than fifteen networks leave room for one from another.
func TestFewNetworksFillNoAccount(t *testing.T) {
	t.Parallel()
	meters := domain.LoginMeters(domain.AddressKey("ann@example.com"), domain.Device{})
	for _, tt := range []struct {
		networks int
		fills    bool
	}{{1, false}, {14, false}, {16, true}} {
		var account domain.MeterState
		pairs := make([]domain.MeterState, tt.networks)
		filled := false
		for at := noon; at.Before(noon.Add(7 * 24 * time.Hour)); at = at.Add(time.Minute) {
			for i := range pairs {
				for meters.Pair.Wait(pairs[i], at) == 0 && meters.Account.Wait(account, at) == 0 {
					pairs[i], _ = meters.Pair.Charge(pairs[i], at)
					account, _ = meters.Account.Charge(account, at)
				}
			}
			filled = filled || meters.Account.Wait(account, at) > 0
		}
		if filled != tt.fills {
			t.Errorf("a week of guesses from %d networks: filled the account's meter %v, want %v", tt.networks, filled, tt.fills)
		}
	}
}

// The meter of an account over all networks binds only where the account is not at home.
func TestAccountMeterSparesKnownNetworks(t *testing.T) {
	t.Parallel()
	meters := domain.LoginMeters(domain.AddressKey("ann@example.com"), domain.NewDevice("", "192.0.2.7"))
	full := func(m domain.Meter) domain.MeterReading {
		return domain.MeterReading{MeterState: domain.MeterState{FreeAt: noon.Add(time.Duration(m.Burst) * m.Every)}}
	}
	known := domain.MeterReading{MeterState: domain.MeterState{KnownUntil: noon.Add(time.Second)}}
	tooMany := full(meters.Pair)
	tooMany.KnownUntil = known.KnownUntil
	counted := full(meters.Account)
	counted.Charged = true
	tests := map[string]struct {
		pair, account, network, right domain.MeterReading
		want                          time.Duration
	}{
		"nothing yet":                       {},
		"account is full, unknown network":  {account: full(meters.Account), want: time.Minute},
		"account is full, known network":    {pair: known, account: full(meters.Account)},
		"account is full with this guess":   {account: counted},
		"network is full":                   {network: full(meters.Network), want: 3 * time.Second},
		"account in this network is full":   {pair: full(meters.Pair), want: 15 * time.Minute},
		"known network, but too many there": {pair: tooMany, want: 15 * time.Minute},
		"too many sign-ins, though at home": {pair: known, right: full(meters.Right), want: time.Minute},
	}
	for name, tt := range tests {
		got := meters.Wait([]domain.MeterReading{tt.pair, tt.account, tt.network, tt.right}, noon)
		if got != tt.want {
			t.Errorf("%s: wait %v, want %v", name, got, tt.want)
		}
	}
}
