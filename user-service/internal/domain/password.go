package domain

import (
	_ "embed"
	"strings"
	"unicode/utf8"

	"shop.example/platform/apperr"
)

// The length of a password in characters. Eight is the least that NIST SP 800-63B allows; the most is far beyond any
// passphrase and keeps a request small. There are no rules on digits and signs: they lead to "Password1!".
const (
	minPasswordLength = 8
	maxPasswordLength = 128
)

// commonPasswordsText holds well-known passwords of at least eight characters, one a line, in lower case. Those are what
// is tried first on every account.
//
//go:embed common_passwords.txt
var commonPasswordsText string

var commonPasswords = func() map[string]bool {
	set := make(map[string]bool, 2048)
	for line := range strings.Lines(commonPasswordsText) {
		set[strings.TrimSpace(line)] = true
	}
	return set
}()

// CheckPassword says whether a person with this address and name may choose the password. Its error is a violation at the
// field, and never repeats what was chosen.
func CheckPassword(field, password string, email Email, name string) error {
	length := utf8.RuneCountInString(password)
	folded := strings.ToLower(strings.TrimSpace(password))
	switch {
	case !utf8.ValidString(password):
		return apperr.InvalidField(field, "must be valid UTF-8")
	case length < minPasswordLength || length > maxPasswordLength:
		return apperr.InvalidField(field, "must have 8 to 128 characters")
	case commonPasswords[folded] || isOneCharacter(folded):
		return apperr.InvalidField(field, "is too well known: choose another one")
	case email != Email{} && (folded == email.String() || folded == email.localPart()),
		name != "" && folded == strings.ToLower(name):
		return apperr.InvalidField(field, "must not be your e-mail address or your name")
	}
	return nil
}

// isOneCharacter finds "aaaaaaaa" of any length, which no list can hold, and what consists of blanks alone.
func isOneCharacter(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	return strings.Trim(s, string(first)) == ""
}
