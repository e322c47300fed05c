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
	case name != "" && !strings.ContainsFunc(name, isVisible):
		return "", apperr.InvalidField("name", "must have a letter or a sign that can be seen")
	case name == "" || utf8.RuneCountInString(name) > maxNameLength:
		return "", apperr.InvalidField("name", "must have 1 to 200 characters")
	}
	return name, nil
}

// invisibleLetters are letters and marks to Unicode that leave no ink: fillers, and the selectors of variants.
var invisibleLetters = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x034F, Hi: 0x034F, Stride: 1}, {Lo: 0x115F, Hi: 0x1160, Stride: 1}, {Lo: 0x17B4, Hi: 0x17B5, Stride: 1},
	{Lo: 0x2800, Hi: 0x2800, Stride: 1}, {Lo: 0x3164, Hi: 0x3164, Stride: 1}, {Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
}}

// isVisible finds what leaves ink by itself: no space, no mark that needs a letter to stand on, no joiner. A name needs one.
func isVisible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(invisibleLetters, r)
}

// isUnprintable finds control characters, line separators, and the marks that turn the direction of the text around them,
// with which a name can change how the line it stands in reads. Joiners are none of them: some scripts need them.
func isUnprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) ||
		(r >= '\u202A' && r <= '\u202E') || (r >= '\u2066' && r <= '\u2069')
}
