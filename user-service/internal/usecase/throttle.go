package usecase

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/domain"
)

// MeterStore is the store as throttling needs it. Replicas share it, so it is of no use to ask another one. It returns what
// is kept of meters in their order.
type MeterStore interface {
	ReadMeters(context.Context, []domain.Meter) ([]domain.MeterReading, error)
	// ChargeMeters counts a guess on each of the meters that takes one more, all in one unit of work.
	ChargeMeters(ctx context.Context, meters []domain.Meter, now time.Time) ([]domain.MeterReading, error)
	// ReturnGuesses takes one guess off each of the meters.
	ReturnGuesses(context.Context, []domain.Meter) error
	// RecordSignIn empties the meter of an account in a network, which the account is known in until a time, and takes one
	// guess off each of the others.
	RecordSignIn(ctx context.Context, pair domain.Meter, others []domain.Meter, now, knownUntil time.Time) error
}

// Throttle slows the guessing of passwords down.
type Throttle struct {
	store MeterStore // nil for none
	now   func() time.Time
}

// NewThrottle returns a throttle. now is the clock.
func NewThrottle(store MeterStore, now func() time.Time) *Throttle { return &Throttle{store, now} }

// LiftedThrottle returns one that slows nobody down, for tests of load and the like.
func LiftedThrottle() *Throttle { return &Throttle{} }

// settleTimeout bounds what is written after a guess was judged, which must be done though the caller has gone.
const settleTimeout = time.Second

// guess lets judge say whether a password is right, on the meters of who guesses. The guess is counted before it is judged, so
// that many at once can't slip through, and taken off again when it could not be judged; a right one stays on the meter of right
// ones alone, and a wrong one on all others. Errors: domain.ErrInvalidCredentials for a wrong one; too many, with retry_after in
// seconds, before it is judged; those of judge.
func (t *Throttle) guess(ctx context.Context, meters domain.PasswordMeters, judge func() (bool, error)) error {
	charged, err := t.charge(ctx, meters)
	if err != nil {
		return err
	}
	right, err := judge()
	if err != nil {
		// A hash that was not made for want of time says nothing about the password.
		return t.giveBack(ctx, charged, err)
	}
	if !right {
		return t.giveBack(ctx, only(charged, meters.Right), domain.ErrInvalidCredentials)
	}
	return t.record(ctx, meters.Pair, only(charged, meters.Account, meters.Network))
}

// only returns those of the meters that are among others.
func only(meters []domain.Meter, others ...domain.Meter) (both []domain.Meter) {
	for _, m := range meters {
		if slices.Contains(others, m) {
			both = append(both, m)
		}
	}
	return both
}

// charge counts a guess and returns the meters that have it. Who must wait is told so without a lock and without a write, as
// long as that is clear before: a flood costs one look.
func (t *Throttle) charge(ctx context.Context, meters domain.PasswordMeters) ([]domain.Meter, error) {
	if t.store == nil {
		return nil, nil
	}
	now, all := storable(t.now()), meters.All()
	before, err := t.store.ReadMeters(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("throttle: %w", err)
	}
	if wait := meters.Wait(before, now); wait > 0 {
		return nil, tooMany(wait)
	}
	after, err := t.store.ChargeMeters(ctx, all, now)
	if err != nil {
		return nil, fmt.Errorf("throttle: %w", err)
	}
	var charged []domain.Meter
	for i, meter := range all {
		if after[i].Charged {
			charged = append(charged, meter)
		}
	}
	if wait := meters.Wait(after, now); wait > 0 {
		return nil, t.giveBack(ctx, charged, tooMany(wait))
	}
	return charged, nil
}

// giveBack takes the guess off the meters again, and returns why.
func (t *Throttle) giveBack(ctx context.Context, charged []domain.Meter, why error) error {
	if len(charged) == 0 {
		return why
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := t.store.ReturnGuesses(ctx, charged); err != nil {
		return fmt.Errorf("throttle: %w", err)
	}
	return why
}

// record notes the right password, and takes the guess off the others.
func (t *Throttle) record(ctx context.Context, pair domain.Meter, others []domain.Meter) error {
	if t.store == nil {
		return nil
	}
	now := storable(t.now())
	if err := t.store.RecordSignIn(ctx, pair, others, now, now.Add(domain.KnownNetworkLifetime)); err != nil {
		return fmt.Errorf("throttle: %w", err)
	}
	return nil
}

// known notes that an account was made from a device: that is where its owner is.
func (t *Throttle) known(ctx context.Context, userID uuid.UUID, from domain.Device) error {
	return t.record(ctx, domain.LoginMeters(domain.UserKey(userID), from).Pair, nil)
}

func tooMany(wait time.Duration) error {
	return apperr.New(apperr.TooMany, apperr.TooMany.DefaultReason(), "Too many tries with a password. Wait before the next one.").
		WithAttribute("retry_after", int64(math.Ceil(wait.Seconds())))
}
