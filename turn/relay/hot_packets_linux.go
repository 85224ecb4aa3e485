package relay

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packet is one datagram where it was received.
type packet struct {
	socket  uint32
	from    endpoint
	nameLen uint32
	name    *[nameBytes]byte // the sender's sockaddr, right before the payload
	payload unsafe.Pointer
	length  uint32
}

// word and the functions after it read and write the payload in network order.
//
//go:nosplit
//go:norace
//go:nocheckptr
func half(p unsafe.Pointer, at uintptr) uint16 {
	return bits.ReverseBytes16(*(*uint16)(unsafe.Add(p, at)))
}

//go:nosplit
//go:norace
//go:nocheckptr
func word(p unsafe.Pointer, at uintptr) uint32 {
	return bits.ReverseBytes32(*(*uint32)(unsafe.Add(p, at)))
}

//go:nosplit
//go:norace
//go:nocheckptr
func putHalf(p unsafe.Pointer, at uintptr, v uint16) {
	*(*uint16)(unsafe.Add(p, at)) = bits.ReverseBytes16(v)
}

//go:nosplit
//go:norace
//go:nocheckptr
func putWord(p unsafe.Pointer, at uintptr, v uint32) {
	*(*uint32)(unsafe.Add(p, at)) = bits.ReverseBytes32(v)
}

// readName decodes a sockaddr.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (p *packet) readName() {
	name := unsafe.Pointer(p.name)
	p.from.port = half(name, 2)
	if *(*uint16)(name) == unix.AF_INET {
		p.from.hi, p.from.lo, p.nameLen = 0, mapped|uint64(word(name, 4)), unix.SizeofSockaddrInet4
		return
	}
	p.from.hi = uint64(word(name, 8))<<32 | uint64(word(name, 12))
	p.from.lo = uint64(word(name, 16))<<32 | uint64(word(name, 20))
	p.nameLen = unix.SizeofSockaddrInet6
}

// STUN and ChannelData (RFC 8489 5, RFC 8656 12.4).
const (
	stunHeader     = 20
	channelHeader  = 4
	magicCookie    = 0x2112A442
	bindingRequest = 0x0001
	bindingSuccess = 0x0101
	sendIndication = 0x0016
	dataIndication = 0x0017
	attrPeer       = 0x0012 // XOR-PEER-ADDRESS
	attrData       = 0x0013
	attrMapped     = 0x0020 // XOR-MAPPED-ADDRESS
	familyIPv4     = 1
	familyIPv6     = 2
)

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

// fromChannel relays ChannelData to the channel's peer.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) fromChannel(p *packet) {
	length := uint32(half(p.payload, 2))
	if length+channelHeader > p.length {
		m.garbage(p)
		return
	}
	at := m.findChannel(p.socket, &p.from, half(p.payload, 0))
	if at == 0 {
		m.stranger(p)
		return
	}
	f := &m.flows[(at-1)%maxFlows]
	if !m.isLive(f) {
		m.handUp(p)
		return
	}
	m.clientPacket(p)
	m.toPeer(f, unsafe.Add(p.payload, channelHeader), length)
}

// stranger passes a packet on to Go if its sender has an allocation.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) stranger(p *packet) {
	if m.findClient(p.socket, &p.from) == 0 {
		m.clientPacket(p)
		m.loop.counters.Strangers++
		return
	}
	m.handUp(p)
}

// toPeer sends data to a flow's peer.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) toPeer(f *flow, data unsafe.Pointer, length uint32) {
	s := &m.sockets[f.relay%maxSockets]
	if !m.admit(s, &s.upPackets, &s.upBytes, length) {
		return
	}
	atomic.StoreUint64(&s.toPeers.packets, s.toPeers.packets+1)
	atomic.StoreUint64(&s.toPeers.bytes, s.toPeers.bytes+uint64(length))
	m.send(f.relay, f.relay, data, length, &f.name, f.nameLen)
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) isLive(f *flow) bool {
	return f.livePort == 0 || atomic.LoadUint32(&m.loop.shared.live[f.liveSet%livenessSets][f.livePort]) != 0
}

