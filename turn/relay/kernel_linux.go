package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Structures of <linux/io_uring.h> and <sys/socket.h> beside those of package kernel; they are part of the kernel's
// interface. Pointers are held as numbers: what they point to is memory that the Go runtime does
// not know, and a store of a pointer would need a Go processor while a collection runs.

// Requests and flags beside those of package kernel.
const (
	opRecv    = 27     // IORING_OP_RECV
	pollFirst = 1 << 0 // IORING_RECVSEND_POLL_FIRST, Linux 5.19
	cancelAll = 1 << 0 // IORING_ASYNC_CANCEL_ALL, Linux 5.19
	cancelFD  = 1 << 1 // IORING_ASYNC_CANCEL_FD, Linux 5.19
)

// bufferReg is struct io_uring_buf_reg.
type bufferReg struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

// ringBuffer is struct io_uring_buf. The ring's tail is the field of the first one that is otherwise reserved.
type ringBuffer struct {
	addr uint64
	len  uint32
	id   uint16
	tail uint16
}

// waitArg is struct io_uring_getevents_arg. Since Linux 6.12 its padding is the least time to wait in µs.
type waitArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWait     uint32
	ts          uint64
}

// msghdr is struct msghdr, vector struct iovec, mmsghdr struct mmsghdr, on 64-bit machines.
type msghdr struct {
	name       uint64
	nameLen    uint32
	_          uint32
	iov        uint64
	iovLen     uint64
	control    uint64
	controlLen uint64
	flags      int32
	_          uint32
}

type vector struct{ base, len uint64 }

type mmsghdr struct {
	msghdr
	bytes uint32
	_     uint32
}

// epollEvent is struct epoll_event as x86 packs it; see epollEventBytes for the others.
const epollEventBytes = unsafe.Sizeof(unix.EpollEvent{})

// sockaddrBytes holds struct sockaddr_in and sockaddr_in6.
const sockaddrBytes = unix.SizeofSockaddrInet6
