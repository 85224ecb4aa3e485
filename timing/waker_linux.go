package timing

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// timerWaker is a timerfd on CLOCK_MONOTONIC with absolute deadlines, waited for through Go's own poller. The poller
// wakes for it at the instant itself, while package time's timers are rounded to the poller's whole milliseconds.
type timerWaker struct {
	file *os.File
	raw  syscall.RawConn
	fd   int
	// closed and calls keep arm from using the descriptor's number once it may be another file's.
	closed atomic.Bool
	calls  sync.RWMutex
}

func newWaker() (waker, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, &EngineError{Attempt: "create timerfd", Err: err}
	}
	file := os.NewFile(uintptr(fd), "timerfd")
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // Fails for a file that the poller did not take.
	}
	if err != nil {
		_ = file.Close()
		return nil, &EngineError{Attempt: "give the timerfd to Go's poller", Err: err}
	}
	return &timerWaker{file: file, raw: raw, fd: fd}, nil
}

func (w *timerWaker) policy() string { return "timerfd in Go's poller" }

func (w *timerWaker) arm(at Instant) {
	spec := unix.ItimerSpec{} // All zero disarms.
	if at != Never {
		// An it_value of 0 would disarm too; an instant in the past fires at once.
		spec.Value = unix.NsecToTimespec(int64(max(at, 1)))
	}
	w.calls.RLock()
	defer w.calls.RUnlock()
	if !w.closed.Load() {
		// The arguments are valid by construction, so the call cannot fail (timerfd_settime(2), ERRORS). Nor does it block:
		// Go's scheduler is not told of it, which after a pause would wake its monitor.
		_, _, _ = unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(w.fd), unix.TFD_TIMER_ABSTIME, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	}
}

// wait never reads the timerfd: the poller reports each expiry once (EPOLLET), and arming it again clears the last.
func (w *timerWaker) wait(passed func() bool) bool {
	return w.raw.Read(func(uintptr) bool { return passed() }) == nil
}

func (w *timerWaker) close() {
	w.calls.Lock()
	defer w.calls.Unlock()
	w.closed.Store(true)
	_ = w.file.Close() // A timerfd has nothing to flush.
}
