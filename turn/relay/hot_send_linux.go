package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// send puts a datagram into the queue of those that leave when the round ends. Its data and name stay where they are. The
// caller may add a control message to what is returned, which stays where it is as well.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) send(
	socket, index uint32, data unsafe.Pointer, length uint32, name *[nameBytes]byte, nameLen uint32,
) *outgoing {
	o := &m.out[m.loop.outgoing%outSlots]
	m.loop.outgoing++
	o.fd, o.index = m.sockets[socket%maxSockets].fd, index
	o.data, o.length = uint64(uintptr(data)), uint64(length)
	o.name, o.nameLen, o.controlLen = uint64(uintptr(unsafe.Pointer(name))), nameLen, 0
	return o
}

// flush sends the queue: with io_uring by the next enter, otherwise at once. A full socket loses what it cannot take.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) flush() {
	for i := uint32(0); i < m.loop.outgoing; {
		var e *kernel.SQE
		if m.loop.uring {
			e = m.next()
			clearSQE(e)
		}
		if n := m.alike(i); n > 1 {
			m.sendTogether(i, n, e)
			i += n
			continue
		}
		m.sendAlone(i, e)
		i++
	}
	m.loop.outgoing = 0
	m.flushStreams()
}

// sendAlone sends a datagram of the queue, by the submission or, if that is nil, at once.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sendAlone(i uint32, e *kernel.SQE) {
	o := &m.out[i%outSlots]
	if o.controlLen != 0 {
		h := m.prepare(i, 1)
		h.control, h.controlLen = o.control, uint64(o.controlLen)
		if errno := m.sendMessage(i, e, ignored); errno != 0 {
			m.loop.counters.SocketFull++
		}
		return
	}
	if e != nil {
		e.Opcode, e.Flags, e.FD = kernel.OpSend, kernel.SQECQESkipSuccess, o.fd
		e.Off, e.Addr, e.Len, e.OpFlags = o.name, o.data, uint32(o.length), unix.MSG_DONTWAIT
		e.NameLen, e.UserData = uint16(o.nameLen), ignored|uint64(o.index)
		return
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(o.fd), uintptr(o.data), uintptr(o.length),
		unix.MSG_DONTWAIT, uintptr(o.name), uintptr(o.nameLen))
	if errno != 0 {
		m.loop.counters.SocketFull++
	}
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
func (m *memory) sendTogether(first, n uint32, e *kernel.SQE) {
	o, h := &m.out[first%outSlots], m.prepare(first, n)
	c := &m.messages[first%outSlots].control
	if o.controlLen != 0 { // Datagrams with one name are of one relay, which o.index is.
		c.source = m.sockets[o.index%maxSockets].control
	}
	size := (*segmentSize)(unsafe.Add(unsafe.Pointer(c), o.controlLen%controlLimit))
	size.length = unix.SizeofCmsghdr + 2
	size.level, size.kind, size.size = unix.SOL_UDP, unix.UDP_SEGMENT, uint16(o.length)
	h.control, h.controlLen = uint64(uintptr(unsafe.Pointer(c))), uint64(o.controlLen)+uint64(unsafe.Sizeof(*size))
	m.loop.counters.Segments += uint64(n)
	if errno := m.sendMessage(first, e, ignored|together|uint64(n)<<togetherShift); errno != 0 {
		m.sentTogether(errno, uint64(n))
	}
}

// controlLimit is above every length of a control message that chooses a source.
const controlLimit = controlBytes + 8

// prepare has the message of a place in the queue send n datagrams from there on. Its control is the caller's to set.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) prepare(first, n uint32) *msghdr {
	for i := first; i < first+n; i++ {
		m.pieces[i%uint32(len(m.pieces))] = vector{m.out[i%outSlots].data, m.out[i%outSlots].length}
	}
	o, h := &m.out[first%outSlots], &m.messages[first%outSlots].header
	h.name, h.nameLen = o.name, o.nameLen
	h.iov, h.iovLen = uint64(uintptr(unsafe.Pointer(&m.pieces[first%outSlots]))), uint64(n)
	return h
}

// sendMessage sends the message of a place in the queue, by the submission, which mark is for, or, if that is nil, at
// once.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sendMessage(i uint32, e *kernel.SQE, mark uint64) (errno int32) {
	o, h := &m.out[i%outSlots], unsafe.Pointer(&m.messages[i%outSlots].header)
	if e == nil {
		_, _, failed := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(o.fd), uintptr(h), unix.MSG_DONTWAIT)
		return int32(failed)
	}
	e.Opcode, e.Flags, e.FD = kernel.OpSendmsg, kernel.SQECQESkipSuccess, o.fd
	e.Addr, e.Len, e.OpFlags = uint64(uintptr(h)), 1, unix.MSG_DONTWAIT
	e.UserData = mark | uint64(o.index)
	return 0
}

// sentTogether takes the outcome of n datagrams that were lost. A network device that cannot do it, or a path with a smaller
// MTU, ends it for good: what was lost is repeated by those who need it.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) sentTogether(errno int32, n uint64) {
	m.loop.counters.SocketFull += n
	if unix.Errno(errno) == unix.EINVAL || unix.Errno(errno) == unix.EIO || unix.Errno(errno) == unix.EMSGSIZE {
		m.loop.whole = true
	}
}
