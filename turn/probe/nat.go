package probe

import (
	"fmt"
	"net/netip"
)

// NAT is what stands between this machine and the servers, as far as it can be seen over UDP.
type NAT struct {
	Local string `json:"local"`
	// Mapped are the addresses under which servers see one and the same socket, by server.
	Mapped map[string]string `json:"mapped"`
	// Translated tells that they see another address than the socket's own.
	Translated bool `json:"translated"`
	// Mapping is "none", "same" for one mapping towards all servers, "differs" where it depends on the server (peers
	// then cannot use what STUN says), or "unknown" where servers of one IP address only answered: the mapping may depend
	// on the address (RFC 4787 section 4.1).
	Mapping string `json:"mapping"`
	// Filtering is told where a server has a second address that answers (RFC 5780): "open" where it may answer from there unasked,
	// "restricted" where it may not, else empty.
	Filtering string `json:"filtering,omitempty"`
	// Hairpin tells, where it was asked for, whether a packet to the own mapped address comes back.
	Hairpin *bool `json:"hairpin,omitempty"`
	// Words says what follows from that.
	Words string `json:"words"`
}

// The values of NAT.Mapping and NAT.Filtering.
const (
	mappingNone    = "none"
	mappingSame    = "same"
	mappingDiffers = "differs"
	mappingUnknown = "unknown"

	filteringOpen       = "open"
	filteringRestricted = "restricted"
)

// seen is one server's view of a socket.
type seen struct {
	server netip.AddrPort
	mapped netip.AddrPort
}

// judgeNAT is a function of what the servers said of a socket on a local address. It is pure.
func judgeNAT(local netip.AddrPort, views []seen) *NAT {
	n := &NAT{Local: local.String(), Mapped: map[string]string{}, Mapping: mappingUnknown}
	mappings, servers := map[netip.AddrPort]struct{}{}, map[netip.Addr]struct{}{}
	for _, v := range views {
		n.Mapped[v.server.String()] = v.mapped.String()
		n.Translated = n.Translated || v.mapped != local
		mappings[v.mapped], servers[v.server.Addr()] = struct{}{}, struct{}{}
	}
	switch {
	case len(mappings) == 0:
	case !n.Translated:
		n.Mapping = mappingNone
	case len(mappings) > 1:
		n.Mapping = mappingDiffers
	case len(servers) > 1:
		n.Mapping = mappingSame
	}
	n.Words = n.words(views)
	return n
}

func (n *NAT) words(views []seen) string {
	switch n.Mapping {
	case mappingNone:
		return "no address translation between here and the servers"
	case mappingSame:
		return "translated, with one mapping towards all servers: direct connections usually work"
	case mappingDiffers:
		return "translated, with another mapping for each server: direct connections often fail, have a TURN server"
	}
	if len(views) == 0 {
		return "no server told an address"
	}
	return fmt.Sprintf("translated to %v; name a second server at another address to see whether the mapping stays the same", views[0].mapped)
}
