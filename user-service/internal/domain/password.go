package domain

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

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
	if !utf8.ValidString(password) {
		return apperr.InvalidField(field, "must be valid UTF-8")
	}
	seen := shown(password)
	folded := strings.ToLower(strings.TrimSpace(seen))
	switch {
	case utf8.RuneCountInString(seen) < minPasswordLength, utf8.RuneCountInString(norm.NFKC.String(password)) > maxPasswordLength:
		return apperr.InvalidField(field, "must have 8 to 128 characters")
	case commonPasswords[folded] || isOneCharacter(folded):
		return apperr.InvalidField(field, "is too well known: choose another one")
	case email != Email{} && (folded == email.String() || folded == email.localPart()),
		name != "" && folded == strings.ToLower(strings.TrimSpace(shown(name))):
		return apperr.InvalidField(field, "must not be your e-mail address or your name")
	}
	return nil
}

// shown is what a text says to who reads it: in the form in which passwords are hashed, NFKC, so that letters that are made of
// several, wide or otherwise adorned are what they look like; and without what leaves no ink at all. The hash is of all of it:
// who has an invisible character in the password goes on typing it.
func shown(text string) string {
	visible := strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, norm.NFKC.String(text))
	return norm.NFKC.String(visible) // what stood apart may now be one
}

// isOneCharacter finds "aaaaaaaa" of any length, which no list can hold, and what consists of blanks alone.
func isOneCharacter(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	return strings.Trim(s, string(first)) == ""
}
