package link

import "net/netip"

// forbidden is what no agent sends to: metadata services answer whoever can reach them, and the other ranges are this
// host, its links, or IPv4 addresses in disguise (RFC 6890; RFC 6052, 3056, 4380, 2765, 4291).
var forbidden = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
	"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16",
	"fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128", "fd20:ce::254/128",
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// Admit is the rule of where agents may send: not to loopback, link-local, multicast, metadata or tunnel addresses, nor
// to port 0, unless the address is in one of the allowed prefixes.
func Admit(allowed ...netip.Prefix) func(netip.AddrPort) bool {
	return func(to netip.AddrPort) bool {
		address := to.Addr().WithZone("").Unmap()
		if !address.IsValid() || to.Port() == 0 {
			return false
		}
		return contains(allowed, address) || !contains(forbidden, address)
	}
}

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(address) {
			return true
		}
	}
	return false
}
