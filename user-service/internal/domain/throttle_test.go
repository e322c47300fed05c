package domain_test

import (
	"strings"
	"testing"
	"time"

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

func TestMetersFor(t *testing.T) {
	t.Parallel()
	key := func(email, ip string) domain.MeterKey {
		return domain.MetersFor(email, domain.NewDevice("", ip)).Pair.Key
	}
	if a, b := key(" ANN@example.com", "192.0.2.7"), key("ann@example.com ", "::ffff:192.0.2.7"); a != b {
		t.Errorf("one account and one network have two meters: %+v, %+v", a, b)
	}
	if key("ann@example.com", "2001:db8::1") != key("ann@example.com", "2001:db8::ffff:1") {
		t.Error("an IPv6 customer can choose among 2^64 networks")
	}
	different := []domain.MeterKey{
		key("ann@example.com", "192.0.2.7"), key("ann@example.com", "192.0.2.8"), key("bob@example.com", "192.0.2.7"),
		key("ann@example.com", "2001:db8::1"), key("ann@example.com", "2001:db8:0:1::1"), key("ann@example.com", ""),
	}
	for i, a := range different {
		for _, b := range different[i+1:] {
			if a == b {
				t.Errorf("%+v stands for two", a)
			}
		}
		if strings.Contains(a.Account, "ann") || len(a.Account) != 64 {
			t.Errorf("account key %q, want a SHA-256", a.Account)
		}
	}
}

// The meter of an account over all networks binds only where the account is not at home.
func TestAccountMeterSparesKnownNetworks(t *testing.T) {
	t.Parallel()
	meters := domain.MetersFor("ann@example.com", domain.NewDevice("", "192.0.2.7"))
	full := domain.MeterState{FreeAt: noon.Add(time.Duration(meters.Account.Burst) * meters.Account.Every)}
	known := domain.MeterState{KnownUntil: noon.Add(time.Second)}
	tests := map[string]struct {
		pair, account, network domain.MeterReading
		want                   time.Duration
	}{
		"nothing yet":                       {},
		"account is full, unknown network":  {account: domain.MeterReading{MeterState: full}, want: time.Minute},
		"account is full, known network":    {pair: domain.MeterReading{MeterState: known}, account: domain.MeterReading{MeterState: full}},
		"account is full with this guess":   {account: domain.MeterReading{MeterState: full, Charged: true}},
		"network is full":                   {network: domain.MeterReading{MeterState: domain.MeterState{FreeAt: noon.Add(300 * time.Second)}}, want: 3 * time.Second},
		"account in this network is full":   {pair: domain.MeterReading{MeterState: domain.MeterState{FreeAt: noon.Add(300 * time.Second)}}, want: 30 * time.Second},
		"known network, but too many there": {pair: domain.MeterReading{MeterState: domain.MeterState{FreeAt: noon.Add(300 * time.Second), KnownUntil: known.KnownUntil}}, want: 30 * time.Second},
	}
	for name, tt := range tests {
		got := meters.Wait([]domain.MeterReading{tt.pair, tt.account, tt.network}, noon)
		if got != tt.want {
			t.Errorf("%s: wait %v, want %v", name, got, tt.want)
		}
	}
}
