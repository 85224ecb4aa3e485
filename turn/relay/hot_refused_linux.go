package relay

import (
	"sync/atomic"

	"tourbillon/timing/kernel"
)

// What the kernel refuses to take, for want of memory, is lost: datagrams as in a full socket, and a stream ends with its
// request. What nobody would repeat, to receive on a socket, to watch the eventfd and to cancel, is asked for anew in the
// next round, and the loop does not wait before the kernel has taken it.

// lose gives up a submission that the kernel does not take.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) lose(e *kernel.SQE) {
	index := uint32(e.UserData) % toStream % maxSockets
	s := &m.sockets[index]
	switch {
	case e.Opcode == kernel.OpAsyncCancel:
		m.loop.unarmed = true
		return
	case e.UserData&ignored != 0:
		m.loop.counters.SocketFull += datagrams(e.UserData)
		return
	case s.kind != kindStream:
		s.reading, m.loop.unarmed = false, true
		return
	case e.UserData&toStream != 0:
		s.sending, s.broken, s.outStart = false, true, s.outEnd
	default:
		s.reading = false
	}
	s.ending = endEOF
	m.needsCut(index)
}

// rearm asks anew for what the kernel has refused, as the entries tell.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) rearm() {
	m.loop.unarmed = false
	for index := uint32(0); index < m.loop.top; index++ {
		s := &m.sockets[index%maxSockets]
		switch state := atomic.LoadUint32(&s.state); {
		case state == stateClosing && (s.reading || s.sending):
			m.cancel(index)
		case state == stateClosing: // What was to be cancelled has been refused as well.
			m.letGoOf(index)
		case state == stateOpen && s.started && !s.reading && s.kind != kindStream:
			m.armReceive(index)
		}
	}
}

// cancel ends what the kernel does for a socket. What comes of it comes with the completions of that.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) cancel(index uint32) {
	s := &m.sockets[index%maxSockets]
	if !s.reading && !s.sending {
		return
	}
	e := m.next()
	clearSQE(e)
	e.Opcode, e.Flags, e.UserData = kernel.OpAsyncCancel, kernel.SQECQESkipSuccess, ignored
	if s.kind == kindStream {
		e.FD, e.OpFlags = s.fd, cancelAll|cancelFD
		return
	}
	e.FD, e.Addr = -1, userData(index, s.generation)
}
