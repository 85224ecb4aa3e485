package timing

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"tourbillon/timing/kernel"
)

// uringSyncCancel is struct io_uring_sync_cancel_reg.
type uringSyncCancel struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout kernel.Timespec
	_       [4]uint64
}

// uring is one io_uring instance. It has no lock: its methods are for one goroutine at a time, which the caller's mutex
// sees to.
type uring struct {
	*kernel.Ring
	polled bool   // IORING_SETUP_SQPOLL.
	tail   uint32 // What push has filled; publish shows it to the kernel.
}

// openUring makes a ring; of the parameters it takes the number of submissions, the flags and the idle time.
func openUring(setup kernel.Setup, params kernel.Params) (*uring, error) {
	params.Flags |= kernel.SetupSubmitAll
	ring, err := kernel.Open(setup, &params, kernel.FeatNoDrop|kernel.FeatCQESkip)
	if err != nil {
		return nil, fmt.Errorf("open a ring (Linux 5.17): %w", err)
	}
	return &uring{Ring: ring, polled: params.Flags&kernel.SetupSQPoll != 0}, nil
}

// push adds one submission; the kernel sees it at the next publish. There must be room.
func (r *uring) push(e kernel.SQE) {
	r.SQEs[r.tail&uint32(len(r.SQEs)-1)] = e
	r.tail++
}

// publish shows the kernel what was pushed.
func (r *uring) publish() { atomic.StoreUint32(r.SQTail, r.tail) }

// taken reports whether the kernel has taken all that was published.
func (r *uring) taken() bool { return atomic.LoadUint32(r.SQHead) == r.tail }

// wakePoller wakes the kernel's thread if it has gone to sleep. The store of the tail comes before the look at the
// flag, which Go's atomics keep in order.
func (r *uring) wakePoller() {
	if atomic.LoadUint32(r.SQFlags)&kernel.SQNeedWakeup != 0 {
		// It fails only for a ring that is not ours.
		_, _, _ = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.FD), 0, 0, kernel.EnterSQWakeup, 0, 0)
	}
}

// submitAndWait submits n requests from the calling thread, where no other does, and blocks until one has completed. A
// signal ends the kernel's wait, but not its submission, so the wait alone is repeated.
func (r *uring) submitAndWait(n uint32) error {
	flags := uintptr(kernel.EnterGetevents)
	if r.polled {
		flags |= kernel.EnterSQWakeup
	}
	for !r.completed() {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.FD), uintptr(n), 1, flags, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("io_uring_enter: %w", errno)
		}
		n = 0
	}
	return nil
}

// completed reports whether pop has something to take.
func (r *uring) completed() bool { return *r.CQHead != atomic.LoadUint32(r.CQTail) }

// notify returns an eventfd that counts up at each completion.
func (r *uring) notify() (*os.File, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	file := os.NewFile(uintptr(fd), "io_uring completions")
	number := int32(fd)
	if err := r.Register(kernel.RegisterEventFD, unsafe.Pointer(&number), 1); err != nil {
		return nil, errors.Join(fmt.Errorf("register eventfd: %w", err), file.Close())
	}
	return file, nil
}

// pop takes the next completion, if there is one.
func (r *uring) pop() (kernel.CQE, bool) {
	if !r.completed() {
		return kernel.CQE{}, false
	}
	head := *r.CQHead
	c := r.CQEs[head&uint32(len(r.CQEs)-1)]
	atomic.StoreUint32(r.CQHead, head+1)
	return c, true
}

// cancel asks the kernel to cancel the request with the user data. An error says that there was none to cancel. Success
// says that the request has been cancelled or has ended: io_uring_register(2) answers a request that it first finds in
// execution and then no more as if it had cancelled it.
func (r *uring) cancel(userData uint64) error {
	// The timeout of 0 has it not wait for a request in execution.
	arg := uringSyncCancel{addr: userData, fd: -1}
	return r.Register(kernel.RegisterSyncCancel, unsafe.Pointer(&arg), 1)
}
