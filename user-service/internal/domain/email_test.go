package domain_test

import (
	"strings"
	"testing"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/domain"
)

func TestParseEmail(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	tests := map[string]string{ // "" means refused
		"ann@example.com":                "ann@example.com",
		"  Ann.O'Neil+shop@Example.COM ": "ann.o'neil+shop@example.com",
		"a@b.co":                         "a@b.co",
		"a@xn--bcher-kva.example":        "a@xn--bcher-kva.example",
		strings.Repeat("a", 64) + "@" + label + "." + label + "." + strings.Repeat("b", 61): strings.Repeat("a", 64) + "@" + label + "." + label + "." + strings.Repeat("b", 61),
		strings.Repeat("a", 64) + "@" + label + "." + label + "." + strings.Repeat("b", 62): "",
		strings.Repeat("a", 65) + "@example.com":                                            "",
		"":                                                                                  "",
		"ann":                                                                               "",
		"@example.com":                                                                      "",
		"ann@":                                                                              "",
		"ann@localhost":                                                                     "",
		"ann@-example.com":                                                                  "",
		"ann@example..com":                                                                  "",
		"ann@exa mple.com":                                                                  "",
		"ann@example.com\nbcc: x@y.z":                                                       "",
		"ann\x00@example.com":                                                               "",
		"ann@b@example.com":                                                                 "",
		"änn@example.com":                                                                   "",
		"K@example.com":                                                                     "k@example.com",
		"\u212A@example.com":                                                                "", // the Kelvin sign, whose lower case is the letter k
	}
	for raw, want := range tests {
		got, err := domain.ParseEmail(raw)
		switch {
		case want == "" && apperr.KindOf(err) != apperr.Invalid:
			t.Errorf("ParseEmail(%q) = %q, error %v; want it refused", raw, got, err)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("ParseEmail(%q) = %q, error %v; want %q", raw, got, err, want)
		}
	}
}

func FuzzParseEmail(f *testing.F) {
	for _, seed := range []string{"ann@example.com", " A@B.CO ", "@", "a@b", "\u212A@x.y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		email, err := domain.ParseEmail(raw)
		if err != nil {
			return
		}
		again, err := domain.ParseEmail(email.String())
		if err != nil || again != email {
			t.Errorf("%q was normalised to %q, and that to %q (error %v)", raw, email, again, err)
		}
		if s := email.String(); len(s) > 254 || strings.ToLower(s) != s || strings.Count(s, "@") != 1 {
			t.Errorf("%q was accepted as %q", raw, s)
		}
	})
}
