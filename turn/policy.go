package turn

import (
	"net/netip"
	"slices"
)

// Reason is why a peer was admitted or denied; it is a log value and a metric label.
type Reason string

// Reasons for admitting a peer.
const (
	ReasonGlobal    Reason = "global"
	ReasonLiveRelay Reason = "live-relay"
	ReasonMux       Reason = "ice-mux"
	ReasonAllowed   Reason = "allow-list"
)

// Reasons for denying a peer.
const (
	ReasonInvalid       Reason = "invalid"
	ReasonPort          Reason = "port"
	ReasonUnspecified   Reason = "unspecified"
	ReasonLoopback      Reason = "loopback"
	ReasonLinkLocal     Reason = "link-local"
	ReasonMetadata      Reason = "metadata"
	ReasonMulticast     Reason = "multicast"
	ReasonTunnel        Reason = "tunnel"
	ReasonPrivate       Reason = "private"
	ReasonShared        Reason = "shared"
	ReasonDocumentation Reason = "documentation"
	ReasonReserved      Reason = "reserved"
	ReasonNotGlobal     Reason = "not-global"
	ReasonDenied        Reason = "deny-list"
	ReasonOwnHost       Reason = "own-host"
)

// Verdict is a decision on one peer.
type Verdict struct {
	Allowed bool
	Reason  Reason
}

// Policy decides which peers a relay may exchange packets with. It is immutable and pure.
type Policy struct {
	allow, deny []netip.Prefix
	// own holds what belongs to this host and its network's plumbing; nothing lifts it.
	own map[netip.Addr]struct{}
	// relays are the announced relay addresses, mux our own ICE sockets: the two exceptions, by address and port.
	relays []netip.Addr
	mux    map[netip.AddrPort]struct{}
}

// NewPolicy returns the policy of a server whose relays are announced at the given addresses. own lists the host's
// dynamic denials; see [HostAddrs].
func NewPolicy(relays []netip.Addr, mux []netip.AddrPort, allow, deny []netip.Prefix, own []netip.Addr) *Policy {
	p := &Policy{
		own: make(map[netip.Addr]struct{}, len(own)),
		mux: make(map[netip.AddrPort]struct{}, len(mux)),
	}
	for _, relay := range relays {
		p.relays = append(p.relays, relay.Unmap())
	}
	for _, prefix := range allow {
		p.allow = append(p.allow, canonicalPrefix(prefix))
	}
	for _, prefix := range deny {
		p.deny = append(p.deny, canonicalPrefix(prefix))
	}
	for _, addr := range own {
		literal, _ := canonical(addr)
		p.own[literal] = struct{}{}
	}
	for _, ap := range mux {
		p.mux[canonicalPort(ap)] = struct{}{}
	}
	return p
}

// Judge decides on one packet's peer. live tells whether an address and port is the relay of a live allocation of
// ours. Only the exact canonical address meets an exception, never one of its other encodings.
func (p *Policy) Judge(peer netip.AddrPort, live func(netip.AddrPort) bool) Verdict {
	if !peer.Addr().IsValid() {
		return Verdict{Reason: ReasonInvalid}
	}
	peer = canonicalPort(peer)
	if peer.Port() == 0 {
		return Verdict{Reason: ReasonPort}
	}
	if _, ok := p.mux[peer]; ok {
		return Verdict{Allowed: true, Reason: ReasonMux}
	}
	if slices.Contains(p.relays, peer.Addr()) && live(peer) {
		return Verdict{Allowed: true, Reason: ReasonLiveRelay}
	}
	if peer.Port() < 1024 && peer.Port() != 443 {
		return Verdict{Reason: ReasonPort}
	}
	return p.judgeForms(peer.Addr())
}

// JudgeIP decides at the permission stage, where the port is not known yet. An address that only an exception can
// admit passes here; [Policy.Judge] then holds each packet to the exception's port.
func (p *Policy) JudgeIP(addr netip.Addr) Verdict {
	if !addr.IsValid() {
		return Verdict{Reason: ReasonInvalid}
	}
	literal, _ := canonical(addr)
	if slices.Contains(p.relays, literal) {
		return Verdict{Allowed: true, Reason: ReasonLiveRelay}
	}
	for mux := range p.mux {
		if mux.Addr() == literal {
			return Verdict{Allowed: true, Reason: ReasonMux}
		}
	}
	return p.judgeForms(addr)
}

// judgeForms admits an address when every address that it may stand for is admitted.
func (p *Policy) judgeForms(addr netip.Addr) Verdict {
	literal, embedded := canonical(addr)
	verdict := p.judgeAddr(literal)
	if verdict.Allowed && embedded.IsValid() {
		return p.judgeAddr(embedded)
	}
	return verdict
}

// judgeAddr holds one canonical address against the lists: what nothing lifts, what the operator denies, what the
// operator allows, and then the special-purpose registries.
func (p *Policy) judgeAddr(addr netip.Addr) Verdict {
	if reason, ok := find(unliftable, addr); ok {
		return Verdict{Reason: reason}
	}
	if _, ok := p.own[addr]; ok {
		return Verdict{Reason: ReasonOwnHost}
	}
	contains := func(prefix netip.Prefix) bool { return prefix.Contains(addr) }
	if slices.ContainsFunc(p.deny, contains) {
		return Verdict{Reason: ReasonDenied}
	}
	if slices.ContainsFunc(p.allow, contains) {
		return Verdict{Allowed: true, Reason: ReasonAllowed}
	}
	if reason, ok := find(liftable, addr); ok {
		return Verdict{Reason: reason}
	}
	if addr.Is6() && !globalIPv6.Contains(addr) {
		return Verdict{Reason: ReasonNotGlobal}
	}
	return Verdict{Allowed: true, Reason: ReasonGlobal}
}

func find(rules []rule, addr netip.Addr) (Reason, bool) {
	for _, r := range rules {
		if r.prefix.Contains(addr) {
			return r.reason, true
		}
	}
	return "", false
}
