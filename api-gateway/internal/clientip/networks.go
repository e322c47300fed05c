package clientip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Networks are read from a list as an operator writes it: 10.0.0.0/8,fd00::/8 and, for one machine, 10.0.0.1.
type Networks []netip.Prefix

// UnmarshalText tells all mistakes at once.
func (n *Networks) UnmarshalText(text []byte) error {
	var (
		networks Networks
		faults   []error
	)
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		network, err := parseNetwork(item)
		faults = append(faults, err)
		networks = append(networks, network)
	}
	*n = networks
	return errors.Join(faults...)
}

func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		address, addressErr := netip.ParseAddr(text)
		if addressErr != nil || address.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not a network such as 10.0.0.0/8 or fd00::/8, nor an address", text)
		}
		network = netip.PrefixFrom(address, address.BitLen())
	}
	switch {
	case network.Addr().Is4In6(): // no address is ever held against it: they are unmapped first
		return netip.Prefix{}, fmt.Errorf("%q must be written as a network of IPv4", text)
	case network.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%q is everybody: anyone could then claim to be anyone", text)
	}
	return network.Masked(), nil
}

// Network is what counts as one client among those who did not sign in: one IPv4 address, or the /64 that an IPv6 customer
// is given and can choose 2^64 addresses from.
func Network(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: one client like any other
	}
	return network
}
