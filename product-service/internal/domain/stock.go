package domain

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// maxOnHand bounds what can be on hand of one product. Sums of it stay far from the end of int64, and exact in JSON.
const maxOnHand = 1_000_000_000_000

// Stock is how much there is of a product and how much of that is promised: OnHand >= Reserved >= 0, always.
type Stock struct {
	OnHand   int64
	Reserved int64
}

// Available is what may still be promised.
func (s Stock) Available() int64 { return s.OnHand - s.Reserved }

// Adjust returns the stock after a change of what is on hand.
func (s Stock) Adjust(delta int64) (Stock, error) {
	if delta > 0 && delta > maxOnHand-s.OnHand {
		return s, apperr.InvalidField("delta", fmt.Sprintf("There can't be more than %d on hand.", int64(maxOnHand)))
	}
	next := Stock{OnHand: s.OnHand + delta, Reserved: s.Reserved}
	if next.OnHand < next.Reserved {
		return s, s.insufficient()
	}
	return next, nil
}

func (s Stock) insufficient() *apperr.Error {
	return ErrInsufficientStock.WithAttribute("available", s.Available())
}

// Apply returns the stock after an effect on quantity pieces. The caller has checked that it is possible.
func (s Stock) Apply(e Effect, quantity int64) Stock {
	return Stock{OnHand: s.OnHand + e.OnHand*quantity, Reserved: s.Reserved + e.Reserved*quantity}
}

// Adjustment is a change of stock by hand: a delivery, a loss, a count.
type Adjustment struct {
	EntryID   uuid.UUID // of the ledger entry
	ProductID uuid.UUID
	Delta     int64
	Reason    string
	Actor     string
	// Key makes a repetition by the same actor harmless. Empty for no protection.
	Key string
	At  time.Time
}

// Entry returns the ledger entry of an adjustment that led to a stock.
func (a Adjustment) Entry(after Stock) LedgerEntry {
	return LedgerEntry{
		ID: a.EntryID, ProductID: a.ProductID, Delta: a.Delta, Reason: a.Reason, Actor: a.Actor, Key: a.Key, After: after, At: a.At,
	}
}

// KeyKept is how long a repetition under the same key is harmless; after it the key may be used anew. It is the time that the
// shop promises for all its Idempotency-Keys.
const KeyKept = 24 * time.Hour

// KeyUse is what a key was used for: an adjustment that stands in the ledger, or one that was refused, which does not. Then
// After is the stock that did not allow it.
type KeyUse struct {
	LedgerEntry
	Refused bool
}

// Held reports whether the key still belongs to this use.
func (u KeyUse) Held(now time.Time) bool { return now.Before(u.At.Add(KeyKept)) }

// ReplayedAttribute marks an error that is answered once more.
const ReplayedAttribute = "idempotency_replayed"

// Again answers another adjustment under the same key: if it asks for the same, as the first time.
func (u KeyUse) Again(a Adjustment) (Stock, error) {
	switch {
	case u.ProductID != a.ProductID || u.Delta != a.Delta || u.Reason != a.Reason:
		return Stock{}, ErrIdempotencyKeyReused
	case u.Refused:
		return Stock{}, u.After.insufficient().WithAttribute(ReplayedAttribute, true)
	default:
		return u.After, nil
	}
}

// LedgerEntry is one change of what is on hand. The sum of a product's deltas is what is on hand.
type LedgerEntry struct {
	ID        uuid.UUID
	ProductID uuid.UUID
	Delta     int64
	Reason    string
	Reference string // the order's id, for what orders did
	Actor     string
	Key       string
	After     Stock
	At        time.Time
}
