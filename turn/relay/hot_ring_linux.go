package relay

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

const (
	// readBatch is how many datagrams one recvmmsg brings, where there is no io_uring.
	readBatch = 64
	// roundBatch bounds the completions of one round, so that commands and sends do not wait for ever.
	roundBatch = 128
	// ignored is the user data of cancels, whose completion says nothing; sends have it with the socket below.
	ignored = 1 << 63
	// together marks a send of several datagrams, whose number is above togetherShift.
	together      = 1 << 62
	togetherShift = 32
	// toStream marks a send to a stream, beside its socket.
	toStream = 1 << 31
	// group is the number of the ring of buffers.
	group = 1
)

// userData tells completions of a socket's receiving from those of an earlier socket of the same index.
//
//go:nosplit
//go:norace
//go:nocheckptr
func userData(index, generation uint32) uint64 {
	return uint64(generation&0x3fffffff)<<32 | uint64(index)
}

// ringRound waits for completions, handles them and leaves sends to be submitted with the next wait.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) ringRound() {
	l := &m.loop
	if l.unarmed {
		m.rearm()
	}
	head := *l.cqHead
	wait := uintptr(1 + l.answers)
	if atomic.LoadUint32(l.cqTail) != head || l.hurried {
		wait = 0
	} else {
		atomic.StoreUint32(&l.sleeping, 1) // Before the look at the commands: whoever gives one later kicks.
		if atomic.LoadUint32(&l.commandTail) != l.commandHead || l.stalled != 0 && m.hasRoom(sinkStreams, streamSlots) {
			wait = 0
		}
	}
	m.enter(wait)
	atomic.StoreUint32(&l.sleeping, 0)
	l.now = uint64(nanotime())
	m.recycle()
	tail := atomic.LoadUint32(l.cqTail)
	if tail-head > roundBatch {
		tail = head + roundBatch
	}
	m.obey()
	for ; head != tail; head++ {
		c := l.cqes[head%cqEntries]
		m.complete(&c)
	}
	m.cutStreams()
	m.flush()
	atomic.StoreUint32(l.cqHead, head)
	if l.kicked {
		l.kicked = false
		m.drainKick()
		m.enter(0) // What waits to be sent has names in tables that commands change.
		m.obey()
		m.cutStreams()
		m.flush()
	}
}

// next returns the next submission, to be filled. When there is no room the kernel takes what there is.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) next() *kernel.SQE {
	l := &m.loop
	if l.pushed-l.submitted == sqEntries {
		m.enter(0)
	}
	e := &l.sqes[l.pushed%sqEntries]
	l.pushed++
	return e
}

// enter submits everything, and waits where asked to.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) enter(wait uintptr) {
	l := &m.loop
	l.answers = 0
	atomic.StoreUint32(l.sqTail, l.pushed)
	flags, arg, size := uintptr(kernel.EnterGetevents), uintptr(0), uintptr(0)
	if wait != 0 && l.wait.minWait != 0 {
		wait, flags = uintptr(l.minBatch), flags|kernel.EnterExtArg
		arg, size = uintptr(unsafe.Pointer(&l.wait)), unsafe.Sizeof(l.wait)
	}
	for try := 0; try < submitTries; try++ {
		n, _, errno := enterRing(uintptr(l.ringFD), uintptr(l.pushed-l.submitted), wait, flags, arg, size)
		if errno == 0 {
			l.submitted += uint32(n)
		}
		if l.submitted == l.pushed {
			return
		}
		wait, flags, arg, size = 0, kernel.EnterGetevents, 0, 0
	}
	// Their buffers and names are about to change hands, so that they must not be submitted later.
	for ; l.pushed != l.submitted; l.pushed-- {
		m.lose(&l.sqes[(l.pushed-1)%sqEntries])
	}
	atomic.StoreUint32(l.sqTail, l.pushed)
}

// submitTries is how often the kernel is asked to take submissions that it refuses for want of memory.
const submitTries = 16

