package turn

import "net/netip"

// embedding is one way to write an IPv4 address inside an IPv6 one.
type embedding struct {
	prefix netip.Prefix
	// at is the index of the first of the four bytes; inverted means that they are stored as their complement.
	at       int
	inverted bool
}

// embeddings lists every encoding but the v4-mapped one, which netip's Unmap undoes: the mapped form is how Go itself
// often holds ordinary IPv4, so it is the IPv4 address and not a second form of it.
var embeddings = []embedding{
	{prefix: netip.MustParsePrefix("::/96"), at: 12},                     // v4-compatible, RFC 4291 2.5.5.1
	{prefix: netip.MustParsePrefix("::ffff:0:0:0/96"), at: 12},           // SIIT, RFC 2765 2.1
	{prefix: netip.MustParsePrefix("64:ff9b::/96"), at: 12},              // NAT64, RFC 6052 2.1
	{prefix: netip.MustParsePrefix("2002::/16"), at: 2},                  // 6to4, RFC 3056 2
	{prefix: netip.MustParsePrefix("2001::/32"), at: 12, inverted: true}, // Teredo client, RFC 4380 4
}

// canonical strips the zone, undoes the v4-mapped form and finds an embedded IPv4 address. A peer is admitted only if
// both the literal and the embedded address are; embedded is the zero Addr where there is none.
func canonical(addr netip.Addr) (literal, embedded netip.Addr) {
	literal = addr.WithZone("").Unmap()
	if !literal.Is6() || literal.IsUnspecified() || literal.IsLoopback() {
		return literal, netip.Addr{}
	}
	for _, e := range embeddings {
		if e.prefix.Contains(literal) {
			return literal, e.extract(literal)
		}
	}
	return literal, netip.Addr{}
}

func (e embedding) extract(addr netip.Addr) netip.Addr {
	bytes := addr.As16()
	var v4 [4]byte
	copy(v4[:], bytes[e.at:])
	if e.inverted {
		for i := range v4 {
			v4[i] = ^v4[i]
		}
	}
	return netip.AddrFrom4(v4)
}

// canonicalPort is an address and port with the address in its literal form.
func canonicalPort(peer netip.AddrPort) netip.AddrPort {
	literal := peer.Addr().WithZone("").Unmap()
	return netip.AddrPortFrom(literal, peer.Port())
}

// canonicalPrefix turns a prefix of the v4-mapped range into the IPv4 prefix that it means, since netip never matches
// a mapped prefix with an IPv4 address: an operator's rule would then silently do nothing.
func canonicalPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}
