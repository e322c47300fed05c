package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shop.example/platform/apperr"
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

// unavailable marks the errors of a database that can't be reached or is going down: a client may try again, and it is no
// fault of ours. All others it returns as they are.
func unavailable(err error) error {
	var (
		known    *apperr.Error
		connect  *pgconn.ConnectError
		network  *net.OpError
		answered *pgconn.PgError
	)
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.As(err, &connect):
		return apperr.DependencyUnavailable(err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // the caller's own
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, &answered) && goingDown(answered.Code):
		return apperr.DependencyUnavailable(err)
	default:
		return err
	}
}

// goingDown is about SQLSTATE: class 08 is a broken connection, 53300 too many of them, 57P01 to 57P03 a server that stops,
// has crashed or starts.
func goingDown(code string) bool {
	return strings.HasPrefix(code, "08") || code == "53300" || (code >= "57P01" && code <= "57P03")
}
