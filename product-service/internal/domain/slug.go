package domain

import (
	"strings"
	"unicode"

	"github.com/google/uuid"
)

// maxSlug bounds a slug in characters: it is a path segment that people read.
const maxSlug = 100

// folding is how letters that are not ASCII are written with ASCII, by the usage of the languages they come from. Letters
// that are a base and a mark, such as é, are listed as the base.
var folding = func() map[rune]string {
	m := map[rune]string{
		'ä': "ae", 'ö': "oe", 'ü': "ue", 'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'å': "a", 'ð': "d", 'þ': "th", 'ł': "l",
		'đ': "d", 'ħ': "h", 'ı': "i", 'ĳ': "ij", 'ŋ': "ng", 'ŧ': "t", '’': "", '\'': "",
	}
	for base, letters := range map[string]string{
		"a": "àáâãāăą", "c": "çćĉċč", "d": "ď", "e": "èéêëēĕėęě", "g": "ĝğġģ", "h": "ĥ", "i": "ìíîïĩīĭį", "j": "ĵ", "k": "ķ",
		"l": "ĺļľŀ", "n": "ñńņňŉ", "o": "òóôõōŏő", "r": "ŕŗř", "s": "śŝşšș", "t": "ţťț", "u": "ùúûũūŭůűų", "w": "ŵ", "y": "ýÿŷ",
		"z": "źżž",
	} {
		for _, letter := range letters {
			m[letter] = base
		}
	}
	return m
}()

// Fold writes text for searching and sorting: words of lower-case letters and digits, one space between them, Latin
// letters without their marks. "Café-Mühle №5" becomes "cafe muehle 5".
func Fold(text string) string {
	var b strings.Builder
	gap := false
	put := func(r rune) {
		if gap && b.Len() > 0 {
			b.WriteByte(' ')
		}
		gap = false
		b.WriteRune(r)
	}
	for _, r := range text {
		r = unicode.ToLower(r)
		folded, ok := folding[r]
		if !ok {
			folded = string(r)
		}
		for _, r := range folded {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r):
				put(r)
			case unicode.Is(unicode.Mn, r): // a mark that stands by itself belongs to the letter before it
			default:
				gap = true
			}
		}
	}
	return b.String()
}

// Slugify derives a slug from a name: "Café-Mühle №5" becomes "cafe-muehle-5". It is empty for a name without a letter or
// digit that ASCII can say.
func Slugify(name string) string {
	var b strings.Builder
	for _, r := range Fold(strings.ReplaceAll(name, "&", " and ")) {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	slug := b.String()
	if len(slug) > maxSlug {
		slug = slug[:maxSlug]
	}
	return strings.Trim(slug, "-")
}

// slugProblem says what is wrong with a slug, nothing if it is good. A slug that reads as an id would hide another object.
func slugProblem(slug string) string {
	if len(slug) > maxSlug {
		return "It must have at most 100 characters."
	}
	if slug == "" || Slugify(slug) != slug {
		return "It must be lower-case letters and digits, in parts joined by single hyphens."
	}
	if uuid.Validate(slug) == nil {
		return "It must not look like an id."
	}
	return ""
}

// Ref names a product or a category the way clients do: by id or by slug.
type Ref struct {
	ID   uuid.UUID // uuid.Nil for a reference by slug
	Slug string
}

// ParseRef reads a reference. What can't be a slug, because no store could keep it, refers to nothing.
func ParseRef(text string) Ref {
	if textProblem(text, maxSlug) != "" {
		return Ref{}
	}
	// Only the form with hyphens: a slug of 32 hexadecimal digits is a slug.
	if id, err := uuid.Parse(text); err == nil && len(text) == len(uuid.Nil.String()) {
		return Ref{ID: id}
	}
	return Ref{Slug: text}
}
