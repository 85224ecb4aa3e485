package relay

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// readBatch is how many datagrams one recvmmsg brings, where there is no io_uring.
	readBatch = 64
	// roundBatch bounds the completions of one round, so that commands and sends do not wait for ever.
	roundBatch = 128
	// ignored is the user data of requests whose completion says nothing; sends have it with the socket below.
	ignored = 1 << 63
	// together marks a send of several datagrams.
	together = 1 << 62
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

// run serves until commandStop.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) run() {
	for !m.loop.stopped {
		m.loop.counters.Rounds++
		if m.loop.uring {
			m.ringRound()
		} else {
			m.epollRound()
		}
		m.wakeGo()
		m.loop.now = 0
	}
}

// next returns the next submission, to be filled. When there is no room the kernel takes what there is.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) next() *sqe {
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
	atomic.StoreUint32(l.sqTail, l.pushed)
	flags, arg, size := uintptr(enterGetevents), uintptr(0), uintptr(0)
	if wait != 0 && l.wait.minWait != 0 {
		wait, flags = uintptr(l.minBatch), flags|enterExtArg
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
		wait, flags, arg, size = 0, enterGetevents, 0, 0
	}
	// Their buffers and names are about to change hands, so that they must not be submitted later.
	l.counters.SocketFull += uint64(l.pushed - l.submitted)
	l.pushed = l.submitted
	atomic.StoreUint32(l.sqTail, l.pushed)
}

// submitTries is how often the kernel is asked to take submissions that it refuses for want of memory.
const submitTries = 16

// ringRound waits for completions, handles them and leaves sends to be submitted with the next wait.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) ringRound() {
	l := &m.loop
	head := *l.cqHead
	wait := uintptr(1)
	if atomic.LoadUint32(l.cqTail) != head {
		wait = 0
	} else {
		atomic.StoreUint32(&l.sleeping, 1) // Before the look at the commands: whoever gives one later kicks.
		if atomic.LoadUint32(&l.commandTail) != l.commandHead {
			wait = 0
		}
	}
	m.enter(wait)
	atomic.StoreUint32(&l.sleeping, 0)
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
	m.flush()
	atomic.StoreUint32(l.cqHead, head)
	if l.kicked {
		l.kicked = false
		m.drainKick()
		m.enter(0) // What waits to be sent has names in tables that commands change.
		m.obey()
	}
}

// recycle gives the buffers of the round before back to the kernel: its sends have been submitted, and a send that
// does not wait is over when it has been submitted.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) recycle() {
	l := &m.loop
	for i := uint32(0); i < l.usedCount; i++ {
		m.offer(m.used[i%buffers])
	}
	if l.usedCount != 0 {
		l.usedCount = 0
		m.publishBuffers()
	}
}

// offer adds a buffer to the ring; publishBuffers shows it to the kernel.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) offer(id uint16) {
	b := &m.ring[m.loop.bufferTail%buffers]
	b.addr, b.len, b.id = uint64(uintptr(unsafe.Pointer(&m.buffers[id%buffers]))), bufferBytes, id
	m.loop.bufferTail++
}

// publishBuffers stores the ring's tail, which is half a word of the first buffer; the other half is that buffer's id.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) publishBuffers() {
	at := (*uint32)(unsafe.Pointer(&m.ring[0].id))
	atomic.StoreUint32(at, tailWord(m.ring[0].id, uint16(m.loop.bufferTail)))
}