// fromPeer relays a peer's packet to the client, as ChannelData or as a Data indication.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) fromPeer(p *packet) {
	at := m.findPeer(p.socket, &p.from)
	if at == 0 || !m.isLive(&m.flows[(at-1)%maxFlows]) {
		m.handUp(p)
		return
	}
	f, s := &m.flows[(at-1)%maxFlows], &m.sockets[p.socket%maxSockets]
	if !m.admit(s, &s.downPackets, &s.downBytes, p.length) {
		return
	}
	atomic.StoreUint64(&s.fromPeers.packets, s.fromPeers.packets+1)
	atomic.StoreUint64(&s.fromPeers.bytes, s.fromPeers.bytes+uint64(p.length))
	start, length := unsafe.Add(p.payload, -channelHeader), p.length+channelHeader
	if f.channel != 0 {
		putHalf(start, 0, f.channel)
		putHalf(start, 2, uint16(p.length))
	} else {
		start, length = m.indicate(f, p)
	}
	m.loop.counters.ToClients++
	m.loop.counters.ToClientBytes += uint64(length)
	m.send(s.listener, p.socket, start, length, &s.name, s.nameLen)
}

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

// writeAddress writes the value of an XOR address attribute (RFC 8489 14.2) of a message.
//
//go:nosplit
//go:norace
//go:nocheckptr
func writeAddress(value unsafe.Pointer, e *endpoint, message unsafe.Pointer) {
	putHalf(value, 2, e.port^magicCookie>>16)
	if e.hi == 0 && e.lo>>32 == 0xffff {
		putHalf(value, 0, familyIPv4)
		putWord(value, 4, uint32(e.lo)^magicCookie)
		return
	}
	putHalf(value, 0, familyIPv6)
	putWord(value, 4, uint32(e.hi>>32)^magicCookie)
	putWord(value, 8, uint32(e.hi)^word(message, 8))
	putWord(value, 12, uint32(e.lo>>32)^word(message, 12))
	putWord(value, 16, uint32(e.lo)^word(message, 16))
}

// readAddress reads the value of an XOR address attribute of a message; ok is false for a family that does not exist.
//
//go:nosplit
//go:norace
//go:nocheckptr
func readAddress(value unsafe.Pointer, length uint16, message unsafe.Pointer, e *endpoint) (ok bool) {
	if length < 8 {
		return false
	}
	e.port = half(value, 2) ^ magicCookie>>16
	switch family := half(value, 0) & 0xff; {
	case family == familyIPv4 && length == 8:
		e.hi, e.lo = 0, mapped|uint64(word(value, 4)^magicCookie)
		return true
	case family == familyIPv6 && length == 20:
		e.hi = uint64(word(value, 4)^magicCookie)<<32 | uint64(word(value, 8)^word(message, 8))
		e.lo = uint64(word(value, 12)^word(message, 12))<<32 | uint64(word(value, 16)^word(message, 16))
		return true
	}
	return false
}

// stun answers a bare Binding request, relays a plain Send indication, and leaves the rest to Go.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) stun(p *packet) {
	switch half(p.payload, 0) {
	case bindingRequest:
		if p.length == stunHeader {
			m.binding(p)
			return
		}
	case sendIndication:
		if m.sendIndication(p) {
			return
		}
	}
	m.handUp(p)
}

// sendIndication relays the data of a Send indication (RFC 8656 11.2) that has nothing beside peer and data, in either
// order, and whose peer has a flow.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sendIndication(p *packet) (done bool) {
	end := uintptr(stunHeader) + uintptr(half(p.payload, 2))
	if end != uintptr(p.length) {
		return false
	}
	var peer endpoint
	var data unsafe.Pointer
	length := uint32(0)
	for at := uintptr(stunHeader); at+4 <= end; {
		kind, size := half(p.payload, at), half(p.payload, at+2)
		value := unsafe.Add(p.payload, at+4)
		at += 4 + (uintptr(size)+3)&^3
		switch {
		case at > end:
			return false
		case kind == attrPeer && peer.port == 0:
			if !readAddress(value, size, p.payload, &peer) {
				return false
			}
		case kind == attrData && data == nil:
			data, length = value, uint32(size)
		default:
			return false
		}
	}
	relay := m.findClient(p.socket, &p.from)
	if relay == 0 || data == nil || peer.port == 0 {
		return false
	}
	at := m.findAnnounced(relay-1, &peer)
	if at == 0 || !m.isLive(&m.flows[(at-1)%maxFlows]) {
		return false
	}
	m.clientPacket(p)
	m.toPeer(&m.flows[(at-1)%maxFlows], data, length)
	return true
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

