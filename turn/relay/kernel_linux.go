package relay

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Constants and structures of <linux/io_uring.h> and <sys/socket.h>; the values are part of the kernel's interface and
// the same on every architecture. Pointers are held as numbers: what they point to is memory that the Go runtime does
// not know, and a store of a pointer would need a Go processor while a collection runs.
const (
	opPollAdd     = 6
	opSendmsg     = 9
	opRecvmsg     = 10
	opAsyncCancel = 14
	opSend        = 26

	sqeBufferSelect   = 1 << 5 // IOSQE_BUFFER_SELECT
	sqeSkipSuccess    = 1 << 6 // IOSQE_CQE_SKIP_SUCCESS
	recvMultishot     = 1 << 1 // IORING_RECV_MULTISHOT, Linux 6.0
	pollMultishot     = 1 << 0 // IORING_POLL_ADD_MULTI
	cqeMore           = 1 << 1 // IORING_CQE_F_MORE
	cqeBufferShift    = 16
	enterGetevents    = 1 << 0
	enterExtArg       = 1 << 3
	setupCQSize       = 1 << 3
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12 // Linux 6.0
	setupDeferTaskrun = 1 << 13 // Linux 6.1

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featExtArg     = 1 << 8
	featCQESkip    = 1 << 11
	featMinTimeout = 1 << 15 // Linux 6.12

	registerBufferRing = 22 // IORING_REGISTER_PBUF_RING, Linux 5.19

	offsetSQRing = 0
	offsetSQEs   = 0x10000000
)

// sqe is struct io_uring_sqe.
type sqe struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	len, opFlags  uint32
	userData      uint64
	bufferGroup   uint16
	_             uint16
	nameLen       uint16 // addr_len of IORING_OP_SEND
	_             uint16
	_             [2]uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32

	_     [3]uint32
	sqOff struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		_                                                           uint64
	}
	cqOff struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
		_                                                           uint64
	}
}

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
