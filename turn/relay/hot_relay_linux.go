package relay

import (
	"sync/atomic"
	"unsafe"
)

// fromChannel relays ChannelData to the channel's peer. What it reports is what handUp does.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) fromChannel(p *packet) (done bool) {
	length := uint32(half(p.payload, 2))
	if length+channelHeader > p.length {
		m.garbage(p)
		return true
	}
	at := m.findChannel(p.socket, &p.from, &p.local, half(p.payload, 0))
	if at == 0 {
		if m.findClient(p.socket, &p.from, &p.local) == 0 {
			return m.stranger(p)
		}
		return m.handUp(p)
	}
	f := &m.flows[(at-1)%maxFlows]
	if !m.isLive(f) {
		return m.handUp(p)
	}
	m.clientPacket(p)
	m.toPeer(f, unsafe.Add(p.payload, channelHeader), length)
	return true
}

// stranger drops ChannelData or a Send indication of a client without an allocation.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) stranger(p *packet) (done bool) {
	m.clientPacket(p)
	m.loop.counters.Strangers++
	return true
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
	streaming := m.sockets[s.listener%maxSockets].kind == kindStream
	if streaming && !m.takesMore(s.listener, p.length) { // Before the ceilings: what is lost takes nothing of them.
		s.drops.SlowClient++
		m.loop.counters.Drops.SlowClient++
		return
	}
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
	if streaming { // RFC 8656 12.5: padded to four bytes. The buffer has room for that.
		*(*uint32)(unsafe.Add(start, uintptr(length))) = 0
		length = (length + 3) &^ 3
		m.append(s.listener, start, length)
	}
	m.loop.counters.ToClients++
	m.loop.counters.ToClientBytes += uint64(length)
	if streaming {
		return
	}
	o := m.send(s.listener, p.socket, start, length, &s.name, s.nameLen)
	o.control, o.controlLen = uint64(uintptr(unsafe.Pointer(&s.control))), s.controlLen
}
