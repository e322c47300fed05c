package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"
)

// KnownNetworkLifetime is for how long a network counts as the customer's own after signing in from it: as long as a session
// may be idle, so who is signed in somewhere may also sign in there again.
const KnownNetworkLifetime = SessionIdleLifetime

// Anybody's account, and any network, in the key of a meter.
const everyOne = "*"

// MeterKey names what a meter counts guesses of.
type MeterKey struct {
	// Account is the SHA-256 of an address in hex, so that the store holds no address, least of all of people who have no
	// account; or every one.
	Account string
	// Network is an IPv4 address, an IPv6 /64, or empty where none is known; or every one.
	Network string
}

// Meter limits guesses by GCRA: Burst at once, and then one Every so often. A guess that it refuses is not counted, so
// however many there were, the next one is free after Every: nobody is locked out for good.
type Meter struct {
	Key   MeterKey
	Burst int
	Every time.Duration
}

// MeterState is what is kept of a meter. The zero value is that of one that nobody has used.
type MeterState struct {
	// FreeAt is when the meter has forgotten all guesses.
	FreeAt time.Time
	// KnownUntil is until when the network counts as the account's own, for the meter of an account in a network.
	KnownUntil time.Time
}

// MeterReading is the state of a meter after a guess was to be counted.
type MeterReading struct {
	MeterState
	// Charged says whether the guess was counted.
	Charged bool
}

// Latest is the latest FreeAt with which the meter takes one more guess.
func (m Meter) Latest(now time.Time) time.Time { return now.Add(time.Duration(m.Burst-1) * m.Every) }

// Wait is how long it is until the meter takes one more guess, zero for none.
func (m Meter) Wait(s MeterState, now time.Time) time.Duration {
	return max(0, s.FreeAt.Sub(m.Latest(now)))
}

// Charge counts a guess, unless it must wait.
func (m Meter) Charge(s MeterState, now time.Time) (MeterState, bool) {
	if m.Wait(s, now) > 0 {
		return s, false
	}
	if s.FreeAt.Before(now) {
		s.FreeAt = now
	}
	s.FreeAt = s.FreeAt.Add(m.Every)
	return s, true
}

// PasswordMeters are what a guess at a password is counted on.
type PasswordMeters struct {
	// Pair: one account from one network. A person mistypes a few times in a row; beyond ten, one guess in 30 s is slow for
	// a program and soon enough for a person.
	Pair Meter
	// Account: one account from everywhere, for guesses spread over many networks: 1,440 a day and no more, far from enough
	// for what is not among the well-known passwords, which nobody may choose. It does not bind a network from which the
	// account has been signed in to: else anybody could keep a customer out by guessing wrong.
	Account Meter
	// Network: all accounts from one network, for one password tried on many accounts. An office behind one address signs in
	// a hundred people at nine o'clock, and one in 3 s after that.
	Network Meter
}

// MetersFor returns the meters for a guess at the password of the account with an address, as it was typed, from a device. An
// address without an account has meters like any other: that there is none can't be told by them.
func MetersFor(email string, device Device) PasswordMeters {
	account, network := accountKey(email), device.Network()
	return PasswordMeters{
		Pair:    Meter{Key: MeterKey{account, network}, Burst: 10, Every: 30 * time.Second},
		Account: Meter{Key: MeterKey{account, everyOne}, Burst: 50, Every: time.Minute},
		Network: Meter{Key: MeterKey{everyOne, network}, Burst: 100, Every: 3 * time.Second},
	}
}

// All returns the meters in the order in which they are locked.
func (p PasswordMeters) All() []Meter { return []Meter{p.Pair, p.Account, p.Network} }

// Wait is how long a guess must wait by the meters that bind it and have not counted it, zero if it need not. The readings
// are in the order of All.
func (p PasswordMeters) Wait(readings []MeterReading, now time.Time) time.Duration {
	known := now.Before(readings[0].KnownUntil)
	var wait time.Duration
	for i, meter := range p.All() {
		if !readings[i].Charged && (meter != p.Account || !known) {
			wait = max(wait, meter.Wait(readings[i].MeterState, now))
		}
	}
	return wait
}

// AccountKey is the key under which guesses at an account are counted.
func AccountKey(email Email) string { return accountKey(email.address) }

// accountKey takes all forms of an address for one, as ParseEmail does, and also what is none.
func accountKey(email string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(email))))
	return hex.EncodeToString(sum[:])
}

// ipv6Network is what one customer of a provider has at least: to count single addresses would give each 2^64 names.
const ipv6Network = 64

// Network is where the device is, as far as guesses are told apart by it; empty where that is not known.
func (d Device) Network() string {
	address, err := netip.ParseAddr(d.IP)
	if err != nil {
		return ""
	}
	if address.Is4() {
		return address.String()
	}
	return netip.PrefixFrom(address, ipv6Network).Masked().String()
}
