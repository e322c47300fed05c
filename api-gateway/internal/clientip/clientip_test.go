package clientip

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	proxies := NewResolver([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")})
	for name, c := range map[string]struct {
		resolver Resolver
		peer     string
		header   []string
		want     string
	}{
		"no proxies at all":           {NewResolver(nil), "10.0.0.1:1", []string{"1.2.3.4"}, "10.0.0.1"},
		"a stranger's header":         {proxies, "9.9.9.9:1", []string{"1.2.3.4"}, "9.9.9.9"},
		"behind a proxy":              {proxies, "10.0.0.1:1", []string{"1.2.3.4"}, "1.2.3.4"},
		"behind two":                  {proxies, "10.0.0.1:1", []string{"1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		"made up on the left":         {proxies, "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"},
		"made up in a field before":   {proxies, "10.0.0.1:1", []string{"6.6.6.6", "1.2.3.4"}, "1.2.3.4"},
		"nonsense":                    {proxies, "10.0.0.1:1", []string{"1.2.3.4, nonsense"}, "10.0.0.1"},
		"nonsense beyond the client":  {proxies, "10.0.0.1:1", []string{"nonsense, 1.2.3.4"}, "1.2.3.4"},
		"no header":                   {proxies, "10.0.0.1:1", nil, "10.0.0.1"},
		"proxies all the way":         {proxies, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"with a port":                 {proxies, "10.0.0.1:1", []string{"1.2.3.4:5678"}, "1.2.3.4"},
		"IPv6":                        {proxies, "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		"an IPv4 address as IPv6":     {proxies, "[::ffff:10.0.0.1]:1", []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
		"an address of no IP network": {proxies, "@", []string{"1.2.3.4"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.header}}
		if got := c.resolver.Of(r).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}
