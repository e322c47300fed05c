package domain

import (
	"fmt"

	"github.com/google/uuid"

	"shop.example/platform/apperr"
)

// What the catalogue and the stock refuse. Clients see the reasons.
var (
	ErrProductMissing     = apperr.Missing("product")
	ErrCategoryMissing    = apperr.Missing("category")
	ErrReservationMissing = apperr.Missing("reservation")

	ErrProductChanged  = apperr.New(apperr.VersionMismatch, apperr.VersionMismatch.DefaultReason(), "The product was changed in the meantime. Read it again.")
	ErrCategoryChanged = apperr.New(apperr.VersionMismatch, apperr.VersionMismatch.DefaultReason(), "The category was changed in the meantime. Read it again.")

	ErrCategoryCycle = apperr.New(apperr.Conflict, "category_cycle", "A category can't be below itself.")
	ErrCategoryInUse = apperr.New(apperr.Conflict, "category_in_use", "The category has products or categories below it.")
	ErrParentMissing = apperr.InvalidField("parent_id", "There is no such category.")

	ErrSKUTaken  = apperr.New(apperr.Conflict, "sku_taken", "Another product has this SKU.")
	ErrSlugTaken = apperr.New(apperr.Conflict, "slug_taken", "This slug is in use already.")

	ErrInsufficientStock       = apperr.New(apperr.Conflict, "insufficient_stock", "The stock cannot go below what is reserved.")
	ErrOutOfStock              = apperr.New(apperr.Conflict, "out_of_stock", "There is not enough in stock.")
	ErrReservationDiffers      = apperr.New(apperr.Conflict, "reservation_differs", "The order has a reservation of other lines.")
	ErrReservationReleased     = apperr.New(apperr.Conflict, "reservation_released", "The order's reservation has been released.")
	ErrReservationNotConfirmed = apperr.New(apperr.Conflict, "reservation_not_confirmed", "The order has not taken anything yet.")
	ErrRestockExceeds          = apperr.New(apperr.Conflict, "restock_exceeds_reservation", "This is more than the order has taken and not put back.")
	ErrRestockDiffers          = apperr.New(apperr.Conflict, "restock_differs", "Other pieces were put back for this refund.")
	ErrIdempotencyKeyReused    = apperr.New(apperr.Invalid, "idempotency_key_reused", "The idempotency key was used for another request.")
)

// UnknownCategories returns the validation failure for a product that names categories which are not there. wanted are
// the product's categories in the order of the request, known those that exist.
func UnknownCategories(wanted []uuid.UUID, known map[uuid.UUID]bool) error {
	var violations []apperr.Violation
	for i, id := range wanted {
		if !known[id] {
			violations = append(violations, violation(fmt.Sprintf("category_ids[%d]", i), "There is no such category."))
		}
	}
	return apperr.ValidationFailed(violations...)
}

func violation(location, message string) apperr.Violation {
	return apperr.Violation{Location: location, Message: message}
}
