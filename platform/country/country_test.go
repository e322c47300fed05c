package country_test

import (
	"strings"
	"testing"

	"shop.example/platform/country"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	// One of each kind: a country, a territory, an uninhabited one, the newest.
	for _, code := range []string{"DE", "AX", "BV", "SS"} {
		if !country.Known(code) {
			t.Errorf("%s is not known", code)
		}
	}
	// Small letters, a reserved code, one that is withdrawn, one for users, three letters, none, and what stands between two.
	for _, code := range []string{"de", "UK", "AN", "XX", "DEU", "", " ", "DE AT", "ZZ"} {
		if country.Known(code) {
			t.Errorf("%q is known", code)
		}
	}
	known := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if country.Known(string(a) + string(b)) {
				known++
			}
		}
	}
	if known != 249 {
		t.Errorf("%d codes are known, want the 249 of ISO 3166-1", known)
	}
}

func TestPostalCode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		country, raw, want string
		ok                 bool
	}{
		{"DE", "50667", "50667", true},
		{"DE", " 50667\t", "50667", true},
		{"DE", "5066", "5066", false},
		{"DE", "506677", "506677", false},
		{"DE", "50667\n50667", "50667 50667", false},
		{"DE", "٥٠٦٦٧", "٥٠٦٦٧", false}, // digits, but none that a sorting machine reads
		{"DE", "", "", false},
		{"GB", "sw1a  1aa", "SW1A 1AA", true},
		{"GB", "M11AE", "M11AE", true},
		{"GB", "gir 0aa", "GIR 0AA", true},
		{"GB", "BFPO 12", "BFPO 12", true},
		{"GB", "SW1A", "SW1A", false},
		{"GB", "50667", "50667", false},
		{"US", "20500", "20500", true},
		{"US", "20500-0003", "20500-0003", true},
		{"US", "20500-", "20500-", false},
		{"CA", "k1a 0b1", "K1A 0B1", true},
		{"CA", "D1A 0B1", "D1A 0B1", false}, // no code begins with D
		{"NL", "1012ab", "1012AB", true},
		{"NL", "0012 AB", "0012 AB", false},
		{"CH", "8001", "8001", true},
		{"CH", "80010", "80010", false},
		{"JP", "100-0001", "100-0001", true},
		{"IE", "d6w xy00", "D6W XY00", true},
		{"SE", "111 22", "111 22", true},
		{"PL", "00-001", "00-001", true},
		{"LV", "lv-1010", "LV-1010", true},
		{"MT", "VLT 1117", "VLT 1117", true},
		{"HK", "", "", true},
		{"HK", "999077", "999077", true},
		{"AE", "p.o. box  5", "P.O. BOX 5", true},
		{"AE", strings.Repeat("ä", 20), strings.Repeat("Ä", 20), true},
		{"AE", strings.Repeat("ä", 21), strings.Repeat("Ä", 21), false},
		{"ZZ", "1", "1", true},
	} {
		got, ok := country.PostalCode(tc.country, tc.raw)
		if got != tc.want || ok != tc.ok {
			t.Errorf("PostalCode(%s, %q) = %q, %v; want %q, %v", tc.country, tc.raw, got, ok, tc.want, tc.ok)
		}
	}
}

// Every form belongs to a country, knows its own example as it is, and refuses what is none.
func TestPostalCodeExamples(t *testing.T) {
	t.Parallel()
	forms := 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string(a) + string(b)
			example := country.PostalCodeExample(code)
			if example == "" {
				continue
			}
			forms++
			if !country.Known(code) {
				t.Errorf("%s has postal codes and is no country", code)
			}
			if got, ok := country.PostalCode(code, example); !ok || got != example {
				t.Errorf("PostalCode(%s, %q) = %q, %v", code, example, got, ok)
			}
			for _, wrong := range []string{"", "?", example + "0", "0" + example + "00000", example[:len(example)-1]} {
				if got, ok := country.PostalCode(code, wrong); ok {
					t.Errorf("PostalCode(%s, %q) = %q, true", code, wrong, got)
				}
			}
		}
	}
	// The EU and the EEA are complete: nobody there has no postal code.
	for code := range strings.FieldsSeq("AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO") {
		if country.PostalCodeExample(code) == "" {
			t.Errorf("%s has no form", code)
		}
	}
	if forms < 40 {
		t.Errorf("%d forms", forms)
	}
}
