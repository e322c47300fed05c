package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"shop.example/platform/postgres"

	"shop.example/user-service/internal/domain"
)

// emailUnique is the constraint that decides who gets an address.
const emailUnique = "users_email_unique"

// toDomain tells the domain what a violated constraint means; other errors it passes on with what was being done.
func toDomain(what string, err error) error {
	if name, ok := postgres.ViolatedConstraint(err); ok && name == emailUnique {
		return domain.ErrEmailTaken
	}
	return fmt.Errorf("%s: %w", what, err)
}

// absent is the domain's error when there was no row, else err with what was being done.
func absent(what string, none, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return none
	}
	return fmt.Errorf("%s: %w", what, err)
}

// noSession says of a session whose user is gone that it is over.
func noSession(err error) error {
	if errors.Is(err, domain.ErrNoUser) {
		return domain.ErrSessionOver
	}
	return err
}
