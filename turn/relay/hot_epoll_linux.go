package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollRound waits for readable sockets and reads each once.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) epollRound() {
	n := m.await()
	m.loop.now = uint64(nanotime())
	m.obey()
	for i := uintptr(0); i < n; i++ {
		index := uint32(m.events[i%epollBatch].Fd)
		s := &m.sockets[index%maxSockets]
		switch {
		case s.kind == kindKick:
			m.drainKick()
			m.obey()
		case s.state == stateOpen:
			generation, read := s.generation, m.readSocket(s.fd)
			// What was read may have been sent after the last look for commands, and after a command that was given since.
			// That one may also have ended the socket.
			m.obey()
			m.takeRead(index, generation, read)
			m.flush() // Before the next read overwrites what is to be sent.
		}
	}
}

// await waits for readable sockets. It is not inlined, nor is readSocket: the room for a system call's arguments would be
// part of the round's frame, and the stack of the loop is what a nosplit chain may have, 792 bytes.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) await() (n uintptr) {
	n, _, errno := waitEpoll(uintptr(m.loop.epollFD), uintptr(unsafe.Pointer(&m.events)), epollBatch)
	if errno != 0 {
		return 0
	}
	return n
}

// readSocket reads what one recvmmsg brings.
//
//go:noinline
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) readSocket(fd int32) (n uintptr) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.headers)), readBatch,
		unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0
	}
	return n
}

// takeRead handles what was read of a socket, or forgets it where that has ended.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) takeRead(index, generation uint32, n uintptr) {
	s := &m.sockets[index%maxSockets]
	open := s.state == stateOpen && s.generation == generation
	for i := uintptr(0); i < n; i++ {
		h := &m.headers[i%readBatch]
		controlLen := uint32(h.controlLen)
		h.nameLen, h.controlLen = nameBytes, controlBytes
		switch {
		case !open:
		case h.flags&unix.MSG_TRUNC != 0:
			m.loop.counters.Truncated++
		default:
			b := unsafe.Pointer(&m.buffers[i%buffers])
			p := packet{socket: index, payload: unsafe.Add(b, payloadAt), length: h.bytes, controlLen: controlLen}
			m.take(&p)
		}
	}
}
