package timing

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Constants and structures of <linux/io_uring.h>; the values are part of the kernel's interface and the same on every
// architecture.
const (
	ioringOpNop     = 0
	ioringOpSendmsg = 9
	ioringOpTimeout = 11

	iosqeIOLink         = 1 << 2 // IOSQE_IO_LINK
	iosqeCQESkipSuccess = 1 << 6 // IOSQE_CQE_SKIP_SUCCESS, Linux 5.17

	ioringTimeoutAbs          = 1 << 0 // IORING_TIMEOUT_ABS
	ioringTimeoutETimeSuccess = 1 << 5 // IORING_TIMEOUT_ETIME_SUCCESS, Linux 5.16

	ioringSetupSQPoll    = 1 << 1 // IORING_SETUP_SQPOLL
	ioringSetupSubmitAll = 1 << 7 // IORING_SETUP_SUBMIT_ALL, Linux 5.18

	ioringFeatSingleMmap = 1 << 0  // IORING_FEAT_SINGLE_MMAP
	ioringFeatNoDrop     = 1 << 1  // IORING_FEAT_NODROP
	ioringFeatCQESkip    = 1 << 11 // IORING_FEAT_CQE_SKIP

	ioringSQNeedWakeup = 1 << 0 // IORING_SQ_NEED_WAKEUP

	ioringEnterGetevents = 1 << 0 // IORING_ENTER_GETEVENTS
	ioringEnterSQWakeup  = 1 << 1 // IORING_ENTER_SQ_WAKEUP

	ioringRegisterEventFD    = 4  // IORING_REGISTER_EVENTFD
	ioringRegisterSyncCancel = 24 // IORING_REGISTER_SYNC_CANCEL, Linux 6.0

	ioringOffSQRing = 0          // IORING_OFF_SQ_RING
	ioringOffSQEs   = 0x10000000 // IORING_OFF_SQES
)

// uringSQE is struct io_uring_sqe.
type uringSQE struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	len, opFlags  uint32
	userData      uint64
	_             [3]uint64
}

// uringCQE is struct io_uring_cqe.
type uringCQE struct {
	userData uint64
	res      int32
	flags    uint32
}

// uringParams is struct io_uring_params.
type uringParams struct {
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

// kernelTimespec is struct __kernel_timespec of <linux/time_types.h>: 64 bits wide on every architecture.
type kernelTimespec struct{ sec, nsec int64 }

// uringSyncCancel is struct io_uring_sync_cancel_reg.
type uringSyncCancel struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout kernelTimespec
	_       [4]uint64
}

// uring is one io_uring instance. It has no lock: its methods are for one goroutine at a time, which the caller's mutex
// sees to.
type uring struct {
	fd          int
	rings, sqes []byte
	polled      bool // IORING_SETUP_SQPOLL.

	sqHead, sqTail, sqFlags *uint32
	sqMask                  uint32
	entries                 []uringSQE
	tail                    uint32 // What push has filled; publish shows it to the kernel.

	cqHead, cqTail *uint32
	cqMask         uint32
	completions    []uringCQE
}

// uringSetup is the io_uring_setup system call, or a test's answer in its place.
type uringSetup func(entries uint32, params *uringParams) (fd int, err error)

func ioUringSetup(entries uint32, params *uringParams) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(params)), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// openUring makes a ring; of the parameters it takes the number of submissions, the flags and the idle time.
func openUring(setup uringSetup, params uringParams) (*uring, error) {
	params.flags |= ioringSetupSubmitAll
	fd, err := setup(params.sqEntries, &params)
	if err != nil {
		return nil, fmt.Errorf("io_uring_setup: %w", err)
	}
	r := &uring{fd: fd, polled: params.flags&ioringSetupSQPoll != 0}
	if err := r.mapRings(&params); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *uring) mapRings(p *uringParams) (err error) {
	const needed = ioringFeatSingleMmap | ioringFeatNoDrop | ioringFeatCQESkip
	if p.features&needed != needed {
		return fmt.Errorf("io_uring lacks features (has %#x, needs %#x: Linux 5.17)", p.features, needed)
	}
	size := max(p.sqOff.array+p.sqEntries*4, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(uringCQE{})))
	if r.rings, err = r.mapAt(ioringOffSQRing, int(size)); err != nil {
		return fmt.Errorf("map io_uring's rings: %w", err)
	}
	if r.sqes, err = r.mapAt(ioringOffSQEs, int(p.sqEntries)*int(unsafe.Sizeof(uringSQE{}))); err != nil {
		return fmt.Errorf("map io_uring's submissions: %w", err)
	}
	r.sqHead, r.sqTail, r.sqFlags = r.word(p.sqOff.head), r.word(p.sqOff.tail), r.word(p.sqOff.flags)
	r.sqMask = *r.word(p.sqOff.ringMask)
	r.entries = unsafe.Slice((*uringSQE)(unsafe.Pointer(&r.sqes[0])), p.sqEntries)
	r.cqHead, r.cqTail = r.word(p.cqOff.head), r.word(p.cqOff.tail)
	r.cqMask = *r.word(p.cqOff.ringMask)
	r.completions = unsafe.Slice((*uringCQE)(unsafe.Pointer(&r.rings[p.cqOff.cqes])), p.cqEntries)
	// Entry i of the ring is always submission i.
	for i, index := 0, unsafe.Slice(r.word(p.sqOff.array), p.sqEntries); i < len(index); i++ {
		index[i] = uint32(i)
	}
	return nil
}

