package kernel

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is an io_uring instance with its rings mapped. It belongs to whoever opened it until Close, and has no lock. Entry
// i of the ring of submissions is always submission i.
type Ring struct {
	FD                      int
	SQHead, SQTail, SQFlags *uint32
	CQHead, CQTail          *uint32
	SQEs                    []SQE // A power of two.
	CQEs                    []CQE // A power of two.

	rings, sqes []byte
}

// Setup is the io_uring_setup system call, or a test's answer in its place. It fills the parameters in.
type Setup func(entries uint32, params *Params) (fd int, err error)

// SystemSetup is the kernel's.
func SystemSetup(entries uint32, params *Params) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(params)), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// Open makes a ring; of the parameters it takes the number of submissions (and completions, with SetupCQSize), the flags
// and the idle time, and fills the others in. A kernel without one of the needed features (Feat*) is an error, besides
// FeatSingleMmap, which is always needed. It does not block.
func Open(setup Setup, p *Params, needed uint32) (*Ring, error) {
	fd, err := setup(p.SQEntries, p)
	if err != nil {
		return nil, fmt.Errorf("io_uring_setup: %w", err)
	}
	r := &Ring{FD: fd}
	if needed |= FeatSingleMmap; p.Features&needed != needed {
		err = fmt.Errorf("io_uring lacks features (has %#x, needs %#x)", p.Features, needed)
	} else {
		err = r.mapRings(p)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Ring) mapRings(p *Params) (err error) {
	size := max(p.SQOff.Array+p.SQEntries*4, p.CQOff.CQEs+p.CQEntries*uint32(unsafe.Sizeof(CQE{})))
	if r.rings, err = r.mapAt(offsetSQRing, int(size)); err != nil {
		return fmt.Errorf("map io_uring's rings: %w", err)
	}
	if r.sqes, err = r.mapAt(offsetSQEs, int(p.SQEntries)*int(unsafe.Sizeof(SQE{}))); err != nil {
		return fmt.Errorf("map io_uring's submissions: %w", err)
	}
	r.SQHead, r.SQTail, r.SQFlags = r.word(p.SQOff.Head), r.word(p.SQOff.Tail), r.word(p.SQOff.Flags)
	r.CQHead, r.CQTail = r.word(p.CQOff.Head), r.word(p.CQOff.Tail)
	r.SQEs = unsafe.Slice((*SQE)(unsafe.Pointer(&r.sqes[0])), p.SQEntries)
	r.CQEs = unsafe.Slice((*CQE)(unsafe.Pointer(&r.rings[p.CQOff.CQEs])), p.CQEntries)
	for i, index := 0, unsafe.Slice(r.word(p.SQOff.Array), p.SQEntries); i < len(index); i++ {
		index[i] = uint32(i)
	}
	return nil
}

func (r *Ring) mapAt(offset int64, size int) ([]byte, error) {
	return unix.Mmap(r.FD, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

func (r *Ring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// Register is io_uring_register with n arguments. It keeps its Go processor: the kernel answers at once.
func (r *Ring) Register(opcode uintptr, arg unsafe.Pointer, n int) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.FD), opcode, uintptr(arg), uintptr(n), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Close gives everything back. Nobody may use the ring any more.
func (r *Ring) Close() error {
	var problems []error
	for _, mapped := range [][]byte{r.rings, r.sqes} {
		if mapped != nil {
			problems = append(problems, unix.Munmap(mapped))
		}
	}
	return errors.Join(append(problems, unix.Close(r.FD))...)
}
