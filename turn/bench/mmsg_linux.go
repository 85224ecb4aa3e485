package bench

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchSlots is how many datagrams one system call carries.
	batchSlots = 64
	// slotBytes holds the largest message in a Data indication (RFC 8656 11.6), with what a server adds.
	slotBytes = maxSize + 128
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	bytes  uint32
	_      [4]byte
}

// controlBytes is the size of one IP_PKTINFO control message.
const controlBytes = unix.SizeofCmsghdr + 16

// batch is the memory of one recvmmsg or sendmmsg. It has one user at a time.
type batch struct {
	headers  [batchSlots]mmsghdr
	vectors  [batchSlots]unix.Iovec
	names    [batchSlots]unix.RawSockaddrInet4
	controls [batchSlots][controlBytes]byte
	buffers  [batchSlots][slotBytes]byte
	used     int
}

func newBatch() *batch {
	b := &batch{}
	for i := range b.headers {
		b.vectors[i].Base = &b.buffers[i][0]
		h := &b.headers[i].header
		h.Iov, h.Name = &b.vectors[i], (*byte)(unsafe.Pointer(&b.names[i]))
		h.SetIovlen(1)
	}
	return b
}

// receive fills the batch with what the socket has, without blocking; none is no error.
func (b *batch) receive(fd int, withControl bool) error {
	for i := range b.headers {
		b.vectors[i].SetLen(slotBytes)
		h := &b.headers[i].header
		h.Namelen, h.Control, h.Controllen = unix.SizeofSockaddrInet4, nil, 0
		if withControl {
			h.Control = &b.controls[i][0]
			h.SetControllen(controlBytes)
		}
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), batchSlots,
		unix.MSG_DONTWAIT, 0, 0)
	b.used = int(n)
	if errno != 0 {
		b.used = 0
		if errno != unix.EAGAIN && errno != unix.EINTR && errno != unix.ECONNREFUSED {
			return fmt.Errorf("receive: %w", errno)
		}
	}
	return nil
}

// payload is the datagram in slot i after receive.
func (b *batch) payload(i int) []byte { return b.buffers[i][:b.headers[i].bytes] }

// destination is the local address that the datagram in slot i was sent to; the socket has IP_PKTINFO set.
func (b *batch) destination(i int) [4]byte {
	// struct in_pktinfo: interface index, local address, header's destination.
	return [4]byte(b.controls[i][unix.SizeofCmsghdr+8:])
}

// full tells whether add has no room.
func (b *batch) full() bool { return b.used == batchSlots }

// add returns the buffer of the next datagram to send, of the given size. source is the local address that it leaves
// from, the zero Addr for the socket's own.
func (b *batch) add(to netip.AddrPort, source netip.Addr, size int) []byte {
	i := b.used
	b.used++
	b.vectors[i].SetLen(size)
	b.names[i] = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&b.names[i].Port))[:], to.Port())
	h := &b.headers[i].header
	h.Namelen, h.Control, h.Controllen = unix.SizeofSockaddrInet4, nil, 0
	if source.IsValid() {
		b.setSource(i, source)
	}
	return b.buffers[i][:size]
}

func (b *batch) setSource(i int, source netip.Addr) {
	c := b.controls[i][:]
	clear(c)
	cmsg := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	cmsg.Level, cmsg.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	cmsg.SetLen(unix.CmsgLen(12))
	address := source.As4()
	copy(c[unix.SizeofCmsghdr+4:], address[:])
	b.headers[i].header.Control = &c[0]
	b.headers[i].header.SetControllen(controlBytes)
}

// send sends the batch and empties it. A socket whose buffer is full loses the rest, as a network would.
func (b *batch) send(fd int) error {
	for sent := 0; sent < b.used; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[sent])),
			uintptr(b.used-sent), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			sent += int(n)
		case unix.EINTR, unix.ECONNREFUSED:
		case unix.EAGAIN, unix.ENOBUFS:
			b.used = 0
			return nil
		default:
			return fmt.Errorf("send: %w", errno)
		}
	}
	b.used = 0
	return nil
}

// reflect turns a received batch into one that sends everything back to where it came from.
func (b *batch) reflect() {
	for i := range b.used {
		b.vectors[i].SetLen(int(b.headers[i].bytes))
		h := &b.headers[i].header
		h.Control, h.Controllen = nil, 0
	}
}
