// Package usecase decides: what is bought at which price, what happens to an order next, who may do what to it.
package usecase

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
)

// Attempt is one use of an Idempotency-Key.
type Attempt struct {
	// ID names the use. That of one that made an order is the order's.
	ID          uuid.UUID
	UserID      uuid.UUID
	Key         string
	Fingerprint string
	OrderID     uuid.UUID
	// Outcome is what the client was answered, or is to be. It is nil while that is open.
	Outcome *Outcome
}

// Outcome is how an attempt ended: an order as it was then, or an error.
type Outcome struct {
	Order *domain.Snapshot
	Error *apperr.Error
}

// Lease is the right to drive an order, for a time: who holds it is the only one who calls the provider for it. The zero
// Lease is none.
type Lease struct{ Epoch int64 }

// FirstLease is that of who made the order. As long as it holds nobody else has ever driven it.
var FirstLease = Lease{Epoch: 1}

// Change is what a decision over an order leads to, besides the order's new state.
type Change struct {
	// Keep is for how long the order stays leased to the caller from now on; 0 gives the lease back.
	Keep time.Duration
	// Outcome is kept for the attempts that For names, unless they have one.
	Outcome *Outcome
	// For are ids of attempts; none is the one that made the order.
	For []uuid.UUID
	// Settle is when Settle is to look at the order next.
	Settle Plan
	// Discard removes the order: it reserved nothing and took nothing, so it never was. Only the first lease can know that.
	Discard bool
}

// AttemptsOf are the attempts that the outcome of a change of an order is kept for.
func (c Change) AttemptsOf(orderID uuid.UUID) []uuid.UUID {
	if c.For == nil {
		return []uuid.UUID{orderID}
	}
	return c.For
}

// Plan is when Settle is to look at an order. The zero Plan leaves it as it is planned.
type Plan struct {
	At    time.Time
	Never bool
}

// What stores answer.
var (
	ErrNoAttempt = errors.New("there is no such attempt")
	ErrKeyTaken  = errors.New("the key was used before")
	ErrLeaseLost = errors.New("the lease went to somebody else")
)

// AttemptStore opens orders, or says why not, once a key.
type AttemptStore interface {
	// FindAttempt returns the use of a user's key, or ErrNoAttempt.
	FindAttempt(ctx context.Context, userID uuid.UUID, key string) (Attempt, error)
	// Begin stores a new order and its attempt, leased to the caller for keep, takes the use of its coupon, and plans a look
	// at it, all or nothing. It returns FirstLease, which no later Decide does; ErrKeyTaken if the user has used the key
	// before; domain.ErrCouponExhausted or domain.ErrCouponInvalid if there is no use left to take.
	Begin(ctx context.Context, o *domain.Order, a Attempt, keep time.Duration, settleAt time.Time) (Lease, error)
	// Refuse stores an attempt with its outcome, of which there is no order; ErrKeyTaken if the user has used the key before.
	Refuse(ctx context.Context, a Attempt) error
}

// KeyStore keeps the uses of keys by all that is done with orders once they are made, in one namespace with those that make
// them.
type KeyStore interface {
	// Claim stores the use of a key, held by the caller for keep, and returns it. If the user has used the key before, it is
	// that use: with its outcome, or, if it has none and nobody holds it any more, now held by the caller. Errors:
	// domain.ErrKeyReused if the fingerprints differ, domain.ErrKeyInProgress if somebody holds it.
	Claim(ctx context.Context, a Attempt, keep time.Duration) (Attempt, error)
	// EndClaim keeps the outcome of a use that has none; without one, the next who comes may go on with it, or begin anew if it
	// is forgotten. A use that has an outcome stays as it is.
	EndClaim(ctx context.Context, id uuid.UUID, outcome *Outcome, forget bool) error
}

// OrderStore changes orders.
type OrderStore interface {
	// Decide has decide change an order that nobody else can change meanwhile, and stores all that follows from it in the
	// same transaction; if decide returns an error, which is returned as it is, nothing. The use of a coupon by an order that
	// is cancelled or discarded is given back with it. With a zero lease it returns domain.ErrBusy if somebody holds one; else
	// ErrLeaseLost unless the lease is still that. decide may be called again.
	Decide(ctx context.Context, id uuid.UUID, held Lease, decide func(*domain.Order) (Change, error)) (*domain.Order, Lease, error)
	// Unplan forgets the planned look at an order, if the order still is of a version: nothing is left to do for it. A crash may
	// undo that, and then the look finds nothing to do.
	Unplan(ctx context.Context, id uuid.UUID, version int64) error
	// Order returns an order, or domain.ErrOrderMissing.
	Order(ctx context.Context, id uuid.UUID) (*domain.Order, error)
}

// Users knows the customers.
type Users interface {
	// Active reports whether a user exists and may act.
	Active(ctx context.Context, userID uuid.UUID) (bool, error)
}

