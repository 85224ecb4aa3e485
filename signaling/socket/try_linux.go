package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls here do not block, so they are made without telling Go's scheduler, as it makes its own. Telling it costs
// more than the bookkeeping: the first such call after a pause wakes the scheduler's monitor, which then looks every 20 µs
// whether the call has come back. For a server that mostly waits that was a fifth of its CPU time.

// tryWrite writes what a non-blocking descriptor takes at once; 0 when it takes nothing now.
func tryWrite(fd int, data []byte) (written int, err error) {
	n, err := try(unix.SYS_WRITE, fd, data)
	return max(n, 0), err
}

// tryRead reads what is there at once. 0 is the end, -1 nothing.
func tryRead(fd int, into []byte) (n int, err error) {
	return try(unix.SYS_READ, fd, into)
}

// tryWait returns which descriptors of an epoll have something to tell.
func tryWait(epoll int, events []unix.EpollEvent) []unix.EpollEvent {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return nil // Only for an epoll that is closed: a wait of no time is not interrupted.
	}
	return events[:n]
}

// try makes a system call on a non-blocking descriptor; -1 when it would have to wait.
func try(call uintptr, fd int, data []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return -1, nil
		default:
			return 0, errno
		}
	}
}
