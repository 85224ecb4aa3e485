package timing

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// wireSlot is everything that the kernel reads of one send. It lies outside the Go heap, where nothing moves or frees
// it while the kernel may look.
type wireSlot struct {
	expiry   kernel.Timespec
	message  unix.Msghdr
	vector   unix.Iovec
	address  unix.RawSockaddrInet6 // Or a RawSockaddrInet4, which is shorter.
	datagram [MaxWireDatagram]byte
}

// fill prepares the slot for a send.
func (s *wireSlot) fill(x *WireSend, datagram []byte, to netip.AddrPort) error {
	length, err := s.fillAddress(x.socket.endpoint.family, to)
	if err != nil {
		return err
	}
	const second = 1e9
	due := max(x.due, 0) // The kernel refuses a time before its clock's start.
	s.expiry = kernel.Timespec{Sec: int64(due) / second, Nsec: int64(due) % second}
	s.vector.Base = &s.datagram[0]
	s.vector.SetLen(copy(s.datagram[:], datagram))
	s.message = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&s.address)), Namelen: length, Iov: &s.vector}
	s.message.SetIovlen(1)
	return nil
}

func (s *wireSlot) fillAddress(family int, to netip.AddrPort) (length uint32, err error) {
	if family == unix.AF_INET {
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.address))
		*a = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(to.Port()), Addr: to.Addr().Unmap().As4()}
		return unix.SizeofSockaddrInet4, nil
	}
	zone, err := zoneID(to.Addr().Zone())
	if err != nil {
		return 0, err
	}
	s.address = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(to.Port()), Addr: to.Addr().As16(), Scope_id: zone}
	return unix.SizeofSockaddrInet6, nil
}

// networkOrder is htons(3).
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

// A ticket names a send's requests to the kernel: a running number, so that no old answer fits a new send, and the
// slot. The timeout's has one bit more, by which a cancel finds it and not the send.
const wireTimeoutTicket = 1 << 31

func wireTicket(sequence uint32, slot int) uint64 { return uint64(sequence)<<32 | uint64(slot) }

func wireTicketSlot(ticket uint64) int { return int(uint32(ticket) &^ wireTimeoutTicket) }

// timeout is the request that expires at the send's instant. Of the two exactly one completes visibly, since
// IOSQE_CQE_SKIP_SUCCESS silences the timeout when it expires, and the send when the timeout is cancelled.
func (s *wireSlot) timeout(ticket uint64) kernel.SQE {
	return kernel.SQE{
		Opcode:   kernel.OpTimeout,
		Flags:    kernel.SQEIOLink | kernel.SQECQESkipSuccess,
		FD:       -1,
		Addr:     uint64(uintptr(unsafe.Pointer(&s.expiry))),
		Len:      1, // One timespec.
		OpFlags:  kernel.TimeoutAbs | kernel.TimeoutETimeSuccess,
		UserData: ticket | wireTimeoutTicket,
	}
}

// sendmsg is the request that follows the timeout. It never waits: a full socket buffer is an error.
func (s *wireSlot) sendmsg(ticket uint64, fd int) kernel.SQE {
	return kernel.SQE{
		Opcode:   kernel.OpSendmsg,
		FD:       int32(fd),
		Addr:     uint64(uintptr(unsafe.Pointer(&s.message))),
		Len:      1, // One message.
		OpFlags:  unix.MSG_DONTWAIT,
		UserData: ticket,
	}
}

// wireSlots is a mapped slab of slots with a list of the free ones.
type wireSlots struct {
	mapped []byte
	slots  []wireSlot
	free   []int
}

func (p *wireSlots) open(n int) (err error) {
	size := n * int(unsafe.Sizeof(wireSlot{}))
	p.mapped, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("map send slots: %w", err)
	}
	p.slots = unsafe.Slice((*wireSlot)(unsafe.Pointer(&p.mapped[0])), n)
	p.free = make([]int, 0, n)
	for i := n - 1; i >= 0; i-- {
		p.free = append(p.free, i)
	}
	return nil
}

func (p *wireSlots) at(i int) *wireSlot { return &p.slots[i] }

// take returns a free slot; there is one, since the wire counts.
func (p *wireSlots) take() int {
	last := len(p.free) - 1
	i := p.free[last]
	p.free = p.free[:last]
	return i
}

func (p *wireSlots) give(i int) { p.free = append(p.free, i) }

func (p *wireSlots) close() error {
	if p.mapped == nil {
		return nil
	}
	return unix.Munmap(p.mapped)
}
