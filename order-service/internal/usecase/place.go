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
)

// PlaceOrder is a customer's wish to buy.
type PlaceOrder struct {
	UserID uuid.UUID `json:"-"`
	Key    string    `json:"-"`
	// Items are what to buy; none for what is in the cart.
	Items []Line
	// Address is where the order goes, unless AddressID names an entry of the customer's address book.
	Address domain.Address
	// AddressID is left out of the fingerprint where there is none: keys that were used before there was one keep theirs.
	AddressID      uuid.UUID `json:",omitzero"`
	ShippingMethod string
	Method         domain.PaymentMethod
	Token          string
	ExpectedTotal  *ExpectedTotal
	CouponCode     string
}

// ExpectedTotal is what the customer was shown.
type ExpectedTotal struct {
	Amount   int64
	Currency string
}

// fingerprint is the same for the same wish, and tells nothing of it.
func (p PlaceOrder) fingerprint() (string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("fingerprint request: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// Placed is what came of it.
type Placed struct {
	Order domain.Snapshot
	// Replayed says that the key was used before, and this is what came of that.
	Replayed bool
	// Settling says that the outcome of the payment is not known yet.
	Settling bool
}

// Place buys. The same wish under the same key has one effect, however often and from wherever it comes.
func (c *Checkout) Place(ctx context.Context, wish PlaceOrder) (Placed, error) {
	placed, err := c.place(ctx, wish)
	return placed, asAsked(err, wish.Items)
}

func (c *Checkout) place(ctx context.Context, wish PlaceOrder) (Placed, error) {
	fingerprint, err := wish.fingerprint()
	if err != nil {
		return Placed{}, err
	}
	attempt, err := c.attempts.FindAttempt(ctx, wish.UserID, wish.Key)
	if err == nil {
		return c.again(ctx, attempt, fingerprint, wish.Token)
	}
	if !errors.Is(err, ErrNoAttempt) {
		return Placed{}, fmt.Errorf("look for the key: %w", err)
	}
	order, err := c.draft(ctx, wish)
	if err != nil {
		return c.refuse(ctx, wish, fingerprint, err)
	}
	lease, err := c.attempts.Begin(ctx, order, Attempt{
		ID: order.ID(), UserID: wish.UserID, Key: wish.Key, Fingerprint: fingerprint, OrderID: order.ID(),
	}, leaseFor, c.now().Add(firstLook))
	switch {
	case err == nil:
		return c.driveFor(ctx, wish.UserID, wish.Key, order, lease, wish.Token)
	case errors.Is(err, ErrKeyTaken) || apperr.KindOf(err) == apperr.Conflict:
		return c.refuse(ctx, wish, fingerprint, err)
	default:
		return Placed{}, fmt.Errorf("open order: %w", err)
	}
}

// refuse answers a wish of which no order was made. A conflict is what became of its key; for any other reason the key stays
// free. If the key was used meanwhile, what came of that is the answer: what is missing now, it may just have bought.
func (c *Checkout) refuse(ctx context.Context, wish PlaceOrder, fingerprint string, cause error) (Placed, error) {
	if apperr.KindOf(cause) == apperr.Conflict {
		id, err := uuid.NewV7()
		if err != nil {
			return Placed{}, fmt.Errorf("make attempt id: %w", err)
		}
		err = c.attempts.Refuse(ctx, Attempt{
			ID: id, UserID: wish.UserID, Key: wish.Key, Fingerprint: fingerprint, OrderID: id, Outcome: &Outcome{Error: apperr.From(cause)},
		})
		if err == nil {
			return Placed{}, cause
		}
		if !errors.Is(err, ErrKeyTaken) {
			return Placed{}, fmt.Errorf("keep the refusal: %w", err)
		}
	}
	if attempt, err := c.attempts.FindAttempt(ctx, wish.UserID, wish.Key); err == nil {
		return c.again(ctx, attempt, fingerprint, wish.Token)
	}
	return Placed{}, cause
}

// again answers a key that was used before: as the first time if that is over, else by going on with it.
func (c *Checkout) again(ctx context.Context, attempt Attempt, fingerprint, token string) (Placed, error) {
	if attempt.Fingerprint != fingerprint {
		return Placed{}, domain.ErrKeyReused
	}
	if attempt.Outcome != nil {
		return replay(attempt.Outcome)
	}
	order, lease, err := c.orders.Decide(ctx, attempt.OrderID, Lease{}, func(o *domain.Order) (Change, error) {
		return takeOver(o), nil
	})
	if errors.Is(err, domain.ErrBusy) {
		return Placed{}, domain.ErrKeyInProgress
	}
	if errors.Is(err, domain.ErrOrderMissing) { // its driver discarded it meanwhile, and has said why
		return c.truth(ctx, attempt.UserID, attempt.Key)
	}
	if err != nil {
		return Placed{}, fmt.Errorf("take the order over: %w", err)
	}
	if order.Status() != domain.Pending {
		return c.truth(ctx, attempt.UserID, attempt.Key)
	}
	if gone, err := c.piecesAreGone(ctx, order, lease); gone {
		if err != nil {
			return Placed{}, err
		}
		return c.truth(ctx, attempt.UserID, attempt.Key)
	}
	placed, err := c.driveFor(ctx, attempt.UserID, attempt.Key, order, lease, token)
	placed.Replayed = true
	return placed, err
}

// driveFor is drive for the use of a key, which is always answered the same: if somebody else was faster, as they have.
func (c *Checkout) driveFor(ctx context.Context, userID uuid.UUID, key string, order *domain.Order, lease Lease, token string) (Placed, error) {
	placed, err := c.drive(ctx, order, lease, token)
	if err == nil && placed.Replayed || errors.Is(err, domain.ErrOrderMissing) {
		return c.truth(ctx, userID, key)
	}
	return placed, err
}

// piecesAreGone takes an order to its end whose payment an earlier driver has begun, if its reservation has ended since and
// the pieces went to others: what the provider holds is given back before the order ends. It reports whether that was so.
func (c *Checkout) piecesAreGone(ctx context.Context, order *domain.Order, lease Lease) (bool, error) {
	if !byCard(order) {
		return false, nil
	}
	if err := c.stock.Reserve(ctx, order.ID(), lease.Epoch, linesOf(order), reservationTTL); !errors.Is(err, domain.ErrOutOfStock) {
		return false, nil
	}
	return true, c.recover(ctx, order, lease)
}

// byCard reports whether the provider may hold money for an order that is being paid.
func byCard(o *domain.Order) bool {
	return o.PaymentUnderWay() && o.Payment().Method == domain.Card && !o.Free()
}

// takeOver leases an order to whoever is to drive it. One that is not pending any more needs no driver, and a lease would
// only stand in the way of its cancellation.
func takeOver(o *domain.Order) Change {
	if o.Status() != domain.Pending {
		return Change{}
	}
	return Change{Keep: leaseFor}
}

func replay(outcome *Outcome) (Placed, error) {
	if outcome.Error != nil {
		return Placed{}, outcome.Error.WithAttribute(ReplayedAttribute, true)
	}
	return Placed{Order: *outcome.Order, Replayed: true}, nil
}

// ReplayedAttribute marks an error that is answered once more.
const ReplayedAttribute = "idempotency_replayed"

// truth is the answer when somebody else has driven the order on meanwhile.
func (c *Checkout) truth(ctx context.Context, userID uuid.UUID, key string) (Placed, error) {
	attempt, err := c.attempts.FindAttempt(ctx, userID, key)
	if err != nil {
		return Placed{}, fmt.Errorf("look for the key again: %w", err)
	}
	if attempt.Outcome != nil {
		return replay(attempt.Outcome)
	}
	order, err := c.orders.Order(ctx, attempt.OrderID)
	if err != nil {
		return Placed{}, err
	}
	return Placed{Order: order.Snapshot(), Replayed: true, Settling: order.PaymentUnderWay()}, nil
}
