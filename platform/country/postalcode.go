package country

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxPostalCodeLength is in characters. The longest codes have ten (US, with the last four digits); it leaves room for
// those of countries whose form is not known here.
const MaxPostalCodeLength = 20

// postalCodes are the forms of countries where every address has a postal code and its form is fixed, each with an example.
// Source: the address data that Google publishes with libaddressinput, and Eircode's alphabet for IE. A separator that is in
// the written form and that people leave out is optional. Space and capitals are put right before.
//
// All others are free: those where a postal code is in use here and there or has changed its form lately, and these, which
// have none: AE AG AO AQ AW BF BI BJ BO BQ BS BV BW BZ CD CF CG CI CK CM CW DJ DM ER FJ GA GD GH GM GQ GY HK JM KI KM KN KP LC
// LY ML MO MR MS MW NR NU PA PS QA RW SB SC SL SR SS ST SX SY TD TF TG TK TL TO TT TV UG VU WS YE ZW.
var postalCodes = map[string]struct{ form, example string }{
	"AD": {`(AD)?\d{3}`, "AD500"},
	"AT": {`[1-9]\d{3}`, "1010"},
	"AU": {`\d{4}`, "2000"},
	"AX": {`22\d{3}`, "22100"},
	"BE": {`[1-9]\d{3}`, "1000"},
	"BG": {`[1-9]\d{3}`, "1000"},
	"BR": {`\d{5}-?\d{3}`, "01310-100"},
	"CA": {`[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d`, "K1A 0B1"},
	"CH": {`[1-9]\d{3}`, "3000"},
	"CN": {`\d{6}`, "100000"},
	"CY": {`\d{4}`, "1010"},
	"CZ": {`\d{3} ?\d{2}`, "110 00"},
	"DE": {`\d{5}`, "10115"},
	"DK": {`\d{4}`, "1050"},
	"EE": {`\d{5}`, "10111"},
	"ES": {`\d{5}`, "28001"},
	"FI": {`\d{5}`, "00100"},
	"FO": {`\d{3}`, "100"},
	"FR": {`\d{2} ?\d{3}`, "75001"},
	"GB": {`(GIR ?0AA|BFPO ?\d{1,4}|[A-Z]{1,2}\d[\dA-Z]? ?\d[A-Z]{2})`, "SW1A 1AA"},
	"GG": {`GY\d{1,2} ?\d[A-Z]{2}`, "GY1 1AA"},
	"GR": {`\d{3} ?\d{2}`, "105 57"},
	"HR": {`\d{5}`, "10000"},
	"HU": {`\d{4}`, "1051"},
	"IE": {`[AC-FHKNPRTV-Y](\d{2}|6W) ?[\dAC-FHKNPRTV-Y]{4}`, "D02 X285"},
	"IM": {`IM\d{1,2} ?\d[A-Z]{2}`, "IM1 1AA"},
	"IN": {`[1-9]\d{2} ?\d{3}`, "110001"},
	"IS": {`\d{3}`, "101"},
	"IT": {`\d{5}`, "00118"},
	"JE": {`JE\d{1,2} ?\d[A-Z]{2}`, "JE2 3AB"},
	"JP": {`\d{3}-?\d{4}`, "100-0001"},
	"KR": {`\d{5}`, "04524"},
	"LI": {`94[89]\d`, "9490"},
	"LT": {`(LT-)?\d{5}`, "LT-01100"},
	"LU": {`(L-)?\d{4}`, "1009"},
	"LV": {`(LV-)?\d{4}`, "LV-1010"},
	"MC": {`980\d{2}`, "98000"},
	"MT": {`[A-Z]{3} ?\d{4}`, "VLT 1117"},
	"MX": {`\d{5}`, "06000"},
	"NL": {`[1-9]\d{3} ?[A-Z]{2}`, "1012 AB"},
	"NO": {`\d{4}`, "0150"},
	"NZ": {`\d{4}`, "6011"},
	"PL": {`\d{2}-?\d{3}`, "00-001"},
	"PT": {`[1-9]\d{3}-?\d{3}`, "1100-148"},
	"RO": {`\d{6}`, "010011"},
	"SE": {`[1-9]\d{2} ?\d{2}`, "111 22"},
	"SG": {`\d{6}`, "018956"},
	"SI": {`[1-9]\d{3}`, "1000"},
	"SK": {`\d{3} ?\d{2}`, "811 01"},
	"SM": {`4789\d`, "47890"},
	"TR": {`\d{5}`, "06100"},
	"UA": {`\d{5}`, "01001"},
	"US": {`\d{5}([ -]\d{4})?`, "20500"},
	"VA": {`00120`, "00120"},
	"ZA": {`\d{4}`, "8001"},
}

var postalForms = func() map[string]*regexp.Regexp {
	forms := make(map[string]*regexp.Regexp, len(postalCodes))
	for code, c := range postalCodes {
		forms[code] = regexp.MustCompile(`^(?:` + c.form + `)$`)
	}
	return forms
}()

// PostalCode returns a postal code in capitals, with single spaces inside and none around, and whether it has the form of
// the country's. Where none is known, also for a country that is none, every text of up to 20 characters will do, and none.
func PostalCode(country, raw string) (code string, ok bool) {
	code = strings.ToUpper(strings.Join(strings.Fields(raw), " "))
	if form, known := postalForms[country]; known {
		return code, form.MatchString(code)
	}
	return code, utf8.RuneCountInString(code) <= MaxPostalCodeLength
}

// PostalCodeExample returns a postal code of a country, to show how one is written there; empty where no form is known.
func PostalCodeExample(country string) string { return postalCodes[country].example }
