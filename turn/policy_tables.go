package turn

import "net/netip"

// rule denies one prefix for one reason.
type rule struct {
	prefix netip.Prefix
	reason Reason
}

func deny(reason Reason, prefixes ...string) []rule {
	rules := make([]rule, 0, len(prefixes))
	for _, p := range prefixes {
		rules = append(rules, rule{netip.MustParsePrefix(p), reason})
	}
	return rules
}

func join(groups ...[]rule) []rule {
	var all []rule
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// unliftable is what no allow list opens. Metadata services answer whoever can reach them; tunnels (RFC 8656 21.1.7)
// carry a second packet that nobody here judges.
var unliftable = join(
	deny(ReasonUnspecified, "0.0.0.0/8", "::/128"),
	deny(ReasonLoopback, "127.0.0.0/8", "::1/128"),
	deny(ReasonLinkLocal, "169.254.0.0/16", "fe80::/10", "fec0::/10"),
	deny(ReasonMetadata, "168.63.129.16/32", "fd00:ec2::254/128", "fd20:ce::254/128"),
	deny(ReasonMulticast, "224.0.0.0/4", "255.255.255.255/32", "ff00::/8"),
	deny(ReasonTunnel, "2001::/32", "2002::/16"),
)

// liftable is the rest of the special-purpose space (IANA registries, RFC 6890), which an operator may open for a LAN.
var liftable = join(
	deny(ReasonPrivate, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
	deny(ReasonShared, "100.64.0.0/10"),
	deny(ReasonDocumentation, "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
	deny(ReasonReserved,
		"192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15",
		"240.0.0.0/4", "2001::/23", "2620:4f:8000::/48"),
)

// globalIPv6 is the only part of IPv6 that is unicast over the Internet (RFC 4291 2.4).
var globalIPv6 = netip.MustParsePrefix("2000::/3")
