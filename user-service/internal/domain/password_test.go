package domain

import (
	"strings"
	"testing"
	"unicode/utf8"

	"shop.example/platform/apperr"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	email, err := ParseEmail("ann.example@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{
		"kettle-omnibus", "Grün ist 1 Farbe", strings.Repeat("ab", 64), strings.Repeat("äb", 64), strings.Repeat("a\u0308b", 64), "e\u0301e\u0301e\u0301e\u0301x\u200dyz\u0323\u0301w", "ｋｅｔｔｌｅ-omnibus", "    x  y    ",
	} {
		if err := CheckPassword("password", good, email, "Ann von Example"); err != nil {
			t.Errorf("CheckPassword(%q): %v, want it accepted", good, err)
		}
	}
	for name, bad := range map[string]string{
		"empty":               "",
		"seven characters":    "kettle-",
		"seven in 14 bytes":   "äöüäöüß",
		"129 characters":      strings.Repeat("a", 128) + "b",
		"common":              "password",
		"common, in capital":  "PassWord123",
		"common, in spaces":   " qwertyuiop ",
		"one character":       "zzzzzzzzzzzzzzzz",
		"blanks":              "          ",
		"the address":         "Ann.Example@example.com",
		"the local part":      "ann.example",
		"the name":            "ann von EXAMPLE",
		"wide letters":        "ｐａｓｓｗｏｒｄ１２３",
		"an invisible end":    "password123\u200b",
		"an invisible middle": "pass\u00adword\ufe0f\u3164\x00123",
		"four of two each":    "e\u0301e\u0301e\u0301e\u0301",
		"four, and nothing":   "a\u200bb\u200bc\u200bd\u200b",
		"long by its form":    strings.Repeat("\ufdfa", 8) + "x",
		"the wide name":       "Ａｎｎ von Ｅｘａｍｐｌｅ",
		"not UTF-8":           "kettle\xff\xfeomnibus",
	} {
		err := CheckPassword("new_password", bad, email, "Ann von Example")
		e := apperr.From(err)
		if e == nil || e.Kind != apperr.Invalid || len(e.Violations) != 1 || e.Violations[0].Location != "new_password" {
			t.Errorf("%s: error %v, want a violation at new_password", name, err)
			continue
		}
		if len(bad) > 3 && strings.Contains(strings.ToLower(e.Error()+e.Violations[0].Message), strings.ToLower(bad)) && name != "common" {
			t.Errorf("%s: the error repeats the password: %v", name, err)
		}
	}
}

// The list is worth its place only if each line can be met: long enough, and in the form in which it is looked up.
func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	if got := len(commonPasswords); got < 1000 {
		t.Errorf("%d common passwords, want at least 1000", got)
	}
	for p := range commonPasswords {
		if utf8.RuneCountInString(p) < minPasswordLength || p != strings.ToLower(strings.TrimSpace(p)) {
			t.Errorf("%q can never match", p)
		}
	}
	for _, p := range []string{"password", "12345678", "123456789", "qwertyuiop", "iloveyou", "sunshine", "trustno1", "baseball", "1q2w3e4r", "password1"} {
		if !commonPasswords[p] {
			t.Errorf("%q is not in the list", p)
		}
	}
}
