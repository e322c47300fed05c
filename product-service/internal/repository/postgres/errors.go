package postgres

import (
	"errors"

	"shop.example/platform/apperr"
	"shop.example/platform/postgres"
	"shop.example/product-service/internal/domain"
)

// constraints are what the violation of a constraint tells a client. Any other violation is a mistake of ours.
var constraints = map[string]*apperr.Error{
	"products_sku_key":       domain.ErrSKUTaken,
	"products_slug_key":      domain.ErrSlugTaken,
	"categories_slug_key":    domain.ErrSlugTaken,
	"categories_parent_fkey": domain.ErrParentMissing,
	"stock_ledger_key_once":  domain.ErrIdempotencyKeyReused,
}

// translate turns what the database refused into what a caller is told. Every exported method of the store defers it.
func translate(err *error) {
	if *err == nil || errors.As(*err, new(*apperr.Error)) {
		return
	}
	if name, ok := postgres.ViolatedConstraint(*err); ok {
		if known := constraints[name]; known != nil {
			*err = known.Wrap(*err)
		}
	}
}
