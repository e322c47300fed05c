package memory

import (
	"maps"
	"slices"
	"strings"

	"shop.example/product-service/internal/domain"
)

// similar is how much of a word's trigrams must be found for a typo; the database's threshold.
const similar = 0.42

// rank says how well a product fits folded words, 0 for not at all: having them, or their beginnings, is above resembling
// words of the name. Its scale is its own; only that order is promised.
func rank(p domain.ProductSnapshot, words string) (score int64) {
	inName := strings.Fields(domain.Fold(p.Name))
	all := strings.Fields(domain.Fold(strings.Join(slices.Concat(
		[]string{p.Name, p.SKU, p.ShortDescription, p.Description}, slices.Collect(maps.Values(p.Attributes))), " ")))
	for word := range strings.FieldsSeq(words) {
		isPrefix := func(other string) bool { return strings.HasPrefix(other, word) }
		resembles := func(other string) bool { return resemble(word, other) }
		switch {
		case slices.ContainsFunc(inName, isPrefix):
			score += 10_000
		case slices.ContainsFunc(all, isPrefix):
			score += 100
		case slices.ContainsFunc(inName, resembles):
			score++
		default:
			return 0
		}
	}
	return score
}

// resemble reports whether other may be what was meant by word. In less than four letters a typo leaves too little to go by.
func resemble(word, other string) bool {
	if len(word) < 4 {
		return false
	}
	wanted, found := trigrams(word), trigrams(other)
	common := 0
	for t := range wanted {
		if found[t] {
			common++
		}
	}
	return float64(common) >= similar*float64(len(wanted))
}

// trigrams returns the groups of three letters of a word, which begins with two blanks and ends with one.
func trigrams(word string) map[string]bool {
	set := make(map[string]bool)
	letters := []rune("  " + word + " ")
	for i := range len(letters) - 2 {
		set[string(letters[i:i+3])] = true
	}
	return set
}
