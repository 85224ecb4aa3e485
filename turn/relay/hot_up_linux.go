package relay

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handUp copies a packet into a queue to Go. What finds no room is lost, but for a frame of a stream: that has to wait,
// and false is reported.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) handUp(p *packet) (done bool) {
	s := &m.sockets[p.socket%maxSockets]
	if s.kind == kindStream {
		if !m.mayGoUp(s) {
			return false
		}
	} else if !m.hasRoom(s.sink, upSlots) {
		m.loop.counters.QueueFull++
		return true
	}
	r := &m.up[s.sink%maxSinks]
	e := &r.entries[r.head%upSlots]
	e.socket, e.generation, e.from, e.local, e.length, e.ending = p.socket, s.generation, p.from, p.local, p.length, 0
	copyWords(unsafe.Pointer(&e.payload), p.payload, uintptr(p.length))
	m.handedUp(s.sink)
	return true
}

// hasRoom tells whether a queue to Go takes another packet, where it may hold so many.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) hasRoom(sink, slots uint32) bool {
	r := &m.up[sink%maxSinks]
	return r.head-atomic.LoadUint32(&r.tail) < slots
}

// handedUp shows Go what has been put into a queue.
//
//go:nosplit
//go:norace
//go:nocheckptr
func (m *memory) handedUp(sink uint32) {
	r := &m.up[sink%maxSinks]
	atomic.StoreUint32(&r.head, r.head+1)
	m.loop.signal |= 1 << (sink % maxSinks)
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
