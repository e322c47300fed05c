package domain_test

import (
	"regexp"
	"testing"

	"shop.example/order-service/internal/domain"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	// Neither I nor L (1), nor O (0), nor U (V), nor small letters.
	form := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}$`)
	// Two of 10,000 random ones of 2^50 are the same once in 20 million runs.
	const many = 10_000
	seen, letters := make(map[string]bool, many), make(map[rune]bool)
	for range many {
		n := domain.NewNumber()
		if !form.MatchString(n) {
			t.Fatalf("%q is not a number for people", n)
		}
		if seen[n] {
			t.Fatalf("%q came twice", n)
		}
		seen[n] = true
		for _, letter := range n {
			letters[letter] = true
		}
	}
	if len(letters) != 32+1 { // and the dash
		t.Errorf("%d different letters, want all 32 and the dash", len(letters))
	}
}
