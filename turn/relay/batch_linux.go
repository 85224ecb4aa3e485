package relay

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Batches reads datagrams of a socket many at a time, for relays whose client comes over a stream that no loop serves. One
// goroutine at a time reads.
type Batches struct{ conn syscall.RawConn }

// NewBatches returns a reader of a socket, nil where the socket or the system has no such thing.
func NewBatches(socket net.PacketConn) *Batches {
	udp, ok := socket.(*net.UDPConn)
	if !ok {
		return nil
	}
	raw, err := udp.SyscallConn()
	if err != nil {
		return nil
	}
	return &Batches{conn: raw}
}

// batch is the memory of one reading. It is borrowed for as long as its datagrams are looked at, so that an idle relay
// has none.
type batch struct {
	headers [readBatch]mmsghdr
	vectors [readBatch]vector
	buffers [readBatch][bufferBytes]byte
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// prepare sets what the kernel has overwritten. The batch is on the heap and does not move.
func (b *batch) prepare() {
	for i := range b.headers {
		base := unsafe.Pointer(&b.buffers[i])
		b.vectors[i] = vector{uint64(uintptr(unsafe.Add(base, payloadAt))), payloadBytes}
		b.headers[i].msghdr = msghdr{
			name: uint64(uintptr(unsafe.Add(base, outBytes))), nameLen: nameBytes,
			iov: uint64(uintptr(unsafe.Pointer(&b.vectors[i]))), iovLen: 1,
		}
	}
}

// Read waits for datagrams and calls take with each; the data is take's until it returns. Its error is that of the
// socket, net.ErrClosed among them.
func (b *Batches) Read(take func(from netip.AddrPort, data []byte)) error {
	var full *batch
	var n uintptr
	var errno unix.Errno
	err := b.conn.Read(func(fd uintptr) bool {
		full = batches.Get().(*batch)
		full.prepare()
		n, _, errno = unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&full.headers)), readBatch,
			unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN || errno == unix.EINTR {
			batches.Put(full)
			full = nil
			return false
		}
		return true
	})
	if err != nil {
		return err
	}
	defer batches.Put(full)
	if errno != 0 {
		return fmt.Errorf("receive: %w", errno)
	}
	for i := range n {
		full.hand(i, take)
	}
	return nil
}

func (b *batch) hand(i uintptr, take func(from netip.AddrPort, data []byte)) {
	h := &b.headers[i]
	if h.flags&unix.MSG_TRUNC != 0 {
		return
	}
	p := packet{payload: unsafe.Pointer(&b.buffers[i][payloadAt])}
	p.readName()
	take(p.from.addrPort(), b.buffers[i][payloadAt:payloadAt+h.bytes])
}
