// Package clientip finds out which address a request comes from, without believing what the client says of itself.
package clientip

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Resolver knows the proxies whose word on X-Forwarded-For counts.
type Resolver struct{ trusted []netip.Prefix }

// NewResolver returns a resolver that believes X-Forwarded-For from peers in the trusted networks only. Without any, the
// header is ignored. The Forwarded field (RFC 7239) is never looked at: a proxy that does not know it would pass on what the
// client made up.
func NewResolver(trusted []netip.Prefix) Resolver { return Resolver{trusted} }

// Peer is the IP address in a RemoteAddr of net or net/http, the zero Addr if there is none.
func Peer(remoteAddr string) netip.Addr {
	peer, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}

// Of returns the client's address: that of the peer or, if the peer is a trusted proxy, the right-most address in
// X-Forwarded-For that is not a trusted proxy itself. Everything left of that one may be made up. The result is the zero
// Addr only if the peer has no IP address.
func (rs Resolver) Of(r *http.Request) netip.Addr {
	client := Peer(r.RemoteAddr)
	if !rs.Trusts(client) {
		return client
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		address, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			return client // what stands left of nonsense can't be trusted either
		}
		client = address
		if !rs.Trusts(client) {
			return client
		}
	}
	return client
}

// parseHop reads an address as proxies write it: some add the port.
func parseHop(hop string) (netip.Addr, error) {
	address, err := netip.ParseAddr(hop)
	if err != nil {
		withPort, portErr := netip.ParseAddrPort(hop)
		if portErr != nil {
			return netip.Addr{}, err
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), nil
}

// Secure reports whether the client speaks TLS: to us, or to the trusted proxy that says so. What an untrusted peer says does
// not count.
func (rs Resolver) Secure(r *http.Request) bool {
	return r.TLS != nil || rs.Trusts(Peer(r.RemoteAddr)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// Trusts reports whether an address is of a trusted proxy.
func (rs Resolver) Trusts(address netip.Addr) bool {
	return slices.ContainsFunc(rs.trusted, func(p netip.Prefix) bool { return p.Contains(address) })
}
