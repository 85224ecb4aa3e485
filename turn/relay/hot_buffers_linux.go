package relay

import (
	"sync/atomic"
	"unsafe"
)

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
