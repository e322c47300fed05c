package domain

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"shop.example/platform/apperr"
)

// maxNameLength is in characters. The longest names of real people are well below it.
const maxNameLength = 200

// ParseName returns the name without the space around it. Names are not judged beyond what would break a page or a log:
// whoever has tried to say what a name looks like was wrong about somebody. Its error is a violation at "name".
func ParseName(raw string) (string, error) {
	name := strings.TrimSpace(raw)
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isUnprintable):
		return "", apperr.InvalidField("name", "must not contain control characters")
	case name == "" || utf8.RuneCountInString(name) > maxNameLength:
		return "", apperr.InvalidField("name", "must have 1 to 200 characters")
	}
	return name, nil
}

// isUnprintable finds control characters, line separators, and the marks that turn the direction of the text around them,
// with which a name can change how the line it stands in reads. Joiners are none of them: some scripts need them.
func isUnprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) ||
		(r >= '\u202A' && r <= '\u202E') || (r >= '\u2066' && r <= '\u2069')
}
