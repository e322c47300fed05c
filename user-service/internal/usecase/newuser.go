package usecase

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/domain"
)

// newUser checks all that a person gives, naming every mistake at once, and returns a user who is not kept yet.
func newUser(ctx context.Context, passwords Passwords, rawEmail, password, rawName string, role domain.Role, now time.Time) (*domain.User, error) {
	email, badEmail := domain.ParseEmail(rawEmail)
	name, badName := domain.ParseName(rawName)
	badPassword := domain.CheckPassword("password", password, email, name)
	if err := together(badEmail, badPassword, badName); err != nil {
		return nil, err
	}
	phc, err := passwords.Hash(ctx, password)
	if err != nil {
		return nil, fmt.Errorf("make user: %w", err)
	}
	return domain.NewUser(email, name, role, phc, now)
}

// together joins validation errors into one that names every field; nil for none.
func together(errs ...error) error {
	var violations []apperr.Violation
	for _, err := range errs {
		if e := (*apperr.Error)(nil); errors.As(err, &e) {
			violations = append(violations, e.Violations...)
		}
	}
	if len(violations) == 0 {
		return nil
	}
	return apperr.ValidationFailed(violations...)
}