func (r *uring) mapAt(offset int64, size int) ([]byte, error) {
	return unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

func (r *uring) word(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }

// push adds one submission; the kernel sees it at the next publish. There must be room.
func (r *uring) push(e uringSQE) {
	r.entries[r.tail&r.sqMask] = e
	r.tail++
}

// publish shows the kernel what was pushed.
func (r *uring) publish() { atomic.StoreUint32(r.sqTail, r.tail) }

// taken reports whether the kernel has taken all that was published.
func (r *uring) taken() bool { return atomic.LoadUint32(r.sqHead) == r.tail }

// wakePoller wakes the kernel's thread if it has gone to sleep. The store of the tail comes before the look at the
// flag, which Go's atomics keep in order.
func (r *uring) wakePoller() {
	if atomic.LoadUint32(r.sqFlags)&ioringSQNeedWakeup != 0 {
		// It fails only for a ring that is not ours.
		_, _, _ = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, 0, ioringEnterSQWakeup, 0, 0)
	}
}

// submitAndWait submits n requests from the calling thread, where no other does, and blocks until one has completed. A
// signal ends the kernel's wait, but not its submission, so the wait alone is repeated.
func (r *uring) submitAndWait(n uint32) error {
	flags := uintptr(ioringEnterGetevents)
	if r.polled {
		flags |= ioringEnterSQWakeup
	}
	for !r.completed() {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n), 1, flags, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
		n = 0
	}
	return nil
}

// completed reports whether pop has something to take.
func (r *uring) completed() bool { return *r.cqHead != atomic.LoadUint32(r.cqTail) }

// notify returns an eventfd that counts up at each completion.
func (r *uring) notify() (*os.File, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	file := os.NewFile(uintptr(fd), "io_uring completions")
	number := int32(fd)
	if err := r.register(ioringRegisterEventFD, unsafe.Pointer(&number)); err != nil {
		return nil, errors.Join(fmt.Errorf("register eventfd: %w", err), file.Close())
	}
	return file, nil
}

// pop takes the next completion, if there is one.
func (r *uring) pop() (uringCQE, bool) {
	if !r.completed() {
		return uringCQE{}, false
	}
	head := *r.cqHead
	c := r.completions[head&r.cqMask]
	atomic.StoreUint32(r.cqHead, head+1)
	return c, true
}

// cancel asks the kernel to cancel the request with the user data. An error says that there was none to cancel. Success
// says that the request has been cancelled or has ended: io_uring_register(2) answers a request that it first finds in
// execution and then no more as if it had cancelled it.
func (r *uring) cancel(userData uint64) error {
	// The timeout of 0 has it not wait for a request in execution.
	arg := uringSyncCancel{addr: userData, fd: -1}
	return r.register(ioringRegisterSyncCancel, unsafe.Pointer(&arg))
}

// register is io_uring_register with one argument. It keeps its Go processor: the kernel answers at once.
func (r *uring) register(opcode uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), opcode, uintptr(arg), 1, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (r *uring) close() error {
	var problems []error
	for _, mapped := range [][]byte{r.rings, r.sqes} {
		if mapped != nil {
			problems = append(problems, unix.Munmap(mapped))
		}
	}
	return errors.Join(append(problems, unix.Close(r.fd))...)
}
