package usecase

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
)

// DeletedUsers asks user-service.
type DeletedUsers interface {
	// DeletedUsers returns users who were deleted after what the cursor stands for ("" for the beginning), the longest ago
	// first, and the cursor to ask with next. It may return some again. More is whether to ask again at once.
	DeletedUsers(ctx context.Context, cursor string) (users []uuid.UUID, next string, more bool, err error)
}

// Eraser deletes carts and keeps up to where that was done.
type Eraser interface {
	// Erase deletes the carts of owners, and all that is remembered with them, and returns how many there were.
	Erase(ctx context.Context, owners []domain.Owner) (int, error)
	// ErasedUpTo returns the cursor that was kept last, "" for none.
	ErasedUpTo(ctx context.Context) (string, error)
	KeepErasedUpTo(ctx context.Context, cursor string) error
}

// Erasures are what becomes of carts when their users are deleted.
type Erasures struct {
	users  DeletedUsers
	eraser Eraser
}

// NewErasures returns the use case.
func NewErasures(users DeletedUsers, eraser Eraser) *Erasures {
	return &Erasures{users: users, eraser: eraser}
}

// CatchUp deletes the carts of all users who were deleted since the last time, and returns how many there were.
//
// Replicas may do it at once, and any may fail at any point: a cart is deleted before the cursor goes past its user, and
// deleting it again does nothing. A cursor that another replica sets back costs a few questions. A request of the user that was
// under way may leave something behind: it expires as every cart does.
func (e *Erasures) CatchUp(ctx context.Context) (erased int, err error) {
	cursor, err := e.eraser.ErasedUpTo(ctx)
	if err != nil {
		return 0, err
	}
	for {
		users, next, more, err := e.users.DeletedUsers(ctx, cursor)
		if err != nil {
			return erased, fmt.Errorf("ask for deleted users: %w", err)
		}
		if len(users) > 0 {
			owners := make([]domain.Owner, len(users))
			for i, id := range users {
				owners[i] = domain.UserOwner(id)
			}
			n, err := e.eraser.Erase(ctx, owners)
			if err != nil {
				return erased, err
			}
			erased += n
		}
		if next == cursor {
			return erased, nil // nothing lies beyond
		}
		if err := e.eraser.KeepErasedUpTo(ctx, next); err != nil {
			return erased, err
		}
		if !more {
			return erased, nil
		}
		cursor = next
	}
}
