package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

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
	}
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
