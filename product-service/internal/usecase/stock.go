package usecase

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/auth"
	"shop.example/product-service/internal/domain"
)

// StockStore changes stock by hand.
type StockStore interface {
	// AdjustStock applies an adjustment and enters it in the ledger, atomically. Under a key that the actor has used for the
	// same adjustment, and that is still held, it changes nothing and answers the first result, replayed; if that was
	// ErrInsufficientStock, with the attribute that says so. Errors:
	// ErrProductMissing, ErrInsufficientStock, ErrIdempotencyKeyReused.
	AdjustStock(ctx context.Context, a domain.Adjustment) (after domain.Stock, replayed bool, err error)
}

// ReservationStore keeps reservations and the stock that they move, together: what it does, it does in whole or not at all.
type ReservationStore interface {
	// Reserve keeps a new reservation and promises its lines, or, if the order has one already, lets that one answer by
	// ReserveAgain, or by Replace if it yields to the new one. It returns the reservation as it is then. Errors:
	// ErrOutOfStock, and those of ReserveAgain.
	Reserve(ctx context.Context, r *domain.Reservation, now time.Time) (*domain.Reservation, error)
	// UpdateReservation locks an order's reservation, lets change decide, and applies the effect to the stock. Entries in
	// the ledger bear the actor. Errors: ErrReservationMissing, ErrOutOfStock, and those of change.
	UpdateReservation(ctx context.Context, orderID uuid.UUID, actor string, now time.Time, change func(*domain.Reservation) (domain.Effect, error)) error
	RestockStore
	ReservationReader
	// AddTombstone keeps the mark of a release, unless the order has a reservation: then it reports false.
	AddTombstone(ctx context.Context, tombstone *domain.Reservation) (added bool, err error)
}

// OverdueStore ends promises that nobody kept, and forgets what is over.
type OverdueStore interface {
	// ExpireReservations ends up to limit overdue reservations and returns how many. Several callers share the work: none
	// waits for a reservation that another one has in hand.
	ExpireReservations(ctx context.Context, now time.Time, limit int) (int, error)
	// ForgetReservations removes up to limit reservations that have been released or expired since before a time, and
	// returns how many. Several callers share the work.
	ForgetReservations(ctx context.Context, before time.Time, limit int) (int, error)
	// ForgetRefusals removes up to limit refused adjustments from before a time, and returns how many. Several callers share
	// the work.
	ForgetRefusals(ctx context.Context, before time.Time, limit int) (int, error)
}

// reservationsKept is how long a released or expired reservation is remembered, so that a late reserve, confirm or release
// for its order is answered rightly. An order is settled within minutes and, when nobody pays it, cancelled after half an
// hour; a month is longer than any outage through which a checkout could go on trying. Confirmed reservations are kept for
// good: whenever their order is cancelled, what was sold goes back to the shelf by them.
const reservationsKept = 30 * 24 * time.Hour

// sweepBatch is how many reservations are ended in one transaction: few enough that the locks on their stock last
// milliseconds, and many enough that a thousand of them are gone in ten.
const sweepBatch = 100

// Stock guards what is on hand and what is promised.
type Stock struct {
	stock        StockStore
	reservations ReservationStore
	overdue      OverdueStore
	now          func() time.Time
}

// NewStock returns the use cases of the stock.
func NewStock(stock StockStore, reservations ReservationStore, overdue OverdueStore, now func() time.Time) *Stock {
	return &Stock{stock: stock, reservations: reservations, overdue: overdue, now: clock(now)}
}

// AdjustStock is the command to change what is on hand.
type AdjustStock struct {
	ProductID uuid.UUID
	Delta     int64
	Reason    string
	// Actor is who does it.
	Actor string
	// Key makes a repetition harmless. Empty for no protection.
	Key string
}

