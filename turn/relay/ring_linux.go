package relay

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is what has to be given back of an io_uring instance.
type ring struct {
	fd          int
	rings, sqes []byte
}

// openRing makes a loop's io_uring instance. It is called on the loop's thread, which alone may submit then
// (IORING_SETUP_SINGLE_ISSUER): the kernel then runs its part of the work only when the loop asks, in its own time.
func openRing(m *memory) (r *ring, err error) {
	p := params{flags: setupSubmitAll | setupCQSize | setupSingleIssuer | setupDeferTaskrun, cqEntries: cqEntries}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, sqEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup (Linux 6.1): %w", errno)
	}
	r = &ring{fd: int(fd)}
	if err := errors.Join(r.mapRings(m, &p), r.registerBuffers(m)); err != nil {
		return nil, errors.Join(err, r.close())
	}
	m.loop.ringFD, m.loop.uring = int32(fd), true
	if p.features&featMinTimeout == 0 {
		m.loop.wait.minWait = 0
	}
	m.loop.recvHeader = msghdr{nameLen: nameBytes, controlLen: controlBytes}
	return r, nil
}

func (r *ring) mapRings(m *memory, p *params) (err error) {
	const needed = featSingleMmap | featNoDrop | featExtArg | featCQESkip
	if p.features&needed != needed || p.sqEntries != sqEntries || p.cqEntries != cqEntries {
		return fmt.Errorf("io_uring lacks features (has %#x, needs %#x)", p.features, uint32(needed))
	}
	size := max(p.sqOff.array+p.sqEntries*4, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	if r.rings, err = r.mapAt(offsetSQRing, int(size)); err != nil {
		return fmt.Errorf("map io_uring's rings: %w", err)
	}
	if r.sqes, err = r.mapAt(offsetSQEs, sqEntries*int(unsafe.Sizeof(sqe{}))); err != nil {
		return fmt.Errorf("map io_uring's submissions: %w", err)
	}
	l := &m.loop
	l.sqTail, l.cqHead, l.cqTail = r.word(p.sqOff.tail), r.word(p.cqOff.head), r.word(p.cqOff.tail)
	l.sqes = (*[sqEntries]sqe)(unsafe.Pointer(&r.sqes[0]))
	l.cqes = (*[cqEntries]cqe)(unsafe.Pointer(&r.rings[p.cqOff.cqes]))
	// Entry i of the ring is always submission i.
	for i, index := range unsafe.Slice(r.word(p.sqOff.array), sqEntries) {
		_ = index
		unsafe.Slice(r.word(p.sqOff.array), sqEntries)[i] = uint32(i)
	}
	return nil
}

func (r *ring) mapAt(offset int64, size int) ([]byte, error) {
	return unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

func (r *ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// registerBuffers tells the kernel the ring of buffers and fills it.
func (r *ring) registerBuffers(m *memory) error {
	reg := bufferReg{addr: uint64(uintptr(unsafe.Pointer(&m.ring))), entries: buffers, group: group}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerBufferRing, uintptr(unsafe.Pointer(&reg)), 1, 0, 0)
	if errno != 0 {
		return fmt.Errorf("register io_uring's buffers: %w", errno)
	}
	for i := range buffers {
		m.offer(uint16(i))
	}
	m.publishBuffers()
	return nil
}

func (r *ring) close() error {
	var problems []error
	for _, mapped := range [][]byte{r.rings, r.sqes} {
		if mapped != nil {
			problems = append(problems, unix.Munmap(mapped))
		}
	}
	return errors.Join(append(problems, unix.Close(r.fd))...)
}
