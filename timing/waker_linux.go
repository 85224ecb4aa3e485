package timing

import (
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// timerWaker is a timerfd on CLOCK_MONOTONIC with absolute deadlines, read through Go's own poller. The poller wakes
// for it at the instant itself, while package time's timers are rounded to the poller's whole milliseconds.
type timerWaker struct {
	file *os.File
	fd   int
	// closed and calls keep arm from using the descriptor's number once it may be another file's.
	closed  atomic.Bool
	calls   sync.RWMutex
	reading sync.WaitGroup
}

func newWaker() (waker, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, &EngineError{Attempt: "create timerfd", Err: err}
	}
	return &timerWaker{file: os.NewFile(uintptr(fd), "timerfd"), fd: fd}, nil
}

func (w *timerWaker) arm(at Instant) {
	spec := unix.ItimerSpec{} // All zero disarms.
	if at != Never {
		// An it_value of 0 would disarm too; an instant in the past fires at once.
		spec.Value = unix.NsecToTimespec(int64(max(at, 1)))
	}
	w.calls.RLock()
	defer w.calls.RUnlock()
	if !w.closed.Load() {
		// The arguments are valid by construction, so the call cannot fail (timerfd_settime(2), ERRORS).
		_ = unix.TimerfdSettime(w.fd, unix.TFD_TIMER_ABSTIME, &spec, nil)
	}
}

func (w *timerWaker) start(wake func(handOver func())) EngineReport {
	w.reading.Add(1)
	go w.read(wake)
	return EngineReport{Policy: "timerfd in Go's poller"}
}

// read waits for the timer and calls wake, until the file is closed or wake hands the reading over to run a callback
// that may block. w.reading counts one reader at a time.
func (w *timerWaker) read(wake func(handOver func())) {
	var expirations [8]byte
	handed := false
	handOver := func() {
		handed = true
		go w.read(wake)
	}
	for !handed {
		if _, err := w.file.Read(expirations[:]); err != nil {
			w.reading.Done()
			return // Closed.
		}
		wake(handOver)
	}
}

func (w *timerWaker) close() {
	w.calls.Lock()
	w.closed.Store(true)
	_ = w.file.Close() // A timerfd has nothing to flush.
	w.calls.Unlock()
	w.reading.Wait()
}
