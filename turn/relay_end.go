package turn

import (
	"net/netip"
	"sync/atomic"

	"tourbillon/turn/relay"
)

// Address families and the transport as RFC 8656 writes them (18.8: REQUESTED-ADDRESS-FAMILY, 18.9: REQUESTED-TRANSPORT).
const (
	familyIPv4  byte = 1
	familyIPv6  byte = 2
	protocolUDP byte = 17
)

func familyOfAddr(addr netip.Addr) byte {
	if addr.Unmap().Is4() {
		return familyIPv4
	}
	return familyIPv6
}

// relayAddress is one address that relays are announced at, with the local address that they bind.
type relayAddress struct{ announce, bind netip.Addr }

// relayEnd is the relays of one address family.
type relayEnd struct {
	family  byte
	network string
	bind    netip.Addr
	first   uint16
	// announce changes when the outside address of a 1:1 NAT does.
	announce atomic.Pointer[netip.Addr]
	// live has a slot for each port of the range. The packets of relays that talk to one another look here, so it is read
	// without a lock.
	live []atomic.Pointer[relayConn]
	// plane, if there is one, is told which ports are live in set.
	plane *relay.Plane
	set   int
}

func newRelayEnd(a relayAddress, first uint16, ports int) *relayEnd {
	e := &relayEnd{
		family: familyOfAddr(a.bind), network: "udp4", bind: a.bind, first: first,
		live: make([]atomic.Pointer[relayConn], ports),
	}
	if e.family == familyIPv6 {
		e.network = "udp6"
	}
	e.announce.Store(&a.announce)
	return e
}

// announced is the address that clients are given.
func (e *relayEnd) announced() netip.Addr { return *e.announce.Load() }

// slot is the place of a port of the range.
func (e *relayEnd) slot(port uint16) *atomic.Pointer[relayConn] { return &e.live[port-e.first] }

// conn is the live relay at a port, nil where there is none.
func (e *relayEnd) conn(port uint16) *relayConn {
	if port < e.first || int(port-e.first) >= len(e.live) {
		return nil
	}
	return e.slot(port).Load()
}

// enter puts a relay among the live ones.
func (e *relayEnd) enter(c *relayConn) {
	e.slot(c.port).Store(c)
	if e.plane != nil {
		e.plane.Live(e.set, c.port, true)
	}
}

// forget takes a relay off the live ones. Its port is still bound, so that no other can have taken it.
func (e *relayEnd) forget(c *relayConn) {
	if e.slot(c.port).CompareAndSwap(c, nil) && e.plane != nil {
		e.plane.Live(e.set, c.port, false)
	}
}