// binding answers a Binding request that has no attributes (RFC 8489 6.3.1).
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) binding(p *packet) {
	m.clientPacket(p)
	if !m.admitBinding(&p.from) {
		m.loop.counters.ThrottledBindings++
		return
	}
	size := uint16(8)
	if p.from.hi != 0 || p.from.lo>>32 != 0xffff {
		size = 20
	}
	putHalf(p.payload, 0, bindingSuccess)
	putHalf(p.payload, 2, 4+size)
	putHalf(p.payload, stunHeader, attrMapped)
	putHalf(p.payload, stunHeader+2, size)
	writeAddress(unsafe.Add(p.payload, stunHeader+4), &p.from, p.payload)
	m.loop.counters.Bindings++
	m.loop.counters.ToClients++
	m.loop.counters.ToClientBytes += uint64(stunHeader + 4 + size)
	m.send(p.socket, p.socket, p.payload, uint32(stunHeader+4+size), p.name, p.nameLen)
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) admitBinding(from *endpoint) bool {
	b := &m.loop.bindings
	if b.cost == 0 {
		return true
	}
	source := endpoint{hi: from.hi}
	if from.hi == 0 {
		source.lo = from.lo
	}
	full := &b.full[m.loop.hash(&source, 1)%bindingBuckets]
	now := m.readClock()
	start := max(*full, now)
	if start+b.cost-now > b.burst {
		return false
	}
	*full = start + b.cost
	return true
}

// readClock reads the clock once in a round.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) readClock() uint64 {
	if m.loop.now == 0 {
		m.loop.now = uint64(nanotime())
	}
	return m.loop.now
}

// ceilingBurst is how much of a second's rate a ceiling lets through at once, in ns.
const ceilingBurst = 250e6

// admit holds a packet against the ceilings of its direction and of the plane, and takes from all or from none.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) admit(s *socket, packets, bytes *bucket, length uint32) bool {
	if packets.cost|bytes.cost|m.loop.shared.bandwidth.cost == 0 {
		return true
	}
	now := m.readClock()
	packet, byteCost := packets.cost>>10, bytes.cost*uint64(length)>>10
	switch {
	case !packets.room(now, packet):
		s.drops.PacketRate++
		m.loop.counters.Drops.PacketRate++
		return false
	case !bytes.room(now, byteCost):
		s.drops.Bandwidth++
		m.loop.counters.Drops.Bandwidth++
		return false
	case !m.draw(now, int64(length)):
		s.drops.Server++
		m.loop.counters.Drops.Server++
		return false
	}
	packets.full, bytes.full = max(packets.full, now)+packet, max(bytes.full, now)+byteCost
	return true
}

// room tells whether a bucket has what costs so many ns. What costs more than a whole bucket passes when it is full.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (b *bucket) room(now, cost uint64) bool {
	start := max(b.full, now)
	return b.cost == 0 || start == now || start+cost-now <= ceilingBurst
}

// shareBytes is how much a loop draws at once from the ceiling of the whole plane.
const shareBytes = 16 << 10

// draw takes bytes from the ceiling of the whole plane.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) draw(now uint64, length int64) bool {
	b := &m.loop.shared.bandwidth
	if b.cost == 0 {
		return true
	}
	if m.loop.drawn < length {
		for {
			full := atomic.LoadUint64(&b.full)
			start, cost := max(full, now), b.cost*shareBytes>>10
			if start > now && start+cost-now > ceilingBurst {
				return false
			}
			if atomic.CompareAndSwapUint64(&b.full, full, start+cost) {
				break
			}
		}
		m.loop.drawn += shareBytes
	}
	m.loop.drawn -= length
	return true
}

// handUp copies a packet into a queue to Go.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) handUp(p *packet) {
	sink := m.sockets[p.socket%maxSockets].sink % maxSinks
	r := &m.up[sink]
	if r.head-atomic.LoadUint32(&r.tail) >= upSlots {
		m.loop.counters.QueueFull++
		return
	}
	e := &r.entries[r.head%upSlots]
	e.socket, e.generation, e.from, e.length = p.socket, m.sockets[p.socket%maxSockets].generation, p.from, p.length
	copyWords(unsafe.Pointer(&e.payload), p.payload, uintptr(p.length))
	atomic.StoreUint32(&r.head, r.head+1)
	m.loop.signal |= 1 << sink
}

// copyWords copies eight bytes at a time and may copy up to seven more than asked for; both sides have room.
//
//go:nosplit
//go:norace
//go:nocheckptr
func copyWords(to, from unsafe.Pointer, n uintptr) {
	for at := uintptr(0); at < n; at += 8 {
		*(*uint64)(unsafe.Add(to, at)) = *(*uint64)(unsafe.Add(from, at))
	}
}

// wakeGo writes to the eventfd of each sink that got something and whose reader sleeps.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) wakeGo() {
	for ; m.loop.signal != 0; m.loop.signal &= m.loop.signal - 1 {
		sink := uint32(bits.TrailingZeros32(m.loop.signal)) % maxSinks
		if atomic.SwapUint32(&m.up[sink].waiting, 0) != 0 {
			one := uint64(1)
			_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(m.loop.upFD[sink]), uintptr(unsafe.Pointer(&one)), 8)
		}
	}
}
