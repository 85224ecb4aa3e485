//go:build race

package relay

import "golang.org/x/sys/unix"

// serve runs a loop as an ordinary goroutine: the race detector's functions need a Go processor.
func serve(m *memory) { m.run() }

func enterRing(ring, submit, wait, flags, arg, size uintptr) (uintptr, uintptr, unix.Errno) {
	return unix.Syscall6(unix.SYS_IO_URING_ENTER, ring, submit, wait, flags, arg, size)
}

func waitEpoll(fd, events, count uintptr) (uintptr, uintptr, unix.Errno) {
	return unix.Syscall6(unix.SYS_EPOLL_PWAIT, fd, events, count, ^uintptr(0), 0, 0)
}