// Addresses knows the customers' address books.
type Addresses interface {
	// Address returns an entry of the book of the user of the context, or domain.ErrAddressMissing.
	Address(ctx context.Context, id uuid.UUID) (domain.Address, error)
}

// Line is how many of a product somebody wants.
type Line struct {
	ProductID uuid.UUID
	Quantity  int64
}

// Carts knows what customers have in their carts.
type Carts interface {
	// Lines returns the cart of the user of the context.
	Lines(ctx context.Context) ([]Line, error)
	// RemovePurchased takes what an order bought out of a user's cart. Doing it again for the same order changes nothing.
	RemovePurchased(ctx context.Context, userID, orderID uuid.UUID, lines []Line) error
}

// Product is what an order needs to know of a product.
type Product struct {
	SKU       string
	Name      string
	Price     money.Money // what a customer pays now
	OnSale    bool
	Available int64
	// Grams is what one piece weighs, 0 if the catalogue does not say, and at most MaxGrams.
	Grams int64
}

// MaxGrams bounds what one piece weighs, at a thousand tonnes, so that the weight of the largest order does not overflow.
const MaxGrams = 1_000_000_000

// Catalog knows what things cost now.
type Catalog interface {
	// Products returns products by their ids; unknown ones are left out.
	Products(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]Product, error)
}

// Stock promises pieces to orders. Everything may be done again.
type Stock interface {
	// Reserve promises all lines or none: domain.ErrOutOfStock with the lines that are short. For an order whose
	// reservation was released before, domain.ErrReservationEnded. If the order has a reservation of other lines, they are
	// replaced if the revision is higher than that of the last Reserve, else it is domain.ErrBusy: somebody else has the
	// lease, whose number is the revision.
	Reserve(ctx context.Context, orderID uuid.UUID, revision int64, lines []Line, ttl time.Duration) error
	// Confirm takes what was promised off the shelf, also if the promise has ended: domain.ErrOutOfStock if there is not enough
	// any more, domain.ErrReservationEnded after a Release, domain.ErrReservationMissing if nothing is known of the order.
	Confirm(ctx context.Context, orderID uuid.UUID) error
	// Release gives everything back, also what was confirmed, but for what is kept, and refuses a later Reserve. The first one
	// decides what is kept.
	Release(ctx context.Context, orderID uuid.UUID, kept ...Line) error
	// Restock gives some of what was confirmed back, once a refund: at least one line. After a Release there is nothing left to
	// give.
	Restock(ctx context.Context, orderID, refundID uuid.UUID, lines []Line) error
}

// ProviderStatus is where a payment stands at the provider.
type ProviderStatus string

// The states of a payment at the provider.
const (
	ProviderPending    ProviderStatus = "pending"
	ProviderAuthorized ProviderStatus = "authorized"
	ProviderCaptured   ProviderStatus = "captured"
	ProviderDeclined   ProviderStatus = "declined"
	ProviderVoided     ProviderStatus = "voided"   // nothing is held, and nothing can be taken under the key any more
	ProviderRefunded   ProviderStatus = "refunded" // in full; in part, it is still captured
)

// ProviderPayment is what the provider knows of an attempt to pay.
type ProviderPayment struct {
	ID     string
	Status ProviderStatus
	// Declined is what the customer is told of a declined payment.
	Declined *apperr.Error
}

// Payments takes money and gives it back. Every call names the attempt's key, so that doing it again has no second effect.
// An error means that the outcome is not known: ask again under the same key. A refusal of the request itself, which took
// nothing, is an invalid error.
type Payments interface {
	// Name is the provider's name, as orders show it.
	Name() string
	// Ready returns an error while the provider is known to be away, without asking it: what needs it is not begun then.
	Ready() error
	// Authorize promises an amount. A declined payment is no error.
	Authorize(ctx context.Context, key string, orderID uuid.UUID, amount money.Money, token string) (ProviderPayment, error)
	// Find returns the payment under a key. Under a key that was never used it returns a voided payment, and makes sure that
	// it never will be: an authorization that is still on its way is refused.
	Find(ctx context.Context, key string) (ProviderPayment, error)
	// Capture takes what was authorized.
	Capture(ctx context.Context, key, paymentID string) (ProviderPayment, error)
	// Reverse sees to it that the provider holds nothing under a key: it voids what is authorized and refunds all that is left
	// of what is captured. A conflict error is a refusal for good: what was captured stays so.
	Reverse(ctx context.Context, key string) (ProviderPayment, error)
	// Refund gives an amount of what was captured under a key back, once a refundKey. A conflict error is a refusal for good:
	// nothing was given back, and nothing will be.
	Refund(ctx context.Context, key, refundKey string, amount money.Money) (ProviderPayment, error)
}
