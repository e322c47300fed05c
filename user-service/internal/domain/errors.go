package domain

import "shop.example/platform/apperr"

// What callers are told. None of the messages says more than its reader may know.
var (
	// ErrNoUser means that there is no such user, or none that the caller may see.
	ErrNoUser = apperr.Missing("user")
	// ErrNoSession means that the caller has no such living session.
	ErrNoSession = apperr.Missing("session")
	// ErrLastAdmin means that the shop would be left without anybody who may run it.
	ErrLastAdmin = apperr.New(apperr.Conflict, "last_admin", "This is the last active admin. Make somebody else an admin first.")
	// ErrEmailTaken means that another account has the address.
	ErrEmailTaken = apperr.New(apperr.Conflict, "email_taken", "There is an account with this e-mail address already.")
	// ErrInvalidCredentials is the one answer to a login that fails: for an unknown address, a wrong password and a disabled
	// account alike, so that nobody learns who is a customer here.
	ErrInvalidCredentials = apperr.New(apperr.Unauthenticated, "invalid_credentials", "The e-mail address or the password is wrong.")
	// ErrWrongPassword is the same to a signed-in user, who has named no address.
	ErrWrongPassword = apperr.New(apperr.Unauthenticated, ErrInvalidCredentials.Reason, "The password is wrong.")
	// ErrNoAdmin means that the caller was an admin when its access token was made, and is none any more.
	ErrNoAdmin = apperr.New(apperr.PermissionDenied, apperr.PermissionDenied.DefaultReason(), "This needs the role admin.")
	// ErrSessionOver means that a refresh token is unknown, or that its session ended or expired.
	ErrSessionOver = apperr.New(apperr.Unauthenticated, apperr.Unauthenticated.DefaultReason(), "The session is over. Sign in again.")
	// ErrRefreshTokenReused means that a spent refresh token came again: two parties hold it, so its session was ended.
	ErrRefreshTokenReused = apperr.New(apperr.Unauthenticated, "refresh_token_reused",
		"This refresh token was used before. For safety the session was ended. Sign in again.")
)
