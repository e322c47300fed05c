package domain

import (
	"net/netip"
	"strings"
)

// maxUserAgentLength keeps the useful front of a user agent; the rest is noise.
const maxUserAgentLength = 256

// Device is where a session was used last, for its owner to recognise it. Nothing is decided by it: a client can claim
// what it likes.
type Device struct {
	UserAgent string
	// IP is an address in its canonical form, or empty.
	IP string
}

// NewDevice keeps what is fit for storage and for a page. It has no error: a strange user agent is no reason to refuse a
// customer.
func NewDevice(userAgent, ip string) Device {
	agent := strings.Map(func(r rune) rune {
		if isUnprintable(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(userAgent, ""))
	if runes := []rune(agent); len(runes) > maxUserAgentLength {
		agent = string(runes[:maxUserAgentLength])
	}
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return Device{UserAgent: agent}
	}
	return Device{UserAgent: agent, IP: address.Unmap().WithZone("").String()}
}
