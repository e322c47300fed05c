package domain_test

import (
	"strings"
	"testing"

	"shop.example/platform/apperr"

	"shop.example/user-service/internal/domain"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	accepted := map[string]string{
		" Ann ":                  "Ann",
		"李":                      "李",
		"O'Neil-Žižek, Jr.":      "O'Neil-Žižek, Jr.",
		strings.Repeat("ä", 200): strings.Repeat("ä", 200),
		"نور\u200cالدین":         "نور\u200cالدین",
	}
	for raw, want := range accepted {
		if got, err := domain.ParseName(raw); err != nil || got != want {
			t.Errorf("ParseName(%q) = %q, error %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "  ", strings.Repeat("ä", 201), "a\x00b", "a\nb", "a\u2028b", "\u202Enna", "a\xffb",
		"\u200B", "\u200B\u200D\uFEFF", "\u00A0\u2060", "\u00AD", "\u3164", "\u2800", "\u0301", "\uFE0F",
	} {
		if _, err := domain.ParseName(raw); apperr.KindOf(err) != apperr.Invalid {
			t.Errorf("ParseName(%q): error %v, want it refused", raw, err)
		}
	}
}

func TestNewDevice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		agent, ip string
		want      domain.Device
	}{
		{"Phone/1.0", "192.0.2.7", domain.Device{UserAgent: "Phone/1.0", IP: "192.0.2.7"}},
		{"a\x00b\r\nc", "::ffff:192.0.2.7", domain.Device{UserAgent: "abc", IP: "192.0.2.7"}},
		{strings.Repeat("ä", 300), "nonsense", domain.Device{UserAgent: strings.Repeat("ä", 256)}},
		{"a\xff", "fe80::1%eth0", domain.Device{UserAgent: "a", IP: "fe80::1"}},
	}
	for _, tt := range tests {
		if got := domain.NewDevice(tt.agent, tt.ip); got != tt.want {
			t.Errorf("NewDevice(%q, %q) = %+v, want %+v", tt.agent, tt.ip, got, tt.want)
		}
	}
}
