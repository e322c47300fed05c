// Package apperr is the one kind of error that crosses layers and services: what kind of failure it is, a stable reason
// for programs, a message for people, and the cause for the log. It uses the standard library only, so the domain may
// return it. Any error that is not one of these is an internal error whose text no client ever sees.
package apperr

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
)

// Kind says what a caller can do about an error. It decides the gRPC code and the HTTP status.
type Kind int

// The kinds. An error without one is Internal.
const (
	Internal         Kind = iota
	Malformed             // the request can't be read
	Invalid               // the request can be read and must be changed
	Unauthenticated       // who is calling is not known
	PermissionDenied      // who is calling is known and may not
	NotFound              // there is no such thing, or not for this caller
	Conflict              // the state of things is against it
	VersionMismatch       // somebody else changed it first
	PaymentFailed         // the money did not come
	TooMany               // slower, please
	Unavailable           // a dependency is away; trying again may help
	DeadlineExceeded      // time is up; whether it was done is not known
)

var names = [...]string{
	"internal", "malformed", "invalid", "unauthenticated", "permission_denied", "not_found", "conflict",
	"version_mismatch", "payment_failed", "too_many", "unavailable", "deadline_exceeded",
}

// defaultReasons are the codes that clients see when an error names no reason of its own.
var defaultReasons = [...]string{
	"internal", "malformed_request", "validation_failed", "unauthenticated", "permission_denied", "not_found", "conflict",
	"version_mismatch", "payment_failed", "rate_limited", "dependency_unavailable", "deadline_exceeded",
}

// String returns the kind's name, such as "not_found".
func (k Kind) String() string { return names[k] }

// DefaultReason returns the reason of an error of this kind that has no particular one.
func (k Kind) DefaultReason() string { return defaultReasons[k] }

// ParseKind is the inverse of String.
func ParseKind(name string) (Kind, bool) {
	i := slices.Index(names[:], name)
	return Kind(max(i, 0)), i >= 0
}

// Violation says what is wrong with one part of a request.
type Violation struct {
	// Location is the path of the part, such as "items[2].quantity".
	Location string
	Message  string
	// Attributes are further facts for programs: strings, int64 or bool.
	Attributes map[string]any
}

// Error is a failure that a caller is told about. Build one with New or a shortcut; do not change it once it is shared:
// the With methods return copies, so that an error may stand in a package variable.
type Error struct {
	Kind       Kind
	Reason     string
	Message    string
	Violations []Violation
	Attributes map[string]any

	cause error
}

// New returns an error. The reason is stable and in snake_case; the message is for people and may be shown to them.
func New(kind Kind, reason, message string) *Error {
	return &Error{Kind: kind, Reason: reason, Message: message}
}

// InvalidField returns a validation failure of one field.
func InvalidField(location, message string) *Error {
	return ValidationFailed(Violation{Location: location, Message: message})
}

// ValidationFailed returns an error that names every field that must be changed.
func ValidationFailed(violations ...Violation) *Error {
	return New(Invalid, Invalid.DefaultReason(), "The request is not valid.").With(violations...)
}

// Missing returns a not-found error that says no more than that.
func Missing(what string) *Error {
	return New(NotFound, NotFound.DefaultReason(), "There is no such "+what+".")
}

// DependencyUnavailable returns the error for a dependency that could not be reached.
func DependencyUnavailable(cause error) *Error {
	return New(Unavailable, Unavailable.DefaultReason(), "A part of the shop can't be reached just now. Try again in a moment.").Wrap(cause)
}

// Error returns the text for the log: the message and the cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is find an error of the same kind and reason, whatever its details are.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Kind == e.Kind && t.Reason == e.Reason
}

// With returns a copy with further violations.
func (e *Error) With(violations ...Violation) *Error {
	c := *e
	c.Violations = slices.Concat(e.Violations, violations)
	return &c
}

// WithAttribute returns a copy with a further fact for programs: a string, an int64 or a bool.
func (e *Error) WithAttribute(name string, value any) *Error {
	c := *e
	c.Attributes = maps.Clone(e.Attributes)
	if c.Attributes == nil {
		c.Attributes = make(map[string]any, 1)
	}
	c.Attributes[name] = value
	return &c
}

// Wrap returns a copy with a cause, which is for the log only.
func (e *Error) Wrap(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// From returns what a caller may know of err: the Error in its chain; or, for the end of a context and for a store that is
// away, the matching kind; or an internal error with a fixed message. It returns nil for nil.
func From(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return New(DeadlineExceeded, DeadlineExceeded.DefaultReason(), "It took too long. Whether it was done is not known.").Wrap(err)
	case errors.Is(err, context.Canceled):
		return New(DeadlineExceeded, DeadlineExceeded.DefaultReason(), "The caller went away.").Wrap(err)
	case isAway(err):
		return DependencyUnavailable(err)
	default:
		return New(Internal, Internal.DefaultReason(), "Something went wrong on our side.").Wrap(err)
	}
}

// isAway reports whether err is a broken connection, to a store of whatever kind, or the word of a database that is going
// down (SQLSTATE class 57P), has lost a connection (08) or has none to spare (53), or could not get a lock in time or lost a
// deadlock (55P03, 40): the same call may succeed in a moment.
func isAway(err error) bool {
	var (
		network *net.OpError
		state   interface{ SQLState() string }
	)
	if errors.As(err, &state) {
		return slices.ContainsFunc([]string{"57P", "08", "53", "55P03", "40"}, func(class string) bool {
			return strings.HasPrefix(state.SQLState(), class)
		})
	}
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}

// KindOf returns the kind of err; Internal for an error that carries none.
func KindOf(err error) Kind {
	if e := From(err); e != nil {
		return e.Kind
	}
	return Internal
}

// ReasonOf returns the reason of err, empty for nil.
func ReasonOf(err error) string {
	if e := From(err); e != nil {
		return e.Reason
	}
	return ""
}
