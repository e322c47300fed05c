package domain_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shop.example/product-service/internal/domain"
)

func TestSearchWords(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"cafe", "muehle", "5"}, domain.SearchWords(" Café-Mühle café №5 ")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprint(i))
	}
	if got := domain.SearchWords(strings.Join(many, " ")); !slices.Equal(got, many[:16]) {
		t.Errorf("of too many words: %v", got)
	}
}

func TestResembling(t *testing.T) {
	t.Parallel()
	vocabulary := []string{"camp", "keyboard", "keyboards", "lamp", "lamps", "kettle", "blackboard"}
	for word, want := range map[string][]string{
		"keybord":  {"keyboard", "keyboards"}, // a letter lost
		"kyeboard": {"keyboard"},              // two letters swapped
		"kettel":   {"kettle"},
		"lomp":     {"lamp"}, // short, and a letter wrong
		"lapm":     {"lamp"}, // swapped
		"lammp":    {"lamp", "lamps"},
		"laxy":     nil,
		"ktetle":   {"kettle"},        // within a word of six
		"almp":     nil,               // nobody mistakes the first letter
		"lamp":     {"lamp", "lamps"}, // and no camp
		"zzzz":     nil,
	} {
		if diff := cmp.Diff(want, domain.Resembling(word, slices.Values(vocabulary), 2)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", word, diff)
		}
	}
}

func TestCorrect(t *testing.T) {
	t.Parallel()
	double := func(word string, limit int) ([]string, error) {
		if word == "none" || limit < 2 {
			return nil, nil
		}
		return []string{word + word[:1], word + word[:2]}, nil
	}
	c, err := domain.Correct([]string{"abc", "none", "abcd4", "first", "second", "third", "fourth"}, double)
	want := domain.Corrections{"first": {"firstf", "firstfi"}, "second": {"seconds", "secondse"}, "third": {"thirdt", "thirdth"}}
	if diff := cmp.Diff(want, c); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([][]string{{"oak"}, {"firstf", "firstfi"}}, c.Alternatives([]string{"oak", "first"})); diff != "" {
		t.Errorf("alternatives (-want +got):\n%s", diff)
	}
	if !c.Sound() || !(domain.Corrections)(nil).Sound() {
		t.Error("refused")
	}
	for _, forged := range []domain.Corrections{
		{"a": nil, "b": nil, "c": nil, "d": nil},
		{"word": {"abcd", "abcd", "abcd", "abcd", "abcd"}},
		{"word": {"x:* | y"}}, {"word": {"two words"}}, {"word": {"ABCD"}}, {"word": {strings.Repeat("a", 33)}}, {"word": {""}},
	} {
		if forged.Sound() {
			t.Errorf("taken for sound: %v", forged)
		}
	}
	away := errors.New("away")
	if _, err := domain.Correct([]string{"first"}, func(string, int) ([]string, error) { return nil, away }); !errors.Is(err, away) {
		t.Errorf("got %v", err)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	p := domain.ProductSnapshot{Name: "Café Chairs", SKU: "CH-1", Description: "Stackable", Attributes: map[string]string{"material": "Bentwood"}}
	for _, tc := range []struct {
		words []string
		want  int
	}{
		{[]string{"cafe"}, domain.FitsExactly},
		{[]string{"chairs", "cafe"}, domain.FitsExactly},
		{[]string{"chair", "cafe"}, domain.FitsName},
		{[]string{"stack", "chairs"}, domain.FitsAnywhere},
		{[]string{"bentwood"}, domain.FitsAnywhere},
		{[]string{"material"}, domain.FitsNot},
		{[]string{"chair", "sofa"}, domain.FitsNot},
		{nil, domain.FitsNot},
	} {
		if got := p.Fit(domain.Corrections(nil).Alternatives(tc.words)); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.words, got, tc.want)
		}
	}
	if got := p.Fit([][]string{{"sofa", "chairs"}}); got != domain.FitsExactly {
		t.Errorf("of alternatives one is enough: got %d", got)
	}
}
