package postgres

import (
	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/postgres"
)

// constraints are what the violation of a constraint means. Any other violation is a mistake of ours.
var constraints = map[string]error{
	"attempts_pkey":        usecase.ErrKeyTaken, // it decides who was first with a key
	"coupons_code_key":     domain.ErrCodeTaken,
	"findings_watched_key": errWatched,
}

// translate turns what the database refused into what a caller is told.
func translate(err error) error {
	if name, ok := postgres.ViolatedConstraint(err); ok && constraints[name] != nil {
		return constraints[name]
	}
	return err
}
