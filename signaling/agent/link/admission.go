package link

import "net/netip"

// forbidden is what no agent sends to: metadata services answer whoever can reach them; the other ranges are this host,
// its links, IPv4 addresses in disguise (RFC 6052, 3056, 4380, 2765, 4291), or of the registries of special-purpose
// addresses (RFC 6890), where no peer can be: documentation, benchmarks, protocol assignments, anycast services, and what
// is reserved.
//
// Private addresses (RFC 1918, RFC 4193, and the shared ones of RFC 6598) are not among them: the peers of a small
// team's server and of an edge box are on its own LAN or VPN, and what goes there is a paced check of ICE or traffic
// that the peer has consented to.
var forbidden = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
	"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

// unicast is what of IPv6 is neither reserved nor of a scope or translation of its own: global and unique local addresses
// (RFC 4291 section 2.4, RFC 4193). So 64:ff9b::/96, 100::/64, 5f00::/16, fe80::/10 and the like are forbidden, too.
var unicast = prefixes("2000::/3", "fc00::/7")

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// Admit is the rule of where agents may send: not to loopback, link-local, multicast, metadata, tunnel or special-purpose
// addresses, unless the address is in one of the allowed prefixes; to port 0 never.
func Admit(allowed ...netip.Prefix) func(netip.AddrPort) bool {
	return func(to netip.AddrPort) bool {
		address := to.Addr().WithZone("").Unmap()
		if !address.IsValid() || to.Port() == 0 {
			return false
		}
		return contains(allowed, address) || !contains(forbidden, address) && (address.Is4() || contains(unicast, address))
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
