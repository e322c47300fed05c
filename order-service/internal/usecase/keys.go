package usecase

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
)

// keyed is a request with an Idempotency-Key.
type keyed struct {
	caller auth.Principal
	key    string // empty for none
	// operation and wish are what is asked for: the same key with others is refused.
	operation string
	orderID   uuid.UUID
	wish      any
}

func (k keyed) attempt() (Attempt, error) {
	userID, err := uuid.Parse(k.caller.UserID)
	if err != nil {
		return Attempt{}, fmt.Errorf("read the caller's id: %w", err)
	}
	raw, err := json.Marshal(k.wish)
	if err != nil {
		return Attempt{}, fmt.Errorf("fingerprint request: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Attempt{}, fmt.Errorf("make attempt id: %w", err)
	}
	sum := sha256.Sum256(append([]byte(k.operation+"\n"), raw...))
	return Attempt{ID: id, UserID: userID, Key: k.key, Fingerprint: hex.EncodeToString(sum[:]), OrderID: k.orderID}, nil
}

// once answers a request under a key as it was answered the first time, if that is over. If the first one was stopped half
// way, run goes on with it: what a use of a key has begun bears its id, by which the next one finds it. Without a key the
// request just runs, with no id.
func (c *Checkout) once(ctx context.Context, k keyed, run func(ctx context.Context, request uuid.UUID) (Placed, error)) (Placed, error) {
	if k.key == "" {
		placed, err := run(ctx, uuid.Nil)
		placed.Replayed = false
		return placed, err
	}
	wanted, err := k.attempt()
	if err != nil {
		return Placed{}, err
	}
	attempt, err := c.keys.Claim(ctx, wanted, leaseFor)
	if err != nil {
		return Placed{}, fmt.Errorf("claim the key: %w", err)
	}
	if attempt.Outcome != nil {
		return replay(attempt.Outcome)
	}
	fresh := attempt.ID == wanted.ID
	placed, err := run(ctx, attempt.ID)
	placed.Replayed = !fresh
	if !fresh && errors.Is(err, domain.ErrBusy) { // the first one is at it, or was a moment ago
		err = domain.ErrKeyInProgress.Wrap(err)
	}
	c.endClaim(ctx, attempt.ID, fresh, placed, err)
	return placed, err
}

// endClaim keeps what the request was answered, if that is final. What was refused before anything happened is forgotten, so
// that the corrected request may use the key; what is not known stays open for the next try.
func (c *Checkout) endClaim(ctx context.Context, request uuid.UUID, fresh bool, placed Placed, failure error) {
	var (
		outcome *Outcome
		forget  bool
	)
	switch kind := apperr.KindOf(failure); {
	case failure == nil && !placed.Settling:
		outcome = &Outcome{Order: &placed.Order}
	case failure == nil:
	case kind == apperr.PaymentFailed || kind == apperr.Conflict && !passing(failure):
		outcome = &Outcome{Error: apperr.From(failure)}
	default:
		forget = fresh && (kind == apperr.Conflict || kind == apperr.Invalid || kind == apperr.NotFound ||
			kind == apperr.VersionMismatch || kind == apperr.PermissionDenied)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookkeeping)
	defer cancel()
	if err := c.keys.EndClaim(ctx, request, outcome, forget); err != nil {
		c.log.WarnContext(ctx, "the key is free for the next try when its time is over", "error", err)
	}
}

// passing reports whether a conflict is over by itself soon.
func passing(err error) bool {
	return errors.Is(err, domain.ErrBusy) || errors.Is(err, domain.ErrKeyInProgress) || errors.Is(err, domain.ErrPayInterrupted)
}
