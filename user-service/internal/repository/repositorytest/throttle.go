package repositorytest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shop.example/user-service/internal/domain"
)

var throttleTests = map[string]func(*testing.T, Store){
	"counts guesses":                    countsGuesses,
	"counts guesses that come at once":  countsGuessesInRace,
	"returns guesses":                   returnsGuesses,
	"records a sign-in":                 recordsSignIn,
	"forgets meters that have ended":    forgetsMeters,
	"charges many accounts in any race": chargesManyInRace,
}

var guessed = domain.LoginMeters(domain.AddressKey("ann@example.com"), phone)

func charge(t *testing.T, s Store, at time.Time) []domain.MeterReading {
	t.Helper()
	readings, err := s.ChargeMeters(t.Context(), guessed.All(), at)
	if err != nil {
		t.Fatal(err)
	}
	return readings
}

// The stores count as the domain does.
func countsGuesses(t *testing.T, s Store) {
	want := make([]domain.MeterReading, len(guessed.All()))
	for i := range 200 {
		at := noon.Add(time.Duration(i) * 700 * time.Millisecond)
		for j, meter := range guessed.All() {
			want[j].MeterState, want[j].Charged = meter.Charge(want[j].MeterState, at)
		}
		if diff := cmp.Diff(want, charge(t, s, at)); diff != "" {
			t.Fatalf("guess %d (-want +got):\n%s", i, diff)
		}
	}
	for j := range want {
		want[j].Charged = false
	}
	read, err := s.ReadMeters(t.Context(), guessed.All())
	if diff := cmp.Diff(want, read); diff != "" || err != nil {
		t.Errorf("error %v, readings (-want +got):\n%s", err, diff)
	}
}

func countsGuessesInRace(t *testing.T, s Store) {
	var pair, network atomic.Int64
	errs := race(func(int) error {
		readings, err := s.ChargeMeters(t.Context(), guessed.All(), noon)
		if err != nil {
			return err
		}
		if readings[0].Charged {
			pair.Add(1)
		}
		if readings[2].Charged {
			network.Add(1)
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if pair.Load() != int64(guessed.Pair.Burst) || network.Load() != racers {
		t.Errorf("of %d guesses at once the pair took %d and the network %d, want %d and all", racers, pair.Load(), network.Load(), guessed.Pair.Burst)
	}
}

func returnsGuesses(t *testing.T, s Store) {
	first := charge(t, s, noon)
	charge(t, s, noon)
	if err := s.ReturnGuesses(t.Context(), guessed.All()); err != nil {
		t.Fatal(err)
	}
	for i := range first {
		first[i].Charged = false
	}
	got, err := s.ReadMeters(t.Context(), guessed.All())
	if diff := cmp.Diff(first, got); diff != "" || err != nil {
		t.Errorf("error %v, readings (-want +got):\n%s", err, diff)
	}
	nobody := domain.LoginMeters(domain.AddressKey("nobody@example.com"), domain.Device{})
	if err := s.ReturnGuesses(t.Context(), nobody.All()); err != nil {
		t.Error(err)
	}
	if got, err := s.ReadMeters(t.Context(), nobody.All()); err != nil || got[0] != (domain.MeterReading{}) {
		t.Errorf("a meter that was never used is %+v, error %v", got[0], err)
	}
}

func recordsSignIn(t *testing.T, s Store) {
	for range guessed.Pair.Burst {
		charge(t, s, noon)
	}
	until := noon.Add(domain.KnownNetworkLifetime)
	for range 2 { // the first and the next one
		before, err := s.ReadMeters(t.Context(), guessed.All())
		if err != nil {
			t.Fatal(err)
		}
		others := []domain.Meter{guessed.Account, guessed.Network}
		if err := s.RecordSignIn(t.Context(), guessed.Pair, others, noon, until); err != nil {
			t.Fatal(err)
		}
		want := []domain.MeterReading{
			{MeterState: domain.MeterState{FreeAt: noon, KnownUntil: until}},
			{MeterState: domain.MeterState{FreeAt: before[1].FreeAt.Add(-guessed.Account.Every)}},
			{MeterState: domain.MeterState{FreeAt: before[2].FreeAt.Add(-guessed.Network.Every)}},
			{MeterState: before[3].MeterState},
		}
		got, err := s.ReadMeters(t.Context(), guessed.All())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("error %v, readings (-want +got):\n%s", err, diff)
		}
	}
	if got := charge(t, s, noon); !got[0].Charged || got[0].KnownUntil != until {
		t.Errorf("after the sign-in the pair is %+v, want it free and known", got[0])
	}
}

func forgetsMeters(t *testing.T, s Store) {
	charge(t, s, noon) // they end 3 s, two times 60 s and 15 min after noon
	known := domain.LoginMeters(domain.AddressKey("bob@example.com"), phone)
	if err := s.RecordSignIn(t.Context(), known.Pair, nil, noon, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct {
		after time.Duration
		want  int64
	}{{0, 0}, {4 * time.Second, 1}, {2 * time.Minute, 2}, {20 * time.Minute, 1}, {time.Hour, 0}, {2 * time.Hour, 1}, {2 * time.Hour, 0}} {
		n, err := s.DeleteMetersEndedBefore(t.Context(), noon.Add(tt.after), 10)
		if err != nil || n != tt.want {
			t.Errorf("sweep %d: %d forgotten, error %v; want %d", i, n, err, tt.want)
		}
	}
}

// Accounts and networks in all combinations, sign-ins and sweeps among them: nobody waits for each other in a circle.
func chargesManyInRace(t *testing.T, s Store) {
	errs := race(func(i int) error {
		var all error
		for j := range racers {
			emails := []string{"ann@example.com", "bob@example.com", "eve@example.com"}
			networks := []string{"192.0.2.1", "192.0.2.2"}
			meters := domain.LoginMeters(domain.AddressKey(emails[(i+j)%3]), domain.NewDevice("", networks[j%2]))
			_, err := s.ChargeMeters(t.Context(), meters.All(), noon)
			all = errors.Join(all, err)
			switch j % 5 {
			case 0:
				all = errors.Join(all, s.RecordSignIn(t.Context(), meters.Pair, []domain.Meter{meters.Account, meters.Network}, noon, noon))
			case 1:
				all = errors.Join(all, s.ReturnGuesses(t.Context(), meters.All()))
			case 2:
				_, err := s.DeleteMetersEndedBefore(t.Context(), noon.Add(time.Hour), 10)
				all = errors.Join(all, err)
			}
		}
		return all
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