// complete handles one completion.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) complete(c *kernel.CQE) {
	index := uint32(c.UserData) % maxSockets
	s := &m.sockets[index]
	switch {
	case c.UserData&ignored != 0:
		m.completeSend(c)
	case c.UserData&toStream != 0:
		m.sentToStream(c)
	case userData(index, s.generation) != c.UserData:
		m.discard(c)
	case s.kind == kindKick:
		m.completeKick(c)
	case s.kind == kindStream:
		m.readFromStream(c, index, s)
	default:
		m.completeReceive(c, index, s)
	}
}

// completeSend counts a send that failed; one that did not completes in silence.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) completeSend(c *kernel.CQE) {
	if c.UserData == ignored { // Of a cancel, which found nothing.
		return
	}
	if c.Res < 0 && c.UserData&together != 0 {
		m.sentTogether(-c.Res, datagrams(c.UserData))
	} else if c.Res < 0 {
		m.loop.counters.SocketFull++
	}
}

// datagrams is how many a send was of, by its user data.
//
//go:nosplit
//go:norace
//go:nocheckptr
func datagrams(userData uint64) uint64 {
	if userData&together == 0 {
		return 1
	}
	return userData >> togetherShift & (2*maxSegments - 1)
}

// completeKick notes that Go has written to the eventfd.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) completeKick(c *kernel.CQE) {
	m.loop.kicked = true
	if c.Flags&kernel.CQEMore == 0 {
		m.armReceive(kickSocket)
	}
}

// completeReceive handles a datagram, or the end of a socket's receiving.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) completeReceive(c *kernel.CQE, index uint32, s *socket) {
	if c.Res >= 0 && c.Flags&kernel.CQEBuffer != 0 {
		m.received(index, uint16(c.Flags>>kernel.CQEBufferShift))
	}
	if c.Flags&kernel.CQEMore != 0 {
		return
	}
	s.reading = false
	if atomic.LoadUint32(&s.state) == stateClosing {
		m.freed(index)
		return
	}
	m.armReceive(index)
}

// discard gives back the buffer of a completion that nobody waits for.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) discard(c *kernel.CQE) {
	if c.Res >= 0 && c.Flags&kernel.CQEBuffer != 0 {
		m.keep(uint16(c.Flags >> kernel.CQEBufferShift))
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) keep(id uint16) {
	m.used[m.loop.usedCount%buffers] = id
	m.loop.usedCount++
}

// received handles one datagram.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) received(index uint32, id uint16) {
	m.keep(id)
	b := unsafe.Pointer(&m.buffers[id%buffers])
	out := (*recvmsgOut)(b)
	if m.sockets[index%maxSockets].state != stateOpen {
		return
	}
	if out.flags&unix.MSG_TRUNC != 0 || out.payloadLen > payloadBytes {
		m.loop.counters.Truncated++
		return
	}
	p := packet{socket: index, payload: unsafe.Add(b, payloadAt), length: out.payloadLen, controlLen: out.controlLen}
	m.take(&p)
}

// armReceive has the kernel receive on a socket, or watch the eventfd, until further notice.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) armReceive(index uint32) {
	s := &m.sockets[index%maxSockets]
	e := m.next()
	clearSQE(e)
	e.FD, e.UserData = s.fd, userData(index, s.generation)
	s.reading = true
	if s.kind == kindKick {
		e.Opcode, e.Len, e.OpFlags = kernel.OpPollAdd, kernel.PollAddMulti, unix.POLLIN
		return
	}
	e.Opcode, e.Flags, e.IOPrio = kernel.OpRecvmsg, kernel.SQEBufferSelect, kernel.RecvMultishot
	e.Addr, e.Len, e.BufferGroup = uint64(uintptr(unsafe.Pointer(&m.loop.recvHeader))), 1, group
}

//go:nosplit
//go:norace
//go:nocheckptr
func clearSQE(e *kernel.SQE) {
	words := (*[8]uint64)(unsafe.Pointer(e))
	for i := range words {
		words[i] = 0
	}
}
