//go:build !race

package relay

import (
	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// serve runs a loop on the calling goroutine's thread, which has no Go processor meanwhile: as far as the scheduler can
// tell it is in one long system call. See doc.go for what that forbids.
//
//go:nosplit
//go:norace
func serve(m *memory) {
	kernel.EnterSyscall()
	m.run()
	kernel.ExitSyscall()
}

//go:nosplit
func enterRing(ring, submit, wait, flags, arg, size uintptr) (uintptr, uintptr, unix.Errno) {
	return unix.RawSyscall6(unix.SYS_IO_URING_ENTER, ring, submit, wait, flags, arg, size)
}

//go:nosplit
func waitEpoll(fd, events, count uintptr) (uintptr, uintptr, unix.Errno) {
	return unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, events, count, ^uintptr(0), 0, 0)
}
