package clientip

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
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

// What a client says of itself in any other way does not count either.
func TestOnlyXForwardedForOfProxiesCounts(t *testing.T) {
	t.Parallel()
	proxies := NewResolver([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for _, peer := range []string{"10.0.0.1", "9.9.9.9"} {
		r := &http.Request{RemoteAddr: peer + ":1", Header: http.Header{}}
		for _, name := range []string{"Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip"} {
			r.Header.Set(name, "1.2.3.4")
		}
		r.Header.Set("Forwarded", "for=1.2.3.4;proto=https")
		if got := proxies.Of(r).String(); got != peer {
			t.Errorf("%s became %s", peer, got)
		}
		if proxies.Secure(r) {
			t.Error("Forwarded is believed")
		}
	}
}

func TestSecure(t *testing.T) {
	t.Parallel()
	proxies := NewResolver([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for name, c := range map[string]struct {
		peer, proto string
		tls         *tls.ConnectionState
		want        bool
	}{
		"plain":                     {"9.9.9.9:1", "", nil, false},
		"a stranger's word":         {"9.9.9.9:1", "https", nil, false},
		"a proxy's word":            {"10.0.0.1:1", "https", nil, true},
		"a proxy that got it plain": {"10.0.0.1:1", "http", nil, false},
		"a proxy of two words":      {"10.0.0.1:1", "https, http", nil, false},
		"TLS ends here":             {"9.9.9.9:1", "", &tls.ConnectionState{}, true},
	} {
		r := &http.Request{RemoteAddr: c.peer, TLS: c.tls, Header: http.Header{"X-Forwarded-Proto": {c.proto}}}
		if got := proxies.Secure(r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNetworksFromText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                          "[]",
		" 10.0.0.0/8 , fd00::/8,":   "[10.0.0.0/8 fd00::/8]",
		"10.1.2.3/8":                "[10.0.0.0/8]",
		"192.0.2.7,2001:db8::1":     "[192.0.2.7/32 2001:db8::1/128]",
		"everybody":                 `"everybody" is not a network such as 10.0.0.0/8 or fd00::/8, nor an address`,
		"10.0.0.0/33":               `"10.0.0.0/33" is not a network such as 10.0.0.0/8 or fd00::/8, nor an address`,
		"fe80::1%eth0":              `"fe80::1%eth0" is not a network such as 10.0.0.0/8 or fd00::/8, nor an address`,
		"0.0.0.0/0,::/0":            "\"0.0.0.0/0\" is everybody: anyone could then claim to be anyone\n\"::/0\" is everybody: anyone could then claim to be anyone",
		"::ffff:10.0.0.0/104":       `"::ffff:10.0.0.0/104" must be written as a network of IPv4`,
		"10.0.0.0/8 192.168.0.0/16": `"10.0.0.0/8 192.168.0.0/16" is not a network such as 10.0.0.0/8 or fd00::/8, nor an address`,
	} {
		var n Networks
		err := n.UnmarshalText([]byte(text))
		got := fmt.Sprint([]netip.Prefix(n))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := Network(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s is of %s, want %s", address, got, want)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is of %s", got)
	}
}

// FuzzOf: whatever the field holds, the result is the peer or an address that stands in the field, and a stranger's field
// changes nothing.
func FuzzOf(f *testing.F) {
	for _, seed := range []string{"", "1.2.3.4", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4:80", "[2001:db8::1]:80", "::ffff:10.0.0.1", "fe80::1%eth0", "unknown, _x", ",,,", "1.2.3.4,\x00"} {
		f.Add(seed)
	}
	proxies := NewResolver([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, field string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {field}}}
		got := proxies.Of(r)
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q: %v", field, got)
		}
		if got.String() != "10.0.0.1" {
			found := false
			for hop := range strings.SplitSeq(field, ",") {
				address, err := parseHop(strings.TrimSpace(hop))
				found = found || err == nil && address == got
			}
			if !found {
				t.Fatalf("%v does not stand in %q", got, field)
			}
		}
		r.RemoteAddr = "9.9.9.9:1"
		if got := proxies.Of(r).String(); got != "9.9.9.9" {
			t.Fatalf("a stranger became %s by %q", got, field)
		}
	})
}
