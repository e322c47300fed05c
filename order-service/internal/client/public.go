package client

import (
	"net/netip"
	"slices"
)

// What is not the internet although it looks like it, by IANA's registries of special-purpose addresses. Of IPv6 only 2000::/3
// is given out at all, so the forms of IPv4 in IPv6 (::ffff:0:0/96, 64:ff9b::/96) and all local ones are outside of it.
var (
	unicastIPv6 = netip.MustParsePrefix("2000::/3")
	special     = func(all ...string) (prefixes []netip.Prefix) {
		for _, p := range all {
			prefixes = append(prefixes, netip.MustParsePrefix(p))
		}
		return prefixes
	}(
		"0.0.0.0/8",       // this network
		"10.0.0.0/8",      // private
		"100.64.0.0/10",   // carriers' networks
		"127.0.0.0/8",     // loopback
		"169.254.0.0/16",  // link-local, where clouds tell their machines secrets
		"172.16.0.0/12",   // private
		"192.0.0.0/24",    // protocols
		"192.0.2.0/24",    // documentation
		"192.88.99.0/24",  // 6to4 relays
		"192.168.0.0/16",  // private
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"224.0.0.0/4",     // multicast
		"240.0.0.0/4",     // reserved, and broadcast
		"2001::/23",       // protocols, Teredo among them, which holds an IPv4 address
		"2001:db8::/32",   // documentation
		"2002::/16",       // 6to4, which holds an IPv4 address
		"3fff::/20",       // documentation
	)
)

// public reports whether an address is one of the internet's. An IPv4 address in IPv6's clothes is what it is.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Zone() != "" || addr.Is6() && !unicastIPv6.Contains(addr) {
		return false
	}
	return addr.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}
