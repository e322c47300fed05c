package redis

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"shop.example/cart-service/internal/domain"
)

// erasedKey says up to where the carts of deleted users are gone.
const erasedKey = "deleted-users:cursor"

// Erase deletes the carts of owners, in one round trip to each server, and returns how many there were.
func (s *Store) Erase(ctx context.Context, owners []domain.Owner) (int, error) {
	erased := make([]*redis.IntCmd, len(owners))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, owner := range owners {
			erased[i] = p.Del(ctx, cartKey(owner))
			p.Del(ctx, memoryKey(owner))
		}
		return nil
	})
	if err != nil {
		return 0, failure(ctx, "erase carts", err)
	}
	var n int64
	for _, one := range erased {
		n += one.Val()
	}
	return int(n), nil
}

// ErasedUpTo returns what KeepErasedUpTo kept, "" for nothing.
func (s *Store) ErasedUpTo(ctx context.Context) (string, error) {
	cursor, err := s.client.Get(ctx, erasedKey).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", failure(ctx, "read up to where carts are erased", err)
	}
	return cursor, nil
}

// KeepErasedUpTo keeps a cursor.
func (s *Store) KeepErasedUpTo(ctx context.Context, cursor string) error {
	if err := s.client.Set(ctx, erasedKey, cursor, 0).Err(); err != nil {
		return failure(ctx, "keep up to where carts are erased", err)
	}
	return nil
}
