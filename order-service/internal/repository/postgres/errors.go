package postgres

import (
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/postgres"
)

// attemptOnce is the constraint that decides who was first with a key.
const attemptOnce = "attempts_pkey"

// translate turns what the database refused into what a caller is told. Any other violation is a mistake of ours.
func translate(err error) error {
	if name, ok := postgres.ViolatedConstraint(err); ok && name == attemptOnce {
		return usecase.ErrKeyTaken
	}
	return err
}
