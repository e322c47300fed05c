package usecase

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
	"shop.example/platform/pagetoken"
)

// Deletion is that a user was deleted, and when.
type Deletion struct {
	UserID uuid.UUID
	At     time.Time
}

// DeletionReader is the store as those need it who keep something of users.
type DeletionReader interface {
	// DeletionsAfter returns up to limit deletions behind one, in the order of time and, in one moment, of ids.
	DeletionsAfter(ctx context.Context, after Deletion, limit int) ([]Deletion, error)
}

// Deletions tells other services who was deleted.
type Deletions struct {
	store DeletionReader
	now   func() time.Time
}

// NewDeletions returns the query. now is the clock.
func NewDeletions(store DeletionReader, now func() time.Time) *Deletions {
	return &Deletions{store: store, now: now}
}

// deletionsCursor is what a cursor holds. Times are in microseconds since 1970: a cursor has 200 characters at most.
type deletionsCursor struct {
	// At and ID are of the last deletion that was answered.
	At int64     `json:"at"`
	ID uuid.UUID `json:"id"`
	// Settled is up to where all deletions were to be seen when the pages that this one belongs to began: there the next
	// pass begins again. 0 between passes.
	Settled int64 `json:"settled,omitempty"`
}

// deletionsList binds cursors to this list.
const deletionsList = "deleted users"

// After returns up to limit users who were deleted behind a cursor ("" for the beginning), the longest ago first, and the
// cursor to ask with next.
//
// A deletion is seen when its transaction commits, a little after its time. So the last page of a pass leads no further than
// changeOverlap before the pass began, and the next pass answers those of the time between once more. Within a pass each page
// begins where the one before ended, however many were deleted in one moment.
func (d *Deletions) After(ctx context.Context, cursor string, limit int) (users []uuid.UUID, next string, err error) {
	var c deletionsCursor
	if cursor != "" {
		if err := pagetoken.Decode(cursor, deletionsList, &c); err != nil {
			return nil, "", apperr.InvalidField("cursor", "is not one that this list has answered")
		}
	}
	if c.Settled == 0 {
		c.Settled = d.now().Add(-changeOverlap).UnixMicro()
	}
	deletions, err := d.store.DeletionsAfter(ctx, Deletion{UserID: c.ID, At: time.UnixMicro(c.At).UTC()}, limit)
	if err != nil {
		return nil, "", fmt.Errorf("list deleted users: %w", err)
	}
	users = make([]uuid.UUID, len(deletions))
	for i, one := range deletions {
		users[i] = one.UserID
		c.At, c.ID = one.At.UnixMicro(), one.UserID
	}
	if len(deletions) < limit {
		if c.At >= c.Settled {
			c.At, c.ID = c.Settled, uuid.Nil
		}
		c.Settled = 0
	}
	if c == (deletionsCursor{}) {
		return users, "", nil
	}
	if next, err = pagetoken.Encode(deletionsList, c); err != nil {
		return nil, "", fmt.Errorf("list deleted users: %w", err)
	}
	return users, next, nil
}
