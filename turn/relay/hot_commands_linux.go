package relay

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// obey carries out the commands that have been given. It comes before the packets of a round, so that what was
// commanded before a packet was sent is in force when the packet is looked at.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) obey() {
	for tail := atomic.LoadUint32(&m.loop.commandTail); m.loop.commandHead != tail; {
		m.carryOut(&m.commands[m.loop.commandHead%commandSlots])
		atomic.StoreUint32(&m.loop.commandHead, m.loop.commandHead+1)
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) carryOut(c *command) {
	switch c.op {
	case commandAddSocket:
		m.addSocket(c.socket)
	case commandRemoveSocket:
		if m.sockets[c.socket%maxSockets].kind == kindStream {
			m.removeStream(c.socket)
			return
		}
		m.removeSocket(c.socket)
	case commandAttach:
		m.attach(c.socket, &c.entry)
	case commandSetFlow:
		m.setFlow(c.socket, &c.flow)
	case commandRemovePeer, commandRemoveFlows:
		m.removeFlows(c.socket, &c.flow.peer, c.op)
	case commandStop:
		m.loop.stopped = true
	case commandStart:
		m.startStream(c.socket)
	case commandWrite:
		m.writeStream(c.socket, c)
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) addSocket(index uint32) {
	m.loop.top = max(m.loop.top, index+1)
	if m.sockets[index%maxSockets].kind == kindStream { // It is read from commandStart on.
		return
	}
	m.sockets[index%maxSockets].started = true
	if m.loop.uring {
		m.armReceive(index)
		return
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)}
	_, _, _ = unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(m.loop.epollFD), unix.EPOLL_CTL_ADD,
		uintptr(m.sockets[index%maxSockets].fd), uintptr(unsafe.Pointer(&event)), 0, 0)
}

// removeSocket begins to end a socket. With io_uring the entry is free when the last completion has come.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) removeSocket(index uint32) {
	s := &m.sockets[index%maxSockets]
	m.removeFlows(index, nil, commandRemoveFlows)
	m.detach(index)
	atomic.StoreUint32(&s.state, stateClosing)
	if m.loop.uring {
		m.cancel(index)
		return
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(m.loop.epollFD), unix.EPOLL_CTL_DEL, uintptr(s.fd), 0, 0, 0)
	m.freed(index)
}

// freed gives the entry back to Go. What rearm goes by is cleared before: Go's next writing of the entry is no one store.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) freed(index uint32) {
	m.sockets[index%maxSockets].started = false
	atomic.StoreUint32(&m.sockets[index%maxSockets].state, stateFreed)
	m.letGo[m.loop.freed%maxSockets] = index
	atomic.StoreUint32(&m.loop.freed, m.loop.freed+1)
	if atomic.LoadUint32(&m.loop.awake) == 0 { // Otherwise somebody looks after its packet.
		m.loop.signal |= 1 << sinkRelays
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) attach(index uint32, entry *socket) {
	s := &m.sockets[index%maxSockets]
	to := &m.sockets[entry.listener%maxSockets]
	if atomic.LoadUint32(&s.state) != stateOpen ||
		to.kind == kindStream && (to.generation != entry.generation || atomic.LoadUint32(&to.state) != stateOpen) {
		return
	}
	m.detach(index)
	s.listener, s.client, s.name, s.nameLen, s.attached = entry.listener, entry.client, entry.name, entry.nameLen, 1
	s.local, s.control, s.controlLen = entry.local, entry.control, entry.controlLen
	s.upPackets.cost, s.upBytes.cost = entry.upPackets.cost, entry.upBytes.cost
	s.downPackets.cost, s.downBytes.cost = entry.downPackets.cost, entry.downBytes.cost
	// An older relay of the same client gives way: it is about to end.
	for old := m.findClient(s.listener, &s.client, &s.local); old != 0; old = m.findClient(s.listener, &s.client, &s.local) {
		m.removeFlows(old-1, nil, commandRemoveFlows)
		m.detach(old - 1)
	}
	s.attached = 1
	if to.kind == kindStream {
		to.owned = index + 1
	}
	insert(&m.clients, m.loop.hash(&s.client, channelOwner(s.listener, &s.local, 0)), index)
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) detach(index uint32) {
	s := &m.sockets[index%maxSockets]
	if s.attached != 0 {
		s.attached = 0
		remove(&m.clients, m.loop.hash(&s.client, channelOwner(s.listener, &s.local, 0)), index)
	}
}

// setFlow enters a flow in place of what the relay had for that peer.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) setFlow(index uint32, wanted *flow) {
	s := &m.sockets[index%maxSockets]
	if s.attached == 0 {
		return
	}
	m.removeFlows(index, &wanted.peer, commandRemovePeer)
	at := m.loop.freeFlow
	switch {
	case at != 0:
		m.loop.freeFlow = m.flows[(at-1)%maxFlows].next
	case m.loop.flowTop < maxFlows:
		m.loop.flowTop++
		at = m.loop.flowTop
	default:
		return // Packets of this peer go the slow way.
	}
	f := &m.flows[(at-1)%maxFlows]
	*f = *wanted
	f.relay, f.next = index, s.firstFlow
	s.firstFlow, s.flows = at, s.flows+1
	insert(&m.byPeer, m.loop.hash(&f.peer, uint64(index)), at-1)
	if f.channel != 0 {
		insert(&m.byClient, m.loop.hash(&s.client, channelOwner(s.listener, &s.local, f.channel)), at-1)
	}
}

// removeFlows takes out all flows of a relay, or the one to a peer.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) removeFlows(index uint32, peer *endpoint, op uint32) {
	s := &m.sockets[index%maxSockets]
	link := &s.firstFlow
	for *link != 0 {
		at := *link
		f := &m.flows[(at-1)%maxFlows]
		if op == commandRemovePeer && f.peer != *peer {
			link = &f.next
			continue
		}
		*link = f.next
		s.flows--
		remove(&m.byPeer, m.loop.hash(&f.peer, uint64(index)), at-1)
		if f.channel != 0 {
			remove(&m.byClient, m.loop.hash(&s.client, channelOwner(s.listener, &s.local, f.channel)), at-1)
		}
		f.next, m.loop.freeFlow = m.loop.freeFlow, at
	}
}
