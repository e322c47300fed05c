// Package password hashes and checks passwords with argon2id, never more at once than the machine can bear.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"shop.example/platform/apperr"
)

// Params are the costs of argon2id.
type Params struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// Current is OWASP's recommendation for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane. It is the one
// place to change: older hashes go on working and are replaced at the next login.
var Current = Params{MemoryKiB: 19456, Time: 2, Threads: 1}

const (
	saltLength = 16 // 128 bits, as RFC 9106 recommends
	keyLength  = 32 // 256 bits
	// maxWait bounds the wait for a free slot. It leaves most of the edge's five seconds for the hash, on a busy machine, and
	// the rest of the request. Who waits longer keeps one of the calls that may be open from somebody who could be served; who
	// is sent away at once comes back at once.
	maxWait = 2 * time.Second
	// tidyAfter is how long nobody must have hashed before the memory of hashes goes back to the system. They are most of what
	// this process ever uses, and the runtime would keep them for minutes; collecting costs a tenth of a hash.
	tidyAfter = time.Second
	// maxMemoryKiB and maxTime bound what a stored hash may ask for, so that one bad row can't take the machine down.
	maxMemoryKiB, maxTime = 1 << 20, 64
)

// errBusy is "too many", not "unavailable": the service is well, only this one thing is asked for more often than it can be
// done. Callers' breakers must not open for it, else a flood of logins would cut off refreshing and profiles too.
var errBusy = apperr.New(apperr.TooMany, apperr.TooMany.DefaultReason(), "Too many sign-ins at once. Try again in a moment.").
	WithAttribute("retry_after", int64(maxWait/time.Second))

// Hasher hashes passwords. It does so on half of the CPUs at most, one by one on each: more at once would be no faster and
// take Params.MemoryKiB each, and the other half is for all that people do who are signed in.
type Hasher struct {
	params Params
	slots  chan struct{}
	wait   time.Duration
	absent string
	tidy   *time.Timer
	// idKey is argon2id.
	idKey func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
}

// NewHasher returns a hasher that makes hashes with the given costs.
func NewHasher(p Params) *Hasher {
	h := &Hasher{params: p, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), wait: maxWait, tidy: time.AfterFunc(tidyAfter, debug.FreeOSMemory), idKey: argon2.IDKey}
	// A hash of nothing: its key isn't what argon2id gives for any known password, but checking it costs what every check
	// costs. It need not be secret, nor different between replicas.
	h.absent = encode(p, make([]byte, saltLength), make([]byte, keyLength))
	h.tidy.Stop() // until there has been a hash
	return h
}

// Hash returns the PHC string of a password. Error: too many, when no slot came free in time.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails: it ends the process rather than being predictable
	key, err := h.derive(ctx, password, salt, h.params, Params{})
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return encode(h.params, salt, key), nil
}

// Verify says whether the password is that of the PHC string, in a time that tells nothing of where they differ, nor of how old
// the hash is: one of a lower cost than today's costs as much. Error: too many, when no slot came free in time.
func (h *Hasher) Verify(ctx context.Context, phc, password string) (bool, error) {
	p, salt, want, err := decode(phc)
	if err != nil {
		return false, fmt.Errorf("verify password: %w", err)
	}
	got, err := h.derive(ctx, password, salt, p, h.short(p))
	if err != nil {
		return false, fmt.Errorf("verify password: %w", err)
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// Absent returns the PHC string to verify against when there is no account: no password is right for it, and finding that
// out takes as long as for a real one.
func (h *Hasher) Absent() string { return h.absent }

// NeedsRehash says whether a hash was made with other costs than those of today.
func (h *Hasher) NeedsRehash(phc string) bool {
	p, salt, _, err := decode(phc)
	return err == nil && (p != h.params || len(salt) != saltLength)
}

// short returns what is short of today's cost in another: costs of a hash that takes up the difference, and no more memory than
// one of today. None for none.
func (h *Hasher) short(p Params) Params {
	// The work of argon2id is memory times passes.
	today, spent := uint64(h.params.MemoryKiB)*uint64(h.params.Time), uint64(p.MemoryKiB)*uint64(p.Time)
	if spent >= today {
		return Params{}
	}
	passes := (today - spent + uint64(h.params.MemoryKiB) - 1) / uint64(h.params.MemoryKiB)
	return Params{
		MemoryKiB: uint32((today - spent) / passes), //nolint:gosec // G115: at most today's
		Time:      uint32(passes),                   //nolint:gosec // G115: at most today's
		Threads:   h.params.Threads,
	}
}

// derive runs argon2id in a slot, and once more for nothing but the time, if there are costs for that.
func (h *Hasher) derive(ctx context.Context, password string, salt []byte, p, idle Params) ([]byte, error) {
	timer := time.NewTimer(h.wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
	case <-timer.C:
		return nil, errBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() {
		<-h.slots
		h.tidy.Reset(tidyAfter)
	}()
	if err := ctx.Err(); err != nil { // both may have been ready; nobody waits for this hash anymore
		return nil, err
	}
	// The same letters may reach us composed or not, as the keyboard has it (NIST SP 800-63B, 3.1.1.2).
	text := []byte(norm.NFKC.String(password))
	if idle != (Params{}) {
		h.idKey(text, salt, idle.Time, idle.MemoryKiB, idle.Threads, keyLength)
	}
	return h.idKey(text, salt, p.Time, p.MemoryKiB, p.Threads, keyLength), nil
}

// encode writes the PHC string format: $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func encode(p Params, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.MemoryKiB, p.Time, p.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// errForm says nothing of the hash itself, which must not reach a log.
var errForm = errors.New("the stored hash is not an argon2id PHC string")

func decode(phc string) (Params, []byte, []byte, error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return Params{}, nil, nil, errForm
	}
	var p Params
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.MemoryKiB, &p.Time, &p.Threads); err != nil || n != 3 {
		return Params{}, nil, nil, errForm
	}
	if p.Time < 1 || p.Time > maxTime || p.Threads < 1 || p.MemoryKiB < 8*uint32(p.Threads) || p.MemoryKiB > maxMemoryKiB {
		return Params{}, nil, nil, errForm
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil || len(salt) < 8 {
		return Params{}, nil, nil, errForm
	}
	key, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(key) != keyLength {
		return Params{}, nil, nil, errForm
	}
	return p, salt, key, nil
}
