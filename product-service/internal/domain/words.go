package domain

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxSearchWords bounds what one search costs; who types more has said enough by then.
	maxSearchWords = 16
	// maxCorrectedWords and maxCorrections bound what a page token carries: the corrections of a search stay the same from its
	// first page to its last, whatever words other products bring meanwhile.
	maxCorrectedWords = 3
	maxCorrections    = 4
	// In less than four letters a typo leaves too little to go by; words of more than 32 bytes are not typed.
	minCorrectable, maxCorrectable = 4, 32
)

// SearchWords returns the words that a search is for, folded, each once.
func SearchWords(text string) []string {
	var words []string
	for word := range strings.FieldsSeq(Fold(text)) {
		if !slices.Contains(words, word) && len(words) < maxSearchWords {
			words = append(words, word)
		}
	}
	return words
}

// Correctable reports whether a folded word can be corrected, or be what another is corrected to. Numbers can't: one that
// resembles another is still another.
func Correctable(word string) bool {
	return utf8.RuneCountInString(word) >= minCorrectable && len(word) <= maxCorrectable && !strings.ContainsAny(word, "0123456789")
}

// Vocabulary returns the words of a product that a typo can be corrected to.
func (s ProductSnapshot) Vocabulary() []string {
	return slices.DeleteFunc(strings.Fields(Fold(s.Name)+" "+s.SearchText()), func(word string) bool { return !Correctable(word) })
}

// Corrections are what words of a search may have been meant to be.
type Corrections map[string][]string

// Correct corrects the words that are known to nothing, by the words that resemble each of them, the best ones first.
func Correct(unknown []string, resembling func(word string, limit int) ([]string, error)) (Corrections, error) {
	c := make(Corrections)
	for _, word := range unknown {
		if !Correctable(word) || len(c) == maxCorrectedWords {
			continue
		}
		found, err := resembling(word, maxCorrections)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			c[word] = found
		}
	}
	return c, nil
}

// Sound reports whether the corrections are such as Correct makes: a client may have forged them.
func (c Corrections) Sound() bool {
	if len(c) > maxCorrectedWords {
		return false
	}
	for _, words := range c {
		if len(words) > maxCorrections || slices.ContainsFunc(words, func(w string) bool { return !Correctable(w) || Fold(w) != w || strings.Contains(w, " ") }) {
			return false
		}
	}
	return true
}

// Alternatives returns for each word of a search what is looked for: the word, or what it is corrected to.
func (c Corrections) Alternatives(words []string) [][]string {
	all := make([][]string, len(words))
	for i, word := range words {
		all[i] = []string{word}
		if corrected, ok := c[word]; ok {
			all[i] = corrected
		}
	}
	return all
}

// Slippable reports whether a word is so short that one slip leaves less of it than Resembling asks for otherwise: of "lomp" and
// "lamp" only two of eight groups of letters are the same.
func Slippable(word string) bool { return utf8.RuneCountInString(word) <= maxSlippable }

// maxSlippable is how long such a word is: two letters swapped within it spoil four groups, which leaves 3 of 11 in six letters,
// and 4 of 12 in seven, which is enough.
const maxSlippable = 6

// slip reports whether one letter that is missing, too much, wrong or swapped with its neighbour is all that tells two words
// apart. The first letter is not mistaken: with it the database finds those that may be meant.
func slip(word, other string) bool {
	a, b := []rune(word), []rune(other)
	begin := 0
	for begin < min(len(a), len(b)) && a[begin] == b[begin] {
		begin++
	}
	if begin == 0 {
		return false
	}
	for a, b = a[begin:], b[begin:]; len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1]; {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return max(len(a), len(b)) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// Resembling returns the words that resemble a word, the most alike first: for short ones those that are one slip away, then
// those with at least 3 of 10 groups of three letters in common, which is how the database tells it
// (pg_trgm.similarity_threshold).
func Resembling(word string, vocabulary iter.Seq[string], limit int) []string {
	type candidate struct {
		word          string
		slip          bool
		common, union int
	}
	var (
		found  []candidate
		wanted = trigrams(word)
	)
	for other := range vocabulary {
		theirs, common := trigrams(other), 0
		for t := range theirs {
			if wanted[t] {
				common++
			}
		}
		union, near := len(wanted)+len(theirs)-common, Slippable(word) && slip(word, other)
		if near || 10*common >= 3*union {
			found = append(found, candidate{other, near, common, union})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		if a.slip != b.slip {
			if a.slip {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.common*a.union, a.common*b.union), strings.Compare(a.word, b.word))
	})
	var words []string
	for _, c := range found[:min(len(found), limit)] {
		words = append(words, c.word)
	}
	return words
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

// How well a product fits a search. Within one fit, lists by relevance show the newest first.
const (
	FitsNot      = 0
	FitsAnywhere = 1 // each word begins a word of the product
	FitsName     = 2 // each word begins a word of the name
	FitsExactly  = 3 // each word is a word of the name
)

// Fit says how well a product fits a search for alternatives of words.
func (s ProductSnapshot) Fit(words [][]string) int {
	name := strings.Fields(Fold(s.Name))
	meets := func(texts []string, match func(text, word string) bool) bool {
		return !slices.ContainsFunc(words, func(alternatives []string) bool {
			return !slices.ContainsFunc(alternatives, func(word string) bool {
				return slices.ContainsFunc(texts, func(text string) bool { return match(text, word) })
			})
		})
	}
	switch {
	case len(words) == 0:
		return FitsNot
	case meets(name, func(text, word string) bool { return text == word }):
		return FitsExactly
	case meets(name, strings.HasPrefix):
		return FitsName
	case meets(append(name, strings.Fields(s.SearchText())...), strings.HasPrefix):
		return FitsAnywhere
	default:
		return FitsNot
	}
}

// SearchText is what a search finds besides the name, folded.
func (s ProductSnapshot) SearchText() string {
	parts := []string{s.SKU, s.ShortDescription, s.Description}
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		parts = append(parts, s.Attributes[name])
	}
	return Fold(strings.Join(parts, " "))
}
