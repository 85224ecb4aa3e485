package relay

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// A stream has one request to receive in the kernel, or none while something waits to be cut into frames: what Go or the
// client cannot take is left to TCP. Frames are served where they were received, and the sends of a round are submitted
// before the request that may write over them.

// Why a stream has ended.
const (
	endEOF     = 1 + iota // The client has ended it, or it has failed.
	endGarbage            // It carries something else.
)

// startStream begins to serve a stream with what Go has read of it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) startStream(index uint32) {
	m.sockets[index%maxSockets].started = true
	m.needsCut(index)
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) needsCut(index uint32) {
	if s := &m.sockets[index%maxSockets]; !s.toCut {
		s.toCut = true
		m.toCut[m.loop.cuts%maxSockets] = index
		m.loop.cuts++
	}
}

// readFromStream takes what has been received, or the end.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) readFromStream(c *kernel.CQE, index uint32, s *socket) {
	s.reading = false
	switch {
	case atomic.LoadUint32(&s.state) != stateOpen:
		m.letGoOf(index)
		return
	case c.Res > 0:
		s.inEnd += uint32(c.Res)
		s.hasMore = s.inEnd >= streamInBytes
	case c.Res != -int32(unix.EINTR):
		s.ending = endEOF
	}
	m.needsCut(index)
}

// cutStreams serves the frames that have come. A stream that cannot go on stays on the list for the next round.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) cutStreams() {
	l := &m.loop
	n := l.cuts
	l.cuts, l.hurried = 0, false
	atomic.StoreUint32(&l.stalled, 0)
	for i := uint32(0); i < n; i++ {
		index := m.toCut[i%maxSockets]
		s := &m.sockets[index%maxSockets]
		s.toCut = false
		if m.cut(index, s) {
			continue
		}
		s.toCut = true
		m.toCut[l.cuts%maxSockets] = index // Not beyond i.
		l.cuts++
	}
}

// cut serves the frames of a stream and has the kernel receive more. It reports false where it has to wait.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) cut(index uint32, s *socket) (done bool) {
	if s.kind != kindStream { // The entry was given anew since the stream was put on the list.
		return true
	}
	if s.state == stateClosing { // It has lost a request; see lose.
		m.letGoOf(index)
	}
	if s.state != stateOpen || s.told {
		return true
	}
	for {
		if m.loop.outgoing >= outSlots {
			m.loop.hurried = true
			return false
		}
		size := m.nextFrame(s)
		if size == 0 {
			break
		}
		if !m.serveFrame(index, s, size) {
			return false
		}
		s.inStart += size
	}
	if s.ending != 0 {
		return m.tellEnd(index, s)
	}
	m.needsFlush(index)
	return true
}

// nextFrame is the size of the next frame, 0 while it is not there as a whole. Frames that are too long are passed over.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) nextFrame(s *socket) (size uint32) {
	for s.ending != endGarbage {
		have := s.inEnd - s.inStart
		if s.skip != 0 {
			passed := min(s.skip, have)
			s.skip, s.inStart = s.skip-passed, s.inStart+passed
			if s.skip != 0 {
				return 0
			}
			continue
		}
		at := s.received()
		size, ok := FrameSize(word(at, 0), word(at, 4), have)
		switch {
		case !ok:
			m.loop.counters.Garbage++
			s.ending = endGarbage
		case size > MaxFrameBytes:
			m.loop.counters.Garbage++
			s.skip = size
		case size > have:
			return 0
		default:
			return size
		}
	}
	return 0
}

// received is where the next frame begins.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (s *socket) received() unsafe.Pointer {
	return unsafe.Pointer(&s.buffers.in[s.part%2][s.inStart%streamInBytes])
}

// serveFrame relays a frame or gives it to Go. It reports false where that has to wait.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) serveFrame(index uint32, s *socket, size uint32) (done bool) {
	p := packet{socket: index, payload: s.received(), length: size}
	if *(*uint8)(p.payload) >= 0x40 {
		done = m.fromChannel(&p)
	} else {
		done = half(p.payload, 0) == sendIndication && m.sendIndication(&p) || m.handUp(&p)
	}
	if done {
		m.loop.counters.Packets++
	}
	return done
}

// mayGoUp tells whether Go takes another frame of a stream and, if not, has Go kick when it does. The answers to what
// it takes are to fit as well; what makes room for them is a completion.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) mayGoUp(s *socket) bool {
	if s.outEnd-s.outStart >= stallFill {
		return false
	}
	if m.hasRoom(sinkStreams, streamSlots) {
		return true
	}
	atomic.StoreUint32(&m.loop.stalled, 1) // Before the second look: who makes room later kicks.
	return m.hasRoom(sinkStreams, streamSlots)
}

// tellEnd tells Go of a stream's end, behind its last frame.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) tellEnd(index uint32, s *socket) (done bool) {
	if !m.mayGoUp(s) {
		return false
	}
	r := &m.up[sinkStreams]
	e := &r.entries[r.head%upSlots]
	e.socket, e.generation, e.length, e.ending = index, s.generation, 0, s.ending
	s.told = true
	m.handedUp(sinkStreams)
	return true
}

// removeStream begins to end a stream. Its entry is free when the kernel has let go of its buffers. The parts are not
// inlined: their frames would add up, and the stack of the loop is what a nosplit chain may have.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) removeStream(index uint32) {
	m.disown(index)
	atomic.StoreUint32(&m.sockets[index%maxSockets].state, stateClosing)
	m.cancel(index)
	m.letGoOf(index)
}

// disown has the relay of a stream's client relay no more by itself.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) disown(index uint32) {
	owned := m.sockets[index%maxSockets].owned
	if owned == 0 {
		return
	}
	if relay := &m.sockets[(owned-1)%maxSockets]; relay.attached != 0 && relay.listener == index {
		m.removeFlows(owned-1, nil, commandRemoveFlows)
		m.detach(owned - 1)
	}
}

// letGoOf gives an entry back to Go unless the kernel still uses its buffers. What has not been sent yet is
// left to the kernel, as far as it takes it.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) letGoOf(index uint32) {
	s := &m.sockets[index%maxSockets]
	if s.reading || s.sending {
		return
	}
	if fill := s.outEnd - s.outStart; fill != 0 && !s.broken {
		_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.buffers.out[s.outStart%streamOutBytes])), uintptr(fill),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	}
	m.freed(index)
}
