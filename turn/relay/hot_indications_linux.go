package relay

import "unsafe"

// indicate writes the header of a Data indication before the payload (RFC 8656 11.4). Its transaction id need not be
// unpredictable: nothing answers it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) indicate(f *flow, p *packet) (start unsafe.Pointer, length uint32) {
	size := uintptr(8) // of the address attribute's value
	if f.announced.hi != 0 || f.announced.lo>>32 != 0xffff {
		size = 20
	}
	header := stunHeader + 4 + size + 4
	start = unsafe.Add(p.payload, -int(header))
	padded := (p.length + 3) &^ 3
	*(*uint32)(unsafe.Add(p.payload, uintptr(p.length))) = 0
	putHalf(start, 0, dataIndication)
	putHalf(start, 2, uint16(header-stunHeader)+uint16(padded))
	putWord(start, 4, magicCookie)
	m.loop.kicks++
	id := m.loop.kicks*0x9E3779B97F4A7C15 ^ m.loop.seed[1]
	putWord(start, 8, uint32(id>>32))
	putWord(start, 12, uint32(id))
	putWord(start, 16, uint32(m.loop.seed[2]))
	putHalf(start, stunHeader, attrPeer)
	putHalf(start, stunHeader+2, uint16(size))
	writeAddress(unsafe.Add(start, stunHeader+4), &f.announced, start)
	putHalf(start, header-4, attrData)
	putHalf(start, header-2, uint16(p.length))
	return start, uint32(header) + padded
}

// sendIndication relays the data of a Send indication (RFC 8656 11.2) that has nothing beside peer and data, in either
// order, and whose peer has a flow. One of a stranger ends here.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sendIndication(p *packet) (done bool) {
	var peer endpoint
	data, length := readSend(p, &peer)
	if data == nil || peer.port == 0 {
		return false
	}
	relay := m.findClient(p.socket, &p.from, &p.local)
	if relay == 0 {
		return m.stranger(p)
	}
	at := m.findAnnounced(relay-1, &peer)
	if at == 0 || !m.isLive(&m.flows[(at-1)%maxFlows]) {
		return false
	}
	m.clientPacket(p)
	m.toPeer(&m.flows[(at-1)%maxFlows], data, length)
	return true
}

// readSend reads the peer and the data of a Send indication. data is nil for one with anything else in it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func readSend(p *packet, peer *endpoint) (data unsafe.Pointer, length uint32) {
	end := uintptr(stunHeader) + uintptr(half(p.payload, 2))
	if end != uintptr(p.length) {
		return nil, 0
	}
	for at := uintptr(stunHeader); at+4 <= end; {
		kind, size := half(p.payload, at), half(p.payload, at+2)
		value := unsafe.Add(p.payload, at+4)
		at += 4 + (uintptr(size)+3)&^3
		switch {
		case at > end:
			return nil, 0
		case kind == attrPeer && peer.port == 0:
			if !readAddress(value, size, p.payload, peer) {
				return nil, 0
			}
		case kind == attrData && data == nil:
			data, length = value, uint32(size)
		default:
			return nil, 0
		}
	}
	return data, length
}

// findAnnounced finds a relay's flow by the peer's address as clients know it. It differs from that on the wire only for
// relays of ours behind 1:1 NAT, which go the slow way.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) findAnnounced(relay uint32, peer *endpoint) uint32 {
	at := m.findPeer(relay, peer)
	if at != 0 && m.flows[(at-1)%maxFlows].announced != *peer {
		return 0
	}
	return at
}