// complete handles one completion.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) complete(c *cqe) {
	index := uint32(c.userData) % maxSockets
	s := &m.sockets[index]
	if c.userData&ignored != 0 {
		if c.res < 0 && c.userData&together != 0 {
			m.sentTogether(-c.res)
		} else if c.res < 0 {
			m.loop.counters.SocketFull++
		}
		return
	}
	if userData(index, s.generation) != c.userData {
		m.discard(c)
		return
	}
	if s.kind == kindKick {
		m.loop.kicked = true
		if c.flags&cqeMore == 0 {
			m.armKick()
		}
		return
	}
	if c.res >= 0 && c.flags&1 != 0 { // IORING_CQE_F_BUFFER
		m.received(index, uint16(c.flags>>cqeBufferShift))
	}
	if c.flags&cqeMore != 0 {
		return
	}
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
func (m *memory) discard(c *cqe) {
	if c.res >= 0 && c.flags&1 != 0 {
		m.keep(uint16(c.flags >> cqeBufferShift))
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
	p := packet{
		socket: index, name: (*[nameBytes]byte)(unsafe.Add(b, outBytes)), payload: unsafe.Add(b, payloadAt), length: out.payloadLen,
	}
	m.take(&p)
}

// drainKick drains the eventfd, whose purpose is to end a wait. The caller then looks for commands again: one that was
// given after this round's look has written to the eventfd before it was drained.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) drainKick() {
	var count uint64
	_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(m.loop.kickFD), uintptr(unsafe.Pointer(&count)), 8)
}

//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) armKick() {
	e := m.next()
	clearSQE(e)
	e.opcode, e.fd, e.len, e.opFlags = opPollAdd, m.loop.kickFD, pollMultishot, unix.POLLIN
	e.userData = userData(kickSocket, 0)
}

// armReceive has the kernel receive on a socket until further notice.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) armReceive(index uint32) {
	s := &m.sockets[index%maxSockets]
	e := m.next()
	clearSQE(e)
	e.opcode, e.flags, e.ioprio, e.fd = opRecvmsg, sqeBufferSelect, recvMultishot, s.fd
	e.addr, e.len = uint64(uintptr(unsafe.Pointer(&m.loop.recvHeader))), 1
	e.userData, e.bufferGroup = userData(index, s.generation), group
}

// send puts a datagram into the queue of those that leave when the round ends. Its data and name stay where they are.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) send(socket, index uint32, data unsafe.Pointer, length uint32, name *[nameBytes]byte, nameLen uint32) {
	o := &m.out[m.loop.outgoing%outSlots]
	m.loop.outgoing++
	o.fd, o.index = m.sockets[socket%maxSockets].fd, index
	o.data, o.length = uint64(uintptr(data)), uint64(length)
	o.name, o.nameLen = uint64(uintptr(unsafe.Pointer(name))), nameLen
}

// flush sends the queue: with io_uring by the next enter, otherwise at once. A full socket loses what it cannot take.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) flush() {
	for i := uint32(0); i < m.loop.outgoing; {
		var e *sqe
		if m.loop.uring {
			e = m.next()
			clearSQE(e)
		}
		if n := m.alike(i); n > 1 {
			m.sendTogether(i, n, e)
			i += n
			continue
		}
		o := &m.out[i%outSlots]
		i++
		if e != nil {
			e.opcode, e.flags, e.fd = opSend, sqeSkipSuccess, o.fd
			e.off, e.addr, e.len, e.opFlags = o.name, o.data, uint32(o.length), unix.MSG_DONTWAIT
			e.nameLen, e.userData = uint16(o.nameLen), ignored|uint64(o.index)
			continue
		}
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(o.fd), uintptr(o.data), uintptr(o.length),
			unix.MSG_DONTWAIT, uintptr(o.name), uintptr(o.nameLen))
		if errno != 0 {
			m.loop.counters.SocketFull++
		}
	}
	m.loop.outgoing = 0
}

// Bounds of datagrams that leave together (UDP_SEGMENT, udp(7)): the kernel's number, and a length that fits every
// usual path with its headers, since segments are not fragmented.
const (
	maxSegments     = 64
	maxSegmentBytes = 1380
)

