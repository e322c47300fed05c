package domain

import (
	"fmt"

	"shop.example/platform/apperr"
)

// What a cart refuses. Clients see the reasons.
var (
	// ErrVersionMismatch means that the cart is no longer the one that the caller saw.
	ErrVersionMismatch = apperr.New(apperr.VersionMismatch, apperr.VersionMismatch.DefaultReason(), "The cart was changed in the meantime. Read it again.")
	// ErrQuantityLimit means that there would be too many of one product.
	ErrQuantityLimit = apperr.New(apperr.Invalid, "cart_limit", fmt.Sprintf("A cart holds at most %d of one product.", MaxQuantity)).
				With(apperr.Violation{Location: "quantity", Message: fmt.Sprintf("must be at most %d in all", MaxQuantity)})
	// ErrLineLimit means that there would be too many different products.
	ErrLineLimit = apperr.New(apperr.Invalid, "cart_limit", fmt.Sprintf("A cart holds at most %d different products.", MaxLines))
	// ErrWorthLimit means that the cart costs more than an amount of money can say.
	ErrWorthLimit = apperr.New(apperr.Invalid, "cart_limit", "The cart is worth more than can be counted. Take something out.")
	// ErrProductUnavailable means that there is no such product, or that it isn't sold.
	ErrProductUnavailable = apperr.New(apperr.Invalid, "product_unavailable", "This product can't be bought.").
				With(apperr.Violation{Location: "product_id", Message: "is not a product that is sold"})
	// ErrCartToken means that a guest's token is none that we gave.
	ErrCartToken = apperr.InvalidField("cart_token", "is not a cart token")
	// ErrCartGone means that the guest's cart is part of a user's now, or about to be, or has expired. Its token begins no other
	// one: it could begin any number. Who may begin one does so without a token.
	ErrCartGone = apperr.New(apperr.Conflict, "cart_gone", "This cart is no more. It belongs to an account now, or has expired.")
	// ErrUserUnknown means that the user of a good token is there no more.
	ErrUserUnknown = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "This account is no more. Sign in again.")
	// ErrUserDisabled means that the user may not act any more. It ends sign-ins, and so is told as a session that ended is.
	ErrUserDisabled = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "This account is not active.")
)
