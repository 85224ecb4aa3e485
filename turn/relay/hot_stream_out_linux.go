package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// What goes to a stream is gathered behind what is being sent, of which there is one request at a time, and leaves with
// the next: frames are never cut by one another. A request completes as it is submitted, with what the connection took
// at once. For the rest there is another, which the kernel carries out when the connection takes more.

// takesMore tells whether a packet of a peer is to be put behind what is to be sent.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) takesMore(index, length uint32) bool {
	s := &m.sockets[index%maxSockets]
	return !s.broken && s.outEnd-s.outStart <= lossyFill && length <= writeBytes
}

// append puts a frame behind what is to be sent. The caller has made sure that it fits.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) append(index uint32, frame unsafe.Pointer, length uint32) {
	s := &m.sockets[index%maxSockets]
	copyWords(unsafe.Pointer(&s.buffers.out[s.outEnd%streamOutBytes]), frame, uintptr(length))
	s.outEnd += length
	m.needsFlush(index)
}

// writeStream has a write of Go's leave.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) writeStream(index uint32, c *command) {
	s := &m.sockets[index%maxSockets]
	switch fill := s.outEnd - s.outStart; {
	case s.broken:
	case c.lossy && fill > lossyFill:
		m.loop.counters.Drops.SlowClient++
		if relay := &m.sockets[(s.owned-1)%maxSockets]; s.owned != 0 && relay.listener == index {
			relay.drops.SlowClient++
		}
	case fill+c.length > mostFill:
		m.loop.counters.SocketFull++
	default:
		m.append(index, unsafe.Pointer(&m.writes[m.loop.commandHead%commandSlots]), c.length)
		m.loop.counters.ToClients++
		m.loop.counters.ToClientBytes += uint64(c.length)
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) needsFlush(index uint32) {
	if s := &m.sockets[index%maxSockets]; !s.toFlush {
		s.toFlush = true
		m.toFlush[m.loop.flushes%maxSockets] = index
		m.loop.flushes++
	}
}

// flushStreams has the kernel send and receive. It comes behind the datagrams of a round.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) flushStreams() {
	for i := uint32(0); i < m.loop.flushes; i++ {
		index := m.toFlush[i%maxSockets]
		s := &m.sockets[index%maxSockets]
		s.toFlush = false
		if s.kind != kindStream || s.state != stateOpen { // As in cut.
			continue
		}
		if !s.sending && s.outStart != s.outEnd {
			m.sendOut(index, s)
		}
		if !s.reading && !s.toCut && s.ending == 0 && s.started {
			m.readOn(index, s)
		}
	}
	m.loop.flushes = 0
}

// sendOut has the kernel send what there is.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sendOut(index uint32, s *socket) {
	e := m.next()
	clearSQE(e)
	e.Opcode, e.FD, e.Len, e.OpFlags = kernel.OpSend, s.fd, s.outEnd-s.outStart, unix.MSG_NOSIGNAL
	e.Addr = uint64(uintptr(unsafe.Pointer(&s.buffers.out[s.outStart%streamOutBytes])))
	e.UserData = userData(index, s.generation) | toStream
	if !s.blocked {
		e.OpFlags |= unix.MSG_DONTWAIT
		m.loop.answers++
	}
	s.sending = true
}

// sentToStream takes the outcome of a send.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sentToStream(c *kernel.CQE) {
	index := uint32(c.UserData) % toStream % maxSockets
	s := &m.sockets[index]
	if c.UserData != userData(index, s.generation)|toStream {
		return
	}
	s.sending, s.blocked = false, false
	switch {
	case c.Res >= 0:
		s.outStart += uint32(c.Res)
		s.blocked = s.outStart != s.outEnd
	case c.Res == -int32(unix.EAGAIN):
		s.blocked = true
	case c.Res != -int32(unix.EINTR):
		s.broken, s.outStart = true, s.outEnd
	}
	m.compact(s)
	if s.state != stateOpen {
		m.letGoOf(index)
	} else if s.outEnd != 0 {
		m.needsFlush(index)
	}
}

// compact keeps room behind what is to be sent. Nothing is being sent.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) compact(s *socket) {
	fill := s.outEnd - s.outStart
	if fill != 0 && s.outStart < compactFrom {
		return
	}
	copyWords(unsafe.Pointer(&s.buffers.out), unsafe.Pointer(&s.buffers.out[s.outStart%streamOutBytes]), uintptr(fill))
	s.outStart, s.outEnd = 0, fill
}

// readOn has the kernel receive behind what is there, which goes to the other buffer where there is little room.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) readOn(index uint32, s *socket) {
	have := s.inEnd - s.inStart
	switch {
	case have == 0:
		s.inStart, s.inEnd = 0, 0
	case streamInBytes-s.inEnd < MaxFrameBytes:
		from := s.received()
		s.part++
		s.inStart, s.inEnd = 0, have
		copyWords(s.received(), from, uintptr(have))
	}
	e := m.next()
	clearSQE(e)
	e.Opcode, e.FD, e.Len = opRecv, s.fd, streamInBytes-s.inEnd
	e.Addr = uint64(uintptr(unsafe.Pointer(&s.buffers.in[s.part%2][s.inEnd%streamInBytes])))
	e.UserData = userData(index, s.generation)
	if !s.hasMore {
		e.IOPrio = pollFirst
	}
	s.reading = true
}
