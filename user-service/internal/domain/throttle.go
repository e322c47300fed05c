package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"
)

// KnownNetworkLifetime is for how long a network counts as the customer's own after signing in from it: as long as a session
// may be idle, so who is signed in somewhere may also sign in there again.
const KnownNetworkLifetime = SessionIdleLifetime

// Anybody's account, and any network, in the key of a meter.
const everyOne = "*"

// MeterKey names what a meter counts.
type MeterKey struct {
	// Account is the SHA-256 of a user's id, or of an address that nobody has, in hex, so that the store holds no address, least
	// of all of people who have no account; or every one.
	Account string
	// Network is an IPv4 address, an IPv6 /56, or empty where none is known; or every one; or, for right passwords, what they
	// were given for.
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
	// Pair: one account from one network. A person mistypes a few times in a row; who did so ten times waits for a quarter of
	// an hour, no longer, and a program has four guesses an hour.
	Pair Meter
	// Account: one account from everywhere, for guesses spread over many networks: 1,440 a day and no more, far from enough
	// for what is not among the well-known passwords, which nobody may choose. It does not bind a network from which the
	// account has been signed in to: else anybody could keep a customer out by guessing wrong. It is as wide as lockOutNetworks
	// pairs, at once and in the long run, so guesses from fewer networks never fill it: an owner gets in from a new network too.
	Account Meter
	// Network: all accounts from one network, for one password tried on many accounts. An office behind one address signs in
	// a hundred people at nine o'clock, and one in 3 s after that.
	Network Meter
	// Right: what is done with the right password, by which it is not the password that is in danger but the shop: each costs
	// a hash, and may open a session.
	Right Meter
}

const (
	pairBurst = 10
	pairEvery = 15 * time.Minute
	// lockOutNetworks is how many networks somebody must have to keep an owner out of a new one. More of them would be more
	// guesses for a botnet, fewer would be within everybody's reach.
	lockOutNetworks = 15
)

// LoginMeters returns the meters for signing in to an account, by its key. An address without an account has meters like any
// other: that there is none can't be told by them. A program that signs in for each call it makes has 60 at once and one a
// minute; people do so a few times a day.
func LoginMeters(account string, device Device) PasswordMeters {
	return passwordMeters(account, device, Meter{Key: MeterKey{account, "login"}, Burst: 60, Every: time.Minute})
}

// ProofMeters returns the meters for a signed-in user who proves to know the password, to change it or to leave. Guesses count
// together with those at the door. Nobody has more than one or two reasons a day to do it with the right one; each change
// costs two hashes.
func ProofMeters(userID uuid.UUID, device Device) PasswordMeters {
	account := UserKey(userID)
	return passwordMeters(account, device, Meter{Key: MeterKey{account, "proof"}, Burst: 10, Every: 5 * time.Minute})
}

func passwordMeters(account string, device Device, right Meter) PasswordMeters {
	network := device.Network()
	return PasswordMeters{
		Pair:    Meter{Key: MeterKey{account, network}, Burst: pairBurst, Every: pairEvery},
		Account: Meter{Key: MeterKey{account, everyOne}, Burst: lockOutNetworks * pairBurst, Every: pairEvery / lockOutNetworks},
		Network: Meter{Key: MeterKey{everyOne, network}, Burst: 100, Every: 3 * time.Second},
		Right:   right,
	}
}

// All returns the meters in the order in which they are locked.
func (p PasswordMeters) All() []Meter {
	return []Meter{p.Pair, p.Account, p.Network, p.Right}
}

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

// UserKey is the key under which guesses at a user's password are counted, whatever the user's address is at the time: another
// address takes no guess back, and its next owner takes over nothing.
func UserKey(id uuid.UUID) string { return accountKey("user", id.String()) }

// AddressKey is that for an address that nobody has, or for what is none, as it was typed. It takes all forms of an address for
// one, as ParseEmail does.
func AddressKey(raw string) string {
	return accountKey("address", strings.ToLower(strings.TrimSpace(raw)))
}

// accountKey keeps apart what people are called by and what they may type.
func accountKey(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + " " + name))
	return hex.EncodeToString(sum[:])
}

// ipv6Network is what one customer of a provider has, by the recommendation of RIPE-690: to count by less would give each of
// them 256 networks, or 2^72.
const ipv6Network = 56

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
