package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// packet is one datagram where it was received.
type packet struct {
	socket  uint32
	from    endpoint
	nameLen uint32
	// local is the address of ours that the packet came to, for a listener on a wildcard address, and controlLen the
	// length of what the kernel told of it; see readLocal. Zero otherwise.
	local      endpoint
	controlLen uint32
	payload    unsafe.Pointer
	length     uint32
}

// name is the sender's sockaddr and control what the kernel told of the receiver; both lie before the payload.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (p *packet) name() unsafe.Pointer { return unsafe.Add(p.payload, outBytes-payloadAt) }

//go:nosplit
//go:norace
//go:nocheckptr
func (p *packet) control() unsafe.Pointer { return unsafe.Add(p.payload, controlAt-payloadAt) }

// readName decodes a sockaddr.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (p *packet) readName() {
	name := p.name()
	p.from.port = half(name, 2)
	if *(*uint16)(name) == unix.AF_INET {
		p.from.hi, p.from.lo, p.nameLen = 0, mapped|uint64(word(name, 4)), unix.SizeofSockaddrInet4
		return
	}
	p.from.hi = uint64(word(name, 8))<<32 | uint64(word(name, 12))
	p.from.lo = uint64(word(name, 16))<<32 | uint64(word(name, 20))
	p.nameLen = unix.SizeofSockaddrInet6
}

// take handles one packet.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) take(p *packet) {
	p.readName()
	m.loop.counters.Packets++
	if m.sockets[p.socket%maxSockets].kind == kindRelay {
		m.fromPeer(p)
		return
	}
	p.readLocal()
	if p.length < channelHeader {
		m.garbage(p)
		return
	}
	switch first := *(*uint8)(p.payload); {
	case first >= 0x40 && first < 0x80:
		m.fromChannel(p)
	case first < 0x04 && p.length >= stunHeader && word(p.payload, 4) == magicCookie:
		m.stun(p)
	default:
		m.garbage(p)
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) garbage(p *packet) {
	m.clientPacket(p)
	m.loop.counters.Garbage++
}

// clientPacket counts a packet of a client that Go does not see.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) clientPacket(p *packet) {
	m.loop.counters.FromClients++
	m.loop.counters.FromClientBytes += uint64(p.length)
}

// stun answers a plain Binding request and an Allocate without credentials, relays a plain Send indication, and leaves the
// rest to Go.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) stun(p *packet) {
	switch half(p.payload, 0) {
	case bindingRequest:
		if m.bindingRequest(p) {
			return
		}
	case allocateRequest:
		if m.challengeRequest(p) {
			return
		}
	case sendIndication:
		if m.sendIndication(p) {
			return
		}
	}
	m.handUp(p)
}