// Adjust changes what is on hand by a signed amount. replayed says that it had been done before, under the same key.
func (s *Stock) Adjust(ctx context.Context, cmd AdjustStock) (after domain.Stock, replayed bool, err error) {
	reason := strings.TrimSpace(cmd.Reason)
	switch {
	case cmd.Delta == 0:
		return domain.Stock{}, false, invalid("delta", "It must not be 0.")
	case reason == "":
		return domain.Stock{}, false, invalid("reason", "It must not be empty.")
	case strings.ContainsRune(reason, 0):
		return domain.Stock{}, false, invalid("reason", "It must be valid text.")
	case strings.ContainsRune(cmd.Key, 0):
		return domain.Stock{}, false, invalid("idempotency_key", "It must be valid text.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return domain.Stock{}, false, fmt.Errorf("make ledger id: %w", err)
	}
	after, replayed, err = s.stock.AdjustStock(ctx, domain.Adjustment{
		EntryID: id, ProductID: cmd.ProductID, Delta: cmd.Delta, Reason: reason, Actor: cmd.Actor, Key: cmd.Key, At: s.now(),
	})
	if err != nil {
		return domain.Stock{}, false, fmt.Errorf("adjust stock of %s: %w", cmd.ProductID, err)
	}
	return after, replayed, nil
}

// Reserve promises all lines to an order for a time, or none. It is idempotent by the order's id, and other lines under a
// higher revision replace those that were promised; the answer is when the promise ends.
func (s *Stock) Reserve(ctx context.Context, orderID uuid.UUID, revision int64, lines []domain.Line, ttl time.Duration) (time.Time, error) {
	now := s.now()
	request, err := domain.NewReservation(orderID, lines, now, ttl)
	if err != nil {
		return time.Time{}, err
	}
	r, err := s.reservations.Reserve(ctx, request.WithRevision(revision), now)
	if err != nil {
		return time.Time{}, fmt.Errorf("reserve for order %s: %w", orderID, err)
	}
	return r.Snapshot().ExpiresAt, nil
}

// Confirm takes what was promised to an order off the shelf. Idempotent.
func (s *Stock) Confirm(ctx context.Context, orderID uuid.UUID) error {
	now := s.now()
	err := s.reservations.UpdateReservation(ctx, orderID, actor(ctx), now, func(r *domain.Reservation) (domain.Effect, error) {
		return r.Confirm(now)
	})
	if err != nil {
		return fmt.Errorf("confirm reservation of order %s: %w", orderID, err)
	}
	return nil
}

// Release gives back what was promised to an order or already taken for it, less what is kept. Idempotent, and the first one
// decides what is kept; a release that comes before its reservation leaves a mark, so that the late reservation is refused.
func (s *Stock) Release(ctx context.Context, orderID uuid.UUID, kept ...domain.Line) error {
	now := s.now()
	if len(kept) > 0 { // what is only promised yet has left the shelf all the same
		err := s.Confirm(ctx, orderID)
		if err != nil && !errors.Is(err, domain.ErrReservationMissing) && !errors.Is(err, domain.ErrReservationReleased) && !errors.Is(err, domain.ErrOutOfStock) {
			return err
		}
	}
	release := func() error {
		return s.reservations.UpdateReservation(ctx, orderID, actor(ctx), now, func(r *domain.Reservation) (domain.Effect, error) {
			return r.Release(now, kept...), nil
		})
	}
	err := release()
	if errors.Is(err, domain.ErrReservationMissing) {
		var added bool
		added, err = s.reservations.AddTombstone(ctx, domain.NewTombstone(orderID, now))
		if err == nil && !added {
			// A reservation came in between. It is forgotten in a month at the soonest, so now it is there.
			err = release()
		}
	}
	if err != nil {
		return fmt.Errorf("release reservation of order %s: %w", orderID, err)
	}
	return nil
}

// ExpireOverdue ends all promises whose time is over and returns how many it ended.
func (s *Stock) ExpireOverdue(ctx context.Context) (int, error) {
	n, err := inBatches(func() (int, error) { return s.overdue.ExpireReservations(ctx, s.now(), sweepBatch) })
	if err != nil {
		return n, fmt.Errorf("expire reservations: %w", err)
	}
	return n, nil
}

// ForgetOld removes the reservations and the refusals that nobody can ask for any more, and returns how many.
func (s *Stock) ForgetOld(ctx context.Context) (int, error) {
	before := s.now().Add(-reservationsKept)
	n, err := inBatches(func() (int, error) { return s.overdue.ForgetReservations(ctx, before, sweepBatch) })
	if err != nil {
		return n, fmt.Errorf("forget reservations: %w", err)
	}
	before = s.now().Add(-domain.KeyKept)
	refusals, err := inBatches(func() (int, error) { return s.overdue.ForgetRefusals(ctx, before, sweepBatch) })
	n += refusals
	if err != nil {
		return n, fmt.Errorf("forget refused adjustments: %w", err)
	}
	return n, nil
}

// inBatches does work until a batch is not full, and returns how much there was.
func inBatches(work func() (int, error)) (total int, err error) {
	for {
		n, err := work()
		total += n
		if err != nil || n < sweepBatch {
			return total, err
		}
	}
}

// actor names who acts, for the ledger: the signed-in user, or the shop itself when a background job goes on with an order.
func actor(ctx context.Context) string {
	if p, ok := auth.FromContext(ctx); ok {
		return p.UserID
	}
	return "shop"
}