// alike counts the datagrams of the queue from a place on that may leave together: to one address through one socket,
// of one length but the last, which may be shorter.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) alike(first uint32) (n uint32) {
	o := &m.out[first%outSlots]
	n = 1
	if m.loop.whole || o.length > maxSegmentBytes || o.length == 0 {
		return n
	}
	for first+n < m.loop.outgoing && n < maxSegments && (n+1)*uint32(o.length) < 1<<16-1 {
		next := &m.out[(first+n)%outSlots]
		if next.fd != o.fd || next.name != o.name || next.length > o.length || next.length == 0 {
			break
		}
		n++
		if next.length < o.length {
			break
		}
	}
	return n
}

// sendTogether sends n datagrams of the queue from a place on as segments of one, by the submission or, if that is nil,
// at once.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sendTogether(first, n uint32, e *sqe) {
	o := &m.out[first%outSlots]
	for i := first; i < first+n; i++ {
		m.pieces[i%uint32(len(m.pieces))] = vector{m.out[i%outSlots].data, m.out[i%outSlots].length}
	}
	s := &m.segments[first%outSlots]
	s.header.name, s.header.nameLen = o.name, o.nameLen
	s.header.iov, s.header.iovLen = uint64(uintptr(unsafe.Pointer(&m.pieces[first%outSlots]))), uint64(n)
	s.header.control, s.header.controlLen = uint64(uintptr(unsafe.Pointer(&s.control))), uint64(unsafe.Sizeof(s.control))
	s.control.length = unix.SizeofCmsghdr + 2
	s.control.level, s.control.kind, s.control.size = unix.SOL_UDP, unix.UDP_SEGMENT, uint16(o.length)
	m.loop.counters.Segments += uint64(n)
	if e != nil {
		e.opcode, e.flags, e.fd = opSendmsg, sqeSkipSuccess, o.fd
		e.addr, e.len, e.opFlags = uint64(uintptr(unsafe.Pointer(&s.header))), 1, unix.MSG_DONTWAIT
		e.userData = ignored | together | uint64(o.index)
		return
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(o.fd), uintptr(unsafe.Pointer(&s.header)), unix.MSG_DONTWAIT)
	m.sentTogether(int32(errno))
}

// sentTogether takes the outcome. A network device that cannot do it, or a path with a smaller MTU, ends it for good:
// what was lost is repeated by those who need it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sentTogether(errno int32) {
	if errno == 0 {
		return
	}
	m.loop.counters.SocketFull++
	if unix.Errno(errno) == unix.EINVAL || unix.Errno(errno) == unix.EIO || unix.Errno(errno) == unix.EMSGSIZE {
		m.loop.whole = true
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func clearSQE(e *sqe) {
	words := (*[8]uint64)(unsafe.Pointer(e))
	for i := range words {
		words[i] = 0
	}
}

// epollRound waits for readable sockets and reads each once.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) epollRound() {
	n, _, errno := waitEpoll(uintptr(m.loop.epollFD), uintptr(unsafe.Pointer(&m.events)), epollBatch)
	m.obey()
	if errno != 0 {
		return
	}
	for i := uintptr(0); i < n; i++ {
		index := uint32(m.events[i%epollBatch].Fd)
		s := &m.sockets[index%maxSockets]
		switch {
		case s.kind == kindKick:
			m.drainKick()
			m.obey()
		case s.state == stateOpen:
			m.readSocket(index, s.fd)
			m.flush() // Before the next read overwrites what is to be sent.
		}
	}
}

// readSocket reads what one recvmmsg brings.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) readSocket(index uint32, fd int32) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.headers)), readBatch,
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return
	}
	for i := uintptr(0); i < n; i++ {
		h := &m.headers[i%readBatch]
		h.nameLen = nameBytes
		if h.flags&unix.MSG_TRUNC != 0 {
			m.loop.counters.Truncated++
			continue
		}
		b := unsafe.Pointer(&m.buffers[i%buffers])
		p := packet{
			socket: index, name: (*[nameBytes]byte)(unsafe.Add(b, outBytes)), payload: unsafe.Add(b, payloadAt), length: h.bytes,
		}
		m.take(&p)
	}
}
