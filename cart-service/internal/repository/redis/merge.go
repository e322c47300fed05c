package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shop.example/cart-service/internal/domain"
)

// Seal keeps a guest's cart for a user and returns its lines.
func (s *Store) Seal(ctx context.Context, guest, user domain.Owner) ([]domain.Line, error) {
	hash, err := s.eval(ctx, sealScript, guest, nil, time.Time{}, user.String())
	if errors.Is(err, domain.ErrCartGone) {
		return nil, nil // another user has it
	}
	if err != nil {
		return nil, err
	}
	lines, err := decodeLines(hash)
	if err != nil {
		return nil, fmt.Errorf("seal cart %s: %w", guest, err)
	}
	return domain.RestoreCart(domain.CartSnapshot{Owner: guest, Lines: lines}).Lines(), nil
}

// Merge puts a guest's lines into a user's cart, once a guest.
func (s *Store) Merge(ctx context.Context, user, guest domain.Owner, lines []domain.Line, now time.Time) (*domain.Cart, error) {
	args := make([]any, 0, 2+4*len(lines))
	args = append(args, guest.String(), forgotten(now))
	for _, l := range lines {
		added, err := encodeAdded(l)
		if err != nil {
			return nil, fmt.Errorf("merge product %s: %w", l.ProductID, err)
		}
		known, err := encodeKnown(l.Known)
		if err != nil {
			return nil, fmt.Errorf("merge product %s: %w", l.ProductID, err)
		}
		args = append(args, l.ProductID.String(), l.Quantity, added, known)
	}
	return s.run(ctx, mergeScript, user, nil, now, args...)
}

// Discard takes the lines out of a cart that was sealed for a user.
func (s *Store) Discard(ctx context.Context, guest, user domain.Owner) error {
	_, err := s.eval(ctx, discardScript, guest, nil, time.Time{}, user.String())
	return err
}
